"""Interpolation: exact where it must be, true to a known sky at any rotation, tile by tile the same."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from astrotui.imaging.debayer import CRISP, STRIDE, debayer, red_phase
from astrotui.imaging.resample import cut_window, resample, warp_tile, weight_table
from astrotui.imaging.warp import places, plan_warp

METHODS = ("nearest", "bilinear", "bicubic", "lanczos3")
SHAPE = (150, 220)


def turned(degrees: float, dx: float = 3.37, dy: float = -2.61, scale: float = 1.0) -> np.ndarray:
    """Frame to reference: about the middle of the image, then a shift."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    middle = np.array([[1, 0, (SHAPE[1] - 1) / 2], [0, 1, (SHAPE[0] - 1) / 2], [0, 0, 1.0]])
    return middle @ np.array([[c, -s, dx], [s, c, dy], [0, 0, 1.0]]) @ np.linalg.inv(middle)


def sky(
    to_image: np.ndarray, shape: tuple[int, int] = SHAPE, sigma: float = 1.4, seed: int = 4
) -> np.ndarray:
    """Stars on a pedestal as they fall on an image."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(10, SHAPE[1] - 10, 40), rng.uniform(10, SHAPE[0] - 10, 40)
    flux = rng.uniform(500, 5000, 40)
    v, u = np.mgrid[: shape[0], : shape[1]]
    image = np.full(shape, 100.0)
    width = sigma * np.sqrt(abs(np.linalg.det(to_image[:2, :2])))
    for star in zip(x, y, flux, strict=True):
        px, py, w = to_image @ np.array([star[0], star[1], 1.0])
        image += star[2] * np.exp(-((u - px / w) ** 2 + (v - py / w) ** 2) / (2 * width**2))
    return image.astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_whole_shifts_copy_pixels(method: str) -> None:
    image = np.random.default_rng(0).normal(100, 10, SHAPE).astype(np.float32)
    shift = np.array([[1, 0, 7], [0, 1, -4], [0, 0, 1.0]])
    result = resample(image, shift, SHAPE, method=method)
    assert_allclose(result[: SHAPE[0] - 4, 7:], image[4:, : SHAPE[1] - 7], rtol=2e-6)
    assert np.isnan(result[:, :7]).all() and np.isnan(result[-4:]).all()
    assert_allclose(resample(image, np.eye(3), SHAPE, method=method), image, rtol=2e-6)


def test_mitchell_weighs_as_its_authors_say() -> None:
    u = np.array([2.75, 1.75, 0.75, 0.25, 1.25, 2.25])  # distances of the six taps from a position
    b, c = 5 / 8, 3 / 16
    inner = ((12 - 9 * b - 6 * c) * u**3 + (-18 + 12 * b + 6 * c) * u**2 + 6 - 2 * b) / 6
    outer = ((-b - 6 * c) * u**3 + (6 * b + 30 * c) * u**2 + (-12 * b - 48 * c) * u + 8 * b + 24 * c) / 6
    expected = np.where(u < 1, inner, np.where(u < 2, outer, 0))
    t = 0.25  # past the middle of the inner two
    powers = t ** (2 * np.arange(5))
    table = weight_table("mitchell").astype(np.float64)
    even, odd = table[:, :5] @ powers, table[:, 5:] @ powers * t
    assert_allclose(np.concatenate([(even - odd)[::-1], even + odd]), expected, atol=1e-6)
    assert_allclose(expected.sum(), 1)


def test_mitchell_keeps_light_and_slopes() -> None:
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    slope = (3.0 * u - 2.0 * v + 900).astype(np.float32)
    moved = resample(slope, turned(0.3), SHAPE, method="mitchell")[12:-12, 12:-12]
    exact = resample(slope, turned(0.3), SHAPE, method="bicubic")[12:-12, 12:-12]
    assert_allclose(moved, exact, rtol=2e-5)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_exact(quarters: int) -> None:
    image = np.random.default_rng(1).normal(100, 10, (40, 60)).astype(np.float32)
    expected = np.rot90(image, quarters)
    matrix = {
        1: [[0, 1, 0], [-1, 0, 59], [0, 0, 1]],
        2: [[-1, 0, 59], [0, -1, 39], [0, 0, 1]],
        3: [[0, -1, 39], [1, 0, 0], [0, 0, 1]],
    }[quarters]
    for method in METHODS:
        result = resample(image, np.array(matrix, float), expected.shape, method=method)
        assert_allclose(result, expected, rtol=2e-6)


@pytest.mark.parametrize("degrees", [0.0, 0.4, -3.0, 8.0, 20.0, 69.5, 90.3, 180.0, 183.0, -91.0])
def test_a_known_sky_comes_back_at_any_rotation(degrees: float) -> None:
    to_reference = turned(degrees)
    frame = sky(np.linalg.inv(to_reference))
    reference = sky(np.eye(3))
    inner = np.s_[12:-12, 12:-12]
    limits = {"bicubic": 0.012, "lanczos3": 0.006, "bilinear": 0.05}
    for method, limit in limits.items():
        result = resample(frame, to_reference, SHAPE, method=method)[inner]
        valid = np.isfinite(result)
        error = (result - reference[inner])[valid]
        x, y = plan_warp(to_reference, SHAPE[1], SHAPE[0]).positions(
            *np.meshgrid(*map(np.arange, SHAPE[::-1]))
        )
        edge = (x < 8) | (y < 8) | (x > SHAPE[1] - 9) | (y > SHAPE[0] - 9)
        far = ~edge[inner][valid]
        assert np.sqrt(np.mean(error[far] ** 2)) < limit * 500
        assert valid.mean() > 0.3


def test_two_passes_agree_with_the_general_path() -> None:
    image = sky(np.eye(3))
    for degrees in (0.2, -4.0, 7.5):
        matrix = turned(degrees)
        assert plan_warp(matrix, SHAPE[1], SHAPE[0]).two_pass
        bent = matrix.copy()
        bent[2, 0] = 1e-12  # a homography, if hardly
        assert not plan_warp(bent, SHAPE[1], SHAPE[0]).two_pass
        fast = resample(image, matrix, SHAPE)
        slow = resample(image, bent, SHAPE)
        both = np.isfinite(fast) & np.isfinite(slow)
        assert np.mean(np.isfinite(fast) == np.isfinite(slow)) > 0.999
        assert np.sqrt(np.mean((fast - slow)[both] ** 2)) < 2.0  # of stars up to 5000


def test_nearest_takes_the_nearest_pixel() -> None:
    image = np.random.default_rng(3).normal(0, 1, SHAPE).astype(np.float32)
    for degrees in (0.0, 5.0, 50.0):
        matrix = turned(degrees)
        result = resample(image, matrix, SHAPE, method="nearest")
        x, y = plan_warp(matrix, SHAPE[1], SHAPE[0]).positions(*np.meshgrid(*map(np.arange, SHAPE[::-1])))
        valid = np.isfinite(result)
        expected = image[
            np.clip(np.floor(y + 0.5), 0, SHAPE[0] - 1).astype(int),
            np.clip(np.floor(x + 0.5), 0, SHAPE[1] - 1).astype(int),
        ]
        assert np.mean(result[valid] == expected[valid]) > 0.9995


@pytest.mark.parametrize("degrees", [0.3, 30.0, 180.2])
def test_parts_of_a_result_are_the_same_pixels(degrees: float) -> None:
    image = np.random.default_rng(7).normal(100, 20, (3, *SHAPE)).astype(np.float32)
    matrix = turned(degrees)
    whole = resample(image, matrix, (200, 700), origin=(-100, -20))
    part = resample(image, matrix, (37, 129), origin=(28, 31))
    assert_array_equal(part, whole[:, 51:88, 128:257])


@pytest.mark.parametrize("degrees", [0.2, 69.5])
def test_what_is_not_covered_is_missing_and_nothing_else(degrees: float) -> None:
    matrix = turned(degrees)
    result = resample(np.ones(SHAPE, np.float32), matrix, SHAPE)
    x, y = plan_warp(matrix, SHAPE[1], SHAPE[0]).positions(*np.meshgrid(*map(np.arange, SHAPE[::-1])))
    clearly_in = (x > -0.4) & (y > -0.4) & (x < SHAPE[1] - 0.6) & (y < SHAPE[0] - 0.6)
    clearly_out = (x < -0.6) | (y < -0.6) | (x > SHAPE[1] - 0.4) | (y > SHAPE[0] - 0.4)
    assert_allclose(result[clearly_in], 1, rtol=1e-6)
    assert np.isnan(result[clearly_out]).all()


@pytest.mark.parametrize("degrees", [0.3, 40.0])
def test_a_missing_pixel_spoils_only_its_surroundings(degrees: float) -> None:
    image = np.ones(SHAPE, np.float32)
    image[70, 110] = np.nan
    matrix = turned(degrees)
    missing = np.isnan(resample(image, matrix, SHAPE))
    x, y = plan_warp(matrix, SHAPE[1], SHAPE[0]).positions(*np.meshgrid(*map(np.arange, SHAPE[::-1])))
    inside = (x >= 0) & (y >= 0) & (x <= SHAPE[1] - 1) & (y <= SHAPE[0] - 1)
    near = (np.abs(x - 110) < 4.5) & (np.abs(y - 70) < 4.5)
    assert (missing & near).sum() > 20
    assert not (missing & inside & ~near).any()


def test_ringing_is_cut_off_and_noise_is_not() -> None:
    rng = np.random.default_rng(5)
    image = rng.normal(100, 5, SHAPE).astype(np.float32)
    image[75, 110] += 40000  # narrower than any star
    matrix = turned(0.0, 0.4, 0.45)
    free = resample(image, matrix, SHAPE)
    clamped = resample(image, matrix, SHAPE, undershoot=15.0)
    assert np.nanmin(free) < -2000
    assert np.nanmin(clamped) > 100 - 4 * 5 - 15
    sky_only = np.s_[:50]
    assert np.nanmean(free[sky_only] != clamped[sky_only]) < 1e-3


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.25, 3.0])
def test_area_keeps_fluxes_where_scales_differ(scale: float) -> None:
    to_reference = turned(10.0, scale=scale)
    frame_shape = (int(SHAPE[0] / scale) + 40, int(SHAPE[1] / scale) + 40)
    dx, dy = (frame_shape[1] - SHAPE[1]) / 2, (frame_shape[0] - SHAPE[0]) / 2
    matrix = to_reference @ np.array([[1, 0, -dx], [0, 1, -dy], [0, 0, 1.0]])
    px, py, _ = np.linalg.inv(matrix) @ np.array([SHAPE[1] / 2 + 0.3, SHAPE[0] / 2 - 0.2, 1])
    v, u = np.mgrid[: frame_shape[0], : frame_shape[1]]
    width = 1.5 / min(scale, 1)
    star = 1000 * np.exp(-((u - px) ** 2 + (v - py) ** 2) / (2 * width**2)) / (2 * np.pi * width**2)
    warp = plan_warp(matrix, frame_shape[1], frame_shape[0])
    assert_allclose(warp.area, 1 / scale**2, rtol=1e-9)
    result = resample(
        star.astype(np.float32), matrix, (int(SHAPE[0] * 1.5), int(SHAPE[1] * 1.5)), origin=(-50, -40)
    )
    assert_allclose(np.nansum(result) * warp.area, 1000, rtol=0.01)


def test_homographies_are_followed() -> None:
    matrix = np.array([[1.02, 0.03, -4], [-0.02, 0.99, 3], [1e-4, -5e-5, 1]])
    frame = sky(np.linalg.inv(matrix))
    # a homography widens stars differently across the field: compare places, not profiles
    reference = sky(np.eye(3))
    result = resample(frame, matrix, SHAPE)
    inner = np.s_[20:-20, 20:-20]
    valid = np.isfinite(result[inner])
    error = (result - reference)[inner][valid]
    assert np.sqrt(np.mean(error**2)) < 20
    assert np.corrcoef(result[inner][valid], reference[inner][valid])[0, 1] > 0.999


def test_weights_sum_to_one() -> None:
    for method in METHODS:
        table = weight_table(method).astype(np.float64)
        t = np.linspace(-0.5, 0.5, 101)
        even = sum(table[:, i : i + 1] * t ** (2 * i) for i in range(5))
        assert_allclose(2 * even.sum(axis=0), 1, atol=5e-7)


def test_windows_are_bounded_at_any_angle() -> None:
    for degrees in np.arange(0, 360, 7.3):
        warp = plan_warp(turned(degrees), 4000, 3000)
        window = warp.window(1500, 1200, 512, 64)
        if window is not None:
            assert window.width * window.height < 600 * 600
            assert window.x0 % 2 == 0 and window.y0 % 2 == 0
            assert window.width % 2 == 0 and window.height % 2 == 0


def test_fine_pixels_are_taken_in_parts() -> None:
    warp = plan_warp(turned(33.0, scale=0.3), 4000, 3000)
    parts = places(warp, 300, 300, 512, 64, 656)
    assert len(parts) > 1
    assert all(max(window.width, window.height) <= 656 for _, window in parts)
    covered = np.zeros((64, 512), int)
    for place, _ in parts:
        covered[place.row : place.row + place.rows, place.column : place.column + place.columns] += 1
    assert covered.max() == 1


def test_what_cannot_be_a_transform_is_refused() -> None:
    for matrix in (np.zeros((3, 3)), np.diag([1.0, 0, 1]), np.full((3, 3), np.nan)):
        with pytest.raises(ValueError, match="transform"):
            plan_warp(matrix, 10, 10)


def test_a_mirrored_image_lies_where_the_transform_says() -> None:
    image = np.random.default_rng(5).normal(100, 10, (40, 60)).astype(np.float32)
    mirror = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])  # columns become rows
    assert_allclose(resample(image, mirror, (60, 40)), image.T, atol=1e-3)


@pytest.mark.parametrize("bend", [0.0, 2e-5])
@pytest.mark.parametrize("angle", [5.0, 14.0, 33.0, 45.0, 101.0, 187.0, 262.0])
@pytest.mark.parametrize(("left", "columns"), [(-10, 300), (90, 40)])
def test_a_turned_tile_of_a_mosaic_has_the_pixels_of_the_whole(
    angle: float, left: int, columns: int, bend: float
) -> None:
    """Only what a tile needs of its window is demosaiced, which lies askew in it."""
    rng = np.random.default_rng(int(angle))
    mosaic = rng.normal(1000, 30, SHAPE).astype(np.float32)
    levels = np.array([1000, 990, 1010, 90], np.float32)
    transform = turned(angle)
    transform[2, 0] = bend
    whole = resample(
        debayer(mosaic, "GRBG", "crisp", sky=levels[:3], allow=90.0),
        transform, (240, columns), method="mitchell", origin=(left, -20), undershoot=20.0,
    )  # fmt: skip
    warp = plan_warp(transform, SHAPE[1], SHAPE[0], "mitchell")
    assert not warp.two_pass
    one, zero, rows = np.ones(3, np.float32), np.zeros(3, np.float32), 80
    for Y in range(-20, 220, rows):
        tile = np.full((3, rows, 1, columns), np.nan, np.float32)
        for place, window in places(warp, left, Y, columns, rows, STRIDE):
            pixels = cut_window(mosaic[None], window)
            scratch = np.empty(1, np.float32)  # for two passes only
            phase = (*red_phase("GRBG"), CRISP)
            warp_tile(
                warp, window, pixels, phase, levels, "mitchell", 20.0, one, zero, place, tile, 0, scratch
            )
        assert_allclose(tile[:, :, 0], whole[:, Y + 20 : Y + 20 + rows], atol=1e-3)
    assert np.isfinite(whole).mean() > 0.15
