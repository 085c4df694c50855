"""The catalogue cannot be opened: why, and what can be done about it."""

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Label, Static

from astrotui.text import clean
from astrotui.tui.screens.dialog import Dialog


class TroubleScreen(Dialog[bool]):
    """Shown at the start; closes with True to try again, False to leave."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r,enter", "answer(True)", "Try again", id="trouble.again"),
        Binding("q,escape", "answer(False)", "Quit", id="trouble.quit"),
    ]

    def __init__(self, reason: str, catalog: Path) -> None:
        super().__init__()
        self.reason = reason
        self.catalog = catalog

    def compose(self) -> ComposeResult:
        ways = (
            "The frames on disk are not touched by this.\n"
            "Ways out: put right what is said above and try again (r); or leave (q) and start with another "
            "catalogue: astrotui --catalog PATH. `astrotui doctor` in a shell looks at disk, catalogue and jobs."
        )
        with VerticalScroll(classes="dialog"):
            yield Label("The catalogue cannot be opened", classes="dialog--title")
            yield Static(clean(self.reason, 2000), markup=False)
            yield Static(f"\n{ways}", markup=False)
            yield Label("r try again · q quit", classes="dialog--hint")

    def action_answer(self, again: bool) -> None:
        self.dismiss(again)
