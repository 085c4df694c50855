"""Colour balance on fields whose colours are known."""

import numpy as np
import pytest

from astrotui.imaging.color import balance_color, is_dual_band


def field(throughput: tuple[float, float, float], *, stars: int = 80, seed: int = 4) -> np.ndarray:
    """(3, 300, 400) field of 1000 ADU noise 10, stars of scattered colours that are white on average."""
    rng = np.random.default_rng(seed)
    planes = np.empty((3, 300, 400))
    y, x = np.mgrid[:300, :400]
    positions = rng.uniform(12, 288, (stars, 2)) * (1, 388 / 288)
    flux = 10 ** rng.uniform(2.6, 4.2, stars)
    tint = rng.normal(0, 0.15, stars)
    for c, (sky, weight) in enumerate(zip((700, 1000, 850), throughput, strict=True)):
        planes[c] = sky + rng.normal(0, 10, (300, 400))
        for (sy, sx), f, t in zip(positions, flux, tint, strict=True):
            box = (slice(max(int(sy) - 9, 0), int(sy) + 10), slice(max(int(sx) - 9, 0), int(sx) + 10))
            light = f * weight * (1 + t * (1 - c))
            planes[c][box] += light * np.exp(-((x[box] - sx) ** 2 + (y[box] - sy) ** 2) / 4.5)
    return planes.astype(np.float32)


def test_stars_become_white_and_the_sky_gray() -> None:
    image = field((0.5, 1.0, 0.7))
    balance = balance_color(image, saturation=65535)
    assert balance.skipped is None and balance.stars >= 30
    red, green, blue = balance.scale
    assert (red / green, blue / green) == pytest.approx((2.0, 1 / 0.7), rel=0.05)
    assert min(balance.scale) == 1.0
    shown = balance.apply(image)
    assert np.ptp([np.median(c) for c in shown]) < 2.0  # of a noise of 10
    assert np.median(shown) == pytest.approx(850, abs=2)


def test_a_nebula_does_not_tint_the_sky() -> None:
    image = field((0.5, 1.0, 0.7))
    y, x = np.mgrid[:300, :400]
    nebula = 400 * np.exp(-((x - 220) ** 2 + (y - 150) ** 2) / (2 * 60**2))
    image[0] += nebula  # red, over most of the picture
    shown = balance_color(image, saturation=65535).apply(image)
    corners = np.concatenate([shown[:, :40, :60], shown[:, -40:, :60]], axis=1)
    assert np.ptp(np.median(corners, axis=(1, 2))) < 10  # the median of all of it would leave 60


def test_saturated_stars_do_not_count() -> None:
    image = np.minimum(field((0.5, 1.0, 0.7)), 4095)
    balance = balance_color(image, saturation=4095)
    assert balance.scale[0] / balance.scale[1] == pytest.approx(2.0, rel=0.07)


@pytest.mark.parametrize(
    "name", ["Duo-Band", "LP", "L-eNhance", "L-eXtreme", "HO", "SO", "duo", "dual band", "Ha-OIII"]
)
def test_dual_band_filters_are_left_alone(name: str) -> None:
    assert is_dual_band(name)
    balance = balance_color(field((1, 1, 1)), filter_name=name)
    assert balance.scale == (1, 1, 1) and balance.offset == (0, 0, 0)
    assert balance.skipped is not None and name in balance.skipped


@pytest.mark.parametrize("name", ["IRCUT", "Astro", "VIS", "L", "None", "", None, "UV/IR cut", "CLS", "Help"])
def test_broad_band_filters_are_balanced(name: str | None) -> None:
    assert not is_dual_band(name)


def test_mono_and_starless_pictures_say_why_not() -> None:
    assert "no colors" in str(balance_color(np.zeros((50, 50), np.float32)).skipped)
    starless = balance_color(field((1, 1, 1), stars=0))
    assert starless.skipped is not None and "stars" in starless.skipped
    sky = starless.apply(field((1, 1, 1), stars=0))
    assert np.ptp([np.median(c) for c in sky]) < 1.0
    neutral = balance_color(field((0.5, 1, 0.7)), mode="neutral")
    assert neutral.scale == (1, 1, 1) and neutral.skipped is None


def test_nan_and_empty_pictures_are_harmless() -> None:
    image = field((0.5, 1.0, 0.7))
    image[:, :, :100] = np.nan
    balance = balance_color(image, saturation=65535)
    assert balance.scale[0] / balance.scale[1] == pytest.approx(2.0, rel=0.06)
    assert balance_color(np.full((3, 60, 60), np.nan, np.float32)).stars == 0
