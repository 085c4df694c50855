"""Help for a place, made from its bindings so that it cannot go stale."""

from collections.abc import Iterator
from typing import Any, ClassVar

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Label, Static


class HelpScreen(ModalScreen[None]):
    """The keys of a screen, of the widget that has the keyboard, and those that work everywhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "Close", id="help.close"),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        self.about = about

    def compose(self) -> ComposeResult:
        name = getattr(self.about, "PLACE", "")
        with VerticalScroll(classes="dialog wide help"):
            yield Label(f"Keys of {name.capitalize()}" if name else "Keys", classes="dialog--title")
            yield Static(self._keys(), markup=False)
        yield Label("↑↓ more · esc closes · F1 pages to read · ctrl+p commands by name", id="help-hint")

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def _keys(self) -> Table:
        rows = Table.grid(padding=(0, 2))
        rows.add_column(width=12)
        rows.add_column(ratio=1)
        place: list[tuple[str, str]] = []
        focused: list[tuple[str, str]] = []
        everywhere: list[tuple[str, str]] = []
        for node, binding, tooltip in self._bindings_of():
            group = everywhere if node is self.app else place if node is self.about else focused
            group.append((self._written(node, binding), tooltip or binding.description))
        places = ("1 2 3 4 5", "Library, Frames, Darks, Jobs, Stacks")
        everywhere = [places, *everywhere, ("^p", "All commands by name")]
        for title, group in (("", place), ("In the list", focused), ("Everywhere", everywhere)):
            if title and group:
                rows.add_row("", "")
                rows.add_row("", f"[bold]{title}[/bold]")
            for keys, text in group:
                rows.add_row(keys, text)
        return rows

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
