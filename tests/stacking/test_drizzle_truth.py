"""Drizzled stacks of simulated sets against truth, and against plain resampling of the same frames."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_sets import (
    E_PER_ADU,
    EXPOSURE_S,
    HEIGHT,
    WIDTH,
    SimulatedSet,
    Spec,
    make_set,
    read_result,
)
from numpy.testing import assert_allclose

from astrotui.errors import PlanError
from astrotui.imaging.drizzle import coverage
from astrotui.stacking.engine import run_plan
from astrotui.stacking.manifest import write_manifest
from astrotui.stacking.plan import load_plan
from astrotui.stacking.result import StackResult
from sample_sessions import sky as sim

CASES = {
    "mono, shifted": (Spec(seed=11, frames=10, cfa=None, fwhm=1.8, hot=30), 2.0, 0.6),
    "mono, turned by 3 degrees": (
        Spec(seed=12, frames=10, cfa=None, fwhm=1.8, hot=30, degrees=(0.0, 3.0)),
        2.0,
        0.6,
    ),
    "mosaic, after a meridian flip": (
        Spec(seed=13, frames=16, cfa="GBRG", fwhm=1.8, hot=30, degrees=(0.0, 180.3)),
        1.5,
        0.9,
    ),
}


class Made:
    """A set and its results: drizzled and bilinear."""

    def __init__(self, folder: Path, spec: Spec, scale: float, pixfrac: float) -> None:
        self.set = make_set(folder, spec)
        self.scale, self.pixfrac = scale, pixfrac
        self.folder = folder
        self.result = self.run("drizzle", drizzle=scale, pixfrac=pixfrac)
        self.data, self.maps = read_result(self.result.output)
        self.bilinear, _ = read_result(self.run("bilinear", resample="bilinear").output)

    def run(self, name: str, **recipe: object) -> StackResult:
        plan = self.set.plan(self.folder / f"{name}.fits", **recipe)
        return run_plan(plan, masters=self.folder / "masters", tag="test", workers=2)


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("drizzle"), *CASES[request.param])


def stars_inside(one: SimulatedSet, margin: float) -> np.ndarray:
    """Indices of lone stars that every frame has, brightest first."""
    x, y = one.sky.x, one.sky.y
    near = np.hypot(x[:, None] - x, y[:, None] - y) + 1e9 * np.eye(len(x))
    good = near.min(axis=1) > 15
    for matrix in (np.eye(3), *one.to_frame):
        u, v = sim.apply(matrix, x, y)
        good &= (u > margin) & (v > margin) & (u < WIDTH - 1 - margin) & (v < HEIGHT - 1 - margin)
    return np.flatnonzero(good)


def grid(scale: float, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Reference places of output pixels."""
    Y, X = np.mgrid[:height, :width]
    return (X + 0.5) / scale - 0.5, (Y + 0.5) / scale - 0.5


def free_sky(one: SimulatedSet, scale: float, shape: tuple[int, int]) -> np.ndarray:
    """Output pixels that all frames cover and that no star lights."""
    x, y = grid(scale, shape[1], shape[0])
    free = np.ones(shape, bool)
    for matrix in (np.eye(3), *one.to_frame):
        u, v = sim.apply(matrix, x, y)
        free &= (u > 6) & (v > 6) & (u < WIDTH - 7) & (v < HEIGHT - 7)
    for sx, sy, flux in zip(one.sky.x, one.sky.y, one.sky.flux[1], strict=True):
        free &= np.hypot(x - sx, y - sy) > 6 + 2.5 * np.log10(max(flux * EXPOSURE_S, 10))
    return free


