"""How text is compared: Python functions that SQLite calls too, so that both judge alike."""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any


def soften(text: object) -> str:
    """`text` without differences of case or of Unicode form."""
    plain = text if isinstance(text, str) else str(text)
    if plain.isascii():
        return plain.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).casefold())


def fold(text: object) -> str:
    """`text` without differences of case, Unicode form or spaces: "M 51" and "m51" are equal."""
    plain = text if isinstance(text, str) else str(text)
    if plain.isascii():
        return plain.lower().replace(" ", "")  # as SQLite itself can do it: `terms` relies on that
    return "".join(soften(plain).split())


def contains(value: object, needle: str) -> bool:
    """Whether folded `needle` occurs in `value`; an unknown value contains nothing."""
    return value is not None and needle in fold(value)


def names(value: object, needle: str) -> bool:
    """Whether folded `needle` occurs in `value` as a name.

    A name of letters and a closing number is found whole, as people mean it: "m1" is in "Crab M 1" and
    neither in "M 13" nor in "AM 1". Anything else may be a part of a word.
    """
    if value is None or needle not in fold(value):
        return False
    pattern = _whole_name(needle)
    return pattern is None or pattern.search(soften(value)) is not None


@lru_cache(maxsize=256)
def _whole_name(needle: str) -> re.Pattern[str] | None:
    if not is_whole_name(needle):
        return None
    return re.compile(r"(?<![^\W\d_])" + r"\s*".join(map(re.escape, needle)) + r"(?!\d)")


def is_whole_name(needle: str) -> bool:
    """Whether folded `needle` is letters and a closing number, so that `names` wants it whole."""
    return bool(needle and needle[0].isalpha() and needle[-1].isdigit())


def some_equals(values: Iterable[object] | None, needle: str) -> bool:
    """Whether one of `values` is folded `needle`."""
    return any(fold(value) == needle for value in values or ())


def some_contains(values: Iterable[object] | None, needle: str) -> bool:
    """Whether folded `needle` occurs in one of `values`."""
    return any(contains(value, needle) for value in values or ())


def _sql_fold(value: Any) -> str | None:
    return None if value is None else fold(value)


def _sql_join(array: str | None, *more: str | None) -> str:
    """A JSON array with further texts behind it, unknown ones left out."""
    known = [text for text in more if text]
    return json.dumps([*_items(array), *known]) if known else array or "[]"


def _items(array: str | None) -> list[object]:
    items = json.loads(array) if array and array != "[]" else None
    return items if isinstance(items, list) else []


# Name in SQL, number of arguments, function. All are deterministic.
SQL_FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("astro_fold", 1, _sql_fold),
    ("astro_contains", 2, contains),
    ("astro_names", 2, names),
    ("astro_join", -1, _sql_join),
    ("astro_some_equals", 2, lambda array, needle: some_equals(_items(array), needle)),
    ("astro_some_contains", 2, lambda array, needle: some_contains(_items(array), needle)),
)


def register(connection: sqlite3.Connection) -> None:
    """Make the functions known to `connection`."""
    for name, arguments, function in SQL_FUNCTIONS:
        connection.create_function(name, arguments, function, deterministic=True)
