"""Bring frames to one level: robust location and scale, and the factor and offset that follow from them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astrotui.errors import AstrotuiError
from astrotui.imaging.types import Float64Array, Mask, StarList

MIN_MATCHED_STARS = 8
"""Fewer common stars than this cannot tell a frame's transparency; `auto` then falls back to addscale."""

_MAX_SAMPLES = 1_000_000  # the standard error of a median of that many is 0.13 % of one sigma


class NormalizationError(AstrotuiError):
    """A frame cannot be brought to the level of the reference in the way that was asked for."""


@dataclass(frozen=True, eq=False)
class Level:
    """Sky level and dispersion of an image.

    Attributes
    ----------
    location, scale : float64 arrays of shape (planes,), in ADU; NaN where a plane has no valid pixel
    """

    location: Float64Array
    scale: Float64Array


@dataclass(frozen=True)
class StarRatio:
    """How much brighter the stars of an image are than in the reference.

    Attributes
    ----------
    factor : median ratio of aperture fluxes, image over reference; NaN without a usable star
    scatter : 1.4826 MAD of the ratios
    stars : how many stars it rests on
    """

    factor: float
    scatter: float
    stars: int


def measure_level(
    image: NDArray[np.floating],
    valid: Mask | None = None,
    *,
    method: Literal["fast", "ikss"] = "fast",
    max_samples: int = _MAX_SAMPLES,
) -> Level:
    """Robust location and scale of each plane, on valid pixels only.

    Pixels that are NaN or infinite, or False in `valid`, do not count: the black corners of a rotated
    frame would otherwise make its median 0. Large images are sampled on a regular grid.

    Parameters
    ----------
    image : float array of shape (H, W) or (planes, H, W), in ADU
    valid : bool array of shape (H, W), True where the area common to all frames is
    method : "fast" is the median and 1.5 MAD; "ikss" (a light form of the iterative k-sigma estimator of
        location and scale) is the median of |x - median| <= 6 MAD and 0.991 sqrt(biweight midvariance)
        with a tuning constant of 9 MAD (Beers, Flynn & Gebhardt 1990, AJ 100, 32)
    max_samples : pixels of a plane that are looked at, at most about

    Returns
    -------
    Level
        Of one plane for an image of shape (H, W).
    """
    planes = image[np.newaxis] if image.ndim == 2 else image
    height, width = planes.shape[-2:]
    step = max(1, int(np.ceil(np.sqrt(height * width / max_samples))))
    kept = None if valid is None else valid[::step, ::step]
    estimate = _fast if method == "fast" else _ikss
    pairs = []
    for plane in planes:
        sample = plane[::step, ::step]
        use = np.isfinite(sample)
        if kept is not None:
            use &= kept
        values = sample[use].astype(np.float64)
        pairs.append(estimate(values) if len(values) else (np.nan, np.nan))
    table = np.asarray(pairs, np.float64)
    return Level(table[:, 0].copy(), table[:, 1].copy())


def _fast(values: Float64Array) -> tuple[float, float]:
    location = float(np.median(values))
    return location, 1.5 * float(np.median(np.abs(values - location)))


def _ikss(values: Float64Array) -> tuple[float, float]:
    first = float(np.median(values))
    mad = float(np.median(np.abs(values - first)))
    if mad == 0:
        return first, 0.0
    kept = values[np.abs(values - first) <= 6 * mad]
    location = float(np.median(kept))
    return location, 0.991 * float(np.sqrt(biweight_midvariance(kept, location)))


def biweight_midvariance(values: Float64Array, location: float, tuning: float = 9.0) -> float:
    """Biweight midvariance about `location`: n sum d^2 (1-u^2)^4 / (sum (1-u^2)(1-5u^2))^2.

    u = d / (tuning MAD) and the sums are over |u| < 1. `values` is a float64 array of shape (n,); the result
    is zero when the MAD is.
    """
    deviation = values - location
    mad = float(np.median(np.abs(deviation)))
    if mad == 0:
        return 0.0
    u2 = (deviation / (tuning * mad)) ** 2
    inside = u2 < 1
    d2, u2 = deviation[inside] ** 2, u2[inside]
    above = len(values) * float(np.sum(d2 * (1 - u2) ** 4))
    below = float(np.sum((1 - u2) * (1 - 5 * u2)))
    return above / below**2


def resolve_normalization(kind: str, matched: int) -> tuple[str, str]:
    """The normalization to apply when `matched` stars are common to a frame and the reference.

    `auto` is `stars`. With fewer than 8 stars both become `addscale`, which needs no star but equalizes
    dispersion, so that clouds, sky glow and nebulae change a frame's scale.

    Returns
    -------
    tuple of str
        The kind (never `auto`) and a warning, empty when there is none.
    """
    if kind not in ("auto", "stars"):
        return kind, ""
    if matched >= MIN_MATCHED_STARS:
        return "stars", ""
    found = {0: "no star matches", 1: "only 1 star matches"}.get(matched, f"only {matched} stars match")
    return "addscale", f"{found} the reference (8 are needed): normalized by sky level and dispersion"


