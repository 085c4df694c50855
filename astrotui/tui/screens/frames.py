"""Frames: every light of a session with score and status, its picture, a trend, and what the choice is worth."""

from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.timer import Timer
from textual.widgets import Static

from astrotui.text import clean
from astrotui.tui.pictures import frame_picture
from astrotui.tui.place import Place
from astrotui.tui.widgets.picture import Picture
from astrotui.tui.widgets.table import Column, RowTable
from astrotui.tui.widgets.trend import Trend

if TYPE_CHECKING:
    from astrotui.library.choose import Choice, Verdict
    from astrotui.library.listing import FrameRecord

_MARKS = {
    "undecided": ("·", ""),
    "accepted": ("✓", "green"),
    "rejected": ("✗", "red"),
    "missing": ("?", "yellow"),
    "quarantined": ("!", "yellow"),
}
# Metrics of the trend: name, attribute.
_METRICS = (
    ("score", "score"),
    ("FWHM px", "fwhm_px"),
    ("stars", "stars"),
    ("transparency", "transparency"),
    ("background ADU", "background_adu"),
    ("noise ADU", "noise_adu"),
    ("eccentricity", "eccentricity"),
)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _mark(frame: "FrameRecord") -> Text:
    sign, style = _MARKS[frame.status]
    return Text(sign, style=style)


def _why(frame: "FrameRecord") -> str:
    return ", ".join(frame.reasons)


COLUMNS: list[Column["FrameRecord"]] = [
    Column("status", " ", 1, _mark, lambda f: f.status),
    Column("score", "Score", 5, lambda f: _number(f.score, 0), lambda f: f.score, "right", True),
    Column(
        "seq",
        "Frame",
        7,
        lambda f: str(f.sequence if f.sequence is not None else f.id),
        lambda f: (f.date is None, f.date, f.id),
        "right",
    ),
    Column("fwhm", "FWHM", 5, lambda f: _number(f.fwhm_px, 2), lambda f: f.fwhm_px, "right"),
    Column("ecc", "Ecc", 4, lambda f: _number(f.eccentricity, 2), lambda f: f.eccentricity, "right"),
    Column(
        "stars",
        "Stars",
        5,
        lambda f: "–" if f.stars is None else str(f.stars),
        lambda f: f.stars,
        "right",
        True,
    ),
    Column(
        "clear", "Clear", 5, lambda f: _number(f.transparency, 2), lambda f: f.transparency, "right", True
    ),
    Column("sky", "Sky", 6, lambda f: _number(f.background_adu, 0), lambda f: f.background_adu, "right"),
    Column("noise", "Noise", 6, lambda f: _number(f.noise_adu, 1), lambda f: f.noise_adu, "right"),
    Column("why", "Why", 12, _why, _why),
]


