"""How the samples of a pixel become its value, in the numbers that the kernels want."""

from dataclasses import dataclass, replace

import numpy as np

from astrotui.imaging.combine import KNOWN_NOISE_BELOW, KNOWN_NOISE_KAPPA, rejection_code, typical_noise
from astrotui.imaging.types import Float32Array, Float64Array
from astrotui.stacking.recipe import Recipe


@dataclass(frozen=True, eq=False)
class CombineRule:
    """How samples become a value.

    Attributes
    ----------
    method : number of the kernels, or None for clipping by known noise
    low, high : limits
    sigma, variance, photon : float32 (planes, n)
    typical : float32 (planes,) each, of `typical_noise`
    weight : float32 (n,)
    sky : float32 (planes,)
    few : pixels with few samples have a rule of their own
    """

    method: int | None
    low: float
    high: float
    sigma: Float32Array
    variance: Float32Array
    photon: Float32Array
    typical: tuple[Float32Array, Float32Array]
    weight: Float32Array
    sky: Float32Array
    few: bool = False

    def for_few(self) -> "CombineRule":
        """The rule for pixels that fewer than KNOWN_NOISE_BELOW frames cover: edges of turned frames and of unions."""
        low, high = self.low * KNOWN_NOISE_KAPPA, self.high * KNOWN_NOISE_KAPPA
        return replace(self, method=None, low=low, high=high, few=False)

    @property
    def margin(self) -> int:
        """Pixels around a tile that its rejection looks at."""
        from astrotui.imaging import auto_kernels, clip_kernels, known_noise_kernels

        if self.method is None:
            return known_noise_kernels.MARGIN
        return auto_kernels.MARGIN if self.method == clip_kernels.AUTO else 0


def combine_rule(
    recipe: Recipe,
    sigma: Float64Array,
    photon: Float64Array,
    weights: Float64Array,
    sky: Float64Array,
) -> CombineRule:
    """The rule for n frames.

    Parameters
    ----------
    sigma : (planes, n), noise of a sample after normalization
    photon : (planes, n), variance per ADU above the sky after normalization
    weights : (n,)
    sky : (planes,)
    """
    count = len(weights)
    sigma = np.maximum(sigma, 1e-6)
    low, high = recipe.limits
    reject = recipe.reject if count > 2 else "none"
    known = recipe.combine == "average" and reject == "auto" and count < KNOWN_NOISE_BELOW
    auto = recipe.combine == "average" and reject == "auto"
    return CombineRule(
        None if known else rejection_code(recipe.combine, reject),
        low * KNOWN_NOISE_KAPPA if known else low,
        high * KNOWN_NOISE_KAPPA if known else high,
        sigma.astype(np.float32),
        (sigma**2).astype(np.float32),
        photon.astype(np.float32),
        typical_noise(sigma, photon),
        weights.astype(np.float32),
        sky.astype(np.float32),
        few=auto and not known,
    )


def applied_rejection(recipe: Recipe, count: int) -> str:
    """The rejection that `combine_rule` chooses for this many frames, as the header names it."""
    if count <= 2 or recipe.combine == "median":
        return "none"
    if recipe.reject != "auto":
        return recipe.reject
    return "known noise" if count < KNOWN_NOISE_BELOW else "winsorized"
