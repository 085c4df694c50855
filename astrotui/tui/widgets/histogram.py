"""Levels of a picture as small bars, one color over the other."""

from collections.abc import Sequence
from math import log1p

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from astrotui.tui.widgets.lines import DrawsLines

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_COLORS = ("#c0504f", "#4f9a58", "#5078c8")


class Histogram(DrawsLines, Widget):
    """Counts by level, as logarithms; the tallest channel of a cell gives its color."""

    DEFAULT_CSS = """
    Histogram { height: 3; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.channels: Sequence[Sequence[int]] = ()

    def show(self, channels: Sequence[Sequence[int]]) -> None:
        """Draw one histogram a channel (one channel is gray)."""
        self.channels = channels
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size.width, self.size.height
        style = self.rich_style
        if not self.channels or width < 1:
            return Strip.blank(width, style)
        bins = len(self.channels[0])
        tops = [[0.0] * width for _ in self.channels]
        for number, channel in enumerate(self.channels):
            for cell in range(width):
                first = cell * bins // width
                last = max((cell + 1) * bins // width, first + 1)
                tops[number][cell] = log1p(max(channel[first:last], default=0))
        most = max(max(row) for row in tops) or 1.0
        base = (height - 1 - y) * 8
        segments = []
        for cell in range(width):
            heights = [row[cell] / most * height * 8 for row in tops]
            tallest = max(range(len(heights)), key=heights.__getitem__)
            block = _EIGHTHS[max(0, min(8, round(heights[tallest]) - base))]
            color = _COLORS[tallest] if len(heights) == 3 else "#909090"
            segments.append(Segment(block, style + Style(color=color)))
        return Strip(segments, width).simplify()
