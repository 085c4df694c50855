"""How indexing and listing keep up with a large library of small files; prints rates, gates nothing.

    python tests/benchmarks/index_scale.py [--frames 100000] [--sessions 500] [--keep FOLDER]

Run by hand. Makes frames of a few pixels with headers like those of a Seestar, `--sets` sets of 20 darks beside
them, indexes them with the command itself (so that its start and all of its processes count), indexes them again
unchanged, and times what the app and the shell ask for. Wants 1 GB of disk for 100,000 frames.
"""

import argparse
import ctypes
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

BLOCK = 2880
PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h
TARGETS = ("M 31", "M 42", "NGC 7000", "M 101", "IC 434", "M 13", "M 51", "NGC 6960", "M 45", "M 33")
FILTERS = ("IRCUT", "LP")
GAINS = (60, 80, 100)
EXPOSURES = (10.0, 20.0, 30.0, 60.0)


def card(key: str, value: str | float | bool, comment: str = "") -> str:
    """One card of a FITS header."""
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, str):
        text = f"'{value:<8}'"
    else:
        text = f"{value!r:>20}"
    return f"{key:<8}= {text} / {comment}"[:80].ljust(80)


def frame(cards: dict[str, Any], noise: int) -> bytes:
    """A FITS file of 8x4 pixels."""
    table: dict[str, Any] = {
        "SIMPLE": True, "BITPIX": 16, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 4, "BZERO": 32768.0, "BSCALE": 1.0,
        "CREATOR": "ZWO Seestar S50", "INSTRUME": "Seestar S50", "TELESCOP": "S50_12345678", "XORGSUBF": 0, "YORGSUBF": 0,
        "FOCALLEN": 250.0, "XBINNING": 1, "YBINNING": 1, "CCDXBIN": 1, "CCDYBIN": 1, "XPIXSZ": 2.90000009536743,
        "YPIXSZ": 2.90000009536743, "BAYERPAT": "GRBG", "RA": 202.46, "DEC": 47.19, "EQUINOX": 2000.0, "PROGRAM": "4.70",
        "FOCUSPOS": 1580, "STACKCNT": 1, **cards,
    }  # fmt: skip
    header = "".join(card(key, value) for key, value in table.items()) + "END".ljust(80)
    pixels = noise.to_bytes(8, "big") * 8
    return header.ljust(-(-len(header) // BLOCK) * BLOCK).encode() + pixels.ljust(BLOCK, b"\0")


def make_library(root: Path, frames: int, sessions: int, sets: int) -> int:
    """Write the library; returns the number of files."""
    each, count = frames // sessions, 0
    for number in range(sessions):
        start = datetime(2016, 1, 1, 21) + timedelta(days=7 * number)
        target, name = TARGETS[number % len(TARGETS)], FILTERS[number % 2]
        exposure, gain = EXPOSURES[number % 4], GAINS[number % 3]
        folder = root / f"{start:%Y}" / f"{target}_{number:03d}_sub"
        folder.mkdir(parents=True)
        for i in range(each):
            moment = start + timedelta(seconds=i * (exposure + 1))
            facts = {
                "IMAGETYP": "Light", "OBJECT": target, "FILTER": name, "EXPTIME": exposure, "EXPOSURE": exposure, "GAIN": gain,
                "CCD-TEMP": 15 + number % 9 + i / each, "DATE-OBS": moment.isoformat(timespec="milliseconds"),
            }  # fmt: skip
            stamp = moment + timedelta(hours=2)
            path = folder / f"Light_{target}_{exposure}s_{name}_{stamp:%Y%m%d-%H%M%S}.fit"
            path.write_bytes(frame(facts, count))
            count += 1
    for number in range(sets):
        start = datetime(2018, 1, 1, 12) + timedelta(days=11 * number)
        exposure, gain = EXPOSURES[number % 4], GAINS[number % 3]
        folder = root / "darks" / f"dark_{number:03d}"
        folder.mkdir(parents=True)
        for i in range(20):
            facts = {
                "IMAGETYP": "Dark", "EXPTIME": exposure, "EXPOSURE": exposure, "GAIN": gain, "CCD-TEMP": 15.0 + number % 11,
                "DATE-OBS": (start + timedelta(seconds=61 * i)).isoformat(),
            }  # fmt: skip
            (folder / f"dark_{i:04d}.fit").write_bytes(frame(facts, count))
            count += 1
    return count


class Peak:
    """The largest summed PSS of all descendants of a process, in MB; sampled every 0.1 s."""

    def __init__(self, pid: int) -> None:
        self.pid, self.largest, self._end = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(0.1):
            self.largest = max(self.largest, sum(map(_pss, _tree(self.pid)[1:])))

    def stop(self) -> float:
        self._end.set()
        self._thread.join()
        return self.largest


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(p for child in children for p in _tree(int(child)))]


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def command(catalog: Path, *words: str) -> tuple[float, float, float]:
    """Seconds, seconds of processor and peak MB of `astrotui` with these words, its worker and helpers included."""
    environment = {**os.environ, "ASTROTUI_CATALOG": str(catalog)}
    start, used = time.perf_counter(), _processor()
    process = subprocess.Popen(
        [sys.executable, "-m", "astrotui", *words], env=environment, stdout=subprocess.DEVNULL
    )
    peak = Peak(os.getpid())
    code = process.wait()
    seconds, largest = time.perf_counter() - start, peak.stop()
    if code:
        raise SystemExit(f"astrotui {' '.join(words)}: exit code {code}")
    with suppress(ChildProcessError):
        while True:  # the worker, which is ours since the command has gone
            os.wait()
    return seconds, _processor() - used, largest


def adopt_orphans() -> None:
    """Have processes that are started to outlive their parents become children of this one, to be counted."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise SystemExit(f"prctl: {os.strerror(ctypes.get_errno())}")


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def median_ms(work: Callable[[], object], times: int = 7) -> tuple[float, float]:
    """Median duration and least time of processor in milliseconds, after one run that warms up."""
    work()
    taken, used = [], []
    for _ in range(times):
        start, before = time.perf_counter(), time.process_time()
        work()
        taken.append(1000 * (time.perf_counter() - start))
        used.append(1000 * (time.process_time() - before))
    return statistics.median(taken), min(used)


def ask(catalog: Path) -> list[tuple[str, tuple[float, float]]]:
    """Milliseconds of what the app and the shell ask for, in one process with an open catalogue."""
    from astrotui.catalog.database import Catalog
    from astrotui.library.calibrators import session_match
    from astrotui.library.listing import list_frames, list_sessions

    with Catalog.open(catalog) as opened:
        some = list_sessions(opened)[0].id
        everything = [record.id for record in list_sessions(opened)]
        return [
            ("list all sessions, with their darks", median_ms(lambda: list_sessions(opened))),
            ("list sessions target:m42 exp:60", median_ms(lambda: list_sessions(opened, "target:m42 exp:60"))),
            ("frames of one session", median_ms(lambda: list_frames(opened, [some]))),
            ("frames of one session, filtered", median_ms(lambda: list_frames(opened, [some], "temp:>15 exp:<99 date-"))),
            ("one frame name among all frames", median_ms(lambda: list_frames(opened, everything, "20160101-230011"))),
            ("cold frames among all frames", median_ms(lambda: list_frames(opened, everything, "temp:<15.004"))),
            ("rejected frames among all frames", median_ms(lambda: list_frames(opened, everything, "status:rejected"))),
            ("every dark judged for one session", median_ms(lambda: session_match(opened, some))),
        ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--sets", type=int, default=200, help="sets of 20 darks")
    parser.add_argument("--keep", type=Path, help="make the library here, or use the one that is here")
    options = parser.parse_args()
    root = options.keep or Path(tempfile.mkdtemp(prefix="astrotui-scale-"))
    work = Path(tempfile.mkdtemp(prefix="astrotui-scale-catalog-"))
    adopt_orphans()
    try:
        if any(root.iterdir()) if root.is_dir() else False:
            count = sum(len(files) for _, _, files in os.walk(root))
        else:
            start = time.perf_counter()
            count = make_library(root, options.frames, options.sessions, options.sets)
            print(f"{count:,} files made in {time.perf_counter() - start:.0f} s")
        catalog = work / "catalog.sqlite"
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        for name in ("new", "unchanged"):
            seconds, used, peak = command(catalog, "index", str(root))
            rate = count / seconds
            print(
                f"{name:10} {seconds:6.2f} s ({used:.2f} s of processor)  {rate:8,.0f} files/s  peak {peak:.0f} MB"
            )
        for name, (milliseconds, used) in ask(catalog):
            print(f"{name:40} {milliseconds:8.1f} ms  ({used:.1f} ms of processor)")
        print(f"this process  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB at most")
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if options.keep is None:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
