"""A metric over a session as a small chart, with the cursor's frame marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from astrotui.tui.widgets.lines import DrawsLines

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_WIDEST = 3


@dataclass(frozen=True)
class Metric:
    """What a trend shows.

    Attributes
    ----------
    name : with its unit
    attribute : of a frame's record
    low_is_bad : of frames that share a cell the worst one is shown
    from_zero : bars begin at zero; else under the smallest value, so that small changes show
    """

    name: str
    attribute: str
    low_is_bad: bool
    from_zero: bool


METRICS = (
    Metric("score", "score", True, True),
    Metric("FWHM px", "fwhm_px", False, False),
    Metric("stars", "stars", True, True),
    Metric("transparency", "transparency", True, True),
    Metric("background ADU", "background_adu", False, False),
    Metric("noise ADU", "noise_adu", False, False),
    Metric("eccentricity", "eccentricity", False, True),
)


class Trend(DrawsLines, Widget):
    """Bars of one metric in the order of the frames; several frames share a cell when there are many."""

    DEFAULT_CSS = """
    Trend { height: 4; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"trend--bar", "trend--out", "trend--here"}

    class Picked(Message):
        """A frame was clicked; `place` is its number in the order of time."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.metric = METRICS[0]
        self.values: Sequence[float | None] = ()
        self.out: Sequence[bool] = ()
        self.marked: int | None = None
        self._low, self._high = 0.0, 1.0
        self._span = ""
        self._unknown = ""
        self._drawn: tuple[int, int] | None = None
        self._heights: list[tuple[str, int]] = []

    def show(
        self,
        metric: Metric,
        values: Sequence[float | None],
        out: Sequence[bool],
        marked: int | None,
        unknown: str = "",
    ) -> None:
        """Draw `values`; frames where `out` is true are not in the choice; `marked` is the cursor's place.

        `unknown` is said when there is no value.
        """
        self._drawn = None
        if (
            unknown == self._unknown
            and metric is self.metric
            and values == self.values
            and len(out) == len(self.out)
        ):
            changed = [
                place for place, (old, new) in enumerate(zip(self.out, out, strict=True)) if old != new
            ]
            self.out = out
            self._refresh_places(changed)
            self.mark(marked)
            return
        self.metric, self.values, self.out, self.marked = metric, values, out, marked
        known = [v for v in values if v is not None]
        self._span = self._unknown = unknown
        if known:
            low, high = min(known), max(known)
            self._span = f"{low:.4g} to {high:.4g}"
            self._low = min(0.0, low) if metric.from_zero else low - 0.15 * (high - low)
            self._high = high if high > self._low else self._low + 1
        self.refresh()

    def mark(self, place: int | None) -> None:
        """Move the mark."""
        if place != self.marked:
            before, self.marked, self._drawn = self.marked, place, None
            self.refresh(Region(0, 0, self.size.width, 1))
            self._refresh_places([p for p in (before, place) if p is not None])

    def _refresh_places(self, places: Sequence[int]) -> None:
        """Send only the cells of these frames over the wire."""
        count, (cells, wide) = len(self.values), self._bars()
        for place in places:
            cell = min(place * cells // count, cells - 1)
            self.refresh(Region(max(cell - 1, 0) * wide, 1, 3 * wide, self.size.height - 1))

    def _bars(self) -> tuple[int, int]:
        """How many bars there are, and how many cells wide each is: few frames get wide ones."""
        width, count = self.size.width, max(len(self.values), 1)
        return min(width, count), max(1, min(_WIDEST, width // count))

    def on_click(self, event: events.Click) -> None:
        cells, wide = self._bars()
        if self.values and 0 <= event.x < cells * wide:
            self.post_message(self.Picked(event.x // wide * len(self.values) // cells))

    def render_line(self, y: int) -> Strip:
        width, rows = self.size.width, self.size.height - 1
        style = self.rich_style
        if y == 0:
            return Strip([Segment(self._heading()[:width], style)]).adjust_cell_length(width, style)
        if rows < 1 or not self.values:
            return Strip.blank(width, style)
        bottom = (rows - y) * 8
        wide = self._bars()[1]
        segments: list[Segment] = []
        for name, bars in groupby(self._levels(rows), key=itemgetter(0)):
            text = "".join(_EIGHTHS[max(0, min(8, level - bottom))] * wide for _, level in bars)
            if name == "trend--here" and y == rows and not text.strip():
                text = "▁" * len(text)
            color = self.get_component_rich_style(name).color
            segments.append(Segment(text, style + Style(color=color)))
        return Strip(segments).adjust_cell_length(width, style)

    def _levels(self, rows: int) -> list[tuple[str, int]]:
        """Of each bar the style and the height in eighths of a line, worked out once for all lines."""
        count, cells = len(self.values), self._bars()[0]
        if self._drawn != (rows, cells):
            self._drawn, self._heights = (rows, cells), []
            for cell in range(cells):
                first = cell * count // cells
                last = max((cell + 1) * count // cells, first + 1)
                here = self.marked is not None and first <= self.marked < last
                name = "trend--here" if here else "trend--out" if all(self.out[first:last]) else "trend--bar"
                self._heights.append((name, self._level(self.values[first:last], rows)))
        return self._heights

    def _level(self, values: Sequence[float | None], rows: int) -> int:
        known = [v for v in values if v is not None]
        if not known:
            return 0
        value = min(known) if self.metric.low_is_bad else max(known)
        return max(1, round((value - self._low) / (self._high - self._low) * rows * 8))

    def _heading(self) -> str:
        if self._span == self._unknown:
            return self._unknown
        value = (
            self.values[self.marked] if self.marked is not None and self.marked < len(self.values) else None
        )
        return f"{self.metric.name} {self._span}" + (f", here {value:.4g}" if value is not None else "")
