"""FITS files, read fast and with bounded work: their headers, and where the first image lies.

The index reads thousands of headers a second, so this parser loads no FITS library, reads the header's blocks
and one block of pixels, and looks at a card's value only when somebody asks for it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from astrotui.errors import FrameError
from astrotui.frames.cards import CARD, Header
from astrotui.frames.sources import FdSource, GzipSource, Source, open_regular
from astrotui.frames.values import clean, number

BLOCK = 2880
FIRST_READ = 4 * BLOCK
MAX_HEADER_BYTES = 512 * BLOCK  # 18,432 cards: ten times the longest header seen
MAX_HDUS = 64
MAX_PIXELS = 2**31  # of one image; more is no photograph
_BITPIX = (8, 16, 32, 64, -32, -64)
_COMPRESSIONS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1", "NOCOMPRESS")


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
