"""Apertures and the ratio of light between frames."""

import numpy as np
import pytest

from astrotui.imaging.photometry import flux_ratio, measure_apertures
from astrotui.imaging.quality import FrameMeasurement, measure_frame
from astrotui.imaging.register import match_stars, relative_transparency
from sample_sessions.sky import Camera, expose, random_sky, similarity

WIDTH, HEIGHT = 800, 500


def test_an_aperture_holds_the_light_that_a_gaussian_has_there() -> None:
    y, x = np.mgrid[:120, :120]
    places = np.array([[40.2, 50.7], [80.5, 61.0]])
    fwhm, sky = 4.0, 100.0
    sigma2 = fwhm**2 / (8 * np.log(2))
    plane = np.full((120, 120), sky)
    for cx, cy in places:
        plane += 5000 / (2 * np.pi * sigma2) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma2))
    light = measure_apertures(plane.astype(np.float32), places[:, 0], places[:, 1], fwhm)
    inside = 1 - np.exp(-(light.radius**2) / (2 * sigma2))
    assert light.radius == pytest.approx(1.5 * fwhm)
    np.testing.assert_allclose(light.flux, 5000 * inside, rtol=0.003)
    greens = measure_apertures(plane.astype(np.uint16), places[:, 0], places[:, 1], fwhm, parity=1)
    np.testing.assert_allclose(greens.flux, 5000 * inside, rtol=0.03)


def test_an_aperture_that_leaves_the_frame_is_nan() -> None:
    light = measure_apertures(
        np.zeros((60, 60), np.float32), np.array([2.0, 30.0]), np.array([30.0, 30.0]), 4.0
    )
    assert np.isnan(light.flux[0])
    assert light.flux[1] == 0


def test_flux_ratio_is_not_moved_by_variable_stars() -> None:
    rng = np.random.default_rng(1)
    reference = rng.uniform(1000, 50000, 60)
    error = np.full(60, 0.02)
    flux = 0.7 * reference * np.exp(rng.normal(0, 0.02, 60))
    flux[:12] *= rng.uniform(1.5, 3, 12)
    assert flux_ratio(flux, reference, error) == pytest.approx(0.7, rel=0.01)


def _transparency(
    seed: int,
    cfa: str | None,
    true: float,
    fwhm: float,
    *,
    beta: float | None = None,
    reference_beta: float | None = None,
    reference_fwhm: float = 2.8,
) -> float | None:
    sky = random_sky(seed, WIDTH, HEIGHT, 150, faint=300, separation=14)
    camera = Camera(WIDTH, HEIGHT, cfa=cfa)

    def measure(noise: int, **light: object) -> FrameMeasurement:
        frame = expose(sky, camera, exposure_s=10, rng=np.random.default_rng(noise), **light)  # type: ignore[arg-type]
        return measure_frame(frame, cfa_phase=cfa, full_scale_adu=65535)

    reference = measure(seed, beta=reference_beta or beta, fwhm_px=reference_fwhm)
    center = (WIDTH / 2, HEIGHT / 2)
    moved = similarity(7.3, -4.6, 0.3, center=center)
    frame = measure(seed + 100, beta=beta, transparency=true, fwhm_px=fwhm, to_frame=moved, sky_e_s=4.0)
    found = match_stars(frame.star_list, reference.star_list, shape=(HEIGHT, WIDTH))
    return relative_transparency(
        frame.star_list,
        reference.star_list,
        found,
        noise_adu=frame.noise_adu,
        fwhm_px=frame.fwhm_px,
        reference_noise_adu=reference.noise_adu,
        reference_fwhm_px=reference.fwhm_px,
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("cfa", "true", "fwhm"), [("RGGB", 0.8, 2.8), ("GBRG", 0.5, 3.6), ("RGGB", 0.3, 2.4), (None, 0.7, 4.2)]
)
def test_transparency_is_right_whatever_the_seeing(
    seed: int, cfa: str | None, true: float, fwhm: float
) -> None:
    # Where seven tenths of the light are lost, the faint rest tells it a little worse.
    assert _transparency(seed, cfa, true, fwhm) == pytest.approx(true, rel=0.01 if true > 0.4 else 0.012)


def test_transparency_of_stars_with_wings() -> None:
    assert _transparency(4, "RGGB", 0.6, 3.8, beta=3.0) == pytest.approx(0.6, rel=0.015)


@pytest.mark.parametrize("cfa", ["RGGB", None])
@pytest.mark.parametrize(("fwhm", "beta"), [(3.0, 3.0), (4.2, 4.0), (1.9, 2.3)])
def test_softer_frames_have_no_more_light_where_wings_stay_while_seeing_changes(
    cfa: str | None, fwhm: float, beta: float
) -> None:
    # Within 1.5 FWHM lies 8 % more of the soft frame's light: its wings widen less than its core.
    found = _transparency(6, cfa, 0.8, fwhm, beta=beta, reference_beta=2.5, reference_fwhm=2.2)
    assert found == pytest.approx(0.8, rel=0.021)


def test_too_few_stars_give_no_ratio() -> None:
    sky = random_sky(5, WIDTH, HEIGHT, 60, faint=400, separation=20)
    frame = expose(sky, Camera(WIDTH, HEIGHT), exposure_s=10, rng=np.random.default_rng(5))
    measured = measure_frame(frame, cfa_phase=None, full_scale_adu=65535)
    same = match_stars(measured.star_list, measured.star_list, shape=(HEIGHT, WIDTH))
    assert relative_transparency(measured.star_list, measured.star_list, same) == pytest.approx(1.0)
    assert relative_transparency(measured.star_list, measured.star_list, same, least=500) is None
    assert (
        relative_transparency(
            measured.star_list, measured.star_list, same, reference_noise_adu=1e6, reference_fwhm_px=2.8
        )
        is None
    )
