"""A metric over a session as a small chart, with the cursor's frame marked."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

_EIGHTHS = " ▁▂▃▄▅▆▇█"


class Trend(Widget):
    """Bars of one metric in the order of the frames; several frames share a cell when there are many.

    A cell shows the worst of its frames where larger is worse, so that no bad frame hides.
    """

    DEFAULT_CSS = """
    Trend { height: 4; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = ""
        self.values: Sequence[float | None] = ()
        self.dim: Sequence[bool] = ()
        self.marked: int | None = None

    def show(
        self, title: str, values: Sequence[float | None], dim: Sequence[bool], marked: int | None
    ) -> None:
        """Draw `values`; frames where `dim` is true are out of the choice; `marked` is the cursor's place."""
        self.title, self.values, self.dim, self.marked = title, values, dim, marked
        self.refresh()

    def mark(self, place: int | None) -> None:
        """Move the mark."""
        if place != self.marked:
            self.marked = place
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size.width, self.size.height
        style = self.rich_style
        known = [v for v in self.values if v is not None]
        if y == 0:
            span = f"  {min(known):.4g} to {max(known):.4g}" if known else "  nothing measured yet"
            here = (
                self.values[self.marked]
                if self.marked is not None and self.marked < len(self.values)
                else None
            )
            now = f", here {here:.4g}" if here is not None else ""
            return Strip([Segment(f" {self.title}{span}{now}", style)]).adjust_cell_length(width, style)
        rows = height - 1
        if not known or rows < 1 or width < 1:
            return Strip.blank(width, style)
        low, high = min(0.0, *known), max(known)
        scale = (high - low) or 1.0
        count = len(self.values)
        cells = min(width, count)
        segments = []
        for cell in range(cells):
            first, last = cell * count // cells, max((cell + 1) * count // cells, cell * count // cells + 1)
            inside = [v for v in self.values[first:last] if v is not None]
            marked = self.marked is not None and first <= self.marked < last
            level = (max(inside) - low) / scale * rows * 8 if inside else 0.0
            bottom = (rows - y) * 8
            block = _EIGHTHS[max(0, min(8, round(level) - bottom))]
            if inside and y == rows and block == " ":
                block = _EIGHTHS[1]
            dim = all(self.dim[first:last]) if self.dim else False
            segments.append(Segment(block, style + _style(marked, dim)))
        return Strip(segments).adjust_cell_length(width, style)


def _style(marked: bool, dim: bool) -> Style:
    if marked:
        return Style(color="yellow", bold=True, reverse=False)
    return Style(color="bright_black") if dim else Style(color="cyan")
