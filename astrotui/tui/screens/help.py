"""Help for a place, made from its bindings so that it cannot go stale."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.dom import DOMNode
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Input, Static

from astrotui.tui.screens.dialog import Dialog
from astrotui.tui.widgets.form import Form
from astrotui.tui.widgets.page import Page

_KEYS = 14  # cells for the keys
_WIDEST, _SHARE, _FRAME = (
    90,
    0.95,
    5,
)  # of a wide dialog, as its stylesheet has it: border, padding and scroll bar


class HelpScreen(Dialog[None]):
    """The keys of a screen, of the widget that has the keyboard, and those that work everywhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "Close", id="help.close"),
    ]

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        self.about = about

    def compose(self) -> ComposeResult:
        name = getattr(self.about, "PLACE", "")
        with Vertical(classes="dialog wide help"):
            title = name.capitalize() or getattr(self.about, "HELP_NAME", "this dialog")
            yield Static(f"Keys of {title}", classes="dialog--title", markup=False)
            yield Page(list(self._lines()))
            hint = "↑↓ more · esc closes · F1 pages to read · ctrl+p commands by name"
            yield Static(hint, classes="dialog--hint", markup=False)

    def on_mount(self) -> None:
        self.query_one(Page).focus()

    def _lines(self) -> Iterator[Strip]:
        key = Style(bold=True)
        room = max(min(_WIDEST, int(_SHARE * self.app.size.width)) - _FRAME - _KEYS - 1, 20)
        for keys, text in self._keys():
            for number, part in enumerate(wrap(text, room) or [""]):
                name = "" if number else keys
                yield Strip([Segment(f"{name:<{_KEYS}} ", key), Segment(part, Style() if keys else key)])

    def _keys(self) -> Iterator[tuple[str, str]]:
        """Keys and what they do; headings have no keys."""
        place: list[tuple[str, str]] = []
        focused: list[tuple[str, str]] = []
        everywhere: list[tuple[str, str]] = []
        for node, binding, tooltip in self._bindings_of():
            group = everywhere if node is self.app else place if node is self.about else focused
            group.append((self._written(node, binding), tooltip or binding.description))
        if self.about.is_modal:
            everywhere = []  # what works everywhere does not work while a dialog is open
        else:
            places = ("1 2 3 4 5", "Library, Frames, Darks, Jobs, Stacks")
            everywhere = [places, *everywhere, ("^p", "All commands by name")]
        lines = [
            (line.label, line.meaning)
            for form in self.about.query(Form)
            for line in form.lines
            if line.meaning
        ]
        where = "On a line" if lines else "In the list"
        groups = (("", place), (where, focused), ("The lines", lines), ("Everywhere", everywhere))
        for title, group in groups:
            if title and group:
                yield "", ""
                yield "", title
            yield from group

    def _bindings_of(self) -> Iterator[tuple[DOMNode, Binding, str]]:
        """Bindings of astrotui itself that are in force, each once; Textual's own have no ids."""
        seen: set[str] = set()
        for node, binding, enabled, tooltip in self.about.active_bindings.values():
            if binding.id is None or binding.id in seen or not enabled or binding.id.startswith("go."):
                continue
            if isinstance(node, Input) or not binding.description:
                continue
            seen.add(binding.id)
            yield node, binding, tooltip

    def _written(self, node: DOMNode, binding: Binding) -> str:
        """All keys of a binding."""
        keys = [
            self.app.get_key_display(other)
            for group in node._bindings.key_to_bindings.values()
            for other in group
            if other.id == binding.id
        ]
        return " ".join(dict.fromkeys(keys))
