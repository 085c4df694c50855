"""Stacks of simulated sets against what is true of them: places, widths, light, outliers, trails."""

from pathlib import Path

import numpy as np
import pytest
from engine_sets import E_PER_ADU, EXPOSURE_S, HEIGHT, WIDTH, SimulatedSet, Spec, make_set, read_result

from astrotui.stacking.engine import run_plan
from astrotui.stacking.result import StackResult
from sample_sessions import sky as sim

CASES = {
    "color, little rotation": Spec(seed=1),
    "color, a night turned by 69.5 degrees": Spec(seed=2, cfa="GBRG", degrees=(0.0, 69.5)),
    "color, after a meridian flip": Spec(seed=3, cfa="GRBG", degrees=(0.0, 180.3)),
    "mono, little rotation": Spec(seed=3, cfa=None),
    "mono, a night turned by 69.5 degrees": Spec(seed=1, cfa=None, degrees=(0.0, 69.5)),
    "mono, after a meridian flip": Spec(seed=2, cfa=None, degrees=(0.0, 180.0)),
}


@pytest.fixture(scope="module", params=CASES)
def stacked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SimulatedSet, StackResult, np.ndarray, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("truth")
    made = make_set(folder, CASES[request.param])
    result = run_plan(made.plan(folder / "stack.fits"), masters=folder / "masters", tag="test", workers=1)
    return made, result, *read_result(result.output)


def stars_inside(made: SimulatedSet, margin: float) -> np.ndarray:
    """Indices of lone stars that every frame has, brightest first."""
    x, y = made.sky.x, made.sky.y
    near = np.hypot(x[:, None] - x, y[:, None] - y) + 1e9 * np.eye(len(x))
    good = near.min(axis=1) > 15
    for matrix in (np.eye(3), *made.to_frame):
        u, v = sim.apply(matrix, x, y)
        good &= (u > margin) & (v > margin) & (u < WIDTH - 1 - margin) & (v < HEIGHT - 1 - margin)
    return np.flatnonzero(good)


def covered_by_all(made: SimulatedSet, margin: float = 6) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = np.ones((HEIGHT, WIDTH), bool)
    for matrix in (np.eye(3), *made.to_frame):
        u, v = sim.apply(matrix, x, y)
        inside &= (u > margin) & (v > margin) & (u < WIDTH - 1 - margin) & (v < HEIGHT - 1 - margin)
    return inside


def away_from_stars(made: SimulatedSet) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    free = np.ones((HEIGHT, WIDTH), bool)
    for sx, sy, flux in zip(made.sky.x, made.sky.y, made.sky.flux[1], strict=True):
        free &= np.hypot(x - sx, y - sy) > 6 + 2.5 * np.log10(max(flux * EXPOSURE_S, 10))
    return free


def test_every_frame_lies_where_it_is(stacked) -> None:
    made, result, _, _ = stacked
    assert result.frames_used == made.spec.frames
    u, v = (a.ravel() for a in np.meshgrid(np.linspace(0, WIDTH, 9), np.linspace(0, HEIGHT, 9)))
    errors = []
    for outcome, to_frame in zip(result.frames, made.to_frame, strict=True):
        transform = np.array(outcome.transform).reshape(3, 3)
        x, y = sim.apply(transform @ to_frame, u, v)
        errors.append(np.sqrt(np.mean((x - u) ** 2 + (y - v) ** 2)))
    assert np.median(errors[1:]) < 0.03  # some 40 stars; the benchmark's 400 give under 0.01
    assert max(errors) < 0.1


def test_stars_are_as_narrow_as_they_were_drawn(stacked) -> None:
    made, _, data, _ = stacked
    green = data[1 if len(data) == 3 else 0]
    drawn = sim.recorded_fwhm(2.8)
    widths = []
    for i in stars_inside(made, 12)[:15]:
        x, y = round(made.sky.x[i]), round(made.sky.y[i])
        box = green[y - 6 : y + 7, x - 6 : x + 7].astype(float)
        box = np.clip(box - np.median(box), 0, None)
        if box.max() * E_PER_ADU > 40000 or box.max() < 300:
            continue
        widths.append(gaussian_fwhm(box))
    assert len(widths) >= 5
    assert np.median(widths) < drawn + 0.1


