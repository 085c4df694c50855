"""Hot pixels are told from stars, and filled."""

import numpy as np
import pytest

from astrotui.imaging.hotpixels import fill_hot, find_hot, pixel_noise
from sample_sessions.sky import Camera, expose, random_hot, random_sky

WIDTH, HEIGHT = 640, 360


def _frame(cfa: str | None, fwhm: float, *, hot: int = 150, seed: int = 5, colors: float = 1.0) -> tuple:
    sky = random_sky(seed, WIDTH, HEIGHT, 150, faint=60, colors=colors)
    camera = Camera(WIDTH, HEIGHT, cfa=cfa, hot=random_hot(seed, WIDTH, HEIGHT, hot, low=8))
    frame = expose(sky, camera, exposure_s=10, fwhm_px=fwhm, rng=np.random.default_rng(seed))
    return sky, camera, frame


@pytest.mark.parametrize("cfa", [None, "RGGB", "GBRG"])
@pytest.mark.parametrize("fwhm", [1.6, 2.0, 3.5])
def test_hot_pixels_are_found_and_stars_are_not(cfa: str | None, fwhm: float) -> None:
    sky, camera, frame = _frame(cfa, fwhm)
    rows, columns = find_hot(frame, cfa)
    flagged = set(zip(columns.tolist(), rows.tolist(), strict=True))
    true = {(x, y) for x, y, _ in camera.hot}
    near = np.array([np.hypot(sky.x - x, sky.y - y).min() for x, y in true])
    inside = np.array([2 <= x < WIDTH - 2 and 2 <= y < HEIGHT - 2 for x, y in true])
    fair = {place for place, far, seen in zip(true, near > 4 * fwhm, inside, strict=True) if far and seen}
    assert len(fair & flagged) >= 0.97 * len(fair)
    wrong = [p for p in flagged - true if np.hypot(sky.x - p[0], sky.y - p[1]).min() < 3]
    assert len(wrong) <= 2  # a star's wing beside a hot pixel


def test_a_frame_without_defects_keeps_all_but_noise() -> None:
    frame = np.random.default_rng(1).normal(500, 12, (HEIGHT, WIDTH)).astype(np.uint16)
    assert len(find_hot(frame)[0]) <= 1


def test_filled_pixels_look_like_their_neighbours_and_the_frame_is_left_alone() -> None:
    _, camera, frame = _frame("RGGB", 2.8)
    before = frame.copy()
    filled = fill_hot(frame, find_hot(frame, "RGGB"), "RGGB")
    assert filled.dtype == frame.dtype
    np.testing.assert_array_equal(frame, before)
    strong = [(x, y) for x, y, rate in camera.hot if rate > 40 and 2 <= x < WIDTH - 2 and 2 <= y < HEIGHT - 2]
    excess = np.array([float(filled[y, x]) - np.median(frame) for x, y in strong])
    assert np.mean(np.abs(excess) < 40) > 0.95


def test_a_mask_and_its_places_fill_alike() -> None:
    _, _, frame = _frame(None, 2.8)
    rows, columns = find_hot(frame)
    mask = np.zeros(frame.shape, bool)
    mask[rows, columns] = True
    np.testing.assert_array_equal(fill_hot(frame, mask), fill_hot(frame, (rows, columns)))


def test_two_hot_pixels_of_one_colour_do_not_fill_each_other() -> None:
    frame = np.random.default_rng(2).normal(300, 5, (64, 64)).astype(np.uint16)
    frame[20, 20] = frame[20, 22] = 9000
    rows, columns = find_hot(frame, "RGGB")
    assert {(20, 20), (20, 22)} <= set(zip(rows.tolist(), columns.tolist(), strict=True))
    filled = fill_hot(frame, (rows, columns), "RGGB")
    assert filled[20, 20] < 330
    assert filled[20, 22] < 330


@pytest.mark.parametrize("step", [1, 16])
def test_noise_is_right_on_a_gradient_with_stars_and_a_coarse_converter(step: int) -> None:
    _, _, frame = _frame(None, 2.8)
    gradient = np.linspace(0, 4000, WIDTH, dtype=np.float32)
    noise = np.random.default_rng(4).normal(0, 20, frame.shape)
    image = np.floor((frame.astype(np.float64) + gradient + noise) / step) * step
    quiet = np.sqrt(20**2 + 20 + 4 + 1.5 + step**2 / 12)  # sky, read noise, fixed pattern, converter
    assert pixel_noise(image.astype(np.uint16)) == pytest.approx(quiet, rel=0.03)
