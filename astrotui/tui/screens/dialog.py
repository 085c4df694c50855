"""What all dialogs have in common."""

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from astrotui.tui.ahead import QuickScreen

Result = TypeVar("Result")


class Dialog(QuickScreen, ModalScreen[Result]):
    """A screen over a place; closes with a result."""

    CSS_PATH = "dialogs.tcss"

    def close_with(self, result: Result) -> None:
        """Close when something has ended that was waited for; a person may have left before it did."""
        if self in self.app.screen_stack:
            self.pop_until_active()
            self.dismiss(result)


class FormDialog(Dialog[Result]):
    """A dialog with a form; `?` tells what its lines mean, as no value that is typed holds one."""

    HELP_NAME: ClassVar[str] = "the form"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "app.help", "Help", key_display="?", priority=True, id="form.help",
                tooltip="These keys, and what the lines mean"),
    ]  # fmt: skip
