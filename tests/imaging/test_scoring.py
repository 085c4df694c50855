"""Scores, effective frames, weights and the noise to expect."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astrotui.imaging.scoring import (
    best_depth,
    depth,
    depth_magnitudes,
    effective_frames,
    effective_integration,
    frame_weights,
    predicted_noise,
    scores,
)


def test_depth_counts_light_twice_and_noise_and_seeing_as_variance() -> None:
    base = depth(1.0, 10.0, 3.0, 2.5)
    assert base is not None
    assert depth(0.5, 10.0, 3.0, 2.5) == pytest.approx(base / 4)
    assert depth(1.0, 20.0, 3.0, 2.5) == pytest.approx(base / 4)
    assert depth(1.0, 10.0, 6.0, 5.0) == pytest.approx(base / 4)
    assert depth(None, 10.0, 3.0, 2.5) is None
    assert depth(1.0, 0.0, 3.0, 2.5) is None
    assert depth(float("nan"), 1.0, 3.0, 2.5) is None


def test_a_score_is_the_share_of_a_best_frame() -> None:
    depths = [2.0] * 19 + [1.2, None]
    rated = scores(depths)
    assert rated[0] == pytest.approx(100)
    assert rated[19] == pytest.approx(60)
    assert rated[20] == 0
    assert effective_frames(rated) == pytest.approx(19.6)
    assert effective_integration(rated, 10.0) == pytest.approx(196)
    assert effective_integration(rated[:2], [10.0, 30.0]) == pytest.approx(40)
    assert depth_magnitudes(depths[:4], best_depth(depths)) == pytest.approx(1.25 * np.log10(4))


def test_nothing_measured_scores_nothing() -> None:
    assert list(scores([None, None])) == [0, 0]
    assert list(scores([])) == []
    assert best_depth([None]) is None
    assert depth_magnitudes([None]) is None


@given(st.lists(st.one_of(st.none(), st.floats(1e-12, 1e12)), max_size=40))
def test_scores_stay_in_range_and_in_order(depths: list[float | None]) -> None:
    rated = scores(depths)
    assert ((rated >= 0) & (rated <= 100)).all()
    known = [(d, s) for d, s in zip(depths, rated, strict=True) if d is not None]
    assert [s for _, s in sorted(known)] == sorted(s for _, s in known)
    if known:
        assert max(s for _, s in known) == pytest.approx(100)


def test_scores_do_not_depend_on_units() -> None:
    depths = [1.0, 0.3, 0.7, 0.05]
    np.testing.assert_allclose(scores(depths), scores([1e6 * d for d in depths]))


def test_the_depth_weight_is_near_the_best_for_point_sources() -> None:
    rng = np.random.default_rng(1)
    f, noise, fwhm = rng.uniform(0.3, 1, 100), rng.uniform(8, 20, 100), rng.uniform(2.2, 4.5, 100)
    weights = frame_weights("depth", noise_adu=noise, fwhm_px=fwhm, transparency=f, stars=np.ones(100))

    def information(w: np.ndarray) -> float:
        """Of the mean's matched filter, on flux-normalized frames with Gaussian stars."""
        s2 = (fwhm / 2.3548) ** 2
        signal = np.sum(np.outer(w, w) / (s2[:, None] + s2[None, :])) / np.sum(w) ** 2 / (2 * np.pi)
        return float(signal / (np.sum((w * noise / f) ** 2) / np.sum(w) ** 2))

    limit = float(np.sum(f**2 / (4 * np.pi * noise**2 * (fwhm / 2.3548) ** 2)))
    assert information(weights) / limit > 0.96
    assert information(np.ones(100)) / limit < 0.9


@pytest.mark.parametrize("kind", ["none", "depth", "noise", "fwhm", "stars"])
def test_equal_frames_have_equal_weights(kind: str) -> None:
    same = np.full(5, 3.0)
    weights = frame_weights(kind, noise_adu=same, fwhm_px=same, transparency=same, stars=same)  # type: ignore[arg-type]
    np.testing.assert_array_equal(weights, 1)


def test_weights_leave_out_what_adds_nothing_and_floor_the_min_max_forms() -> None:
    numbers = {
        "noise_adu": [10.0, 10.0, 100.0, np.nan],
        "fwhm_px": [2.0, 3.0, 2.0, 2.0],
        "transparency": [1.0, 1.0, 1.0, 1.0],
        "stars": [100, 50, 10, 100],
    }
    np.testing.assert_allclose(frame_weights("depth", **numbers), [1, 2 / 3, 0, 0])  # type: ignore[arg-type]
    np.testing.assert_allclose(frame_weights("noise", **numbers), [1, 1, 0, 0])  # type: ignore[arg-type]
    np.testing.assert_allclose(frame_weights("fwhm", **numbers), [1, 0.05, 1, 1])  # type: ignore[arg-type]
    np.testing.assert_allclose(frame_weights("stars", **numbers), [1, 40 / 90, 0.05, 1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown weight"):
        frame_weights("luck", **numbers)  # type: ignore[arg-type]


def test_predicted_noise_is_that_of_the_mean_of_clouded_and_bright_frames() -> None:
    rng = np.random.default_rng(2)
    f, noise, fwhm = rng.uniform(0.3, 1, 30), rng.uniform(8, 25, 30), rng.uniform(2.2, 4.5, 30)
    weights = frame_weights("depth", noise_adu=noise, fwhm_px=fwhm, transparency=f, stars=np.ones(30))
    total = np.zeros(100_000)
    for w, sigma, p in zip(weights, noise, 1 / f, strict=True):
        total += w * p * rng.normal(0, sigma, total.size)
    total /= weights.sum()
    assert predicted_noise(weights, 1 / f, noise) == pytest.approx(total.std(), rel=0.02)
