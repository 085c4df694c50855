"""What screens and widgets may ask of the app; it keeps them from importing the app that imports them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from textual.screen import Screen

if TYPE_CHECKING:
    from astrotui.config import Settings
    from astrotui.errors import AstrotuiError
    from astrotui.jobs.records import JobRecord
    from astrotui.rendering.service import PictureService
    from astrotui.stacking.comet_places import Place
    from astrotui.tui.follow import Follower
    from astrotui.tui.store import Store

T = TypeVar("T")


class Host(Protocol):
    """The app as its screens see it.

    Attributes
    ----------
    store : the catalogue, off the event loop
    follower : watches the jobs that were queued here
    session_id : the session that Frames, Darks and the stack form are about
    """

    settings: "Settings"
    store: "Store"
    follower: "Follower"
    session_id: int | None

    @property
    def live(self) -> "tuple[JobRecord, ...]":
        """Jobs that run or wait, as of the last look."""

    @property
    def pictures(self) -> "PictureService":
        """The helper process that makes pictures."""

    def complain(self, error: "AstrotuiError", title: str = ..., *, unasked: bool = ...) -> None:
        """Show an error that has a message for people; `unasked` where it answers no key that was just pressed."""

    def trouble_is_over(self) -> None:
        """Say that a place could be read."""

    def show_running(self, screen: Screen[Any]) -> None:
        """Write how far the running job is."""

    def open_session(self, session_id: int, place: str = ...) -> None:
        """Go to a place with this session."""

    def queue(self, function: Callable[..., int], *arguments: Any, then: Callable[[int], None]) -> None:
        """Queue a job and follow it."""

    def queue_measure(self) -> None:
        """Queue the measurement of the present session."""

    def queue_index(self, roots: Sequence[Path] = ...) -> None:
        """Queue a look at folders."""

    def action_add_folder(self) -> None:
        """Ask for a folder and index it."""

    def open_stack_form(
        self,
        sessions: Sequence[int] = ...,
        reference: int | None = ...,
        comet: "Sequence[Place]" = ...,
        then: Callable[[], None] | None = ...,
        names: Mapping[int, str] | None = ...,
    ) -> None:
        """Ask how to stack the present session, or several; `then` is called when that is queued."""

    async def background(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function in a thread."""
