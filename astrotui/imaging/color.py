"""Relative colours of a one-shot-colour stack: a neutral sky, and stars that are white on average."""

import re
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from astrotui.imaging.background import measure_tiles
from astrotui.imaging.stretch import robust_statistics, sample_pixels
from astrotui.imaging.types import Float32Array, Float64Array

_FEWEST_STARS = 8
_LIMITS = (0.2, 5.0)  # a gain of a channel outside of these is a mistake, not a colour
_DUAL_BAND = re.compile(
    r"duo[\s_-]?band|dual[\s_-]?(band|narrow)|tri[\s_-]?band|\bduo\b|^lp$|l[\s_-]?(enhance|extreme|ultimate)|"
    r"\bnb\b|^(h[\s_-]?a?|s|o)[\s_-]?(oiii|o3?|ii)$|^(ho|so|hos|sho)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ColorBalance:
    """What each channel is multiplied by and then moved by.

    Attributes
    ----------
    scale, offset : three numbers each, for x * scale + offset
    stars : how many stars said so; 0 when only the sky was made neutral
    skipped : why the colours were left alone, in one line; None when they were balanced on stars
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    stars: int = 0
    skipped: str | None = None

    def apply(self, image: Float32Array) -> Float32Array:
        """`image` (3, H, W) balanced, as a new float32 array."""
        scale = np.asarray(self.scale, np.float32)[:, np.newaxis, np.newaxis]
        offset = np.asarray(self.offset, np.float32)[:, np.newaxis, np.newaxis]
        return cast(Float32Array, image * scale + offset)


def is_dual_band(filter_name: str | None) -> bool:
    """Whether a filter of this name passes lines instead of a spectrum, so that white means nothing."""
    return filter_name is not None and _DUAL_BAND.search(filter_name.strip()) is not None


def balance_color(
    image: Float32Array,
    *,
    saturation: float | None = None,
    filter_name: str | None = None,
    mode: Literal["stars", "neutral"] = "stars",
) -> ColorBalance:
    """How to make the sky of `image` neutral and its unsaturated stars white on average.

    Relative, not absolute, colours: the mean star of a field is taken as white. Aperture fluxes above a
    local sky are measured at the stars found in green; a channel's scale is the median of green over its
    flux. Scales are at least 1, so that saturated cores stay white. The sky keeps its mean level.

    Parameters
    ----------
    image : float32 array (3, H, W), linear; NaN where not covered
    saturation : level at which the camera saturates; stars with a peak over 70 % of it do not count
    filter_name : FILTER of the frames; dual-band filters are left alone
    mode : `neutral` leaves the stars' colours as they are
    """
    if image.ndim != 3 or image.shape[0] != 3:
        return ColorBalance(skipped="the picture has no colors")
    if is_dual_band(filter_name):
        return ColorBalance(
            skipped=f"the filter {filter_name} passes lines only: there is no white to balance on"
        )
    sky = _sky(image)
    if mode == "neutral":
        return _balance(np.ones(3), sky, 0, None)
    fluxes = _star_fluxes(image, saturation)
    if len(fluxes) < _FEWEST_STARS:
        reason = f"only {len(fluxes)} unsaturated stars; the sky alone was made neutral"
        return _balance(np.ones(3), sky, 0, reason)
    scale = np.median(fluxes[:, 1:2] / fluxes, axis=0)
    if scale.min() < _LIMITS[0] or scale.max() > _LIMITS[1]:
        return _balance(
            np.ones(3), sky, 0, "the stars' mean color is not believable; the sky alone was made neutral"
        )
    return _balance(scale, sky, len(fluxes), None)


def _sky(image: Float32Array) -> Float64Array:
    """The sky's level in each channel, from the darkest quarter of the tiles: a nebula must not tint what is gray."""
    level = measure_tiles(image).level
    brightness = level.mean(axis=0)
    known = np.isfinite(brightness)
    if not known.any():
        return np.array([robust_statistics(sample_pixels(channel))[0] for channel in image])
    darker = known & (brightness <= np.quantile(brightness[known], 0.25))
    return cast(Float64Array, np.median(level[:, darker], axis=1))


def _balance(scale: Float64Array, sky: Float64Array, stars: int, skipped: str | None) -> ColorBalance:
    scale = scale / scale.min()
    offset = sky.mean() - sky * scale
    return ColorBalance(
        cast(tuple[float, float, float], tuple(float(v) for v in scale)),
        cast(tuple[float, float, float], tuple(float(v) for v in offset)),
        stars,
        skipped,
    )


def _star_fluxes(image: Float32Array, saturation: float | None) -> Float64Array:
    """Fluxes of shape (n, 3) of bright, unsaturated stars, found in green."""
    import sep

    valid = np.isfinite(image).all(axis=0)
    if valid.sum() < 1000:
        return np.zeros((0, 3))
    filled = np.ascontiguousarray(np.where(valid, image, np.nan), np.float32)
    for channel in filled:
        channel[~valid] = np.median(channel[valid])
    box = max(16, min(64, min(valid.shape) // 8))
    background = sep.Background(filled[1], mask=~valid, bw=box, bh=box)
    flat = filled[1] - background.back()
    noise = max(float(background.globalrms), 1e-12)
    try:
        found = sep.extract(flat, 8.0, err=noise, mask=~valid, minarea=4)
    except Exception as error:  # sep has no error class of its own for a field too dense for its buffers
        if "overflow" not in str(error) and "object" not in str(error):
            raise
        found = sep.extract(flat, 40.0, err=noise, mask=~valid, minarea=4)
    radius = 4.0
    peak = image.shape[0] and np.array(
        [plane[found["ypeak"], found["xpeak"]] for plane in filled], np.float64
    ).max(axis=0)
    limit = 0.7 * (saturation if saturation is not None else float(np.nanmax(image)))
    keep = (peak < limit) & (found["flag"] < 2) & (found["a"] < 4.0) & (found["a"] < 2.0 * found["b"])
    found = found[keep]
    found = found[np.argsort(found["flux"])[::-1][:400]]
    if len(found) == 0:
        return np.zeros((0, 3))
    fluxes = np.stack(
        [
            sep.sum_circle(channel, found["x"], found["y"], radius, mask=~valid, bkgann=(7.0, 11.0))[0]
            for channel in filled
        ],
        axis=1,
    )
    floor = 10.0 * noise * radius
    return cast(Float64Array, fluxes[(fluxes > floor).all(axis=1)])
