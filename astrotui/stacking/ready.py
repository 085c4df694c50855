"""Judgements that go with calibration: did a ready master lose its bias, and by how much to scale a dark."""

from dataclasses import dataclass

from astrotui.errors import FrameError
from astrotui.stacking.master_frames import sampled_median
from astrotui.stacking.plan import MasterSpec

_DARK_TOLERANCE = 0.02
_SCALE_RANGE = (0.3, 2.0)


@dataclass(frozen=True)
class BiasVerdict:
    """Whether a ready master has lost its bias; true when it has."""

    subtracted: bool
    reason: str

    def __bool__(self) -> bool:
        return self.subtracted


def detect_ready_master_bias(
    ready_median: float, bias_median: float | None, light_median: float | None = None
) -> BiasVerdict:
    """Judge by its level whether the bias was taken off a ready master dark.

    A dark that holds its bias lies at the bias or over it; one whose median is nearer 0 than to the bias
    has lost it. Without a bias only a median at or under zero, or under 1 % of the lights', is a sign.

    Parameters
    ----------
    ready_median, bias_median, light_median : in ADU; None when unknown
    """
    if bias_median is not None:
        lost = abs(ready_median) < abs(ready_median - bias_median)
        nearer = "nearer 0 than" if lost else "nearer"
        what = "its bias was subtracted before" if lost else "it holds its bias"
        return BiasVerdict(
            lost, f"ready master at {ready_median:.1f} ADU is {nearer} the bias at {bias_median:.1f}: {what}"
        )
    if ready_median <= 0:
        return BiasVerdict(True, f"ready master at {ready_median:.1f} ADU: its bias was subtracted before")
    if light_median is not None and ready_median < 0.01 * light_median:
        found = f"ready master at {ready_median:.1f} ADU under lights at {light_median:.0f}"
        return BiasVerdict(True, f"{found}: it seems to lack its bias")
    return BiasVerdict(False, f"ready master at {ready_median:.1f} ADU is taken to hold its bias")


def ready_master_lost_bias(dark: MasterSpec, bias: MasterSpec) -> tuple[bool, str]:
    """Judge a ready master dark against a bias, by the pixels of both; see `detect_ready_master_bias`.

    The second value says what was found. A file that cannot be read is judged to hold its bias, as the
    error comes up again, by name, when the master is made.
    """
    try:
        verdict = detect_ready_master_bias(sampled_median(dark.inputs[0]), sampled_median(bias.inputs[0]))
    except FrameError as error:
        return False, f"ready master could not be compared with the bias: {error.reason}"
    return verdict.subtracted, verdict.reason


def dark_factor(
    light_exposure_s: float | None, dark_exposure_s: float | None, *, has_bias: bool
) -> tuple[float | None, str]:
    """Factor for a dark's signal over the bias, and why: k = t_light / t_dark.

    None means to subtract the dark as it is: exposures agree within 2 %, there is no bias to scale over,
    or k is outside 0.3 to 2, where noise and amplifier glow grow faster than the dark current is told.
    """
    if not light_exposure_s or not dark_exposure_s or light_exposure_s <= 0 or dark_exposure_s <= 0:
        return None, "an exposure is unknown: the dark is not scaled"
    k = light_exposure_s / dark_exposure_s
    if abs(light_exposure_s - dark_exposure_s) <= max(_DARK_TOLERANCE * light_exposure_s, 1e-4):
        return None, "exposures agree: the dark is not scaled"
    if not has_bias:
        return None, "there is no bias: the dark cannot be scaled"
    if not _SCALE_RANGE[0] <= k <= _SCALE_RANGE[1]:
        return None, f"a factor of {k:.3g} is outside 0.3 to 2: the dark is not scaled"
    return k, f"dark scaled by {k:.3g}, {light_exposure_s:g} s over {dark_exposure_s:g} s"
