"""A table that draws only the rows that can be seen, so that a hundred thousand of them cost nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from astrotui.tui.widgets.fit import fit, whole_items
from astrotui.tui.widgets.lines import DrawsLines

Row = TypeVar("Row")
Tone = Literal["", "good", "warn", "bad", "info", "dim"]


@dataclass(frozen=True)
class Cell:
    """Text with a meaning that the theme gives a color; the text must say all without it."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column.

    Attributes
    ----------
    key : name by which it is sorted
    title : heading
    width : cells; the last column takes what is left
    show : the cell of a row
    sort : what a row is sorted by (None last); None means that the column cannot be sorted
    descending : a first sort puts the largest on top
    roomy : shown only where the table is at least so many cells wide
    most : grows to so many cells before the last column does
    hold : rows stay where they are when this value changes, until the table is sorted again; for what a
        person changes key by key
    listed : its text is items with commas between; where there is not room for all, the last ones are only counted
    """

    key: str
    title: str
    width: int
    show: Callable[[Row], str | Cell]
    sort: Callable[[Row], Any] | None = None
    align: Literal["left", "right"] = "left"
    descending: bool = False
    hold: bool = False
    roomy: int = 0
    listed: bool = False
    most: int = 0


class RowTable(DrawsLines, ScrollView, Generic[Row], can_focus=True, inherit_bindings=False):
    """Rows of records under a heading, with a cursor that stays on its record when the table is sorted."""

    DEFAULT_CSS = """
    RowTable { height: 1fr; background: $surface; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--head", "table--cursor", "table--cursor-blurred", "table--dim", "table--good", "table--warn",
        "table--bad", "table--info",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Row up", show=False, id="table.up"),
        Binding("down,j", "move(1)", "Row down", show=False, id="table.down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="table.page_up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="table.page_down"),
        Binding("home,g", "jump(0)", "First row", show=False, id="table.first"),
        Binding("end,G", "jump(-1)", "Last row", show=False, id="table.last"),
        Binding("s", "sort_next", "Sort by the next column", show=False, id="table.sort"),
        Binding("S", "sort_reverse", "Turn the order round", show=False, id="table.reverse"),
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
        self.loaded = False
        self.rows: list[Row] = []
        self.cursor = 0
        self.sorted_by: str | None = None
        self.descending = False
        self._given: list[Row] = []
        self._told: Row | None = None
        # Called with the record before `Moved` is sent: a key that comes with the one that moved is about that record.
        self.at_once: Callable[[Row | None], None] | None = None
        self._said = ""
        self._laid_out: tuple[int, list[Column[Row]], list[int]] | None = None
        self._tones: dict[tuple[Style, str], Style] = {}

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(len(self.rows), 1) + 1

    # --- what is in it --------------------------------------------------------------------------------------------

    @property
    def row(self) -> Row | None:
        """The record under the cursor."""
        return self.rows[self.cursor] if self.rows else None

    def around(self, reach: int = 3) -> list[Row]:
        """The records around the cursor in the order of the table, the nearest first."""
        places = [self.cursor + sign * step for step in range(1, reach + 1) for sign in (1, -1)]
        return [self.rows[place] for place in places if 0 <= place < len(self.rows)]

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these records; the cursor stays on its record if that is among them, else on its line."""
        held = self.key(self.row) if self.row is not None else None
        line = self.cursor - self.scroll_offset.y
        old, top, cursor, first = self.rows, self.scroll_offset.y, self.cursor, not self.loaded
        self._given = list(rows)
        self.loaded = True
        self._order([self.key(row) for row in old])
        self.virtual_size = Size(0, len(self.rows) + 1)
        self._refresh_scrollbars()  # now: Textual would paint the rows, see that they need a bar, and paint them again
        self._find(held, line)
        if len(old) != len(self.rows) and self.styles.height is not None and self.styles.height.is_auto:
            self.refresh(layout=True)
        said, self._said = self._said, "" if self.rows else self.empty
        if first or said != self._said or len(old) != len(self.rows) or top != self.scroll_offset.y:
            self.refresh()
        else:
            seen = range(top, min(top + self.size.height, len(old)))
            self._refresh_rows(
                [p for p in seen if old[p] != self.rows[p] or (p == cursor) != (p == self.cursor)]
            )
        if self.row != self._told:
            self._tell()

    def replace_row(self, row: Row) -> None:
        """Show a record that changed in the place of its old self, without sorting anew."""
        key = self.key(row)
        for rows in (self.rows, self._given):
            for place, old in enumerate(rows):
                if self.key(old) == key:
                    rows[place] = row
                    if rows is self.rows:
                        self._refresh_rows([place])

    def go_to(self, key: Any) -> None:
        """Put the cursor on the record with this key, if it is here."""
        place = next((i for i, row in enumerate(self.rows) if self.key(row) == key), None)
        if place is not None:
            self._go(place)

    def sort_by(self, key: str | None, descending: bool | None = None) -> None:
        """Sort by a column, or as given (None); again by the same column: the other way round."""
        column = self._column(key)
        if descending is None:
            again = key == self.sorted_by and column is not None
            descending = not self.descending if again else bool(column and column.descending)
        held = self.key(self.row) if self.row is not None else None
        line = self.cursor - self.scroll_offset.y
        self.sorted_by, self.descending = key, descending
        self._order()
        self._find(held, line)
        self.refresh()

    def _column(self, key: str | None) -> Column[Row] | None:
        return next((c for c in self.columns if c.key == key), None)

    def _order(self, before: Sequence[Any] = ()) -> None:
        """Sort what was given; by a column that holds, records that were here (`before`) keep their order."""
        column = self._column(self.sorted_by)
        if column is None or column.sort is None:
            self.rows = list(self._given)
            return
        if column.hold and before and {self.key(row) for row in self._given} == set(before):
            by_key = {self.key(row): row for row in self._given}
            self.rows = [by_key[key] for key in before]
            return
        value = column.sort
        known = [row for row in self._given if value(row) is not None]
        unknown = [row for row in self._given if value(row) is None]
        self.rows = sorted(known, key=value, reverse=self.descending) + unknown

    def _find(self, key: Any, line: int) -> None:
        """Put the cursor on the record `key`, on the same line of the screen (`line`) if that can be."""
        place = (
            None if key is None else next((i for i, r in enumerate(self.rows) if self.key(r) == key), None)
        )
        self.cursor = max(0, min(self.cursor, len(self.rows) - 1)) if place is None else place
        self.scroll_to(y=self.cursor - line, animate=False, force=True, immediate=True)
        self._show_cursor()

    def _tell(self) -> None:
        self._told = self.row
        if self.at_once is not None:
            self.at_once(self.row)
        self.post_message(self.Moved(self, self.row))

    # --- moving -------------------------------------------------------------------------------------------------

    def _go(self, place: int) -> None:
        place = max(0, min(place, len(self.rows) - 1))
        if self.rows and place != self.cursor:
            before, top = self.cursor, self.scroll_offset.y
            self.cursor = place
            self._show_cursor()
            if self.scroll_offset.y == top:
                self._refresh_rows([before, place])
            else:
                self.refresh()
            self._tell()

    def _refresh_rows(self, places: Sequence[int]) -> None:
        """Send only these rows over the wire, as far as they can be seen."""
        top = self.scroll_offset.y
        lines = [
            Region(0, p + 1 - top, self.size.width, 1) for p in places if 0 <= p - top < self.size.height - 1
        ]
        if lines:
            self.refresh(*lines)

    def _show_cursor(self) -> None:
        room = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True, immediate=True)
        elif self.cursor >= top + room:
            self.scroll_to(y=self.cursor - room + 1, animate=False, force=True, immediate=True)

    def on_resize(self) -> None:
        self._show_cursor()

    def action_move(self, lines: int) -> None:
        self._go(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        self._go(self.cursor + pages * max(1, self.size.height - 2))

    def action_jump(self, place: int) -> None:
        self._go(len(self.rows) - 1 if place < 0 else place)

    def choose(self) -> None:
        """Open the record under the cursor, as a double click does; screens bind the key, which names it there."""
        if self.row is not None:
            self.post_message(self.Chosen(self, self.row))

    def action_sort_next(self) -> None:
        names = [c.key for c in self._seen() if c.sort is not None]  # else nobody would see by what
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
                self.choose()

    def _click_head(self, x: int) -> None:
        left = 0
        for column, width in zip(self._seen(), self._widths(), strict=True):
            if left <= x < left + width + 1 and column.sort is not None:
                self.sort_by(column.key)
                return
            left += width + 1

    # --- drawing ------------------------------------------------------------------------------------------------

    def _seen(self) -> list[Column[Row]]:
        """The columns that there is room for."""
        return self._layout_at(self.size.width)[0]

    def _widths(self) -> list[int]:
        return self._layout_at(self.size.width)[1]

    def _layout_at(self, width: int) -> tuple[list[Column[Row]], list[int]]:
        """Columns and their widths, worked out once for each width of the table."""
        if self._laid_out is None or self._laid_out[0] != width:
            seen = [column for column in self.columns if column.roomy <= width]
            widths = [column.width for column in seen]
            rest = max(width - sum(widths) - len(widths), 0)
            for place, column in enumerate(seen[:-1]):
                more = min(rest, max(column.most - column.width, 0))
                widths[place] += more
                rest -= more
            widths[-1] += rest
            self._laid_out = (width, seen, widths)
        return self._laid_out[1:]

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            style = self.get_component_rich_style("table--head")
            return self._line([self._heading(c) for c in self._seen()], style, width, plain=True)
        place = y - 1 + self.scroll_offset.y
        if place >= len(self.rows):
            text = (
                "" if self.rows or y != 1 else f" {self.empty}" if self.loaded else " reading the catalogue…"
            )
            return Strip([Segment(set_cell_size(text, width), self.rich_style)], width)
        style = self.rich_style
        here = place == self.cursor
        if here:
            name = "table--cursor" if self.has_focus else "table--cursor-blurred"
            style = self.get_component_rich_style(name)
        row = self.rows[place]
        return self._line([column.show(row) for column in self._seen()], style, width, plain=here)

    def _heading(self, column: Column[Row]) -> str:
        if column.key != self.sorted_by:
            return column.title
        return f"{column.title}{'▾' if self.descending else '▴'}"

    def notify_style_update(self) -> None:
        self._tones = {}
        super().notify_style_update()

    def _toned(self, style: Style, tone: str) -> Style:
        """A style in the color of a meaning."""
        if (style, tone) not in self._tones:
            color = self.get_component_rich_style(f"table--{tone}").color
            self._tones[style, tone] = style + Style(color=color)
        return self._tones[style, tone]

    def _line(self, cells: Sequence[str | Cell], style: Style, whole: int, *, plain: bool) -> Strip:
        """One row; neighbors of one style become one segment, as there are thousands of cells in a large terminal."""
        segments: list[Segment] = []
        run, run_style = "", style
        for column, width, cell in zip(*self._layout_at(whole), cells, strict=True):
            raw, tone = (cell.text, cell.tone) if isinstance(cell, Cell) else (cell, "")
            own = self._toned(style, tone) if tone and not plain else style
            if own is not run_style:
                segments += [Segment(run, run_style)] if run else []
                run, run_style = "", own
            run += fit(whole_items(raw, width) if column.listed else raw, width, column.align) + " "
        segments.append(Segment(run, run_style))
        return Strip(segments).adjust_cell_length(whole, style)
