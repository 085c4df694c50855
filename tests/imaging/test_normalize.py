"""Levels against truth and astropy; factors and offsets against the formulas they implement."""

import numpy as np
import pytest
from astropy.stats import biweight_midvariance as astropy_biweight_midvariance
from hypothesis import given
from hypothesis import strategies as st

from astrotui.imaging.normalize import (
    NormalizationError,
    biweight_midvariance,
    frame_normalization,
    measure_level,
    resolve_normalization,
    star_ratio,
)
from astrotui.imaging.types import StarList


def sky(
    seed: int, shape: tuple[int, ...] = (300, 400), level: float = 500.0, noise: float = 12.0
) -> np.ndarray:
    return np.random.default_rng(seed).normal(level, noise, shape).astype(np.float32)


@pytest.mark.parametrize("method", ["fast", "ikss"])
def test_level_of_a_sky_with_stars_is_that_of_the_sky(method: str) -> None:
    image = sky(1)
    clean = measure_level(image, method=method)
    image[::17, ::13] += 5000  # 0.45 % of the pixels
    dirty = measure_level(image, method=method)
    assert dirty.location == pytest.approx([500], abs=0.3)
    assert dirty.scale == pytest.approx(clean.scale, rel=0.02)


def test_ikss_scale_of_a_normal_sample_is_its_sigma_and_the_fast_one_is_near_it() -> None:
    image = sky(2, (1000, 1000))
    assert measure_level(image, method="ikss").scale == pytest.approx([12.0], rel=0.01)
    assert measure_level(image).scale == pytest.approx([1.5 * 0.6745 * 12.0], rel=0.01)


def test_missing_pixels_and_pixels_outside_the_common_area_do_not_count() -> None:
    image = np.stack([sky(3), sky(4, level=800), sky(5, level=200, noise=3)])
    whole = measure_level(image)
    image[:, :100, :250] = np.nan
    image[1, 200:, :] = np.inf
    valid = np.ones(image.shape[1:], bool)
    valid[:, 350:] = False
    image[:, :, 350:] = 0
    part = measure_level(image, valid)
    assert part.location == pytest.approx(whole.location, abs=0.3)
    assert part.scale == pytest.approx(whole.scale, rel=0.03)


def test_a_plane_without_a_valid_pixel_has_no_level() -> None:
    level = measure_level(np.full((20, 30), np.nan, np.float32))
    assert np.isnan(level.location).all() and np.isnan(level.scale).all()


def test_sampling_a_large_image_keeps_its_level() -> None:
    image = sky(6, (900, 1000))
    few = measure_level(image, max_samples=50_000)
    assert few.location == pytest.approx([500], abs=0.3)
    assert few.scale == pytest.approx(measure_level(image).scale, rel=0.02)


def test_biweight_midvariance_agrees_with_astropy() -> None:
    values = np.random.default_rng(7).standard_t(3, 5000)
    center = float(np.median(values))
    expected = astropy_biweight_midvariance(values, c=9.0, M=center)
    assert biweight_midvariance(values, center) == pytest.approx(expected, rel=1e-12)
    assert biweight_midvariance(np.full(9, 3.0), 3.0) == 0


LEVELS = st.floats(1.0, 1e4)


@given(
    loc=LEVELS, ref_loc=LEVELS, scale=st.floats(0.1, 100), ref_scale=st.floats(0.1, 100), f=st.floats(0.05, 2)
)
def test_every_normalization_lands_on_the_reference(
    loc: float, ref_loc: float, scale: float, ref_scale: float, f: float
) -> None:
    def apply(kind: str, x: float) -> float:
        factor, offset = frame_normalization(
            kind, loc=[loc], scale=[scale], ref_loc=[ref_loc], ref_scale=[ref_scale], transparency=f
        )
        return float(factor[0] * x + offset[0])

    near = {"rel": 1e-9, "abs": 1e-6}
    for kind in ("add", "multiply", "addscale", "stars"):
        assert apply(kind, loc) == pytest.approx(ref_loc, **near)
    assert apply("none", loc) == loc
    assert apply("add", loc + 7) == pytest.approx(ref_loc + 7, **near)
    assert apply("multiply", 2 * loc) == pytest.approx(2 * ref_loc, **near)
    assert apply("addscale", loc + scale) == pytest.approx(ref_loc + ref_scale, **near)
    # a star of flux f here has flux 1 in the reference
    assert apply("stars", loc + f) == pytest.approx(ref_loc + 1, **near)


