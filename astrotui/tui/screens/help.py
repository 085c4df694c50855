"""Help for a place, made from its bindings so that it cannot go stale."""

from typing import Any, ClassVar

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Label, Static


class HelpScreen(ModalScreen[None]):
    """The keys of a screen and of the widget that has the keyboard."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "Close", id="help.close")
    ]

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        self.about = about

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog wide"):
            yield Label("Keys", classes="dialog--title")
            yield Static(self._keys())
            yield Label("esc closes; `astrotui help` in a shell has pages to read", classes="dialog--hint")

    def _keys(self) -> Table:
        rows = Table.grid(padding=(0, 2))
        seen: set[str] = set()
        for node, binding, _, _ in self.about.active_bindings.values():
            name = binding.id or binding.action
            if name in seen or not binding.description or binding.description == "Command palette":
                continue
            seen.add(name)
            # All keys of the action, not only the one that this entry is about.
            keys = [
                self.app.get_key_display(b)
                for bindings in [node._bindings.key_to_bindings]
                for group in bindings.values()
                for b in group
                if b.action == binding.action
            ]
            rows.add_row(" ".join(dict.fromkeys(keys)), binding.description)
        rows.add_row("ctrl+p", "All commands by name")
        return rows
