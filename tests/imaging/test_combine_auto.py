"""The rejection that knows each frame's noise: trails and hits go, stars and clean samples stay."""

import numpy as np
import pytest

from astrotui.imaging.combine import combine_stack

NOISE, SKY, SHAPE = 10.0, 200.0, (160, 256)


def scene(n: int, seed: int, *, noise: np.ndarray | float = NOISE, seeing: bool = True) -> np.ndarray:
    """Aligned frames of stars with photon noise, seeing that changes and residual shifts of 0.05 px."""
    rng = np.random.default_rng(seed)
    stars = np.column_stack(
        [rng.uniform(0, SHAPE[1], 50), rng.uniform(0, SHAPE[0], 50), 10 ** rng.uniform(2.5, 5, 50)]
    )
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    frames = []
    for i in range(n):
        sigma = rng.uniform(1.15, 1.3) if seeing else 1.2
        dx, dy = rng.normal(0, 0.05, 2)
        light = np.zeros(SHAPE)
        for sx, sy, flux in stars:
            profile = np.exp(-((x - sx - dx) ** 2 + (y - sy - dy) ** 2) / (2 * sigma**2))
            light += flux / (2 * np.pi * sigma**2) * profile
        own = float(np.broadcast_to(noise, n)[i])
        photon = NOISE**2 / SKY  # variance per ADU of a sky-limited camera
        frames.append(SKY + light + rng.normal(size=SHAPE) * np.sqrt(own**2 + photon * light))
    return np.array(frames, np.float32)