def frame_normalization(
    kind: str,
    *,
    loc: ArrayLike,
    scale: ArrayLike,
    ref_loc: ArrayLike,
    ref_scale: ArrayLike,
    transparency: float | None = None,
) -> tuple[Float64Array, Float64Array]:
    """Factor and offset that bring a frame to the level of the reference: x' = factor * x + offset.

    - none: x
    - add: x - loc + ref_loc
    - multiply: x * ref_loc / loc
    - addscale: p x - (p loc - ref_loc), p = ref_scale / scale; p = 1 where a dispersion is zero (a sky of
      fewer levels than one)
    - stars: (x - loc) / F + ref_loc, F the transparency of the frame relative to the reference

    Parameters
    ----------
    kind : one of the five; `auto` is decided before, by `resolve_normalization`
    loc, scale, ref_loc, ref_scale : arrays of shape (planes,), sky level and dispersion in ADU of the frame
        and the reference, on the pixels that both cover
    transparency : F, needed by `stars` only

    Returns
    -------
    factor, offset : float64 arrays of shape (planes,)

    Raises
    ------
    NormalizationError
        The sky level is unknown, `multiply` meets a level that is not positive (dark-subtracted sky), or
        `stars` a transparency that is not.
    """
    level = np.atleast_1d(np.asarray(loc, np.float64))
    wanted = np.atleast_1d(np.asarray(ref_loc, np.float64))
    one = np.ones_like(level)
    if kind == "none":
        return one, np.zeros_like(level)
    if not (np.isfinite(level).all() and np.isfinite(wanted).all()):
        raise NormalizationError("its sky level is unknown: no valid pixel in common with the reference")
    if kind == "add":
        factor = one
    elif kind == "multiply":
        if not ((level > 0).all() and (wanted > 0).all()):
            raise NormalizationError("its sky level is not positive: it cannot be normalized by multiply")
        return wanted / level, np.zeros_like(level)
    elif kind == "addscale":
        own = np.atleast_1d(np.asarray(scale, np.float64))
        other = np.atleast_1d(np.asarray(ref_scale, np.float64))
        known = (own > 0) & (other > 0)
        factor = np.where(known, other / np.where(known, own, 1.0), 1.0)
    elif kind == "stars":
        if transparency is None or not 0 < transparency < np.inf:
            raise NormalizationError(f"its transparency {transparency} is not a positive number")
        factor = one / transparency
    else:
        raise NormalizationError(f"normalization {kind!r} is not known")
    return factor, wanted - factor * level


def star_ratio(
    image: NDArray[np.floating],
    reference: NDArray[np.floating],
    stars: StarList,
    radius: float = 20.0,
    *,
    saturation_adu: float | None = None,
    max_stars: int = 50,
) -> StarRatio:
    """Median ratio of aperture fluxes of bright, isolated, unsaturated stars in two aligned images.

    Both images must be on the same pixels and have their background subtracted. A star counts when no
    star of a tenth of its flux or more lies within two radii of it, when its whole aperture is inside both
    images and has no missing pixel, and when its flux is positive in both.

    Parameters
    ----------
    image, reference : float arrays of shape (H, W), in ADU
    stars : stars of the reference, brightest first
    radius : of the aperture, in pixels
    saturation_adu : apertures with a pixel at or above it in either image are left out
    max_stars : stop after so many usable stars
    """
    height, width = reference.shape
    reach = int(np.ceil(radius))
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    ratios: list[float] = []
    for i, star in enumerate(np.stack([stars.x, stars.y], axis=1).astype(np.float64)):
        if len(ratios) == max_stars:
            break
        away = np.hypot(stars.x - star[0], stars.y - star[1])
        away[i] = np.inf
        # a faint neighbor changes the ratio little; one of a tenth of the flux or more does
        if bool(np.any((away < 2 * radius) & (stars.flux >= 0.1 * stars.flux[i]))):
            continue
        x, y = round(float(star[0])), round(float(star[1]))
        if x < reach or y < reach or x + reach >= width or y + reach >= height:
            continue
        aperture = np.hypot(dx + x - star[0], dy + y - star[1]) <= radius
        window = np.s_[y - reach : y + reach + 1, x - reach : x + reach + 1]
        here, there = image[window][aperture], reference[window][aperture]
        if saturation_adu is not None and max(here.max(), there.max()) >= saturation_adu:
            continue
        flux, ref_flux = float(np.sum(here, dtype=np.float64)), float(np.sum(there, dtype=np.float64))
        if np.isfinite(flux) and np.isfinite(ref_flux) and flux > 0 and ref_flux > 0:
            ratios.append(flux / ref_flux)
    if not ratios:
        return StarRatio(float("nan"), float("nan"), 0)
    factor = float(np.median(ratios))
    return StarRatio(factor, 1.4826 * float(np.median(np.abs(np.asarray(ratios) - factor))), len(ratios))
