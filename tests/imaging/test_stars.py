"""Shapes, places and fluxes of stars against skies that are known."""

import numpy as np
import pytest
from scipy.spatial import KDTree

from astrotui.imaging.quality import FrameMeasurement, measure_frame
from sample_sessions.sky import Camera, Sky, expose, random_hot, random_sky

WIDTH, HEIGHT = 800, 500


def _measure(
    seed: int, cfa: str | None, *, stars: int = 160, faint: float = 120, hot: int = 150, **light: object
) -> tuple[Sky, Camera, FrameMeasurement]:
    sky = random_sky(seed, WIDTH, HEIGHT, stars, faint=faint, separation=12)
    camera = Camera(WIDTH, HEIGHT, cfa=cfa, hot=random_hot(seed, WIDTH, HEIGHT, hot))
    frame = expose(sky, camera, exposure_s=10, rng=np.random.default_rng(seed), **light)  # type: ignore[arg-type]
    return sky, camera, measure_frame(frame, cfa_phase=cfa, full_scale_adu=65535)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("cfa", "fwhm", "beta"),
    [
        ("RGGB", 1.6, None),
        ("GBRG", 2.0, None),
        ("RGGB", 2.8, None),
        ("GRBG", 2.8, 3.0),
        ("BGGR", 4.0, 2.5),
        ("RGGB", 5.5, None),
        (None, 2.0, None),
        (None, 3.2, 3.5),
    ],
)
def test_fwhm_is_that_of_the_light(seed: int, cfa: str | None, fwhm: float, beta: float | None) -> None:
    _, _, measured = _measure(seed, cfa, fwhm_px=fwhm, beta=beta)
    assert measured.problem is None
    assert measured.fwhm_px == pytest.approx(fwhm, rel=0.03)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("cfa", "fwhm", "elongation", "angle"),
    [("RGGB", 2.8, 1.3, 45), ("RGGB", 2.4, 1.7, 130), (None, 3, 1.5, 10)],
)
def test_trails_have_their_eccentricity(
    seed: int, cfa: str | None, fwhm: float, elongation: float, angle: float
) -> None:
    _, _, measured = _measure(seed, cfa, fwhm_px=fwhm, elongation=elongation, angle_deg=angle)
    assert measured.eccentricity == pytest.approx(np.sqrt(1 - elongation**-2), abs=0.03)
    assert measured.fwhm_a_px == pytest.approx(fwhm * np.sqrt(elongation), rel=0.03)
    assert measured.fwhm_b_px == pytest.approx(fwhm / np.sqrt(elongation), rel=0.03)


@pytest.mark.parametrize("cfa", ["RGGB", "GBRG", None])
def test_round_stars_are_not_called_trailed(cfa: str | None) -> None:
    _, _, measured = _measure(4, cfa, fwhm_px=2.8)
    assert measured.eccentricity is not None
    assert measured.eccentricity < 0.25


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("cfa", "fwhm"), [("RGGB", 1.6), ("RGGB", 2.8), ("GRBG", 4.5), (None, 2.0)])
def test_places_of_bright_stars(seed: int, cfa: str | None, fwhm: float) -> None:
    sky, _, measured = _measure(seed, cfa, fwhm_px=fwhm)
    stars = measured.star_list
    far, which = KDTree(np.stack([sky.x, sky.y], 1)).query(np.stack([stars.x, stars.y], 1))
    bright = sky.flux[1][which] > 800
    assert bright.sum() >= 15
    off = np.stack([stars.x - sky.x[which], stars.y - sky.y[which]])[:, bright]
    assert np.abs(np.median(off, axis=1)).max() < 0.03  # no shift of the grid
    assert np.median(far[bright]) < 0.05
    assert np.sqrt(np.mean(off**2)) < 0.05


@pytest.mark.parametrize("cfa", ["RGGB", None])
@pytest.mark.parametrize(
    ("hot", "allowed"), [(400, 0), (2000, 1)]
)  # 2000: half a percent, ten times a warm sensor's
def test_hot_pixels_are_not_listed_and_nothing_else_is_invented(
    cfa: str | None, hot: int, allowed: int
) -> None:
    sky, _, measured = _measure(7, cfa, stars=60, hot=hot, fwhm_px=2.8)
    stars = measured.star_list
    far, _ = KDTree(np.stack([sky.x, sky.y], 1)).query(np.stack([stars.x, stars.y], 1))
    assert len(stars) > 40
    assert np.count_nonzero(far > 1.5) <= allowed


