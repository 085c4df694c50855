"""Writes FITS results band by band; the way to disk is `astrotui.frames.atomic`'s."""

import math
import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from astrotui.errors import OutputError
from astrotui.frames.atomic import PartFile, check_output, part_path, remove_leftovers, write_bytes_atomic
from astrotui.text import clean

if TYPE_CHECKING:
    from astropy.io.fits import Header

__all__ = ["FitsWriter", "check_output", "part_path", "remove_leftovers", "write_bytes_atomic"]

BLOCK = 2880
CARDS_A_BLOCK = 36
_BITPIX = {"u1": 8, "i2": 16, "u2": 16, "i4": 32, "f4": -32, "f8": -64}
_STRUCTURE = frozenset(
    "SIMPLE XTENSION BITPIX NAXIS EXTEND PCOUNT GCOUNT BZERO BSCALE BLANK CHECKSUM DATASUM END EXTNAME".split()
)

Card = tuple[str, Any, str]


class FitsWriter:
    """A FITS file of one image and image extensions, written in bands of rows in any order.

    Rows that are never written are zero. As a context manager it aborts unless `commit` was called.

    Parameters
    ----------
    path : the target
    primary_shape : (H, W) or (planes, H, W); float32
    header : cards of the primary header as (keyword, value, comment), or an astropy Header; those that
        describe the structure of the data are the writer's own and are passed over
    extensions : shape and type by name, in the order of the file; uint8, int16, uint16, int32, float32, float64
    tag : names the writer; the file is `.NAME.<tag>.part` until `commit`
    overwrite : take the place of a file at `path`
    reserve_cards : room for `update_header`

    Raises
    ------
    OutputError
        The result cannot be written there; see `check_output`.
    """

    def __init__(
        self,
        path: Path,
        primary_shape: Sequence[int],
        header: "Header | Iterable[Card]" = (),
        extensions: Mapping[str, tuple[Sequence[int], DTypeLike]] | None = None,
        tag: str = "new",
        overwrite: bool = False,
        *,
        reserve_cards: int = 108,
    ) -> None:
        self.path = path
        self._units: dict[str | None, _Unit] = {}
        offset = 0
        plan: list[tuple[str | None, Sequence[int], DTypeLike]] = [(None, primary_shape, np.float32)]
        plan += [(name, shape, dtype) for name, (shape, dtype) in (extensions or {}).items()]
        for name, shape, dtype in plan:
            unit = _Unit(name, tuple(int(n) for n in shape), np.dtype(dtype), offset, has_more=len(plan) > 1)
            unit.add(header if name is None else ())
            unit.reserve(reserve_cards if name is None else CARDS_A_BLOCK // 2)
            self._units[name] = unit
            offset = unit.end
        self._size = offset
        self._part = PartFile(path, tag, overwrite, self._size)
        for unit in self._units.values():
            self._write_header(unit)

    def write_rows(self, ext: str | None, y0: int, array: NDArray[Any]) -> None:
        """Write rows from `y0` on of the primary image (None) or an extension; safe to call from threads.

        Parameters
        ----------
        array : (rows, W), or (planes, rows, W) for an image of planes

        Raises
        ------
        OutputError
            The disk is full or fails; nothing is left behind.
        ValueError
            The rows do not fit the image.
        """
        unit = self._units[ext]
        rows = array.shape[-2] if array.ndim >= 2 else 0
        if array.shape != (*unit.shape[:-2], rows, unit.shape[-1]) or not 0 <= y0 <= unit.shape[-2] - rows:
            raise ValueError(f"rows of shape {array.shape} at {y0} do not fit an image of {unit.shape}")
        planes = array if array.ndim == 3 else array[np.newaxis]
        for index, plane in enumerate(planes):
            start = unit.data + (index * unit.shape[-2] + y0) * unit.shape[-1] * unit.dtype.itemsize
            self._part.write_at(unit.encode(plane), start)

    def update_header(self, cards: "Header | Iterable[Card]", ext: str | None = None) -> None:
        """Set or add cards; they reach the file at once and count until `commit`.

        Raises
        ------
        OutputError
            The header has no more room.
        """
        unit = self._units[ext]
        unit.add(cards)
        self._write_header(unit)

    def commit(self) -> None:
        """Flush the file and give it its name.

        Raises
        ------
        OutputError
            The disk fails, or the target came into being meanwhile; nothing is left behind.
        """
        self._part.commit(self._size)

    def abort(self) -> None:
        """Leave nothing behind; does nothing once committed."""
        self._part.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _write_header(self, unit: "_Unit") -> None:
        try:
            data = unit.header_bytes()
        except OverflowError:
            self.abort()
            raise OutputError(f"{clean(self.path, 500)}: the header has no room for all its cards") from None
        self._part.write_at(data, unit.start)


class _Unit:
    """One HDU: its header and where it lies."""

    def __init__(
        self, name: str | None, shape: tuple[int, ...], dtype: np.dtype[Any], start: int, has_more: bool
    ) -> None:
        from astropy.io.fits import Header

        code = f"{dtype.kind}{dtype.itemsize}"
        if code not in _BITPIX or len(shape) not in (2, 3) or min(shape) < 1:
            raise ValueError(f"an image of {shape}, {dtype} cannot be stored")
        self.shape, self.dtype, self.start = shape, dtype, start
        self.data = self.end = start
        self._unsigned = code == "u2"
        self._blocks = 0
        self.header = Header()
        first: Card = (
            ("SIMPLE", True, "conforms to FITS standard")
            if name is None
            else ("XTENSION", "IMAGE", "image extension")
        )
        cards: list[Card] = [first, ("BITPIX", _BITPIX[code], "bits per pixel")]
        cards.append(("NAXIS", len(shape), "number of axes"))
        cards += [(f"NAXIS{i}", length, "") for i, length in enumerate(reversed(shape), start=1)]
        if name is not None:
            cards += [("PCOUNT", 0, ""), ("GCOUNT", 1, ""), ("EXTNAME", name, "")]
        elif has_more:
            cards.append(("EXTEND", True, "extensions follow"))
        if self._unsigned:
            cards += [("BZERO", 32768, "unsigned 16-bit"), ("BSCALE", 1, "")]
        for card in cards:
            self.header.append(card, end=True)

    def add(self, cards: "Header | Iterable[Card]") -> None:
        """Set or add cards, each made safe for a FITS header."""
        entries = getattr(cards, "cards", cards)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # long keywords become HIERARCH, long comments are cut
            for entry in entries:
                key, value, comment = (*entry, "")[:3]
                key = _ascii(key).upper().removeprefix("HIERARCH ").strip()
                if key in _STRUCTURE or (key.startswith("NAXIS") and key[5:].isdigit()):
                    continue
                if not key:
                    continue
                if key in ("HISTORY", "COMMENT"):
                    self.header.append((key, _ascii(value)), end=True)
                else:
                    self.header[key] = (_safe(value), _ascii(comment))

    def reserve(self, cards: int) -> None:
        """Fix the header's size with room for `cards` more, and so where the data lie."""
        count = len(self._text()) // 80
        self._blocks = math.ceil((count + cards + 1) / CARDS_A_BLOCK)
        self.data = self.start + self._blocks * BLOCK
        nbytes = math.prod(self.shape) * self.dtype.itemsize
        self.end = self.data + math.ceil(nbytes / BLOCK) * BLOCK

    def header_bytes(self) -> bytes:
        """The header padded with blank cards to its reserved size; OverflowError when it is too long."""
        text = self._text()
        room = self._blocks * BLOCK - 80
        if len(text) > room:
            raise OverflowError
        return (text.ljust(room) + "END".ljust(80)).encode("ascii")

    def _text(self) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(self.header.tostring(sep="", endcard=False, padding=False))

    def encode(self, plane: NDArray[Any]) -> memoryview:
        """Big-endian bytes of rows."""
        if self._unsigned:
            values = np.bitwise_xor(plane.astype(np.uint16, casting="same_kind"), np.uint16(0x8000))
            stored = values.astype(">u2", order="C")
        else:
            stored = plane.astype(self.dtype.newbyteorder(">"), casting="same_kind", order="C")
        return stored.reshape(-1).view(np.uint8).data


def _ascii(value: object) -> str:
    """Text as FITS allows it: printable ASCII; accents are dropped, other letters become `?`."""
    plain = unicodedata.normalize("NFKD", clean(value, 2000))
    without = "".join(ch for ch in plain if not unicodedata.combining(ch))
    return without.replace("…", "...").encode("ascii", "replace").decode("ascii")


def _safe(value: Any) -> Any:
    """A header value that FITS can hold; numbers that are not finite become undefined."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return None if type(value).__name__ == "Undefined" else _ascii(value)  # astropy's own word for None
