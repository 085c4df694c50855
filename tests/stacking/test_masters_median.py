"""Masters by median: against numpy and ccdproc, apart from means in the cache, carried by plan and header."""

import json
from dataclasses import replace
from pathlib import Path

import ccdproc
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData

from astrotui.stacking.master_frames import make_master
from astrotui.stacking.masters import ensure_master, list_masters, load_master
from astrotui.stacking.plan import Calibration, InputFile, MasterSpec, StackPlan
from tests.stacking.test_masters import HEIGHT, WIDTH, mosaic_flats, noise, peaks_of, spread, write_set
from tests.stacking.test_plan import small_plan


def median_of(folder: Path, cube: np.ndarray, kind: str = "dark", **settings: object) -> MasterSpec:
    return write_set(folder, cube, kind, method="median", **settings)


def ccdproc_median(cube: np.ndarray, masked: np.ndarray) -> np.ndarray:
    frames = [CCDData(frame, unit="adu", mask=mask) for frame, mask in zip(cube, masked, strict=True)]
    return np.asarray(ccdproc.Combiner(frames).median_combine().data)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 19, 20, 70])
@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_clean_samples_give_the_median_of_numpy(tmp_path: Path, n: int, dtype: type) -> None:
    cube = np.rint(spread(n, n, 1000, 10)).astype(dtype)
    made = make_master(median_of(tmp_path, cube), None)
    np.testing.assert_array_equal(made.data, np.median(cube, axis=0).astype(np.float32))


@pytest.mark.parametrize("n", [5, 8, 20])
def test_what_is_clearly_wrong_is_rejected_before_the_median_of_ccdproc(tmp_path: Path, n: int) -> None:
    cube, rng = spread(n, n, 300, 10), np.random.default_rng(7)
    hit = np.zeros(cube.shape, bool)
    hit[rng.integers(n, size=400), rng.integers(HEIGHT, size=400), rng.integers(WIDTH, size=400)] = True
    hit &= np.cumsum(hit, axis=0) == 1  # at most one in a pixel
    cube[hit] += 5000
    missing = np.zeros_like(hit)
    missing[0, 3, 4] = True
    cube[missing] = np.nan
    cube[:, 6, 7] = np.nan
    made = make_master(median_of(tmp_path, cube), None)
    expected = ccdproc_median(cube, hit | ~np.isfinite(cube))
    expected[6, 7] = np.nan
    np.testing.assert_allclose(made.data, expected, rtol=1e-6, equal_nan=True)
    plain = np.nanmedian(cube, axis=0)
    assert np.nanmax(np.abs(made.data - plain)) > 0.1  # so that the rejection is seen to be there


def test_the_noise_of_a_median_is_a_fifth_more_than_that_of_a_mean(tmp_path: Path) -> None:
    cube = noise(4, 25)
    median = make_master(median_of(tmp_path / "median", cube), None)
    mean = make_master(write_set(tmp_path / "mean", cube), None)
    assert np.std(median.data) / np.std(mean.data) == pytest.approx(1.24, abs=0.04)
    assert (median.method, mean.method) == ("winsorized median 3/3", "winsorized mean 3/3")


@pytest.mark.parametrize("kind", ["dark", "flat"])
def test_the_kind_of_file_and_the_height_of_bands_change_no_bit(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(5)
    whole = np.rint(rng.normal(9000, 40, (12, HEIGHT, WIDTH))).astype(np.uint16)
    whole[0, 5, 7] = 65535
    below = rng.normal(300, 3, (HEIGHT, WIDTH)).astype(np.float32) if kind == "flat" else None
    spec = median_of(tmp_path / "plain", whole, kind, cfa="RGGB")
    plain = make_master(spec, below)
    real = make_master(median_of(tmp_path / "real", whole.astype(np.float32), kind, cfa="RGGB"), below)
    narrow = make_master(spec, below, workers=3, band_bytes=WIDTH * 12 * 4 * 6)
    assert plain.data.tobytes() == real.data.tobytes() == narrow.data.tobytes()


def test_a_flat_by_median_is_grey_and_shows_the_sensitivity(tmp_path: Path) -> None:
    flats, shape, bias = mosaic_flats(9)
    below = median_of(tmp_path / "bias", np.repeat(bias[np.newaxis], 3, axis=0), "bias")
    spec = median_of(tmp_path / "flats", flats, "flat", cfa="GBRG", subtract=below)
    data = load_master(ensure_master(spec, tmp_path / "cache"))
    for dy, dx in np.ndindex(2, 2):
        of_one_color = data[dy::2, dx::2]
        np.testing.assert_allclose(of_one_color.mean(), 1, atol=2e-3)
        ratio = of_one_color / shape[dy::2, dx::2]
        assert np.std(ratio / ratio.mean()) < 0.0025
    assert {info.method for info in list_masters(tmp_path / "cache")} == {"winsorized median 3/3"}


def test_mean_and_median_lie_beside_each_other_in_the_cache(tmp_path: Path) -> None:
    spec = write_set(tmp_path / "set", noise(9, 7))
    other = replace(spec, method="median")
    assert spec.digest() != other.digest()
    flat = MasterSpec("flat", spec.inputs, WIDTH, HEIGHT, subtract=spec)
    assert flat.digest() != replace(flat, subtract=other).digest()
    mean, median = (ensure_master(each, tmp_path / "cache") for each in (spec, other))
    assert not np.array_equal(load_master(mean), load_master(median))
    assert fits.getheader(median)["MSTMETH"] == "winsorized median 3/3"
    assert {info.digest for info in list_masters(tmp_path / "cache")} == {spec.digest(), other.digest()}


def test_a_plan_keeps_the_method_and_an_older_one_means_the_mean() -> None:
    dark = MasterSpec("dark", (InputFile("/d/1.fits", 10, 20),), 64, 48, method="median")
    plan = small_plan(calibrations=(Calibration(dark=dark),))
    table = json.loads(json.dumps(plan.to_dict()))
    assert StackPlan.from_dict(table).calibrations == plan.calibrations
    del table["calibrations"][0]["dark"]["method"], table["recipe"]["master"]
    older = StackPlan.from_dict(table)
    assert older.calibrations[0].dark == replace(dark, method="mean") and older.recipe.master == "mean"


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    frame = np.random.default_rng(1).normal(300, 8, (200, 300)).astype(np.float32)
    counts = (20, 80)  # 4.8 and 19.2 MB of pixels
    few, many = peaks_of(
        [median_of(tmp_path / str(n), np.broadcast_to(frame, (n, *frame.shape))) for n in counts]
    )
    assert many < 1.15 * few + 1_000_000
