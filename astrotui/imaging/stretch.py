"""From linear light to what an eye can see: automatic and manual stretches, levels, saturation, green
noise.

Images are float arrays of shape (H, W) or (3, H, W) on [0, 1] by the camera's full scale; NaN marks pixels
that no frame covered. Finding the parameters and applying them are apart, so that one stretch can serve
every frame of a session.

Statistics look at no more than about 250,000 pixels a channel, taken on a regular grid: the median of that
many pixels is known to 0.25 % of the noise, which no eye sees, and 60 megapixels cost no more than one.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np

from astrotui.errors import UsageError
from astrotui.imaging.types import Float32Array

Curve = Literal["mtf", "linear", "asinh", "ghs"]
CURVES: tuple[Curve, ...] = ("mtf", "linear", "asinh", "ghs")

SAMPLES = 250_000
TARGET = 0.25
SHADOWS = -2.8
_BAND = 64  # rows at a time: temporaries stay in the processor's cache
_LUMINANCE = (0.2126, 0.7152, 0.0722)  # Rec. 709


@dataclass(frozen=True)
class StretchParameters:
    """A stretch, ready to be applied to any image of the same camera.

    Attributes
    ----------
    shadows : levels that become black (c0), one for all channels or one a channel
    shape : one number a channel that bends the curve: m of `mtf`, beta of `asinh`, D of `ghs`;
        not used by `linear`
    highlights : levels that become white
    curve : the family of the curve
    local : b of `ghs`, how much the stretch concentrates around `symmetry`
    symmetry : SP of `ghs` after shadows and highlights, one a channel
    """

    shadows: tuple[float, ...]
    shape: tuple[float, ...]
    highlights: tuple[float, ...]
    curve: Curve = "mtf"
    local: float = 0.0
    symmetry: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        if self.curve not in CURVES:
            raise UsageError(f"curve {self.curve!r} is not known; choose {', '.join(CURVES)}")
        for low, high in zip(self.shadows, self.highlights, strict=True):
            if not low < high:
                raise UsageError(f"a stretch needs its black ({low:g}) below its white ({high:g})")

    def channel(self, index: int) -> "StretchParameters":
        """The same stretch for one channel alone."""

        def pick(values: tuple[float, ...]) -> tuple[float, ...]:
            return (values[min(index, len(values) - 1)],)

        return StretchParameters(
            pick(self.shadows),
            pick(self.shape),
            pick(self.highlights),
            self.curve,
            self.local,
            pick(self.symmetry),
        )

    def digest(self) -> str:
        """Sixteen hexadecimal digits that change when the stretch does."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The parameters as JSON-ready values."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "StretchParameters":
        """The parameters that `to_dict` wrote."""
        try:
            return cls(
                shadows=tuple(float(v) for v in table["shadows"]),
                shape=tuple(float(v) for v in table["shape"]),
                highlights=tuple(float(v) for v in table["highlights"]),
                curve=cast(Curve, table.get("curve", "mtf")),
                local=float(table.get("local", 0.0)),
                symmetry=tuple(float(v) for v in table.get("symmetry", (0.0,))),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"not a stretch: {type(error).__name__}: {error}") from error


def as_planes(image: Float32Array) -> Float32Array:
    """A view of shape (C, H, W) of an image of shape (H, W) or (C, H, W)."""
    return image[np.newaxis] if image.ndim == 2 else image


