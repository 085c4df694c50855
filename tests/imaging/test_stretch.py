"""Stretches against their definitions."""

import numpy as np
import pytest
from astropy.visualization import ZScaleInterval

from astrotui.errors import UsageError
from astrotui.imaging import stretch
from astrotui.imaging.stretch import StretchParameters, apply_stretch, autostretch


def sky(level: float, sigma: float = 0.002, shape: tuple[int, ...] = (300, 400), seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(level, sigma, shape).astype(np.float32)


def sky_with_stars(level: float, sigma: float = 0.002, seed: int = 1) -> np.ndarray:
    image = sky(level, sigma, seed=seed)
    rng = np.random.default_rng(seed + 1)
    y, x = np.mgrid[-8:9, -8:9]
    for _ in range(40):
        row, column = rng.integers(10, 290), rng.integers(10, 390)
        image[row - 8 : row + 9, column - 8 : column + 9] += rng.uniform(0.01, 0.6) * np.exp(
            -(x**2 + y**2) / 4.5
        )
    return image


@pytest.mark.parametrize("level", [0.05, 0.3, 0.5])
@pytest.mark.parametrize("curve", ["mtf", "asinh", "ghs"])
def test_the_sky_lands_on_the_target(level: float, curve: stretch.Curve) -> None:
    image = sky_with_stars(level)
    shown = apply_stretch(image, autostretch(image, curve=curve))
    assert np.median(shown) == pytest.approx(0.25, abs=0.002)
    assert shown.min() >= 0 and shown.max() <= 1


def test_other_targets_and_the_textbook_numbers() -> None:
    image = sky(0.1, 0.01)
    median, sigma = stretch.robust_statistics(image.ravel())
    assert sigma == pytest.approx(0.01, rel=0.02)
    parameters = autostretch(image, target=0.15)
    c0 = median - 2.8 * sigma
    assert parameters.shadows[0] == pytest.approx(c0, abs=1e-4)
    assert parameters.shape[0] == pytest.approx(stretch.mtf((median - c0) / (1 - c0), 0.15), rel=0.01)
    assert np.median(apply_stretch(image, parameters)) == pytest.approx(0.15, abs=0.002)


def test_mtf_goes_through_its_three_points() -> None:
    assert stretch.mtf(np.array([0.0, 0.2, 1.0]), 0.2) == pytest.approx([0.0, 0.5, 1.0])
    assert stretch.mtf(np.array([0.1, 0.7]), 0.5) == pytest.approx([0.1, 0.7])


def test_black_never_lies_below_zero_unless_asked() -> None:
    image = sky(0.001, 0.002)
    assert autostretch(image).shadows == (0.0,)
    free = autostretch(image, floor=None)
    assert free.shadows[0] < 0
    shown = apply_stretch(image, free)
    assert np.median(shown) == pytest.approx(0.25, abs=0.003)
    assert (shown == 0).mean() < 0.005  # Gaussian noise beyond 2.8 sigma


def test_unlinked_removes_a_cast_and_linked_keeps_it() -> None:
    image = np.stack([sky(0.05, 0.01, seed=1), sky(0.09, 0.01, seed=2), sky(0.06, 0.01, seed=3)])
    unlinked = apply_stretch(image, autostretch(image))
    assert [np.median(c) for c in unlinked] == pytest.approx([0.25] * 3, abs=0.003)
    parameters = autostretch(image, linked=True)
    assert len(parameters.shadows) == len(parameters.shape) == 1
    linked = [float(np.median(c)) for c in apply_stretch(image, parameters)]
    assert linked[1] > linked[2] >= linked[0] and linked[1] > 0.3


def test_uncovered_pixels_count_for_nothing_and_are_black() -> None:
    image = sky_with_stars(0.1)
    covered = autostretch(image[:, 200:])
    image[:, :200] = np.nan
    parameters = autostretch(image)
    assert parameters.shadows == pytest.approx(covered.shadows, rel=0.01)
    shown = apply_stretch(image, parameters)
    assert (shown[:, :200] == 0).all() and np.isfinite(shown).all()


def test_a_session_stretch_shows_a_cloud_that_a_stretch_of_its_own_hides() -> None:
    clear = sky_with_stars(0.05)
    cloudy = (clear - 0.05) * 0.3 + 0.08  # stars dimmed, sky brighter
    shared = autostretch(clear)
    assert np.median(apply_stretch(cloudy, shared)) > 0.6
    assert np.median(apply_stretch(cloudy, autostretch(cloudy))) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.zeros((20, 20), np.float32), 0.0),
        (np.full((20, 20), 0.1, np.float32), 0.25),
        (np.full((20, 20), np.nan, np.float32), 0.0),
        (np.ones((20, 20), np.float32), 1.0),
        (np.full((20, 20), -0.2, np.float32), 0.0),
    ],
)
def test_frames_without_contrast(image: np.ndarray, expected: float) -> None:
    shown = apply_stretch(image, autostretch(image))
    assert shown == pytest.approx(np.full((20, 20), expected), abs=1e-4)


