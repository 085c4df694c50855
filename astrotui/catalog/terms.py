"""What a word of a query asks of one value: each test as SQL and as plain Python.

Both faces are two-valued: a test of an unknown value is false, and its negation true.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from sqlalchemy import (
    Boolean,
    ColumnElement,
    LargeBinary,
    SQLColumnExpression,
    String,
    and_,
    case,
    cast,
    false,
    func,
)

from astrotui.catalog.functions import contains, fold, is_whole_name, names, some_contains, some_equals

Ordered = float | datetime | date


class Test(Protocol):
    """One question about one value."""

    def sql(self, column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
        """The question about a column."""
        ...

    def holds(self, value: Any) -> bool:
        """The answer for a value as its field's kind reads it; None is unknown."""
        ...


@dataclass(frozen=True)
class Unknown:
    """Nothing is known: no value, an empty text or list (`empty`: how a column says so beside NULL)."""

    empty: str | None = None

    def sql(self, column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
        return column.is_(None) if self.empty is None else func.coalesce(column, self.empty) == self.empty

    def holds(self, value: Any) -> bool:
        return value is None


@dataclass(frozen=True)
class Span:
    """A number, date or night between two bounds; None is no bound."""

    low: Ordered | None = None
    high: Ordered | None = None
    low_open: bool = False
    high_open: bool = False

    def sql(self, column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
        parts: list[ColumnElement[bool]] = [column.is_not(None)]
        if self.low is not None:
            parts.append(column > self.low if self.low_open else column >= self.low)
        if self.high is not None:
            parts.append(column < self.high if self.high_open else column <= self.high)
        return and_(*parts)

    def holds(self, value: Any) -> bool:
        if value is None:
            return False
        if self.low is not None and (value <= self.low if self.low_open else value < self.low):
            return False
        return self.high is None or (value < self.high if self.high_open else value <= self.high)


@dataclass(frozen=True)
class Equals:
    """A choice or a flag with exactly this value."""

    wanted: str | bool

    def sql(self, column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
        same = column.is_(self.wanted) if isinstance(self.wanted, bool) else column == self.wanted
        return and_(column.is_not(None), same)

    def holds(self, value: Any) -> bool:
        return value is not None and bool(value == self.wanted)


@dataclass(frozen=True)
class Same:
    """A text that differs in case and spaces at most; `needle` is folded."""

    needle: str

    def sql(self, column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
        return func.coalesce(folded(column), "") == self.needle

    def holds(self, value: Any) -> bool:
        return value is not None and fold(value) == self.needle


@dataclass(frozen=True)
class Contains:
    """A text with this part, ignoring case and spaces; `needle` is folded."""

    needle: str

    def sql(self, column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
        return _contains(column, self.needle)

    def holds(self, value: Any) -> bool:
        return contains(value, self.needle)


@dataclass(frozen=True)
class Names:
    """A text with this name in it, ignoring case and spaces; `needle` is folded."""

    needle: str

    def sql(self, column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
        somewhere = _contains(column, self.needle)
        if not is_whole_name(self.needle):
            return somewhere
        return and_(somewhere, func.astro_names(column, self.needle, type_=Boolean))

    def holds(self, value: Any) -> bool:
        return names(value, self.needle)


@dataclass(frozen=True)
class SomeSame:
    """A list with this text in it, ignoring case and spaces; `needle` is folded."""

    needle: str

    def sql(self, column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
        return func.astro_some_equals(column, self.needle, type_=Boolean)

    def holds(self, value: Any) -> bool:
        return some_equals(value, self.needle)


@dataclass(frozen=True)
class SomeContains:
    """A list with this part in one of its texts, ignoring case and spaces; `needle` is folded."""

    needle: str

    def sql(self, column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
        return func.astro_some_contains(column, self.needle, type_=Boolean)

    def holds(self, value: Any) -> bool:
        return some_contains(value, self.needle)


def _contains(column: SQLColumnExpression[Any], needle: str) -> ColumnElement[bool]:
    """`contains`, by SQLite alone for plain ASCII, which nearly all text is: Python is asked for the rest.

    A hundred thousand calls of Python cost a quarter of a second.
    """
    here = _contains_plain(column, needle) if needle.isascii() else false()
    return case((is_plain(column), here), else_=func.astro_contains(column, needle, type_=Boolean))


def _contains_plain(column: SQLColumnExpression[Any], needle: str) -> ColumnElement[bool]:
    # An escape character that is not needed costs a quarter of the time.
    return func.replace(column, " ", "").contains(needle, autoescape=any(c in needle for c in "%_/"))


def is_plain(column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """Whether a text is plain ASCII, which SQLite compares as `fold` does."""
    return func.length(column) == func.length(cast(column, LargeBinary))


def among_plain(test: Contains | Names, column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """`test` for texts that are plain ASCII; false for all others, which have to be asked for apart.

    What is rarely true is asked first: that halves the time of going through all names.
    """
    if not test.needle.isascii():
        return false()
    found = and_(_contains_plain(column, test.needle), is_plain(column))
    return and_(found, test.sql(column)) if isinstance(test, Names) else found


def folded(column: SQLColumnExpression[Any]) -> ColumnElement[str]:
    """A text column without differences of case and spaces."""
    return func.astro_fold(column, type_=String)
