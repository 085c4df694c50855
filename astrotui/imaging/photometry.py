"""Light of stars in apertures, and how much of it one frame received against another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.types import Float32Array, Float64Array

APERTURE_FWHM = 1.5  # radius of the aperture: wide enough that seeing cancels in ratios
CORE_FWHM = 0.6


@dataclass(frozen=True, eq=False)
class Apertures:
    """What apertures hold, in the units of the plane; NaN where they do not fit into it.

    Attributes
    ----------
    flux : float64 (n,) above the local sky, within the radius
    core : float64 (n,) within `CORE_FWHM`: core / flux tells stars from hot pixels and galaxies
    peak : float64 (n,) highest pixel above the local sky
    """

    flux: Float64Array
    core: Float64Array
    peak: Float64Array


def measure_apertures(plane: Float32Array, x: Float64Array, y: Float64Array, fwhm: float) -> Apertures:
    """Aperture fluxes at places (n,) of a plane (H, W), radius 1.5 `fwhm`, sky from a ring around.

    `fwhm` is in pixels of the plane, as the stars appear on it.
    """
    from astrotui.imaging.measure_kernels import aperture_flux

    radius = max(APERTURE_FWHM * fwhm, 1.5)
    inner = radius + max(1.0, 0.5 * fwhm)
    outer = max(inner + 2.0, np.sqrt(inner**2 + 80 / np.pi))
    flux, core, peak = (np.empty(len(x)) for _ in range(3))
    aperture_flux(plane, x, y, radius, inner, outer, max(CORE_FWHM * fwhm, 0.7), flux, core, peak)
    return Apertures(flux, core, peak)


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
