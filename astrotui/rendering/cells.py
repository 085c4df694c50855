"""A picture in half blocks: small colour cells that every terminal can show. No pixel library needed."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from astrotui.errors import AstrotuiError

RGB = tuple[int, int, int]
HALF = "▀"
_HEAD = struct.Struct(">4sHHH")
_MAGIC = b"cel1"


@dataclass(frozen=True)
class Run:
    """Neighbouring cells that look the same: `count` times an upper half block of `upper` on `lower`."""

    count: int
    upper: RGB
    lower: RGB

    @property
    def text(self) -> str:
        """What to print: blanks where both halves are equal, which terminals draw without a seam."""
        return (" " if self.upper == self.lower else HALF) * self.count


@dataclass(frozen=True)
class CellPicture:
    """Cells of a picture, two pixels above each other in each.

    Attributes
    ----------
    columns, rows : size in cells
    palette : the colours
    pixels : one byte a pixel, an index into the palette; 2 * rows lines of `columns`
    """

    columns: int
    rows: int
    palette: tuple[RGB, ...]
    pixels: bytes

    def __post_init__(self) -> None:
        if len(self.pixels) != 2 * self.rows * self.columns:
            raise AstrotuiError("a picture in cells does not hold what its head says")
        if self.pixels and max(self.pixels) >= len(self.palette):
            raise AstrotuiError("a picture in cells names a color that it does not have")

    def runs(self, row: int) -> Iterator[Run]:
        """The runs of one row of cells, from left to right."""
        start = 2 * row * self.columns
        upper = self.pixels[start : start + self.columns]
        lower = self.pixels[start + self.columns : start + 2 * self.columns]
        before, count = None, 0
        for pair in zip(upper, lower, strict=True):
            if pair == before:
                count += 1
                continue
            if before is not None:
                yield Run(count, self.palette[before[0]], self.palette[before[1]])
            before, count = pair, 1
        if before is not None:
            yield Run(count, self.palette[before[0]], self.palette[before[1]])

    def ansi(self) -> str:
        """The picture as text with 24-bit SGR sequences, a line a row; what a terminal is sent."""
        lines = []
        for row in range(self.rows):
            parts = []
            for run in self.runs(row):
                front = "" if run.upper == run.lower else "38;2;{};{};{};".format(*run.upper)
                parts.append(
                    f"\x1b[{front}48;2;{run.lower[0]};{run.lower[1]};{run.lower[2]}m{run.text}\x1b[0m"
                )
            lines.append("".join(parts))
        return "\n".join(lines)

    def to_bytes(self) -> bytes:
        """Bytes for `from_bytes`."""
        head = _HEAD.pack(_MAGIC, self.columns, self.rows, len(self.palette))
        return head + bytes(value for color in self.palette for value in color) + self.pixels

    @classmethod
    def from_bytes(cls, data: bytes) -> "CellPicture":
        """The picture that `to_bytes` wrote.

        Raises
        ------
        AstrotuiError : the bytes are no picture
        """
        if len(data) < _HEAD.size or not data.startswith(_MAGIC):
            raise AstrotuiError("these bytes are no picture in cells")
        _, columns, rows, colors = _HEAD.unpack_from(data)
        at = _HEAD.size + 3 * colors
        table = data[_HEAD.size : at]
        palette = tuple((table[i], table[i + 1], table[i + 2]) for i in range(0, len(table) - 2, 3))
        return cls(columns, rows, palette, data[at:])