def gaussian_fwhm(box: np.ndarray) -> float:
    from scipy.optimize import least_squares

    v, u = np.mgrid[: box.shape[0], : box.shape[1]]

    def residual(p: np.ndarray) -> np.ndarray:
        return (p[0] * np.exp(-((u - p[1]) ** 2 + (v - p[2]) ** 2) / (2 * p[3] ** 2)) + p[4] - box).ravel()

    return 2.3548 * abs(least_squares(residual, [box.max(), 6, 6, 1.2, 0]).x[3])


def test_light_of_stars_is_kept(stacked) -> None:
    made, _, data, _ = stacked
    v, u = np.mgrid[-14:15, -14:15]
    cells = sim.channel_map(made.spec.cfa, HEIGHT, WIDTH)
    field = sim.flat_field(made.camera)
    for k, plane in enumerate(data):
        channel = k if len(data) == 3 else 1
        counts = made.sky.flux[channel] * field[cells == channel].mean()  # flats keep the mean light
        ratios = []
        for i in stars_inside(made, 18):
            expected = counts[i] * EXPOSURE_S / E_PER_ADU
            if not 20000 < expected < 450000:
                continue
            x, y = made.sky.x[i], made.sky.y[i]
            ix, iy = round(x), round(y)
            box = plane[iy - 14 : iy + 15, ix - 14 : ix + 15].astype(float)
            r = np.hypot(u - (x - ix), v - (y - iy))
            light = ((box - np.median(box[r > 9])) * np.clip(7.5 - r, 0, 1)).sum()
            ratios.append(light / expected)
        assert len(ratios) >= 3
        # the reference's transparency is 1; what is left of scatter is noise, 1 % of the faintest
        assert abs(np.median(ratios) - 1) < 0.02
        assert 1.4826 * np.median(np.abs(ratios - np.median(ratios))) < 0.015


def test_no_outlier_and_no_trail_is_left(stacked) -> None:
    made, result, data, maps = stacked
    free = covered_by_all(made) & away_from_stars(made)
    assert free.mean() > 0.1
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for plane in data:
        values = plane[free]
        # a smooth sky: gradients of the lights are small, vignetting is gone
        flat = values - np.median(values)
        sigma = 1.4826 * np.median(np.abs(flat))
        assert (np.abs(flat) > 8 * sigma).sum() == 0
        for frame, (x0, y0, x1, y1, *_) in made.trails.items():
            u, v = sim.apply(made.to_frame[frame], x, y)
            distance = np.abs((y1 - y0) * (u - x0) - (x1 - x0) * (v - y0)) / np.hypot(x1 - x0, y1 - y0)
            on = free & (distance < 1)
            if on.sum() > 50:
                assert plane[on].mean() - np.median(values) < 0.7 * sigma
                assert maps["REJ_HIGH"][on].mean() > 0.8 * len(data)
    assert result.rejected_fraction < 0.015


