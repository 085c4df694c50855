"""A picture in half blocks, made by the picture helper and asked for only when the cursor rests."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from astrotui.errors import AstrotuiError
from astrotui.rendering.cells import CellPicture
from astrotui.rendering.service import SupersededError, View, ViewRequest
from astrotui.text import clean
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.tui.app import AstroApp

DEBOUNCE_S = 0.08  # a cursor that runs through a table asks for one picture, not for all


class Picture(Widget):
    """Shows what a `ViewRequest` asks for in the room there is; the old picture stays until the new one is there."""

    DEFAULT_CSS = """
    Picture { height: 1fr; background: $background; color: $text-muted; }
    """

    class Shown(Message):
        """A picture arrived."""

        def __init__(self, picture: "Picture", view: View) -> None:
            super().__init__()
            self.picture = picture
            self.view = view

        @property
        def control(self) -> "Picture":
            return self.picture

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.request: ViewRequest | None = None
        self.view: View | None = None
        self.text = ""
        self._timer: Timer | None = None
        self._strips: list[Strip] = []

    def show(self, request: ViewRequest | None, *, text: str = "", now: bool = False) -> None:
        """Ask for a picture; None clears it and shows `text` instead."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self.text = text
        if request is None:
            self.request = self.view = None
            self._strips = []
            self.refresh()
            return
        if request == self.request and self.view is not None:
            return
        self.request = request
        if self.view is None:
            self.text = text or "…"
            self.refresh()
        if now:
            self._ask()
        else:
            self._timer = self.set_timer(DEBOUNCE_S, self._ask)

    def on_resize(self, event: events.Resize) -> None:
        if self.request is not None:
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(DEBOUNCE_S, self._ask)

    def _ask(self) -> None:
        if self.request is None or self.size.width < 2 or self.size.height < 2:
            return
        start(self, partial(self._fetch, self.request), group=f"picture-{self.id}", exclusive=True)

    async def _fetch(self, wanted: ViewRequest) -> None:
        app = cast("AstroApp", self.app)
        slot = f"{self.screen.id or type(self.screen).__name__}.{self.id}"
        request = replace(wanted, columns=self.size.width, rows=self.size.height)
        try:
            view = await app.pictures.view(request, slot=slot, priority=1)
        except SupersededError:
            return  # a newer request is on its way
        except AstrotuiError as error:
            if self.request is wanted:
                self.view, self._strips, self.text = None, [], clean(error, 200)
                self.refresh()
            return
        if self.request is wanted:
            self.view = view
            self._strips = _strips(view.cells)
            self.text = ""
            self.refresh()
            self.post_message(self.Shown(self, view))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        style = self.rich_style
        top = max(0, (self.size.height - len(self._strips)) // 2)
        if 0 <= y - top < len(self._strips):
            strip = self._strips[y - top]
            left = max(0, (width - strip.cell_length) // 2)
            return Strip([Segment(" " * left, style), *strip]).adjust_cell_length(width, style)
        text = self.text if not self._strips and y == self.size.height // 2 else ""
        return Strip([Segment(text[:width].center(width), style)]).adjust_cell_length(width, style)


def _strips(cells: CellPicture) -> list[Strip]:
    """The picture's rows as strips, each made once."""
    rows = []
    for row in range(cells.rows):
        segments = [
            Segment(run.text, Style(color=Color.from_rgb(*run.upper), bgcolor=Color.from_rgb(*run.lower)))
            for run in cells.runs(row)
        ]
        rows.append(Strip(segments, cells.columns))
    return rows