def test_a_quiet_digital_sky_is_not_burnt_out() -> None:
    """More than half of the pixels at one level: the MAD is zero, the picture must not be black and white."""
    rng = np.random.default_rng(5)
    image = (np.round(rng.normal(100, 0.4, (200, 200))) / 4095).astype(np.float32)
    shown = apply_stretch(image, autostretch(image))
    assert np.median(shown) == pytest.approx(0.25, abs=0.01)
    assert (shown > 0.9).mean() < 0.01


def test_the_sample_is_enough() -> None:
    image = sky_with_stars(0.1, 0.01)
    few, all_of_them = autostretch(image, limit=5000), autostretch(image, limit=10**9)
    assert few.shadows[0] == pytest.approx(all_of_them.shadows[0], abs=0.05 * 0.01)


def test_zscale_is_astropys_and_minmax_is_exact() -> None:
    image = sky_with_stars(0.1)
    low, high = ZScaleInterval().get_limits(image)
    ours = stretch.interval_stretch(image, "zscale")
    assert ours.shadows[0] == pytest.approx(low, abs=0.002)
    assert ours.highlights[0] == pytest.approx(high, abs=0.01)
    image[7, 11] = 3.0
    image[0, 0] = np.nan
    extremes = stretch.interval_stretch(image, "minmax")
    assert extremes.highlights == (3.0,) and extremes.shadows == (float(np.nanmin(image)),)
    shown = apply_stretch(image, extremes)
    assert shown[7, 11] == 1.0 and shown[0, 0] == 0.0
    colors = stretch.interval_stretch(np.stack([image, 2 * image, image]), "minmax", linked=False)
    assert colors.highlights == (3.0, 6.0, 3.0)


@pytest.mark.parametrize("local", [-2.0, -1.0, -0.5, 0.0, 1.0, 5.0])
def test_ghs_is_monotonic_through_the_corners_and_steepest_at_symmetry(local: float) -> None:
    x = np.linspace(0, 1, 1001)
    y = stretch.ghs_curve(x, 30.0, local, 0.2)
    assert y[[0, -1]] == pytest.approx([0, 1])
    slope = np.diff(y)
    assert (slope > 0).all()
    assert abs(x[int(np.argmax(slope))] - 0.2) < 0.002


def test_ghs_families_meet() -> None:
    x = np.linspace(0, 1, 50)
    for edge in (0.0, -1.0):
        near = stretch.ghs_curve(x, 20.0, edge + 1e-5, 0.3)
        assert near == pytest.approx(stretch.ghs_curve(x, 20.0, edge, 0.3), abs=1e-3)


def test_levels_curve_saturation_and_green() -> None:
    image = np.linspace(0, 1, 101, dtype=np.float32).reshape(1, -1)
    moved = stretch.levels(image, 0.2, 0.25, 0.8)
    assert moved[0, [20, 35, 80]] == pytest.approx([0, 0.5, 1], abs=1e-5)
    bent = stretch.s_curve(image, 1.0)
    assert bent[0, [0, 100]] == pytest.approx([0, 1], abs=1e-6) and (np.diff(bent[0]) > 0).all()
    assert bent[0, 5] < image[0, 5] and bent[0, 70] > image[0, 70]
    color = np.array([0.4, 0.5, 0.3], np.float32).reshape(3, 1, 1)
    gray = stretch.saturate(color, 0.0)
    assert np.ptp(gray) < 1e-6
    assert np.ptp(stretch.saturate(color, 1.5)) == pytest.approx(0.3, abs=1e-5)
    assert stretch.remove_green(color)[:, 0, 0] == pytest.approx([0.4, 0.35, 0.3])
    assert stretch.remove_green(color, 0.5)[1, 0, 0] == pytest.approx(0.425)
    assert stretch.remove_green(image) is image


def test_parameters_survive_json_and_say_what_is_wrong() -> None:
    parameters = autostretch(np.stack([sky(0.1), sky(0.2), sky(0.3)]), curve="ghs", local=2.0)
    again = StretchParameters.from_dict(parameters.to_dict())
    assert again == parameters and again.digest() == parameters.digest()
    assert parameters.channel(1).shadows == (parameters.shadows[1],)
    with pytest.raises(UsageError, match="shadows"):
        StretchParameters.from_dict({})
    with pytest.raises(UsageError, match="black"):
        stretch.linear_stretch(0.5, 0.5)
    with pytest.raises(UsageError, match="--target"):
        autostretch(sky(0.1), target=1.0)
