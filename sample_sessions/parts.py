"""The parts of a session of the sample library: files with their truth, clouds, time stamps."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from sample_sessions import scenes
from sample_sessions.fitsfile import Cards
from sample_sessions.sky import (
    Camera,
    Float32,
    Frame,
    FrameTruth,
    Sky,
    Truth,
    dark,
    expose,
    inverse,
    matrix_rows,
)

SEED = 42
NOTE = ("COMMENT", "Synthetic: sample_sessions/make.py of astrotui drew it from a seed", "")


@dataclass(frozen=True)
class File:
    """One file to write: pixels with header, or text.

    Attributes
    ----------
    path : relative to the library, with slashes
    draw : returns the pixels; None for a text file
    cards : header of the frame
    compress : Rice-compressed
    text : content of a text file
    truth : what is true of a light frame
    """

    path: str
    draw: Callable[[], Frame] | None = None
    cards: tuple[tuple[str, object, str], ...] = ()
    compress: bool = False
    text: str = ""
    truth: FrameTruth | None = None


def frame_rng(path: str) -> np.random.Generator:
    return np.random.default_rng([SEED, zlib.crc32(path.encode())])


def light_file(
    path: str, sky: Sky, camera: Camera, cards: Cards, *, compress: bool = False, **how: Any
) -> File:
    """A light frame and its truth; `how` goes to `expose`, `faults` to the truth."""
    faults = tuple(how.pop("faults", ()))
    clouds = how.get("transparency", 1.0)
    trails = (how["trail"],) if how.get("trail") else ()
    truth = FrameTruth(
        path.rsplit("/", 1)[1],
        matrix_rows(inverse(how["to_frame"]).round(9)),
        how["fwhm_px"],
        elongation=how.get("elongation", 1.0),
        angle_deg=how.get("angle_deg", 0.0),
        beta=how.get("beta"),
        transparency=round(float(np.mean(clouds)), 4),
        sky_e_s=tuple(np.broadcast_to(how["sky_e_s"], 3).tolist()),
        trails=trails,
        faults=faults,
    )
    return File(
        path,
        lambda: expose(sky, camera, rng=frame_rng(path), **how),
        (*cards, NOTE),
        compress=compress,
        truth=truth,
    )


def cloud_map(rng: np.random.Generator, width: int, height: int, mean: float) -> Float32:
    """A transparency map (height, width) of about this mean."""
    shape = scenes.fractal(rng, (height, width), 3.6, 400)
    return (mean * np.exp(0.16 * shape)).clip(0.05, 1).astype(np.float32)


def session_truth(sky: Sky, camera: Camera, exposure_s: float, files: list[File]) -> Truth:
    return Truth(
        camera.width,
        camera.height,
        camera.cfa,
        exposure_s,
        camera.e_per_adu,
        tuple(sky.x.round(4).tolist()),
        tuple(sky.y.round(4).tolist()),
        tuple(tuple(round(float(v), 2) for v in channel) for channel in sky.flux),
        tuple((x, y, round(e, 3)) for x, y, e in camera.hot),
        tuple(f.truth for f in files if f.truth is not None),
    )


def after(start: datetime, seconds: float) -> datetime:
    return start + timedelta(milliseconds=round(seconds * 1000))


def draw_dark(path: str, camera: Camera, exposure_s: float, temperature_c: float) -> Callable[[], Frame]:
    return lambda: dark(camera, exposure_s, temperature_c=temperature_c, rng=frame_rng(path))
