"""What is told of a stack when it is done: counts, noise and sharpness of the result, each frame's part."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import AstrotuiError
from astrotui.imaging.scoring import predicted_noise
from astrotui.imaging.types import Float32Array
from astrotui.stacking.calibration import LoadedCalibration
from astrotui.stacking.framing import Field
from astrotui.stacking.noise import summed_gain
from astrotui.stacking.passone import PassOne
from astrotui.stacking.plan import PlanFrame, SkippedFrame, StackPlan
from astrotui.stacking.result import FrameOutcome, StackResult
from astrotui.stacking.tiles import BandOutput

_PROBE = (1200, 1600)  # rows and columns at the middle of the result on which it is measured


@dataclass(eq=False)
class Measured:
    """What is summed up while bands pass by, and measured when all have.

    Attributes
    ----------
    area : of the result
    planes : of the result
    rejected, samples : how many there were
    least, most : samples of a pixel
    noise_adu, fwhm_px : on the result's middle; None before `judge`, or when it shows neither
    """

    area: Field
    planes: int
    rejected: int = 0
    samples: int = 0
    least: int = np.iinfo(np.uint16).max
    most: int = 0
    noise_adu: float | None = None
    fwhm_px: float | None = None
    probe: Float32Array = field(init=False)

    def __post_init__(self) -> None:
        self.probe = np.full(
            (min(_PROBE[0], self.area.height), min(_PROBE[1], self.area.width)), np.nan, np.float32
        )

    def add(self, y: int, band: BandOutput, coverage: NDArray[np.uint16]) -> None:
        """Take a band into account."""
        self.rejected += int(band.low.sum(dtype=np.int64)) + int(band.high.sum(dtype=np.int64))
        self.samples += int(band.found.sum(dtype=np.int64))
        self.least, self.most = min(self.least, int(coverage.min())), max(self.most, int(coverage.max()))
        top = (self.area.height - self.probe.shape[0]) // 2
        left = (self.area.width - self.probe.shape[1]) // 2
        first, last = max(y, top), min(y + coverage.shape[0], top + self.probe.shape[0])
        if last > first:
            green = band.value[1 if self.planes == 3 else 0]
            self.probe[first - top : last - top] = green[
                first - y : last - y, left : left + self.probe.shape[1]
            ]

    @property
    def rejected_fraction(self) -> float:
        """Rejected share of all valid samples."""
        return self.rejected / max(1, self.samples)

    def judge(self, full_scale_adu: float | None) -> None:
        """Find noise and FWHM."""
        from astrotui.imaging.quality import measure_frame

        probe = self.probe
        if min(probe.shape) < 16 or not np.isfinite(probe).any():
            return
        as_color = np.broadcast_to(probe, (3, *probe.shape))  # its pixels are interpolated
        found = measure_frame(as_color, cfa_phase=None, full_scale_adu=full_scale_adu)
        self.noise_adu, self.fwhm_px = found.noise_adu, found.fwhm_px


def stack_result(
    plan: StackPlan,
    found: PassOne,
    calibrations: Sequence[LoadedCalibration],
    measured: Measured,
    *,
    seconds: float,
    stages: Mapping[str, float],
) -> StackResult:
    """What is told of a stack whose file is written."""
    used = found.used
    green = 1 if measured.planes == 3 else 0
    names: dict[str, str] = {}
    for loaded in calibrations:
        for kind, path in loaded.names.items():
            names.setdefault(kind, str(path))
    predicted = predicted_noise(
        [u.weight for u in used],
        [u.factor[green] for u in used],
        [u.noise[green] for u in used],
    )
    warnings = (*plan.warnings, *(text for one in calibrations for text in one.warnings), *found.warnings)
    notes = (*found.notes, *(note for one in calibrations for note in one.notes))
    return StackResult(
        output=plan.output,
        manifest=plan.manifest,
        frames_used=len(used),
        frames_skipped=(*plan.skipped, *(found.skipped[i] for i in sorted(found.skipped))),
        reference=plan.base.file.path,
        integration_s=float(sum(plan.frames[u.index].exposure_s or 0.0 for u in used)),
        rejected_fraction=measured.rejected_fraction,
        noise_adu=measured.noise_adu,
        fwhm_px=measured.fwhm_px,
        width=measured.area.width,
        height=measured.area.height,
        planes=measured.planes,
        seconds=seconds,
        dark=names.get("dark"),
        flat=names.get("flat"),
        bias=names.get("bias"),
        predicted_noise_adu=predicted * summed_gain(plan.recipe, plan.cfa),
        coverage_min=measured.least,
        coverage_max=measured.most,
        stages={name: round(spent, 3) for name, spent in stages.items()},
        warnings=tuple(dict.fromkeys(warnings)),
        notes=tuple(dict.fromkeys(notes)),
        frames=frame_outcomes(plan, found),
        reused=dict(plan.reused),
        islands=found.islands,
    )


def frame_outcomes(plan: StackPlan, found: PassOne) -> tuple[FrameOutcome, ...]:
    """What became of each frame of a plan, in its order."""
    used = {one.index: one for one in found.used}
    rows = []
    for index, frame in enumerate(plan.frames):
        one = used.get(index)
        if one is None:
            reason = found.skipped.get(index, SkippedFrame("", "")).reason
            rows.append(FrameOutcome(frame.file.path, False, reason))
            continue
        rows.append(
            FrameOutcome(
                frame.file.path,
                True,
                one.note,
                one.weight,
                tuple(float(v) for v in one.transform.ravel()),
                tuple(float(v) for v in one.factor),
                tuple(float(v) for v in one.offset),
                one.matched,
                None if one.lens is None else astuple(one.lens),
            )
        )
    return tuple(rows)


def reference_header(plan: StackPlan) -> dict[str, object]:
    """The reference's FITS header by key; empty for other formats or when it has gone."""
    from astrotui.frames.headers import read_fits

    reference: PlanFrame = plan.frames[plan.reference]
    try:
        header = read_fits(reference.file.path, reference.file.hdu).header
    except AstrotuiError:
        return {}
    return {key: header.get(key) for key in header.keywords()}
