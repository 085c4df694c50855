"""A full-size set with known truth for benchmarks: Bayer lights, darks, flats, bias of a generic camera."""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from sample_sessions.fitsfile import Cards, write_frame
from sample_sessions.sky import (
    Camera,
    FrameTruth,
    Sky,
    Truth,
    bias,
    dark,
    expose,
    flat,
    inverse,
    matrix_rows,
    random_hits,
    random_hot,
    random_sky,
    similarity,
)

EXPOSURE_S = 30.0
FWHM_PX = 2.8
SKY_E_S = (1.25, 1.5, 1.05)
KINDS = (("dark", "darks"), ("flat", "flats"), ("bias", "biases"))


@dataclass(frozen=True)
class Spec:
    """Size and seed of a set; everything else follows."""

    width: int = 3840
    height: int = 2160
    lights: int = 40
    calibration: int = 20
    stars: int = 2960
    rotation_deg: float = 0.5
    seed: int = 1


@lru_cache(maxsize=1)
def camera_of(spec: Spec) -> Camera:
    """The camera: 16 bits, RGGB, one pixel in a thousand hot, a tenth of those unsteady, vignetting and dust."""
    pixels = spec.width * spec.height
    return Camera(
        spec.width, spec.height, "RGGB", e_per_adu=0.8, read_noise_e=2.5, dark_e_s=0.02, dark_at_c=-5.0,
        bias_adu=512, bias_pattern_adu=1.5, full_scale_adu=65535,
        hot=random_hot(spec.seed, spec.width, spec.height, pixels // 1000, low=3, high=4000),
        unsteady=0.1, vignette=0.3, dust=6, seed=spec.seed,
    )  # fmt: skip


@lru_cache(maxsize=1)
def sky_of(spec: Spec) -> Sky:
    """Stars at least 14 px apart."""
    return random_sky(
        spec.seed,
        spec.width,
        spec.height,
        spec.stars,
        faint=16,
        bright=20000,
        slope=0.75,
        margin=60,
        separation=14,
    )


def exposure_of(spec: Spec, index: int) -> dict[str, Any]:
    """What `expose` is told of one light, and its `faults`."""
    rng = np.random.default_rng([spec.seed, 20, index])
    middle = ((spec.width - 1) / 2, (spec.height - 1) / 2)
    dither = rng.uniform(-28, 28, 2)
    part = index / max(1, spec.lights - 1) - 0.5
    turn = spec.rotation_deg * part + rng.normal(0, 0.01)
    glow = 1 + 0.25 * (part + 0.5) + rng.uniform(-0.05, 0.05)
    how: dict[str, Any] = {
        "to_frame": similarity(dither[0], dither[1], turn, 1.0, middle),
        "fwhm_px": FWHM_PX,
        "transparency": round(float(rng.uniform(0.82, 1.0)), 4),
        "sky_e_s": tuple(round(glow * value, 4) for value in SKY_E_S),
        "gradient": (round(float(rng.uniform(-0.08, 0.08)), 4), round(float(rng.uniform(-0.08, 0.08)), 4)),
        "faults": (),
    }
    if index % 10 == 3:  # a satellite in one frame of ten
        y0, y1 = rng.uniform(0.1, 0.9, 2) * spec.height
        how["trail"] = (-10.0, float(y0), spec.width + 10.0, float(y1), 3.0, float(rng.uniform(250, 1200)))
        how["faults"] = ("trail",)
    if index % 20 == 7:
        how |= {"transparency": 0.45, "faults": ("cloud",)}
    if index % 20 == 15:
        how |= {"elongation": 2.6, "angle_deg": 35.0, "fwhm_px": FWHM_PX * 1.5, "faults": ("trailed",)}
    return how


def truth_of(spec: Spec) -> Truth:
    """What is true of the set."""
    camera, sky = camera_of(spec), sky_of(spec)
    frames = []
    for i in range(spec.lights):
        how = exposure_of(spec, i)
        frames.append(
            FrameTruth(
                f"lights/light_{i:04d}.fits",
                matrix_rows(inverse(how["to_frame"])),
                how["fwhm_px"],
                elongation=how.get("elongation", 1.0),
                angle_deg=how.get("angle_deg", 0.0),
                transparency=how["transparency"],
                sky_e_s=how["sky_e_s"],
                trails=(how["trail"],) if "trail" in how else (),
                faults=how["faults"],
            )
        )
    flux = tuple(tuple(float(v) for v in channel) for channel in sky.flux)
    return Truth(
        spec.width, spec.height, camera.cfa, EXPOSURE_S, camera.e_per_adu,
        tuple(sky.x.tolist()), tuple(sky.y.tolist()), flux, camera.hot, tuple(frames),
    )  # fmt: skip


def _cards(kind: str, exposure_s: float, began: datetime) -> Cards:
    cards: Cards = [
        ("IMAGETYP", kind.upper(), "type of exposure"),
        ("EXPTIME", exposure_s, "[s] exposure"),
        ("DATE-OBS", began.isoformat(timespec="milliseconds"), "start of exposure, UTC"),
        ("INSTRUME", "Simulated camera", ""),
        ("GAIN", 100, ""),
        ("OFFSET", 50, ""),
        ("EGAIN", 0.8, "[e-/ADU]"),
        ("XBINNING", 1, ""),
        ("YBINNING", 1, ""),
        ("CCD-TEMP", -5.0, "[degC]"),
        ("BAYERPAT", "RGGB", ""),
        ("ROWORDER", "TOP-DOWN", ""),
        ("XPIXSZ", 2.9, "[um]"),
        ("FOCALLEN", 400.0, "[mm]"),
        ("OBJECT", "Simulated field" if kind == "light" else "", ""),
        ("COMMENT", "Synthetic: sample_sessions/make.py of astrotui drew it from a seed", ""),
    ]
    return [card for card in cards if card[1] != ""]


def write_one(folder: Path, spec: Spec, kind: str, index: int) -> int:
    """Draw and write one frame of a set; returns its size in bytes."""
    camera = camera_of(spec)
    evening = datetime(2025, 9, 20, 20, 0, 0)
    if kind == "light":
        rng = np.random.default_rng([spec.seed, 30, index])
        how = exposure_of(spec, index)
        how.pop("faults")
        hits = random_hits(rng, spec.width, spec.height, max(1, spec.width * spec.height // 250_000))
        pixels = expose(sky_of(spec), camera, exposure_s=EXPOSURE_S, hits=hits, rng=rng, **how)
        path = folder / "lights" / f"light_{index:04d}.fits"
        cards = _cards(kind, EXPOSURE_S, evening + timedelta(seconds=33 * index))
    else:
        number = next(i for i, (name, _) in enumerate(KINDS) if name == kind)
        rng = np.random.default_rng([spec.seed, 31 + number, index])
        exposure_s = {"dark": EXPOSURE_S, "flat": 0.5, "bias": 0.0}[kind]
        if kind == "dark":
            pixels = dark(camera, exposure_s, rng=rng)
        elif kind == "flat":
            pixels = flat(camera, 0.5, exposure_s=exposure_s, rng=rng)
        else:
            pixels = bias(camera, rng=rng)
        path = folder / KINDS[number][1] / f"{kind}_{index:04d}.fits"
        cards = _cards(
            kind, exposure_s, evening - timedelta(hours=1 + number) + timedelta(seconds=32 * index)
        )
    write_frame(path, pixels, cards)
    return path.stat().st_size


def write_set(folder: Path, spec: Spec, *, jobs: int | None = None) -> int:
    """Write lights/, darks/, flats/, biases/ and truth.json into `folder`; returns the bytes written."""
    folder.mkdir(parents=True, exist_ok=True)
    work = [("light", i) for i in range(spec.lights)]
    work += [(kind, i) for kind, _ in KINDS for i in range(spec.calibration)]
    write = partial(write_one, folder, spec)
    with ProcessPoolExecutor(jobs or os.cpu_count()) as pool:
        total = sum(pool.map(write, *zip(*work, strict=True)))
    document = {"spec": asdict(spec), **truth_of(spec).to_json()}
    text = json.dumps(document)
    (folder / "truth.json").write_text(text, encoding="utf-8")
    return total + len(text)


def read_truth(folder: Path) -> Truth:
    """The truth of a set that `write_set` wrote."""
    document = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    document.pop("spec")
    return Truth.from_json(document)
