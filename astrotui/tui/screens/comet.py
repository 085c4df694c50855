"""Mark where a comet is in a frame: its picture with a cross to move."""

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from astrotui.stacking.comet_places import Place
from astrotui.tui.choosing import short_name
from astrotui.tui.screens.dialog import Dialog
from astrotui.tui.widgets.pointer import Pointer
from astrotui.tui.widgets.words import Words

if TYPE_CHECKING:
    from astrotui.library.listing import FrameRecord
    from astrotui.rendering.service import ViewRequest


class CometScreen(Dialog[Place | None]):
    """Closes with the place in the frame's pixels, as the stack form takes it."""

    HELP_NAME = "marking a comet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "mark", "Mark", id="comet.mark"),
        Binding("escape,q", "leave", "Leave", id="comet.leave"),
    ]

    def __init__(self, frame: "FrameRecord", request: "ViewRequest", known: Place | None = None) -> None:
        super().__init__()
        self.frame_id = frame.id
        self.name_of_frame = short_name(frame)
        self._pointer = Pointer(
            request, (frame.width, frame.height), known[:2] if known is not None else None, id="pointer"
        )

    def compose(self) -> ComposeResult:
        with Vertical(id="comet"):
            yield Static(
                f"Where is the comet in {self.name_of_frame}?", classes="dialog--title", markup=False
            )
            yield self._pointer
            yield Words(id="place")
            keys = "arrows move · shift: far · z Z zoom · enter marks · esc leaves"
            yield Static(keys, classes="dialog--keys", markup=False)

    def on_mount(self) -> None:
        self._pointer.focus()

    @on(Pointer.Pointed)
    def _pointed(self) -> None:
        if (stored := self._pointer.stored) is not None:
            x, y = stored
            self.query_one("#place", Words).update(
                f"x {x:.1f}, y {y:.1f}; it may miss the middle by 10 pixels"
            )

    def action_mark(self) -> None:
        if (stored := self._pointer.stored) is not None:
            self.dismiss((round(stored[0], 1), round(stored[1], 1), self.frame_id))

    def action_leave(self) -> None:
        self.dismiss(None)
