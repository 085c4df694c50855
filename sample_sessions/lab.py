"""The numbers of a student's lab on frames of known truth: shift, scale and combine, each step checked.

python -m sample_sessions.lab [--json] [--keep DIR]

Draws two nights of one field, 43 px apart, through a changing sky; has astrotui index, measure and stack them by
average, median and min-max (3, 3); and prints what a notebook would: shifts by the centroid of one star, scales by the
ratio of aperture fluxes, and of each stack the median pixel, the standard deviation in an empty box and aperture sums.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from sample_sessions.fitsfile import Cards, read_frame, write_frame
from sample_sessions.sky import Camera, Sky, expose, random_sky, similarity

WIDTH, HEIGHT = 640, 480
EXPOSURE_S = 60.0
BIAS_ADU = 200.0
FRAMES = 8  # a night
APART = (34.4, -25.8)  # between the nights: 43 px
RADIUS = 20.0  # of the apertures, px
BOX = 100
STACKS = {
    "average": ("--combine", "average", "--reject", "none"),
    "median": ("--combine", "median", "--reject", "none"),
    "min-max (3, 3)": ("--combine", "average", "--reject", "minmax", "--low", "3", "--high", "3"),
}
RECIPE = (
    "--align",
    "shift",
    "--normalize",
    "stars",
    "--weight",
    "none",
    "--dark",
    "none",
    "--cosmetic",
    "off",
)


@dataclass(frozen=True)
class Light:
    """One frame and what is true of it: the shift that carries it onto the reference, and its transparency."""

    path: Path
    dx: float
    dy: float
    transparency: float


def field() -> Sky:
    """Stars far enough apart for apertures of 20 px."""
    return random_sky(7, WIDTH, HEIGHT, 50, faint=300, bright=8000, slope=0.6, margin=0, separation=60)


def write_nights(folder: Path) -> list[Light]:
    """Two nights of frames, each in a folder of its own; the first frame is the reference."""
    camera = Camera(
        WIDTH,
        HEIGHT,
        None,
        e_per_adu=1.0,
        read_noise_e=3.0,
        dark_e_s=0.0,
        bias_adu=BIAS_ADU,
        bias_pattern_adu=0.0,
    )
    sky, lights = field(), []
    for number in range(2 * FRAMES):
        rng = np.random.default_rng([43, number])
        night, index = divmod(number, FRAMES)
        dx, dy = rng.uniform(-3, 3, 2) + np.array(APART) * night if number else (0.0, 0.0)
        clear = 1.0 if number == 0 else float(rng.uniform(0.7, 1.0))
        pixels = expose(
            sky, camera, exposure_s=EXPOSURE_S, to_frame=similarity(dx, dy), fwhm_px=2.9, transparency=clear,
            sky_e_s=1.5 + 0.4 * night, rng=rng,
        )  # fmt: skip
        began = datetime(2025, 3, 3 + night, 21, 0, 0) + timedelta(seconds=70 * index)
        cards: Cards = [
            ("IMAGETYP", "LIGHT", "type of exposure"), ("EXPTIME", EXPOSURE_S, "[s] exposure"),
            ("DATE-OBS", began.isoformat(), "start of exposure, UTC"), ("OBJECT", "Lab field", "target"),
            ("INSTRUME", "Lab camera", ""), ("GAIN", 1, ""), ("XBINNING", 1, ""), ("YBINNING", 1, ""),
        ]  # fmt: skip
        path = folder / f"night{night + 1}" / f"light_{index:02d}.fits"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_frame(path, pixels, cards)
        lights.append(Light(path, -dx, -dy, clear))
    return lights


def photometry(image: Any, x: float, y: float) -> tuple[float, float, float]:
    """Aperture sum over the local sky, and the centroid of its light, of a star near (x, y)."""
    for radius in (RADIUS, 6.0, 6.0):  # the last two settle the centroid
        y0, x0 = round(y), round(x)
        part = image[y0 - 31 : y0 + 32, x0 - 31 : x0 + 32].astype(float)
        rows, columns = np.mgrid[y0 - 31 : y0 + 32, x0 - 31 : x0 + 32]
        away = np.hypot(columns - x, rows - y)
        light = part - np.median(part[(away > 21) & (away < 30)])
        if radius == RADIUS:
            total = float(light[away < radius].sum())
        inside = away < 6
        x, y = (float((light * axis)[inside].sum() / light[inside].sum()) for axis in (columns, rows))
    return total, x, y


def chosen_stars(lights: list[Light]) -> list[int]:
    """Bright stars whose apertures lie in every frame, brightest first."""
    sky = field()
    places = np.column_stack([sky.x, sky.y])
    inside = np.ones(len(sky), bool)
    for light in lights:
        moved = places - (light.dx, light.dy)
        inside &= ((moved > 36) & (moved < (WIDTH - 36, HEIGHT - 36))).all(axis=1)
    order = np.argsort(-sky.flux[1])
    return [int(i) for i in order if inside[i]][:6]


def empty_box() -> tuple[int, int]:
    """The corner (x, y) of the box that is farthest from all stars."""
    sky = field()
    best = max(
        ((x, y) for x in range(60, WIDTH - BOX - 60, 4) for y in range(50, HEIGHT - BOX - 50, 4)),
        key=lambda c: _clearance(sky, *c),
    )
    return best


def _clearance(sky: Sky, x: int, y: int) -> float:
    dx = np.maximum(np.maximum(x - sky.x, sky.x - (x + BOX - 1)), 0)
    dy = np.maximum(np.maximum(y - sky.y, sky.y - (y + BOX - 1)), 0)
    return float(np.hypot(dx, dy).min())


def astrotui(home: Path, *words: object) -> Any:
    """A command of astrotui with a home of its own; returns what --json gives."""
    places = {f"XDG_{n}_HOME": str(home / n.lower()) for n in ("CONFIG", "DATA", "STATE", "CACHE")}
    if "NUMBA_CACHE_DIR" not in os.environ:
        places["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / "astrotui-lab-kernels")
    command = [sys.executable, "-m", "astrotui", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **places})
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return json.loads(done.stdout)


def run(folder: Path) -> dict[str, Any]:
    """Draw, stack and measure; returns the tables."""
    from astropy.io import fits

    lights, home = write_nights(folder / "frames"), folder / "home"
    astrotui(home, "index", folder / "frames")
    sessions = [session["id"] for session in astrotui(home, "sessions")]
    astrotui(home, "measure")
    known = {row["path"]: row["id"] for s in sessions for row in astrotui(home, "frames", s)}
    reference = lights[0]
    stars, sky = chosen_stars(lights), field()
    first = [photometry(read_frame(reference.path), sky.x[i], sky.y[i]) for i in stars]
    stacks, made = [], {}
    for name, words in STACKS.items():
        out = folder / f"{name.split()[0].replace('-', '')}.fits"
        made = astrotui(
            home, "stack", *sessions, *RECIPE, *words, "--reference", known[str(reference.path)], "-o", out
        )
        image = fits.getdata(out)
        sums = [photometry(image, x, y)[0] for _, x, y in first]
        x, y = empty_box()
        box = image[y : y + BOX, x : x + BOX]
        stacks.append(
            {
                "stack": name, "frames": made["frames_used"], "median": float(np.nanmedian(image)),
                "box_sd": float(np.std(box)), "sums": sums,
                "ratios": [total / one[0] for total, one in zip(sums, first, strict=True)],
            }
        )  # fmt: skip
    placed = {
        row["path"]: row for row in json.loads(Path(made["manifest"]).read_text(encoding="utf-8"))["frames"]
    }
    frames = []
    for light in lights:
        image, row = read_frame(light.path), placed[str(light.path)]
        found = [photometry(image, x - light.dx, y - light.dy) for _, x, y in first]
        frames.append(
            {
                "frame": f"{light.path.parent.name}/{light.path.name}",
                "true": (light.dx, light.dy, 1 / light.transparency),
                "centroid": (first[0][1] - found[0][1], first[0][2] - found[0][2]),
                "ratio": float(np.median([a[0] / b[0] for a, b in zip(first, found, strict=True)])),
                "astrotui": (row["transform"][2], row["transform"][5], row["factor"][0]),
            }
        )
    single = read_frame(reference.path).astype(float)
    x, y = empty_box()
    one = {"median": float(np.median(single)), "box_sd": float(np.std(single[y : y + BOX, x : x + BOX]))}
    return {"frames": frames, "stacks": stacks, "reference": {**one, "sums": [light[0] for light in first]}}


def show(tables: dict[str, Any]) -> None:
    """The tables for people."""
    print(
        "frame                    shift: true      by centroid       astrotui   scale: true  by ratio  astrotui"
    )
    for row in tables["frames"]:
        tx, ty, scale = row["true"]
        cx, cy = row["centroid"]
        ax, ay, factor = row["astrotui"]
        print(
            f"{row['frame']:22} {tx:7.2f}{ty:7.2f}  {cx:7.2f}{cy:7.2f}  {ax:7.2f}{ay:7.2f}   "
            f"{scale:9.4f} {row['ratio']:9.4f} {factor:9.4f}"
        )
    print(f"\n{'':16}{'frames':>7}{'median':>9}{'box sd':>8}  aperture sums over the reference's")
    one = tables["reference"]
    print(
        f"{'reference':16}{1:7}{one['median']:9.2f}{one['box_sd']:8.3f}  {' '.join(f'{v:8.0f}' for v in one['sums'])}"
    )
    for row in tables["stacks"]:
        print(
            f"{row['stack']:16}{row['frames']:7}{row['median']:9.2f}{row['box_sd']:8.3f}  "
            f"{' '.join(f'{v:8.4f}' for v in row['ratios'])}"
        )


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sample_sessions.lab", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave frames and stacks in this new folder")
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True)
        tables = run(options.keep.resolve())
    else:
        with tempfile.TemporaryDirectory(prefix="astrotui-lab-") as folder:
            tables = run(Path(folder).resolve())
    if options.json:
        print(json.dumps(tables))
    else:
        show(tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
