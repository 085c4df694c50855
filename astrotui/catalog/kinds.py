"""The kinds of fields a query knows: each decides which operators and values it takes and what they mean."""

import calendar
import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import SQLColumnExpression, case, func

from astrotui.catalog import terms
from astrotui.catalog.functions import fold
from astrotui.catalog.terms import Ordered, Span, Test, Unknown, folded
from astrotui.errors import QueryError
from astrotui.text import clean

OPERATORS = (">=", "<=", ">", "<", "=")


@dataclass(frozen=True)
class Word:
    """One word of a query: `field:` operator and value; a bare word has no field."""

    field: str | None
    operator: str
    value: str
    quoted: bool = False
    negated: bool = False


def show(text: str) -> str:
    """A piece of a query in a message."""
    return repr(clean(text, 40))


def suggest(wrong: str, known: Iterable[str]) -> str:
    """` (did you mean ...?)` where something known is near, else nothing."""
    near = difflib.get_close_matches(wrong.lower()[:60], list(known), n=1, cutoff=0.65)
    return f" (did you mean {near[0]}?)" if near else ""


class Kind:
    """A type of value.

    Attributes
    ----------
    examples : what may stand behind `field:`, for help and messages
    """

    examples: ClassVar[str] = ""
    sortable: ClassVar[bool] = True
    unknown: ClassVar[Unknown] = Unknown()

    def test(self, word: Word) -> Test:
        """What `word` asks.

        Raises
        ------
        QueryError
            The operator or value is not one of this kind.
        """
        if not word.value:
            raise QueryError(f"{word.field}: needs a value, like {self.example(word)}")
        if not word.quoted and not word.operator and word.value.lower() == "none":
            return self.unknown
        return self.read(word)

    def read(self, word: Word) -> Test:
        """`test` for a word that has a value and does not ask for unknown ones."""
        raise self.wrong(word, "cannot be asked for")

    def value(self, raw: Any) -> Any:
        """A record's value as the tests of this kind take it; None when unknown."""
        return raw

    def rank(self, column: SQLColumnExpression[Any]) -> SQLColumnExpression[Any]:
        """What a column is sorted by; NULL is unknown."""
        return column

    def rank_of(self, value: Any) -> Any:
        """What a known value, as `value` gives it, is sorted by."""
        return value

    def example(self, word: Word) -> str:
        return " or ".join(f"{word.field}:{text}" for text in self.examples.split())

    def wrong(self, word: Word, why: str) -> QueryError:
        return QueryError(
            f"{word.field}: {show(word.operator + word.value)} {why}; write {self.example(word)}"
        )


@dataclass(frozen=True)
class Text(Kind):
    """A text; a part of it is enough, case and spaces do not count. `=` wants all of it.

    `names`: a closing number is not cut, so that m1 does not find M 13.
    """

    examples: ClassVar[str] = 'word "two_words" ="all_of_it" none'
    unknown: ClassVar[Unknown] = Unknown("")
    names: bool = False

    def read(self, word: Word) -> Test:
        needle = fold(word.value)
        if not needle:
            raise QueryError(f"{word.field}: needs a value, like {self.example(word)}")
        if word.operator not in ("", "="):
            raise self.wrong(word, f"asks for {word.operator}, which texts do not have")
        if word.operator:
            return terms.Same(needle)
        return terms.Names(needle) if self.names else terms.Contains(needle)

    def value(self, raw: Any) -> str | None:
        return None if raw is None or raw == "" else str(raw)

    def rank(self, column: SQLColumnExpression[Any]) -> SQLColumnExpression[Any]:
        return func.nullif(folded(column), "")

    def rank_of(self, value: Any) -> Any:
        return fold(value) or None

    def example(self, word: Word) -> str:
        return super().example(word).replace("_", " ")


@dataclass(frozen=True)
class Binning(Text):
    """A binning, 2 or 2x2."""

    examples: ClassVar[str] = "2 2x2 none"
    unknown: ClassVar[Unknown] = Unknown("")

    def read(self, word: Word) -> Test:
        match = re.fullmatch(r"(\d{1,2})(?:[x*](\d{1,2}))?", word.value.lower(), re.ASCII)
        if match is None or word.operator not in ("", "="):
            raise self.wrong(word, "is not a binning")
        return terms.Same(f"{int(match[1])}x{int(match[2] or match[1])}")


class _Range(Kind):
    """What has an order: `a`, `>a`, `>=a`, `<a`, `<=a`, `a..b`, `a..`, `..b`."""

    def read(self, word: Word) -> Test:
        first, dots, last = word.value.partition("..")
        if not dots:
            low, high, high_open = self.around(word, word.value)
            match word.operator:
                case ">":
                    return Span(low=high, low_open=not high_open)
                case ">=":
                    return Span(low=low)
                case "<":
                    return Span(high=low, high_open=True)
                case "<=":
                    return Span(high=high, high_open=high_open)
            return self.exactly(Span(low, high, high_open=high_open))
        if word.operator or not (first or last):
            raise self.wrong(word, "is not a range")
        start = self.around(word, first)[0] if first else None
        _, end, end_open = self.around(word, last) if last else (None, None, False)
        span = Span(start, end, high_open=end_open)
        if start is not None and not (end is None or span.holds(start)):
            raise self.wrong(word, "ends before it begins")
        return span

    def around(self, word: Word, text: str) -> tuple[Ordered, Ordered, bool]:
        """Lower bound, upper bound and whether the upper is open of what `text` means."""
        raise self.wrong(word, "is not a range")

    def exactly(self, span: Span) -> Span:
        """What equality means, given the span of one value."""
        return span


