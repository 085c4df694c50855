"""What a frame is worth: depth, score, weights, and the noise of a stack to expect; numpy only."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from astrotui.imaging.types import Float64Array

WeightKind = Literal["none", "depth", "noise", "fwhm", "stars"]
BEST_PERCENTILE = 95.0
LEAST_WEIGHT = 0.02  # of the best; less adds nothing but risk, and such frames are left out
MINMAX_FLOOR = 0.05  # the min-max forms would give their worst frame nothing


def depth(
    transparency: float | None, noise_adu: float | None, fwhm_a: float | None, fwhm_b: float | None
) -> float | None:
    """Information of a frame on a point source, d = F^2 / (noise^2 FWHM_a FWHM_b); None when a number is missing.

    The matched filter's limit (Zackay & Ofek 2017, ApJ 836, 187); the effective exposure time of the Dark Energy
    Survey is the same idea. Only ratios of depths within one session mean something.

    Parameters
    ----------
    transparency : F, light received relative to the session's reference
    noise_adu : of one pixel
    fwhm_a, fwhm_b : along both axes, px
    """
    if transparency is None or noise_adu is None or fwhm_a is None or fwhm_b is None:
        return None
    value = noise_adu**2 * fwhm_a * fwhm_b
    if not (value > 0 and transparency > 0 and np.isfinite(value) and np.isfinite(transparency)):
        return None
    return float(transparency**2 / value)


def best_depth(depths: Sequence[float | None]) -> float | None:
    """The depth that a best frame of the session has: the 95th percentile; None when there is no depth at all."""
    usable = _clean(depths)
    usable = usable[usable > 0]
    return float(np.percentile(usable, BEST_PERCENTILE)) if usable.size else None


def scores(depths: Sequence[float | None], best: float | None = None) -> Float64Array:
    """Scores 0 to 100, float64 (n,): 100 d / d_best, at most 100; 0 for a frame without depth.

    A score of 60 adds 60 % of what a best frame adds. `best` is the session's `best_depth` unless given.
    """
    values = _clean(depths)
    best = best_depth(depths) if best is None else best
    if not best:
        return np.zeros(len(values))
    return np.asarray(np.clip(100.0 * values / best, 0.0, 100.0))


def effective_frames(frame_scores: ArrayLike) -> float:
    """How many best frames these frames are worth together."""
    return float(np.sum(np.asarray(frame_scores, np.float64))) / 100.0


def effective_integration(frame_scores: ArrayLike, exposure_s: ArrayLike) -> float:
    """Seconds of best frames that these frames are worth; `exposure_s` is one number or one a frame."""
    return float(np.sum(np.asarray(frame_scores, np.float64) * np.asarray(exposure_s, np.float64))) / 100.0


def depth_magnitudes(depths: Sequence[float | None], best: float | None = None) -> float | None:
    """How many magnitudes deeper a stack of the frames reaches than one best frame: 1.25 log10(sum d / d_best)."""
    best = best_depth(depths) if best is None else best
    total = float(_clean(depths).sum())
    return float(1.25 * np.log10(total / best)) if best and total > 0 else None


def frame_weights(
    kind: WeightKind,
    *,
    noise_adu: ArrayLike,
    fwhm_px: ArrayLike,
    transparency: ArrayLike,
    stars: ArrayLike,
    factor: ArrayLike | None = None,
) -> Float64Array:
    """Weights of frames in a weighted mean, float64 (n,), the largest 1; 0 means that a frame should be left out.

    With p the factor by which normalization multiplied a frame (`factor`; None for flux normalization, p = 1/F):

    - `depth`: F / (p noise^2 FWHM), near the best scalar weight for point sources and for extended ones
    - `noise`: F / (p noise^2), best for nebulae
    - `fwhm`: (1/f^2 - 1/fmax^2) / (1/fmin^2 - 1/fmax^2), as in Siril
    - `stars`: (n - nmin) / (nmax - nmin)
    - `none`: equal

    The first two have no floor, but frames under 2 % of the best get 0; the min-max forms are floored at 5 %
    and are 1 where all frames are equal. A frame whose numbers are missing (NaN) or not positive gets 0.

    Raises
    ------
    ValueError : unknown kind
    """
    noise, fwhm, f, n = (np.asarray(a, np.float64) for a in (noise_adu, fwhm_px, transparency, stars))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 1 / f if factor is None else np.asarray(factor, np.float64)
        if kind == "none":
            return np.ones(len(noise))
        if kind == "depth":
            raw = f / (p * noise**2 * fwhm)
        elif kind == "noise":
            raw = f / (p * noise**2)
        elif kind == "fwhm":
            raw = _min_max(1 / fwhm**2)
        elif kind == "stars":
            raw = _min_max(n)
        else:
            raise ValueError(f"unknown weight {kind!r}")
    raw = np.where(np.isfinite(raw) & (raw > 0), raw, 0.0)
    if not raw.any():
        return np.ones(len(raw))
    weights = raw / raw.max()
    return np.where(weights < LEAST_WEIGHT, 0.0, weights)


def predicted_noise(weights: ArrayLike, factor: ArrayLike, noise_adu: ArrayLike) -> float:
    """Noise of a weighted mean of frames, ADU: sqrt(sum w^2 (p noise)^2) / sum w.

    Compare it with pixels binned 4x4 (and multiplied by 4): resampling correlates neighbours.
    """
    w, p, sigma = (np.asarray(a, np.float64) for a in (weights, factor, noise_adu))
    return float(np.sqrt(np.sum((w * p * sigma) ** 2)) / np.sum(w))


def _min_max(values: Float64Array) -> Float64Array:
    low, high = np.nanmin(values), np.nanmax(values)
    if not high > low:
        return np.where(np.isfinite(values), 1.0, np.nan)
    return np.maximum((values - low) / (high - low), MINMAX_FLOOR)


def _clean(depths: Sequence[float | None]) -> Float64Array:
    values = np.array([np.nan if d is None else d for d in depths], np.float64)
    return np.where(np.isfinite(values) & (values > 0), values, 0.0)
