"""Drops on a finer grid: areas and light that are kept, STScI's package as an oracle, coverage foretold."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from astrotui.imaging.clip_kernels import BIG
from astrotui.imaging.drizzle import (
    Coverage,
    Prediction,
    color_planes,
    coverage,
    describe,
    grid_matrix,
    is_aligned,
    output_size,
    placed_transform,
    predict,
)
from astrotui.imaging.drizzle_drop_kernels import drop_window, finish_tile
from astrotui.imaging.drizzle_judge_kernels import judge_window, reject_crowds, tolerances
from astrotui.imaging.drizzle_lens_kernels import places_through_lens
from astrotui.imaging.drizzle_marks import CROWDED_HIGH, DOUBTFUL_LOW, GOOD, HIGH, LOW, MISSING
from astrotui.imaging.mapping import Lens, Mapping

WIDTH, HEIGHT = 64, 50
NOWHERE = np.empty((0, 0, 2))
ANGLES = (0.0, 3.0, 45.0, 69.5, 90.0, 180.0)


def turned(degrees: float, dx: float = 0.3, dy: float = -0.2) -> np.ndarray:
    return placed_transform(dx, dy, degrees, 1.0, WIDTH, HEIGHT)


def drizzle(
    images: list[np.ndarray],
    transforms: list[np.ndarray],
    scale: float,
    pixfrac: float,
    *,
    weights: list[float] | None = None,
    aligned: bool | None = None,
    cfa: str | None = None,
    tile: tuple[int, int] | None = None,
    lens: Lens | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value (planes, H, W), summed areas (planes, H, W) and samples of frames, made in tiles of (rows, columns)."""
    height, width = images[0].shape
    columns, rows = output_size(width, height, scale)
    planes = 3 if cfa else 1
    value = np.empty((planes, rows, columns), np.float32)
    areas, found = np.empty_like(value), np.empty((planes, rows, columns), np.uint16)
    sky = np.zeros(planes, np.float32)
    step_y, step_x = tile or (rows, columns)
    for Y in range(0, rows, step_y):
        for X in range(0, columns, step_x):
            h, w = min(step_y, rows - Y), min(step_x, columns - X)
            sums, counts = np.zeros((2, planes, h, w, 2), np.float32), np.zeros((3, planes, h, w), np.uint16)
            for number, (image, transform) in enumerate(zip(images, transforms, strict=True)):
                matrix, at = grid_matrix(transform, scale), NOWHERE
                if lens is not None:
                    at, matrix = places(transform, lens, width, height), grid_matrix(np.eye(3), scale)
                flat = is_aligned(matrix, pixfrac, width, height) if aligned is None else aligned
                marks = np.where(np.isfinite(image), GOOD, MISSING).astype(np.int8)
                weight = np.float32(1 if weights is None else weights[number])
                drop_window(
                    image, marks, 0, 0, color_planes(cfa), matrix, at, pixfrac, flat, X, Y, weight, sky, *sums, *counts
                )  # fmt: skip
            part = np.empty((planes, h, w), np.float32)
            finish_tile(*sums, sky, np.float32(1), part, np.empty((h, w), np.float32), counts[0], counts[1])
            value[:, Y : Y + h, X : X + w] = part
            areas[:, Y : Y + h, X : X + w] = sums[0, ..., 1]
            found[:, Y : Y + h, X : X + w] = counts[2]
    return value, areas, found


def places(transform: np.ndarray, lens: Lens, width: int, height: int) -> np.ndarray:
    at = np.empty((height + 2, width + 2, 2))
    numbers = np.array([lens.x, lens.y, lens.radius, lens.k1, lens.k2, lens.limit])
    places_through_lens(0, 0, transform, numbers, at)
    return at


@pytest.mark.parametrize("degrees", ANGLES)
@pytest.mark.parametrize(("scale", "pixfrac"), [(1.0, 1.0), (2.0, 0.7), (1.5, 0.5), (3.0, 0.1)])
def test_a_drop_has_the_area_of_its_pixel(degrees: float, scale: float, pixfrac: float) -> None:
    image = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    image[25, 30] = 5
    value, areas, _ = drizzle([image], [turned(degrees)], scale, pixfrac)
    assert_allclose(areas.sum(), (scale * pixfrac) ** 2, rtol=1e-5)
    assert_allclose(np.nansum(value * areas), 5 * (scale * pixfrac) ** 2, rtol=1e-5)
    y, x = np.mgrid[: areas.shape[1], : areas.shape[2]]
    place = grid_matrix(turned(degrees), scale) @ (30, 25, 1)
    near = 0.15 if scale * pixfrac > 0.7 else 0.4  # cells count as their centers
    assert_allclose((areas[0] * (x + 0.5)).sum() / areas.sum(), place[0], rtol=0, atol=near)
    assert_allclose((areas[0] * (y + 0.5)).sum() / areas.sum(), place[1], rtol=0, atol=near)


