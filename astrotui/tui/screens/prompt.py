"""A dialog that asks for one line of text."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label

from astrotui.text import clean
from astrotui.tui.screens.dialog import Dialog


class PromptScreen(Dialog[str | None]):
    """Closes with the text, or None when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave", id="prompt.leave")]

    def __init__(self, title: str, placeholder: str) -> None:
        super().__init__()
        self.heading = title
        self.placeholder = placeholder

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(clean(self.heading), classes="dialog--title")
            yield Input(placeholder=self.placeholder, compact=True)
            yield Label("enter takes it · esc leaves", classes="dialog--hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)

    def action_leave(self) -> None:
        self.dismiss(None)
