"""Second pass over the frames of a stack: the bands of the result, plain or drizzled, made here or elsewhere."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from astrotui.errors import PlanError
from astrotui.imaging.combine import check_percentile
from astrotui.imaging.debayer import BILINEAR, CRISP, MALVAR, red_phase
from astrotui.imaging.warp import plan_warp
from astrotui.stacking.bands import BandStack, Memory, plan_memory
from astrotui.stacking.calibration import LoadedCalibration
from astrotui.stacking.drizzle_run import DrizzleRun
from astrotui.stacking.framing import Field, frame_field
from astrotui.stacking.noise import sample_noise
from astrotui.stacking.passone import PassOne, UsedFrame
from astrotui.stacking.plan import StackPlan
from astrotui.stacking.rules import combine_rule
from astrotui.stacking.sources import FrameSources
from astrotui.stacking.spread import band_recipe, bands_over
from astrotui.stacking.tiles import BandOutput, FrameTask

_CELLS = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]])  # cells of a mosaic to its pixels
_UNDERSHOOT = 3.0  # noise by which an interpolated pixel may lie beyond what its neighbors allow


class PassTwo:
    """The second pass of one plan.

    Parameters
    ----------
    found : of the first pass
    calibrations : loaded masters, as the plan's frames name them
    masters : folder of the cache of masters
    threads : to compute with here
    elsewhere : of processes that compute the bands instead of threads here, or None

    Attributes
    ----------
    planes : of the result
    half : it has a pixel for each cell of a mosaic
    area : what is in it, in pixels of a plain stack
    drizzle : None for a plain stack
    width, height : of the result

    Raises
    ------
    PlanError
        The plan asks for what cannot be done with these frames.
    """

    def __init__(
        self,
        plan: StackPlan,
        found: PassOne,
        calibrations: Sequence[LoadedCalibration],
        *,
        masters: Path,
        threads: int,
        elsewhere: Executor | None,
    ) -> None:
        self._plan = plan
        self._used = used = found.used
        self._calibrations = calibrations
        self._masters = masters
        self._threads = threads
        self._elsewhere = elsewhere
        self._kernel = plan.recipe.kernel(bool(plan.cfa))
        self.planes = 3 if plan.cfa or plan.planes == 3 else 1
        self.half = bool(plan.cfa) and plan.recipe.debayer == "superpixel"
        outlines, width, height = found.outlines, plan.width, plan.height
        if self.half:
            outlines, width, height = [(one - 0.5) / 2 for one in outlines], width // 2, height // 2
        self.area = frame_field(plan.recipe.frame, outlines, width, height)
        if plan.recipe.reject == "percentile" and len(used) > 2:
            try:
                check_percentile(float(found.sky.min()), float(found.noise.max()))
            except ValueError as error:
                raise PlanError(str(error)) from error
        sky = found.sky if plan.recipe.normalize != "none" else np.mean([u.location for u in used], axis=0)
        self._tasks = [self._task(one) for one in used]
        sigma, photon = sample_noise(plan, used, calibrations, self.planes)
        weights = np.array([u.weight for u in used])
        self._rule = combine_rule(plan.recipe, sigma, photon, weights, sky)
        self.drizzle: DrizzleRun | None = None
        self.width, self.height = self.area.width, self.area.height
        if plan.recipe.drizzle is not None:
            self.drizzle = DrizzleRun(
                plan, used, self._tasks, self.area, self.planes, sigma, photon, sky, outlines
            )
            self.width, self.height = self.drizzle.size

    def bands(self, sources: FrameSources, pool: ThreadPoolExecutor) -> Iterator[tuple[int, BandOutput]]:
        """The bands of the result with their first rows, in order.

        Raises
        ------
        PlanError
            The budget is too small.
        LostFrameError
            A frame cannot be read any more.
        """

        def plain(field: Field, memory: Memory) -> Iterator[tuple[int, BandOutput]]:
            return self._bands(field, memory, sources, pool)

        if self.drizzle is not None:
            return self.drizzle.bands(sources, self._threads, pool, plain)
        return plain(self.area, self._memory())

    def _memory(self) -> Memory:
        plan = self._plan
        return plan_memory(
            replace(plan, frames=tuple(plan.frames[u.index] for u in self._used)),
            plan.memory_bytes,
            self._threads,
            max(2, plan.band_rows),
            self.area.width,
        )

    def _bands(
        self, field: Field, memory: Memory, sources: FrameSources, pool: ThreadPoolExecutor
    ) -> Iterator[tuple[int, BandOutput]]:
        """The bands of a plain stack, from threads here or from an executor."""
        plan, used = self._plan, self._used
        raw = (
            len(used)
            * ((2 if self.half else 1) * memory.band_rows + 96)
            * plan.raw_size[0]
            * (6 if plan.planes == 3 else 2)
        )
        if self._elsewhere is None:
            stack = BandStack(field, self.planes, self._tasks, self._rule, self._kernel, sources, memory, raw)
            return stack.run(pool)
        recipe = band_recipe(
            files=[frame.file for frame in plan.frames],
            tasks=self._tasks,
            groups=[plan.frames[u.index].calibration for u in used],
            calibrations=plan.calibrations,
            loaded=self._calibrations,
            masters=self._masters,
            size=(*plan.raw_size, plan.planes),
            cfa=plan.cfa,
            field=field,
            planes=self.planes,
            rule=self._rule,
            method=self._kernel,
            memory=memory,
            raw_bytes=raw,
        )
        return bands_over(self._elsewhere, recipe)

    def _task(self, used: UsedFrame) -> FrameTask:
        plan, frame = self._plan, self._plan.frames[used.index]
        transform, lens, width, height = used.transform, used.lens, frame.width, frame.height
        phase = (0, 0, -1)
        if self.half:  # pixel x of a plane, and of the result, lies at 2 x + 0.5 of the mosaic
            transform = np.linalg.inv(_CELLS) @ transform @ _CELLS
            lens = None if lens is None else lens.halved()
            width, height = width // 2, height // 2
        elif frame.cfa:
            method = CRISP if self._kernel == "mitchell" else MALVAR
            phase = (*red_phase(frame.cfa), BILINEAR if plan.recipe.debayer == "bilinear" else method)
        undershoot = _UNDERSHOOT * float(used.noise.max())
        return FrameTask(
            source=used.index,
            warp=plan_warp(transform, width, height, self._kernel, lens),
            width=frame.width,
            height=frame.height,
            raw_planes=frame.planes,
            cfa=frame.cfa,
            phase=phase,
            superpixel=self.half,
            step=2 if frame.cfa else 1,
            calibration=self._calibrations[frame.calibration],
            factor=used.factor.astype(np.float32),
            offset=used.offset.astype(np.float32),
            undershoot=undershoot,
            levels=np.array([*np.resize(used.location, 3), undershoot], np.float32),
        )