@pytest.mark.parametrize("degrees", ANGLES)
def test_whole_pixels_leave_no_gap(degrees: float) -> None:
    image = np.full((HEIGHT, WIDTH), 7, np.float32)
    value, areas, _ = drizzle([image], [turned(degrees)], 2.0, 1.0, aligned=False)
    inner = np.s_[:, 40:60, 50:78]
    assert_allclose(areas[inner], 1, atol=1e-5)
    assert_allclose(value[inner], 7, rtol=1e-6)


def test_untilted_squares_are_the_same_where_nothing_is_tilted() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(100, 5, (HEIGHT, WIDTH)).astype(np.float32)
    for degrees in (0.0, 90.0, 180.0, 270.0):
        results = [drizzle([image], [turned(degrees)], 2.0, 0.7, aligned=flat) for flat in (True, False)]
        assert_allclose(results[0][0], results[1][0], rtol=1e-5)
        assert_allclose(results[0][1], results[1][1], atol=1e-5)


def test_only_frames_that_are_hardly_turned_fall_untilted() -> None:
    expected = {0.0: True, 0.2: True, 90.1: True, 180.3: True, 2.0: False, 45.0: False, 69.5: False}
    for degrees, aligned in expected.items():
        assert is_aligned(grid_matrix(turned(degrees), 2.0), 1.0, WIDTH, HEIGHT) is aligned, degrees
    slanted = np.array([[1, 0, 0], [0, 1, 0], [4e-4, 0, 1]])
    assert not is_aligned(grid_matrix(slanted, 2.0), 1.0, WIDTH, HEIGHT)


LENSES = (Lens.centered(WIDTH, HEIGHT, -0.03, 0.004), Lens.centered(WIDTH, HEIGHT, 0.05))


@pytest.mark.parametrize("lens", LENSES, ids=("barrel", "cushion"))
def test_pixels_lie_through_a_lens_where_the_lens_shows_them(lens: Lens) -> None:
    y, x = np.mgrid[-1 : HEIGHT + 1, -1 : WIDTH + 1].astype(float)
    for degrees in ANGLES:
        X, Y = Mapping(turned(degrees), lens).to_reference(x, y)
        assert_allclose(places(turned(degrees), lens, WIDTH, HEIGHT), np.stack([X, Y], axis=2), atol=1e-8)
    window = np.empty((7, 9, 2))
    numbers = np.array([lens.x, lens.y, lens.radius, lens.k1, lens.k2, lens.limit])
    places_through_lens(12, 20, turned(3.0), numbers, window)
    assert np.array_equal(window, places(turned(3.0), lens, WIDTH, HEIGHT)[12:19, 20:29])


