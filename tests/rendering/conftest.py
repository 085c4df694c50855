"""Simulated pictures whose truth is known: a colour stack, frames of a night with a cloud."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

HEIGHT, WIDTH = 240, 400


def stars(shape: tuple[int, int], count: int, seed: int, brightest: float) -> np.ndarray:
    """Gaussian stars of FWHM 3 px on nothing, fluxes spread over three magnitudes."""
    rng = np.random.default_rng(seed)
    image = np.zeros(shape)
    y, x = np.mgrid[-7:8, -7:8]
    for _ in range(count):
        row, column = int(rng.integers(8, shape[0] - 8)), int(rng.integers(8, shape[1] - 8))
        peak = brightest * 10 ** (-1.2 * rng.random())
        image[row - 7 : row + 8, column - 7 : column + 8] += peak * np.exp(-(x**2 + y**2) / 3.25)
    return image


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A colour stack as the engine writes it: green cast, gradient, an uncovered corner, a nebula, NCOMBINE."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    light = stars((HEIGHT, WIDTH), 120, 2, 1500.0) + 120 * np.exp(-((x - 200) ** 2 + (y - 120) ** 2) / 800)
    planes = [
        sky + gradient * (x / WIDTH) + gain * light + rng.normal(0, 4, (HEIGHT, WIDTH))
        for sky, gradient, gain in ((200, 30, 0.6), (320, 80, 1.0), (240, 20, 0.7))
    ]
    cube = np.stack(planes).astype(np.float32)
    cube[:, :30, :40] = np.nan
    header = fits.Header({"NCOMBINE": 20, "IMAGETYP": "STACK", "SATURATE": 4095.0, "FILTER": "Astro"})
    path = tmp_path / "stack.fits"
    fits.PrimaryHDU(cube, header).writeto(path)
    return path


@pytest.fixture
def raw_frame(tmp_path: Path) -> Callable[..., Path]:
    """Writes a raw GRBG frame: `transparency` dims its stars, `sky` lifts its background."""

    def write(
        name: str = "light.fits", *, transparency: float = 1.0, sky: float = 400.0, **keys: object
    ) -> Path:
        rng = np.random.default_rng(len(name))
        light = stars((HEIGHT, WIDTH), 100, 3, 2500.0) * transparency
        image = light + sky + rng.normal(0, 12, (HEIGHT, WIDTH))
        image[0::2, 1::2] *= 0.6  # red
        image[1::2, 0::2] *= 0.7  # blue
        header = fits.Header({"BAYERPAT": "GRBG", "EXPTIME": 10.0, "INSTRUME": "Seestar S50", **keys})
        path = tmp_path / name
        fits.PrimaryHDU(np.clip(image, 0, 4095).astype(np.uint16), header).writeto(path)
        return path

    return write


@pytest.fixture
def mono(tmp_path: Path) -> Path:
    """A raw mono frame with a bright first row, so that its way up can be told."""
    image = stars((HEIGHT, WIDTH), 80, 5, 9000.0) + np.random.default_rng(1).normal(900, 20, (HEIGHT, WIDTH))
    image[:20] += 3000
    path = tmp_path / "mono.fits"
    fits.PrimaryHDU(image.astype(np.uint16), fits.Header({"EXPTIME": 60.0})).writeto(path)
    return path
