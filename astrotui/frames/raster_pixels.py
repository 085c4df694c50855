"""Pixels of TIFF and PNG files, and of what is decoded whole: rows of a plain TIFF by `pread`."""

import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from astrotui.errors import FrameError
from astrotui.frames.bands import MAX_DECODED_PIXELS, FrameReader, Pixels, check_band
from astrotui.frames.png import read_png_header
from astrotui.frames.sources import FdSource, RegularFile, open_regular
from astrotui.frames.values import clean

_TAGS = (
    "Make",
    "Model",
    "Software",
    "ExposureTime",
    "ISOSpeedRatings",
    "FocalLength",
    "DateTimeOriginal",
    "OffsetTimeOriginal",
)


def open_tiff(path: Path | str) -> FrameReader:
    """Open a TIFF; see `astrotui.frames.pixels.open_frame`."""
    layout = tiff_layout(path)
    if layout.offset is not None:
        return _PlainTiffReader(path, layout)
    return DecodedReader(path, (layout.planes, layout.height, layout.width), layout.dtype, decode_tiff)


def open_png(path: Path | str) -> FrameReader:
    """Open a 16-bit mono PNG; see `astrotui.frames.pixels.open_frame`."""
    width, height = _png_size(path)
    return DecodedReader(path, (1, height, width), np.dtype(np.uint16), _decode_png)


