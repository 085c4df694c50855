"""The simulator itself: light is conserved, shapes and noise are as asked, maps go the way they say."""

import numpy as np
import pytest

from sample_sessions import sky as sim


def one_star(x: float, y: float, flux: float = 1000.0) -> sim.Sky:
    return sim.Sky(64, 64, np.array([x]), np.array([y]), np.full((3, 1), flux, np.float32))


@pytest.mark.parametrize("shape", [{}, {"elongation": 2.0, "angle_deg": 30.0}, {"beta": 3.5}])
def test_a_star_keeps_its_light_and_its_place(shape: dict[str, float]) -> None:
    image = sim.star_light(one_star(31.3, 30.8), np.eye(3), 64, 64, None, fwhm_px=2.6, **shape).astype(float)
    y, x = np.mgrid[:64, :64]
    assert image.sum() == pytest.approx(1000, rel=5e-3)
    assert (image * x).sum() / image.sum() == pytest.approx(31.3, abs=0.01)
    assert (image * y).sum() / image.sum() == pytest.approx(30.8, abs=0.01)


def test_the_recorded_width_is_that_of_the_light_and_the_pixel() -> None:
    image = sim.star_light(one_star(32, 32), np.eye(3), 64, 64, None, fwhm_px=2.8).astype(float)
    x = np.arange(64)
    sigma = np.sqrt((image.sum(0) * (x - 32) ** 2).sum() / image.sum())
    assert sigma / sim.SIGMA_OF_FWHM == pytest.approx(sim.recorded_fwhm(2.8), abs=0.01)


def test_an_elongated_star_lies_along_its_angle() -> None:
    image = sim.star_light(
        one_star(32, 32), np.eye(3), 64, 64, None, fwhm_px=4, elongation=3.0, angle_deg=25.0
    ).astype(float)
    y, x = np.mgrid[:64, :64] - 32.0
    xx, yy, xy = ((image * v).sum() / image.sum() for v in (x * x, y * y, x * y))
    assert np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)) == pytest.approx(25, abs=0.5)


def test_similarity_takes_the_reference_to_the_frame() -> None:
    to_frame = sim.similarity(5, -3, 90, 1.0, (10, 10))
    x, y = sim.apply(to_frame, 11, 10)
    assert (float(x), float(y)) == pytest.approx((15, 8))
    assert np.allclose(sim.apply(sim.inverse(to_frame), x, y), (11, 10))
    camera = sim.Camera(64, 64, read_noise_e=0.1, prnu=0)
    image = sim.expose(
        one_star(30, 20, 5e4), camera, exposure_s=1, to_frame=sim.similarity(7, 9),
        rng=np.random.default_rng(1),
    )  # fmt: skip
    assert np.unravel_index(image.argmax(), image.shape) == (29, 37)


def test_each_pixel_of_a_mosaic_records_its_color() -> None:
    star = sim.Sky(32, 32, np.array([15.5]), np.array([15.5]), np.array([[4e3], [0.0], [0.0]], np.float32))
    image = sim.star_light(star, np.eye(3), 32, 32, "GBRG", fwhm_px=3)
    red = sim.channel_map("GBRG", 32, 32) == 0
    assert red[1, 0] and red.mean() == 0.25
    assert image[red].sum() == pytest.approx(1000, rel=0.02)
    assert image[~red].sum() == 0


def test_noise_is_that_of_photons_and_reading() -> None:
    camera = sim.Camera(
        400, 300, e_per_adu=0.5, read_noise_e=3.0, dark_e_s=0.0, bias_adu=300, bias_pattern_adu=0, prnu=0
    )
    empty = sim.Sky(400, 300, np.zeros(0), np.zeros(0), np.zeros((3, 0), np.float32))
    image = sim.expose(empty, camera, exposure_s=10, sky_e_s=20.0, rng=np.random.default_rng(2)).astype(float)
    assert image.mean() == pytest.approx(300 + 200 / 0.5, abs=0.5)
    assert image.std() == pytest.approx(np.sqrt(200 + 9) / 0.5, rel=0.01)


