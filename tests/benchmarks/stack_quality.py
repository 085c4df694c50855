"""Measure a stack of a benchmark set against the set's truth.

    python tests/benchmarks/stack_quality.py SET RESULT.fits ...

Values of a result are ADU, or 0 to 1 for 65535 ADU (Siril). How well frames were registered is told when it can be
known: from astrotui's manifest or a NAME.transforms.json beside the result.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from quality_metrics import Matrix, Quality, measure, place_of, places_of, registration_error  # noqa: E402

from sample_sessions.benchmark_set import read_truth  # noqa: E402
from sample_sessions.sky import Truth  # noqa: E402


def read_planes(path: Path) -> np.ndarray:
    """A colour result as float32 (3, height, width) in ADU."""
    from astropy.io import fits

    data = np.asarray(fits.getdata(path), np.float32)
    if data.ndim != 3 or data.shape[0] != 3:
        raise SystemExit(f"{path}: not a colour image of three planes, but {data.shape}")
    return data * 65535 if np.nanpercentile(data, 99) <= 1 else data


def said_transforms(result: Path) -> tuple[str, dict[str, Matrix]] | None:
    """The reference's name and each used frame's matrix to it, as the program that made the result tells."""
    plain = result.with_suffix(".transforms.json")
    if plain.is_file():
        document = json.loads(plain.read_text(encoding="utf-8"))
        return document["reference"], {k: np.array(v) for k, v in document["to_reference"].items()}
    manifest = result.with_suffix(".json")
    if not manifest.is_file():
        return None
    document = json.loads(manifest.read_text(encoding="utf-8"))
    used = [f for f in document["frames"] if f["used"] and f["transform"]]
    reference = Path(document["result"]["reference"]).name
    return reference, {Path(f["path"]).name: np.array(f["transform"]).reshape(3, 3) for f in used}


def registration(result: Path, truth: Truth, registered: dict[str, Path] | None = None) -> float | None:
    """RMS of the registration in px; from registered frames on disk where a program tells no matrices."""
    if registered:
        places = {name: place_of(read_planes(path)[1], truth) for name, path in registered.items()}
        return registration_error(places, next(iter(places)), truth)
    said = said_transforms(result)
    if said is None:
        return None
    return registration_error(places_of(said[1], truth), said[0], truth)


HEADINGS = (
    "",
    "noise e- R/G/B",
    "at FWHM 3.3",
    "FWHM px",
    "scatter % R/G/B",
    "outliers (faults)",
    "trail sigma",
    "trail px",
    "registr. px",
    "gain G",
)


def row(name: str, quality: Quality, registration_px: float | None) -> tuple[str, ...]:
    """One line of the table."""
    return (
        name,
        "/".join(f"{v:.2f}" for v in quality.noise_e),
        "/".join(f"{v:.2f}" for v in quality.equal_noise_e),
        f"{quality.fwhm_px:.2f}",
        "/".join(f"{v:.2f}" for v in quality.scatter_pct),
        f"{quality.outliers:,} ({quality.faults:,})",
        f"{quality.trail_sigma:.1f}",
        f"{quality.trail_pixels}",
        "-" if registration_px is None else f"{registration_px:.3f}",
        f"{quality.gain[1]:.3f}",
    )


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows as Markdown, columns as wide as they need."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(r, widths, strict=True)) + " |" for r in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("set", type=Path)
    parser.add_argument("results", type=Path, nargs="+")
    options = parser.parse_args()
    truth = read_truth(options.set)
    rows = [HEADINGS]
    for result in options.results:
        quality = measure(read_planes(result), truth, truth.e_per_adu)
        rows.append(row(result.stem, quality, registration(result, truth)))
    print(table(rows))


if __name__ == "__main__":
    main()
