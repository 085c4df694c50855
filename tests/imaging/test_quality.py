"""Frames that are no good get a reason, never a crash and never a good score."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from astrotui.imaging.quality import FrameMeasurement, measure_frame
from astrotui.imaging.scoring import depth, scores
from sample_sessions.sky import Camera, expose, random_sky

WIDTH, HEIGHT = 640, 480
Image = NDArray[np.float64]


def _sky(level: float = 300, sigma: float = 5) -> Image:
    return np.random.default_rng(1).normal(level, sigma, (HEIGHT, WIDTH))


def _with_blobs(count: int, kernel: Image, light: float) -> Image:
    rng = np.random.default_rng(2)
    image = _sky()
    reach = kernel.shape[0] // 2
    for _ in range(count):
        x, y = rng.integers(reach + 2, WIDTH - reach - 2), rng.integers(reach + 2, HEIGHT - reach - 2)
        flux = light * 10 ** rng.uniform(-1.5, 0)
        image[y - reach : y + reach + 1, x - reach : x + reach + 1] += flux * kernel
    return image


def _ring(radius: int) -> Image:
    y, x = np.mgrid[-radius - 2 : radius + 3, -radius - 2 : radius + 3]
    ring = ((np.hypot(x, y) < radius) & (np.hypot(x, y) > 0.45 * radius)).astype(float)
    return ring / ring.sum()


def _star(fwhm: float = 3.0) -> Image:
    y, x = np.mgrid[-15:16, -15:16]
    shape = np.exp(-4 * np.log(2) * (x**2 + y**2) / fwhm**2)
    return shape / shape.sum()


def _daylight() -> Image:
    rng = np.random.default_rng(3)
    image = 15000 + 8000 * np.sin(np.linspace(0, 5, WIDTH)) * np.cos(np.linspace(0, 3, HEIGHT))[:, None]
    for _ in range(250):
        x, y = rng.integers(0, WIDTH - 40), rng.integers(0, HEIGHT - 40)
        image[y : y + rng.integers(2, 40), x : x + rng.integers(2, 40)] *= rng.uniform(0.5, 1.5)
    return image + rng.normal(0, 60, image.shape)


def _moon() -> Image:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rng = np.random.default_rng(4)
    craters = rng.normal(0, 1, (HEIGHT // 8, WIDTH // 8)).repeat(8, 0).repeat(8, 1)
    return _sky() + 20000 * (np.hypot(x - 300, y - 250) < 160) * (1 + 0.1 * craters)


BAD: dict[str, tuple[Callable[[], Image], str]] = {
    "black": (lambda: np.zeros((HEIGHT, WIDTH)), "black"),
    "one value": (lambda: np.full((HEIGHT, WIDTH), 500.0), "same value"),
    "saturated": (lambda: np.full((HEIGHT, WIDTH), 65535.0), "same value"),
    "nearly saturated": (lambda: _sky(65400, 900), "saturated"),
    "no stars": (_sky, "no stars"),
    "single star": (lambda: _with_blobs(1, _star(), 40000), "only 1 star"),
    "small rings": (lambda: _with_blobs(40, _ring(7), 1e6), "out of focus"),
    "rings that touch": (lambda: _with_blobs(30, _ring(14), 3e6), ""),
    "daylight": (_daylight, "nothing in it looks like a star"),
    "the Moon": (_moon, ""),
    "flat": (lambda: 30000 + np.linspace(-3000, 3000, WIDTH) + _sky(0, 150), ""),
}


@pytest.mark.parametrize("cfa", ["RGGB", None])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_has_its_reason(name: str, cfa: str | None) -> None:
    make, reason = BAD[name]
    frame = np.clip(np.rint(make()), 0, 65535).astype(np.uint16)
    measured = measure_frame(frame, cfa_phase=cfa, full_scale_adu=65535)
    assert measured.problem is not None
    assert reason in measured.problem


def test_invalid_pixels_are_left_out() -> None:
    sky = random_sky(5, WIDTH, HEIGHT, 120, faint=120)
    frame = expose(sky, Camera(WIDTH, HEIGHT, cfa="RGGB"), exposure_s=10, rng=np.random.default_rng(5))
    broken = frame.astype(np.float32)
    broken[:100] = np.nan
    broken[200, 200:300] = np.inf
    broken[300:302, 50:90] = -np.inf
    measured = measure_frame(broken, cfa_phase="RGGB", full_scale_adu=65535)
    assert measured.problem is None
    assert measured.fwhm_px == pytest.approx(2.8, rel=0.03)
    assert len(measured.star_list) > 40
    assert np.all(measured.star_list.y > 100)
    assert np.isfinite(measured.star_list.flux).all()
    nothing = measure_frame(np.full((HEIGHT, WIDTH), np.nan, np.float32), cfa_phase=None, full_scale_adu=None)
    assert nothing.problem == "no valid pixels"


def test_a_defocused_or_clouded_frame_scores_low() -> None:
    sky = random_sky(6, WIDTH, HEIGHT, 120, faint=120)
    camera = Camera(WIDTH, HEIGHT, cfa="RGGB")

    def measure(seed: int, **light: float) -> FrameMeasurement:
        frame = expose(sky, camera, exposure_s=10, rng=np.random.default_rng(seed), **light)  # type: ignore[arg-type]
        return measure_frame(frame, cfa_phase="RGGB", full_scale_adu=65535)

    good = [measure(seed) for seed in range(3)]
    soft = measure(7, fwhm_px=7.0)
    bright = measure(8, sky_e_s=40.0)
    rated = scores([depth(1.0, m.noise_adu, m.fwhm_a_px, m.fwhm_b_px) for m in (*good, soft, bright)])
    assert rated[:3].min() > 90
    assert rated[3] < 25
    assert rated[4] < 10


def test_colour_bytes_floats_and_byte_order_are_understood() -> None:
    sky = random_sky(7, WIDTH, HEIGHT, 120, faint=120)
    frame = expose(sky, Camera(WIDTH, HEIGHT), exposure_s=10, rng=np.random.default_rng(7))
    usual = measure_frame(frame, cfa_phase=None, full_scale_adu=65535)
    color = measure_frame(np.stack([frame] * 3), cfa_phase="RGGB", full_scale_adu=65535)
    for other in (
        color,
        measure_frame(frame.astype(">u2"), cfa_phase=None, full_scale_adu=65535),
        measure_frame(frame.astype(np.float64) - 5000, cfa_phase=None, full_scale_adu=65535),
        measure_frame(frame[:-1, :-1], cfa_phase=None, full_scale_adu=65535),
    ):
        assert other.problem is None
        assert other.fwhm_px == pytest.approx(usual.fwhm_px, rel=0.01)
        assert other.noise_adu == pytest.approx(usual.noise_adu, rel=0.03)
    small = measure_frame((frame // 256).astype(np.uint8), cfa_phase=None, full_scale_adu=255)
    assert small.background_adu == pytest.approx(np.median(frame // 256))


def test_a_large_mono_frame_is_searched_binned_with_the_same_answers() -> None:
    width, height = 3200, 2000
    sky = random_sky(8, width, height, 250, faint=300)
    frame = expose(sky, Camera(width, height), exposure_s=10, rng=np.random.default_rng(8))
    measured = measure_frame(frame, cfa_phase=None, full_scale_adu=65535)
    assert measured.fwhm_px == pytest.approx(2.8, rel=0.03)
    assert measured.noise_adu == pytest.approx(5.0, rel=0.04)
    stars = measured.star_list
    far = np.array(
        [np.hypot(sky.x - x, sky.y - y).min() for x, y in zip(stars.x[:60], stars.y[:60], strict=True)]
    )
    assert np.median(far) < 0.05


def test_wrong_shapes_are_errors_of_the_caller() -> None:
    with pytest.raises(ValueError, match="dimensions"):
        measure_frame(np.zeros(100, np.uint16), cfa_phase=None, full_scale_adu=None)
    with pytest.raises(ValueError, match="dark"):
        measure_frame(
            _sky().astype(np.uint16), cfa_phase=None, full_scale_adu=None, dark=np.zeros((4, 4), np.float32)
        )
    small = measure_frame(np.ones((20, 20), np.uint16), cfa_phase=None, full_scale_adu=None)
    assert small.problem == "only 20x20 pixels"
