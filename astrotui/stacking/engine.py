"""Runs a stack plan: two passes over the raw frames, bands of the result written as they are made, no other file."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from astrotui.errors import PlanError
from astrotui.frames.output import FitsWriter, check_output
from astrotui.imaging.combine import check_percentile
from astrotui.imaging.debayer import BILINEAR, CRISP, MALVAR, red_phase
from astrotui.imaging.scoring import predicted_noise
from astrotui.imaging.warp import plan_warp
from astrotui.stacking.bands import BandStack, Memory, choose_band_rows, plan_memory
from astrotui.stacking.calibration import LoadedCalibration, group_shape, load_calibrations
from astrotui.stacking.drizzle import DrizzleBand
from astrotui.stacking.drizzle_run import DrizzleRun
from astrotui.stacking.framing import Field, frame_field
from astrotui.stacking.noise import sample_noise, summed_gain
from astrotui.stacking.outcome import Measured, frame_outcomes, reference_header
from astrotui.stacking.passone import PassOne, UsedFrame, first_pass
from astrotui.stacking.persistent import persistent_defects
from astrotui.stacking.plan import StackPlan
from astrotui.stacking.provenance import ResultFacts, result_header
from astrotui.stacking.result import StackResult
from astrotui.stacking.rules import CombineRule, combine_rule
from astrotui.stacking.sources import FrameSources, LostFrameError
from astrotui.stacking.spread import band_recipe, bands_over
from astrotui.stacking.tiles import BandOutput, FrameTask

__all__ = ["Progress", "choose_band_rows", "run_plan"]

Progress = Callable[[str, int, int], None]
_T = TypeVar("_T")

_CELLS = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]])  # cells of a mosaic to its pixels
_UNDERSHOOT = 3.0  # noise by which an interpolated pixel may lie beyond what its neighbors allow


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
        self.color = bool(plan.cfa) or plan.planes == 3
        self.planes = 3 if self.color else 1
        self.kernel = plan.recipe.kernel(bool(plan.cfa))
        self.half = bool(plan.cfa) and plan.recipe.debayer == "superpixel"

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

        warm_stacking(mosaic=bool(self.plan.cfa), method=self.kernel)
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
        plan, used = self.plan, found.used
        outlines, width, height = found.outlines, plan.width, plan.height
        if self.half:
            outlines, width, height = [(one - 0.5) / 2 for one in outlines], width // 2, height // 2
        area = frame_field(plan.recipe.frame, outlines, width, height)
        if plan.recipe.reject == "percentile" and len(used) > 2:
            try:
                check_percentile(float(found.sky.min()), float(found.noise.max()))
            except ValueError as error:
                raise PlanError(str(error)) from error
        sky = found.sky if plan.recipe.normalize != "none" else np.mean([u.location for u in used], axis=0)
        tasks = [self._task(u, calibrations) for u in used]
        sigma, photon = sample_noise(plan, used, calibrations, self.planes)
        weights = np.array([u.weight for u in used])
        rule = combine_rule(plan.recipe, sigma, photon, weights, sky)
        drizzle = None
        if plan.recipe.drizzle is not None:
            drizzle = DrizzleRun(plan, used, tasks, area, self.planes, sigma, photon, sky, outlines)
        sources = FrameSources([frame.file for frame in plan.frames])
        facts = ResultFacts(
            used=tuple(u.index for u in used),
            planes=self.planes,
            dx=2 * area.x0 if self.half else area.x0,
            dy=2 * area.y0 if self.half else area.y0,
            scale=drizzle.scale if drizzle else 0.5 if self.half else 1.0,
            normalize=found.normalize,
            reject=self._rejection(len(used)),
            masters=tuple(
                (kind, path.name) for loaded in calibrations for kind, path in loaded.names.items()
            ),
            notes=(
                *dict.fromkeys(note for loaded in calibrations for note in loaded.notes),
                *(drizzle.notes() if drizzle else ()),
            ),
        )
        width, height = drizzle.size if drizzle else (area.width, area.height)
        shape = (height, width)
        maps: dict[str, tuple[tuple[int, int], type]] = dict.fromkeys(
            ("COVERAGE", "REJ_LOW", "REJ_HIGH"), (shape, np.uint16)
        )
        if drizzle:
            maps["WEIGHT"] = (shape, np.float32)
        start = time.perf_counter()
        writer = FitsWriter(
            Path(plan.output),
            (3, *shape) if self.color else shape,
            result_header(plan, facts, reference_header(plan)),
            maps,
            self.tag,
            self.overwrite,
        )
        measured = Measured(replace(area, width=width, height=height), self.planes)

        def plain(field: Field, memory: Memory) -> Iterator[tuple[int, BandOutput]]:
            return self._bands(used, calibrations, tasks, rule, field, sources, memory, pool)

        try:
            bands: Iterator[tuple[int, BandOutput]]
            if drizzle:
                bands = drizzle.bands(sources, self.threads, pool, plain)
            else:
                bands = plain(area, self._memory(used, area))
            for y, band in bands:
                self._write(writer, measured, y, band)
                self.tell("stacking", y + band.value.shape[1], height)
            self.stages["stacking"] = time.perf_counter() - start
            self.tell("judging", 0, 1)
            noise, fwhm = self._timed("judging", measured.judge, plan.full_scale_adu)
            fraction = measured.rejected / max(1, measured.samples)
            cards = [("REJFRAC", fraction, "share of the samples that was rejected")]
            if noise is not None:
                cards.append(("NOISE", noise, "[adu] noise of a pixel"))
            if fwhm is not None:
                cards.append(("FWHM", fwhm, "[pix] median full width at half maximum of stars"))
            writer.update_header(cards)
            self._timed("writing", writer.commit)
        finally:
            writer.abort()
            sources.close()
        if drizzle:
            found.warnings += drizzle.warnings()
        return self._result(found, calibrations, measured.area, measured, noise, fwhm, began)

    def _memory(self, used: Sequence[UsedFrame], area: Field) -> Memory:
        plan = self.plan
        return plan_memory(
            replace(plan, frames=tuple(plan.frames[u.index] for u in used)),
            plan.memory_bytes,
            self.threads,
            max(2, plan.band_rows),
            area.width,
        )

    def _bands(
        self,
        used: Sequence[UsedFrame],
        calibrations: Sequence[LoadedCalibration],
        tasks: Sequence[FrameTask],
        rule: CombineRule,
        area: Field,
        sources: FrameSources,
        memory: Memory,
        pool: ThreadPoolExecutor,
    ) -> Iterator[tuple[int, BandOutput]]:
        """The bands of the result in order, from threads here or from an executor."""
        plan = self.plan
        raw = (
            len(used)
            * ((2 if self.half else 1) * memory.band_rows + 96)
            * plan.raw_size[0]
            * (6 if plan.planes == 3 else 2)
        )
        if self.elsewhere is None:
            stack = BandStack(area, self.planes, tasks, rule, self.kernel, sources, memory, raw)
            return stack.run(pool)
        recipe = band_recipe(
            files=[frame.file for frame in plan.frames],
            tasks=tasks,
            groups=[plan.frames[u.index].calibration for u in used],
            calibrations=plan.calibrations,
            loaded=calibrations,
            masters=self.masters,
            size=(*plan.raw_size, plan.planes),
            cfa=plan.cfa,
            field=area,
            planes=self.planes,
            rule=rule,
            method=self.kernel,
            memory=memory,
            raw_bytes=raw,
        )
        return bands_over(self.elsewhere, recipe)

    def _task(self, used: UsedFrame, calibrations: Sequence[LoadedCalibration]) -> FrameTask:
        plan, frame = self.plan, self.plan.frames[used.index]
        transform, lens, width, height = used.transform, used.lens, frame.width, frame.height
        phase = (0, 0, -1)
        if self.half:  # pixel x of a plane, and of the result, lies at 2 x + 0.5 of the mosaic
            transform = np.linalg.inv(_CELLS) @ transform @ _CELLS
            lens = None if lens is None else lens.halved()
            width, height = width // 2, height // 2
        elif frame.cfa:
            method = CRISP if self.kernel == "mitchell" else MALVAR
            phase = (*red_phase(frame.cfa), BILINEAR if plan.recipe.debayer == "bilinear" else method)
        return FrameTask(
            source=used.index,
            warp=plan_warp(transform, width, height, self.kernel, lens),
            width=frame.width,
            height=frame.height,
            raw_planes=frame.planes,
            cfa=frame.cfa,
            phase=phase,
            superpixel=self.half,
            step=2 if frame.cfa else 1,
            calibration=calibrations[frame.calibration],
            factor=used.factor.astype(np.float32),
            offset=used.offset.astype(np.float32),
            undershoot=_UNDERSHOOT * float(used.noise.max()),
            levels=np.array(
                [*np.resize(used.location, 3), _UNDERSHOOT * float(used.noise.max())], np.float32
            ),
        )

    def _rejection(self, count: int) -> str:
        recipe = self.plan.recipe
        if count <= 2 or recipe.combine == "median":
            return "none"
        if recipe.reject != "auto":
            return recipe.reject
        return "known noise" if count < 8 else "winsorized"

    def _write(self, writer: FitsWriter, measured: Measured, y: int, band: BandOutput) -> None:
        coverage = band.found.min(axis=0)
        writer.write_rows(None, y, band.value if self.color else band.value[0])
        writer.write_rows("COVERAGE", y, coverage)
        writer.write_rows("REJ_LOW", y, band.low.sum(axis=0, dtype=np.uint16))
        writer.write_rows("REJ_HIGH", y, band.high.sum(axis=0, dtype=np.uint16))
        if isinstance(band, DrizzleBand):
            writer.write_rows("WEIGHT", y, band.weight)
        measured.add(y, band, coverage)

    def _result(
        self,
        found: PassOne,
        calibrations: Sequence[LoadedCalibration],
        area: Field,
        measured: Measured,
        noise: float | None,
        fwhm: float | None,
        began: float,
    ) -> StackResult:
        plan, used = self.plan, found.used
        green = 1 if self.color else 0
        names: dict[str, str] = {}
        for loaded in calibrations:
            for kind, path in loaded.names.items():
                names.setdefault(kind, str(path))
        return StackResult(
            output=plan.output,
            manifest=plan.manifest,
            frames_used=len(used),
            frames_skipped=(*plan.skipped, *(found.skipped[i] for i in sorted(found.skipped))),
            reference=plan.base.file.path,
            integration_s=float(sum(plan.frames[u.index].exposure_s or 0.0 for u in used)),
            rejected_fraction=measured.rejected / max(1, measured.samples),
            noise_adu=noise,
            fwhm_px=fwhm,
            width=area.width,
            height=area.height,
            planes=self.planes,
            seconds=time.perf_counter() - began,
            dark=names.get("dark"),
            flat=names.get("flat"),
            bias=names.get("bias"),
            predicted_noise_adu=predicted_noise(
                [u.weight for u in used],
                [u.factor[green] for u in used],
                [u.noise[green] for u in used],
            )
            * summed_gain(plan.recipe, plan.cfa),
            coverage_min=measured.least,
            coverage_max=measured.most,
            stages={name: round(seconds, 3) for name, seconds in self.stages.items()},
            warnings=tuple(
                dict.fromkeys(
                    (*plan.warnings, *(w for c in calibrations for w in c.warnings), *found.warnings)
                )
            ),
            notes=tuple(
                dict.fromkeys((*found.notes, *(note for loaded in calibrations for note in loaded.notes)))
            ),
            frames=frame_outcomes(plan, found),
            reused=dict(plan.reused),
            islands=found.islands,
        )