def test_noise_falls_as_it_should(stacked) -> None:
    made, result, data, _ = stacked
    free = covered_by_all(made) & away_from_stars(made)
    green = data[1 if len(data) == 3 else 0]
    y, x = (free.shape[0] // 4 * 4, free.shape[1] // 4 * 4)
    whole = free[:y, :x].reshape(y // 4, 4, x // 4, 4).all(axis=(1, 3))
    sums = green[:y, :x].reshape(y // 4, 4, x // 4, 4).mean(axis=(1, 3))[whole]
    binned = 4 * 1.4826 * np.median(np.abs(sums - np.median(sums)))
    # half the pixels of a mosaic are green, so that sums of its pixels have twice the variance
    expected = result.predicted_noise_adu * (np.sqrt(2) if made.spec.cfa else 1.0)
    assert 0.7 * expected < binned < 1.25 * expected


def test_coverage_is_how_many_frames_reach_a_pixel(stacked) -> None:
    made, result, data, maps = stacked
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    count, doubtful = np.zeros((HEIGHT, WIDTH), int), np.zeros((HEIGHT, WIDTH), bool)
    for matrix in made.to_frame:
        u, v = sim.apply(matrix, x, y)
        count += (u > -0.5) & (v > -0.5) & (u < WIDTH - 0.5) & (v < HEIGHT - 0.5)
        edge = np.minimum(np.minimum(u, WIDTH - 1 - u), np.minimum(v, HEIGHT - 1 - v))
        doubtful |= np.abs(edge + 0.5) < 0.2
    assert np.array_equal(maps["COVERAGE"][~doubtful], count[~doubtful])
    assert np.isfinite(data[:, maps["COVERAGE"] > 0]).all()
    assert (result.coverage_min, result.coverage_max) == (maps["COVERAGE"].min(), maps["COVERAGE"].max())


@pytest.mark.parametrize("count", [3, 5, 8, 15])
def test_few_frames_keep_no_trail(tmp_path: Path, count: int) -> None:
    made = make_set(tmp_path, Spec(seed=7, frames=count, trail_in=1, hot=10, cfa="RGGB"))
    result = run_plan(made.plan(tmp_path / "s.fits"), masters=tmp_path / "m", tag="t", workers=1)
    data, maps = read_result(result.output)
    free = covered_by_all(made) & away_from_stars(made)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ((x0, y0, x1, y1, *_),) = made.trails.values()
    u, v = sim.apply(made.to_frame[1], x, y)
    distance = np.abs((y1 - y0) * (u - x0) - (x1 - x0) * (v - y0)) / np.hypot(x1 - x0, y1 - y0)
    for plane in data:
        sky = np.median(plane[free])
        sigma = 1.4826 * np.median(np.abs(plane[free] - sky))
        near = free & (distance < 6)
        assert (plane[near] > sky + 6 * sigma).sum() == 0
        assert plane[free & (distance < 1)].mean() - sky < 0.7 * sigma
    clean = free & (distance > 12)
    rejected = (maps["REJ_LOW"] + maps["REJ_HIGH"])[clean].mean() / (3 * count)
    assert rejected < 0.01


def test_edges_that_few_frames_cover_keep_no_trail_and_their_samples(tmp_path: Path) -> None:
    # 4 of 12 frames lie straight, so that they alone cover the corners; one of these has the trail
    spec = Spec(seed=8, frames=12, degrees=(0.0, 40.0, 40.0), trail_in=3, hot=10, transparency=(1.0,))
    made = make_set(tmp_path, spec)
    result = run_plan(made.plan(tmp_path / "s.fits"), masters=tmp_path / "m", tag="t", workers=2)
    data, maps = read_result(result.output)
    few = (maps["COVERAGE"] <= 4) & (maps["COVERAGE"] >= 3) & away_from_stars(made)
    assert 0.02 < few.mean() < 0.5
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ((x0, y0, x1, y1, *_),) = made.trails.values()
    u, v = sim.apply(made.to_frame[3], x, y)
    distance = np.abs((y1 - y0) * (u - x0) - (x1 - x0) * (v - y0)) / np.hypot(x1 - x0, y1 - y0)
    near, off = few & (distance < 6), few & (distance > 12)
    assert near.sum() > 200
    for plane in data:
        sky = np.median(plane[off])
        sigma = 1.4826 * np.median(np.abs(plane[off] - sky))
        assert (plane[near] > sky + 6 * sigma).sum() == 0
        assert plane[few & (distance < 1)].mean() - sky < 0.7 * sigma
    rejected = (maps["REJ_LOW"] + maps["REJ_HIGH"])[off].sum() / (3 * maps["COVERAGE"][off].sum())
    assert rejected < 0.01
