"""Rejection and combination against ccdproc, and against their definitions written plainly."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from astrotui.imaging.combine import combine_stack, sorting_network


def cube(n: int, seed: int = 1, shape: tuple[int, ...] = (19, 301), outliers: float = 0.03) -> np.ndarray:
    """Noise about 1000 with gradients, a share of it hit by something bright or dark."""
    rng = np.random.default_rng(seed)
    data = rng.normal(1000, 12, (n, *shape)) + np.linspace(0, 300, shape[-1])
    hit = rng.random(data.shape) < outliers
    data[hit] += rng.choice([-1, 1], hit.sum()) * rng.uniform(100, 3000, hit.sum())
    return data.astype(np.float32)


def combiner(data: np.ndarray):
    from astropy.nddata import CCDData
    from ccdproc import Combiner

    return Combiner([CCDData(frame.astype(np.float64), unit="adu") for frame in data])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 15, 16, 17, 40])
def test_networks_sort(n: int) -> None:
    values = np.random.default_rng(n).normal(size=(n, 500))
    expected = np.sort(values, axis=0)
    for low, high in sorting_network(n):
        pair = values[[low, high]]
        values[low], values[high] = pair.min(axis=0), pair.max(axis=0)
    assert_array_equal(values, expected)


@pytest.mark.parametrize("n", [3, 8, 15, 40])
def test_average_and_median_are_ccdprocs(n: int) -> None:
    data = cube(n)
    oracle = combiner(data)
    # sums are of float32 differences, and outliers are large
    assert_allclose(combine_stack(data).value, oracle.average_combine().data, rtol=1e-6, atol=1e-3)
    assert_allclose(combine_stack(data, method="median").value, oracle.median_combine().data, rtol=1e-6)


def test_weights_are_ccdprocs() -> None:
    data = cube(9)
    weights = np.linspace(0.2, 1.7, 9)
    oracle = combiner(data)
    oracle.weights = np.broadcast_to(weights[:, None, None], data.shape)
    result = combine_stack(data, weights=weights)
    assert_allclose(result.value, oracle.average_combine().data, rtol=1e-6)


@pytest.mark.parametrize("n", [8, 15, 40])
@pytest.mark.parametrize(("low", "high"), [(3, 3), (2, 2.5)])
def test_sigma_is_astropys_sigma_clip_about_the_median(n: int, low: float, high: float) -> None:
    from astropy.stats import sigma_clip

    data = cube(n)
    oracle = combiner(data)
    # what Combiner.sigma_clipping calls, which can only do one round
    oracle.data_arr.mask |= sigma_clip(
        data.astype(np.float64), sigma_lower=low, sigma_upper=high, maxiters=None, cenfunc="median", axis=0
    ).mask
    result = combine_stack(data, reject="sigma", low=low, high=high)
    kept = (~oracle.data_arr.mask).sum(axis=0)
    same = result.kept == kept
    assert np.mean(same) > 0.9999  # a sample may lie on the limit to the last digit
    assert_allclose(result.value[same], oracle.average_combine().data[same], rtol=1e-5)
    assert_array_equal(result.low_rejected + result.high_rejected + result.kept, n)


def test_one_round_of_sigma_is_ccdprocs_sigma_clipping() -> None:
    data = cube(15, outliers=0.0)
    data[4, 3, ::7] += 5000  # the only thing that ever goes
    oracle = combiner(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle.sigma_clipping(3.7, 3.7, func="median", dev_func="std")
    result = combine_stack(data, reject="sigma", low=3.7, high=3.7)
    clean = (~oracle.data_arr.mask).sum(axis=0) == result.kept
    assert clean.mean() > 0.98 and clean[3, ::7].all()
    assert_allclose(result.value[clean], oracle.average_combine().data[clean], rtol=1e-5)


@pytest.mark.parametrize(("low", "high"), [(3, 3), (1, 2), (0, 4), (2, 0)])
def test_minmax_is_ccdprocs_clip_extrema(low: int, high: int) -> None:
    data = cube(12)
    oracle = combiner(data)
    oracle.clip_extrema(nlow=low, nhigh=high)
    result = combine_stack(data, reject="minmax", low=low, high=high)
    assert_allclose(result.value, oracle.average_combine().data, rtol=2e-6)
    assert_array_equal(result.low_rejected, low)
    assert_array_equal(result.high_rejected, high)


def test_minmax_counts_equal_samples_one_by_one() -> None:
    data = np.array([5, 5, 5, 5, 7, 9, 9, 9], np.float32)[:, None]
    weights = np.array([1, 2, 3, 4, 5, 6, 7, 8.0])
    result = combine_stack(data, reject="minmax", low=2, high=2, weights=weights)
    assert result.kept.tolist() == [4]
    # of equal samples the first frames go: 5 (3 and 4), 7 (5), 9 (8)
    assert_allclose(result.value, [(5 * 3 + 5 * 4 + 7 * 5 + 9 * 8) / 20])


def test_minmax_of_too_few_keeps_one() -> None:
    data = cube(5)
    data[3:, 4] = np.nan
    result = combine_stack(data, reject="minmax", low=3, high=3)
    assert result.kept.min() >= 1
    assert_allclose(result.value[4], np.median(data[:3, 4], axis=0))


def winsorized_reference(column: np.ndarray, low: float, high: float) -> np.ndarray:
    """The usual definition, iterated to its end: which of sorted samples are kept."""
    kept = np.ones(len(column), bool)
    while True:
        values = column[kept].astype(np.float64)
        middle = np.median(values)
        sigma = values.std()
        for _ in range(200):
            now = 1.134 * np.clip(values, middle - 1.5 * sigma, middle + 1.5 * sigma).std()
            settled = abs(now - sigma) <= 1e-9 * sigma
            sigma = now
            if settled:
                break
        new = kept & (column >= middle - low * sigma) & (column <= middle + high * sigma)
        if (new == kept).all() or not new.any():
            return kept
        kept = new


@pytest.mark.parametrize("n", [5, 8, 15, 40])
def test_winsorized_is_its_definition(n: int) -> None:
    data = cube(n, shape=(1, 700))
    result = combine_stack(data, reject="winsorized")
    expected = np.array([winsorized_reference(column, 3, 3) for column in data[:, 0].T])
    assert (
        np.mean(result.kept[0] == expected.sum(axis=1)) > 0.997
    )  # of several fixed points it may find another
    means = np.array([c[k].mean(dtype=np.float64) for c, k in zip(data[:, 0].T, expected, strict=True)])
    same = result.kept[0] == expected.sum(axis=1)
    assert_allclose(result.value[0][same], means[same], rtol=1e-5)


def linear_reference(column: np.ndarray, low: float, high: float) -> np.ndarray:
    values = np.sort(column.astype(np.float64))
    while len(values) > 2:
        rank = np.arange(len(values))
        residual = values - np.polyval(np.polyfit(rank, values, 1), rank)
        sigma = np.abs(residual).mean()
        a, b = 0, len(values)
        while a < b and residual[a] < -low * sigma:
            a += 1
        while b > a and residual[b - 1] > high * sigma:
            b -= 1
        if a == b or b - a == len(values):
            break
        values = values[a:b]
    return values


def test_linear_fit_is_its_definition() -> None:
    data = cube(25, shape=(1, 300))
    result = combine_stack(data, reject="linear", low=3, high=3)
    expected = [linear_reference(column, 3, 3) for column in data[:, 0].T]
    assert_array_equal(result.kept[0], [len(v) for v in expected])
    assert_allclose(result.value[0], [v.mean() for v in expected], rtol=1e-5)


def test_percentile_is_its_definition_and_refuses_a_sky_near_zero() -> None:
    data = cube(15)
    middle = np.median(data, axis=0)
    kept = (data >= middle * 0.8) & (data <= middle * 1.1)
    result = combine_stack(data, reject="percentile", low=0.2, high=0.1)
    assert np.mean(result.kept == kept.sum(axis=0)) > 0.9999
    dark_sky = np.random.default_rng(2).normal(20, 10, (9, 50, 50)).astype(np.float32)
    with pytest.raises(ValueError, match="well above 0"):
        combine_stack(dark_sky, reject="percentile")


@pytest.mark.parametrize("reject", ["none", "sigma", "winsorized", "linear", "minmax", "auto"])
def test_missing_samples_do_not_count(reject: str) -> None:
    rng = np.random.default_rng(5)
    data = cube(14)
    missing = rng.random(data.shape) < 0.3
    missing[:, 3, :40] = True
    holed = data.copy()
    holed[missing] = np.where(rng.random(missing.sum()) < 0.5, np.nan, np.inf)
    result = combine_stack(holed, reject=reject, low=1, high=1, sigma=np.full(14, 12.0))
    found = (~missing).sum(axis=0)
    assert_array_equal(result.low_rejected + result.high_rejected + result.kept, found)
    assert np.isnan(result.value[3, :40]).all()
    assert np.isfinite(result.value[found > 0]).all()
    # the same as a cube of the samples that are there
    y, x = 7, 100
    alone = combine_stack(
        data[~missing[:, y, x], y, x][:, None], reject=reject, low=1, high=1, sigma=np.full(found[y, x], 12.0)
    )
    assert_allclose(result.value[y, x], alone.value[0], rtol=1e-6)


@pytest.mark.parametrize("reject", ["sigma", "winsorized", "linear", "percentile", "minmax", "auto"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 9])
def test_at_least_one_sample_is_kept(reject: str, n: int) -> None:
    data = cube(n, outliers=0.1)
    low, high = (3, 3) if reject == "minmax" else (0.001, 0.001)
    result = combine_stack(data, reject=reject, low=low, high=high, sigma=np.full(n, 12.0))
    assert result.kept.min() >= 1
    assert np.isfinite(result.value).all()


def test_equal_samples_are_all_kept() -> None:
    data = np.full((11, 4, 130), 77.25, np.float32)
    for reject in ("sigma", "winsorized", "linear", "percentile", "auto"):
        result = combine_stack(data, reject=reject)
        assert_array_equal(result.value, 77.25)
        assert_array_equal(result.kept, 11)


def test_limits_are_one_sided() -> None:
    data = cube(20)
    high_only = combine_stack(data, reject="sigma", low=1e6, high=2)
    low_only = combine_stack(data, reject="sigma", low=2, high=1e6)
    assert high_only.low_rejected.max() == 0 and high_only.high_rejected.max() > 0
    assert low_only.high_rejected.max() == 0 and low_only.low_rejected.max() > 0


@pytest.mark.parametrize("width", [1, 127, 128, 129, 70_001])
def test_any_width_gives_the_same_pixels(width: int) -> None:
    data = cube(9, shape=(70_001,))
    whole = combine_stack(data, reject="winsorized")
    part = combine_stack(data[:, :width], reject="winsorized")
    assert_array_equal(part.value, whole.value[:width])
    assert_array_equal(part.kept, whole.kept[:width])


def test_wrong_arguments_are_refused() -> None:
    data = cube(4)
    for wrong in (
        {"weights": np.ones(3)},
        {"weights": np.array([1, 0, 1, 1])},
        {"reject": "sigma", "low": -1},
        {"reject": "auto", "sigma": np.ones(3)},
        {"reject": "best"},
    ):
        with pytest.raises(ValueError, match=r"."):
            combine_stack(data, **wrong)
