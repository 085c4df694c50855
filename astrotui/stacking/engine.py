"""Runs a stack plan: two passes over the raw frames, bands of the result written as they are made, no other file."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from astrotui.frames.output import check_output
from astrotui.stacking.calibration import LoadedCalibration, group_shape, load_calibrations
from astrotui.stacking.outcome import stack_result
from astrotui.stacking.passone import PassOne, first_pass
from astrotui.stacking.passtwo import PassTwo
from astrotui.stacking.persistent import persistent_defects
from astrotui.stacking.plan import StackPlan
from astrotui.stacking.result import StackResult
from astrotui.stacking.sources import FrameSources, LostFrameError
from astrotui.stacking.writing import ResultFile, result_facts

Progress = Callable[[str, int, int], None]
_T = TypeVar("_T")


def run_plan(
    plan: StackPlan,
    *,
    masters: Path,
    tag: str,
    workers: int = 0,
    progress: Progress | None = None,
    executor: Executor | None = None,
    overwrite: bool = False,
) -> StackResult:
    """Run a plan and write its result.

    The same plan gives the same pixels on the same versions and kind of processor, whatever its memory budget,
    band height or the number of workers. A frame that cannot be used is left out and listed; nothing is left
    behind when the stack fails or is cancelled.

    Parameters
    ----------
    plan : see `astrotui.stacking.plan`; its manifest is not written here
    masters : folder of the cache of masters
    tag : names the writer of the part file
    workers : threads; 0 for as many as there are processors
    progress : called as progress(stage, done, total) from this thread; may raise to cancel
    executor : of processes, here or on machines that mount the same library, which compute the bands of the second
        pass instead of this process's threads; the pixels are the same. Threads gain nothing from it
    overwrite : take the place of a file at the plan's output, which the caller knows to be its own

    Raises
    ------
    PlanError
        No frame is usable, the budget is too small, or the plan asks for what cannot be done.
    FrameError
        A calibration frame cannot be used.
    OutputError
        The result cannot be written.
    """
    began = time.perf_counter()
    check_output(Path(plan.output), overwrite)
    threads = workers or len(os.sched_getaffinity(0))
    tell = progress or (lambda stage, done, total: None)
    elsewhere = None if isinstance(executor, ThreadPoolExecutor) else executor
    run = _Run(plan, masters, tag, threads, tell, elsewhere, overwrite)
    with ThreadPoolExecutor(threads, thread_name_prefix="stack") as pool:
        try:
            return run.run(pool, began)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Run:
    """One run of a plan."""

    def __init__(
        self,
        plan: StackPlan,
        masters: Path,
        tag: str,
        threads: int,
        tell: Progress,
        elsewhere: Executor | None,
        overwrite: bool,
    ) -> None:
        self.plan = plan
        self.masters = masters
        self.tag = tag
        self.threads = threads
        self.tell = tell
        self.elsewhere = elsewhere
        self.overwrite = overwrite
        self.stages: dict[str, float] = {}

    def run(self, pool: ThreadPoolExecutor, began: float) -> StackResult:
        """All stages; see `run_plan`."""
        plan = self.plan
        self.tell("kernels", 0, 1)
        warming = pool.submit(self._timed, "kernels", self._warm)  # while masters are read
        calibrations = self._timed("masters", self._load)
        if not warming.done():
            self.tell("kernels", 0, 1)  # what is waited for now
        warming.result()
        lost: dict[int, str] = {}
        while True:
            found = self._timed("levels", first_pass, plan, calibrations, pool, self.tell, lost)
            self._timed("defects", self._find_defects, found, calibrations, pool)
            try:
                return self._stack(found, calibrations, pool, began)
            except LostFrameError as error:
                lost[error.index] = error.reason  # without it everything is another: begin anew

    def _timed(self, stage: str, work: Callable[..., _T], *arguments: Any) -> _T:
        start = time.perf_counter()
        result = work(*arguments)
        self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - start
        return result

    def _warm(self) -> None:
        """Compile kernels now, and not in all threads at once; unusual formats compile theirs when they come."""
        from astrotui.imaging.warm import warm_drizzle, warm_judging, warm_stacking

        mosaic = bool(self.plan.cfa)
        warm_stacking(mosaic=mosaic, method=self.plan.recipe.kernel(mosaic))
        warm_judging()
        if self.plan.recipe.drizzle is not None:
            warm_drizzle()

    def _load(self) -> list[LoadedCalibration]:
        plan = self.plan
        groups = [[f for f in plan.frames if f.calibration == n] for n in range(len(plan.calibrations))]
        return load_calibrations(
            plan.calibrations,
            self.masters,
            width=plan.width,
            height=plan.height,
            planes=plan.planes,
            cfa=plan.cfa,
            cosmetic=plan.recipe.cosmetic == "auto",
            lights=groups,
            shapes=[group_shape(group, (plan.width, plan.height, plan.cfa)) for group in groups],
            full_scale_adu=plan.full_scale_adu,
            workers=self.threads,
            progress=self.tell,
        )

    def _find_defects(
        self, found: PassOne, calibrations: Sequence[LoadedCalibration], pool: ThreadPoolExecutor
    ) -> None:
        """Without a dark, defects are what persists in the lights."""
        if self.plan.recipe.cosmetic != "auto" or self.plan.planes != 1:
            return
        for number, loaded in enumerate(calibrations):
            if "dark" in loaded.names:
                continue
            group = [u for u in found.used if self.plan.frames[u.index].calibration == number]
            frames = [self.plan.frames[u.index] for u in group]
            defects = persistent_defects(frames, [u.transform for u in group], loaded, pool)
            if defects is not None:
                loaded.defects = defects

    def _stack(
        self,
        found: PassOne,
        calibrations: Sequence[LoadedCalibration],
        pool: ThreadPoolExecutor,
        began: float,
    ) -> StackResult:
        plan = self.plan
        second = PassTwo(
            plan, found, calibrations, masters=self.masters, threads=self.threads, elsewhere=self.elsewhere
        )
        facts = result_facts(plan, found, calibrations, second)
        sources = FrameSources([frame.file for frame in plan.frames])
        start = time.perf_counter()
        file = ResultFile(plan, second, facts, self.tag, self.overwrite)
        try:
            for y, band in second.bands(sources, pool):
                file.write(y, band)
                self.tell("stacking", y + band.value.shape[1], second.height)
            self.stages["stacking"] = time.perf_counter() - start
            self.tell("judging", 0, 1)
            self._timed("judging", file.judge)
            self._timed("writing", file.commit)
        finally:
            file.abort()
            sources.close()
        if second.drizzle:
            found.warnings += second.drizzle.warnings()
        seconds = time.perf_counter() - began
        return stack_result(plan, found, calibrations, file.measured, seconds=seconds, stages=self.stages)
