"""What noise a sample has once it is calibrated, demosaiced, resampled and normalized."""

from collections.abc import Sequence

import numpy as np

from astrotui.imaging.types import Float64Array
from astrotui.stacking.calibration import LoadedCalibration
from astrotui.stacking.passone import UsedFrame
from astrotui.stacking.plan import StackPlan
from astrotui.stacking.recipe import Recipe

# Standard deviation of an interpolated pixel of white noise of 1, mean over sub-pixel shifts (simulated).
_KERNELS = ("nearest", "bilinear", "bicubic", "mitchell", "lanczos3")
_RESAMPLED = dict(zip(_KERNELS, (1.0, 0.63, 0.81, 0.585, 0.87), strict=True))
_MOSAIC = {  # red and blue, green
    "malvar": ((0.99, 0.885), (0.8, 0.695), (0.9, 0.79), (0.88, 0.755), (0.96, 0.855)),
    "bilinear": ((0.75, 0.79), (0.67, 0.63), (0.735, 0.74), (0.65, 0.595), (0.755, 0.765)),
}
# Noise of sums of 4x4 pixels, or of 4x4 cells of a mosaic's green, relative to sums of recorded pixels: an
# interpolated pixel shares noise with its neighbors, and at the rim of a sum these lie outside (simulated).
_SUMMED = dict(zip(_KERNELS, (1.0, 0.92, 0.97, 0.895, 0.99), strict=True))
_SUMMED_MOSAIC = dict(zip(_KERNELS, (0.95, 0.93, 0.95, 0.93, 0.955), strict=True))


def noise_gain(recipe: Recipe, cfa: str | None, planes: int) -> Float64Array:
    """Noise of a pixel of each plane relative to that of a raw one, float64 (planes,)."""
    kernel = recipe.kernel(bool(cfa))
    alone = _RESAMPLED[kernel]
    if not cfa:
        return np.full(planes, alone)
    if recipe.debayer == "superpixel":  # its green is a mean of two
        return alone * np.array([1.0, 0.5**0.5, 1.0])
    method = "bilinear" if recipe.debayer == "bilinear" else "malvar"
    other, green = _MOSAIC[method][_KERNELS.index(kernel)]
    return np.array([other, green, other])


def summed_gain(recipe: Recipe, cfa: str | None) -> float:
    """Noise of sums of 4x4 pixels (of a mosaic, 4x4 of its cells) relative to that of as many recorded pixels.

    A drizzle's drops are shared out by other rules; 1 there.
    """
    if recipe.drizzle:
        return 1.0
    apart = not cfa or recipe.debayer == "superpixel"
    return (_SUMMED if apart else _SUMMED_MOSAIC)[recipe.kernel(bool(cfa))]


def sample_noise(
    plan: StackPlan, used: Sequence[UsedFrame], calibrations: Sequence[LoadedCalibration], planes: int
) -> tuple[Float64Array, Float64Array]:
    """Noise of normalized samples of each frame, and their variance per ADU above the sky; both (planes, n).

    How many electrons an ADU stands for is not known: sky light is taken to make all of a frame's noise. Where it
    does not, less is known than this assumes, and less is rejected. A sky that still has its pedestal counts a tenth.
    """
    gain = noise_gain(plan.recipe, plan.cfa, planes)
    sigma, photon = [], []
    for one in used:
        loaded = calibrations[plan.frames[one.index].calibration]
        light = one.location if loaded.pedestal_free else 0.1 * one.location
        per_adu = one.noise**2 / np.maximum(light, np.maximum(one.noise, 1e-6))
        sigma.append(one.factor * one.noise * gain)
        photon.append(one.factor * per_adu * gain**2)
    return np.stack(sigma, axis=1), np.stack(photon, axis=1)
