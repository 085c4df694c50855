"""An app whose places order jobs: at once, or with a form that asks how."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrotui.tui import queueing
from astrotui.tui.ahead import AheadApp
from astrotui.tui.follow import Follower, numbered
from astrotui.tui.store import Store
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.stacking.comet_places import Place as CometPlace


class OrderingApp(AheadApp):
    """What several places, and the palette, order alike.

    Attributes
    ----------
    store : the catalogue, off the event loop
    follower : watches the jobs that were queued here
    session_id : the session that Frames, Darks and the stack form are about
    """

    def __init__(self, catalog: Path) -> None:
        super().__init__()
        self.store = Store(catalog)
        self.follower = Follower()
        self.session_id: int | None = None

    def queue(self, function: Callable[..., int], *arguments: Any, then: Callable[[int], None]) -> None:
        """Queue a job with `function(catalog, ...)`, follow it, and say so."""
        writing = self.store.write(function, *arguments)

        async def work() -> None:
            job = await writing
            self.follower.add(job)
            then(job)

        start(self, work, group="queue")

    def queue_measure(self) -> None:
        """Queue the measurement of the present session."""
        if (session := self.session_id) is not None:
            self.queue(
                queueing.measure, session, then=lambda job: self.notify(f"job {job} measures; 4 shows it", timeout=3)
            )  # fmt: skip

    def queue_index(self, roots: Sequence[Path] = ()) -> None:
        """Queue a look at new folders, or another look at all that are known."""
        self.queue(
            queueing.index, roots, then=lambda job: self.notify(f"job {job} reads folders; 4 shows it", timeout=3)
        )  # fmt: skip

    def action_add_folder(self) -> None:
        """Ask for a folder and index it."""
        from astrotui.tui.screens.prompt import PromptScreen

        def given(text: str | None) -> None:
            if text:
                self.queue_index((Path(text),))

        self.push_screen(PromptScreen("Add a folder of frames", "path of the folder, like ~/astro"), given)

    def open_stack_form(
        self,
        sessions: Sequence[int] = (),
        reference: int | None = None,
        comet: "Sequence[CometPlace]" = (),
        then: Callable[[], None] | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        """Ask how to stack the present session, or several; `comet` has its marks in two frames.

        `then` is called when that is queued.
        """
        from astrotui.tui.screens.stack_form import StackForm

        chosen = tuple(sessions) or (() if self.session_id is None else (self.session_id,))
        if not chosen:
            self.notify("choose a session in Library (1) first", severity="warning")
            return

        def queued(jobs: tuple[int, ...] | None) -> None:
            if jobs:
                for job in jobs:
                    self.follower.add(job)
                if then is not None:
                    then()
                said = "stacks; it goes" if len(jobs) == 1 else "stack; they go"
                self.notify(f"{numbered(jobs)} {said} on when you quit")
                self.switch_mode("jobs")

        self.push_screen(StackForm(chosen, reference, comet, names), queued)
