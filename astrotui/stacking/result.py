"""What running a plan gave, in the words of `astrotui stack --json`."""

from dataclasses import dataclass, field

from astrotui.stacking.islands import Island
from astrotui.stacking.plan import SkippedFrame


@dataclass(frozen=True)
class FrameOutcome:
    """What became of one planned frame: a row of the manifest's table.

    Attributes
    ----------
    path : the raw frame
    used : it is in the stack
    reason : why it is not, or what was done differently for it; empty otherwise
    weight : its weight in the average, 1 for the heaviest; None when unused
    transform : the nine numbers, row by row, of the 3x3 matrix that maps frame to reference pixels
    factor, offset : by plane, x' = factor * x + offset brought it to the level of the reference
    matched : stars that fixed the transform
    lens : center x, y, radius, k1 and k2 of `imaging.mapping.Lens`; the transform then lies between undistorted pixels
    """

    path: str
    used: bool
    reason: str = ""
    weight: float | None = None
    transform: tuple[float, ...] | None = None
    factor: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None
    matched: int | None = None
    lens: tuple[float, ...] | None = None


@dataclass(frozen=True)
class StackResult:
    """Facts of a finished stack.

    Attributes
    ----------
    frames_used : raw frames that went in
    frames_skipped : frames that were asked for and left out, each with its reason
    reference : path of the reference frame
    dark, flat, bias : path of the master that was used, or None
    integration_s : sum of the exposures that went in
    rejected_fraction : rejected share of all valid samples
    noise_adu : noise of one pixel of the result (green, or mono), from a high-pass
    fwhm_px : median FWHM of the stars in the result, in its pixels
    predicted_noise_adu : what weights and the frames' noise promise, on 4x4-binned pixels
    coverage_min, coverage_max : samples a pixel
    notes : what was decided while it ran, such as the scale of a dark
    frames : one row for each frame of the plan, in its order; for the manifest
    reused : how many measurements, masters and registrations were there before
    islands : those that the frames fell into, the reference's first; empty for one
    """

    output: str
    manifest: str
    frames_used: int
    frames_skipped: tuple[SkippedFrame, ...]
    reference: str
    integration_s: float
    rejected_fraction: float
    noise_adu: float | None
    fwhm_px: float | None
    width: int
    height: int
    planes: int
    seconds: float
    dark: str | None = None
    flat: str | None = None
    bias: str | None = None
    predicted_noise_adu: float | None = None
    coverage_min: int = 0
    coverage_max: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    frames: tuple[FrameOutcome, ...] = ()
    reused: dict[str, int] = field(default_factory=dict)
    islands: tuple[Island, ...] = ()
