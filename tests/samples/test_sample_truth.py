"""The committed sample library is what its seed draws, small, and true to its truth."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from sample_sessions import sky as sim
from sample_sessions.benchmark_set import read_truth
from sample_sessions.fitsfile import read_frame
from sample_sessions.make import HERE, main, truth_text
from sample_sessions.sessions import M42, M45, M51, File, library

LIGHTS = {"m42": M42, "m45": M45, "m51": f"{M51}/LIGHT"}


@lru_cache(maxsize=1)
def planned() -> tuple[list[File], dict[str, sim.Truth]]:
    return library()


@lru_cache(maxsize=1)
def truths() -> dict[str, sim.Truth]:
    document = json.loads((HERE / "truth.json").read_text(encoding="utf-8"))
    return {folder: sim.Truth.from_json(one) for folder, one in document.items()}


def centroid(image: np.ndarray, x: float, y: float, radius: int) -> tuple[float, float, float]:
    """Where the light around (x, y) is, by a Gaussian window that follows it, and its sum over the sky."""
    cx, cy = x, y
    for _ in range(6):
        ix, iy = round(cx), round(cy)
        box = image[iy - radius : iy + radius + 1, ix - radius : ix + radius + 1]
        v, u = np.mgrid[iy - radius : iy + radius + 1, ix - radius : ix + radius + 1]
        edge = np.concatenate([box[0], box[-1], box[:, 0], box[:, -1]])
        light = box - np.median(edge)
        window = light * np.exp(-((u - cx) ** 2 + (v - cy) ** 2) / (2 * (radius / 3) ** 2))
        cx += 2 * float((window * (u - cx)).sum() / window.sum())
        cy += 2 * float((window * (v - cy)).sum() / window.sum())
    return cx, cy, float(light.sum())


def test_everything_fits_into_fifteen_megabytes() -> None:
    files = [p for p in HERE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(p.stat().st_size for p in files) < 15e6


def test_every_file_of_the_library_is_there_and_no_other_frame() -> None:
    paths = {file.path for file in planned()[0]}
    found = {p.relative_to(HERE).as_posix() for p in HERE.rglob("*") if p.suffix in (".fits", ".fz")}
    assert found == {path for path in paths if not path.endswith(".json")}
    assert all((HERE / path).is_file() for path in paths)


def test_the_stored_truth_is_that_of_the_seed() -> None:
    again = json.loads(truth_text(planned()[1]))
    stored = json.loads((HERE / "truth.json").read_text(encoding="utf-8"))
    assert again.keys() == stored.keys()
    for folder, one in stored.items():
        assert np.allclose(again[folder]["x"], one["x"], atol=1e-3)
        assert np.allclose(again[folder]["flux"], one["flux"], rtol=1e-4)
        assert [f["faults"] for f in again[folder]["frames"]] == [f["faults"] for f in one["frames"]]


@pytest.mark.parametrize(
    "place",
    ["raw_M42_10s_60_0015.fits", "raw_M42_10s_60_0027.fits", "failed_", "_L_-10.00_60.00s_0007", "0.85s_0003",
     "exp_10_gain_60_bin_1/0002", "exp_15_gain_100_bin_1/0001", "-10.00_0.00s_0003"],
)  # fmt: skip
def test_a_frame_drawn_again_is_the_committed_one(place: str) -> None:
    """Equal but for last-bit differences of a machine's exp() and FFT, which can move a pixel by one ADU."""
    (file,) = [f for f in planned()[0] if place in f.path and f.draw is not None]
    assert file.draw is not None
    drawn, stored = file.draw().astype(int), read_frame(HERE / file.path).astype(int)
    assert np.abs(drawn - stored).max() <= 1
    assert (drawn != stored).mean() < 1e-3


