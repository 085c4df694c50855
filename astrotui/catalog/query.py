"""The query language: typed words to SQL and to plain Python.

`target:m51 score:>60 -status:rejected , tag:keep score-`: words are joined by "and", ` , ` is "or" and binds
least, a leading `-` is "not", quotes hold spaces together, a field's name with `-` or `+` behind it sorts. A
word without a field is looked for in target and path.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, not_, or_

from astrotui.catalog.fields import FIELDS, NAMES, SCOPES, Field, Scope, Supplied, any_of
from astrotui.catalog.functions import fold
from astrotui.catalog.kinds import OPERATORS, Word, show, suggest
from astrotui.catalog.summaries import frame_rows, session_rows
from astrotui.catalog.terms import Names, Test
from astrotui.errors import QueryError

MAX_LENGTH = 2000
MAX_WORDS = 100  # stays far below SQLite's limit on the depth of an expression

T = TypeVar("T")

_HEAD = re.compile(r"(-?)(?:([A-Za-z_]+):(" + "|".join(OPERATORS) + r")?)?")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"(?=\s|$)', re.DOTALL)
_ESCAPED = re.compile(r"\\([\"\\])")
_BARE = re.compile(r"\S*")
_NO_COLON = re.compile(r"([A-Za-z_]+)([<>=].*)")  # score<40, as people write who forget the colon
_SORT = re.compile(r"([A-Za-z_]+)([+-])")


@dataclass(frozen=True)
class Term:
    """One condition: a field's value passes a test, or does not."""

    tests: tuple[tuple[Field, Test], ...]  # one of them must hold
    negated: bool = False

    def sql(self, supplied: Mapping[str, Supplied | None]) -> ColumnElement[bool]:
        clause = any_of(field.find(test, supplied) for field, test in self.tests)
        return not_(clause) if self.negated else clause

    def holds(self, record: Mapping[str, Any]) -> bool:
        return any(test.holds(field.value(record)) for field, test in self.tests) is not self.negated

    def fields(self) -> set[str]:
        return {field.name for field, _ in self.tests}


@dataclass(frozen=True)
class Group:
    """Alternatives of terms that must all hold: the whole of a query, or a saved one within it."""

    alternatives: tuple[tuple["Term | Group", ...], ...] = ()
    negated: bool = False

    def sql(self, supplied: Mapping[str, Supplied | None]) -> ColumnElement[bool]:
        clause = or_(*(and_(*(part.sql(supplied) for part in parts)) for parts in self.alternatives))
        return not_(clause) if self.negated else clause

    def holds(self, record: Mapping[str, Any]) -> bool:
        found = any(all(part.holds(record) for part in parts) for parts in self.alternatives)
        return found is not self.negated

    def fields(self) -> set[str]:
        return {name for parts in self.alternatives for part in parts for name in part.fields()}


@dataclass(frozen=True)
class Sort:
    """Order by a field; unknown values come last either way."""

    field: Field
    descending: bool