def test_places_that_no_lens_shows_are_none() -> None:
    folding = Lens.centered(WIDTH, HEIGHT, -0.6)  # shows nothing beyond half of the way to its corners
    at = places(turned(0.0), folding, WIDTH, HEIGHT)
    shown = np.isfinite(at).all(axis=2)
    assert shown[HEIGHT // 2, WIDTH // 2] and not shown[0, 0]
    image = np.full((HEIGHT, WIDTH), 7, np.float32)
    value, areas, _ = drizzle([image], [turned(0.0)], 1.0, 1.0, lens=folding)
    assert areas[0, 0, 0] == 0 and value[0, HEIGHT // 2, WIDTH // 2] == pytest.approx(7)
    marks = np.empty(image.shape, np.int8)
    one, guide = np.ones(1, np.float32), np.full((1, HEIGHT, WIDTH), 7, np.float32)
    slope, five = np.zeros((2, *guide.shape), np.float32), np.float32(5)
    judge_window(
        image, 0, 0, color_planes(None), np.eye(3), at, guide, slope, 0, 0, five, five, one, one, one[0], one, one, 0 * one,
        marks,
    )  # fmt: skip
    assert np.array_equal(marks == MISSING, ~shown[1:-1, 1:-1]) and set(np.unique(marks)) == {GOOD, MISSING}


def test_a_lens_that_bends_nothing_changes_nothing() -> None:
    rng = np.random.default_rng(9)
    images = [rng.normal(500, 20, (HEIGHT, WIDTH)).astype(np.float32) for _ in range(3)]
    transforms = [turned(0.0, 0.3, 0.8), turned(31.0), turned(180.2)]
    bare = Lens.centered(WIDTH, HEIGHT, 0.0)
    with_lens = drizzle(images, transforms, 1.7, 0.8, lens=bare, aligned=False)
    without = drizzle(images, transforms, 1.7, 0.8, aligned=False)
    for one, other in zip(with_lens, without, strict=True):
        assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lens", LENSES, ids=("barrel", "cushion"))
@pytest.mark.parametrize("degrees", [3.0, 69.5])
def test_through_a_lens_no_pixel_overlaps_another_and_none_is_lost(lens: Lens, degrees: float) -> None:
    image = np.full((HEIGHT, WIDTH), 7, np.float32)
    value, areas, _ = drizzle([image], [turned(degrees)], 2.0, 1.0, lens=lens, aligned=False)
    inner = np.s_[:, 40:60, 50:78]
    assert_allclose(areas[inner], 1, atol=2e-3)
    assert_allclose(value[np.isfinite(value)], 7, rtol=1e-6)
    # Drops have the size of what their pixel becomes: a single one covers just that.
    image[:] = np.nan
    image[8, 50] = 5
    _, areas, _ = drizzle([image], [turned(degrees)], 3.0, 0.8, lens=lens, aligned=False)
    corners = np.array([(49.6, 7.6), (50.4, 7.6), (50.4, 8.4), (49.6, 8.4)])
    X, Y = (3 * v for v in Mapping(turned(degrees), lens).to_reference(corners[:, 0], corners[:, 1]))
    true = abs(sum(X[i - 1] * Y[i] - X[i] * Y[i - 1] for i in range(4))) / 2
    assert_allclose(areas.sum(), true, rtol=2e-3)


def test_stscis_package_gives_the_same() -> None:
    resample = pytest.importorskip("drizzle.resample", reason="STScI's drizzle is not installed")
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    for scale, pixfrac, angles in (
        (2.0, 0.7, (0.0,) * 4),
        (2.0, 0.7, (3.0, 45.0, 69.5, 180.0)),
        (1.5, 1.0, ANGLES[:4]),
    ):
        images = [rng.normal(1000, 30, (HEIGHT, WIDTH)).astype(np.float32) for _ in angles]
        transforms = [turned(degrees, *rng.uniform(-5, 5, 2)) for degrees in angles]
        weights = [1.0, 0.5, 0.8, 0.3]
        value, areas, _ = drizzle(images, transforms, scale, pixfrac, weights=weights)
        columns, rows = output_size(WIDTH, HEIGHT, scale)
        oracle = resample.Drizzle(kernel="square", fillval="NAN", out_shape=(rows, columns))
        for image, transform, weight in zip(images, transforms, weights, strict=True):
            m = grid_matrix(transform, scale)
            places = np.dstack([m[k, 0] * x + m[k, 1] * y + m[k, 2] - 0.5 for k in (0, 1)])
            oracle.add_image(
                image, exptime=1.0, pixmap=places, pixfrac=pixfrac,
                weight_map=np.full(image.shape, weight, np.float32), in_units="cps", iscale=1.0,
            )  # fmt: skip
        inner = np.s_[rows // 4 : -rows // 4, columns // 4 : -columns // 4]  # theirs differs at turned edges
        assert_allclose(value[0][inner], oracle.out_img[inner], rtol=2e-6)
        assert_allclose(areas[0][inner] / (scale * pixfrac) ** 2, oracle.out_wht[inner], atol=2e-6)


@pytest.mark.parametrize("degrees", [0.0, 3.0, 180.0])
def test_tiles_make_no_difference(degrees: float) -> None:
    rng = np.random.default_rng(3)
    images = [rng.normal(100, 5, (HEIGHT, WIDTH)).astype(np.float32) for _ in range(5)]
    images[2][10:14, 20:30] = np.nan
    transforms = [turned(degrees + 0.01 * i, *rng.uniform(-4, 4, 2)) for i in range(5)]
    whole = drizzle(images, transforms, 2.0, 0.8, cfa="GRBG")
    for tile in ((7, 200), (100, 13), (31, 37)):
        for one, other in zip(
            whole, drizzle(images, transforms, 2.0, 0.8, cfa="GRBG", tile=tile), strict=True
        ):
            assert np.array_equal(one, other, equal_nan=True)


def test_each_pixel_of_a_mosaic_falls_into_its_own_channel() -> None:
    mosaic = np.zeros((HEIGHT, WIDTH), np.float32)
    planes = color_planes("GBRG")
    mosaic[:] = 10 * (1 + np.tile(planes, (HEIGHT // 2, WIDTH // 2)))
    value, areas, found = drizzle([mosaic], [np.eye(3)], 1.0, 1.0, cfa="GBRG")
    for k in range(3):
        own = np.tile(planes == k, (HEIGHT // 2, WIDTH // 2))
        assert (value[k][own] == 10 * (k + 1)).all() and np.isnan(value[k][~own]).all()
        assert np.array_equal(areas[k] > 0, own) and np.array_equal(found[k] > 0, own)


def test_light_is_kept_however_the_grid_lies() -> None:
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    images, transforms = [], []
    for _ in range(30):
        matrix = turned(rng.uniform(-3, 3), *rng.uniform(-4, 4, 2))
        u, v, _ = np.linalg.inv(matrix) @ (31.3, 25.8, 1)
        images.append((1e4 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 0.9**2))).astype(np.float32))
        transforms.append(matrix)
    light = 1e4 * 2 * np.pi * 0.9**2
    for scale, pixfrac in ((1.0, 1.0), (2.0, 0.7), (3.0, 0.6)):
        value, _, _ = drizzle(images, transforms, scale, pixfrac)
        Y, X = np.mgrid[: value.shape[1], : value.shape[2]]
        near = np.hypot(X - scale * 31.3, Y - scale * 25.8) < 9 * scale
        assert_allclose(value[0][near].sum() / scale**2, light, rtol=0.005)


def test_what_deviates_from_the_first_stack_is_marked_and_its_flanks_with_it() -> None:
    rng = np.random.default_rng(5)
    guide = np.full((1, 60, 70), 500, np.float32)
    guide[0, 30:33, 40:43] += 4000  # a star, steep: nothing is judged harshly there
    counts = np.zeros((3, *guide.shape), np.uint16)
    counts[0], counts[2, 0, 50, 50] = 9, 1
    slope = np.empty((2, *guide.shape), np.float32)
    tolerances(guide, *counts, 3, slope)
    assert_allclose(slope[:, 0, 31, 39], 1.2 * 4000)
    assert_allclose(slope[:, 0, 30, 40], 1.2 * 4000)
    assert not slope[:, 0, 10, 10].any()
    counts[1, 0, 30, 38] = 1
    tolerances(guide, *counts, 3, slope)
    assert_allclose(slope[:, 0, 31, 39], (0.6 * 4000, 1.2 * 4000))
    frame = rng.normal(500, 10, (50, 60)).astype(np.float32)
    frame[25:28, 35:38] += 3000  # the star, somewhat fainter
    frame[10, 5:50] += 200
    frame[11, 5:50] += 35
    frame[40, 20], frame[44, 30], frame[3, 3] = 200, np.nan, 5e8
    marks = np.empty(frame.shape, np.int8)
    level = frame.copy()

    def judge(blur: float, guide: np.ndarray, slope: np.ndarray) -> np.ndarray:
        level[:] = frame
        one = np.ones(1, np.float32)
        judge_window(
            level, 0, 0, color_planes(None), np.array([[1, 0, 5], [0, 1, 5], [0, 0, 1.0]]), NOWHERE, guide, slope, 0, 0,
            np.float32(5), np.float32(5), 100 * one, 0 * one, np.float32(blur), 500 * one, one, 0 * one, marks,
        )  # fmt: skip
        return marks.copy()

    found = judge(0.1, guide, slope)
    assert (found[10, 6:49] == HIGH).all() and found[40, 20] == LOW and found[44, 30] == MISSING
    assert (found[11, 6:49] != HIGH).mean() > 0.8  # 3.5 sigma: doubtful, and taken for the trail beside it
    assert (found[25:28, 35:38] != HIGH).all()
    clean = np.ones_like(found, bool)
    clean[8:13] = clean[23:30, 33:40] = clean[40, 20] = clean[3, 3] = False
    assert not np.isin(found[clean], (LOW, HIGH)).any()
    few = np.full_like(slope, BIG)
    assert not np.isin(judge(0.1, guide, few), (LOW, HIGH)).any()
    assert not np.isin(judge(0.1, guide[:, :0], slope[:, :, :0]), (LOW, HIGH)).any()
    # what was marked does not fall, is counted, and takes the doubtful beside it along
    judge(0.1, guide, slope)
    sums, counts = np.zeros((2, 1, 50, 60, 2), np.float32), np.zeros((3, 1, 50, 60), np.uint16)
    drop_window(
        level, marks, 0, 0, color_planes(None), grid_matrix(np.eye(3), 1.0), NOWHERE, 1.0, True, 0, 0, np.float32(1),
        np.zeros(1, np.float32), *sums, *counts,
    )  # fmt: skip
    low, high, all_of_them = counts[:, 0]
    assert low[40, 20] == 1 and low[38:43, 18:23].sum() == low.sum() <= 3
    assert (high[10:12, 6:49] == 1).mean() > 0.95 and high[30:].sum() == 0
    assert (sums[0, 0, 10, 6:49, 1] == 0).all() and (all_of_them == 1).sum() == 50 * 60 - 1


def test_a_crowd_of_rejected_samples_takes_along_what_it_surrounds() -> None:
    marks = np.zeros((40, 60), np.int8)
    marks[20:23, 5:25], marks[20:23, 30:50] = HIGH, HIGH  # a trail, with a star at 25 to 30
    marks[5, 5:11], marks[21, 27], marks[35, 40], marks[21, 26] = LOW, MISSING, HIGH, DOUBTFUL_LOW
    before = marks.copy()
    counts = np.empty(marks.shape, np.int32)
    for side in (LOW, HIGH):
        reject_crowds(marks, side, counts)
    around = [
        [(before[max(j - 5, 0) : j + 6, max(i - 5, 0) : i + 6] == HIGH).sum() for i in range(60)]
        for j in range(40)
    ]
    taken = (np.array(around) >= 10) & np.isin(before, (GOOD, DOUBTFUL_LOW))
    assert np.array_equal(marks, np.where(taken, CROWDED_HIGH, before))
    assert (marks[21, 25:30] == (CROWDED_HIGH, CROWDED_HIGH, MISSING, CROWDED_HIGH, CROWDED_HIGH)).all()
    assert (marks[5] == before[5]).all() and marks[34, 40] == GOOD
    sums, found = np.zeros((2, 1, 40, 60, 2), np.float32), np.zeros((3, 1, 40, 60), np.uint16)
    drop_window(
        np.ones(marks.shape, np.float32), marks, 0, 0, color_planes(None), grid_matrix(np.eye(3), 1.0), NOWHERE, 1.0,
        True, 0, 0, np.float32(1), np.zeros(1, np.float32), *sums, *found,
    )  # fmt: skip
    assert np.array_equal(found[1, 0] == 1, np.isin(marks, (HIGH, CROWDED_HIGH)))


def test_where_all_is_rejected_nothing_is() -> None:
    image, marks = np.full((8, 9), 50, np.float32), np.full((8, 9), HIGH, np.int8)
    sums, counts = np.zeros((2, 1, 8, 9, 2), np.float32), np.zeros((3, 1, 8, 9), np.uint16)
    sky = np.full(1, 10, np.float32)
    place = (0, 0, color_planes(None), grid_matrix(np.eye(3), 1.0), NOWHERE, 1.0, True, 0, 0)
    drop_window(image, marks, *place, np.float32(0.5), sky, *sums, *counts)
    half = np.where(np.arange(9) < 4, GOOD, MISSING).astype(np.int8) * np.ones((8, 1), np.int8)
    drop_window(image + 5, half, *place, np.float32(1), sky, *sums, *counts)
    value, weight = np.empty((1, 8, 9), np.float32), np.empty((8, 9), np.float32)
    finish_tile(*sums, sky, np.float32(1), value, weight, counts[0], counts[1])
    assert (value[0, :, :4] == 55).all() and (value[0, :, 4:] == 50).all()
    assert (weight[:, :4] == 1).all() and (weight[:, 4:] == 0.5).all()
    assert (counts[1, 0, :, :4] == 1).all() and not counts[1, 0, :, 4:].any() and not counts[0].any()


# --- coverage


def test_coverage_is_foretold_as_it_comes_out() -> None:
    rng = np.random.default_rng(6)
    size = (260, 200)  # so that edges, which fewer frames cover, are few
    for degrees, cfa, scale, pixfrac in (
        (0.0, "RGGB", 2.0, 0.5),
        (0.3, "GBRG", 2.0, 0.8),
        (0.5, None, 3.0, 0.3),
    ):
        transforms = [
            placed_transform(*rng.uniform(-3, 3, 2), rng.uniform(-1, 1) * degrees, 1.0, *size)
            for _ in range(12)
        ]
        image = np.ones(size[::-1], np.float32)
        _, areas, _ = drizzle([image] * 12, transforms, scale, pixfrac, cfa=cfa)
        edge = int(5 * scale)
        inner = areas[:, edge:-edge, edge:-edge]  # where all frames are
        for plane, told in zip(inner, coverage(transforms, size, cfa, scale, pixfrac, 40000), strict=True):
            assert_allclose(told.variation, plane.std() / plane.mean(), rtol=0.06)
            assert_allclose(told.holes, (plane == 0).mean(), atol=0.005)


def test_many_draws_give_the_numbers_that_are_known() -> None:
    rng = np.random.default_rng(7)

    def red(frames: int) -> float:
        found = []
        for _ in range(40):
            moves = [placed_transform(*rng.uniform(-20, 20, 2), 0, 1, 4000, 3000) for _ in range(frames)]
            found.append(coverage(moves, (4000, 3000), "RGGB", 2.0, 0.5, 512)[0].variation)
        return float(np.mean(found))

    # a drop's share is a triangle of height 1/2 and base 1 in every 2 pixels, both ways: 6.11 / frames is its variance
    assert_allclose(red(20), np.sqrt(6.11 / 20), atol=0.05)
    assert_allclose(red(40), np.sqrt(6.11 / 40), atol=0.04)


def test_a_bad_coverage_names_what_passes() -> None:
    rng = np.random.default_rng(8)
    moves = [placed_transform(*rng.uniform(-20, 20, 2), 0, 1, 400, 300) for _ in range(20)]
    found = predict(moves, (400, 300), "RGGB", 2.0, 0.5)
    assert not found.good and found.scale_that_passes is not None
    assert predict(moves, (400, 300), "RGGB", found.scale_that_passes, found.pixfrac_that_passes or 0.5).good
    assert not predict(moves, (400, 300), "RGGB", 2.0, 1.0).good or found.pixfrac_that_passes
    text = describe(found)
    assert "in red" in text and f"--drizzle {found.scale_that_passes:g}" in text and "\n" not in text
    moves += [placed_transform(*rng.uniform(-20, 20, 2), 0, 1, 400, 300) for _ in range(15)]
    found = predict(moves, (400, 300), "RGGB", 2.0, 0.5)
    assert not found.good and found.pixfrac_that_passes is not None
    assert predict(moves, (400, 300), "RGGB", 2.0, found.pixfrac_that_passes).good
    assert f"--pixfrac {found.pixfrac_that_passes:g}" in describe(found)
    assert "would pass" not in describe(predict(moves, (400, 300), None, 1.0, 1.0))
    still = predict([np.eye(3)] * 30, (400, 300), "RGGB", 2.0, 1.0)
    assert isinstance(still, Prediction) and still.channels[0].holes > 0.3
    assert "more frames are needed" in describe(still)


def test_what_passes_alone_is_not_told_together() -> None:
    bad = (Coverage("R", 0.3, 0.9),)
    assert "--pixfrac 1 or --drizzle 1 would pass" in describe(Prediction(2.0, 0.7, 24, bad, 1.0, 1.0))
    assert "--drizzle 1 --pixfrac 1 would pass" in describe(Prediction(2.0, 0.7, 24, bad, 1.0, 1.0, True))


def test_turned_fields_and_frames_far_off_do_not_count_as_uneven() -> None:
    rng = np.random.default_rng(9)
    moves = [placed_transform(*rng.uniform(-5, 5, 2), 3.0 * i, 1, 400, 300) for i in range(30)]
    assert predict(moves, (400, 300), None, 2.0, 0.7).good
    moves += [placed_transform(900, 0, 0, 1, 400, 300)] * 10
    assert predict(moves, (400, 300), None, 2.0, 0.7).good
