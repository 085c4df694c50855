"""A picture with a cross that is moved to a place in it."""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from astrotui.tui.widgets.picture import Picture

if TYPE_CHECKING:
    from astrotui.rendering.service import ViewRequest

_ZOOMS = (1.0, 2.0, 4.0, 8.0, 16.0)
# Arms of the cross by their distance from the place, which itself stays free to be seen.
_ARMS = {
    (-3, 0): "─",
    (-2, 0): "─",
    (2, 0): "─",
    (3, 0): "─",
    (0, -2): "│",
    (0, -1): "│",
    (0, 1): "│",
    (0, 2): "│",
}


class Pointer(Picture, can_focus=True):
    """Arrows move the cross by one cell, with shift by ten; a click puts it there.

    Attributes
    ----------
    place : x and y in pixels of the picture as it is shown, middles of pixels at whole numbers; None until it is there

    Parameters
    ----------
    file : width and height of the file in pixels, 0 where unknown
    known : where the cross begins, in pixels of the file; None for the middle
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"pointer--cross"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1,0)", "Left", show=False, id="pointer.left"),
        Binding("right,l", "step(1,0)", "Right", show=False, id="pointer.right"),
        Binding("up,k", "step(0,-1)", "Up", show=False, id="pointer.up"),
        Binding("down,j", "step(0,1)", "Down", show=False, id="pointer.down"),
        Binding("shift+left,H", "step(-10,0)", "Far left", show=False, id="pointer.far_left"),
        Binding("shift+right,L", "step(10,0)", "Far right", show=False, id="pointer.far_right"),
        Binding("shift+up,K", "step(0,-10)", "Far up", show=False, id="pointer.far_up"),
        Binding("shift+down,J", "step(0,10)", "Far down", show=False, id="pointer.far_down"),
        Binding("z", "zoom(1)", "Zoom in", show=False, id="pointer.in"),
        Binding("Z", "zoom(-1)", "Zoom out", show=False, id="pointer.out"),
    ]

    class Pointed(Message):
        """The cross is somewhere else."""

        def __init__(self, pointer: "Pointer") -> None:
            super().__init__()
            self.pointer = pointer

    def __init__(
        self,
        asked: "ViewRequest",
        file: tuple[int, int],
        known: tuple[float, float] | None,
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.asked = asked
        self.place: tuple[float, float] | None = None
        self._known = known
        self._file = file
        self._zoom = 0

    def on_mount(self) -> None:
        self.show(self.asked, now=True)

    @on(Picture.Shown)
    def _arrived(self) -> None:
        if self.place is None and self.view is not None:
            width, height = self.view.width, self.view.height
            self.place = (
                ((width - 1) / 2, (height - 1) / 2) if self._known is None else self._shown_place(self._known)
            )
            self.refresh()
        self.post_message(self.Pointed(self))

    @property
    def stored(self) -> tuple[float, float] | None:
        """The place in pixels of the file; those of a color mosaic are shown as one for two by two."""
        if self.place is None:
            return None
        (x, y), (across, down) = self._turned(self.place), self._finer()
        return (x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5

    def _shown_place(self, stored: tuple[float, float]) -> tuple[float, float]:
        """Where a pixel of the file is shown."""
        across, down = self._finer()
        return self._turned(((stored[0] + 0.5) / across - 0.5, (stored[1] + 0.5) / down - 0.5))

    def _finer(self) -> tuple[float, float]:
        """Pixels of the file to one of what is shown."""
        assert self.view is not None
        return (self._file[0] or self.view.width) / self.view.width, (
            self._file[1] or self.view.height
        ) / self.view.height

    def _turned(self, place: tuple[float, float]) -> tuple[float, float]:
        """With rows counted from the other end, where the file's begin with the lowest one."""
        assert self.view is not None
        x, y = place
        return x, self.view.height - 1 - y if self.view.bottom_up else y

    def _steps(self) -> tuple[float, float]:
        """Pixels to a column, and to half a line."""
        assert self.view is not None
        _, _, wide, high = self.view.window
        return wide / self.view.cells.columns, high / (2 * self.view.cells.rows)

    def action_step(self, columns: int, halves: int) -> None:
        if self.place is not None and self.view is not None:
            across, down = self._steps()
            self._go(self.place[0] + columns * across, self.place[1] + halves * down)

    def _go(self, x: float, y: float) -> None:
        assert self.view is not None
        width, height = self.view.width, self.view.height
        self.place = (min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0))
        left, top, wide, high = self.view.window
        if not (left <= self.place[0] + 0.5 < left + wide and top <= self.place[1] + 0.5 < top + high):
            self._look()
        self.refresh()
        self.post_message(self.Pointed(self))

    def action_zoom(self, step: int) -> None:
        self._zoom = max(0, min(self._zoom + step, len(_ZOOMS) - 1))
        self._look()

    def _look(self) -> None:
        """Show what is around the cross."""
        if self.place is not None and self.view is not None:
            x, y = (self.place[0] + 0.5) / self.view.width, (self.place[1] + 0.5) / self.view.height
            self.show(replace(self.asked, zoom=_ZOOMS[self._zoom], center_x=x, center_y=y))

    def on_click(self, event: events.Click) -> None:
        if self.view is not None:
            left, top, _, _ = self.view.window
            across, down = self._steps()
            column, line = event.x - self._corner()[0], event.y - self._corner()[1]
            if 0 <= column < self.view.cells.columns and 0 <= line < self.view.cells.rows:
                self._go(left + (column + 0.5) * across - 0.5, top + (2 * line + 1) * down - 0.5)

    def _corner(self) -> tuple[int, int]:
        """Where the picture begins in its room."""
        assert self.view is not None
        cells = self.view.cells
        return max(0, (self.size.width - cells.columns) // 2), max(0, (self.size.height - cells.rows) // 2)

    def _cell(self) -> tuple[int, int] | None:
        """The cell of the cross in the room of the picture; None as long as it is outside of what is shown."""
        if self.place is None or self.view is None:
            return None
        left, top, _, _ = self.view.window
        across, down = self._steps()
        column = int((self.place[0] + 0.5 - left) / across)
        half = int((self.place[1] + 0.5 - top) / down)
        corner = self._corner()
        return corner[0] + column, corner[1] + half // 2

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        cell = self._cell()
        if cell is None:
            return strip
        color = self.get_component_rich_style("pointer--cross").color
        for (across, down), arm in sorted(_ARMS.items()):
            column = cell[0] + across
            if cell[1] + down == y and 0 <= column < strip.cell_length:
                under = next(iter(strip.crop(column, column + 1)), None)
                ground = under.style.bgcolor if under is not None and under.style is not None else None
                mark = Strip([Segment(arm, Style(color=color, bgcolor=ground, bold=True))], 1)
                strip = Strip.join([strip.crop(0, column), mark, strip.crop(column + 1)])
        return strip
