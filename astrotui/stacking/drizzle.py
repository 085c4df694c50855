"""Drizzle of a whole result: bands of the finer grid, each judged against a first stack that runs ahead of it."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.drizzle import output_size
from astrotui.imaging.types import Float32Array, Float64Array
from astrotui.stacking.drizzle_drops import Drop, calibrated, kappas
from astrotui.stacking.drizzle_memory import TILE_COLUMNS, DrizzleMemory
from astrotui.stacking.first_stack import FirstStack, Guide
from astrotui.stacking.framing import Field
from astrotui.stacking.recipe import Recipe
from astrotui.stacking.sources import FrameSources
from astrotui.stacking.tiles import BandOutput, FrameTask, RawBand

_WHOLE = (
    4  # a band is read whole while it takes at most this many times the rows that an unturned frame needs
)
_SPARE_ROWS = 48
_NOWHERE = np.empty((0, 0, 2))  # a matrix tells places


@dataclass(eq=False)
class DrizzleBand(BandOutput):
    """A band of a drizzle.

    Attributes
    ----------
    weight : float32 (rows, width), effective frames of the channel that has the fewest
    """

    weight: Float32Array

    @classmethod
    def of(cls, planes: int, rows: int, width: int) -> "DrizzleBand":
        """An empty band."""
        plain = BandOutput.empty(planes, rows, width)
        return cls(plain.value, plain.low, plain.high, plain.found, np.empty((rows, width), np.float32))

    def upper(self, rows: int) -> "DrizzleBand":
        """The same memory for a band of fewer rows."""
        part = self.first(rows)
        return DrizzleBand(part.value, part.low, part.high, part.found, self.weight[:rows])


class Drizzle:
    """Runs a drizzle in bands.

    Parameters
    ----------
    area : of the result, in pixels of the reference
    first : the first stack, which its samples are judged by; None to reject nothing
    memory : how to divide the work; no choice of it changes a pixel
    """

    def __init__(
        self,
        recipe: Recipe,
        area: Field,
        planes: int,
        drops: Sequence[Drop],
        sky: Float64Array,
        sources: FrameSources,
        memory: DrizzleMemory,
        first: FirstStack | None,
    ) -> None:
        self._scale = float(recipe.drizzle or 1)
        self._pixfrac = recipe.pixfrac
        self._limits = kappas(recipe)
        self._area = area
        self.width, self.height = output_size(area.width, area.height, self._scale)
        self._planes = planes
        self._drops = drops
        self._sky = np.asarray(sky, np.float32)
        self._sources = sources
        self._memory = memory
        self._first = first
        self._local = threading.local()
        largest = max(float(np.sqrt(abs(np.linalg.det(d.back[:2, :2])))) for d in drops)
        self._tile_width = max(8, int(TILE_COLUMNS * self._scale / max(1.0, ceil(largest - 0.2))))

    def run(self, pool: ThreadPoolExecutor) -> Iterator[tuple[int, DrizzleBand]]:
        """Compute all bands; yields each one's first row and the band, in order, whose memory is used again.

        Raises
        ------
        LostFrameError
            A frame cannot be read any more.
        """
        step = self._memory.rows
        outputs = [DrizzleBand.of(self._planes, min(step, self.height), self.width) for _ in range(2)]
        before: tuple[int, DrizzleBand, list[Future[None]]] | None = None
        for number, Y in enumerate(range(0, self.height, step)):
            rows = min(step, self.height - Y)
            top, bottom = self._reference_row(Y), self._reference_row(Y + rows)
            if before is not None and not self._memory.ahead:
                _wait(before[2])
                raw = []
            guide = self._first.guide(floor(top), ceil(bottom)) if self._first else Guide.none(self._planes)
            raw = [future.result() if future else None for future in self._read(top, bottom, pool)]
            if before is not None:
                _wait(before[2])
            output = outputs[number % 2].upper(rows)
            tiles = self._submit(Y, rows, guide, raw, output, pool)
            if before is not None:
                yield before[0], before[1]
            before = Y, output, tiles
        if before is not None:
            _wait(before[2])
            yield before[0], before[1]

    def _reference_row(self, Y: float) -> float:
        """Reference row of the upper edge of an output row."""
        return self._area.y0 - 0.5 + Y / self._scale

    def _reference_column(self, X: float) -> float:
        return self._area.x0 - 0.5 + X / self._scale

    def _read(self, top: float, bottom: float, pool: ThreadPoolExecutor) -> list[Future[RawBand] | None]:
        """Begin to read what a band needs of each frame; None for turned ones that are better read tile by tile."""
        left, right = self._reference_column(0), self._reference_column(self.width)
        spans: list[tuple[int, int] | None] = []
        sizes = []
        for drop in self._drops:
            window = drop.window(left, top, right, bottom)
            span = None if window is None else (window[1], window[3])
            if span and span[1] - span[0] > _WHOLE * (bottom - top + _SPARE_ROWS):
                span = None
            spans.append(span)
            sizes.append((span[1] - span[0]) * drop.task.width * drop.task.raw_planes * 2 if span else 0)
        total = sum(sizes)
        for number in np.argsort(sizes)[::-1].tolist():
            if total <= self._memory.raw_bytes:
                break
            spans[number] = None
            total -= sizes[number]
        return [
            pool.submit(self._read_rows, drop.task, *span) if span else None
            for drop, span in zip(self._drops, spans, strict=True)
        ]

    def _read_rows(self, task: FrameTask, y0: int, y1: int) -> RawBand:
        if self._sources.stores_unsigned(task.source):
            rows = np.empty((y1 - y0, task.width), np.uint16)
            self._sources.read_stored(task.source, y0, y1, rows)
            return RawBand(y0, rows[None], stored=True)
        pixels = self._sources.read(task.source, y0, y1)
        return RawBand(y0, pixels[None] if pixels.ndim == 2 else pixels)

    def _submit(
        self,
        Y: int,
        rows: int,
        guide: Guide,
        raw: Sequence[RawBand | None],
        output: DrizzleBand,
        pool: ThreadPoolExecutor,
    ) -> list[Future[None]]:
        tile_rows = self._memory.tile_rows
        return [
            pool.submit(
                self._tile,
                X,
                Y + row,
                min(self._tile_width, self.width - X),
                min(tile_rows, rows - row),
                guide,
                raw,
                output,
                row,
            )
            for row in range(0, rows, tile_rows)
            for X in range(0, self.width, self._tile_width)
        ]

    def _tile(
        self,
        X: int,
        Y: int,
        columns: int,
        rows: int,
        guide: Guide,
        raw: Sequence[RawBand | None],
        output: DrizzleBand,
        row: int,
    ) -> None:
        """Compute one tile of the output."""
        from astrotui.imaging.drizzle_drop_kernels import finish_tile

        planes = self._planes
        sums = self._buffer("sums", (2, planes, rows, columns, 2))  # of what is kept, and of what is rejected
        counts = self._buffer("counts", (3, planes, rows, columns), np.uint16)
        sums[:] = 0
        counts[:] = 0
        rectangle = (
            self._reference_column(X),
            self._reference_row(Y),
            self._reference_column(X + columns),
            self._reference_row(Y + rows),
        )
        for drop, band in zip(self._drops, raw, strict=True):
            window = drop.window(*rectangle)
            if window is not None:
                self._drop(drop, window, band, guide, X, Y, sums, counts)
        value = self._buffer("value", (planes, rows, columns))
        weight = self._buffer("weight", (rows, columns))
        finish_tile(
            sums[0], sums[1], self._sky, np.float32(self._pixfrac**2), value, weight, counts[0], counts[1]
        )
        place = np.s_[row : row + rows, X : X + columns]
        output.value[:, *place] = value
        output.weight[place] = weight
        for target, source in zip((output.low, output.high, output.found), counts, strict=True):
            target[:, *place] = source

    def _drop(
        self,
        drop: Drop,
        window: tuple[int, int, int, int],
        band: RawBand | None,
        guide: Guide,
        X: int,
        Y: int,
        sums: Float32Array,
        counts: NDArray[np.uint16],
    ) -> None:
        """Calibrate a window of a frame, judge it, and let it fall."""
        from astrotui.imaging.drizzle_drop_kernels import drop_window
        from astrotui.imaging.drizzle_judge_kernels import judge_window, reject_crowds
        from astrotui.imaging.drizzle_lens_kernels import places_through_lens
        from astrotui.imaging.drizzle_marks import HIGH, LOW

        task = drop.task
        x0, y0, x1, y1 = window
        pixels = self._buffer("pixels", (y1 - y0, x1 - x0))
        marks = self._buffer("marks", (y1 - y0, x1 - x0), np.int8)
        crowd = self._buffer("crowd", (y1 - y0, x1 - x0), np.int32)
        if drop.lens is None:
            at = _NOWHERE
        else:
            at = self._buffer("places", (y1 - y0 + 2, x1 - x0 + 2, 2), np.float64)
            places_through_lens(y0, x0, drop.place, drop.lens_numbers, at)
        raw, raw_y, raw_x, stored = self._raw(task, window, band)
        low, high = self._limits
        for k in range(task.raw_planes):
            assert task.calibration is not None
            calibrated(task.calibration, k, raw[k], raw_y, raw_x, stored, window, pixels)
            judge_window(
                pixels, y0, x0, drop.colors[k], drop.place, at, guide.value, guide.allowed, guide.x0, guide.y0,
                np.float32(low), np.float32(high), drop.variance, drop.photon, np.float32(drop.blur), self._sky,
                task.factor, task.offset, marks,
            )  # fmt: skip
            for side in (LOW, HIGH):
                reject_crowds(marks, side, crowd)
            drop_window(
                pixels, marks, y0, x0, drop.colors[k], drop.grid, at, self._pixfrac, drop.aligned, X, Y,
                np.float32(drop.weight), self._sky, sums[0], sums[1], counts[0], counts[1], counts[2],
            )  # fmt: skip

    def _raw(
        self, task: FrameTask, window: tuple[int, int, int, int], band: RawBand | None
    ) -> tuple[NDArray[Any], int, int, bool]:
        """Pixels that hold a window, the row and column in them that are its first, and whether they are as stored."""
        x0, y0, x1, y1 = window
        if band is not None:
            return band.pixels, y0 - band.y0, x0, band.stored
        pixels = self._sources.read(task.source, y0, y1, x0, x1)
        return (pixels[None] if pixels.ndim == 2 else pixels), 0, 0, False

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: type = np.float32) -> NDArray[Any]:
        """Memory of this thread for one purpose, kept from tile to tile."""
        size = int(np.prod(shape))
        held = getattr(self._local, name, None)
        if held is None or held.size < size:
            held = np.empty(size, dtype)
            setattr(self._local, name, held)
        result: NDArray[Any] = held[:size].reshape(shape)
        return result


def _wait(tiles: Sequence[Future[None]]) -> None:
    for tile in tiles:
        tile.result()
