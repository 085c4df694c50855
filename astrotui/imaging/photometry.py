"""Light of stars in apertures, and how much of it one frame received against another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.hotpixels import NO_DARK
from astrotui.imaging.types import Float32Array, Float64Array

APERTURE_FWHM = 1.5  # radius of the aperture: wide enough that seeing cancels in ratios
CORE_FWHM = 0.65
WIDE_FWHM, WIDE_PX = 3.0, 6.0  # radius that is taken for all of the light, of the FWHM and at least in pixels
LEAST_SNR = 12.0  # of a star within that radius that tells how much is there
MODEL_ERROR = 0.001  # of what the fitted profile says of that, as long as nothing is seen that differs
LEAST_STARS, ALIKE = 4, 0.075  # so many tell it, if they differ by no more than this beyond the noise
CLEAR = 0.05  # error of the stars that tell that
CLEARLY = 2.0  # deviations by which that must differ to be taken as seen
SCATTER = 0.01  # from star to star of what is measured, beside the noise of the sky
PIXEL_FWHM2 = 8 * np.log(2.0) / 12  # what a square pixel adds to the squared FWHM


@dataclass(frozen=True, eq=False)
class Apertures:
    """What apertures hold, in ADU; NaN where they do not fit into the frame.

    Attributes
    ----------
    flux : float64 (n,) above the local sky, within `radius`
    core : float64 (n,) within a smaller one: core / flux tells stars from hot pixels and galaxies
    radius : px
    """

    flux: Float64Array
    core: Float64Array
    radius: float


def measure_apertures(
    image: NDArray[Any],
    x: Float64Array,
    y: Float64Array,
    fwhm_px: float,
    parity: int = -1,
    *,
    dark: Float32Array = NO_DARK,
) -> Apertures:
    """Aperture fluxes at places (n,) of an image (H, W), sky from a ring around each.

    The radius is 1.5 times the FWHM of the light, so that the same share of its wings is inside at any seeing;
    small stars need a little more, because pixels spread them twice: by integrating, and by counting as squares.

    Parameters
    ----------
    fwhm_px : before pixels integrate the light
    parity : (x + y) % 2 of the pixels to use, the greens of a mosaic, each of which counts twice; -1 for all
    dark : float32 (H, W) to subtract first, or shape (0, 0)
    """
    from astrotui.imaging.measure_kernels import aperture_flux

    apparent = float(np.hypot(fwhm_px, np.sqrt(2 * PIXEL_FWHM2)))
    radius = max(APERTURE_FWHM * fwhm_px, 1.36 * apparent)
    inner = radius + max(1.5, 0.5 * fwhm_px)
    outer = float(np.sqrt((inner + 1.0) ** 2 + (300 if parity >= 0 else 200) / np.pi))
    flux, core = np.empty(len(x)), np.empty(len(x))
    aperture_flux(image, dark, parity, x, y, radius, inner, outer, max(CORE_FWHM * apparent, 1.2), flux, core)
    return Apertures(flux, core, radius)


def wide_radius(fwhm_px: float) -> float:
    """The radius within which light counts as all of a star's, px."""
    return max(WIDE_FWHM * fwhm_px, WIDE_PX)


