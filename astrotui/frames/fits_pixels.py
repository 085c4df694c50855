"""Pixels of FITS files: plain ones by `pread`, gzipped ones from memory, tiles through astropy."""

import io
import threading
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from astrotui.errors import FrameError
from astrotui.frames.bands import MAX_DECODED_PIXELS, FrameReader, Pixels, check_band
from astrotui.frames.headers import BLOCK, FitsImage, read_fits
from astrotui.frames.sources import FdSource, RegularFile, open_regular

_STORED = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_WIDE_GAP = 32 * 1024  # bytes of a row worth skipping by a read of its own


def open_fits(path: Path | str, hdu: int = 0) -> FrameReader:
    """Open the image of a FITS file; see `astrotui.frames.pixels.open_frame`."""
    image = read_fits(path, hdu)
    if image.compressed:
        return _TiledReader(path, image)
    if image.gzipped:
        return _GzipReader(path, image)
    return _PlainReader(path, image)


class _FitsReader(ABC):
    """What the readers share: sizes, and the way from stored to physical values."""

    def __init__(self, path: Path | str, image: FitsImage) -> None:
        self.path = Path(path)
        self.width, self.height, self.planes = image.width, image.height, image.planes
        self._image = image
        self._unsigned = (
            image.bitpix == 16 and image.bzero == 32768 and image.bscale == 1 and image.blank is None
        )
        self.dtype: np.dtype[Any] = np.dtype(np.uint16 if self._unsigned else np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give the file back; a second call does nothing."""

    def _physical(self, stored: Pixels) -> Pixels:
        """New native array of physical values from stored ones."""
        if self._unsigned:
            # Two's complement plus 32768 flips the top bit.
            values = stored.view(stored.dtype.str.replace("i", "u")).astype(np.uint16, order="C")
            np.bitwise_xor(values, np.uint16(0x8000), out=values)
            return values
        image = self._image
        if image.bscale == 1 and image.bzero == 0:
            result = stored.astype(np.float32, order="C")
        else:
            wide = stored.astype(np.float64, order="C")
            wide *= image.bscale
            wide += image.bzero
            result = wide.astype(np.float32)
        if image.blank is not None:
            result[stored == image.blank] = np.nan
        return result


class _FlatReader(_FitsReader):
    """Rows that lie one behind the other."""

    @abstractmethod
    def _bytes(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes of the decompressed file."""

    def read(self, y0: int, y1: int, x0: int = 0, x1: int | None = None) -> Pixels:
        """See `FrameReader.read`."""
        end = check_band(self, y0, y1, x0, x1)
        if self.planes == 1:
            return self._plane(0, y0, y1, x0, end)
        return np.stack([self._plane(plane, y0, y1, x0, end) for plane in range(self.planes)])

    def _plane(self, plane: int, y0: int, y1: int, x0: int, x1: int) -> Pixels:
        stored = np.dtype(_STORED[self._image.bitpix])
        first = self._image.offset + (plane * self.height + y0) * self.width * stored.itemsize
        row = self.width * stored.itemsize
        rows, columns = y1 - y0, x1 - x0
        if (self.width - columns) * stored.itemsize < _WIDE_GAP:
            raw = self._bytes(first, rows * row)
            table = np.frombuffer(raw, stored).reshape(rows, self.width)[:, x0:x1]
        else:
            piece = columns * stored.itemsize
            start = first + x0 * stored.itemsize
            raw = b"".join(self._bytes(start + y * row, piece) for y in range(rows))
            table = np.frombuffer(raw, stored).reshape(rows, columns)
        return self._physical(table)


class _PlainReader(_FlatReader):
    """A plain file; one descriptor, `pread` only, so threads need no lock."""

    def __init__(self, path: Path | str, image: FitsImage) -> None:
        super().__init__(path, image)
        self._file: RegularFile = open_regular(path)
        self._source = FdSource(self._file)

    def close(self) -> None:
        """Give the file back; a second call does nothing."""
        self._file.close()

    @property
    def stores_unsigned(self) -> bool:
        """Whether `read_stored` may be called: one plane of unsigned 16-bit pixels."""
        return self._unsigned and self.planes == 1

    def read_stored(self, y0: int, y1: int, into: Pixels) -> None:
        """Rows `y0` to `y1` as they lie in the file, into memory that the caller keeps.

        A pixel p is stored as the big-endian bytes of p xor 0x8000. Leaving that to whoever computes with the
        pixels saves two passes over them and a new array for each band.

        Parameters
        ----------
        into : uint16 (y1 - y0, width), C-contiguous

        Raises
        ------
        FrameError
            The file is truncated or cannot be read.
        ValueError
            The band lies outside the image, or `into` is not such an array.
        """
        check_band(self, y0, y1, 0, None)
        if into.shape != (y1 - y0, self.width) or into.dtype != np.uint16 or not into.flags.c_contiguous:
            raise ValueError(f"no room for rows {y0}:{y1} in an array of {into.shape}, {into.dtype}")
        if self._file.fd < 0:
            raise ValueError(f"{self.path}: the reader is closed")
        self._source.read_into(self._image.offset + 2 * y0 * self.width, into.reshape(-1).view(np.uint8).data)

    def _bytes(self, offset: int, count: int) -> bytes:
        if self._file.fd < 0:
            raise ValueError(f"{self.path}: the reader is closed")
        data = self._source.read(offset, count)
        if len(data) < count:
            raise FrameError(self.path, f"truncated: the file ends at byte {offset + len(data):,}")
        return data


class _GzipReader(_FlatReader):
    """A gzipped file, decompressed once, when the first band is read."""

    def __init__(self, path: Path | str, image: FitsImage) -> None:
        super().__init__(path, image)
        if image.width * image.height * image.planes > MAX_DECODED_PIXELS:
            raise FrameError(path, "too large to be decompressed into memory; gunzip it")
        self._lock = threading.Lock()
        self._data: bytes | None = None

    def close(self) -> None:
        """Forget the pixels; a second call does nothing."""
        self._data = None

    def _bytes(self, offset: int, count: int) -> bytes:
        with self._lock:
            if self._data is None:
                end = self._image.offset + self._image.data_bytes
                self._data = gunzip(self.path, end)[self._image.offset :]
            data = self._data
        start = offset - self._image.offset
        if len(data) < start + count:
            raise FrameError(
                self.path, f"truncated: {len(data):,} of {self._image.data_bytes:,} bytes of pixels"
            )
        return data[start : start + count]


def gunzip(path: Path | str, limit: int) -> bytes:
    """The first `limit` bytes of a gzipped file, or all of it if it is shorter."""
    parts: list[bytes] = []
    have = 0
    with open_regular(path) as file:
        source = FdSource(file)
        inflate = zlib.decompressobj(31)
        position = 0
        try:
            while have < limit and (feed := source.read(position, 1024**2)):
                position += len(feed)
                while feed and have < limit:
                    if inflate.eof:
                        inflate = zlib.decompressobj(31)
                    parts.append(inflate.decompress(feed, limit - have))
                    have += len(parts[-1])
                    feed = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
        except zlib.error:
            if have < limit:  # what follows the image does not matter
                raise FrameError(path, "the gzipped data are damaged") from None
    return b"".join(parts)


class _TiledReader(_FitsReader):
    """A tile-compressed image through astropy, which decodes only the tiles of a band."""

    def __init__(self, path: Path | str, image: FitsImage) -> None:
        super().__init__(path, image)
        self._lock = threading.Lock()
        self._list: Any = None
        if image.gzipped and image.width * image.height * image.planes > MAX_DECODED_PIXELS:
            raise FrameError(path, "too large to be decompressed into memory; gunzip it")

    def close(self) -> None:
        """Give the file back; a second call does nothing."""
        with self._lock:
            if self._list is not None:
                self._list.close()
                self._list = None

    def read(self, y0: int, y1: int, x0: int = 0, x1: int | None = None) -> Pixels:
        """See `FrameReader.read`."""
        end = check_band(self, y0, y1, x0, x1)
        if y0 == y1 or x0 == end:
            shape = (y1 - y0, end - x0) if self.planes == 1 else (self.planes, y1 - y0, end - x0)
            return np.empty(shape, self.dtype)
        with self._lock:
            try:
                section = self._section()
                while len(section.shape) > (2 if self.planes == 1 else 3):
                    section = _Squeezed(section)
                band = section[y0:y1, x0:end] if self.planes == 1 else section[:, y0:y1, x0:end]
            except (MemoryError, FrameError):
                raise
            except Exception as error:  # the decoder meets whatever a damaged file holds
                reason = " ".join(str(error).split())[:120] or type(error).__name__
                raise FrameError(self.path, f"the compressed image is damaged: {reason}") from error
        return self._scaled(np.asarray(band))

    def _section(self) -> Any:
        if self._list is None:
            import warnings

            from astropy.io import fits

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                source: Any = self.path
                if self._image.gzipped:
                    end = self._image.offset + self._image.data_bytes
                    source = io.BytesIO(gunzip(self.path, -(-end // BLOCK) * BLOCK))
                self._list = fits.open(source, memmap=False, do_not_scale_image_data=True)
        return self._list[self._image.hdu].section

    def _scaled(self, band: Pixels) -> Pixels:
        if band.dtype.kind == "f":  # dequantized, with its missing pixels NaN
            if self._image.bscale != 1 or self._image.bzero != 0:
                band = band.astype(np.float64) * self._image.bscale + self._image.bzero
            return band.astype(np.float32, order="C")
        native = np.ascontiguousarray(band.astype(band.dtype.newbyteorder("=")))
        return self._physical(native)


class _Squeezed:
    """A section without its first axis, which is 1 long."""

    def __init__(self, section: Any) -> None:
        self._section = section
        self.shape = section.shape[1:]

    def __getitem__(self, key: Any) -> Any:
        return self._section[(0, *key)]
