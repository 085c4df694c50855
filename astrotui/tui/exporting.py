"""Files for other programs from a result: pictures as a job, the rest by the shell's `export` in a process of its own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from astrotui.errors import AstrotuiError, UsageError
from astrotui.rendering.looks import Look
from astrotui.text import clean
from astrotui.tui.provenance import Stack
from astrotui.tui.queueing import enqueue

# What is written, its ending, and whether it is a picture under the present look.
FORMATS: dict[str, tuple[str, bool, str]] = {
    "png": (".png", True, "the picture as it is shown, 8 bits"),
    "jpeg": (".jpg", True, "the picture as it is shown, small"),
    "tiff": (".tif", True, "the picture as it is shown, 16 bits"),
    "linear": ("_linear.tif", False, "the data as they are, 32-bit TIFF for image editors"),
    "fits": ("_copy.fits", False, "a copy of the result with all its maps"),
    "csv": ("_frames.csv", False, "what became of each frame: weight, transform, reason"),
    "siril": ("_siril", False, "a folder with links to the raw frames and a script for Siril"),
}
_LONGEST_S = 600.0


def free_name(source: Path, kind: str) -> Path:
    """A name beside the result that nothing has yet."""
    ending = FORMATS[kind][0]
    stem, dot, suffix = ending.partition(".")
    extra = "_picture" if FORMATS[kind][1] else stem
    number = 1
    while True:
        again = "" if number == 1 else f"_{number}"
        out = source.with_name(f"{source.stem}{extra}{again}{dot}{suffix}")
        if not out.exists():
            return out
        number += 1


def queue_picture(catalog: Any, stack: Stack, look: Look, out: Path, size: int | None) -> int:
    """Queue a picture; returns the job's id. For a thread.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    from astrotui.frames.output import check_output

    check_output(out)
    payload = {"image": stack["output"], "output": str(out), "look": look.to_dict(), "size": size}
    return enqueue(catalog, "render", payload, f"picture {clean(out.name, 60)}", 10)


def export_file(catalog: Path, stack: Stack, kind: str, out: Path) -> str:
    """Write a file by the shell's command, which loads what this process must not; for a thread.

    Raises
    ------
    AstrotuiError
        What the command said.
    """
    to = {"linear": "tiff"}.get(kind, kind)
    command = [sys.executable, "-m", "astrotui", "export", str(stack["id"]), "--to", to, "-o", str(out)]
    command += ["--catalog", str(catalog)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
            timeout=_LONGEST_S, start_new_session=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AstrotuiError(f"{out.name} was not written: {error}") from error
    if done.returncode:
        raise AstrotuiError(clean((done.stderr.strip().splitlines() or ["no reason was given"])[-1], 400))
    return f"written: {out}"


def parse_longest(text: str) -> int | None:
    """Pixels of the longest side; None for the full size.

    Raises
    ------
    UsageError
        It is no number of pixels.
    """
    if not text:
        return None
    if not text.isdigit() or not 16 <= int(text) <= 100_000:
        raise UsageError(f"size: {clean(text, 30)!r} is not a number of pixels from 16 to 100000")
    return int(text)
