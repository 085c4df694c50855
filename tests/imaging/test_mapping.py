"""A lens that bends lines: there and back, against the simulator's own optics, and as the resampler follows it."""

import numpy as np
import pytest

from astrotui.imaging.mapping import Lens, Mapping
from astrotui.imaging.resample import resample
from astrotui.imaging.warp import places, plan_warp
from sample_sessions import sky as sim

WIDTH, HEIGHT = 420, 300


def grid() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:HEIGHT:7, 0:WIDTH:7].astype(float)
    return x, y


@pytest.mark.parametrize(("k1", "k2"), [(-0.02, 0.0), (0.02, 0.0), (-0.08, 0.03), (0.05, -0.02), (0.0, 0.01)])
def test_a_lens_is_undone(k1: float, k2: float) -> None:
    lens = Lens.centered(WIDTH, HEIGHT, k1, k2)
    points = np.stack([v.ravel() for v in grid()], axis=1)
    assert np.abs(lens.undistort(lens.distort(points)) - points).max() < 1e-8
    assert np.abs(lens.distort(lens.undistort(points)) - points).max() < 1e-8


def test_a_lens_bends_as_the_simulated_one_does() -> None:
    x, y = grid()
    lens, truth = Lens.centered(WIDTH, HEIGHT, -0.02, 0.004), sim.Lens(WIDTH, HEIGHT, -0.02, 0.004)
    bent = lens.distort(np.stack([x.ravel(), y.ravel()], axis=1))
    bx, by = truth.bend(x, y)
    assert np.abs(bent[:, 0] - bx.ravel()).max() < 1e-9
    assert np.abs(bent[:, 1] - by.ravel()).max() < 1e-9


def test_there_is_nothing_beyond_what_a_lens_shows() -> None:
    lens = Lens.centered(WIDTH, HEIGHT, -0.1)
    far = np.array([[WIDTH * 3.0, HEIGHT * 3.0]])
    assert np.isnan(lens.distort(far)).all()
    assert np.isnan(lens.undistort(far)).all()


def test_a_mapping_goes_there_and_back() -> None:
    turn = np.linalg.inv(sim.turned_sky(WIDTH, HEIGHT, 400.0, 4.0))
    mapping = Mapping(turn / turn[2, 2], Lens.centered(WIDTH, HEIGHT, -0.02))
    x, y = grid()
    u, v = mapping.to_frame(*mapping.to_reference(x, y))
    assert np.nanmax(np.hypot(u - x, v - y)) < 1e-8
    half = mapping.halved()
    X, Y = mapping.to_reference(2 * x + 0.5, 2 * y + 0.5)
    a, b = half.to_reference(x, y)
    inside = np.isfinite(X) & np.isfinite(a)
    assert np.abs(2 * a + 0.5 - X)[inside].max() < 1e-8
    assert np.abs(2 * b + 0.5 - Y)[inside].max() < 1e-8


@pytest.mark.parametrize("degrees", [3.0, 93.0, 183.0, 274.0])
def test_resampling_follows_the_lens(degrees: float) -> None:
    """A smooth picture of the undistorted sky, seen through the lens by a turned frame, comes back as the reference."""
    to_frame = sim.similarity(5.3, -4.2, degrees, 1.0, ((WIDTH - 1) / 2, (HEIGHT - 1) / 2))
    lens = sim.Lens(WIDTH, HEIGHT, -0.025, 0.005)

    def picture(matrix: np.ndarray) -> np.ndarray:
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
        sx, sy = sim.apply(sim.inverse(matrix), *lens.straighten(x, y))
        return (100 + np.sin(sx / 4) * np.cos(sy / 5)).astype(np.float32)

    found = resample(
        picture(to_frame),
        sim.inverse(to_frame),
        (HEIGHT, WIDTH),
        lens=Lens.centered(WIDTH, HEIGHT, -0.025, 0.005),
    )
    off = np.abs(found - picture(np.eye(3)))[np.isfinite(found)]
    assert np.isfinite(found).mean() > 0.4
    assert np.percentile(off, 99) < 0.01


def test_a_window_holds_all_that_a_rectangle_needs() -> None:
    lens = Lens.centered(WIDTH, HEIGHT, -0.03)
    turn = sim.inverse(sim.turned_sky(WIDTH, HEIGHT, 400.0, 5.0))
    warp = plan_warp(turn, WIDTH, HEIGHT, lens=lens)
    assert not warp.two_pass
    for X0 in (-40, 0, 200):
        for place, window in places(warp, X0, 20, 200, 64, 2048):
            X, Y = np.meshgrid(
                X0 + place.column + np.arange(place.columns), 20 + place.row + np.arange(place.rows)
            )
            x, y = warp.positions(X.astype(float), Y.astype(float))
            inside = (x >= -0.5) & (x <= WIDTH - 0.5) & (y >= -0.5) & (y <= HEIGHT - 0.5)
            assert inside.any()
            assert x[inside].min() >= window.x0 + 2
            assert x[inside].max() < window.x0 + window.width - 3
            assert y[inside].min() >= window.y0 + 2
            assert y[inside].max() < window.y0 + window.height - 3


def test_the_reference_itself_is_not_bent_there_and_back() -> None:
    warp = plan_warp(np.eye(3), WIDTH, HEIGHT, lens=Lens.centered(WIDTH, HEIGHT, -0.03))
    assert warp.lens is None
    assert warp.two_pass