def test_darks_hold_bias_dark_current_and_hot_pixels_that_warm_up() -> None:
    hot = ((20, 10, 50.0),)
    camera = sim.Camera(
        64, 48, read_noise_e=1.0, dark_e_s=0.5, dark_at_c=10, bias_adu=100, bias_pattern_adu=0, hot=hot
    )
    rng = np.random.default_rng(3)
    cold = np.mean([sim.dark(camera, 20, rng=rng) for _ in range(30)], axis=0)
    warm = np.mean([sim.dark(camera, 20, temperature_c=16, rng=rng) for _ in range(30)], axis=0)
    assert np.median(cold) - 100 == pytest.approx(10, rel=0.15)
    assert cold[10, 20] - 100 == pytest.approx(1010, rel=0.05)
    assert (warm[10, 20] - 100) / (cold[10, 20] - 100) == pytest.approx(2, rel=0.05)


def test_a_flat_divides_the_vignetting_of_a_light_out() -> None:
    camera = sim.Camera(
        300, 200, "RGGB", vignette=0.5, dust=4, prnu=0, read_noise_e=1, dark_e_s=0, bias_pattern_adu=0
    )
    empty = sim.Sky(300, 200, np.zeros(0), np.zeros(0), np.zeros((3, 0), np.float32))
    rng = np.random.default_rng(4)
    light = sim.expose(empty, camera, exposure_s=10, sky_e_s=2000.0, rng=rng).astype(float) - camera.bias_adu
    flat = np.mean([sim.flat(camera, rng=rng) for _ in range(8)], axis=0) - camera.bias_adu
    green = sim.channel_map("RGGB", 200, 300) == 1
    assert flat[green].mean() > 1.3 * flat[~green].mean()
    even = np.where(green, light / flat, np.nan) / np.nanmedian(np.where(green, light / flat, np.nan))
    assert np.nanstd(light[green]) / np.nanmean(light[green]) > 0.05
    assert np.nanstd(even) < 0.012


def test_the_same_seed_draws_the_same_frame() -> None:
    sky = sim.random_sky(5, 96, 64, 30, separation=8)
    camera = sim.Camera(96, 64, "RGGB", hot=sim.random_hot(5, 96, 64, 9), seed=5)
    first, second = (sim.expose(sky, camera, exposure_s=5, rng=np.random.default_rng(6)) for _ in range(2))
    assert np.array_equal(first, second)
    apart = np.hypot(sky.x[:, None] - sky.x, sky.y[:, None] - sky.y) + np.eye(30) * 99
    assert apart.min() >= 8


def test_stars_that_cannot_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        sim.random_sky(1, 50, 50, 100, margin=0, separation=30)


def test_clouds_trails_and_cosmic_rays_show() -> None:
    sky = one_star(32, 32, 2e4)
    camera = sim.Camera(64, 64, read_noise_e=1, prnu=0)
    rng = np.random.default_rng(7)
    plain = sim.expose(sky, camera, exposure_s=1, rng=rng).astype(float)
    cloud = np.full((64, 64), 0.25, np.float32)
    dim = sim.expose(sky, camera, exposure_s=1, transparency=cloud, rng=rng).astype(float)
    assert (dim - 200)[28:37, 28:37].sum() / (plain - 200)[28:37, 28:37].sum() == pytest.approx(
        0.25, abs=0.03
    )
    hits = sim.random_hits(rng, 64, 64, 12)
    odd = sim.expose(sky, camera, exposure_s=1, trail=(0, 5, 63, 5, 2.5, 800.0), hits=hits, rng=rng).astype(
        float
    )
    assert np.median(odd[5]) > 700
    assert np.median(odd[8]) < 260
    assert odd[hits[0], hits[1]].mean() > 400


def test_the_truth_survives_json() -> None:
    frame = sim.FrameTruth(
        "a.fits", sim.matrix_rows(sim.similarity(1, 2, 3)), 2.8, trails=((0, 1, 2, 3, 4, 5),)
    )
    truth = sim.Truth(9, 8, "RGGB", 5.0, 0.8, (1.0,), (2.0,), ((3.0,),) * 3, ((1, 2, 3.5),), (frame,))
    assert sim.Truth.from_json(truth.to_json()) == truth


def test_unsteady_hot_pixels_come_and_go() -> None:
    hot = sim.random_hot(8, 64, 48, 20, low=200, high=300)
    camera = sim.Camera(64, 48, read_noise_e=1.0, dark_e_s=0.0, hot=hot, unsteady=0.5)
    rng = np.random.default_rng(8)
    frames = np.array(
        [[f[y, x] for x, y, _ in hot] for f in (sim.dark(camera, 10, rng=rng) for _ in range(24))]
    )
    flickers = frames.max(axis=0) > 2 * frames.min(axis=0)
    assert flickers.sum() == 10
    assert flickers[::2].all()
