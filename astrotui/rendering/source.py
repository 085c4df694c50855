"""Any picture the program can open, as linear planes on [0, 1], band by band."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import FrameError
from astrotui.frames.headers import read_fits
from astrotui.frames.identify import read_metadata
from astrotui.frames.model import FrameType
from astrotui.frames.pixels import FrameReader, open_frame
from astrotui.imaging.cfa import CHANNELS, PATTERNS, plane_offsets
from astrotui.imaging.types import Float32Array, Float64Array

_BAND = 256  # rows of the file at a time
_SCALES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
_FITS_ENDINGS = (".fits", ".fit", ".fts", ".fz", ".gz")


@dataclass(frozen=True)
class Known:
    """What the caller knows of a frame already, so that its header need not be read; None is looked up.

    Attributes
    ----------
    cfa_phase : pattern at row 0, column 0; "" says that the frame is mono
    full_scale_adu : level at which the camera saturates
    hdu : index of the HDU with the image
    """

    cfa_phase: str | None = None
    full_scale_adu: float | None = None
    hdu: int | None = None


@dataclass(frozen=True, eq=False)
class Overview:
    """A picture made small, and a grid of its pixels at full size.

    Attributes
    ----------
    reduced : float32 (C, h, w); means over blocks of `factor` x `factor` pixels
    samples : float32 (C, m, n); single pixels at the rows `sample_y` and columns `sample_x`
    low, high : extremes of each channel over all valid pixels
    """

    factor: int
    reduced: Float32Array
    samples: Float32Array
    sample_y: Float64Array
    sample_x: Float64Array
    low: tuple[float, ...]
    high: tuple[float, ...]


class PictureSource:
    """Linear planes of one file, scaled to [0, 1] by the camera's full scale; NaN where nothing was
    covered.

    A mosaic becomes a picture of half its size, one pixel from each 2x2 cell (super-pixel): no
    interpolation, no false colours, and the frame's own noise.

    Attributes
    ----------
    width, height, planes : of the picture
    full_scale : ADU that became 1
    filter_name : FILTER of the file
    is_stack : the file combines several exposures
    cfa : pattern of the mosaic, None for mono and color files
    bottom_up : the file says that its first row is the lowest (ROWORDER)
    """

    def __init__(self, path: Path, known: Known | None = None) -> None:
        known = known or Known()
        self.path = path
        self.known = known
        self.filter_name: str | None = None
        self.is_stack = False
        cfa, full_scale, hdu = known.cfa_phase, known.full_scale_adu, known.hdu
        if cfa is None or hdu is None:
            metadata = read_metadata(path)
            cfa = metadata.cfa_phase if cfa is None else cfa
            full_scale = metadata.full_scale_adu if full_scale is None else full_scale
            hdu = metadata.hdu if hdu is None else hdu
            self.filter_name = metadata.filter
            self.is_stack = metadata.frame_type is FrameType.STACK
        self.bottom_up = False
        if path.name.lower().endswith(_FITS_ENDINGS):
            header = read_fits(path, hdu).header
            self.bottom_up = (header.text("ROWORDER") or "").upper().replace("_", "-") == "BOTTOM-UP"
            full_scale = full_scale or header.number("SATURATE")
        self._reader: FrameReader = open_frame(path, hdu)
        mosaic = self._reader.planes == 1 and bool(cfa) and cfa in PATTERNS
        self.cfa = cfa if mosaic else None
        self._cell = 2 if mosaic else 1
        self.planes = 3 if mosaic else self._reader.planes
        self.width = self._reader.width // self._cell
        self.height = self._reader.height // self._cell
        if self.width < 1 or self.height < 1:
            self.close()
            raise FrameError(path, f"{self._reader.width} x {self._reader.height} pixels are no picture")
        self.full_scale = full_scale if full_scale and full_scale > 0 else self._guess_full_scale()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def read(self, y0: int, y1: int, x0: int = 0, x1: int | None = None) -> Float32Array:
        """Rows `y0` to `y1` and columns `x0` to `x1` (exclusive) of the picture, float32 (C, h, w)."""
        x1 = self.width if x1 is None else x1
        cell = self._cell
        raw = self._reader.read(y0 * cell, y1 * cell, x0 * cell, x1 * cell)
        planes = superpixel(raw, self.cfa) if self.cfa else raw.astype(np.float32, copy=False)
        if planes.ndim == 2:
            planes = planes[np.newaxis]
        planes = planes * np.float32(1.0 / self.full_scale)
        planes[~np.isfinite(planes)] = np.nan
        return planes

    def reduced(
        self, factor: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None
    ) -> Float32Array:
        """Means over blocks of `factor` x `factor` pixels of a part of the picture, float32 (C, h, w).

        Pixels that are NaN do not count; the last rows and columns that fill no block are left out.
        """
        y1 = self.height if y1 is None else y1
        x1 = self.width if x1 is None else x1
        rows, columns = max(1, (y1 - y0) // factor), max(1, (x1 - x0) // factor)
        out = np.empty((self.planes, rows, columns), np.float32)
        step = max(1, _BAND // self._cell // factor)
        for row in range(0, rows, step):
            last = min(row + step, rows)
            band = self.read(y0 + row * factor, min(y0 + last * factor, y1), x0, x1)
            out[:, row:last] = block_means(band, factor)
        return out

    def samples(self, limit: int = 100_000) -> Float32Array:
        """About `limit` single pixels on a regular grid, float32 (C, m, n), reading only their rows."""
        stride = max(1, int(np.ceil(np.sqrt(self.width * self.height / limit))))
        rows = range(stride // 2, self.height, stride)
        grid = [self.read(y, y + 1)[:, :, stride // 2 :: stride] for y in rows]
        return np.concatenate(grid, axis=1) if grid else self.read(0, self.height)

    def overview(self, pixels: int = 1_000_000, samples: int = 250_000) -> Overview:
        """The picture at `pixels` at most and about `samples` single pixels of it, in one pass."""
        area = self.width * self.height
        factor = max(1, int(np.ceil(np.sqrt(area / pixels))))
        stride = max(1, int(np.ceil(np.sqrt(area / samples))))
        rows, columns = max(1, self.height // factor), max(1, self.width // factor)
        reduced = np.empty((self.planes, rows, columns), np.float32)
        grid_y = np.arange(stride // 2, self.height, stride)
        grid_x = np.arange(stride // 2, self.width, stride)
        grid = np.full((self.planes, len(grid_y), len(grid_x)), np.nan, np.float32)
        low = np.full(self.planes, np.inf)
        high = np.full(self.planes, -np.inf)
        step = max(1, _BAND // self._cell // factor)
        for row in range(0, rows, step):
            last = min(row + step, rows)
            y0, y1 = row * factor, min(last * factor, self.height)
            band = self.read(y0, y1)
            reduced[:, row:last] = block_means(band, factor)
            inside = np.flatnonzero((grid_y >= y0) & (grid_y < y1))
            grid[:, inside] = band[:, grid_y[inside] - y0][:, :, grid_x]
            low = np.fmin(low, np.fmin.reduce(band, axis=(1, 2)))
            high = np.fmax(high, np.fmax.reduce(band, axis=(1, 2)))
        return Overview(
            factor,
            reduced,
            grid,
            grid_y.astype(np.float64),
            grid_x.astype(np.float64),
            tuple(float(v) for v in low),
            tuple(float(v) for v in high),
        )

    def _guess_full_scale(self) -> float:
        """The smallest usual full scale that holds the data, from 24 bands of rows over the picture."""
        highest = 0.0
        for y in np.unique(np.linspace(0, max(0, self._reader.height - 2), 24).astype(int)):
            band = self._reader.read(int(y), min(int(y) + 2, self._reader.height))
            finite = band[np.isfinite(band)]
            if finite.size:
                highest = max(highest, float(finite.max()))
        integer = not np.issubdtype(np.dtype(self._reader.dtype), np.floating)
        for scale in _SCALES[1:] if integer else _SCALES:
            if highest <= 1.02 * scale:
                return scale
        return highest


def block_middles(count: int, factor: int, start: int = 0) -> Float64Array:
    """Where the middles of `count` blocks of `factor` pixels lie, the first beginning at pixel `start`."""
    return np.arange(count, dtype=np.float64) * factor + (start + (factor - 1) / 2.0)


def superpixel(raw: NDArray[np.generic], pattern: str) -> Float32Array:
    """One colour pixel from each 2x2 cell of a mosaic (H, W), greens averaged: float32 (3, H//2, W//2)."""
    height, width = raw.shape[0] // 2 * 2, raw.shape[1] // 2 * 2
    offsets = plane_offsets(pattern)
    out = np.empty((3, height // 2, width // 2), np.float32)
    for index, channel in enumerate(CHANNELS):
        cells = [raw[y:height:2, x:width:2] for y, x in offsets[channel]]
        out[index] = cells[0]
        if len(cells) == 2:
            out[index] += cells[1]
            out[index] *= np.float32(0.5)
    return out


def block_means(image: Float32Array, factor: int) -> Float32Array:
    """Means over `factor` x `factor` blocks of (C, H, W); NaN does not count, incomplete blocks are left
    out.

    A picture smaller than a block gives one pixel.
    """
    if factor == 1:
        return image
    _, height, width = image.shape
    rows, columns = max(1, height // factor), max(1, width // factor)
    image = image[:, : rows * factor, : columns * factor]
    total = _block_sums(image, factor)
    holes = np.isnan(total)
    if not holes.any():
        return total * np.float32(1.0 / (min(factor, height) * min(factor, width)))
    valid = np.isfinite(image)
    count = _block_sums(valid.astype(np.float32), factor)
    total = _block_sums(np.where(valid, image, np.float32(0)), factor)
    return np.where(count > 0, total / np.maximum(count, 1), np.float32(np.nan)).astype(np.float32)


def _block_sums(image: Float32Array, factor: int) -> Float32Array:
    tall = image[:, 0::factor].copy()
    for dy in range(1, min(factor, image.shape[1])):
        tall += image[:, dy::factor]
    wide = tall[:, :, 0::factor].copy()
    for dx in range(1, min(factor, image.shape[2])):
        wide += tall[:, :, dx::factor]
    return wide