class FramesPlace(Place):
    """The lights of one session."""

    PLACE = "frames"
    FILTER_SCOPE = "frames"
    CSS_PATH = "frames.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_frame", "Toggle", id="frames.toggle"),
        Binding("x", "decide('rejected')", "Reject", id="frames.reject"),
        Binding("a", "decide('accepted')", "Accept", id="frames.accept"),
        Binding("c", "cull", "Cull", id="frames.cull"),
        Binding("u", "undo", "Undo", id="frames.undo"),
        Binding("ctrl+r", "redo", "Redo", show=False, id="frames.redo"),
        Binding("b", "blink", "Blink", id="frames.blink"),
        Binding("m", "measure", "Measure", id="frames.measure"),
        Binding("v", "metric", "Other trend", show=False, id="frames.metric"),
        Binding("t", "stack", "Stack", id="frames.stack"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.metric = 0
        self.everything: list[FrameRecord] = []
        self.by_time: list[FrameRecord] = []
        self._blinking: Timer | None = None

    def body(self) -> ComposeResult:
        with Container(id="frames-place"):
            with Container(id="left"):
                yield RowTable(
                    COLUMNS,
                    key=lambda f: f.id,
                    empty="no frames: choose a session in Library (1)",
                    id="frames",
                )
                yield Static(id="worth", markup=False)
            with Container(id="right"):
                yield Picture(id="picture")
                yield Trend(id="trend")
                yield Static(id="file", markup=False)

    def on_mount(self) -> None:
        table = self.query_one("#frames", RowTable)
        table.sort_by("score", True)
        table.focus()

    async def load(self) -> None:
        session = self.astro.session_id
        if session is None:
            self.query_one("#frames", RowTable).set_rows([])
            return
        self.everything, shown, name = await self.read(_frames, session, self.query_text)
        self.query_one("#frames", RowTable).set_rows(shown)
        self.astro.note(f"{clean(name, 30)}" + (f" · {self.query_text}" if self.query_text else ""))
        self._tell()

    # --- what is shown beside the table ------------------------------------------------------------------------

    def _tell(self) -> None:
        """The worth of the choice and the trend, after every change."""
        from astrotui.library.worth import worth

        self.query_one("#worth", Static).update(worth(self.everything).sentence())
        self.by_time = sorted(self.everything, key=lambda f: (f.date is None, f.date, f.id))
        self._draw_trend()

    def _draw_trend(self) -> None:
        name, attribute = _METRICS[self.metric]
        row = self.query_one("#frames", RowTable).row
        self.query_one("#trend", Trend).show(
            name,
            [getattr(f, attribute) for f in self.by_time],
            [f.status not in ("undecided", "accepted") for f in self.by_time],
            next((i for i, f in enumerate(self.by_time) if row is not None and f.id == row.id), None),
        )

    @on(RowTable.Moved, "#frames")
    def _moved(self, event: RowTable.Moved) -> None:
        if self._blinking is not None:
            self._blinking.stop()
            self._blinking = None
        self._draw_trend()
        self._show(event.row)

    # --- deciding ------------------------------------------------------------------------------------------------

    def _frame(self) -> Any:
        return self.query_one("#frames", RowTable).row

    def action_toggle_frame(self) -> None:
        frame = self._frame()
        if frame is not None:
            self._decide(frame, "undecided" if frame.status == "rejected" else "rejected")

    def action_decide(self, verdict: str) -> None:
        frame = self._frame()
        if frame is not None:
            self._decide(frame, verdict)
            self.query_one("#frames", RowTable).action_move(1)

    def _decide(self, frame: "FrameRecord", verdict: str) -> None:
        if frame.status in ("missing", "quarantined"):
            self.notify(f"this frame is {frame.status}", severity="warning")
            return
        # Shown at once; the catalogue follows in the order of the keys, and what it says is read again.
        changed = replace(frame, status=verdict, reasons=("by hand",))
        self.query_one("#frames", RowTable).replace_row(changed)
        self.everything = [changed if f.id == frame.id else f for f in self.everything]
        self._tell()
        self.change(_decide_one, frame.id, verdict)

    def action_undo(self) -> None:
        self.change(_undo, then=lambda choice: self.notify(f"undone: {choice}"))

    def action_redo(self) -> None:
        self.change(_redo, then=lambda choice: self.notify(f"redone: {choice}"))

    def action_cull(self) -> None:
        from astrotui.tui.screens.cull import CullScreen

        if self.astro.session_id is not None:
            self.app.push_screen(CullScreen(self.astro.session_id), lambda _: self.action_reload())

    # --- the rest ------------------------------------------------------------------------------------------------

    def action_metric(self) -> None:
        self.metric = (self.metric + 1) % len(_METRICS)
        self._draw_trend()

    def action_blink(self) -> None:
        """Change between this frame and the best one until b is pressed again or the cursor moves."""
        if self._blinking is not None:
            self._stop_blinking()
            return
        best = max(self.everything, key=lambda f: f.score or 0.0, default=None)
        frame = self._frame()
        if best is None or frame is None or best.id == frame.id:
            self.notify("this is the best frame; blink another one against it")
            return
        turns = cycle((best, frame))
        self._show(next(turns))
        self._blinking = self.set_interval(0.8, lambda: self._show(next(turns)))

    def _stop_blinking(self) -> None:
        if self._blinking is not None:
            self._blinking.stop()
            self._blinking = None
            self._show(self._frame())

    def _show(self, frame: "FrameRecord | None") -> None:
        """The picture and name of a frame."""
        self.query_one("#picture", Picture).show(
            frame_picture(frame, self.everything) if frame is not None else None, text="no picture"
        )
        reasons = f"  {', '.join(frame.reasons)}" if frame is not None and frame.reasons else ""
        words = f"{Path(frame.path).name}  {frame.status}{reasons}" if frame is not None else ""
        self.query_one("#file", Static).update(clean(words, 300))

    def action_measure(self) -> None:
        self.astro.queue_measure()

    def action_stack(self) -> None:
        self.astro.open_stack_form()


def _frames(catalog: Any, session_id: int, query: str) -> "tuple[list[FrameRecord], list[FrameRecord], str]":
    from astrotui.library.listing import list_frames, list_sessions

    everything = list_frames(catalog, [session_id])
    shown = list_frames(catalog, [session_id], query) if query else everything
    (session,) = list_sessions(catalog, f"id:{session_id}")
    return everything, shown, f"{session.target or '(no target)'} {session.night or ''}"


def _decide_one(catalog: Any, frame_id: int, verdict: "Verdict") -> "Choice":
    from astrotui.library.choose import decide

    return decide(
        catalog, [frame_id], verdict, reasons={frame_id: ["by hand"]}, description=f"{verdict} by hand"
    )


def _undo(catalog: Any) -> str:
    from astrotui.library.choose import undo

    return undo(catalog)[0].description


def _redo(catalog: Any) -> str:
    from astrotui.library.choose import redo

    return redo(catalog)[0].description
