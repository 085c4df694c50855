"""Where frames are expected that follow each other: dithered, turning, turned over at the meridian."""

import numpy as np
import pytest

from astrotui.imaging.geometry import apply
from astrotui.imaging.hints import Following
from astrotui.imaging.register import match_stars
from astrotui.imaging.types import StarList

SHAPE = (2160, 3840)


def sky(seed: int = 1) -> StarList:
    rng = np.random.default_rng(seed)
    flux = np.sort(rng.pareto(1.2, 900) * 1000)[::-1]
    x, y = rng.uniform(-1500, 5300, 900), rng.uniform(-2300, 4500, 900)
    return StarList(x.astype(np.float32), y.astype(np.float32), flux.astype(np.float32))


def seen(whole: StarList, to_sky: np.ndarray, seed: int) -> StarList:
    """Stars of the sky that a frame shows, at its own pixels."""
    points = apply(np.linalg.inv(to_sky), np.stack([whole.x, whole.y], axis=1).astype(np.float64))
    points += np.random.default_rng(seed).normal(0, 0.05, points.shape)
    inside = ((points > 0) & (points < SHAPE[::-1])).all(axis=1)
    x, y = points[inside].T.astype(np.float32)
    return StarList(x, y, whole.flux[inside])


def placed(degrees: float, dx: float, dy: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle = np.array([[1, 0, SHAPE[1] / 2], [0, 1, SHAPE[0] / 2], [0, 0, 1.0]])
    return middle @ np.array([[c, -s, dx], [s, c, dy], [0, 0, 1.0]]) @ np.linalg.inv(middle)


def corners_apart(a: np.ndarray, b: np.ndarray) -> float:
    corners = np.array([[0, 0], [SHAPE[1], 0], [0, SHAPE[0]], SHAPE[::-1]], np.float64)
    return float(np.abs(apply(a, corners) - apply(b, corners)).max())


@pytest.mark.parametrize("rate", [0.0, 0.02, 2.3, -3.1])
def test_dithered_frames_that_go_on_turning_are_expected_where_they_are(rate: float) -> None:
    rng, whole = np.random.default_rng(5), sky()
    reference, following = seen(whole, np.eye(3), 0), Following()
    for number in range(12):
        truth = placed(rate * number, *rng.uniform(-60, 60, 2))
        frame = seen(whole, truth, number + 1)
        guess = following.guess(frame, reference)
        assert guess is not None
        if number != 1 or abs(rate) < 0.1:  # from two frames on it is known how they turn
            assert corners_apart(guess, truth) < 6, number
        following.found(match_stars(frame, reference, shape=SHAPE, hint=guess).transform)


def test_a_turn_that_ends_is_noticed() -> None:
    whole = sky(2)
    reference, following = seen(whole, np.eye(3), 0), Following()
    for number, degrees in enumerate((0.0, 4.0, 8.0, 8.0, 8.0)):
        truth = placed(degrees, 10.0 * number, -7.0)
        frame = seen(whole, truth, number + 1)
        guess = following.guess(frame, reference)
        if number >= 2:
            assert guess is not None and corners_apart(guess, truth) < 6, number
        following.found(truth)


def test_frames_without_stars_are_expected_nowhere() -> None:
    assert Following().guess(StarList.empty(), sky()) is None
    two = StarList(*np.ones((3, 2), np.float32))
    assert Following().guess(two, sky()) is None