@dataclass(frozen=True)
class Query:
    """A parsed query. It can be asked of the database and of records in memory, with one answer.

    Records are mappings with the keys of `--json` (or field names); what lacks a key is unknown.
    """

    text: str
    scope: Scope
    group: Group
    sorts: tuple[Sort, ...]

    @property
    def fields(self) -> frozenset[str]:
        """Names of the fields it needs; `dark` must be supplied to `where` and `order`."""
        return frozenset(self.group.fields() | {sort.field.name for sort in self.sorts})

    def where(self, *, dark: Supplied | None = None) -> list[ColumnElement[bool]]:
        """Conditions for a statement like `session_rows()` or `frame_rows()`; empty when all are wanted.

        Parameters
        ----------
        dark : the grade of the dark in force by session id (missing: none), or a column over `Session`

        Raises
        ------
        ValueError
            The query asks for `dark` and it was not given.
        """
        supplied = {"dark": dark}
        if len(self.group.alternatives) == 1:
            return [part.sql(supplied) for part in self.group.alternatives[0]]
        return [self.group.sql(supplied)] if self.group.alternatives else []

    def order(self, *, dark: Supplied | None = None) -> list[ColumnElement[Any]]:
        """What to order by, empty without sort words; add an order of your own behind it."""
        ranks = [(sort.field.kind.rank(sort.field.expression({"dark": dark})), sort) for sort in self.sorts]
        return [(rank.desc() if sort.descending else rank.asc()).nulls_last() for rank, sort in ranks]

    def select(self, *, dark: Supplied | None = None) -> Select[*tuple[Any, ...]]:
        """The statement that lists what it finds: rows of `session_rows()` or `frame_rows()`; stacks have none."""
        if self.scope == "stacks":
            raise ValueError("stacks are asked in memory: see `matches` and `sort`")
        rows = session_rows() if self.scope == "sessions" else frame_rows()
        return rows.where(*self.where(dark=dark)).order_by(*self.order(dark=dark))

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Whether a record is found."""
        return not self.group.alternatives or self.group.holds(record)

    def sort(self, records: Iterable[T], key: Callable[[T], Mapping[str, Any]] | None = None) -> list[T]:
        """Records in its order; those that are equal in it stay as they are.

        `key` gives the mapping of a record that is not one itself.
        """
        ordered = list(records)
        for sort in reversed(self.sorts):
            known: list[tuple[Any, T]] = []
            unknown: list[T] = []
            for record in ordered:
                value = sort.field.value(key(record) if key else record)  # type: ignore[arg-type]
                rank = None if value is None else sort.field.kind.rank_of(value)
                if rank is None:
                    unknown.append(record)
                else:
                    known.append((rank, record))
            known.sort(key=lambda pair: pair[0], reverse=sort.descending)
            ordered = [record for _, record in known] + unknown
        return ordered


def parse(text: str, scope: Scope = "sessions", *, saved: Mapping[str, str] | None = None) -> Query:
    """The query that `text` writes.

    Parameters
    ----------
    saved : texts of saved queries of this scope by name, for the word `query:NAME`

    Raises
    ------
    QueryError
        A word names a field or value that does not exist, or the text is no query.
    """
    if scope not in SCOPES:
        raise ValueError(f"{scope!r} is no scope of queries")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise QueryError("the query holds bytes that are not text") from None
    group, sorts, _ = _parse(text, scope, saved, MAX_WORDS)
    return Query(text, scope, group, tuple(sorts))


def _parse(
    text: str, scope: Scope, saved: Mapping[str, str] | None, room: int
) -> tuple[Group, list[Sort], int]:
    """Alternatives, sorts and how many more words are allowed."""
    words = _words(text)
    room -= len(words)
    if room < 0:
        raise QueryError(f"the query has more than {MAX_WORDS} words")
    alternatives: list[list[Term | Group]] = [[]]
    sorts: list[Sort] = []
    for word in words:
        if word is None:
            alternatives.append([])
        elif word.field is None:
            if sort := _sort(word, scope):
                sorts.append(sort)
            else:
                alternatives[-1].append(_anywhere(word, scope))
        elif word.field == "query":
            inner, inner_sorts, room = _parse(_saved(word, saved), scope, {}, room)
            if inner.alternatives:
                alternatives[-1].append(Group(inner.alternatives, word.negated))
            sorts += inner_sorts
        else:
            field = _field(word.field, scope)
            alternatives[-1].append(Term(((field, field.kind.test(word)),), word.negated))
    if len(alternatives) > 1 and not all(alternatives):
        raise QueryError("nothing stands on one side of a ' , ' (or); quote a comma that is meant")
    if not alternatives[0]:
        return Group(), sorts, room
    return Group(tuple(map(tuple, alternatives))), sorts, room


def _words(text: str) -> list[Word | None]:
    """The words of a query; None is a comma that stands alone."""
    if len(text) > MAX_LENGTH:
        raise QueryError(f"the query is longer than {MAX_LENGTH:,} characters")
    words: list[Word | None] = []
    at = 0
    while True:
        at += len(text[at:]) - len(text[at:].lstrip())
        if at == len(text):
            return words
        head = _HEAD.match(text, at)
        assert head is not None  # every part of it is optional
        start = head.end()
        quoted = text.startswith('"', start)
        body = _QUOTED.match(text, start) if quoted else _BARE.match(text, start)
        if body is None:
            raise QueryError(f"a quote is not closed, or has no space behind it: {show(text[at:])}")
        value = _ESCAPED.sub(r"\1", body[1]) if quoted else body[0]
        at = body.end()
        if head[0] + body[0] == ",":
            words.append(None)
            continue
        field = head[2].lower() if head[2] else None
        if field is None and not value.strip():
            raise QueryError("a '-' (not) needs a word behind it" if head[1] else "a word is empty")
        words.append(Word(field, head[3] or "", value, quoted, bool(head[1])))


def _field(name: str, scope: Scope) -> Field:
    field = NAMES[scope].get(name)
    if field is not None:
        return field
    for other in SCOPES:
        if name in NAMES[other]:
            raise QueryError(
                f"{name} is a field of {other}; fields of {scope} are {', '.join(FIELDS[scope])}"
            )
    raise QueryError(
        f"{scope} have no field {show(name)}{suggest(name, NAMES[scope])}; fields are {', '.join(FIELDS[scope])};"
        " a word with a colon in it needs quotes"
    )


def _sort(word: Word, scope: Scope) -> Sort | None:
    match = None if word.quoted else _SORT.fullmatch(word.value)
    if match is None:
        return None
    name, direction = match[1].lower(), match[2]
    field = NAMES[scope].get(name)
    if field is None:
        known = [key for key, one in FIELDS[scope].items() if one.kind.sortable]
        raise QueryError(
            f"{scope} cannot be sorted by {show(match[1])}{suggest(name, known)}; fields are"
            f" {', '.join(known)}; a word that ends in {direction} needs quotes"
        )
    if not field.kind.sortable:
        raise QueryError(f"{scope} cannot be sorted by {field.name}, which may have many values")
    if word.negated:
        raise QueryError(f"a sort cannot be negated; write {name}- or {name}+")
    return Sort(field, direction == "-")


def _anywhere(word: Word, scope: Scope) -> Term:
    needle = fold(word.value)
    if not needle:
        raise QueryError("a word is empty")
    told = None if word.quoted else _NO_COLON.fullmatch(word.value)
    if told is not None and told[1].lower() in NAMES[scope]:
        raise QueryError(
            f"a field needs a colon: {show(f'{told[1]}:{told[2]}')}; a word that is meant so needs quotes"
        )
    fields = FIELDS[scope]
    return Term(((fields["target"], Names(needle)), (fields["path"], Names(needle))), word.negated)


def _saved(word: Word, saved: Mapping[str, str] | None) -> str:
    if word.operator or not word.value:
        raise QueryError("query: needs the name of a saved query, like query:best")
    if saved is None or (not saved and word.value not in saved):
        raise QueryError(f"query: there is no saved query {show(word.value)} to use here")
    if word.value not in saved:
        raise QueryError(
            f"query: {show(word.value)} is not saved{suggest(word.value, saved)}; saved are"
            f" {', '.join(sorted(saved)[:20])}"
        )
    return saved[word.value]


__all__ = ["FIELDS", "Query", "QueryError", "parse"]