@dataclass(frozen=True)
class Number(_Range):
    """A number, with an optional unit. Files round (0.01 s may read 0.00999999978): a millionth is equal.

    `units`: factor by unit; `within`: how far a value may lie from one that is asked for by itself.
    """

    examples: ClassVar[str] = "10 >60 <=3.2 10..60 none"
    units: Mapping[str, float] = field(default_factory=dict)
    within: float = 0.0

    def around(self, word: Word, text: str) -> tuple[float, float, bool]:
        match = re.fullmatch(
            r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,3})?)(\D{0,4})", text.lower(), re.ASCII
        )
        if match is None or (match[2] and match[2] not in self.units):
            known = f" (units: {', '.join(self.units)})" if self.units else ""
            raise self.wrong(word, f"is not a number{known}")
        number = float(match[1]) * self.units.get(match[2], 1.0)
        if not math.isfinite(number):
            raise self.wrong(word, "is too large")
        slack = 1e-6 * abs(number)
        return number - slack, number + slack, False

    def exactly(self, span: Span) -> Span:
        assert isinstance(span.low, float) and isinstance(span.high, float)
        return Span(span.low - self.within, span.high + self.within)

    def value(self, raw: Any) -> float | None:
        if raw is None:
            return None
        number = float(raw)
        return None if math.isnan(number) else number  # SQLite has no NaN


_PERIOD = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:[tT](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d))?[zZ]?)?)?)?",
    re.ASCII,
)


@dataclass(frozen=True)
class When(_Range):
    """A moment in UTC, asked for by year, month, day or minute; `nights`: a local date instead."""

    examples: ClassVar[str] = "2025-01-07 2025-01..2025-03 >=2025 none"
    nights: bool = False

    def around(self, word: Word, text: str) -> tuple[Ordered, Ordered, bool]:
        match = _PERIOD.fullmatch(text)
        if match is None or (self.nights and match["hour"]):
            raise self.wrong(word, "is not a date")
        given = {unit: int(digits) for unit, digits in match.groupdict().items() if digits}
        try:
            start = datetime(**{"month": 1, "day": 1, **given}, tzinfo=UTC)
        except ValueError:
            raise self.wrong(word, "is not a date") from None
        # The last unit that was given tells how long the period is.
        days = {
            "year": 366 if calendar.isleap(start.year) else 365,
            "month": calendar.monthrange(start.year, start.month)[1],
        }
        unit = next(reversed(given))
        length = timedelta(days=days[unit]) if unit in days else timedelta(**{f"{unit}s": 1})
        try:
            end, is_open = start + length, True
        except OverflowError:  # it ends with the calendar
            end, is_open = datetime.max.replace(tzinfo=UTC), False
        return (start.date(), end.date(), is_open) if self.nights else (start, end, is_open)

    def value(self, raw: Any) -> datetime | date | None:
        if raw is None or raw == "":
            return None
        if isinstance(raw, str):
            raw = datetime.fromisoformat(raw)
        if isinstance(raw, datetime):
            if self.nights:
                return raw.date()
            return raw.replace(tzinfo=UTC) if raw.tzinfo is None else raw.astimezone(UTC)
        if self.nights:
            return raw  # type: ignore[no-any-return]
        return datetime(raw.year, raw.month, raw.day, tzinfo=UTC)


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words; sorted in their order."""

    choices: tuple[str, ...] = ()

    def read(self, word: Word) -> Test:
        key = _bare(word.value)
        for choice in self.choices:
            if _bare(choice) == key and word.operator in ("", "="):
                return terms.Equals(choice)
        raise QueryError(
            f"{word.field}: {show(word.operator + word.value)} is not known{suggest(word.value, self.choices)};"
            f" choose {', '.join(self.choices)} or none"
        )

    def value(self, raw: Any) -> str | None:
        return None if raw is None else str(raw)

    def rank(self, column: SQLColumnExpression[Any]) -> SQLColumnExpression[Any]:
        order = {choice: number for number, choice in enumerate(self.choices)}
        return case((column.is_(None), None), else_=case(order, value=column, else_=len(order)))

    def rank_of(self, value: Any) -> Any:
        return self.choices.index(value) if value in self.choices else len(self.choices)

    def example(self, word: Word) -> str:
        return " or ".join(f"{word.field}:{choice}" for choice in self.choices)


@dataclass(frozen=True)
class Flag(Kind):
    """Yes or no."""

    examples: ClassVar[str] = "yes no none"

    def read(self, word: Word) -> Test:
        key = word.value.lower()
        if word.operator not in ("", "=") or key not in ("yes", "no", "true", "false", "1", "0"):
            raise self.wrong(word, "is neither yes nor no")
        return terms.Equals(key in ("yes", "true", "1"))

    def value(self, raw: Any) -> bool | None:
        return None if raw is None else bool(raw)


@dataclass(frozen=True)
class Texts(Kind):
    """A list of texts, one of which is asked for; `parts`: a part of one is enough."""

    examples: ClassVar[str] = "word none"
    sortable: ClassVar[bool] = False
    unknown: ClassVar[Unknown] = Unknown("[]")
    parts: bool = False

    def read(self, word: Word) -> Test:
        needle = fold(word.value)
        if not needle or word.operator not in ("", "="):
            raise self.wrong(word, "is not a word to look for")
        return terms.SomeContains(needle) if self.parts and not word.operator else terms.SomeSame(needle)

    def value(self, raw: Any) -> tuple[str, ...] | None:
        if raw is None:
            return None
        return tuple(map(str, [raw] if isinstance(raw, str) else raw)) or None


def _bare(word: str) -> str:
    return fold(word).replace("-", "").replace("_", "")
