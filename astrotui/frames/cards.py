"""The cards of a FITS header, and keywords of other formats that are asked in the same way."""

import re
from collections.abc import Container
from functools import lru_cache
from typing import NamedTuple, Protocol

from astrotui.frames.values import Value, clean, number

CARD = 80
MAX_STRING = 10_000  # characters of a string that goes on over many cards
CARDS_KEPT = 4096  # read cards that are remembered: those of some dozens of sessions, 2 MB

_STRING = re.compile(r" *'((?:[^']|'')*)'")
_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?")


class Keywords(Protocol):
    """What is known of a file by FITS keyword, whatever its format."""

    def get(self, key: str) -> Value:
        """The value as stored; None when absent, empty or broken."""

    def text(self, *keys: str) -> str | None:
        """The first of `keys` with text in it, cleaned for a terminal."""

    def number(self, *keys: str) -> float | None:
        """The first of `keys` with a finite number."""

    def comment(self, key: str) -> str:
        """The comment of a card, empty when there is none."""


class KeywordTable:
    """Keywords of a file that is not FITS, as a plain mapping."""

    def __init__(self, values: dict[str, Value]) -> None:
        self._values = values

    def get(self, key: str) -> Value:
        """The value as stored; None when absent."""
        return self._values.get(key)

    def text(self, *keys: str) -> str | None:
        """The first of `keys` with text in it, cleaned for a terminal."""
        return next((word for key in keys if (word := _word(self._values.get(key)))), None)

    def number(self, *keys: str) -> float | None:
        """The first of `keys` with a finite number; text such as `1/400` or `9,78E-03` counts."""
        return next((n for key in keys if (n := number(self._values.get(key))) is not None), None)

    def comment(self, key: str) -> str:
        """Files that are not FITS comment nothing."""
        return ""


class Card(NamedTuple):
    """What one card tells, read once: most cards of a night's frames are equal.

    Attributes
    ----------
    value : as stored; None for a card without one, or a broken one
    word : the value as text, cleaned for a terminal; None when there is none
    number : the value as a finite number
    comment : what stands behind the slash
    """

    value: Value
    word: str | None
    number: float | None
    comment: str


_NO_CARD = Card(None, None, None, "")


def _word(value: Value) -> str | None:
    return None if value is None or isinstance(value, bool) else clean(value) or None


def _card(cards: str) -> Card:
    """One card, with the CONTINUE cards of a long string behind it."""
    value, rest = _parse(cards)
    return Card(value, _word(value), number(value), rest.partition("/")[2].strip())


_remembered = lru_cache(maxsize=CARDS_KEPT)(_card)


def _parse(cards: str) -> tuple[Value, str]:
    card = cards[:CARD]
    if card[8] == "=":
        body = card[9:]
    elif card.startswith("HIERARCH"):
        body = card.partition("=")[2]
    else:
        return None, ""
    if match := _STRING.match(body):
        return _string(match[1], cards), body[match.end() :]
    word, slash, comment = body.partition("/")
    word = word.strip()
    rest = slash + comment
    if word in ("T", "F"):
        return word == "T", rest
    if _INTEGER.fullmatch(word):
        return int(word), rest
    if _FLOAT.fullmatch(word):
        return float(word.replace("D", "E").replace("d", "e")), rest
    return None, rest


def _string(first: str, cards: str) -> str:
    """A string with its CONTINUE cards, quotes undoubled, trailing blanks gone."""
    value, start = first, CARD
    while value.rstrip().endswith("&") and len(value) < MAX_STRING:
        card = cards[start : start + CARD]
        more = _STRING.match(card[8:]) if card.startswith("CONTINUE") else None
        if more is None:
            break
        value = value.rstrip()[:-1] + more[1]
        start += CARD
    return value.rstrip().replace("''", "'")


class Header:
    """The cards of one HDU. Of a repeated keyword the first counts; broken cards have no value.

    Parameters
    ----------
    cards : the header up to END, decoded as Latin-1, a whole number of 80-character cards
    inherit : the primary header, asked for keywords that an extension does not have
    """

    __slots__ = ("_at", "_cards", "_inherit")

    def __init__(self, cards: str, inherit: "Header | None" = None) -> None:
        self._cards = cards
        self._inherit = inherit
        starts = range(0, len(cards) - CARD + 1, CARD)
        keys = [cards[start : start + 8].rstrip() for start in starts]
        if "HIERARCH" in keys:
            keys = [
                _long_key(cards, start) if key == "HIERARCH" else key
                for key, start in zip(keys, starts, strict=True)
            ]
        # The last of equal keys stays in a dictionary, and the first card counts.
        self._at = dict(zip(reversed(keys), reversed(starts), strict=True))

    def __contains__(self, key: str) -> bool:
        return key in self._at

    def keywords(self) -> list[str]:
        """Keywords of this HDU in the order of their first card, commentary included."""
        return sorted(self._at, key=self._at.__getitem__)

    def raw(self) -> str:
        """All cards as they stand."""
        return self._cards

    def only(self, keywords: Container[str]) -> "tuple[str, Header] | None":
        """The cards of `keywords` as they stand, and a header in which one finds these alone.

        Headers with equal first parts have second parts that answer alike, but for `raw`. None where cards do
        not stand for themselves: strings that go on, keywords that another header has.
        """
        if self._inherit is not None or "CONTINUE" in self._at:
            return None
        cards = self._cards
        at = {key: start for key, start in self._at.items() if key in keywords}
        view = Header("")
        view._cards, view._at = cards, at
        return "".join([cards[start : start + CARD] for start in at.values()]), view

    def own(self, key: str) -> Value:
        """The value in this HDU alone."""
        start = self._at.get(key)
        return None if start is None else self._read(start).value

    def get(self, key: str) -> Value:
        """The value as stored; None when absent, empty or broken."""
        return self._find(key).value

    def text(self, *keys: str) -> str | None:
        """The first of `keys` with text in it, cleaned for a terminal."""
        for key in keys:
            if (start := self._at.get(key)) is not None:
                word = self._read(start).word
            elif self._inherit is not None:
                word = self._inherit.text(key)
            else:
                continue
            if word is not None:
                return word
        return None

    def number(self, *keys: str) -> float | None:
        """The first of `keys` with a finite number; text such as `1/400` or `9,78E-03` counts."""
        for key in keys:
            if (start := self._at.get(key)) is not None:
                found = self._read(start).number
            elif self._inherit is not None:
                found = self._inherit.number(key)
            else:
                continue
            if found is not None:
                return found
        return None

    def comment(self, key: str) -> str:
        """The comment of a card, empty when there is none."""
        return self._find(key).comment

    def _find(self, key: str) -> Card:
        start = self._at.get(key)
        if start is not None:
            return self._read(start)
        return _NO_CARD if self._inherit is None else self._inherit._find(key)

    def _read(self, start: int) -> Card:
        end = start + CARD
        card = self._cards[start:end]
        if self._cards.startswith("CONTINUE", end):  # long strings differ, and there is no end to them
            return _card(self._cards[start : end + MAX_STRING])
        return _remembered(card)


def _long_key(cards: str, start: int) -> str:
    """The keyword of a HIERARCH card."""
    name, equals, _ = cards[start + 8 : start + CARD].partition("=")
    return name.strip().upper() if equals else ""
