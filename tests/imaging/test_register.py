"""Frames are laid on each other to a few hundredths of a pixel, or refused."""

import numpy as np
import pytest

from astrotui.imaging.geometry import apply, fit_model, phase_shift, translation
from astrotui.imaging.quality import measure_frame
from astrotui.imaging.register import (
    Registration,
    RegistrationError,
    match_stars,
    round_to_integer_shift,
)
from astrotui.imaging.types import StarList
from sample_sessions.sky import Camera, expose, inverse, random_hot, random_sky, similarity

HEIGHT, WIDTH = 500, 800
SHAPE = (HEIGHT, WIDTH)
CENTER = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
GRID = np.stack(np.meshgrid(np.linspace(0, WIDTH, 9), np.linspace(0, HEIGHT, 9)), -1).reshape(-1, 2)


def _stars(points: np.ndarray, flux: np.ndarray) -> StarList:
    order = np.argsort(-flux)
    x, y, f = (a.astype(np.float32) for a in (points[order, 0], points[order, 1], flux[order]))
    return StarList(x, y, f)


def _lists(
    seed: int,
    to_frame: np.ndarray,
    *,
    count: int = 80,
    error_px: float = 0.03,
    lost: float = 0.2,
    strangers: int = 5,
) -> tuple[StarList, StarList]:
    """A frame's and a reference's list: places with errors, stars lost at random, and strangers."""
    rng = np.random.default_rng(seed)
    margin = 400
    everything = rng.uniform((-margin, -margin), (WIDTH + margin, HEIGHT + margin), (6 * count, 2))
    flux = 10 ** rng.uniform(2.5, 5, len(everything))

    def seen(points: np.ndarray) -> StarList:
        kept = (
            (points > 3).all(1) & (points < (WIDTH - 4, HEIGHT - 4)).all(1) & (rng.random(len(points)) > lost)
        )
        where = points[kept] + rng.normal(0, error_px, (kept.sum(), 2))
        light = flux[kept] * np.exp(rng.normal(0, 0.05, kept.sum()))
        extra = rng.uniform((3, 3), (WIDTH - 4, HEIGHT - 4), (strangers, 2))
        both = _stars(
            np.concatenate([where, extra]), np.concatenate([light, 10 ** rng.uniform(2.5, 4, strangers)])
        )
        return StarList(both.x[:count], both.y[:count], both.flux[:count])

    return seen(apply(to_frame, everything)), seen(everything)


