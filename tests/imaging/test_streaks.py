"""Trails of satellites are found, and nothing else is taken for one."""

import numpy as np
import pytest

from astrotui.imaging.quality import measure_frame
from astrotui.imaging.streaks import find_streaks
from sample_sessions.sky import Camera, expose, random_hot, random_sky

WIDTH, HEIGHT = 640, 360


def _plane(seed: int, *, stars: int = 100, elongation: float = 1.0) -> tuple[np.ndarray, float]:
    """A sky-subtracted mono frame and its noise."""
    sky = random_sky(seed, WIDTH, HEIGHT, stars)
    camera = Camera(WIDTH, HEIGHT, seed=seed)
    rng = np.random.default_rng(seed)
    frame = expose(sky, camera, exposure_s=10, elongation=elongation, angle_deg=40, rng=rng)
    return frame.astype(np.float32) - np.median(frame), 5.0


def test_a_hundred_clean_frames_have_no_trail() -> None:
    found = [find_streaks(*_plane(seed, stars=60 + 3 * seed)) for seed in range(100)]
    assert sum(map(bool, found)) == 0


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("width_px", [2.0, 3.5])
def test_a_trail_of_five_sigma_is_found_where_it_is(seed: int, width_px: float) -> None:
    rng = np.random.default_rng(100 + seed)
    angle, half = rng.uniform(0, np.pi), 0.4 * HEIGHT
    cx, cy = rng.uniform(0.35, 0.65) * WIDTH, rng.uniform(0.45, 0.55) * HEIGHT
    dx, dy = half * np.cos(angle), half * np.sin(angle)
    ends = np.array([cx - dx, cy - dy, cx + dx, cy + dy])
    sky = random_sky(seed, WIDTH, HEIGHT, 100)
    camera = Camera(WIDTH, HEIGHT, cfa="RGGB", hot=random_hot(seed, WIDTH, HEIGHT, 100))
    noise = np.sqrt(10 * 2.0 + 4 + 0.25)
    trail = (*ends, width_px, 5 * noise)
    frame = expose(sky, camera, exposure_s=10, trail=trail, rng=np.random.default_rng(seed))
    measured = measure_frame(frame, cfa_phase="RGGB", full_scale_adu=65535)
    assert measured.streak is True
    mono, sigma = _plane(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    across = (x - cx) * np.sin(angle) - (y - cy) * np.cos(angle)
    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    line = 5 * sigma * np.exp(-4 * np.log(2) * across**2 / width_px**2) * (np.abs(along) < half)
    streaks = find_streaks(mono + line.astype(np.float32), sigma)
    assert streaks
    best = streaks[0]
    assert best.length > 0.7 * 2 * half
    for px, py in ((best.x0, best.y0), (best.x1, best.y1)):
        assert abs((px - cx) * np.sin(angle) - (py - cy) * np.cos(angle)) < 3


def test_trailed_stars_and_a_crowd_are_no_satellites() -> None:
    assert not find_streaks(*_plane(1, stars=200, elongation=3.0))
    assert not find_streaks(*_plane(2, stars=4000))


def test_the_edge_of_a_glow_is_no_trail() -> None:
    plane, noise = _plane(3)
    plane[:, WIDTH // 2 :] += 60
    assert not find_streaks(plane - np.median(plane), noise)
