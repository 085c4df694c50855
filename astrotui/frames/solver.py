"""Plate solving by a program that is installed: astrometry.net's solve-field, or ASTAP. Neither is ever required.

The program runs in a folder of its own that is removed afterwards, needs no network, and is ended when its time is over.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import AstrotuiError
from astrotui.frames.wcs import celestial_cards
from astrotui.text import clean, plural

SOLVERS = ("solve-field", "astap_cli", "astap")  # the last may want a display, which SSH has not
LEAST_STARS = 8
LIMIT_S = 60.0
_SLACK_S = 5.0  # after which a program that does not heed its own limit is ended
_SCALE = 0.2  # by which focal lengths and pixel sizes of headers are trusted
_RADIUS_DEG = 5.0  # and pointings
_FOLDER = "astrotui-solve-"


class SolveError(AstrotuiError):
    """No solution; the message says why."""


class _ProgramError(AstrotuiError):
    """The program could not look at all; the message is what it said."""


@dataclass(frozen=True, eq=False)
class SolveTask:
    """A field to find in the sky.

    Attributes
    ----------
    x, y, flux : float arrays (n,), stars; the centre of the first pixel is (0, 0)
    width, height : pixels
    image : makes the picture (h, w) and how many pixels one of its is wide; asked for only by a solver that wants it
    ra_deg, dec_deg : where it is said to be, or None
    scale_arcsec : how large a pixel is said to be, or None
    """

    x: NDArray[Any]
    y: NDArray[Any]
    flux: NDArray[Any]
    width: int
    height: int
    image: Callable[[], tuple[NDArray[Any], int]]
    ra_deg: float | None = None
    dec_deg: float | None = None
    scale_arcsec: float | None = None


def find_solver() -> Path | None:
    """The program that is installed, or None."""
    for name in SOLVERS:
        if found := shutil.which(name):
            return Path(found)
    return None


def solve(
    task: SolveTask, folder: Path, *, limit_s: float = LIMIT_S, solver: Path | None = None
) -> tuple[tuple[str, ...], str]:
    """Cards of the celestial WCS of a field, and the name of the program that found it.

    What headers say of place and scale is tried first, then each without the other, because focal lengths and pointings
    are often wrong, and when that finds nothing the whole sky.

    Parameters
    ----------
    folder : where a temporary folder is made and removed; those of processes that are gone are removed too
    limit_s : for all tries together

    Raises
    ------
    SolveError
        No program is installed, it found nothing, or its time was over.
    """
    program = solver or find_solver()
    if program is None:
        raise SolveError("no plate solver is installed: astrometry.net's solve-field and ASTAP can be used")
    if len(task.x) < LEAST_STARS:
        raise SolveError(f"only {plural(len(task.x), 'star')}: a field needs {LEAST_STARS} to be found")
    folder.mkdir(parents=True, exist_ok=True)
    _remove_old(folder)
    run = _solve_field if program.name == "solve-field" else _astap
    ends = time.monotonic() + limit_s
    tries = _tries(task)
    for number, hinted in enumerate(tries):
        share = (ends - time.monotonic()) / (len(tries) - number)
        if share <= 0:
            break
        with tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-", dir=folder) as place:
            try:
                cards = run(program, hinted, Path(place), share)
            except _ProgramError as error:
                raise SolveError(f"{program.name} could not look for it: {error}") from error
            if cards:
                return cards, program.name
    if time.monotonic() >= ends:
        raise SolveError(f"{program.name} found nothing within {limit_s:.0f} s")
    raise SolveError(
        f"{program.name} found nothing: {plural(len(task.x), 'star')}, maybe without index files for this field"
    )


def _tries(task: SolveTask) -> list[SolveTask]:
    """The task with all that is said of the field, then without what may be wrong: scale, place, both."""
    found: list[SolveTask] = []
    for scale, place in ((True, True), (False, True), (True, False), (False, False)):
        one = replace(
            task,
            scale_arcsec=task.scale_arcsec if scale else None,
            ra_deg=task.ra_deg if place else None,
            dec_deg=task.dec_deg if place else None,
        )
        if not any(_hints(one) == _hints(other) for other in found):
            found.append(one)
    return found


def _hints(task: SolveTask) -> tuple[float | None, ...]:
    known = task.ra_deg is not None and task.dec_deg is not None
    return task.scale_arcsec, task.ra_deg if known else None, task.dec_deg if known else None


def _solve_field(program: Path, task: SolveTask, place: Path, limit_s: float) -> tuple[str, ...]:
    from astropy.io import fits
    from astropy.table import Table

    order = np.argsort(-np.asarray(task.flux))
    table = Table(
        {
            "X": np.asarray(task.x, float)[order] + 1,
            "Y": np.asarray(task.y, float)[order] + 1,
            "FLUX": task.flux[order],
        }
    )
    fits.table_to_hdu(table).writeto(place / "stars.fits")
    words: list[Any] = [
        program, "--overwrite", "--no-plots", "--tweak-order", 1, "--no-verify", "--no-remove-lines", "--uniformize", 0,
        "--dir", place, "--temp-dir", place, "--out", "field", "--wcs", place / "field.wcs",
        "--width", task.width, "--height", task.height, "--x-column", "X", "--y-column", "Y", "--sort-column", "FLUX",
        "--cpulimit", max(1, int(limit_s)), "--crpix-center",
    ]  # fmt: skip
    for name in ("new-fits", "solved", "match", "rdls", "corr", "index-xyls", "axy"):
        words += [f"--{name}", "none" if name != "axy" else place / "field.axy"]
    if task.scale_arcsec is not None:
        low, high = task.scale_arcsec * (1 - _SCALE), task.scale_arcsec * (1 + _SCALE)
        words += ["--scale-units", "arcsecperpix", "--scale-low", f"{low:.5g}", "--scale-high", f"{high:.5g}"]
    else:
        words += ["--scale-units", "degwidth", "--scale-low", 0.1, "--scale-high", 90]
    if task.ra_deg is not None and task.dec_deg is not None:
        words += ["--ra", f"{task.ra_deg:.5f}", "--dec", f"{task.dec_deg:.5f}", "--radius", _RADIUS_DEG]
    said = _run([*words, place / "stars.fits"], place, limit_s)
    if "You must list at least one index" in said:
        raise _ProgramError("it has no index files; `astrotui help solve` says which")
    return celestial_cards(place / "field.wcs") if (place / "field.wcs").exists() else ()


def _astap(program: Path, task: SolveTask, place: Path, limit_s: float) -> tuple[str, ...]:
    from astropy.io import fits

    from astrotui.frames.wcs import scaled_cards

    pixels, step = task.image()
    low, high = np.nanpercentile(pixels, (0.1, 99.9))
    shown = np.nan_to_num((pixels - low) / max(float(high - low), 1e-9), nan=0.0).clip(0, 1) * 60000 + 500
    fits.PrimaryHDU(shown.astype(np.uint16)).writeto(place / "field.fits")
    words: list[Any] = [program, "-f", place / "field.fits", "-o", place / "field", "-z", 0]
    words += ["-fov", f"{task.height * task.scale_arcsec / 3600:.4f}" if task.scale_arcsec else 0]
    if task.ra_deg is not None and task.dec_deg is not None:
        words += ["-ra", f"{task.ra_deg / 15:.5f}", "-spd", f"{task.dec_deg + 90:.5f}", "-r", _RADIUS_DEG]
    else:
        words += ["-r", 180]
    said = _run(words, place, limit_s)
    found = place / "field.wcs"
    for trouble in ("No star database found", "cannot open display"):
        if trouble.lower() in said.lower() and not found.exists():
            raise _ProgramError(f"it says {trouble!r}")
    return scaled_cards(celestial_cards(found), step) if found.exists() else ()


def _run(words: Sequence[Any], place: Path, limit_s: float) -> str:
    """Run a program in the folder `place`, and give what it said; what it starts ends with it when its time is over."""
    try:
        with (place / "said.txt").open("wb") as said:
            # Not in a session of its own: who ends this process's group ends the solver.
            process = subprocess.Popen(
                [str(word) for word in words], cwd=place, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
    except OSError as error:
        raise SolveError(f"{clean(words[0], 200)}: cannot be started: {error.strerror}") from error
    try:
        process.wait(limit_s + _SLACK_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            for pid in [*_descendants(process.pid), process.pid]:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
    return (place / "said.txt").read_text("utf-8", "replace")


def _descendants(pid: int) -> list[int]:
    """Processes that a process started, and what those started."""
    found: list[int] = []
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return found
    for child in map(int, text.split()):
        found += [*_descendants(child), child]
    return found


def _remove_old(folder: Path) -> None:
    """Remove what processes left that were killed."""
    for left in folder.glob(f"{_FOLDER}*"):
        owner = left.name.removeprefix(_FOLDER).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(left, ignore_errors=True)
