"""What all dialogs have in common."""

from typing import TypeVar

from textual import events
from textual.screen import ModalScreen

from astrotui.tui.ahead import keep_styles

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A screen over a place; closes with a result."""

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        keep_styles(event)
