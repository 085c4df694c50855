"""What is told of a stack when it is done: counts, noise and sharpness of the result, each frame's part."""

from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import AstrotuiError
from astrotui.imaging.types import Float32Array
from astrotui.stacking.framing import Field
from astrotui.stacking.passone import PassOne
from astrotui.stacking.plan import PlanFrame, SkippedFrame, StackPlan
from astrotui.stacking.result import FrameOutcome
from astrotui.stacking.tiles import BandOutput

_PROBE = (1200, 1600)  # rows and columns at the middle of the result on which it is measured


@dataclass(eq=False)
class Measured:
    """What is summed up while bands pass by."""

    area: Field
    planes: int
    rejected: int = 0
    samples: int = 0
    least: int = np.iinfo(np.uint16).max
    most: int = 0
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

    def judge(self, full_scale_adu: float | None) -> tuple[float | None, float | None]:
        """Noise and FWHM of the result's middle."""
        from astrotui.imaging.quality import measure_frame

        probe = self.probe
        if min(probe.shape) < 16 or not np.isfinite(probe).any():
            return None, None
        as_color = np.broadcast_to(probe, (3, *probe.shape))  # its pixels are interpolated
        found = measure_frame(as_color, cfa_phase=None, full_scale_adu=full_scale_adu)
        return found.noise_adu, found.fwhm_px


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