def test_planes_are_normalized_apart() -> None:
    factor, offset = frame_normalization(
        "addscale", loc=[100, 200, 300], scale=[10, 20, 0], ref_loc=[110, 190, 305], ref_scale=[20, 20, 5]
    )
    assert factor.tolist() == [2, 1, 1]  # a plane without dispersion keeps its scale
    assert offset.tolist() == [-90, -10, 5]


@pytest.mark.parametrize(
    ("kind", "loc", "transparency", "words"),
    [
        ("multiply", -0.3, 1.0, "multiply"),
        ("add", np.nan, 1.0, "sky level"),
        ("stars", 100, 0.0, "transparency"),
        ("stars", 100, None, "transparency"),
        ("stars", 100, np.nan, "transparency"),
        ("auto", 100, 1.0, "auto"),
    ],
)
def test_what_cannot_be_normalized_says_why(
    kind: str, loc: float, transparency: float | None, words: str
) -> None:
    with pytest.raises(NormalizationError, match=words):
        frame_normalization(
            kind, loc=[loc], scale=[1], ref_loc=[100], ref_scale=[1], transparency=transparency
        )


def test_auto_needs_eight_stars() -> None:
    assert resolve_normalization("auto", 8) == ("stars", "")
    kind, warning = resolve_normalization("auto", 7)
    assert kind == "addscale" and "7 stars" in warning
    assert "no star" in resolve_normalization("stars", 0)[1]
    assert "1 star matches" in resolve_normalization("stars", 1)[1]
    assert resolve_normalization("multiply", 0) == ("multiply", "")


def star_field(factor: float, seed: int, positions: np.ndarray, fluxes: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[0:260, 0:300]
    image = np.random.default_rng(seed).normal(0, 1.0, y.shape)
    for (px, py), flux in zip(positions, fluxes, strict=True):
        image += (
            factor * flux * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.7**2)) / (2 * np.pi * 1.7**2)
        )
    return image.astype(np.float32)


POSITIONS = np.array(
    [(50.3, 60.2), (150.7, 60.1), (250.2, 70.5), (60.4, 170.8), (160.1, 180.3), (170.0, 188.0), (5, 200)]
)
FLUXES = np.array([90_000, 80_000, 70_000, 60_000, 50_000, 40_000, 30_000.0])
STARS = StarList(POSITIONS[:, 0].astype("f4"), POSITIONS[:, 1].astype("f4"), FLUXES.astype("f4"))


def test_star_ratio_finds_the_transparency_of_a_clouded_frame() -> None:
    reference, clouded = star_field(1, 1, POSITIONS, FLUXES), star_field(0.62, 2, POSITIONS, FLUXES)
    measured = star_ratio(clouded, reference, STARS)
    assert measured.stars == 4  # the close pair and the one at the border do not count
    assert measured.factor == pytest.approx(0.62, rel=0.005)
    assert measured.scatter < 0.01


def test_star_ratio_of_equal_frames_is_one_only_on_aligned_positions() -> None:
    reference = star_field(1, 1, POSITIONS, FLUXES)
    shifted = star_field(1, 2, POSITIONS + np.array([31, 22]), FLUXES)
    aligned = np.roll(shifted, (-22, -31), (0, 1))
    assert star_ratio(aligned, reference, STARS).factor == pytest.approx(1, rel=0.005)
    # measured unshifted, the same frames seem far from equal
    assert not 0.8 < star_ratio(shifted, reference, STARS).factor < 1.25


def test_star_ratio_leaves_out_saturated_and_missing_stars() -> None:
    reference, frame = star_field(1, 1, POSITIONS, FLUXES), star_field(0.8, 2, POSITIONS, FLUXES)
    frame[60, 60] = np.nan  # in the aperture of the first star
    limit = float(reference[160:182, 50:72].max()) + 20  # over the fourth star, under the second and third
    measured = star_ratio(frame, reference, STARS, saturation_adu=limit)
    assert measured.stars == 1
    assert measured.factor == pytest.approx(0.8, rel=0.01)
    assert np.isnan(star_ratio(frame, reference, StarList.empty()).factor)
