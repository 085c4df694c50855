"""Light of stars in apertures, and how much of it one frame received against another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.hotpixels import NO_DARK
from astrotui.imaging.types import Float32Array, Float64Array

APERTURE_FWHM = 1.5  # radius of the aperture: wide enough that seeing cancels in ratios
CORE_FWHM = 0.65
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


def elongation_share(axes: tuple[float, float], b: float, radius: float) -> float:
    """How much of the light that an aperture holds of a round star it still holds of a trailed one of equal FWHM.

    The elliptical Moffat profile (1 + b v)^(-1/b) with v = (x/p)^2 + (y/q)^2 has the share
    mean over angles of (1 - (1 + b c r^2)^(1 - 1/b)) / (p q c), with c = cos^2/p^2 + sin^2/q^2, inside a circle of
    radius r.

    Parameters
    ----------
    axes : FWHM of the light along both axes, before pixels integrate it, px
    b : 1 / beta; 0 is a Gaussian
    radius : px
    """
    half = np.expm1(b * np.log(2.0)) / b if b > 1e-6 else np.log(2.0)
    long, short = (np.sqrt(axis**2 + 2 * PIXEL_FWHM2) / (2 * np.sqrt(half)) for axis in axes)
    angle = (np.arange(90) + 0.5) * np.pi / 180

    def inside(p: float, q: float) -> float:
        c = (np.cos(angle) / p) ** 2 + (np.sin(angle) / q) ** 2
        v = c * radius**2
        outside = np.exp((1 - 1 / b) * np.log1p(b * v)) if b > 1e-6 else np.exp(-v)
        return float(np.mean((1 - outside) / (p * q * c)))

    middle = float(np.sqrt(long * short))
    return inside(float(long), float(short)) / inside(middle, middle)


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