def sample_pixels(channel: Float32Array, limit: int = SAMPLES) -> Float32Array:
    """At most about `limit` finite pixels of `channel` (H, W), on a regular grid, as a new 1-D array."""
    height, width = channel.shape
    step = max(1, int(np.ceil(np.sqrt(height * width / limit))))
    values = channel[step // 2 :: step, step // 2 :: step].ravel()
    return values[np.isfinite(values)].astype(np.float32)


def robust_statistics(values: Float32Array) -> tuple[float, float]:
    """Median and 1.4826 MAD of 1-D `values`.

    Where more than half of the values are equal (a quiet sky of few digital levels) the MAD is zero; the
    mean absolute deviation times 1.2533 (the same for Gaussian noise) of the central 98 % stands in. Both
    are zero for a constant or empty array.
    """
    if values.size == 0:
        return 0.0, 0.0
    median = float(np.median(values))
    deviations = np.abs(values - np.float32(median))
    sigma = 1.4826 * float(np.median(deviations))
    if sigma == 0.0:
        low, high = np.quantile(values, (0.01, 0.99))
        kept = deviations[(values >= low) & (values <= high)]
        sigma = 1.2533 * float(kept.mean()) if kept.size else 0.0
    return median, sigma


def mtf(x: Any, m: float) -> Any:
    """Midtones transfer function: 0, m and 1 go to 0, 1/2 and 1.

    MTF(x, m) = (m - 1) x / ((2 m - 1) x - m), the rational curve of PixInsight's ScreenTransferFunction.
    `m` is strictly between 0 and 1, `x` a number or an array.
    """
    return ((m - 1.0) * x) / ((2.0 * m - 1.0) * x - m)


def autostretch(
    image: Float32Array,
    *,
    linked: bool = False,
    target: float = TARGET,
    shadows: float = SHADOWS,
    floor: float | None = 0.0,
    curve: Curve = "mtf",
    local: float = 0.0,
    limit: int = SAMPLES,
) -> StretchParameters:
    """The stretch that brings the sky to `target`, found from the image's median and noise.

    c0 = max(floor, median - 2.8 * 1.4826 MAD), then, after x' = (x - c0) / (1 - c0), the curve's shape such
    that the median lands exactly on `target`; for the MTF that is m = MTF(median', target) (PixInsight's
    STF autostretch with the rescaling that makes it exact).

    Parameters
    ----------
    image : float array (H, W) or (3, H, W) on [0, 1]; only finite pixels count
    linked : one stretch from the mean statistics of the channels (keeps colours) instead of one a channel
        (removes a cast)
    target : level of the sky after the stretch
    shadows : clipping point in units of the noise, negative
    floor : the lowest c0; None allows black below zero, for images whose sky was subtracted
    curve : `mtf`, `asinh` or `ghs`
    local : b of `ghs`
    limit : pixels looked at in each channel
    """
    if not 0.0 < target < 1.0:
        raise UsageError(f"--target must be between 0 and 1, not {target:g}")
    measured = [robust_statistics(sample_pixels(channel, limit)) for channel in as_planes(image)]
    if linked:
        measured = [cast(tuple[float, float], tuple(np.mean(measured, axis=0).tolist()))]
    blacks, shapes, centers = [], [], []
    for median, sigma in measured:
        # A constant image has no noise to clip: its one level becomes the target.
        black = median + shadows * sigma if sigma > 0 else min(0.0, median)
        if floor is not None:
            black = max(floor, black)
        black = min(black, 0.99)
        center = float(np.clip((median - black) / (1.0 - black), 0.0, 1.0))
        blacks.append(black)
        centers.append(center)
        shapes.append(_shape_for(center, target, curve, local))
    return StretchParameters(tuple(blacks), tuple(shapes), (1.0,) * len(blacks), curve, local, tuple(centers))


def _shape_for(center: float, target: float, curve: Curve, local: float) -> float:
    """The curve's shape that carries `center` to `target` (as near as the family can)."""
    if curve == "linear":
        return 0.0
    if not 0.0 < center < 1.0:
        return 0.5 if curve == "mtf" else 0.0
    if curve == "mtf":
        return float(mtf(center, target))
    value: Callable[[float], float]
    if curve == "asinh":

        def value(beta: float) -> float:
            return float(asinh_curve(np.float64(center), beta))
    else:

        def value(beta: float) -> float:
            return float(ghs_curve(np.float64(center), beta, local, center))

    if value(1e-6) >= target:
        return 0.0
    low, high = np.log(1e-6), np.log(1e12)
    for _ in range(80):  # both curves rise monotonically with their strength
        middle = 0.5 * (low + high)
        low, high = (middle, high) if value(float(np.exp(middle))) < target else (low, middle)
    return float(np.exp(0.5 * (low + high)))


def asinh_curve(x: Any, beta: float) -> Any:
    """asinh(beta x) / asinh(beta); linear for beta 0."""
    return x if beta <= 1e-6 else np.arcsinh(beta * x) / np.arcsinh(beta)


def ghs_curve(x: Any, strength: float, local: float = 0.0, symmetry: float = 0.0) -> Any:
    """Generalised hyperbolic stretch of `x` on [0, 1] (Payne and Cranfield 2021).

    The slope is greatest at `symmetry` (SP) and falls off on both sides with the distance d from it: as
    (1 + b D d)^(-(1 + b)/b) for b > 0, exp(-D d) for b = 0, 1/(1 + D d) for b = -1 and
    (1 + |b| D d)^(-1/|b|) for other negative b, with D = `strength` and b = `local`; the integral is
    normalised to 0..1. D = 0 is the identity.
    """
    if strength <= 1e-6:
        return x

    def grow(d: Any) -> Any:
        if local == 0.0:
            return -np.expm1(-strength * d)
        if local == -1.0:
            return np.log1p(strength * d)
        if local < 0.0:
            return (1.0 - (1.0 - local * strength * d) ** ((local + 1.0) / local)) / (local + 1.0)
        return 1.0 - (1.0 + local * strength * d) ** (-1.0 / local)

    bottom = -grow(symmetry)
    top = grow(1.0 - symmetry)
    difference = x - symmetry
    return (np.sign(difference) * grow(np.abs(difference)) - bottom) / (top - bottom)


def interval_stretch(
    image: Float32Array,
    kind: Literal["zscale", "minmax", "percentile"],
    *,
    linked: bool = True,
    contrast: float = 0.25,
    percentile: float = 99.5,
    limit: int = SAMPLES,
) -> StretchParameters:
    """A linear stretch between limits as ds9 finds them, by astropy.visualization.

    Parameters
    ----------
    image : float array (H, W) or (3, H, W); only finite pixels count
    kind : `zscale` (IRAF's, `contrast` as there), `minmax`, or the central `percentile`
    linked : one pair of limits for all channels
    """
    from astropy.visualization import (
        AsymmetricPercentileInterval,
        MinMaxInterval,
        ZScaleInterval,
    )

    rest = (100.0 - percentile) / 2.0
    interval = {
        "zscale": ZScaleInterval(contrast=contrast),
        "minmax": MinMaxInterval(),
        "percentile": AsymmetricPercentileInterval(rest, 100.0 - rest),
    }[kind]
    planes = as_planes(image)
    if kind == "minmax":  # an extreme may hide between the points of the grid
        groups = [np.array([np.nanmin(c), np.nanmax(c)]) for c in planes if np.isfinite(c).any()]
    else:
        groups = [sample_pixels(channel, limit) for channel in planes]
    if linked or len(groups) < len(planes):
        groups = [np.concatenate(groups)] if groups else []
    lows, highs = [], []
    for values in groups or [np.zeros(0)]:
        low, high = (float(v) for v in interval.get_limits(values)) if values.size else (0.0, 1.0)
        lows.append(low)
        highs.append(high if high > low else low + 1e-6)
    return StretchParameters(tuple(lows), (0.0,) * len(lows), tuple(highs), "linear", 0.0, (0.0,) * len(lows))


def linear_stretch(black: float = 0.0, white: float = 1.0) -> StretchParameters:
    """A straight line from `black` to `white`, for all channels."""
    return StretchParameters((black,), (0.0,), (white,), "linear")


def apply_stretch(image: Float32Array, parameters: StretchParameters) -> Float32Array:
    """`image` (H, W) or (C, H, W) stretched to [0, 1], as a new float32 array; NaN becomes black."""
    planes = as_planes(image)
    out = np.empty(planes.shape, np.float32)
    for index, channel in enumerate(planes):
        one = parameters.channel(index)
        for y in range(0, channel.shape[0], _BAND):
            _stretch_band(channel[y : y + _BAND], one, out[index, y : y + _BAND])
    return out.reshape(image.shape)


def _stretch_band(band: Float32Array, one: StretchParameters, out: Float32Array) -> None:
    black, white, shape = one.shadows[0], one.highlights[0], one.shape[0]
    np.subtract(band, np.float32(black), out=out, casting="unsafe")
    out *= np.float32(1.0 / (white - black))
    np.nan_to_num(out, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
    np.clip(out, 0.0, 1.0, out=out)
    if one.curve == "mtf" and shape != 0.5:
        below = out * np.float32(2.0 * shape - 1.0)
        below -= np.float32(shape)
        out *= np.float32(shape - 1.0)
        out /= below
        np.minimum(out, 1.0, out=out)  # the last digit of float32
    elif one.curve == "asinh":
        out[...] = asinh_curve(out, shape)
    elif one.curve == "ghs":
        out[...] = ghs_curve(out.astype(np.float64), shape, one.local, one.symmetry[0])


def levels(image: Float32Array, black: float = 0.0, mid: float = 0.5, white: float = 1.0) -> Float32Array:
    """Levels of a stretched image: `black` goes to 0, `white` to 1, `mid` of the way between to 1/2."""
    if not black < white:
        raise UsageError(f"--black ({black:g}) must be below --white ({white:g})")
    if not 0.0 < mid < 1.0:
        raise UsageError(f"--mid must be between 0 and 1, not {mid:g}")
    if (black, mid, white) == (0.0, 0.5, 1.0):
        return image
    return apply_stretch(image, StretchParameters((black,), (mid,), (white,)))


def s_curve(image: Float32Array, amount: float, pivot: float = 0.3) -> Float32Array:
    """More contrast around `pivot` by a logistic curve through (0, 0) and (1, 1); `amount` 0 does nothing."""
    if amount <= 0.0:
        return image
    steepness = np.float32(8.0 * amount)

    def logistic(x: Any) -> Any:
        return 1.0 / (1.0 + np.exp(-steepness * (x - np.float32(pivot))))

    low, high = logistic(np.float32(0.0)), logistic(np.float32(1.0))
    return cast(Float32Array, ((logistic(image) - low) / (high - low)).astype(np.float32))


def saturate(image: Float32Array, factor: float) -> Float32Array:
    """Colours of a stretched (3, H, W) image moved away from (or to, below 1) their Rec. 709 luminance."""
    if factor == 1.0 or image.ndim != 3 or image.shape[0] != 3:
        return image
    luminance = np.tensordot(np.asarray(_LUMINANCE, np.float32), image, axes=1)
    return cast(
        Float32Array,
        np.clip(luminance + np.float32(factor) * (image - luminance), 0.0, 1.0).astype(np.float32),
    )


def remove_green(image: Float32Array, amount: float = 1.0) -> Float32Array:
    """Green above the mean of red and blue taken down to it (SCNR, average neutral); nothing in the sky is
    green.

    `image` has shape (3, H, W); `amount` 0 changes nothing, 1 removes all of the excess.
    """
    if amount <= 0.0 or image.ndim != 3 or image.shape[0] != 3:
        return image
    out = image.copy()
    neutral = np.float32(0.5) * (image[0] + image[2])
    out[1] -= np.float32(amount) * np.maximum(image[1] - neutral, 0.0)
    return out
