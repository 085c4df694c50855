"""Composed colors against truth: stars of known flux in three filters, moved and turned against each other."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from astrotui.errors import OutputError, PlanError, UsageError
from astrotui.imaging.geometry import apply
from astrotui.stacking.compose import compose, split_lines

SIZE = (360, 480)
SIGMA = 1.3
RNG = np.random.default_rng(11)
PLACES = np.column_stack([RNG.uniform(30, SIZE[1] - 30, 60), RNG.uniform(30, SIZE[0] - 30, 60)])
FLUX = {"L": RNG.uniform(4e3, 4e4, 60)}
COLOR = {"R": RNG.uniform(0.6, 1.4, 60), "G": np.ones(60), "B": RNG.uniform(0.6, 1.4, 60)}
SKY = {"L": 900.0, "R": 310.0, "G": 405.0, "B": 250.0}
MOVES = {"L": (0.0, 0.0, 0.0), "R": (7.4, -3.2, 0.8), "G": (0.0, 0.0, 0.0), "B": (-12.6, 5.5, -1.5)}


def to_frame(letter: str) -> NDArray[np.float64]:
    dx, dy, turn = MOVES[letter]
    a, cx, cy = np.radians(turn), SIZE[1] / 2, SIZE[0] / 2
    c, s = np.cos(a), np.sin(a)
    return np.array([[c, -s, cx - c * cx + s * cy + dx], [s, c, cy - s * cx - c * cy + dy], [0, 0, 1.0]])


def write(folder: Path, letter: str, *, seconds: float = 60.0, planes: int = 1) -> Path:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    image = RNG.normal(SKY[letter], 2.0, SIZE)
    flux = FLUX["L"] if letter == "L" else FLUX["L"] / 3 * COLOR[letter]
    for (px, py), light in zip(apply(to_frame(letter), PLACES), flux * seconds / 60.0, strict=True):
        image += light / (2 * np.pi * SIGMA**2) * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * SIGMA**2))
    path = folder / f"{letter}.fits"
    header = fits.Header(
        {"EXPTIME": seconds, "STACKCNT": 10, "TOTALEXP": 10 * seconds, "OBJECT": "M 51", "SATURATE": 65535}
    )
    data = image.astype(np.float32)
    fits.writeto(path, data if planes == 1 else np.stack([data] * planes), header)
    return path


def light_at(plane: NDArray[np.float32], sky: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Flux and centroid of the stars that stand alone, in a 6 px aperture."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    alone = [i for i, p in enumerate(PLACES) if np.sort(np.hypot(*(PLACES - p).T))[1] > 16]
    flux, places = np.full(60, np.nan), np.full((60, 2), np.nan)
    for i in alone:
        inside = np.hypot(x - PLACES[i, 0], y - PLACES[i, 1]) < 6
        value = plane[inside].astype(float) - sky
        flux[i] = value.sum()
        places[i] = (value * x[inside]).sum() / flux[i], (value * y[inside]).sum() / flux[i]
    return flux, places


@pytest.fixture(scope="module")
def filters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("filters")
    return {letter: write(folder, letter, seconds=30.0 if letter == "B" else 60.0) for letter in "LRGB"}


def test_colors_lie_on_each_other_with_their_true_fluxes(filters: dict[str, Path], tmp_path: Path) -> None:
    made = compose("rgb", [filters[k] for k in "RGB"], tmp_path / "rgb.fits")
    color, header = fits.getdata(tmp_path / "rgb.fits"), fits.getheader(tmp_path / "rgb.fits")
    assert color.shape == (3, *SIZE) and color.dtype == np.dtype(">f4")
    missing = np.isnan(color)
    assert missing.any() and (missing.all(axis=0) == missing.any(axis=0)).all()  # no edge in a wrong color
    inner = color[:, 20:-20, 20:-20]
    np.testing.assert_allclose(np.nanmedian(inner, axis=(1, 2)), SKY["G"], atol=0.3)  # one sky
    for plane, letter in zip(color, "RGB", strict=True):
        flux, places = light_at(plane, SKY["G"])
        found = np.isfinite(flux)
        assert found.sum() > 20
        assert np.median(np.hypot(*(places[found] - PLACES[found]).T)) < 0.04
        ratio = flux[found] / (FLUX["L"][found] / 3 * COLOR[letter][found])
        assert abs(np.median(ratio) - 1) < 0.01  # B, of half the time, is brought to the others' exposure
    moved = {c.letter: c for c in made.channels}
    middle = np.array([[(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2]])
    shift = (apply(np.linalg.inv(to_frame("R")), middle) - middle)[0]
    assert (moved["R"].dx_px, moved["R"].dy_px) == pytest.approx(shift, abs=0.05)
    assert moved["B"].rotation_deg == pytest.approx(1.5, abs=0.01) and moved["B"].factor == 2.0
    assert (header["STACKCNT"], header["TOTALEXP"], header["PALETTE"]) == (30, 1500, "RGB")


def test_luminance_is_that_of_l(filters: dict[str, Path], tmp_path: Path) -> None:
    compose("lrgb", [filters[k] for k in "LRGB"], tmp_path / "lrgb.fits")
    color = fits.getdata(tmp_path / "lrgb.fits")[:, 20:-20, 20:-20]
    luminance = fits.getdata(filters["L"])[20:-20, 20:-20]
    valid = np.isfinite(color).all(axis=0)
    np.testing.assert_allclose(color.mean(axis=0)[valid], luminance[valid], atol=0.05)
    assert np.abs(color[0] - color[2])[valid].max() > 20  # and it has colors


def test_images_that_lie_on_each_other_are_not_resampled(filters: dict[str, Path], tmp_path: Path) -> None:
    compose("hoo", [filters["L"], filters["G"]], tmp_path / "hoo.fits", balance="none")
    color = fits.getdata(tmp_path / "hoo.fits")
    np.testing.assert_array_equal(color[1], color[2])
    difference = (color[0] - fits.getdata(filters["L"])).ravel()
    np.testing.assert_allclose(difference, difference[0], atol=1e-3)


def test_a_dual_band_stack_gives_its_lines(tmp_path: Path) -> None:
    source = write(tmp_path, "G", planes=3)
    with fits.open(source, mode="update") as hdus:
        hdus[0].data[0] *= 3
        hdus[0].data[2] *= 2
    split_lines(source, (tmp_path / "ha.fits", tmp_path / "oiii.fits"))
    color = fits.getdata(source)
    np.testing.assert_array_equal(fits.getdata(tmp_path / "ha.fits"), color[0])
    np.testing.assert_allclose(fits.getdata(tmp_path / "oiii.fits"), (color[1] + color[2]) / 2)
    assert fits.getheader(tmp_path / "oiii.fits")["FILTER"] == "OIII"
    made = compose("hoo", [source], tmp_path / "hoo.fits")
    assert [c.letter for c in made.channels] == ["H", "O"]


def test_what_does_not_fit_is_refused_in_one_line(filters: dict[str, Path], tmp_path: Path) -> None:
    rgb = [filters[k] for k in "RGB"]
    with pytest.raises(UsageError, match=r"rgb takes 3 images \(R, G, B\), not 2"):
        compose("rgb", rgb[:2], tmp_path / "a.fits")
    other = tmp_path / "other.fits"
    field = np.random.default_rng(5).normal(100, 2, SIZE).astype(np.float32)
    for px, py in np.random.default_rng(6).uniform(20, 340, (40, 2)):
        field[int(py) - 1 : int(py) + 2, int(px) - 1 : int(px) + 2] += 900
    fits.writeto(other, field)
    with pytest.raises(PlanError, match=r"other\.fits: cannot be laid on G\.fits"):
        compose("rgb", [other, filters["G"], filters["B"]], tmp_path / "a.fits")
    with pytest.raises(PlanError, match="no color image"):
        compose("hoo", [filters["G"]], tmp_path / "a.fits")
    (tmp_path / "taken.fits").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        compose("rgb", rgb, tmp_path / "taken.fits")
    assert (tmp_path / "taken.fits").read_bytes() == b"mine" and not (tmp_path / "a.fits").exists()
