"""Pixels of camera raw files, through LibRaw where the `raw` extra is installed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astrotui.errors import FrameError
from astrotui.frames.bands import MAX_DECODED_PIXELS, FrameReader, Pixels
from astrotui.frames.mosaic import PATTERNS
from astrotui.frames.names import raw_supported
from astrotui.frames.raster_pixels import DecodedReader, one_line
from astrotui.frames.sources import open_regular
from astrotui.frames.values import Value, rounded


def open_raw(path: Path | str) -> FrameReader:
    """Open a camera raw file; see `astrotui.frames.pixels.open_frame`."""
    layout = raw_layout(path)
    return DecodedReader(path, (1, layout.height, layout.width), np.dtype(np.uint16), decode_raw)


@dataclass(frozen=True, slots=True)
class RawLayout:
    """What LibRaw tells of a camera raw file.

    Attributes
    ----------
    width, height : of the visible part of the sensor
    pattern : Bayer pattern at its first pixel, None for mono and other mosaics
    white : level of saturation, the black level included
    words : FITS keywords
    """

    width: int
    height: int
    pattern: str | None
    white: float
    words: dict[str, Value]


def raw_layout(path: Path | str) -> RawLayout:
    """Size, pattern and levels of a camera raw file.

    Raises
    ------
    FrameError
        The `raw` extra is missing or LibRaw cannot use the file.
    """
    with _raw(path) as raw:
        sizes = raw.sizes
        width, height = int(sizes.width), int(sizes.height)
        if width <= 0 or height <= 0 or width * height > MAX_DECODED_PIXELS:
            raise FrameError(path, f"the header claims {width} x {height} pixels")
        pattern = raw.raw_pattern
        if pattern is None and (raw.raw_image_visible is None or raw.raw_image_visible.ndim != 2):
            raise FrameError(path, "the raw file holds no plain mosaic")
        words: dict[str, Value] = {}
        other = getattr(raw, "other", None)  # older versions of rawpy have none
        if other is not None and other.shutter_speed > 0:
            words["EXPTIME"] = rounded(float(other.shutter_speed), 6)
        if other is not None and other.iso_speed > 0:
            words["ISOSPEED"] = float(other.iso_speed)
        if other is not None and other.timestamp is not None and other.timestamp.year > 1990:
            words["DATE-LOC"] = other.timestamp.isoformat()
        levels = _black(raw)
        white = float(raw.white_level or 65535) - (max(levels) - min(levels))
        return RawLayout(width, height, _raw_pattern(raw), white, words)


def _raw_pattern(raw: Any) -> str | None:
    table = raw.raw_pattern
    if table is None or table.shape != (2, 2):
        return None
    letters = raw.color_desc.decode("ascii", "replace")
    word = "".join(letters[int(i)] if int(i) < len(letters) else "?" for i in table.ravel())
    return word if word in PATTERNS else None


def _black(raw: Any) -> list[int]:
    return [int(level) for level in raw.black_level_per_channel] or [0]


def decode_raw(path: Path) -> Pixels:
    """The visible mosaic with each color's black level moved to the lowest of them.

    A constant black level is left in, as in every other raw frame: darks and bias have it too and take it
    off. Only the difference between the colors' levels, which a plain mosaic cannot express, is removed.
    """
    with _raw(path) as raw:
        mosaic = np.array(raw.raw_image_visible, dtype=np.uint16)
        levels = np.array(_black(raw), dtype=np.int64)
        if np.ptp(levels):
            extra = (levels - levels.min())[np.asarray(raw.raw_colors_visible)]
            mosaic = np.maximum(mosaic.astype(np.int64) - extra, 0).astype(np.uint16)
        return mosaic


class _raw:  # noqa: N801 - used like a function
    """An open raw file; whatever LibRaw raises on it becomes a FrameError."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._raw: Any = None

    def __enter__(self) -> Any:
        if not raw_supported():
            raise FrameError(self._path, "camera raw files need the raw extra: pip install 'astrotui[raw]'")
        import rawpy

        open_regular(self._path).close()
        try:
            self._raw = rawpy.imread(str(self._path))
        except MemoryError:
            raise
        except Exception as error:
            raise self._unusable(error) from error
        return self._raw

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._raw.close()
        if isinstance(error, Exception) and not isinstance(error, FrameError | MemoryError):
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> FrameError:
        return FrameError(self._path, f"not a usable camera raw file: {one_line(error)}")
