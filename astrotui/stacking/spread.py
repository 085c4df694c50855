"""Second pass over an executor of other processes or machines: each band is a task that reads files, returns arrays.

A task carries no pixels: it names raw frames and masters, which every process must find under the same paths (a cluster
mounts the same library; a master that is not in its cache is made there anew, to the same bytes). What a process has
loaded it keeps for the bands that follow.
"""

import os
import pickle
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from astrotui.imaging.calibrate import Defects
from astrotui.imaging.warp import Interpolation
from astrotui.stacking.bands import BandStack, Memory
from astrotui.stacking.calibration import LoadedCalibration, group_shape, load_calibrations
from astrotui.stacking.framing import Field
from astrotui.stacking.plan import Calibration, InputFile
from astrotui.stacking.rules import CombineRule
from astrotui.stacking.sources import FrameSources
from astrotui.stacking.tiles import BandOutput, FrameTask

_AHEAD = 2  # bands that wait for each process, so that none is idle while results travel


@dataclass(frozen=True, eq=False)
class BandRecipe:
    """All that bands have in common.

    Attributes
    ----------
    tasks : without their calibrations, which `groups` numbers
    calibrations : with the scale of each dark as it was decided
    defects : of each calibration; found where the first pass ran
    masters : folder of the cache
    """

    files: tuple[InputFile, ...]
    tasks: tuple[FrameTask, ...]
    groups: tuple[int, ...]
    calibrations: tuple[Calibration, ...]
    defects: tuple[Defects | None, ...]
    masters: str
    width: int
    height: int
    raw_planes: int
    cfa: str | None
    field: Field
    planes: int
    rule: CombineRule
    method: Interpolation
    memory: Memory
    raw_bytes: int


def band_recipe(
    *,
    files: Sequence[InputFile],
    tasks: Sequence[FrameTask],
    groups: Sequence[int],
    calibrations: Sequence[Calibration],
    loaded: Sequence[LoadedCalibration],
    masters: Path,
    size: tuple[int, int, int],
    cfa: str | None,
    field: Field,
    planes: int,
    rule: CombineRule,
    method: Interpolation,
    memory: Memory,
    raw_bytes: int,
) -> BandRecipe:
    """The recipe for bands whose `tasks` were made for calibrations `loaded` in this process.

    Parameters
    ----------
    groups : number of each task's calibration
    size : width, height and planes of the raw frames
    """
    return BandRecipe(
        tuple(files),
        tuple(replace(task, calibration=None) for task in tasks),
        tuple(groups),
        tuple(replace(c, dark_scale=one.dark_scale) for c, one in zip(calibrations, loaded, strict=True)),
        tuple(one.defects for one in loaded),
        str(masters),
        *size,
        cfa,
        field,
        planes,
        rule,
        method,
        replace(memory, ahead=False),
        raw_bytes,
    )


def bands_over(executor: Executor, recipe: BandRecipe) -> Iterator[tuple[int, BandOutput]]:
    """Compute all bands; yields each one's first row and its output, in order.

    Raises
    ------
    LostFrameError
        A frame cannot be read any more.
    """
    data = pickle.dumps(recipe, protocol=pickle.HIGHEST_PROTOCOL)
    key = sha256(data).hexdigest()
    step, height = recipe.memory.band_rows, recipe.field.height
    most = _AHEAD * max(2, int(getattr(executor, "_max_workers", 0)) or len(os.sched_getaffinity(0)))
    waiting: deque[Future[tuple[int, BandOutput]]] = deque()
    try:
        for y in range(0, height, step):
            waiting.append(executor.submit(compute_band, data, key, y, min(step, height - y)))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def compute_band(data: bytes, key: str, y: int, rows: int) -> tuple[int, BandOutput]:
    """Compute one band where this runs: the task of `bands_over`.

    Parameters
    ----------
    data, key : a pickled `BandRecipe` and its digest
    y, rows : the band in the result
    """
    with _LOCK:  # tasks of one process share what it holds; on a cluster they may run in threads
        stack = _stack_of(data, key)
        with ThreadPoolExecutor(1) as here:
            return y, stack.band(y, rows, here).copy()  # its memory is used again by the next


_LOCK = threading.Lock()
_held: dict[str, tuple[BandStack, FrameSources]] = {}


def _stack_of(data: bytes, key: str) -> BandStack:
    """The stack of a recipe, loaded once; that of another recipe is let go of."""
    if key not in _held:
        for _, sources in _held.values():
            sources.close()
        _held.clear()
        recipe: BandRecipe = pickle.loads(data)
        default = (recipe.width, recipe.height, recipe.cfa)
        groups = [
            [task for task, group in zip(recipe.tasks, recipe.groups, strict=True) if group == number]
            for number in range(len(recipe.calibrations))
        ]
        loaded = load_calibrations(
            recipe.calibrations,
            Path(recipe.masters),
            width=recipe.width,
            height=recipe.height,
            planes=recipe.raw_planes,
            cfa=recipe.cfa,
            cosmetic=False,
            shapes=[group_shape(group, default) for group in groups],
            workers=1,
        )
        for one, defects in zip(loaded, recipe.defects, strict=True):
            one.defects = defects
        tasks = [
            replace(task, calibration=loaded[group])
            for task, group in zip(recipe.tasks, recipe.groups, strict=True)
        ]
        sources = FrameSources(recipe.files)
        stack = BandStack(
            recipe.field,
            recipe.planes,
            tasks,
            recipe.rule,
            recipe.method,
            sources,
            recipe.memory,
            recipe.raw_bytes,
        )
        _held[key] = (stack, sources)
    return _held[key][0]
