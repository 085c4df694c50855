"""Calibration against ccdproc and against planted defects, glow and dark currents."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from astrotui.imaging.calibrate import Defects, calibrate, defect_map, fit_dark_scale, flat_inverse

SHAPE = (96, 130)


def sensor(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A raw light, its master dark and a vignetted flat."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    flat = (1 - 0.3 * (((x - 65) / 65) ** 2 + ((y - 48) / 48) ** 2) / 2).astype(np.float32) * 20000
    dark = rng.normal(500, 2, SHAPE).astype(np.float32)
    light = rng.poisson(40 * flat / flat.mean()) + rng.normal(500, 3, SHAPE)
    return np.clip(np.rint(light), 0, 65535).astype(np.uint16), dark, flat


def test_calibration_is_ccdprocs() -> None:
    import ccdproc
    from astropy.nddata import CCDData

    raw, dark, flat = sensor()
    inverse = flat_inverse(flat, None)
    light = CCDData(raw.astype(np.float64), unit="adu", meta={"exposure": 10.0})
    master = CCDData(dark.astype(np.float64), unit="adu", meta={"exposure": 10.0})
    subtracted = ccdproc.subtract_dark(
        light, master, exposure_time="exposure", exposure_unit=__import__("astropy.units").units.s
    )
    oracle = ccdproc.flat_correct(subtracted, CCDData(flat.astype(np.float64), unit="adu"))
    assert_allclose(calibrate(raw, dark, inverse), oracle.data, rtol=1e-5, atol=1e-3)


def test_nothing_is_clipped_at_zero() -> None:
    raw = np.random.default_rng(0).integers(480, 521, SHAPE).astype(np.uint16)
    result = calibrate(raw, np.full(SHAPE, 500, np.float32))
    assert (result < 0).mean() > 0.4
    assert abs(result.mean()) < 0.5


def test_nothing_to_apply_leaves_the_frame() -> None:
    raw, _, _ = sensor()
    assert_array_equal(calibrate(raw), raw.astype(np.float32))
    color = np.stack([raw, raw + 1, raw + 2])
    assert_array_equal(calibrate(color), color.astype(np.float32))


def test_infinite_pixels_become_missing() -> None:
    raw = np.ones(SHAPE, np.float32)
    raw[3, 4], raw[5, 6], raw[7, 8] = np.inf, -np.inf, np.nan
    result = calibrate(raw)
    assert np.argwhere(np.isnan(result)).tolist() == [[3, 4], [5, 6], [7, 8]]


@pytest.mark.parametrize("cfa", [None, "RGGB", "GBRG"])
def test_a_flat_leaves_no_color_and_no_vignetting(cfa: str | None) -> None:
    _, _, flat = sensor()
    tinted = flat.copy()
    if cfa:
        for k, letter in enumerate(cfa):
            tinted[k // 2 :: 2, k % 2 :: 2] *= {"R": 0.5, "G": 1.0, "B": 0.8}[letter]
    grey = tinted * 0.01
    result = calibrate(grey, None, flat_inverse(tinted, cfa))
    for y in (0, 1):
        for x in (0, 1):
            part = result[y::2, x::2]
            assert np.ptp(part) < 1e-3 * part.mean()


def test_dead_pixels_of_a_flat_do_not_explode() -> None:
    _, _, flat = sensor()
    flat[10, 10], flat[20, 20], flat[30, 30] = 0, np.nan, -50
    inverse = flat_inverse(flat, "RGGB")
    assert np.isfinite(inverse).all() and inverse.max() <= 1 / 0.05 + 1e-3
    with pytest.raises(ValueError, match="no light"):
        flat_inverse(np.zeros(SHAPE, np.float32), None)


@pytest.mark.parametrize("cfa", [None, "RGGB"])
def test_planted_defects_are_found(cfa: str | None) -> None:
    rng = np.random.default_rng(8)
    _, dark, flat = sensor()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    dark += (60 * np.exp(-((x / 150) ** 2) - ((y / 150) ** 2))).astype(np.float32)  # amplifier glow
    places = rng.choice(SHAPE[0] * SHAPE[1], 60, replace=False)
    hot, dead = np.unravel_index(places[:40], SHAPE), np.unravel_index(places[40:], SHAPE)
    dark[hot] += rng.uniform(100, 5000, 40)
    flat[dead] *= 0.3
    mask = defect_map(dark, flat, cfa)
    assert mask[hot].all() and mask[dead].all()
    assert mask.sum() < 60 + 0.002 * mask.size


def test_at_most_one_percent_worst_first() -> None:
    rng = np.random.default_rng(9)
    dark = rng.normal(100, 1, (200, 200)).astype(np.float32)
    bad = rng.random(dark.shape) < 0.05
    dark[bad] += rng.uniform(50, 1000, bad.sum()).astype(np.float32)
    mask = defect_map(dark, None, None)
    assert mask.sum() <= 400
    assert dark[mask].min() >= np.sort(dark[bad])[-401]
    with pytest.raises(ValueError, match="master dark or flat"):
        defect_map(None, None, None)


def test_defects_are_the_same_in_any_number_of_threads_and_at_every_edge() -> None:
    rng = np.random.default_rng(10)
    shape = (203, 311)  # no whole number of blocks
    y, x = np.mgrid[: shape[0], : shape[1]]
    dark = (rng.normal(100, 1, shape) + 0.3 * x + 0.2 * y).astype(np.float32)
    flat = rng.normal(1, 0.005, shape).astype(np.float32)
    planted = [(0, 0), (0, 310), (202, 0), (202, 310), (101, 155), (64, 64), (200, 309)]
    for place in planted[:5]:
        dark[place] += 500
    for place in planted[5:]:
        flat[place] *= 0.2
    missing = dark.copy()
    missing[50, 60], missing[150:152, 10:200] = np.nan, np.nan
    one, four = (defect_map(dark, flat, "RGGB", workers=n) for n in (1, 4))
    assert_array_equal(one, four)
    assert {tuple(p) for p in np.argwhere(one).tolist()} == set(planted)
    mask = defect_map(missing, None, "RGGB", workers=2)
    assert mask[50, 60] and mask[150:152, 10:200].all() and mask[101, 155]
    assert mask.sum() == 381 + 5


@pytest.mark.parametrize("cfa", [None, "RGGB"])
def test_defects_are_filled_from_their_own_color(cfa: str | None) -> None:
    planes = {"R": 100.0, "G": 1000.0, "B": 10000.0}
    image = np.full(SHAPE, 100, np.float32)
    if cfa:
        for k, letter in enumerate(cfa):
            image[k // 2 :: 2, k % 2 :: 2] = planes[letter]
    clean = image.copy()
    mask = np.zeros(SHAPE, bool)
    for y, x in ((0, 0), (1, 1), (40, 41), (41, 41), (42, 41), (95, 129), (50, 60), (50, 62)):
        mask[y, x] = True
        image[y, x] = 65535
    assert_array_equal(calibrate(image, defects=mask, cfa=cfa), clean)


def test_a_defect_without_sound_neighbors_is_missing() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[40:45, 50:55] = True
    result = calibrate(np.ones(SHAPE, np.float32), defects=mask)
    assert np.isnan(result[41:44, 51:54]).all()
    assert_array_equal(result[40, 50:55], 1)


def test_defects_know_their_rows() -> None:
    mask = np.random.default_rng(1).random(SHAPE) < 0.02
    defects = Defects.of(mask)
    assert len(defects) == mask.sum()
    again = np.zeros(SHAPE, bool)
    for y in range(SHAPE[0]):
        again[y, defects.columns[defects.starts[y] : defects.starts[y + 1]]] = True
    assert_array_equal(again, mask)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.7])
def test_a_dark_is_scaled_to_the_light(factor: float) -> None:
    rng = np.random.default_rng(3)
    shape = (300, 300)
    warm = np.where(rng.random(shape) < 0.02, rng.uniform(40, 300, shape), 0)
    dark = (warm + rng.normal(0, 1.5, shape)).astype(np.float32)
    light = (factor * warm + rng.normal(200, 8, shape)).astype(np.float32)
    found = fit_dark_scale(light, dark, noise_adu=8.0)
    assert found.factor is not None
    assert_allclose(found.factor, factor, rtol=0.02)


def test_the_colors_of_the_sky_do_not_mislead_the_scale() -> None:
    rng = np.random.default_rng(5)
    shape = (400, 400)
    warm = np.where(rng.random(shape) < 0.02, rng.uniform(40, 120, shape), 0)
    dark = (warm + rng.normal(0, 1, shape)).astype(np.float32)
    sky = np.empty(shape)
    sky[::2, ::2], sky[::2, 1::2], sky[1::2, ::2], sky[1::2, 1::2] = (
        100,
        400,
        400,
        900,
    )  # no mean of them is right
    light = (0.5 * warm + sky + rng.normal(0, 5, shape)).astype(np.float32)
    found = fit_dark_scale(light, dark, noise_adu=5.0, cfa="RGGB")
    assert found.factor is not None
    assert_allclose(found.factor, 0.5, rtol=0.02)


def test_a_dark_is_not_scaled_without_reason() -> None:
    rng = np.random.default_rng(4)
    plain = rng.normal(0, 1, (200, 200)).astype(np.float32)
    assert fit_dark_scale(plain, plain, noise_adu=1.0).factor is None
    warm = np.where(rng.random((200, 200)) < 0.03, 80, 0).astype(np.float32)
    glowing = plain + warm
    glowing[:60] += 500
    glow = fit_dark_scale(plain + warm, glowing, noise_adu=1.0)
    assert glow.refused and "glow" in glow.reason
    assert "outside" in fit_dark_scale(plain + 9 * warm, plain + warm, noise_adu=1.0).reason


def test_masters_of_another_size_are_refused() -> None:
    raw, dark, _ = sensor()
    with pytest.raises(ValueError, match="dark"):
        calibrate(raw, dark[:-1])