def with_trail(frames: np.ndarray, peak: float, width: float = 1.3) -> tuple[np.ndarray, np.ndarray]:
    """A trail across the second frame, and where it lies."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    distance = (y - 40 - 0.3 * x) / np.hypot(1, 0.3)
    hit = frames.copy()
    hit[1] += (peak * np.exp(-(distance**2) / (2 * width**2))).astype(np.float32)
    return hit, np.abs(distance) < 0.7


def auto(frames: np.ndarray, noise: np.ndarray | float = NOISE):
    n = len(frames)
    return combine_stack(
        frames,
        reject="auto",
        sigma=np.broadcast_to(noise, n),
        photon=np.full(n, NOISE**2 / SKY),
        sky=SKY,
    )


@pytest.mark.parametrize("n", [3, 5, 8, 15])
@pytest.mark.parametrize("peak", [120.0, 1000.0, 20000.0])
def test_a_trail_leaves_nothing(n: int, peak: float) -> None:
    clean = scene(n, seed=n)
    hit, core = with_trail(clean, peak)
    before, after = auto(clean), auto(hit)
    sigma = NOISE / np.sqrt(n)
    excess = (after.value - before.value) / sigma
    sky = np.median(clean, axis=0) < SKY + NOISE  # under a star the trail is small beside the seeing
    assert excess[core & sky].max() < 5
    assert excess[core & sky].mean() < 0.25
    assert after.high_rejected[core & sky].mean() > 0.97
    beside = ~core & sky & (excess != 0)
    assert excess[beside].mean() < 0.8  # what of its flank is under the noise
    assert (np.abs(excess[sky]) > 5).sum() == 0


@pytest.mark.parametrize("n", [3, 5, 8, 15, 40])
def test_clean_samples_stay(n: int) -> None:
    result = auto(scene(n, seed=20 + n))
    rejected = (result.low_rejected + result.high_rejected).sum() / (n * np.prod(SHAPE))
    assert rejected < 0.01


@pytest.mark.parametrize("n", [4, 12])
def test_star_cores_keep_their_samples(n: int) -> None:
    frames = scene(n, seed=3)
    result = auto(frames)
    stars = frames.mean(axis=0) > SKY + 100 * NOISE
    assert stars.sum() > 100
    lost = (result.low_rejected + result.high_rejected)[stars].mean() / n
    assert lost < 0.05
    plain = combine_stack(frames)
    difference = np.abs(result.value - plain.value)[stars] / (plain.value[stars] - SKY)
    assert np.percentile(difference, 95) < 0.04


def test_noisy_frames_are_judged_by_their_own_noise() -> None:
    noise = np.array([10.0] * 8 + [30.0] * 4)
    frames = scene(12, seed=9, noise=noise, seeing=False)
    known = auto(frames, noise)
    blind = combine_stack(frames, reject="winsorized")
    assert (known.low_rejected + known.high_rejected).sum() / frames.size < 0.01
    assert (blind.low_rejected + blind.high_rejected).sum() / frames.size > 0.03


def test_one_outlier_in_four_frames_goes() -> None:
    frames = scene(4, seed=4, seeing=False)
    rng = np.random.default_rng(0)
    y, x = rng.integers(0, SHAPE[0], 400), rng.integers(0, SHAPE[1], 400)
    frames[2, y, x] += 8 * NOISE
    assert auto(frames).high_rejected[y, x].mean() > 0.9  # winsorizing lets 13 % of them through


def test_the_noise_is_found_when_it_is_not_told() -> None:
    frames = scene(5, seed=6)
    hit, core = with_trail(frames, 500.0)
    result = combine_stack(hit, reject="auto")
    assert result.high_rejected[core].mean() > 0.97


@pytest.mark.parametrize("n", [12, 40])
def test_stars_keep_their_light_when_few_frames_are_softer(n: int) -> None:
    """A clip by noise alone takes the flanks of stars in frames of another seeing, and so their light."""
    rng = np.random.default_rng(n)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    places = [(sx, sy) for sy in range(16, 150, 24) for sx in range(16, 250, 24)]
    flux = 10 ** rng.uniform(4, 5, len(places))
    frames = []
    for i in range(n):
        sigma = 1.4 if i % 6 == 5 else 1.2
        light = np.zeros(SHAPE)
        for (sx, sy), f in zip(places, flux, strict=True):
            light += f / (2 * np.pi * sigma**2) * np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / (2 * sigma**2))
        photon = NOISE**2 / SKY
        frames.append(SKY + light + rng.normal(size=SHAPE) * np.sqrt(NOISE**2 + photon * light))
    cube = np.array(frames, np.float32)
    kept, plain = auto(cube).value - SKY, combine_stack(cube).value - SKY
    around = np.s_[-9:10]
    ratios = np.array(
        [
            kept[sy + around.start : sy + around.stop, sx + around.start : sx + around.stop].sum()
            / plain[sy + around.start : sy + around.stop, sx + around.start : sx + around.stop].sum()
            for sx, sy in places
        ]
    )
    assert abs(np.median(ratios) - 1) < 0.006  # the same for all: what the softer frames spread furthest
    assert 1.4826 * np.median(np.abs(ratios - np.median(ratios))) < 0.001


def test_where_tiles_meet_changes_no_bit() -> None:
    """A pixel looks at its neighbors: with its margin, a part of an image is what it is in the whole."""
    from astrotui.imaging.auto_kernels import MARGIN
    from astrotui.imaging.combine import fill_tile, new_tile, run_auto_tile, typical_noise

    frames = with_trail(scene(12, seed=5), 1000.0)[0]
    frames[3, 40:60, 30:90] = np.nan
    n, top, left, rows, columns = 12, 31, 45, 50, 101
    part = frames[:, top - MARGIN : top + rows + MARGIN, left - MARGIN : left + columns + MARGIN]
    tile = new_tile(1, rows + 2 * MARGIN, columns + 2 * MARGIN, n)
    fill_tile(tile, part[:, None])
    sigma = np.full((1, n), NOISE, np.float32)
    photon = np.full((1, n), NOISE**2 / SKY, np.float32)
    value, counts = np.empty((1, rows, columns), np.float32), np.empty((3, 1, rows, columns), np.uint16)
    sky, weight = np.full(1, SKY, np.float32), np.ones(n, np.float32)
    typical = typical_noise(sigma, photon)
    run_auto_tile(tile, columns + 2 * MARGIN, MARGIN, (3.0, 3.0), sigma, typical, sky, weight, value, counts)
    whole = auto(frames)
    here = np.s_[top : top + rows, left : left + columns]
    assert np.array_equal(value[0], whole.value[here])
    assert np.array_equal(counts[0, 0], whole.low_rejected[here])
    assert np.array_equal(counts[1, 0], whole.high_rejected[here])