def star_box(
    plane: np.ndarray, x: float, y: float, scale: float, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels around a star of the reference, sky off, and their distances from it in reference pixels."""
    X, Y = scale * (x + 0.5) - 0.5, scale * (y + 0.5) - 0.5
    ix, iy, r = round(X), round(Y), int(radius * scale)
    v, u = np.mgrid[-r : r + 1, -r : r + 1]
    box = plane[iy - r : iy + r + 1, ix - r : ix + r + 1].astype(float)
    distance = np.hypot(u - (X - ix), v - (Y - iy)) / scale
    return box - np.nanmedian(box[distance > 0.65 * radius]), distance


def widths(plane: np.ndarray, one: SimulatedSet, scale: float) -> float:
    """Median FWHM of Gaussians fitted to stars, in reference pixels."""
    from scipy.optimize import least_squares

    found = []
    for i in stars_inside(one, 12)[:20]:
        box, _ = star_box(plane, one.sky.x[i], one.sky.y[i], scale, 6)
        if not np.isfinite(box).all() or not 300 < box.max() < 40000 / E_PER_ADU:
            continue
        v, u = np.mgrid[: box.shape[0], : box.shape[1]]
        middle = box.shape[0] // 2

        def residual(
            p: np.ndarray, u: np.ndarray = u, v: np.ndarray = v, box: np.ndarray = box
        ) -> np.ndarray:
            return (
                p[0] * np.exp(-((u - p[1]) ** 2 + (v - p[2]) ** 2) / (2 * p[3] ** 2)) + p[4] - box
            ).ravel()

        found.append(
            2.3548 * abs(least_squares(residual, [box.max(), middle, middle, scale, 0]).x[3]) / scale
        )
    assert len(found) >= 5
    return float(np.median(found))


def lights(plane: np.ndarray, one: SimulatedSet, scale: float) -> dict[int, float]:
    """Light of stars in an aperture, in ADU of a frame, by the number of the star."""
    found = {}
    for i in stars_inside(one, 18):
        box, distance = star_box(plane, one.sky.x[i], one.sky.y[i], scale, 14)
        near = np.clip((7.5 - distance) * scale, 0, 1)
        if np.isfinite(box[near > 0]).all():
            found[int(i)] = float((np.nan_to_num(box) * near).sum() / scale**2)
    return found


def test_stars_are_narrower_than_interpolated_ones_and_near_the_truth(made: Made) -> None:
    drawn = sim.recorded_fwhm(1.8)
    # a drop and an output pixel are squares: they spread a star by side^2 / 12 each
    expected = np.sqrt(drawn**2 + 2.3548**2 * (made.pixfrac**2 + made.scale**-2) / 12)
    for k, plane in enumerate(made.data):
        sharp = widths(plane, made.set, made.scale)
        assert sharp < widths(made.bilinear[k], made.set, 1.0) - 0.03
        assert_allclose(sharp, expected, rtol=0.03)


def normalized(made: Made, plane: int) -> float:
    """Light that is left of a star when its frames are averaged: the normalization's own errors are not the drizzle's."""
    clear = made.set.spec.transparency
    seen = [
        (o.weight, o.weight * o.factor[plane] * clear[i % len(clear)])
        for i, o in enumerate(made.result.frames)
    ]
    return sum(light for _, light in seen) / sum(weight for weight, _ in seen)


def test_light_of_every_star_is_kept(made: Made) -> None:
    cells = sim.channel_map(made.set.spec.cfa, HEIGHT, WIDTH)
    field = sim.flat_field(made.set.camera)
    for k, plane in enumerate(made.data):
        channel = k if len(made.data) == 3 else 1
        truth = made.set.sky.flux[channel] * field[cells == channel].mean() * EXPOSURE_S / E_PER_ADU
        truth = truth * normalized(made, k)
        ratios = np.array(
            [light / truth[i] for i, light in lights(plane, made.set, made.scale).items() if truth[i] > 30000]
        )
        assert len(ratios) >= 3
        assert abs(np.median(ratios) - 1) < (0.005 if len(made.data) == 1 else 0.01)
        # Photons alone leave 0.15 %. Of a color few samples lie on a star, so that each of them counts; plain
        # resampling of the same frames interpolates between those that are missing.
        off = np.abs(ratios / np.median(ratios) - 1)
        assert off.max() < (0.007 if len(made.data) == 1 else 0.013)
        if len(made.data) == 3 and k != 1:
            plain = lights(made.bilinear[k], made.set, 1.0)
            others = np.array([light / truth[i] for i, light in plain.items() if truth[i] > 30000])
            assert off.max() < np.abs(others / np.median(others) - 1).max() / 2


def test_noise_falls_as_predicted(made: Made) -> None:
    free = free_sky(made.set, made.scale, made.data.shape[1:])
    green = made.data[1 if len(made.data) == 3 else 0]
    step = round(6 * made.scale)  # 6 pixels of a frame: larger than what drops make alike
    y, x = (n // step * step for n in free.shape)

    def binned(image: np.ndarray, size: int) -> np.ndarray:
        return image[:y, :x].reshape(y // size, size, x // size, size).swapaxes(1, 2).reshape(-1, size * size)

    whole = binned(free, step).all(axis=1)
    means = binned(green, step)[whole].mean(axis=1)
    assert len(means) > 100
    noise = 6 * 1.4826 * np.median(np.abs(means - np.median(means)))
    expected = made.result.predicted_noise_adu * (np.sqrt(2) if made.set.spec.cfa else 1.0)
    assert 0.8 * expected < noise < 1.25 * expected
    other = made.bilinear[1 if len(made.data) == 3 else 0]
    plain = np.median(other[free_sky(made.set, 1.0, other.shape)])
    assert_allclose(np.nanmedian(green[free]), plain, rtol=0.01)


def test_no_outlier_and_no_trail_is_left(made: Made) -> None:
    free = free_sky(made.set, made.scale, made.data.shape[1:])
    x, y = grid(made.scale, *free.shape[::-1])
    for plane in made.data:
        there = free & np.isfinite(plane)
        off = plane - np.median(plane[there])
        # a pixel that few drops reach is noisier
        sigma = 1.4826 * np.median(np.abs(off[there])) * np.sqrt(np.median(made.maps["WEIGHT"][there]))
        sigma = sigma / np.sqrt(np.maximum(made.maps["WEIGHT"], 0.05))
        assert (np.abs(off)[there] > 8 * sigma[there]).sum() == 0
        for frame, (x0, y0, x1, y1, *_) in made.set.trails.items():
            u, v = sim.apply(made.set.to_frame[frame], x, y)
            distance = np.abs((y1 - y0) * (u - x0) - (x1 - x0) * (v - y0)) / np.hypot(x1 - x0, y1 - y0)
            on = there & (distance < 1)
            assert on.sum() > 50
            assert plane[on].mean() - np.median(plane[there]) < 0.7 * np.median(sigma[on])
            assert made.maps["REJ_HIGH"][on].mean() > 0.6
    assert made.result.rejected_fraction < 0.01


def test_maps_tell_what_fell_where(made: Made) -> None:
    found, weight = made.maps["COVERAGE"], made.maps["WEIGHT"]
    assert (
        found.shape
        == weight.shape
        == made.data.shape[1:]
        == tuple(int(n * made.scale) for n in (HEIGHT, WIDTH))
    )
    assert (found > 0)[weight > 0].all() and not weight[found == 0].any()
    assert np.array_equal(np.isfinite(made.data).all(axis=0), weight > 0)
    frames = made.set.spec.frames * (0.25 if made.set.spec.cfa else 1)
    heaviest = sum(f.weight or 0 for f in made.result.frames) * (0.25 if made.set.spec.cfa else 1)
    middle = weight[
        weight.shape[0] // 3 : -weight.shape[0] // 3, weight.shape[1] // 3 : -weight.shape[1] // 3
    ]
    assert 0.6 * heaviest < middle.mean() < 1.02 * heaviest <= 1.02 * frames
    assert (made.result.coverage_min, made.result.coverage_max) == (found.min(), found.max())


@pytest.mark.parametrize("frames", [5, 9])
def test_a_trail_goes_from_few_and_many_frames(tmp_path: Path, frames: int) -> None:
    made = make_set(tmp_path, Spec(seed=14, frames=frames, cfa=None, trail_in=1, hot=0, calibration=0))
    plan = made.plan(tmp_path / "s.fits", drizzle=2.0, pixfrac=0.8)
    result = run_plan(plan, masters=tmp_path / "m", tag="t", workers=1)
    (plane,), _ = read_result(result.output)
    free = free_sky(made, 2.0, plane.shape)
    x, y = grid(2.0, *plane.shape[::-1])
    ((x0, y0, x1, y1, *_),) = made.trails.values()
    u, v = sim.apply(made.to_frame[1], x, y)
    distance = np.abs((y1 - y0) * (u - x0) - (x1 - x0) * (v - y0)) / np.hypot(x1 - x0, y1 - y0)
    sky = np.median(plane[free])
    sigma = 1.4826 * np.median(np.abs(plane[free] - sky))
    near = free & (distance < 6)
    assert (plane[near] > sky + 8 * sigma).sum() == 0
    assert plane[free & (distance < 1)].mean() - sky < 0.7 * sigma


def test_pixels_are_the_same_whatever_memory_and_threads(tmp_path: Path) -> None:
    spec = Spec(seed=15, frames=6, degrees=(0.0, 3.0, 180.0), fwhm=2.0)
    made = make_set(tmp_path, spec)
    outputs = []
    for number, (memory, workers) in enumerate(((1_000_000_000, 2), (298_000_000, 1), (320_000_000, 3))):
        plan = made.plan(
            tmp_path / f"{number}.fits", drizzle=1.7, pixfrac=0.8, memory_bytes=memory, band_rows=64
        )
        result = run_plan(plan, masters=tmp_path / "m", tag="t", workers=workers)
        outputs.append(read_result(result.output))
    for data, maps in outputs[1:]:
        assert np.array_equal(data, outputs[0][0], equal_nan=True)
        assert maps.keys() == outputs[0][1].keys()
        assert all(np.array_equal(maps[name], outputs[0][1][name]) for name in maps)
    with pytest.raises(PlanError, match=r"too small for this drizzle; it needs .* \(--memory\)"):
        run_plan(
            made.plan(tmp_path / "no.fits", drizzle=3.0, memory_bytes=100_000_000),
            masters=tmp_path / "m",
            tag="t",
        )
    assert not list(tmp_path.glob(".*.part"))


def test_a_manifest_runs_it_again_and_the_header_tells_what_it_is(tmp_path: Path) -> None:
    from astropy.io import fits

    made = make_set(tmp_path, Spec(seed=16, frames=5, cfa=None))
    wcs = [
        "CTYPE1  = 'RA---TAN'", "CTYPE2  = 'DEC--TAN'", "CRVAL1  = 10.0", "CRVAL2  = 41.0", "CRPIX1  = 210.5",
        "CRPIX2  = 150.5", "CD1_1   = -0.001", "CD1_2   = 0.0", "CD2_1   = 0.0", "CD2_2   = 0.001",
    ]  # fmt: skip
    plan = made.plan(tmp_path / "a.fits", drizzle=2.0, pixfrac=0.7, wcs=tuple(card.ljust(80) for card in wcs))
    plan = replace(plan, header={**plan.header, "XPIXSZ": 3.8})
    result = run_plan(plan, masters=tmp_path / "m", tag="t", workers=1)
    write_manifest(plan, result, tmp_path / "a.json", "t")
    again = replace(load_plan(tmp_path / "a.json"), output=str(tmp_path / "b.fits"))
    other = run_plan(again, masters=tmp_path / "m", tag="t", workers=2)
    assert np.array_equal(read_result(result.output)[0], read_result(other.output)[0], equal_nan=True)
    with fits.open(result.output) as hdus:
        assert [hdu.name for hdu in hdus[1:]] == ["COVERAGE", "REJ_LOW", "REJ_HIGH", "WEIGHT"]
        header = hdus[0].header
    assert (header["DRIZZLE"], header["PIXFRAC"], header["XPIXSZ"]) == (2, 0.7, 1.9)
    assert (header["CRPIX1"], header["CRPIX2"], header["CD2_2"]) == (420.5, 300.5, 0.0005)
    history = "\n".join(header["HISTORY"])
    assert "sums are 4 x" in history and "limits 5 and 5 sigma" in history


def test_without_rejection_everything_falls(tmp_path: Path) -> None:
    made = make_set(tmp_path, Spec(seed=17, frames=5, cfa=None, trail_in=1))
    plan = made.plan(tmp_path / "s.fits", drizzle=1.0, pixfrac=1.0, reject="none")
    result = run_plan(plan, masters=tmp_path / "m", tag="t", workers=1)
    _, maps = read_result(result.output)
    assert result.rejected_fraction == 0 and not maps["REJ_HIGH"].any() and not maps["REJ_LOW"].any()
    assert maps["COVERAGE"].max() >= 5


def test_frames_that_stand_still_leave_holes_and_it_is_said(tmp_path: Path) -> None:
    made = make_set(tmp_path, Spec(seed=18, frames=3, trail_in=None)).only([0])
    plan = made.plan(tmp_path / "s.fits", drizzle=2.0, pixfrac=0.5)
    result = run_plan(plan, masters=tmp_path / "m", tag="t", workers=1)
    [told] = [text for text in result.warnings if "without a sample" in text]
    foretold = coverage([np.eye(3)], (WIDTH, HEIGHT), "RGGB", 2.0, 0.5)
    for one, name in zip(foretold, ("red", "green", "blue"), strict=True):  # the same share, color by color
        [share] = re.findall(rf"([\d.]+)% in {name}", told)
        assert float(share) == pytest.approx(100 * one.holes, abs=2)
    data, maps = read_result(result.output)
    assert_allclose(np.isnan(data).mean(axis=(1, 2)), (0.75, 0.5, 0.75), atol=0.01)
    assert not maps["WEIGHT"].any()
