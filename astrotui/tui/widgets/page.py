"""Lines of styled text to read, drawn only where they are seen."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from astrotui.tui.widgets.lines import DrawsLines


class Page(DrawsLines, ScrollView, can_focus=True):
    """Lines of styled text that scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_down", "Down", show=False, id="page.down"),
        Binding("up,k", "scroll_up", "Up", show=False, id="page.up"),
        Binding("space", "page_down", "Page down", show=False, id="page.page_down"),
    ]

    def __init__(self, strips: Sequence[Strip] = ()) -> None:
        super().__init__(id="page")
        self.strips: list[Strip] = list(strips)
        self.virtual_size = Size(0, len(self.strips))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.strips)

    def show(self, strips: list[Strip]) -> None:
        """Show a page from its beginning."""
        self.strips = strips
        self.virtual_size = Size(0, len(strips))
        self.scroll_to(y=0, animate=False, force=True, immediate=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        place = y + self.scroll_offset.y
        width = self.size.width
        if place >= len(self.strips):
            return Strip.blank(width, self.rich_style)
        return self.strips[place].adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)