def growth(
    image: NDArray[Any],
    x: Float64Array,
    y: Float64Array,
    light: Apertures,
    fwhm_px: float,
    parity: int = -1,
    *,
    noise_adu: float,
    model: float,
    dark: Float32Array = NO_DARK,
) -> float:
    """How many times the light in `wide_radius` exceeds that in the apertures of `light`.

    Wings of real stars come from optics and air alike and do not widen with the core: of a sharp frame more light lies
    beyond 1.5 FWHM than of a soft one. Bright lone stars tell how much; as far as their noise
    explains it if they differ from what the fitted profile says (`model`), that is taken.

    Parameters
    ----------
    x, y : places of unsaturated stars (n,) that have nobody within the wide radius
    light : their light, measured by `measure_apertures`
    noise_adu : of one pixel
    model : growth of the fitted profile, see `share_within`
    """
    from astrotui.imaging.measure_kernels import aperture_flux

    radius = wide_radius(fwhm_px)
    inner = radius + max(2.0, 0.5 * fwhm_px)
    outer = float(np.sqrt((inner + 1.0) ** 2 + (1200 if parity >= 0 else 800) / np.pi))
    each = noise_adu * float(np.sqrt(np.pi * radius**2 * (2.0 if parity >= 0 else 1.0)))
    some = np.flatnonzero(light.flux > LEAST_SNR * each)
    some = some[np.argsort(-light.flux[some], kind="stable")][:80]
    wide, core = np.empty(len(some)), np.empty(len(some))
    aperture_flux(image, dark, parity, x[some], y[some], radius, inner, outer, 1.0, wide, core)
    usable = np.isfinite(wide) & (wide > 0)
    if np.count_nonzero(usable) < LEAST_STARS:
        return model
    narrow, wide = light.flux[some][usable], wide[usable]
    logs, error = np.log(wide / narrow), np.hypot(each / narrow, SCATTER)
    clear = error < CLEAR if np.count_nonzero(error < CLEAR) >= LEAST_STARS else error > 0
    scatter = 1.4826 * float(np.median(np.abs(logs[clear] - np.median(logs[clear]))))
    if scatter**2 > ALIKE**2 + float(np.median(error[clear])) ** 2:
        return model  # what is around them is no wings: a nebula, or neighbors
    measured = float(np.log(flux_ratio(wide, narrow, error)))
    spread = 1.4826 * float(np.median(np.abs(logs - measured) / error))
    sigma = max(1.0, spread) / float(np.sqrt(np.sum(error**-2)))
    apart = measured - float(np.log(model))
    doubt = max(apart**2 - (CLEARLY * sigma) ** 2, MODEL_ERROR**2)
    return model * float(np.exp(apart * doubt / (doubt + sigma**2)))


def share_within(axes: tuple[float, float], b: float, radius: float) -> float:
    """Share of a star's light inside a circle, for an elliptical Moffat profile (1 + b v)^(-1/b).

    With v = (x/p)^2 + (y/q)^2 it is the mean over angles of (1 - (1 + b c r^2)^(1 - 1/b)) / (p q c), with
    c = cos^2/p^2 + sin^2/q^2.

    Parameters
    ----------
    axes : FWHM of the light along both axes, before pixels integrate it, px
    b : 1 / beta; 0 is a Gaussian
    radius : px
    """
    half = np.expm1(b * np.log(2.0)) / b if b > 1e-6 else np.log(2.0)
    p, q = (np.sqrt(axis**2 + 2 * PIXEL_FWHM2) / (2 * np.sqrt(half)) for axis in axes)
    angle = (np.arange(90) + 0.5) * np.pi / 180
    c = (np.cos(angle) / p) ** 2 + (np.sin(angle) / q) ** 2
    v = c * radius**2
    outside = np.exp((1 - 1 / b) * np.log1p(b * v)) if b > 1e-6 else np.exp(-v)
    return float(np.mean((1 - outside) / (p * q * c)))


def aperture_noise(noise_adu: float, fwhm_px: float, *, greens: bool = True) -> float:
    """Noise of an aperture flux from the background, ADU, for one pixel's `noise_adu`.

    `greens`: only every second pixel was recorded in green, so that the flux has sqrt 2 of the noise.
    """
    area = np.pi * (APERTURE_FWHM * fwhm_px) ** 2
    return float(noise_adu * np.sqrt(area * (2.0 if greens else 1.0)))


def flux_ratio(
    flux: NDArray[np.floating], reference: NDArray[np.floating], relative_error: Float64Array | None = None
) -> float:
    """Robust mean of flux / reference, both (n,) and positive.

    Starts from the median of the logarithms, leaves out what is over 3.5 robust deviations from it (variable,
    blended or saturated stars), and averages the rest by `relative_error` with one percent of each star's own
    scatter added, so that the brightest star does not decide alone.
    """
    logs = np.log(np.asarray(flux, np.float64) / np.asarray(reference, np.float64))
    errors = np.zeros_like(logs) if relative_error is None else np.asarray(relative_error, np.float64)
    sigma = np.hypot(errors, 0.01)
    center = float(np.median(logs))
    kept = np.ones(len(logs), bool)
    for _ in range(3):
        deviation = np.abs(logs - center) / sigma
        scale = max(1.0, 1.4826 * float(np.median(deviation[kept])))
        kept = deviation <= 3.5 * scale
        if kept.sum() < max(3, len(logs) // 2):
            return float(np.exp(np.median(logs)))
        center = float(np.average(logs[kept], weights=sigma[kept] ** -2))
    return float(np.exp(center))
