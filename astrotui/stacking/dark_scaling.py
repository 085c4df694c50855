"""By what a dark of another exposure is multiplied: fitted to warm pixels of the lights, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from astrotui.errors import FrameError
from astrotui.imaging.calibrate import DarkScale, fit_dark_scale
from astrotui.imaging.types import Float32Array
from astrotui.stacking.plan import PlanFrame

_LIGHTS = 3  # that are looked at
_STRIP = 64  # rows read together
_PIXELS = 4_000_000  # of a light, at most about


@dataclass(frozen=True)
class ChosenScale:
    """What is done with a dark.

    Attributes
    ----------
    factor : of the dark's signal over the bias; None when the dark is subtracted as it is
    note : why, for people
    doubtful : the result may show it: a warning
    """

    factor: float | None
    note: str
    doubtful: bool = False


def choose_scale(
    by_exposure: float,
    lights: Sequence[PlanFrame],
    dark: Float32Array,
    bias: Float32Array,
    cfa: str | None,
    full_scale_adu: float | None,
) -> ChosenScale:
    """The factor for a dark that is to be scaled.

    It is fitted to up to three lights, spread over those given, and their median taken: temperature counts as much
    as exposure does. Where no fit is possible the ratio of exposures stays. A dark with amplifier glow, and one
    that fits worse when scaled, is subtracted as it is.

    Parameters
    ----------
    by_exposure : ratio of the exposures of light and dark
    lights : that the dark is for; those that cannot be read or have another size are passed over
    dark, bias : masters, float32 (H, W)
    """
    height, width = dark.shape
    strips = max(1, height // _STRIP)
    wanted = min(strips, max(1, _PIXELS // (_STRIP * width)))
    starts = [_STRIP * (strips * k // wanted) for k in range(wanted)]
    rows = [(y, min(y + _STRIP, height)) for y in starts]
    below = np.concatenate([bias[a:b] for a, b in rows])
    signal = np.concatenate([dark[a:b] for a, b in rows]) - below
    fits: list[DarkScale] = []
    for frame in _spread(lights):
        light = _read(frame, rows, dark.shape)
        if light is None:
            continue
        light -= below
        noise = frame.noise_adu or _noise(light)
        fits.append(fit_dark_scale(light, signal, noise_adu=noise, full_scale_adu=full_scale_adu, cfa=cfa))
    refused = [fit for fit in fits if fit.refused]
    if refused and 2 * len(refused) >= len(fits):
        return ChosenScale(None, f"dark: {refused[0].reason}", doubtful=True)
    factors = [fit.factor for fit in fits if fit.factor is not None]
    exposures = f"by exposure it would be {by_exposure:.3g}"
    if factors:
        factor = float(np.median(factors))
        pixels = max(fit.pixels for fit in fits if fit.factor is not None)
        note = f"dark: its signal over the bias times {factor:.3g}, fitted to {pixels:,} warm pixels; {exposures}"
        return ChosenScale(factor, note)
    reason = fits[0].reason if fits else "no light could be read for a fit"
    return ChosenScale(
        by_exposure, f"dark: its signal over the bias times {by_exposure:.3g}, by exposure: {reason}"
    )


def _spread(lights: Sequence[PlanFrame]) -> list[PlanFrame]:
    count = min(_LIGHTS, len(lights))
    return [lights[len(lights) * (2 * k + 1) // (2 * count)] for k in range(count)]


def _read(frame: PlanFrame, rows: Sequence[tuple[int, int]], shape: tuple[int, ...]) -> Float32Array | None:
    from astrotui.frames.pixels import open_frame

    try:
        with open_frame(frame.file.path, frame.file.hdu) as reader:
            if (reader.height, reader.width) != shape or reader.planes != 1:
                return None
            return np.concatenate([reader.read(a, b) for a, b in rows]).astype(np.float32)
    except FrameError:
        return None  # the first pass leaves it out and says why


def _noise(light: Float32Array) -> float:
    """Noise of a pixel from differences of pixels of one color."""
    differences = (light[:, 2:] - light[:, :-2])[::3, ::3]
    finite = np.abs(differences[np.isfinite(differences)])
    return 1.4826 * float(np.median(finite)) / 2**0.5 if len(finite) else 0.0
