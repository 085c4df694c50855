"""Demosaicing: exact on what it must reproduce, the same in all four phases, clamped, local."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from astrotui.imaging.debayer import debayer, superpixel
from astrotui.imaging.resample import resample

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")


def mosaic_of(planes: np.ndarray, pattern: str) -> np.ndarray:
    """What a sensor records of color planes (3, H, W)."""
    out = np.empty(planes.shape[1:], np.float32)
    for y in (0, 1):
        for x in (0, 1):
            out[y::2, x::2] = planes["RGB".index(pattern[2 * y + x]), y::2, x::2]
    return out


def stars(seed: int = 3, shape: tuple[int, int] = (90, 120), sigma: float = 1.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    light = np.zeros(shape)
    for _ in range(25):
        light += rng.uniform(200, 5000) * np.exp(
            -((x - rng.uniform(5, shape[1] - 5)) ** 2 + (y - rng.uniform(5, shape[0] - 5)) ** 2)
            / (2 * sigma**2)
        )
    return np.stack([0.7 * light + 50, light + 80, 0.5 * light + 40]).astype(np.float32)


def malvar_reference(mosaic: np.ndarray, pattern: str, sky: float, allow: float) -> np.ndarray:
    """Malvar, He & Cutler by plain convolutions: a mean of the nearest pixels and a limited correction."""
    from scipy.ndimage import correlate

    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4
    sides, ends = (
        np.array([[0, 0, 0], [1, 0, 1], [0, 0, 0]]) / 2,
        np.array([[0, 1, 0], [0, 0, 0], [0, 1, 0]]) / 2,
    )
    corners = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1]]) / 4
    g = (
        np.array([[0, 0, -1, 0, 0], [0, 0, 0, 0, 0], [-1, 0, 4, 0, -1], [0, 0, 0, 0, 0], [0, 0, -1, 0, 0]])
        / 8
    )
    h = np.array(
        [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 0, 5, 0, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
    )
    d = 1.5 * g

    def estimate(mean: np.ndarray, correction: np.ndarray) -> np.ndarray:
        value = correlate(mosaic.astype(np.float64), mean, mode="mirror")
        limit = 6 * np.abs(value - sky) + allow
        return value + np.clip(correlate(mosaic.astype(np.float64), correction, mode="mirror"), -limit, limit)

    guesses = {
        "green": estimate(cross, g),
        "sides": estimate(sides, h / 8),
        "ends": estimate(ends, h.T / 8),
        "corners": estimate(corners, d),
    }
    out = np.empty((3, *mosaic.shape))
    for y in (0, 1):
        for x in (0, 1):
            here = pattern[2 * y + x]
            at = np.s_[y::2, x::2]
            out["RGB".index(here)][at] = mosaic[at]
            if here == "G":
                beside = pattern[2 * y + 1 - x]
                out["RGB".index(beside)][at] = guesses["sides"][at]
                out["RGB".index({"R": "B", "B": "R"}[beside])][at] = guesses["ends"][at]
            else:
                out[1][at] = guesses["green"][at]
                out["RGB".index({"R": "B", "B": "R"}[here])][at] = guesses["corners"][at]
    return out


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", [(61, 83), (16, 1400), (3, 3)])
@pytest.mark.parametrize("allow", [5.0, 1e9])
def test_malvar_is_its_definition(pattern: str, shape: tuple[int, int], allow: float) -> None:
    mosaic = np.random.default_rng(1).normal(500, 100, shape).astype(np.float32)
    result = debayer(mosaic, pattern, sky=(490, 490, 490), allow=allow)
    assert_allclose(result, malvar_reference(mosaic, pattern, 490, allow), atol=1e-3)


@pytest.mark.parametrize("method", ["malvar", "crisp"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_stars_keep_their_light_and_color_wherever_they_fall(pattern: str, method: str) -> None:
    y, x = np.mgrid[:40, :40]
    rng = np.random.default_rng(0)
    lights = []
    for _ in range(40):
        px, py = rng.uniform(18, 22, 2)
        star = 20000 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.22**2))  # FWHM 2.88 px
        planes = np.stack([0.5 * star, star, 1.3 * star]) + 200
        mosaic = mosaic_of(planes.astype(np.float32), pattern)
        result = debayer(mosaic, pattern, method, sky=(200, 200, 200), allow=30)
        lights.append((result - 200).sum(axis=(1, 2)) / (planes - 200).sum(axis=(1, 2)))
    assert_allclose(np.mean(lights, axis=0), 1, atol=0.015)
    assert (np.std(lights, axis=0) < 0.02).all()


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("method", ["malvar", "crisp", "bilinear"])
def test_even_colors_come_back(pattern: str, method: str) -> None:
    planes = np.broadcast_to(np.array([10, 200, 3000], np.float32)[:, None, None], (3, 40, 50))
    assert_allclose(debayer(mosaic_of(planes, pattern), pattern, method), planes, rtol=1e-6)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_recorded_pixels_stay(pattern: str) -> None:
    mosaic = mosaic_of(stars(), pattern)
    for method in ("malvar", "crisp", "bilinear"):
        assert_array_equal(mosaic_of(debayer(mosaic, pattern, method), pattern), mosaic)


def test_crisp_and_soft_resampling_know_more_than_malvar_and_sharp() -> None:
    """Of dithered stars and noise: less noise in sums of 4x4 pixels at stars that are hardly wider."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:96, :96]
    shifts = rng.uniform(-1, 1, (8, 2))
    width, noise = {}, {}
    for method, kernel in (("malvar", "lanczos3"), ("crisp", "mitchell")):
        star, sums = np.zeros((96, 96)), []
        for dx, dy in shifts:
            move = np.array([[1, 0, -dx], [0, 1, -dy], [0, 0, 1.0]])
            light = 20000 * np.exp(-((x - 48 - dx) ** 2 + (y - 48 - dy) ** 2) / (2 * 1.22**2))
            for image in (light, np.random.default_rng(int(1e6 * dx**2)).normal(0, 10, light.shape)):
                planes = np.broadcast_to(image.astype(np.float32), (3, 96, 96))
                green = debayer(mosaic_of(planes, "RGGB"), "RGGB", method, sky=(0, 0, 0), allow=30)[1]
                moved = resample(green, move, (96, 96), method=kernel)[8:88, 8:88]
                if image is light:
                    star[8:88, 8:88] += moved
                else:
                    sums.append(moved.reshape(20, 4, 20, 4).sum(axis=(1, 3)).std())
        near = np.s_[42:55, 42:55]
        above = star[near] > 0.5 * star.max()
        width[method], noise[method] = np.sqrt(above.sum() / np.pi), np.mean(sums)
    assert noise["crisp"] < 0.98 * noise["malvar"]
    assert width["crisp"] <= 1.06 * width["malvar"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_gradient_correction_beats_bilinear_on_stars(pattern: str) -> None:
    planes = stars()
    mosaic = mosaic_of(planes, pattern)
    errors = [
        np.sqrt(np.mean((debayer(mosaic, pattern, method) - planes) ** 2, axis=(1, 2)))
        for method in ("malvar", "bilinear")
    ]
    assert errors[0][1] < 0.4 * errors[1][1]
    assert errors[0].sum() < 0.7 * errors[1].sum()


@pytest.mark.parametrize("method", ["malvar", "crisp", "bilinear"])
def test_a_hot_pixel_leaves_no_dark_cross(method: str) -> None:
    mosaic = np.full((30, 30), 100, np.float32)
    mosaic[14, 14] = 60000
    result = debayer(mosaic, "RGGB", method, allow=6)
    assert result.min() >= 100 - 6
    assert result.max() <= 60000


def test_bilinear_keeps_channels_apart() -> None:
    mosaic = np.zeros((20, 20), np.float32)
    mosaic[1::2, 1::2] = np.random.default_rng(0).uniform(0, 1000, (10, 10))
    result = debayer(mosaic, "RGGB", "bilinear")
    assert_array_equal(result[0], 0)
    assert_array_equal(result[1], 0)


def test_missing_pixels_stay_local() -> None:
    mosaic = np.full((30, 40), 5, np.float32)
    mosaic[12, 20] = np.nan
    missing = np.isnan(debayer(mosaic, "GRBG"))
    rows, columns = np.nonzero(missing.any(axis=0))
    assert missing.any() and abs(rows - 12).max() <= 2 and abs(columns - 20).max() <= 2


@pytest.mark.parametrize("pattern", PATTERNS)
def test_superpixel_takes_one_pixel_a_cell(pattern: str) -> None:
    planes = np.random.default_rng(2).uniform(0, 100, (3, 21, 33)).astype(np.float32)
    mosaic = mosaic_of(planes, pattern)
    result = superpixel(mosaic, pattern)
    assert result.shape == (3, 10, 16)
    cell = {c: [] for c in "RGB"}
    for k, letter in enumerate(pattern):
        cell[letter].append(mosaic[4 + k // 2, 6 + k % 2])
    assert_allclose(result[:, 2, 3], [np.mean(cell[c]) for c in "RGB"], rtol=1e-6)
    assert_array_equal(debayer(mosaic, pattern, "superpixel"), result)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="not a Bayer pattern"):
        debayer(np.zeros((8, 8), np.float32), "RGBG")
    with pytest.raises(ValueError, match="too small"):
        debayer(np.zeros((2, 8), np.float32), "RGGB")