def _error(found: Registration, to_frame: np.ndarray) -> float:
    return float(np.hypot(*(apply(found.transform, GRID) - apply(inverse(to_frame), GRID)).T).max())


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("cfa", ["RGGB", None])
@pytest.mark.parametrize(("dx", "dy", "degrees"), [(12.4, -7.8, 0.4), (-33.2, 20.6, 180.1), (5.5, 3.3, 69.5)])
def test_simulated_frames_come_to_lie_on_each_other(
    seed: int, cfa: str | None, dx: float, dy: float, degrees: float
) -> None:
    sky = random_sky(seed, WIDTH, HEIGHT, 400, faint=120, margin=300)
    camera = Camera(WIDTH, HEIGHT, cfa=cfa, hot=random_hot(seed, WIDTH, HEIGHT, 400))
    moved = similarity(dx, dy, degrees, center=CENTER)
    lists = []
    for noise, matrix in enumerate((moved, None)):
        frame = expose(
            sky, camera, exposure_s=10, to_frame=matrix, rng=np.random.default_rng(10 * seed + noise)
        )
        lists.append(measure_frame(frame, cfa_phase=cfa, full_scale_adu=65535).star_list)
    found = match_stars(*lists, shape=SHAPE)
    true = apply(inverse(moved), np.array([CENTER])) - CENTER
    assert found.shift_at_center(SHAPE) == pytest.approx(true[0], abs=0.05)
    assert found.rotation_deg == pytest.approx((-degrees + 180) % 360 - 180, abs=0.02)
    assert found.scale == pytest.approx(1, abs=2e-4)
    assert found.warning is None
    assert _error(found, moved) < 0.12


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [12, 20, 60])
def test_twenty_stars_are_enough_at_any_rotation(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    moved = similarity(*rng.uniform(-60, 60, 2), rng.uniform(0, 360), center=CENTER)
    angle, radius = rng.uniform(0, 2 * np.pi, count), 240 * np.sqrt(rng.uniform(0, 1, count))
    places = np.stack([CENTER[0] + radius * np.cos(angle), CENTER[1] + radius * np.sin(angle)], 1)
    flux = 10 ** rng.uniform(2.5, 5, count)
    kept = [np.flatnonzero(rng.random(count) > 0.2) for _ in range(2)]  # each list misses a fifth
    frame, reference = (
        _stars(
            apply(m, places[k]) + rng.normal(0, 0.04, (len(k), 2)), flux[k] * rng.uniform(0.9, 1.1, len(k))
        )
        for m, k in zip((moved, np.eye(3)), kept, strict=True)
    )
    found = match_stars(frame, reference, shape=SHAPE)
    assert _error(found, moved) < 0.4  # in the corners, outside the circle of the stars
    assert found.matched >= 5
    pairs = apply(found.transform, np.stack([frame.x, frame.y], 1)[found.frame_index])
    there = np.stack([reference.x, reference.y], 1)[found.reference_index]
    assert np.hypot(*(pairs - there).T).max() < 1


@pytest.mark.parametrize(("model", "tolerance"), [("shift", 0.03), ("similarity", 0.06), ("affine", 0.1)])
def test_each_model_finds_a_shift(model: str, tolerance: float) -> None:
    moved = translation(41.25, -17.75)
    found = match_stars(*_lists(3, moved), model=model, shape=SHAPE)  # type: ignore[arg-type]
    assert found.model == model
    assert _error(found, moved) < tolerance
    whole = round_to_integer_shift(found, SHAPE)
    np.testing.assert_array_equal(whole, translation(-41, 18))


def test_affine_and_homography_follow_what_a_similarity_cannot() -> None:
    bent = similarity(10, 5, 2, center=CENTER)
    bent[0, 1] += 0.006
    tilted = bent.copy()
    tilted[2, :2] = 6e-6, -8e-6
    for model, matrix in (("affine", bent), ("homography", tilted)):
        lists = _lists(4, matrix, count=200)
        good = match_stars(*lists, model=model, shape=SHAPE)  # type: ignore[arg-type]
        poor = match_stars(*lists, model="similarity", shape=SHAPE)
        assert _error(good, matrix) < 0.12
        assert _error(poor, matrix) > 0.5


def test_few_stars_get_a_simpler_model_and_a_warning() -> None:
    moved = similarity(4, 9, 1, center=CENTER)
    found = match_stars(*_lists(5, moved, count=12, strangers=0), model="homography", shape=SHAPE)
    assert found.model == "similarity"
    assert found.warning is not None


def test_the_same_lists_give_the_same_bytes_and_leave_numpy_alone() -> None:
    lists = _lists(6, similarity(5, 6, 33, center=CENTER))
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    transforms = {match_stars(*lists, shape=SHAPE, seed=1).transform.tobytes() for _ in range(4)}
    assert len(transforms) == 1
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("seed", range(4))
def test_fields_that_have_nothing_in_common_are_refused(seed: int) -> None:
    one, _ = _lists(100 + seed, np.eye(3), count=[15, 40, 150, 400][seed % 4])
    _, other = _lists(200 + seed, np.eye(3), count=[15, 40, 150, 400][seed % 4])
    with pytest.raises(RegistrationError, match="do not match"):
        match_stars(one, other, shape=SHAPE)


def test_mirror_images_and_absurd_scales_are_refused() -> None:
    mirror = np.array([[-1.0, 0, WIDTH - 1], [0, 1, 0], [0, 0, 1]])
    with pytest.raises(RegistrationError):
        match_stars(*_lists(7, mirror), shape=SHAPE)
    with pytest.raises(RegistrationError):
        match_stars(*_lists(8, similarity(scale=1.4, center=CENTER)), shape=SHAPE, scale_limits=(0.9, 1.1))
    allowed = similarity(scale=1.4, center=CENTER)
    assert _error(match_stars(*_lists(8, allowed, lost=0.0), shape=SHAPE), allowed) < 0.2


def test_hot_pixels_that_stay_do_not_hide_the_stars_that_move() -> None:
    moved = translation(-22, 60)
    frame, reference = _lists(9, moved, count=60)
    rng = np.random.default_rng(9)
    fixed = rng.uniform((5, 5), (WIDTH - 5, HEIGHT - 5), (120, 2)).round()

    def spoiled(stars: StarList) -> StarList:
        points = np.concatenate([np.stack([stars.x, stars.y], 1), fixed])
        return _stars(points, np.concatenate([stars.flux, rng.uniform(5e4, 4e5, len(fixed))]))

    found = match_stars(spoiled(frame), spoiled(reference), shape=SHAPE)
    assert _error(found, moved) < 0.2
    assert found.warning is not None
    assert "hot pixels" in found.warning


def test_no_shift_over_a_long_time_is_doubted() -> None:
    frame, reference = _lists(10, np.eye(3), error_px=0.002, lost=0.0, strangers=0)
    doubted = match_stars(frame, reference, shape=SHAPE, span_s=3600)
    assert doubted.warning is not None
    assert "no shift" in doubted.warning
    assert match_stars(frame, reference, shape=SHAPE, span_s=20).warning is None
    assert match_stars(frame, frame, shape=SHAPE, span_s=3600).warning is None


def test_a_hint_is_used_when_it_is_right_and_survived_when_it_is_wrong() -> None:
    moved = similarity(30, -20, 5, center=CENTER)
    lists = _lists(11, moved)
    for hint in (inverse(moved) @ translation(1.5, 1), translation(300, 200)):
        assert _error(match_stars(*lists, shape=SHAPE, hint=hint), moved) < 0.12


def test_without_stars_the_pictures_are_correlated_when_given() -> None:
    rng = np.random.default_rng(12)
    wide = np.cumsum(np.cumsum(rng.normal(size=(300, 300)), 0), 1)
    wide = (wide - wide.mean()) / wide.std() + rng.normal(0, 0.01, wide.shape)
    reference, frame = wide[40:240, 30:230], wide[33:233, 41:241]
    assert phase_shift(frame, reference) == (11.0, -7.0)
    assert phase_shift(rng.normal(size=(99, 99)), rng.normal(size=(99, 99))) is None
    nobody = StarList.empty()
    found = match_stars(nobody, nobody, shape=(400, 400), images=(frame, reference))
    assert found.shift_at_center((400, 400)) == pytest.approx((22, -14))
    assert found.warning is not None
    with pytest.raises(RegistrationError, match="only 0 stars"):
        match_stars(nobody, nobody, shape=SHAPE)


@pytest.mark.parametrize("model", ["shift", "similarity", "affine", "homography"])
def test_models_are_exact_on_exact_points(model: str) -> None:
    matrix = {
        "shift": translation(3, -2),
        "similarity": similarity(3, -2, 40, 1.1, CENTER),
        "affine": np.array([[1.1, 0.2, 3], [-0.1, 0.9, 5], [0, 0, 1]]),
        "homography": np.array([[1.1, 0.2, 3], [-0.1, 0.9, 5], [1e-5, 2e-5, 1]]),
    }[model]
    points = np.random.default_rng(0).uniform(0, 1000, (30, 2))
    fitted = fit_model(model, points, apply(matrix, points), np.random.default_rng(1).uniform(0.1, 1, 30))
    np.testing.assert_allclose(fitted, matrix, atol=1e-6)


@pytest.mark.parametrize(("seed", "degrees", "scale"), [(1, 0.3, 1.0), (2, 69.5, 1.0), (3, 180.2, 1.01)])
def test_the_transform_is_astroaligns(seed: int, degrees: float, scale: float) -> None:
    import astroalign

    to_frame = similarity(14.2, -9.7, degrees, scale, CENTER)
    frame, reference = _lists(seed, to_frame)
    found = match_stars(frame, reference, shape=SHAPE)
    lists = [np.stack([s.x[:50], s.y[:50]], axis=1).astype(float) for s in (frame, reference)]
    oracle, _ = astroalign.find_transform(*lists, max_control_points=50)
    ours, theirs = apply(found.transform, GRID), apply(np.asarray(oracle.params), GRID)
    # theirs is not weighted and rests on fewer stars: both miss the truth, ours by less
    assert np.hypot(*(ours - theirs).T).max() < 0.15
    assert _error(found, to_frame) < 0.05
