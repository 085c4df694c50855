"""The benchmark's yardstick: what is put into an image of known noise, width and faults is what it reads."""

import sys
from pathlib import Path

import numpy as np
import pytest

from sample_sessions import sky as sim

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import quality_metrics as quality

WIDTH, HEIGHT, NOISE = 620, 460, 2.0


@pytest.fixture(scope="module")
def truth() -> sim.Truth:
    sky = sim.random_sky(3, WIDTH, HEIGHT, 120, faint=700, bright=8000, margin=0, separation=26)
    trail = (-5.0, 120.0, 625.0, 330.0, 3.0, 500.0)
    frames = tuple(
        sim.FrameTruth(
            f"lights/light_{i:04d}.fits",
            sim.matrix_rows(sim.inverse(sim.similarity(3.0 * i, -2.0 * i, 0.1 * i, 1.0, (310, 230)))),
            2.8,
            trails=(trail,) if i == 0 else (),
        )
        for i in range(4)
    )
    flux = tuple(tuple(map(float, channel)) for channel in sky.flux)
    return sim.Truth(WIDTH, HEIGHT, "RGGB", 30.0, 1.0, tuple(sky.x), tuple(sky.y), flux, (), frames)


def perfect(truth: sim.Truth, to_result: np.ndarray) -> np.ndarray:
    """A stack in electrons with white noise, (3, height, width), whose pixels are where `to_result` says."""
    rng = np.random.default_rng(4)
    planes = []
    for channel in range(3):
        flux = np.repeat(np.array(truth.flux[channel], np.float32)[None], 3, 0)
        one = sim.Sky(WIDTH, HEIGHT, np.array(truth.x), np.array(truth.y), flux)
        light = sim.star_light(one, to_result, WIDTH, HEIGHT, None, fwhm_px=2.8) * truth.exposure_s
        planes.append(light + 300 + NOISE * rng.standard_normal(light.shape))
    return np.array(planes, np.float32)


@pytest.mark.parametrize("upside_down", [False, True])
def test_a_perfect_stack_reads_as_perfect(truth: sim.Truth, upside_down: bool) -> None:
    to_result = sim.similarity(2.3, -1.6, 0.2)
    image = perfect(truth, to_result) * 0.5
    if upside_down:
        image = image[:, ::-1]
    found = quality.measure(np.ascontiguousarray(image), truth, 2.0)
    assert found.gain == pytest.approx((1, 1, 1), abs=0.01)
    assert found.noise_e == pytest.approx((4 * NOISE,) * 3, rel=0.08)
    assert found.fwhm_px == pytest.approx(sim.recorded_fwhm(2.8), abs=0.02)
    assert max(found.scatter_pct) < 0.4
    assert found.outliers == 0
    assert found.trail_pixels == 0
    assert abs(found.trail_sigma) < 4


def test_blurring_a_stack_makes_it_no_better(truth: sim.Truth) -> None:
    image = perfect(truth, np.eye(3))
    blurred = np.stack([quality.smooth_to(plane, sim.recorded_fwhm(2.8), 3.2) for plane in image])
    sharp, soft = quality.measure(image, truth, 1.0), quality.measure(blurred, truth, 1.0)
    assert soft.fwhm_px == pytest.approx(3.2, abs=0.04)
    assert soft.noise_e[1] < 0.93 * sharp.noise_e[1]
    assert soft.equal_noise_e == pytest.approx(sharp.equal_noise_e, rel=0.02)


def test_left_trails_and_outliers_are_counted(truth: sim.Truth) -> None:
    image = perfect(truth, np.eye(3))
    image += sim.trail_light((-5.0, 120.0, 625.0, 330.0, 3.0, 25.0), WIDTH, HEIGHT)
    image[1, 200:210, 300] += 60
    found = quality.measure(image, truth, 1.0)
    assert found.trail_sigma > 20
    assert found.trail_pixels > 100
    assert found.outliers >= 10


def test_registration_errors_are_those_put_in(truth: sim.Truth) -> None:
    right = {Path(f.name).name: f.matrix() for f in truth.frames}
    reference = next(iter(right))
    assert quality.registration_error(quality.places_of(right, truth), reference, truth) < 1e-9
    wrong = {k: sim.similarity(0.03, 0.04) @ m if k != reference else m for k, m in right.items()}
    places = quality.places_of(wrong, truth)
    assert quality.registration_error(places, reference, truth) == pytest.approx(0.05, abs=1e-6)


def test_a_foreign_image_is_refused(truth: sim.Truth) -> None:
    other = sim.random_sky(99, WIDTH, HEIGHT, 12, faint=700, bright=8000, margin=-20)
    image = 300 + sim.star_light(other, np.eye(3), WIDTH, HEIGHT, None, fwhm_px=2.8) * 30
    image += np.random.default_rng(1).standard_normal(image.shape).astype(np.float32)
    with pytest.raises(ValueError, match="not those of the truth"):
        quality.find_sky(image, truth)
