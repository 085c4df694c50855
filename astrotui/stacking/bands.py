"""Second pass over a whole result: bands of rows, read ahead, computed in tiles by threads, handed over in order."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import PlanError
from astrotui.imaging.warp import Interpolation
from astrotui.stacking.framing import Field
from astrotui.stacking.plan import StackPlan
from astrotui.stacking.rules import CombineRule
from astrotui.stacking.sources import FrameSources
from astrotui.stacking.tiles import COLUMNS, BandOutput, FrameTask, RawBand, TileWorker

PROCESS_BYTES = 230_000_000
"""Python with numba, numpy, scipy and astropy, and a thread's stack."""

_WINDOW_BYTES = 6_000_000  # of a thread: window, first pass, weights
_BAND_ROWS = (256, 192, 128, 96, 64, 48, 32, 24, 16, 8, 4, 2)
_PREFERRED_ROWS = 128  # higher bands save little: the margin of a band is 14 rows
_HALO = 48  # rows of a frame beyond those of the band: taps, and a rotation of half a degree
_MARGIN = 14  # rows around a tile that interpolation and demosaicing look at
_TILE_ROWS = (128, 96, 64, 48, 32, 24, 16, 8, 4, 2)


@dataclass(frozen=True)
class Memory:
    """How the memory of the second pass is spent, in bytes but for the first two.

    Attributes
    ----------
    band_rows : rows of the result computed at a time
    tile_rows : rows of a tile
    ahead : a band is read while another is computed
    """

    band_rows: int
    tile_rows: int
    ahead: bool
    total: int


def choose_band_rows(plan: StackPlan, memory_bytes: int | None = None, workers: int = 1) -> int:
    """Rows of the result to compute at a time, so that stacking stays within a budget.

    Parameters
    ----------
    plan : what is to be stacked
    memory_bytes : the budget; default the plan's. Everything counts: the process, masters, samples, raw rows
    workers : threads

    Raises
    ------
    PlanError
        Not even two rows fit.
    """
    memory = plan.memory_bytes if memory_bytes is None else memory_bytes
    wanted = min(_PREFERRED_ROWS, max(2, plan.height))
    return plan_memory(plan, memory, max(1, workers), wanted).band_rows


def plan_memory(
    plan: StackPlan, memory_bytes: int, workers: int, most_rows: int, width: int | None = None
) -> Memory:
    """The division of work that wastes least within the budget, its bands at most `most_rows` high."""
    n = len(plan.frames)
    raw_width, raw_height = plan.raw_size
    across = max(plan.width, width or 0)
    planes = 3 if plan.cfa or plan.planes == 3 else 1
    sample = 2 if plan.cfa or plan.planes == 1 else 6
    unit = (
        2 if plan.cfa and plan.recipe.debayer == "superpixel" else 1
    )  # rows of a frame for one of the result
    kinds = {
        spec.digest()
        for c in plan.calibrations
        for spec in (c.dark, c.bias if c.dark_scale or not c.dark else None, c.flat)
        if spec
    }
    # dark, or inverse flat; and while they are made, the flat itself and the defect map's differences
    image = 4 * raw_width * raw_height * plan.planes
    masters = len(kinds) * image + (image if kinds else 0)
    fixed = PROCESS_BYTES + masters + workers * _WINDOW_BYTES + 5 * 4 * 1600 * 1200
    smallest, best = 0, (np.inf, Memory(0, 0, False, 0))
    for rows, tile_rows, ahead in product(_BAND_ROWS, _TILE_ROWS, (True, False)):
        if rows > most_rows or tile_rows > rows or tile_rows < min(rows, 16):
            continue
        raw = n * (unit * rows + _HALO) * raw_width * sample
        output = 2 * rows * across * planes * (4 + 3 * 2 + 4)
        tile = workers * planes * tile_rows * min(COLUMNS, across + 127) * (4 * n + 10)
        total = fixed + raw * (3 if ahead else 1) + output + tile
        smallest = total if smallest == 0 else min(smallest, total)
        # what margins of tiles, of bands, and waiting for the disk cost, roughly
        cost = (1 + _MARGIN / tile_rows) * (1 if ahead else 1.15) + 0.1 * _MARGIN / rows
        if total <= memory_bytes and cost < best[0]:
            best = (cost, Memory(rows, tile_rows, ahead, total))
    if best[1].band_rows:
        return best[1]
    raise PlanError(
        f"a memory budget of {memory_bytes / 1e6:,.0f} MB is too small for this stack; "
        f"it needs {smallest / 1e6:,.0f} MB (--memory)"
    )


