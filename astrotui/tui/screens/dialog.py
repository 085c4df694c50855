"""What all dialogs have in common."""

from math import inf
from time import monotonic
from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from astrotui.tui.ahead import QuickScreen

Result = TypeVar("Result")
# Sooner than that nobody has read what came by itself: a key was meant for what it covers.
_UNREAD_S = 0.5


class Dialog(QuickScreen, ModalScreen[Result]):
    """A screen over a place; closes with a result.

    Attributes
    ----------
    unasked : it comes by itself, not as the answer to the key that was just pressed
    """

    CSS_PATH = "dialogs.tcss"
    unasked = False
    _unread_until = inf

    def on_mount(self) -> None:
        self._unread_until = monotonic() + _UNREAD_S

    @property
    def takes_keys(self) -> bool:
        """Whether keys but escape are for this dialog: not in the first moment of one that comes by itself."""
        return not self.unasked or monotonic() >= self._unread_until

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
