"""FITS headers, read fast and with bounded work: cards, and where the first image of a file lies.

The index reads thousands of headers a second, so this parser loads no FITS library, reads the header's blocks
and one block of pixels, and looks at a card's value only when somebody asks for it.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

from astrotui.errors import FrameError
from astrotui.frames.sources import FdSource, GzipSource, Source, open_regular
from astrotui.frames.values import Value, clean, number

BLOCK = 2880
CARD = 80
FIRST_READ = 4 * BLOCK
MAX_HEADER_BYTES = 512 * BLOCK  # 18,432 cards: ten times the longest header seen
MAX_STRING = 10_000  # characters of a string that goes on over many cards
CARDS_KEPT = 4096  # read cards that are remembered: those of some dozens of sessions, 2 MB
MAX_HDUS = 64
MAX_PIXELS = 2**31  # of one image; more is no photograph
_BITPIX = (8, 16, 32, 64, -32, -64)
_COMPRESSIONS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1", "NOCOMPRESS")

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


@dataclass(frozen=True, slots=True)
class FitsImage:
    """Where and how the first image of a FITS file is stored.

    Attributes
    ----------
    hdu : index of its HDU
    offset, data_bytes : of its pixels or tiles, in bytes of the decompressed file
    bitpix, width, height, planes : of the image, also when it is tile-compressed
    bscale, bzero, blank : physical = bzero + bscale * stored; `blank` marks missing integers
    compressed : stored as tiles in a binary table
    gzipped : the file as a whole is gzipped
    header : the image's cards; the primary header stands in for what they lack
    digest : of all header bytes up to the image and its first block of pixels, 40 hex characters; pixels are
        in it because some telescopes write equal headers into all frames of a set
    """

    hdu: int
    offset: int
    data_bytes: int
    bitpix: int
    width: int
    height: int
    planes: int
    bscale: float
    bzero: float
    blank: int | None
    compressed: bool
    gzipped: bool
    header: Header
    digest: str


def read_fits(path: Path | str, hdu: int = 0) -> FitsImage:
    """Find the first image in a FITS file, or the one in HDU `hdu` if that is not 0.

    Raises
    ------
    FrameError
        The file is not FITS, has no image, is truncated, or claims an absurd size.
    """
    with open_regular(path) as file:
        if file.size == 0:
            raise FrameError(path, "the file is empty")
        source: Source = FdSource(file)
        gzipped = source.read(0, 2) == b"\x1f\x8b"
        if gzipped:
            source = GzipSource(file)
        return _Walk(path, source, gzipped).find(hdu)


class _Walk:
    """Goes from HDU to HDU."""

    def __init__(self, path: Path | str, source: Source, gzipped: bool) -> None:
        self.path = path
        self.source = source
        self.gzipped = gzipped
        self.hash = hashlib.blake2b(digest_size=20)

    def find(self, wanted: int) -> FitsImage:
        offset = 0
        primary: Header | None = None
        for index in range(MAX_HDUS):
            header, data = self._header(offset, primary)
            if header is None:
                break
            if index >= wanted and (image := self._image(header, index, data)):
                return image
            offset = data + -(-_data_bytes(header) // BLOCK) * BLOCK
            if primary is None:
                primary = header
        raise FrameError(self.path, "no image in the file" if not wanted else f"no image in HDU {wanted}")

    def _header(self, offset: int, primary: Header | None) -> tuple[Header | None, int]:
        """The header at `offset` and where its data begin; (None, 0) at the end of the file."""
        wanted = FIRST_READ
        raw = self.source.read(offset, wanted)
        expected = b"SIMPLE  =" if primary is None else b"XTENSION="
        if not raw.startswith(expected):
            if primary is None:
                raise FrameError(self.path, "not a FITS file")
            return None, 0  # nothing, or padding and special records, after the last HDU
        checked = 0
        while True:
            cards = raw.decode("latin-1")
            end = _end(cards, checked)
            if end >= 0:
                break
            if len(raw) >= MAX_HEADER_BYTES:
                raise FrameError(self.path, f"the header has no END in {len(raw) // CARD:,} cards")
            if len(raw) < wanted:
                raise FrameError(self.path, "truncated: the file ends inside its header")
            checked = len(raw) // CARD * CARD
            wanted = min(2 * wanted, MAX_HEADER_BYTES)
            raw = self.source.read(offset, wanted)
        size = -(-(end + CARD) // BLOCK) * BLOCK
        self.hash.update(raw[:size])
        return Header(cards[:end], primary), offset + size

    def _image(self, header: Header, index: int, data: int) -> FitsImage | None:
        compressed = header.own("ZIMAGE") is True
        if index and not compressed and header.own("XTENSION") != "IMAGE":
            return None
        prefix = "Z" if compressed else ""
        axes = _axes(header, prefix)
        if axes is None:
            raise FrameError(self.path, "the header does not say the size of the image")
        if len(axes) < 2 or 0 in axes:
            return None
        while len(axes) > 2 and axes[-1] == 1:
            axes.pop()
        bitpix = header.own(prefix + "BITPIX")
        if isinstance(bitpix, bool) or not isinstance(bitpix, int) or bitpix not in _BITPIX:
            raise FrameError(self.path, f"BITPIX is {clean(bitpix, 20)}")
        planes = axes[2] if len(axes) == 3 else 1
        if len(axes) > 3 or planes not in (1, 3):
            shape = clean(" x ".join(str(n) for n in axes), 60)
            raise FrameError(self.path, f"an array of {shape} is neither a mono nor a color image")
        width, height = axes[0], axes[1]
        if width * height * planes > MAX_PIXELS:
            raise FrameError(self.path, f"the header claims {clean(width, 20)} x {clean(height, 20)} pixels")
        if compressed:
            self._check_tiles(header, axes)
            needed = _data_bytes(header)
        else:
            needed = width * height * planes * abs(bitpix) // 8
        present = self.source.available(data, needed)
        if present < needed:
            raise FrameError(self.path, f"truncated: {present:,} of {needed:,} bytes of pixels")
        self.hash.update(self.source.read(data, BLOCK))
        blank = header.own("ZBLANK" if compressed and "ZBLANK" in header else "BLANK")
        return FitsImage(
            hdu=index,
            offset=data,
            data_bytes=needed,
            bitpix=bitpix,
            width=width,
            height=height,
            planes=planes,
            bscale=number(header.own("BSCALE")) or 1.0,
            bzero=number(header.own("BZERO")) or 0.0,
            blank=blank if isinstance(blank, int) and bitpix > 0 else None,
            compressed=compressed,
            gzipped=self.gzipped,
            header=header,
            digest=self.hash.hexdigest(),
        )

    def _check_tiles(self, header: Header, axes: list[int]) -> None:
        """Refuse a compressed image whose table cannot hold it, before anything is allocated for it."""
        kind = header.own("ZCMPTYPE")
        if kind not in _COMPRESSIONS:
            raise FrameError(self.path, f"compression {clean(kind, 20)!r} is not understood")
        tiles = 1
        for axis, length in enumerate(axes, start=1):
            tile = header.own(f"ZTILE{axis}")
            if tile is None:
                tile = length if axis == 1 else 1
            if isinstance(tile, bool) or not isinstance(tile, int) or not 0 < tile <= MAX_PIXELS:
                raise FrameError(self.path, f"ZTILE{axis} is {clean(tile, 20)}")
            tiles *= -(-length // tile)
        if header.own("NAXIS2") != tiles:
            raise FrameError(self.path, f"the compressed image needs {clean(tiles, 20)} tiles and has others")


def _end(cards: str, start: int) -> int:
    """Position of the END card at or after `start`, -1 when there is none."""
    at = cards.find("END", start)
    while at >= 0:
        if at % CARD == 0 and cards[at + 3 : at + 8].strip(" \0") == "" and at + CARD <= len(cards):
            return at
        at = cards.find("END", at + 1)
    return -1


def _axes(header: Header, prefix: str = "") -> list[int] | None:
    count = header.own(prefix + "NAXIS")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 999:
        return None
    axes: list[int] = []
    for axis in range(1, count + 1):
        length = header.own(f"{prefix}NAXIS{axis}")
        if isinstance(length, bool) or not isinstance(length, int) or not 0 <= length < 10**18:
            return None
        axes.append(length)
    return axes


def _data_bytes(header: Header) -> int:
    """Bytes of an HDU's data, heap included; 0 when the header does not say."""
    axes, bitpix = _axes(header), header.own("BITPIX")
    if not axes or not isinstance(bitpix, int):
        return 0
    pixels = 1
    for length in axes[1:] if axes[0] == 0 and header.own("GROUPS") is True else axes:
        pixels = min(pixels * length, 10**30)
    heap, groups = header.own("PCOUNT"), header.own("GCOUNT")
    heap = heap if isinstance(heap, int) and 0 < heap < 10**18 else 0
    groups = groups if isinstance(groups, int) and 0 < groups < 10**18 else 1
    return abs(bitpix) // 8 * groups * (heap + pixels)