class BandStack:
    """Runs the second pass.

    Parameters
    ----------
    field : of the result
    planes : of the result
    memory : how to divide the work; no choice of it changes a pixel
    """

    def __init__(
        self,
        field: Field,
        planes: int,
        tasks: Sequence[FrameTask],
        rule: CombineRule,
        method: Interpolation,
        sources: FrameSources,
        memory: Memory,
        raw_bytes: int,
    ) -> None:
        self._field = field
        self._planes = planes
        self._tasks = tasks
        self._worker = TileWorker(planes, tasks, rule, method)
        self._margin = rule.margin
        self._sources = sources
        self._memory = memory
        self._raw_bytes = raw_bytes
        # raw rows of the band that is read, of the one that is computed and of the one before it
        self._memories = [np.empty(0, np.uint16) for _ in range(3 if memory.ahead else 1)]
        self._turn = 0
        self._plain: dict[int, bool] = {}
        # while one band is handed over the next is computed
        rows = min(memory.band_rows, field.height)
        self._outputs = [BandOutput.empty(planes, rows, field.width) for _ in range(2)]

    def run(self, pool: ThreadPoolExecutor) -> Iterator[tuple[int, BandOutput]]:
        """Compute all bands; yields each one's first row and its output, in order.

        Raises
        ------
        LostFrameError
            A frame cannot be read any more.
        """
        height, step = self._field.height, self._memory.band_rows
        starts = list(range(0, height, step))
        reading = self._read(starts[0], min(step, height), pool)
        computing: tuple[int, BandOutput, list[Future[None]]] | None = None
        for number, y in enumerate(starts):
            rows = min(step, height - y)
            raw = [future.result() if future else None for future in reading]
            if number + 1 < len(starts) and self._memory.ahead:
                y1 = starts[number + 1]
                reading = self._read(y1, min(step, height - y1), pool)
            tiles = self._compute(y, rows, raw, pool)
            if computing is not None:
                yield self._finished(*computing)
            computing = tiles
            if not self._memory.ahead:
                yield self._finished(*computing)
                computing = None
                del raw
                if number + 1 < len(starts):
                    y1 = starts[number + 1]
                    reading = self._read(y1, min(step, height - y1), pool)
        if computing is not None:
            yield self._finished(*computing)

    def band(self, y: int, rows: int, pool: ThreadPoolExecutor) -> BandOutput:
        """Compute one band alone; its memory is used again by the next."""
        raw = [future.result() if future else None for future in self._read(y, rows, pool)]
        return self._finished(*self._compute(y, rows, raw, pool))[1]

    @staticmethod
    def _finished(y: int, output: BandOutput, tiles: list[Future[None]]) -> tuple[int, BandOutput]:
        for tile in tiles:
            tile.result()
        return y, output

    def _read(self, y: int, rows: int, pool: ThreadPoolExecutor) -> list[Future[RawBand] | None]:
        """Begin to read what a band needs of each frame; None for those that are better read tile by tile."""
        m = self._margin
        spans = []
        for task in self._tasks:
            window = task.warp.window(
                self._field.x0 - m, self._field.y0 + y - m, self._field.width + 2 * m, rows + 2 * m
            )
            unit = 2 if task.superpixel else 1
            if window is None:
                spans.append((0, 0))
            else:
                spans.append((max(0, unit * window.y0), min(task.height, unit * (window.y0 + window.height))))
        sizes = [(b - a) * t.width * t.raw_planes * 2 for (a, b), t in zip(spans, self._tasks, strict=True)]
        # turned frames need many rows of a few columns: the largest go tile by tile until the rest fits
        whole = [
            size <= 4 * ((2 if t.superpixel else 1) * rows + _HALO) * t.width * t.raw_planes * 2
            for size, t in zip(sizes, self._tasks, strict=True)
        ]
        total = sum(size for size, keep in zip(sizes, whole, strict=True) if keep)
        for number in np.argsort(sizes)[::-1].tolist():
            if total <= self._raw_bytes:
                break
            if whole[number]:
                whole[number] = False
                total -= sizes[number]
        wanted = [
            span if keep and span[1] > span[0] else None for span, keep in zip(spans, whole, strict=True)
        ]
        return self._submit(wanted, pool)

    def _submit(
        self, spans: Sequence[tuple[int, int] | None], pool: ThreadPoolExecutor
    ) -> list[Future[RawBand] | None]:
        """Read rows in threads; what plain files hold goes into one piece of memory that is used again and again."""
        sizes = [
            (span[1] - span[0]) * task.width if span and self._is_plain(task) else 0
            for span, task in zip(spans, self._tasks, strict=True)
        ]
        self._turn = (self._turn + 1) % len(self._memories)
        memory = self._memories[self._turn]
        if memory.size < sum(sizes):
            memory = self._memories[self._turn] = np.empty(sum(sizes), np.uint16)
        futures: list[Future[RawBand] | None] = []
        start = 0
        for span, size, task in zip(spans, sizes, self._tasks, strict=True):
            if span is None:
                futures.append(None)
            elif size:
                rows = memory[start : start + size].reshape(-1, task.width)
                futures.append(pool.submit(self._read_stored, task, span[0], rows))
            else:
                futures.append(pool.submit(self._read_rows, task, *span))
            start += size
        return futures

    def _is_plain(self, task: FrameTask) -> bool:
        """Whether a frame's rows can be taken as they are stored; asked once."""
        if task.source not in self._plain:
            self._plain[task.source] = self._sources.stores_unsigned(task.source)
        return self._plain[task.source]

    def _read_stored(self, task: FrameTask, y0: int, rows: NDArray[np.uint16]) -> RawBand:
        self._sources.read_stored(task.source, y0, y0 + len(rows), rows)
        return RawBand(y0, rows[None], stored=True)

    def _read_rows(self, task: FrameTask, y0: int, y1: int) -> RawBand:
        pixels = self._sources.read(task.source, y0, y1)
        return RawBand(y0, pixels[None] if pixels.ndim == 2 else pixels)

    def _compute(
        self, y: int, rows: int, raw: Sequence[RawBand | None], pool: ThreadPoolExecutor
    ) -> tuple[int, BandOutput, list[Future[None]]]:
        self._outputs.reverse()
        output = self._outputs[0].first(rows)
        step = COLUMNS - 2 * self._margin
        futures = []
        for x in range(0, self._field.width, step):
            for row in range(0, rows, self._memory.tile_rows):
                futures.append(
                    pool.submit(
                        self._worker.compute,
                        self._field.x0 + x,
                        self._field.y0 + y + row,
                        min(step, self._field.width - x),
                        min(self._memory.tile_rows, rows - row),
                        raw,
                        self._read_part,
                        output,
                        row,
                        x,
                    )
                )
        return y, output, futures

    def _read_part(self, source: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        return self._sources.read(source, y0, y1, x0, x1)
