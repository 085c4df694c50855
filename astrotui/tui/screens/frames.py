"""Frames: every light of a session with score and status, its picture, a trend, and what the choice is worth."""

from itertools import cycle
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.timer import Timer

from astrotui.errors import AstrotuiError
from astrotui.stacking.comet_places import Place as CometPlace
from astrotui.text import clean, plural
from astrotui.tui import choosing
from astrotui.tui.choosing import COLUMNS, SessionFrames
from astrotui.tui.follow import working
from astrotui.tui.pictures import frame_picture
from astrotui.tui.place import Place
from astrotui.tui.screens.comet import CometScreen
from astrotui.tui.screens.cull import CullScreen
from astrotui.tui.screens.where import WhereScreen
from astrotui.tui.widgets.picture import Picture
from astrotui.tui.widgets.table import RowTable
from astrotui.tui.widgets.trend import METRICS, Trend
from astrotui.tui.widgets.words import Words
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.library.listing import FrameRecord
    from astrotui.tui.reading import SessionFacts


class FramesPlace(Place):
    """The lights of one session."""

    PLACE = "frames"
    FILTER_SCOPE = "frames"
    FILTER_EXAMPLE = "score:>60 fwhm:<3.2 -status:rejected"
    CSS_PATH = "frames.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "decide('rejected')", "Reject", id="frames.reject", tooltip="Reject the frame, go to the next"),
        Binding("a", "decide('accepted')", "Accept", id="frames.accept", tooltip="Accept the frame, go to the next"),
        Binding("space", "toggle_frame", "Toggle", show=False, id="frames.toggle", tooltip="Reject, or take back in"),
        Binding("u", "undo", "Undo", id="frames.undo", tooltip="Take back the last decision"),
        Binding("ctrl+r", "redo", "Redo", show=False, id="frames.redo", tooltip="Decide again what was undone"),
        Binding("c", "cull", "Cull", id="frames.cull", tooltip="Reject by a preset, after a look at who would go and why"),
        Binding("t", "stack", "Stack", id="frames.stack", tooltip="Stack the session: choose a recipe, queue it"),
        Binding("m", "measure", "Measure", id="frames.measure", tooltip="Measure the session: stars, FWHM, scores"),
        *Place.SHARED,
        Binding("b", "blink", "Blink", id="frames.blink", tooltip="Blink the frame against the best one"),
        Binding("v", "metric", "Trend", id="frames.metric", tooltip="Another metric in the trend"),
        Binding("e", "edit", "Edit", id="frames.edit", tooltip="Correct the frame's type, note, rate, tag"),
        Binding("M", "comet", "Mark a comet", show=False, id="frames.comet",
                tooltip="Mark a comet in an early and a late frame, then t"),
        Binding("y", "where", "Path", id="frames.where", tooltip="Where the file is; also to the clipboard"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.metric = 0
        self.frames = SessionFrames()
        self.facts: SessionFacts | None = None
        self._blinking: Timer | None = None
        self._shown: int | None = None  # the session whose frames these are
        self._unwritten: list[tuple[str, AstrotuiError]] = []  # decisions that could not be written
        self._comet: dict[int, CometPlace] = {}  # by frame, the last one marked last

    def body(self) -> ComposeResult:
        with Container(id="frames-place", classes="place"):
            with Container(id="left"):
                empty = "no session is chosen: go to one in Library (1) and press enter"
                yield RowTable(COLUMNS, key=lambda f: f.id, empty=empty, id="frames")
                yield Words(id="worth")
            with Container(id="right"):
                yield Picture(id="picture")
                yield Trend(id="trend")
                yield Words(id="file")

    def made(self) -> None:
        self.table.sort_by("score", True)
        self.table.focus()

    @property
    def table(self) -> "RowTable[FrameRecord]":
        """The table of frames."""
        return self.query_one("#frames", RowTable)

    async def load(self) -> None:
        session = self.astro.session_id
        if session is None:
            self.table.set_rows([])
            return
        if self.frames.busy and session == self._shown:
            return  # what is read now would be older than what is shown; the last write reads again
        writes = self.frames.writes
        everything, shown, facts = await self.read(choosing.read_session, session, self.query_text)
        if writes != self.frames.writes or session != self.astro.session_id:
            return  # keys were pressed meanwhile, and what they wrote will be read in its turn
        self.facts, self._shown = facts, session
        fresh = self.frames.unmeasured and self.table.cursor == 0
        changed = self.frames.take(everything)
        self.table.set_rows(shown)
        if fresh and not self.frames.unmeasured:
            self.table.action_jump(0)  # nobody went anywhere yet: show the best, now that it is known
        self.table.empty = (
            f"no frame matches {self.query_text!r}: esc takes the filter away"
            if self.query_text
            else "this session has no lights"
        )
        name = clean(facts.name, 60)
        # What matters most comes first: of the rest a narrow terminal shows less.
        found = f"{len(shown)} of {len(everything):,} · {self.query_text}"
        self.note(f"{found} · {name}" if self.query_text else name)
        if changed or self.frames.unmeasured:
            self._tell()

    # --- what is shown beside the table ------------------------------------------------------------------------

    def _tell(self) -> None:
        """The worth of the choice and the trend, after every change."""
        room = self.size.width - 2 if self.has_class("-narrow") else self.size.width - 68
        self.query_one("#worth", Words).update(choosing.worth_line(self.frames.records, room))
        self._draw_trend()

    def _draw_trend(self) -> None:
        metric = METRICS[self.metric]
        by_time = self.frames.by_time()
        self.query_one("#trend", Trend).show(
            metric,
            [getattr(f, metric.attribute) for f in by_time],
            [f.status not in ("undecided", "accepted") for f in by_time],
            self.frames.place_of(self.table.row),
            "" if not self.frames.unmeasured else self._measuring(),
        )

    def _measuring(self) -> str:
        return working(self.astro.live, "measure", "stack") or "nothing measured yet: m measures"

    @on(RowTable.Moved, "#frames")
    def _moved(self, event: RowTable.Moved) -> None:
        if self._blinking is not None:
            self._blinking.stop()
            self._blinking = None
        self.query_one("#trend", Trend).mark(self.frames.place_of(event.row))
        self._show(event.row)

    @on(Trend.Picked)
    def _picked(self, event: Trend.Picked) -> None:
        self.table.go_to(self.frames.by_time()[event.place].id)

    def _show(self, frame: "FrameRecord | None") -> None:
        """The picture and name of a frame."""
        request = None
        if frame is not None:
            request = frame_picture(frame, self.frames.sample, self.facts, self.table.around())
        self.query_one("#picture", Picture).show(request, text="no picture")
        self.query_one("#file", Words).update(self._about(frame))

    def _about(self, frame: "FrameRecord | None") -> str:
        if frame is None:
            return ""
        return choosing.file_line(frame) if self.has_class("-narrow") else choosing.details(frame)

    # --- deciding ------------------------------------------------------------------------------------------------

    def action_toggle_frame(self) -> None:
        frame = self.table.row
        if frame is not None:
            self._decide(frame, "undecided" if frame.status == "rejected" else "rejected")

    def action_decide(self, verdict: choosing.ByHand) -> None:
        frame = self.table.row
        if frame is not None and self._decide(frame, verdict):
            self.table.action_move(1)

    def _decide(self, frame: "FrameRecord", verdict: choosing.ByHand) -> bool:
        if frame.status in ("missing", "quarantined"):
            self.notify(f"this frame is {frame.status}", severity="warning")
            return False
        # Shown at once; the write is queued at the key press, so that nothing can overtake or lose it.
        changed = self.frames.decide(frame, verdict)
        self.table.replace_row(changed)
        self._show(changed)
        self._tell()
        writing = self.astro.store.write(choosing.decide_one, frame.id, choosing.short_name(frame), verdict)

        async def work() -> None:
            try:
                await writing
            except AstrotuiError as error:
                self._unwritten.append((f"{choosing.short_name(frame)} {verdict}", error))
            finally:
                self.frames.written()
            await self._settle()

        start(self, work, group="decide")
        return True

    async def _settle(self) -> None:
        """With the last write that was under way, show what the catalogue has, and name what it could not be given."""
        if self.frames.busy:
            return
        lost, self._unwritten = self._unwritten, []
        if lost:
            names = ", ".join(name for name, _ in lost[:4])
            more = f" and {len(lost) - 4} more" if len(lost) > 4 else ""
            error = AstrotuiError(f"{names}{more}: {lost[-1][1]}")
            # The keys that are pressed now are about the next frames.
            self.astro.complain(error, "Not in the catalogue", unasked=True)
        await self.load()

    def action_undo(self) -> None:
        self._travel(choosing.undo_one, "undone")

    def action_redo(self) -> None:
        self._travel(choosing.redo_one, "done again")

    def _travel(self, function: choosing.Travel, word: str) -> None:
        self.frames.begin()
        writing = self.astro.store.write(function)

        async def work() -> None:
            try:
                step = await writing
            except AstrotuiError:
                start(self, self._settle, group="decide")
                raise
            finally:
                self.frames.written()
            await self._settle()
            here = step.session == self.astro.session_id
            if here and step.frame is not None:
                self.table.go_to(step.frame)
            where = "" if here else f" in {clean(step.session_name, 60)}"
            self.notify(f"{word}: {step.words}{where}", markup=False, timeout=3 if here else 6)

        start(self, work, group="decide")

    def action_cull(self) -> None:
        if self.astro.session_id is not None:
            self.app.push_screen(CullScreen(self.astro.session_id), lambda _: self.action_reload())

    # --- the rest ------------------------------------------------------------------------------------------------

    def action_metric(self) -> None:
        self.metric = (self.metric + 1) % len(METRICS)
        self._draw_trend()

    def action_blink(self) -> None:
        """Change between this frame and the best one until b is pressed again or the cursor moves."""
        if self._blinking is not None:
            self._blinking.stop()
            self._blinking = None
            self._show(self.table.row)
            return
        frame, best = self.table.row, self.frames.best()
        if frame is not None and self.frames.unmeasured:
            self.notify("blinking needs scores, to know the best frame: m measures the session")
            return
        if best is None or frame is None or best.id == frame.id:
            self.notify("this is the best frame; blink another one against it")
            return
        turns = cycle((best, frame))
        self._show(next(turns))
        self._blinking = self.set_interval(0.8, lambda: self._show(next(turns)))

    def action_where(self) -> None:
        if (frame := self.table.row) is not None:
            self.app.push_screen(
                WhereScreen(
                    "This frame", {"file": frame.path}, frame_picture(frame, self.frames.sample, self.facts)
                )
            )

    def action_edit(self) -> None:
        if (frame := self.table.row) is not None:
            self.edit("frames", f"Edit {choosing.short_name(frame)}", [frame])

    def action_measure(self) -> None:
        self.astro.queue_measure()

    def action_comet(self) -> None:
        """Mark where a comet is in this frame; two marked frames tell its way."""
        frame = self.table.row
        request = None if frame is None else frame_picture(frame, self.frames.sample, self.facts)
        if frame is None or request is None:
            return

        def marked(place: CometPlace | None) -> None:
            if place is None:
                return
            others = [known for known in self._marks() if known[2] != place[2]][-1:]
            self._comet = {known[2]: known for known in (*others, place)}
            said = (
                "t stacks on it" if others else "mark it in another frame too, long before or after this one"
            )
            self.notify(f"the comet is marked in {plural(len(self._comet), 'frame')}: {said}", timeout=5)

        self.app.push_screen(CometScreen(frame, request, self._comet.get(frame.id)), marked)

    def _marks(self) -> "list[CometPlace]":
        """Marks in frames of this session."""
        here = {frame.id for frame in self.frames.records}
        return [place for number, place in self._comet.items() if number in here]

    def action_stack(self) -> None:
        frame = self.table.row
        marks = self._marks()
        self.astro.open_stack_form(
            reference=frame.id if frame is not None else None,
            comet=tuple(marks) if len(marks) == 2 else (),
            names={frame.id: choosing.short_name(frame) for frame in self.frames.records},
        )

    def action_back(self) -> None:
        if self._blinking is not None:
            self.action_blink()
        else:
            super().action_back()