@pytest.mark.parametrize("name", LIGHTS)
def test_stars_are_where_the_truth_says(name: str) -> None:
    folder = LIGHTS[name]
    truth = truths()[folder]
    x, y = np.array(truth.x), np.array(truth.y)
    apart = np.hypot(x[:, None] - x, y[:, None] - y) + np.eye(len(x)) * 1e9
    order = np.argsort(-np.array(truth.flux[1]))
    alone = [i for i in order if apart[i].min() > 14][:60]
    hot = np.array([(a, b) for a, b, _ in truth.hot])
    for frame in truth.frames:
        if set(frame.faults) & {"trail", "trailed", "cloud"}:
            continue
        image = read_frame(HERE / folder / frame.name).astype(float)
        if truth.cfa:  # a smooth image of all colours: its centroids are those of the light
            kernel = np.array([1.0, 2.0, 1.0])
            image = np.apply_along_axis(np.convolve, 0, image, kernel, mode="same")
            image = np.apply_along_axis(np.convolve, 1, image, kernel, mode="same") / 16
        full = image.max() * 0.8
        misses = []
        px, py = sim.apply(sim.inverse(frame.matrix()), x, y)
        for i in alone:
            inside = 12 < px[i] < truth.width - 12 and 12 < py[i] < truth.height - 12
            near_hot = np.hypot(hot[:, 0] - px[i], hot[:, 1] - py[i]).min() < 9
            if not inside or near_hot or image[round(py[i]), round(px[i])] > full:
                continue
            cx, cy, light = centroid(image, px[i], py[i], 6)
            if light > 0:
                misses.append((cx - px[i], cy - py[i]))
        assert len(misses) >= 5
        assert np.abs(np.median(misses, axis=0)).max() < 0.12, frame.name
        assert np.median(np.hypot(*np.transpose(misses))) < 0.3, frame.name


def test_fluxes_of_the_mono_lights_are_true_after_dark_and_flat() -> None:
    truth = truths()[LIGHTS["m51"]]
    night, home = HERE / "NINA/2025-03-31", HERE / "NINA/2025-04-02"
    dark = np.mean([read_frame(p) for p in sorted((night / "DARK").glob("*.fz"))], axis=0)
    bias = np.mean([read_frame(p) for p in sorted((night / "BIAS").glob("*.fz"))], axis=0)
    flat = np.mean([read_frame(p) for p in sorted((home / "FLAT").glob("*.fz"))], axis=0) - bias
    flat /= flat[130:170, 200:240].mean()
    ratios = []
    for frame in truth.frames[:4]:
        raw = read_frame(HERE / LIGHTS["m51"] / frame.name)
        image = (raw - dark) / flat
        for x, y, flux in zip(truth.x, truth.y, truth.flux[1], strict=True):
            cx, cy = (float(v) for v in sim.apply(sim.inverse(frame.matrix()), x, y))
            if not (20 < cx < truth.width - 20 and 20 < cy < truth.height - 20) or flux < 150:
                continue
            box = np.s_[round(cy) - 12 : round(cy) + 13, round(cx) - 12 : round(cx) + 13]
            if raw[box].max() > 60000:
                continue
            light = image[box] - np.median(image[box][[0, -1]])
            ratios.append(light.sum() * truth.e_per_adu / (flux * truth.exposure_s * frame.transparency))
    assert len(ratios) >= 12
    assert np.median(ratios) == pytest.approx(1.0, abs=0.06)


def test_hot_pixels_are_hot_in_the_dark_they_belong_to() -> None:
    truth = truths()[M42]
    folder = HERE / "DWARF_II/Astronomy/DWARF_DARK/exp_10_gain_60_bin_1"
    dark = np.mean([read_frame(p) for p in sorted(folder.glob("*.fits"))], axis=0)
    level, spread = np.median(dark), 1.4826 * np.median(np.abs(dark - np.median(dark)))
    hot = np.array([dark[y, x] for x, y, _ in truth.hot])
    assert (hot > level + 8 * spread).mean() > 0.97
    assert (dark > level + 20 * spread).sum() <= len(hot)


def test_a_small_benchmark_set_is_written_with_its_truth(tmp_path: Path) -> None:
    words = "--width 320 --height 240 --lights 8 --calibration 2 --stars 60 --jobs 1".split()
    assert main(["--full", str(tmp_path), *words]) == 0
    truth = read_truth(tmp_path)
    assert len(truth.frames) == 8
    assert {p.name: len(list(p.glob("*.fits"))) for p in tmp_path.iterdir() if p.is_dir()} == {
        "lights": 8, "darks": 2, "flats": 2, "biases": 2,
    }  # fmt: skip
    image = read_frame(tmp_path / truth.frames[0].name)
    assert image.shape == (240, 320)
    x, y = sim.apply(sim.inverse(truth.frames[0].matrix()), truth.x, truth.y)
    inside = np.flatnonzero((x > 5) & (x < 315) & (y > 5) & (y < 235))
    star = inside[np.argmax(np.array(truth.flux[1])[inside])]
    row, column = round(float(y[star])), round(float(x[star]))
    assert image[row - 2 : row + 3, column - 2 : column + 3].max() > np.median(image) + 1000
