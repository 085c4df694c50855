"""Dialogs: something to read, and a question to answer."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Label, Static

from astrotui.text import clean
from astrotui.tui.screens.dialog import Dialog


class MessageScreen(Dialog[None]):
    """A message with a title; any of the usual keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,space,q", "dismiss", "Close", id="dialog.close")
    ]

    def __init__(self, title: str, text: str, *, wide: bool = False, unasked: bool = False) -> None:
        super().__init__()
        self.heading = title
        self.message = text
        self.wide = wide
        self.unasked = unasked

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide" if self.wide else "dialog"):
            yield Label(clean(self.heading), classes="dialog--title", markup=False)
            with VerticalScroll(classes="dialog--body"):
                yield Static("\n".join(clean(line, 2000) for line in self.message.splitlines()), markup=False)
            yield Label(
                "↑↓ more · enter or esc closes" if self.wide else "enter or esc closes",
                classes="dialog--hint",
            )


class QuestionScreen(Dialog[bool]):
    """A yes-or-no question; enter alone never says yes to a loss."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="question.yes"),
        Binding("n,escape,q", "answer(False)", "No", id="question.no"),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self.heading = title
        self.message = text

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog"):
            yield Label(clean(self.heading), classes="dialog--title", markup=False)
            yield Static("\n".join(clean(line, 2000) for line in self.message.splitlines()), markup=False)
            yield Label("y yes, n or esc no", classes="dialog--hint")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
