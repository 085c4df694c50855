"""Second pass, one tile: calibrate, demosaic, warp and normalize what it needs of each frame, reject, combine."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.combine import (
    KNOWN_NOISE_BELOW,
    run_auto_tile,
    run_known_noise_tile,
    run_tile,
    tile_width,
)
from astrotui.imaging.resample import warp_tile
from astrotui.imaging.types import Float32Array
from astrotui.imaging.warp import Interpolation, Place, Warp, Window, places
from astrotui.stacking.calibration import LoadedCalibration
from astrotui.stacking.rules import CombineRule

COLUMNS = 512
"""Width of a tile; fixed, because sums are grouped by it."""

Reader = Callable[[int, int, int, int, int], NDArray[Any]]  # frame, y0, y1, x0, x1


@dataclass(frozen=True, eq=False)
class FrameTask:
    """How one frame is brought into the result.

    Attributes
    ----------
    source : number of the frame for reading
    warp : from its pixels (of the super-pixel planes, when those are used) to the reference's grid
    phase : row and column of red, and demosaicing method; negative when there is nothing to demosaic
    superpixel : make one pixel of each cell first
    step : distance of pixels of one color
    factor, offset : float32 (planes,)
    undershoot : ADU of the frame, see `resample`
    levels : float32 (4,), see `debayer.demosaic_row`
    """

    source: int
    warp: Warp
    width: int
    height: int
    raw_planes: int
    cfa: str | None
    phase: tuple[int, int, int]
    superpixel: bool
    step: int
    calibration: LoadedCalibration | None  # None only on its way to another process
    factor: Float32Array
    offset: Float32Array
    undershoot: float
    levels: Float32Array


@dataclass(frozen=True, eq=False)
class RawBand:
    """Rows of a frame that a band of the result needs, read once for all its tiles.

    Attributes
    ----------
    y0 : number of the first row
    pixels : (planes, rows, width), uint16 or float32
    stored : they are as FITS stores unsigned pixels
    """

    y0: int
    pixels: NDArray[Any]
    stored: bool = False


@dataclass(eq=False)
class BandOutput:
    """What a band of the result consists of; the tiles fill it in.

    Attributes
    ----------
    value : float32 (planes, rows, width)
    low, high, found : uint16 (planes, rows, width)
    """

    value: Float32Array
    low: NDArray[np.uint16]
    high: NDArray[np.uint16]
    found: NDArray[np.uint16]

    @classmethod
    def empty(cls, planes: int, rows: int, width: int) -> "BandOutput":
        counts = np.empty((3, planes, rows, width), np.uint16)
        return cls(np.empty((planes, rows, width), np.float32), counts[0], counts[1], counts[2])

    def copy(self) -> "BandOutput":
        """In memory of its own."""
        return BandOutput(self.value.copy(), self.low.copy(), self.high.copy(), self.found.copy())

    def first(self, rows: int) -> "BandOutput":
        """The same memory for a band of fewer rows."""
        return BandOutput(self.value[:, :rows], self.low[:, :rows], self.high[:, :rows], self.found[:, :rows])


class TileWorker:
    """Computes tiles; its buffers belong to the thread that uses it."""

    def __init__(
        self, planes: int, tasks: Sequence[FrameTask], rule: CombineRule, method: Interpolation
    ) -> None:
        self._planes = planes
        self._tasks = tasks
        self._rule = rule
        self._few = rule.for_few() if rule.few else None
        self._method = method
        self._local = threading.local()

    def compute(
        self,
        x0: int,
        y0: int,
        columns: int,
        rows: int,
        bands: Sequence[RawBand | None],
        read: Reader,
        output: BandOutput,
        output_row: int,
        output_column: int,
    ) -> None:
        """Compute one tile.

        Parameters
        ----------
        x0, y0 : its first pixel, in pixels of the reference
        bands : for each frame the rows that were read for the band; None where the tile reads its own
        read : reads pixels of a frame
        output, output_row, output_column : where the tile goes
        """
        region = np.s_[:, output_row : output_row + rows, output_column : output_column + columns]
        parts: list[NDArray[Any]] = [
            image[region] for image in (output.value, output.low, output.high, output.found)
        ]
        found = self._tile(self._rule, x0, y0, columns, rows, bands, read)
        if found is None:
            for part in parts:
                part[:] = 0
            parts[0][:] = np.nan
            return
        for part, one in zip(parts, found, strict=True):
            part[:] = one
        few = np.asarray((parts[3] < KNOWN_NOISE_BELOW) & (parts[3] > 0))
        if self._few is None or not few.any():
            return
        down, across = np.nonzero(few.any(axis=0))
        top, bottom, left, right = (
            int(n) for n in (down.min(), down.max() + 1, across.min(), across.max() + 1)
        )
        step = COLUMNS - 2 * self._few.margin
        for x in range(left, right, step):
            part_of = np.s_[:, top:bottom, x : min(x + step, right)]
            wanted = few[part_of]
            if wanted.any():
                size = wanted.shape[2], wanted.shape[1]
                again = self._tile(self._few, x0 + x, y0 + top, *size, [None] * len(bands), read)
                assert again is not None
                for part, one in zip(parts, again, strict=True):
                    part[part_of][wanted] = one[wanted]

    def _tile(
        self,
        rule: CombineRule,
        x0: int,
        y0: int,
        columns: int,
        rows: int,
        bands: Sequence[RawBand | None],
        read: Reader,
    ) -> tuple[NDArray[Any], ...] | None:
        """Value and counts of a tile by a rule, (planes, rows, columns) each; None where no frame is."""
        m = rule.margin
        place = Place(x0 - m, y0 - m, 0, 0, columns + 2 * m, rows + 2 * m)
        present, parts = [], []
        for number, task in enumerate(self._tasks):
            found = _parts(task.warp, place, task.superpixel)
            if found:
                present.append(number)
                parts.append(found)
        if not present:
            return None
        tile = self._buffer("tile", (self._planes, place.rows, len(present), tile_width(place.columns)))
        for sample, (number, found) in enumerate(zip(present, parts, strict=True)):
            task = self._tasks[number]
            if not task.warp.two_pass:
                tile[:, :, sample] = np.nan  # parts of the tile may be uncovered
            for part, window in found:
                self._bring(task, part, window, bands[number], read, tile, sample)
        return self._combine(rule, tile, present, place, rows, columns)

    def _bring(
        self,
        task: FrameTask,
        part: Place,
        window: Window,
        band: RawBand | None,
        read: Reader,
        tile: Float32Array,
        sample: int,
    ) -> None:
        from astrotui.imaging.debayer import STRIDE
        from astrotui.imaging.tap_kernels import FIRST_PASS_ROW

        pixels = self._buffer("pixels", (task.raw_planes, window.height, STRIDE))
        if task.superpixel:
            pixels = self._superpixel(task, window, band, read)
        else:
            self._calibrated(task, window, task.width, task.height, band, read, pixels)
        turned_rows = window.width if task.warp.turns % 2 else window.height
        warp_tile(
            task.warp,
            window,
            pixels,
            task.phase,
            task.levels,
            self._method,
            task.undershoot,
            task.factor,
            task.offset,
            part,
            tile,
            sample,
            self._buffer("first_pass", (turned_rows * FIRST_PASS_ROW,)),
        )

    def _calibrated(
        self,
        task: FrameTask,
        window: Window,
        width: int,
        height: int,
        band: RawBand | None,
        read: Reader,
        pixels: Float32Array,
    ) -> None:
        """Fill `pixels` (planes, rows, stride) with a calibrated window, mirrored beyond the frame's edges."""
        from astrotui.imaging.calibrate_kernels import (
            calibrate_rows,
            calibrate_stored_rows,
            fill_defects,
            mirror_edges,
        )

        subtract = calibrate_stored_rows if band is not None and band.stored else calibrate_rows
        stride = pixels.shape[2]
        top, left = max(0, -window.y0), max(0, -window.x0)
        bottom = max(0, window.y0 + window.height - height)
        right = max(0, window.x0 + window.width - width)
        y, x = window.y0 + top, window.x0 + left
        rows, columns = window.height - top - bottom, window.width - left - right
        raw_y, raw_x = 0, 0
        if band is not None:
            raw, raw_y, raw_x = band.pixels, y - band.y0, x
        else:
            raw = read(task.source, y, y + rows, x, x + columns)
            raw = raw[None] if raw.ndim == 2 else raw
        calibration = task.calibration
        assert calibration is not None
        defects = calibration.defects
        for k in range(task.raw_planes):
            flat = pixels[k].reshape(-1)
            first = top * stride + left
            subtract(raw[k], raw_y, raw_x, *calibration.rows(k, y), x, rows, columns, flat, first, stride)
            if defects is not None and len(defects):
                inside = int(defects.starts[y + rows] - defects.starts[y])
                fill_defects(
                    flat,
                    first,
                    stride,
                    y,
                    x,
                    rows,
                    columns,
                    defects.starts,
                    defects.columns,
                    task.step,
                    self._buffer("defects", (max(1, inside),)),
                )
            mirror_edges(flat, stride, window.height, window.width, top, bottom, left, right)

    def _superpixel(
        self, task: FrameTask, window: Window, band: RawBand | None, read: Reader
    ) -> Float32Array:
        """A window of super-pixel planes, made from the raw window that it covers."""
        from astrotui.imaging.calibrate_kernels import mirror_edges
        from astrotui.imaging.debayer import STRIDE, superpixel

        height, width = task.height // 2, task.width // 2
        top, left = max(0, -window.y0), max(0, -window.x0)
        bottom = max(0, window.y0 + window.height - height)
        right = max(0, window.x0 + window.width - width)
        inner = Window(
            2 * (window.x0 + left),
            2 * (window.y0 + top),
            2 * (window.width - left - right),
            2 * (window.height - top - bottom),
        )
        mosaic = self._buffer("mosaic", (1, inner.height, 2 * STRIDE))
        self._calibrated(task, inner, task.width, task.height, band, read, mosaic)
        planes = superpixel(mosaic[0, :, : inner.width], task.cfa or "")
        out = self._buffer("planes", (3, window.height, STRIDE))
        out[:, top : window.height - bottom, left : window.width - right] = planes
        for plane in out:
            mirror_edges(plane.reshape(-1), STRIDE, window.height, window.width, top, bottom, left, right)
        return out

    def _combine(
        self,
        rule: CombineRule,
        tile: Float32Array,
        present: list[int],
        place: Place,
        rows: int,
        columns: int,
    ) -> tuple[NDArray[Any], ...]:
        from astrotui.imaging.clip_kernels import AUTO

        weight = np.ascontiguousarray(rule.weight[present])
        value = self._buffer("value", (self._planes, rows, columns))
        counts = self._buffer("counts", (3, self._planes, rows, columns), np.uint16)
        limits = rule.low, rule.high
        sigma, variance, photon = (
            np.ascontiguousarray(of[:, present]) for of in (rule.sigma, rule.variance, rule.photon)
        )
        wide, margin = place.columns, rule.margin
        if rule.method is None:
            run_known_noise_tile(
                tile, wide, margin, limits, variance, photon, rule.sky, weight, value, counts
            )
        elif rule.method == AUTO:
            run_auto_tile(tile, wide, margin, limits, sigma, rule.typical, rule.sky, weight, value, counts)
        else:
            run_tile(tile, columns, rule.method, limits, weight, value, counts)
        return value, *counts

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: type = np.float32) -> NDArray[Any]:
        """Memory of this thread for one purpose, kept from tile to tile."""
        size = int(np.prod(shape))
        held = getattr(self._local, name, None)
        if held is None or held.size < size:
            held = np.empty(size, dtype)
            setattr(self._local, name, held)
        result: NDArray[Any] = held[:size].reshape(shape)
        return result


def _parts(warp: Warp, place: Place, superpixel: bool) -> list[tuple[Place, Window]]:
    from astrotui.imaging.debayer import STRIDE

    limit = STRIDE - 16 if superpixel else STRIDE
    return places(warp, place.X0, place.Y0, place.columns, place.rows, limit)
