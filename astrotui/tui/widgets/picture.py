"""A picture in half blocks, made by the picture helper and asked for only when the cursor rests."""

from dataclasses import replace
from functools import partial
from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar, cast

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from astrotui.errors import AstrotuiError
from astrotui.text import clean
from astrotui.tui.widgets.lines import DrawsLines
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.rendering.cells import RGB, CellPicture
    from astrotui.rendering.service import View, ViewRequest
    from astrotui.tui.host import Host

DEBOUNCE_S = 0.08  # a cursor that runs through a table asks for one picture, not for all


class Picture(DrawsLines, Widget):
    """Shows what a `ViewRequest` asks for in the room there is; the old picture stays until the new one is there."""

    DEFAULT_CSS = """
    Picture { height: 1fr; background: $background; color: $text-muted; }
    """

    class Shown(Message):
        """A picture arrived."""

        def __init__(self, picture: "Picture", view: "View") -> None:
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
        self.shown: ViewRequest | None = None  # what the picture on screen was asked for with
        self.text = ""
        self._timer: Timer | None = None
        self._put_off = False
        self._strips: list[Strip] = []

    def show(self, request: "ViewRequest | None", *, text: str = "", now: bool = False) -> None:
        """Ask for a picture; None clears it and shows `text` instead."""
        again = request is not None and request == self.request and self.view is not None
        if again and not now:
            return  # it is shown, or about to be asked for
        asking = self._timer is not None
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if request is None:
            self.text = text
            self.request = self.view = None
            self._strips = []
            self.refresh()
            return
        if again and not asking:
            return
        self.request = request
        if self.view is None and not self.text:
            self.text = "…"
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
        self._put_off = not self.screen.is_current
        if self._put_off:
            return  # the picture of the place that is shown now must not wait for this one
        start(self, partial(self._fetch, self.request), group=f"picture-{self.id}", exclusive=True)

    def come(self) -> None:
        """Called when the place is shown again: ask for what was put off while it was away."""
        if self._put_off:
            self._ask()

    async def _fetch(self, wanted: "ViewRequest") -> None:
        from astrotui.rendering.service import SupersededError

        app = cast("Host", self.app)
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
            self.view, self.shown = view, wanted
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
        lines = [] if self._strips else wrap(self.text, max(width - 2, 1))[: self.size.height]
        place = y - (self.size.height - len(lines)) // 2
        text = lines[place] if 0 <= place < len(lines) else ""
        return Strip([Segment(text.center(width), style)]).adjust_cell_length(width, style)


class PictureView(Picture, can_focus=True):
    """A picture to look around in: arrows, drag and wheel."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "look(-1,0)", "Look left", show=False, id="view.left"),
        Binding("right,l", "look(1,0)", "Look right", show=False, id="view.right"),
        Binding("up,k", "look(0,-1)", "Look up", show=False, id="view.up"),
        Binding("down,j", "look(0,1)", "Look down", show=False, id="view.down"),
        Binding("enter", "zoom(1)", "Zoom in", show=False, id="view.in"),
    ]

    class Looked(Message):
        """A person wants to see another part: `x`, `y` in quarters of what is shown, and steps of zoom."""

        def __init__(self, x: float = 0.0, y: float = 0.0, zoom: int = 0) -> None:
            super().__init__()
            self.x, self.y, self.zoom = x, y, zoom

    def action_look(self, x: int, y: int) -> None:
        self.post_message(self.Looked(x, y))

    def action_zoom(self, step: int) -> None:
        self.post_message(self.Looked(zoom=step))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.post_message(self.Looked(zoom=1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.post_message(self.Looked(zoom=-1))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if event.button and self.size.width and self.size.height:
            x, y = -4 * event.delta_x / self.size.width, -4 * event.delta_y / self.size.height
            self.post_message(self.Looked(x, y))


def _strips(cells: "CellPicture") -> list[Strip]:
    """The picture's rows as strips, each made once."""
    rows = []
    styles: dict[tuple[RGB, RGB], Style] = {}
    for row in range(cells.rows):
        segments = []
        for run in cells.runs(row):
            style = styles.get((run.upper, run.lower))
            if style is None:
                # Blanks show their background alone: naming a front color would only cost bytes.
                front = None if run.upper == run.lower else Color.from_rgb(*run.upper)
                style = Style(color=front, bgcolor=Color.from_rgb(*run.lower))
                styles[run.upper, run.lower] = style
            segments.append(Segment(run.text, style))
        rows.append(Strip(segments, cells.columns))
    return rows
