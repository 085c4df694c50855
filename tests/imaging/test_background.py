"""Skies with known gradients, with and without something in front."""

import numpy as np
import pytest

from astrotui.errors import UsageError
from astrotui.imaging.background import fit_background, measure_tiles

H, W = 360, 640


def scene(
    gradient: np.ndarray, *, galaxy: float = 0.0, size: float = 30.0, noise: float = 20.0, seed: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Image and target alone: sky of 500 ADU plus `gradient`, 200 stars, an exponential disc."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:H, :W].astype(np.float32)
    target = galaxy * np.exp(-np.hypot((x - 300) * 0.7, y - 170) / size)
    image = 500 + gradient + target + rng.normal(0, noise, (H, W))
    for _ in range(200):
        sy, sx, flux = rng.uniform(5, H - 5), rng.uniform(5, W - 5), 10 ** rng.uniform(2, 4)
        box = (slice(int(sy) - 5, int(sy) + 6), slice(int(sx) - 5, int(sx) + 6))
        image[box] += flux * np.exp(-((x[box] - sx) ** 2 + (y[box] - sy) ** 2) / 4.0)
    return image.astype(np.float32), target.astype(np.float32)


def ramp(x_range: float, y_range: float) -> np.ndarray:
    y, x = np.mgrid[:H, :W]
    return x_range * (x / (W - 1) - 0.5) + y_range * (y / (H - 1) - 0.5)


def test_a_plane_goes_and_the_level_stays() -> None:
    gradient = ramp(200, -120)
    image, _ = scene(gradient)
    model = fit_background(image)
    assert model.kind == "plane"
    surface = model.evaluate(np.arange(H), np.arange(W))[0]
    error = surface - 500 - gradient
    assert np.abs(error).max() < 4.0  # of a range of 320, with stars in every tile
    clean = model.remove(image)
    tiles = measure_tiles(clean).level
    assert np.nanstd(tiles) < 3.0
    assert np.median(clean) == pytest.approx(500, abs=6)


@pytest.mark.parametrize(
    ("kind", "lost"), [("plane", 0.02), ("auto", 0.02), ("quadratic", 0.05), ("spline", 0.08)]
)
def test_a_galaxy_is_not_eaten(kind: str, lost: float) -> None:
    """A disc that is noticeable over a third of the picture keeps its light, all but `lost`."""
    image, target = scene(ramp(200, -120), galaxy=1500, size=30)
    model = fit_background(image, kind)  # type: ignore[arg-type]
    clean = model.remove(image) - np.float32(model.level[0])
    inside = target > 15
    plain, _ = scene(np.zeros((H, W)), galaxy=1500, size=30)
    before = (plain - 500)[inside].sum()
    assert clean[inside].sum() == pytest.approx(before, rel=lost)
    assert model.target_fraction > 0.05


def test_auto_takes_a_curved_surface_only_where_the_sky_is_curved() -> None:
    y, x = np.mgrid[:H, :W]
    dome = 150 * (((x - W / 2) / W) ** 2 + ((y - H / 2) / H) ** 2) * 4
    image, _ = scene(dome)
    model = fit_background(image)
    assert model.kind == "quadratic"
    assert np.nanstd(measure_tiles(model.remove(image)).level) < 4.0
    assert fit_background(scene(ramp(100, 100))[0]).kind == "plane"


def test_a_spline_follows_what_a_plane_cannot() -> None:
    y, x = np.mgrid[:H, :W]
    glow = 300 * np.exp(-(x + y) / 150.0)  # lights at one corner
    image, _ = scene(glow)
    residue = {
        kind: np.nanstd(measure_tiles(fit_background(image, kind).remove(image)).level)  # type: ignore[arg-type]
        for kind in ("plane", "cubic", "spline")
    }
    assert residue["spline"] < 0.35 * residue["plane"]
    assert residue["cubic"] < residue["plane"]


def test_channels_have_their_own_surface_and_divide_flattens_shading() -> None:
    shade = 1 - 0.3 * ramp(1, 1)
    planes = np.stack([scene(np.zeros((H, W)), seed=s)[0] * shade for s in (1, 2, 3)]).astype(np.float32)
    planes[1] *= 2
    model = fit_background(planes, "quadratic")
    flat = model.remove(planes, mode="divide")
    for channel in flat:
        level = measure_tiles(channel).level
        assert np.nanstd(level) / np.nanmean(level) < 0.01
    assert model.level[1] == pytest.approx(2 * model.level[0], rel=0.03)


def test_a_part_is_treated_as_in_the_whole() -> None:
    image, _ = scene(ramp(200, 50))
    model = fit_background(image, "quadratic")
    whole = model.remove(image)
    part = model.remove(image[40:90, 100:300], y=np.arange(40.0, 90), x=np.arange(100.0, 300))
    np.testing.assert_allclose(part, whole[40:90, 100:300], atol=1e-3)


def test_uncovered_corners_do_not_count() -> None:
    gradient = ramp(200, -120)
    image, _ = scene(gradient)
    y, x = np.mgrid[:H, :W]
    image[x + y < 200] = np.nan
    surface = fit_background(image).evaluate(np.arange(H), np.arange(W))[0]
    assert np.abs(surface - 500 - gradient)[np.isfinite(image)].max() < 6.0


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(UsageError, match="--background 'cone'"):
        fit_background(np.zeros((100, 100), np.float32), "cone")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tiles"):
        fit_background(np.full((100, 100), np.nan, np.float32))
