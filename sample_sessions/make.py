"""Write the sample library, or with --full the set that benchmarks run on; same seed, same pixels.

python -m sample_sessions.make                      rewrites the library beside this file
python -m sample_sessions.make --full DIR           40 lights of 3840x2160 and 60 calibration frames (1.7 GB)
python -m sample_sessions.make --full DIR --lights 12 --width 1920 --height 1080
"""

import argparse
import json
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sample_sessions.benchmark_set import Spec, write_set
from sample_sessions.fitsfile import write_frame
from sample_sessions.sessions import library
from sample_sessions.sky import Truth

HERE = Path(__file__).resolve().parent


def write_library(folder: Path) -> int:
    """Write every file of the sample library and truth.json into `folder`; returns the bytes written."""
    files, truths = library()
    total = 0
    for file in files:
        path = folder / file.path
        if file.draw is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8")
        else:
            write_frame(path, file.draw(), list(file.cards), compress=file.compress)
        total += path.stat().st_size
    truth_path = folder / "truth.json"
    truth_path.write_text(truth_text(truths), encoding="utf-8")
    return total + truth_path.stat().st_size


def truth_text(truths: dict[str, Truth]) -> str:
    """The truth of every session as JSON, one line for each of its parts."""
    sessions = []
    for name, truth in truths.items():
        document = truth.to_json()
        frames = ",\n   ".join(json.dumps(frame) for frame in document.pop("frames"))
        parts = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in document.items()]
        body = ",\n".join([*parts, f'  "frames": [\n   {frames}]'])
        sessions.append(f" {json.dumps(name)}: {{\n{body}\n }}")
    return "{\n" + ",\n".join(sessions) + "\n}\n"


def main(words: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sample_sessions.make", description=__doc__.split("\n")[0]
    )
    parser.add_argument("folder", nargs="?", type=Path, default=HERE, help="where the library goes (here)")
    parser.add_argument("--full", type=Path, metavar="DIR", help="write the benchmark set into DIR instead")
    parser.add_argument("--lights", type=int, default=40)
    parser.add_argument("--calibration", type=int, default=20, help="frames of each kind (20)")
    parser.add_argument("--width", type=int, default=3840)
    parser.add_argument("--height", type=int, default=2160)
    parser.add_argument("--stars", type=int, help="default: one for 2800 pixels")
    parser.add_argument("--rotation-deg", type=float, default=0.5, help="over the whole session (0.5)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, help="processes (one a core)")
    options = parser.parse_args(words)
    if options.full is None:
        total = write_library(options.folder)
        print(f"{options.folder}: {total / 1e6:.2f} MB")
        return 0
    spec = Spec(
        width=options.width,
        height=options.height,
        lights=options.lights,
        calibration=options.calibration,
        stars=options.stars or options.width * options.height // 2800,
        rotation_deg=options.rotation_deg,
        seed=options.seed,
    )
    total = write_set(options.full, spec, jobs=options.jobs)
    print(f"{options.full}: {total / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