@pytest.mark.parametrize("cfa", ["RGGB", None])
def test_fluxes_noise_and_sky_have_their_units(cfa: str | None) -> None:
    sky, _, measured = _measure(8, cfa, fwhm_px=2.8, sky_e_s=30.0, gradient=(0.2, 0.0))
    stars = measured.star_list
    _, which = KDTree(np.stack([sky.x, sky.y], 1)).query(np.stack([stars.x, stars.y], 1))
    bright = sky.flux[1][which] > 1500
    ratio = stars.flux[bright] / (10 * sky.flux[1][which][bright])  # one electron is one ADU here
    assert np.median(ratio) == pytest.approx(0.99, abs=0.015)
    assert measured.background_adu == pytest.approx(200 + 300, abs=2)
    assert measured.noise_adu == pytest.approx(np.sqrt(300 + 4 + 0.25), rel=0.03)
    assert measured.gradient_adu == pytest.approx(60, rel=0.2)
    assert list(stars.flux) == sorted(stars.flux, reverse=True)


def test_half_flux_radius_of_a_gaussian_is_half_its_fwhm() -> None:
    for cfa, fwhm in (("RGGB", 2.0), ("RGGB", 3.5), (None, 2.8)):
        _, _, measured = _measure(9, cfa, fwhm_px=fwhm)
        assert measured.hfr_px == pytest.approx(fwhm / 2, rel=0.05)


def test_twenty_faint_stars_are_enough_and_a_crowd_is_capped() -> None:
    _, _, few = _measure(10, "RGGB", stars=34, faint=60, fwhm_px=2.8)
    assert few.problem is None
    assert 15 <= few.stars <= 34
    assert few.fwhm_px == pytest.approx(2.8, rel=0.06)
    sky = random_sky(11, WIDTH, HEIGHT, 6000, faint=30)
    crowd = expose(sky, Camera(WIDTH, HEIGHT), exposure_s=10, rng=np.random.default_rng(11))
    many = measure_frame(crowd, cfa_phase=None, full_scale_adu=65535)
    assert len(many.star_list) == 400
    assert many.stars > 1500
    assert many.fwhm_px == pytest.approx(2.8, rel=0.03)


def test_saturated_stars_are_left_out_where_others_suffice() -> None:
    sky = random_sky(12, WIDTH, HEIGHT, 160, faint=120, separation=12)
    camera = Camera(WIDTH, HEIGHT, cfa="RGGB", full_scale_adu=4095)
    frame = expose(sky, camera, exposure_s=10, rng=np.random.default_rng(12))
    measured = measure_frame(frame, cfa_phase="RGGB", full_scale_adu=4095)
    unknown = measure_frame(frame, cfa_phase="RGGB", full_scale_adu=None)
    for result in (measured, unknown):
        stars = result.star_list
        _, which = KDTree(np.stack([sky.x, sky.y], 1)).query(np.stack([stars.x, stars.y], 1))
        assert 10 * sky.flux[1][which].max() < 1.3 * 3800 * 8.9  # peak of flux f is f / 8.9 at this FWHM
        assert result.saturated_fraction is not None
        assert result.saturated_fraction > 0
        assert result.fwhm_px == pytest.approx(2.8, rel=0.03)
        assert result.stars > len(stars)


def test_a_dark_takes_away_what_it_should_and_keeps_the_raw_level() -> None:
    sky = random_sky(13, WIDTH, HEIGHT, 100, faint=60)
    camera = Camera(WIDTH, HEIGHT, cfa="RGGB", hot=random_hot(13, WIDTH, HEIGHT, 4000), dark_e_s=3.0)
    frame = expose(sky, camera, exposure_s=10, rng=np.random.default_rng(13))
    empty = random_sky(1, WIDTH, HEIGHT, 1)
    darks = [
        expose(empty, camera, exposure_s=10, sky_e_s=0.0, transparency=0.0, rng=np.random.default_rng(s))
        for s in range(5)
    ]
    dark = np.median(np.stack(darks), axis=0).astype(np.float32)
    plain = measure_frame(frame, cfa_phase="RGGB", full_scale_adu=65535)
    better = measure_frame(frame, cfa_phase="RGGB", full_scale_adu=65535, dark=dark)
    assert better.background_adu == plain.background_adu
    assert better.noise_adu is not None
    assert plain.noise_adu is not None
    assert better.noise_adu < plain.noise_adu
    assert better.fwhm_px == pytest.approx(2.8, rel=0.03)


@pytest.mark.parametrize("cfa", ["RGGB", None])
@pytest.mark.parametrize(("elongation", "beta"), [(2.0, None), (3.0, None), (2.0, 3.0)])
def test_trailed_stars_keep_their_light(cfa: str | None, elongation: float, beta: float | None) -> None:
    found = []
    for stretch in (1.0, elongation):
        sky, _, measured = _measure(
            15, cfa, faint=400, fwhm_px=2.8, elongation=stretch, angle_deg=30, beta=beta
        )
        stars = measured.star_list
        _, which = KDTree(np.stack([sky.x, sky.y], 1)).query(np.stack([stars.x, stars.y], 1))
        bright = sky.flux[1][which] > 1500
        assert bright.sum() > 20
        found.append(np.median(stars.flux[bright] / sky.flux[1][which][bright]))
    assert found[1] == pytest.approx(found[0], rel=0.01)