class _RasterReader:
    """What the readers share."""

    def __init__(self, path: Path | str, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self.path = Path(path)
        self.planes, self.height, self.width = shape
        self.dtype = dtype

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; a second call does nothing."""


class DecodedReader(_RasterReader):
    """A file that is decoded as a whole, when its first band is read."""

    def __init__(
        self,
        path: Path | str,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        decode: Callable[[Path], Pixels],
    ) -> None:
        super().__init__(path, shape, dtype)
        if shape[0] * shape[1] * shape[2] > MAX_DECODED_PIXELS:
            raise FrameError(path, f"{self.width} x {self.height} pixels are too many to decode in memory")
        self._decode = decode
        self._lock = threading.Lock()
        self._image: Pixels | None = None

    def close(self) -> None:
        """Forget the pixels; a second call does nothing."""
        self._image = None

    def read(self, y0: int, y1: int, x0: int = 0, x1: int | None = None) -> Pixels:
        """See `FrameReader.read`."""
        end = check_band(self, y0, y1, x0, x1)
        with self._lock:
            if self._image is None:
                image = self._decode(self.path)
                wanted = (self.height, self.width) if self.planes == 1 else (3, self.height, self.width)
                if image.shape != wanted:
                    raise FrameError(self.path, "the pixels do not have the size that the header tells")
                self._image = image
            image = self._image
        return np.array(image[..., y0:y1, x0:end], dtype=self.dtype, order="C")


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """How the first image of a TIFF is stored.

    Attributes
    ----------
    planes : 1 or 3
    interleaved : color samples lie side by side, (H, W, samples)
    samples : stored samples a pixel, a fourth (alpha) is not read
    kind, bits : of a sample, "u", "i" or "f"
    stored : numpy name of the sample's type with its byte order
    offset : of the first pixel when all lie behind one another uncompressed, else None
    profile : the file carries a color profile
    tags : EXIF and TIFF tags by name
    """

    width: int
    height: int
    planes: int
    interleaved: bool
    samples: int
    kind: str
    bits: int
    stored: str
    offset: int | None
    profile: bool
    tags: dict[str, Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what readers give."""
        return np.dtype(np.uint16 if self.kind == "u" and self.bits <= 16 else np.float32)


def tiff_layout(path: Path | str) -> TiffLayout:
    """Where the pixels of a TIFF's first image lie.

    Raises
    ------
    FrameError
        The file is not TIFF, damaged, of an unusual kind, or claims an absurd size.
    """
    import tifffile

    with open_regular(path) as file:  # refuses what is no regular file before tifffile opens it
        size = file.size
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            return _layout(path, page, size, tiff.byteorder)
    except (FrameError, MemoryError):
        raise
    except Exception as error:  # tifffile meets whatever a damaged file holds
        raise FrameError(path, f"not a usable TIFF: {one_line(error)}") from error


def _layout(path: Path | str, page: Any, size: int, byteorder: str) -> TiffLayout:
    samples = int(page.samplesperpixel)
    width, height = int(page.imagewidth), int(page.imagelength)
    if width <= 0 or height <= 0 or width * height * samples > MAX_DECODED_PIXELS:
        raise FrameError(path, f"the header claims {width} x {height} pixels of {samples} samples")
    if samples not in (1, 3, 4) or int(page.imagedepth) != 1 or page.photometric == 3:
        raise FrameError(path, f"a TIFF of {samples} samples a pixel is neither mono nor color")
    if page.dtype is None or page.dtype.kind not in "uif" or page.dtype.itemsize > 8:
        raise FrameError(path, f"samples of {page.bitspersample} bits are not understood")
    bits = page.dtype.itemsize * 8
    if page.bitspersample != bits:
        raise FrameError(path, f"samples of {page.bitspersample} bits are not understood")
    needed = width * height * samples * bits // 8
    offset = None
    if page.is_contiguous and int(page.compression) == 1 and int(page.fillorder) == 1:
        offset = int(page.dataoffsets[0])
        if offset + needed > size:
            raise FrameError(path, f"truncated: {max(0, size - offset):,} of {needed:,} bytes of pixels")
    return TiffLayout(
        width=width,
        height=height,
        planes=1 if samples == 1 else 3,
        interleaved=int(page.planarconfig) == 1,
        samples=samples,
        kind=page.dtype.kind,
        bits=bits,
        stored=page.dtype.newbyteorder(byteorder).str,
        offset=offset,
        profile=34675 in page.tags,
        tags=page_tags(page),
    )


def page_tags(page: Any) -> dict[str, Any]:
    """The tags that tell of an exposure, from a TIFF page and its EXIF."""
    found: dict[str, Any] = {}
    exif = page.tags.get("ExifTag")
    nested = exif.value if exif is not None and isinstance(exif.value, dict) else {}
    for name in _TAGS:
        tag = page.tags.get(name)
        value = nested.get(name) if tag is None else tag.value
        if value is not None:
            found[name] = value
    return found


class _PlainTiffReader(_RasterReader):
    """An uncompressed TIFF, read row by row."""

    def __init__(self, path: Path | str, layout: TiffLayout) -> None:
        super().__init__(path, (layout.planes, layout.height, layout.width), layout.dtype)
        self._layout = layout
        self._file: RegularFile = open_regular(path)
        self._source = FdSource(self._file)

    def close(self) -> None:
        """Give the file back; a second call does nothing."""
        self._file.close()

    def read(self, y0: int, y1: int, x0: int = 0, x1: int | None = None) -> Pixels:
        """See `FrameReader.read`."""
        end = check_band(self, y0, y1, x0, x1)
        layout = self._layout
        if layout.planes == 1 or layout.interleaved:
            table = self._rows(0, y0, y1, layout.samples)[:, x0:end]
            band = table[..., 0] if layout.planes == 1 else np.moveaxis(table[..., :3], 2, 0)
        else:
            band = np.stack([self._rows(p, y0, y1, 1)[:, x0:end, 0] for p in range(3)])
        return np.array(band, dtype=self.dtype, order="C")

    def _rows(self, plane: int, y0: int, y1: int, samples: int) -> Pixels:
        if self._file.fd < 0:
            raise ValueError(f"{self.path}: the reader is closed")
        stored = np.dtype(self._layout.stored)
        row = self.width * samples * stored.itemsize
        count = (y1 - y0) * row
        data = self._source.read((self._layout.offset or 0) + (plane * self.height + y0) * row, count)
        if len(data) < count:
            raise FrameError(self.path, "truncated: the file ends inside its pixels")
        return np.frombuffer(data, stored).reshape(y1 - y0, self.width, samples)


def decode_tiff(path: Path) -> Pixels:
    """A compressed or tiled TIFF's first image, (H, W) or (3, H, W).

    tifffile alone knows deflate, PackBits and LZMA; LZW and others need imagecodecs, and for mono and 8-bit
    images Pillow stands in.
    """
    import tifffile

    layout = tiff_layout(path)
    try:
        with tifffile.TiffFile(path) as tiff:
            image = np.asarray(tiff.pages.first.asarray())
    except MemoryError:
        raise
    except Exception as error:
        if "imagecodecs" not in str(error) or (layout.bits != 8 and layout.samples != 1):
            raise FrameError(path, f"the pixels cannot be decoded: {one_line(error)}") from error
        image = _pillow(path)
    image = image.reshape([n for n in image.shape if n != 1] if image.ndim > 3 else image.shape)
    if image.ndim == 3:
        image = np.moveaxis(image[..., :3], 2, 0) if layout.interleaved else image[:3]
    return image


def _pillow(path: Path) -> Pixels:
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size has been judged already
            with Image.open(path) as picture:
                return np.asarray(picture)
    except MemoryError:
        raise
    except Exception as error:
        raise FrameError(path, f"the pixels cannot be decoded: {one_line(error)}") from error


def _png_size(path: Path | str) -> tuple[int, int]:
    with open_regular(path) as file:
        size, bits, color, _ = read_png_header(Path(path), FdSource(file))
    if bits != 16 or color != 0:
        raise FrameError(path, "only 16-bit mono PNG can be read without losing depth")
    return size


def _decode_png(path: Path) -> Pixels:
    return _pillow(path).astype(np.uint16)


def one_line(error: Exception) -> str:
    """What a decoder's error says, as one clean line."""
    if isinstance(error, struct.error):
        return "the file is damaged"
    said = error.args[0] if error.args and isinstance(error.args[0], bytes) else str(error)
    return (
        clean(said.decode("ascii", "replace") if isinstance(said, bytes) else said, 120)
        or type(error).__name__
    )
