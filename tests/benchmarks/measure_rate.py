"""Measure full-size lights with astrotui, with plain sep on the full frame and with Siril's star finder; frames a second.

    python tests/benchmarks/measure_rate.py [SET] [--frames 24] [--workers 2] [--repeat 2]

SET is a folder that `python -m sample_sessions.make --full SET` wrote; without one, lights alone are written to a
temporary folder (most of the time this takes). Files are read once before each run and kernels are compiled by a
small session, so that neither disk nor compiler is measured. astrotui's number is the whole of it: reading,
measuring in child processes, writing to the catalogue, registering and scoring; `with previews` makes the small
picture of each frame as well, as `astrotui measure` does. Best of the repeats. Processor time (start of Siril and the
links to its files included) tells what a busy machine hides.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

from process_cost import warm  # noqa: E402
from stack_quality import table  # noqa: E402

from sample_sessions.benchmark_set import Spec, write_set  # noqa: E402


def linked(paths: Sequence[Path], folder: Path) -> Path:
    """A folder that holds these files under other names, without their bytes twice."""
    folder.mkdir()
    for path in paths:
        try:
            (folder / path.name).hardlink_to(path)
        except OSError:
            shutil.copyfile(path, folder / path.name)
    return folder


def run_astrotui(lights: Path, work: Path, workers: int, *, previews: bool = False) -> tuple[float, str]:
    """Seconds from an indexed session to its scores, and what was found."""
    from astrotui.catalog.database import Catalog
    from astrotui.library.index import index_roots
    from astrotui.library.listing import list_frames, list_sessions
    from astrotui.library.measure import measure_sessions
    from astrotui.rendering.small import keep_small

    number = sum(1 for _ in work.glob("*.sqlite"))
    os.environ["XDG_CACHE_HOME"] = str(work / f"cache{number}")  # pictures of an earlier run would be kept
    with Catalog.open(work / f"c{number}.sqlite") as catalog:
        index_roots(catalog, [lights])
        ids = [session.id for session in list_sessions(catalog)]
        began = time.perf_counter()
        report = measure_sessions(catalog, ids, workers=workers, keep=keep_small if previews else None)
        seconds = time.perf_counter() - began
        frames = list_frames(catalog, ids)
    stars = sorted(f.stars or 0 for f in frames)[len(frames) // 2]
    return seconds, f"{report.measured} measured, {stars} stars, aligned and scored"


def _plain_sep(path: Path) -> int:
    import numpy as np
    import sep
    from astropy.io import fits

    sep.set_extract_pixstack(5_000_000)
    with fits.open(path, memmap=False) as hdus:
        image = np.ascontiguousarray(hdus[0].data, np.float32)
    background = sep.Background(image)
    background.subfrom(image)
    return len(sep.extract(image, 5.0, err=background.globalrms))


def run_sep(lights: Path, work: Path, workers: int) -> tuple[float, str]:
    """astropy, then sep's background and detection at 5 sigma on the full frame, as many processes at once."""
    paths = sorted(lights.iterdir())
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
        list(pool.map(_import_sep, range(workers)))
        began = time.perf_counter()
        counts = sorted(pool.map(_plain_sep, paths))
        seconds = time.perf_counter() - began
    return seconds, f"{counts[len(counts) // 2]} sources (hot pixels too), positions and fluxes only"


def _import_sep(_: int) -> None:
    import astropy.io.fits  # noqa: F401
    import sep  # noqa: F401


def run_siril(lights: Path, work: Path, workers: int) -> tuple[float, str] | None:
    """Siril's star finder over the sequence, its own start not counted.

    In scripts it stands alone from Siril 1.2 on; before, registering by shifts is the least that finds stars.
    """
    program = shutil.which("siril-cli")
    if program is None:
        return None
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.split()
    version = tuple(int(part) for part in said[1].split(".")[:2])
    alone = version >= (1, 2)

    def seconds_for(step: str) -> float:
        with tempfile.TemporaryDirectory(prefix="siril-", dir=work) as name:
            script = Path(name) / "stars.ssf"
            link = f"cd {lights}\nlink light -out={name}\ncd {name}"
            script.write_text(f"requires 1.0.0\nsetcpu {workers}\n{link}\n{step}\nclose\n", encoding="utf-8")
            began = time.perf_counter()
            subprocess.run([program, "-d", name, "-s", str(script)], check=True, capture_output=True)
            return time.perf_counter() - began

    what = "stars found" if alone else "stars found, matched, frames shifted and written"
    seconds = seconds_for("seqfindstar light" if alone else "register light -norot") - seconds_for("")
    return seconds, f"Siril {said[1]}: {what}"


def cpu_seconds() -> float:
    """Processor time of this process and of its children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("set", type=Path, nargs="?", help="written by python -m sample_sessions.make --full")
    parser.add_argument("--frames", type=int, default=24, help="lights to measure (%(default)s)")
    parser.add_argument(
        "--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes (%(default)s)"
    )
    parser.add_argument("--repeat", type=int, default=2, help="runs of each, the best counts (%(default)s)")
    options = parser.parse_args()
    peers: dict[str, Callable[[Path, Path, int], tuple[float, str] | None]] = {
        "astrotui": run_astrotui,
        "astrotui, with previews": partial(run_astrotui, previews=True),
        "plain sep": run_sep,
        "Siril": run_siril,
    }
    with tempfile.TemporaryDirectory(prefix="measure-rate-") as name:
        work = Path(name)
        source = options.set
        if source is None:
            source = work / "set"
            write_set(source, Spec(lights=options.frames, calibration=0))
        tiny = work / "tiny"
        write_set(tiny, Spec(width=1280, height=960, lights=5, calibration=0, stars=400), jobs=1)
        run_astrotui(tiny / "lights", work, options.workers)
        lights = linked(sorted((source / "lights").glob("*.fits"))[: options.frames], work / "lights")
        count = sum(1 for _ in lights.iterdir())
        rows = [("", "seconds", "frames/s", "to astrotui", "CPU s/frame", "")]
        first = 0.0
        for peer, run in peers.items():
            warm(lights)
            best: tuple[float, float, str] | None = None
            for _ in range(options.repeat):
                cpu = cpu_seconds()
                if (found := run(lights, work, options.workers)) is not None:
                    one = (found[0], cpu_seconds() - cpu, found[1])
                    best = one if best is None else min(best, one)
            if best is None:
                print(f"{peer} is not installed: left out", file=sys.stderr)
                continue
            seconds, cpu, what = best
            first = first or seconds
            rows.append(
                (
                    peer,
                    f"{seconds:.2f}",
                    f"{count / seconds:.1f}",
                    f"{first / seconds:.2f}",
                    f"{cpu / count:.2f}",
                    what,
                )
            )
        load = " ".join(f"{value:.1f}" for value in os.getloadavg())
        print(f"{count} frames of {source.name or source}, {options.workers} processes, load {load}\n")
        print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
