"""A table that draws only the rows that can be seen, so that a hundred thousand of them cost nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from astrotui.text import clean

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column.

    Attributes
    ----------
    key : name by which it is sorted
    title : heading
    width : cells; the last column takes what is left
    show : the cell of a row: text, or text with a style
    sort : what a row is sorted by (None last); None means that the column cannot be sorted
    descending : a first sort puts the largest on top
    """

    key: str
    title: str
    width: int
    show: Callable[[Row], str | Text]
    sort: Callable[[Row], Any] | None = None
    align: Literal["left", "right"] = "left"
    descending: bool = False


class RowTable(ScrollView, Generic[Row], can_focus=True):
    """Rows of records under a heading, with a cursor that stays on its record when the table is sorted."""

    DEFAULT_CSS = """
    RowTable { height: 1fr; background: $surface; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--head",
        "table--cursor",
        "table--cursor-blurred",
        "table--dim",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="table.page_up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="table.page_down"),
        Binding("home,g", "jump(0)", "First", show=False, id="table.first"),
        Binding("end,G", "jump(-1)", "Last", show=False, id="table.last"),
        Binding("enter", "choose", "Open", show=False, id="table.open"),
        Binding("s", "sort_next", "Sort by the next column", show=False, id="table.sort"),
        Binding("S", "sort_reverse", "Reverse the order", show=False, id="table.reverse"),
    ]

    class Moved(Message):
        """The cursor stands on another record, or its record changed."""

        def __init__(self, table: "RowTable[Any]", row: Any) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> "RowTable[Any]":
            return self.table

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, RowTable.Moved) and message.table is self.table

    class Chosen(Message):
        """A record was opened."""

        def __init__(self, table: "RowTable[Any]", row: Any) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> "RowTable[Any]":
            return self.table

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        *,
        key: Callable[[Row], Any],
        empty: str = "nothing here",
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.columns = list(columns)
        self.key = key
        self.empty = empty
        self.rows: list[Row] = []
        self.cursor = 0
        self.sorted_by: str | None = None
        self.descending = False
        self._given: list[Row] = []

    # --- what is in it --------------------------------------------------------------------------------------------

    @property
    def row(self) -> Row | None:
        """The record under the cursor."""
        return self.rows[self.cursor] if self.rows else None

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these records; the cursor stays on its record if that is among them, else on its line."""
        held = self.key(self.row) if self.row is not None else None
        self._given = list(rows)
        self._order()
        self._find(held)
        self.virtual_size = Size(0, len(self.rows) + 1)
        self.refresh()
        self._tell()

    def replace_row(self, row: Row) -> None:
        """Show a record that changed in the place of its old self, without sorting anew."""
        key = self.key(row)
        for rows in (self.rows, self._given):
            for place, old in enumerate(rows):
                if self.key(old) == key:
                    rows[place] = row
        self.refresh()

    def go_to(self, key: Any) -> None:
        """Put the cursor on the record with this key."""
        self._find(key)
        self._tell()

    def sort_by(self, key: str | None, descending: bool | None = None) -> None:
        """Sort by a column, or as given (None); again by the same column: the other way round."""
        column = next((c for c in self.columns if c.key == key), None)
        if descending is None:
            again = key == self.sorted_by and column is not None
            descending = not self.descending if again else bool(column and column.descending)
        held = self.key(self.row) if self.row is not None else None
        self.sorted_by, self.descending = key, descending
        self._order()
        self._find(held)
        self.refresh()

    def _order(self) -> None:
        column = next((c for c in self.columns if c.key == self.sorted_by), None)
        if column is None or column.sort is None:
            self.rows = list(self._given)
            return
        value = column.sort
        known = [row for row in self._given if value(row) is not None]
        unknown = [row for row in self._given if value(row) is None]
        self.rows = sorted(known, key=value, reverse=self.descending) + unknown

    def _find(self, key: Any) -> None:
        places = {self.key(row): place for place, row in enumerate(self.rows)} if key is not None else {}
        self.cursor = places.get(key, max(0, min(self.cursor, len(self.rows) - 1)))
        self._show_cursor()

    def _tell(self) -> None:
        self.post_message(self.Moved(self, self.row))

    # --- moving -------------------------------------------------------------------------------------------------

    def _go(self, place: int) -> None:
        place = max(0, min(place, len(self.rows) - 1))
        if self.rows and place != self.cursor:
            self.cursor = place
            self._show_cursor()
            self.refresh()
            self._tell()

    def _show_cursor(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 2), animate=False, force=True)

    def action_move(self, lines: int) -> None:
        self._go(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        self._go(self.cursor + pages * max(1, self.size.height - 2))

    def action_jump(self, place: int) -> None:
        self._go(len(self.rows) - 1 if place < 0 else place)

    def action_choose(self) -> None:
        if self.row is not None:
            self.post_message(self.Chosen(self, self.row))

    def action_sort_next(self) -> None:
        names = [c.key for c in self.columns if c.sort is not None]
        if names:
            after = names.index(self.sorted_by) + 1 if self.sorted_by in names else 0
            self.sort_by(names[after % len(names)], None)

    def action_sort_reverse(self) -> None:
        if self.sorted_by is not None:
            self.sort_by(self.sorted_by, not self.descending)

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            self._click_head(event.x)
            return
        place = event.y - 1 + self.scroll_offset.y
        if 0 <= place < len(self.rows):
            again = place == self.cursor and event.chain > 1
            self._go(place)
            if again:
                self.action_choose()

    def _click_head(self, x: int) -> None:
        left = 0
        for column, width in zip(self.columns, self._widths(), strict=True):
            if left <= x < left + width + 1 and column.sort is not None:
                self.sort_by(column.key)
                return
            left += width + 1

    # --- drawing ------------------------------------------------------------------------------------------------

    def _widths(self) -> list[int]:
        fixed = [column.width for column in self.columns]
        rest = self.size.width - sum(fixed[:-1]) - len(fixed)
        return [*fixed[:-1], max(fixed[-1], rest)]

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._line(
                [self._heading(c) for c in self.columns], self.get_component_rich_style("table--head")
            )
        place = y - 1 + self.scroll_offset.y
        if place >= len(self.rows):
            text = f" {self.empty}" if not self.rows and y == 1 else ""
            return Strip([Segment(text.ljust(width)[:width], self.rich_style)], width)
        style = self.rich_style
        if place == self.cursor:
            name = "table--cursor" if self.has_focus else "table--cursor-blurred"
            style = self.get_component_rich_style(name)
        row = self.rows[place]
        return self._line([column.show(row) for column in self.columns], style)

    def _heading(self, column: Column[Row]) -> str:
        if column.key != self.sorted_by:
            return column.title
        return f"{column.title}{'▾' if self.descending else '▴'}"

    def _line(self, cells: Sequence[str | Text], style: Style) -> Strip:
        segments: list[Segment] = []
        for column, cell, width in zip(self.columns, cells, self._widths(), strict=True):
            own = style + Style.parse(str(cell.style)) if isinstance(cell, Text) and cell.style else style
            text = clean(cell.plain if isinstance(cell, Text) else cell, 400)
            room = width - cell_len(text)  # wide characters take two cells
            if room < 0:
                text = set_cell_size(text, max(width - 1, 0)) + "…"
            elif column.align == "right":
                text = " " * room + text
            segments.append(Segment(set_cell_size(text, width), own))
            segments.append(Segment(" ", style))
        return Strip(segments).adjust_cell_length(self.size.width, style)
