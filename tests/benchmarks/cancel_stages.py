"""Cancel a real stack in each of its stages, and fill the disk under one: how long it takes, and what is left.

    python -m sample_sessions.make --full /tmp/set
    python tests/benchmarks/cancel_stages.py /tmp/set

Prints, for each stage of a stack of the set's lights, the seconds from `jobs cancel` to the end of the job, and counts
the processes and unfinished files that are left (both must be 0). With `--small-disk DIR`, the mount point of a small
file system, it then fills that file system while a stack writes there, and prints the job's error and what is left.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from astrotui.catalog.database import Catalog
from astrotui.jobs import queue
from astrotui.jobs.wait import wait_for

STAGES = ("measuring", "masters", "registering", "levels", "stacking", "preview")


def run(home: Path, *words: object) -> Any:
    """A command's JSON."""
    places = {f"XDG_{n}_HOME": str(home / n.lower()) for n in ("CONFIG", "DATA", "STATE", "CACHE")}
    command = [sys.executable, "-m", "astrotui", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **places})
    return json.loads(done.stdout) if done.stdout else {"error": done.stderr.strip()}


def processes(home: Path) -> list[int]:
    """Work processes of jobs of this home's catalogue."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"astrotui.jobs.work\0" in words and str(home).encode() in words:
                found.append(int(entry.name))
    return found


def leftovers(*folders: Path) -> list[Path]:
    """Unfinished files."""
    return [path for folder in folders for path in folder.rglob("*.part")]


def wait_for_stage(catalog: Catalog, job: int, stage: str) -> bool:
    """Whether the job came into that stage before it ended."""
    while True:
        record = queue.show(catalog, job)
        if record.stage == stage and record.status == "running":
            return True
        if record.is_final:
            return False
        time.sleep(0.01)


def cancel_in(home: Path, catalog: Catalog, lights: Path, out: Path, stage: str) -> str:
    """One line of the table."""
    job = run(home, "stack", lights, "-o", out, "--detach")["id"]
    if not wait_for_stage(catalog, job, stage):
        return f"{stage:12} was over before it was seen"
    begun = time.monotonic()
    queue.cancel(catalog, job)
    while not (record := queue.show(catalog, job)).is_final:
        time.sleep(0.01)
    took = time.monotonic() - begun
    left = (
        f"processes {len(processes(home))}, files {len(leftovers(out.parent, home))}, result {out.exists()}"
    )
    return f"{stage:12} {record.status:10} {took:5.2f} s   left: {left}"


def fill_disk(home: Path, catalog: Catalog, lights: Path, disk: Path) -> str:
    """Fill a file system while a stack writes to it."""
    out = disk / "out.fits"
    job = run(home, "stack", lights, "-o", out, "--detach")["id"]
    if not wait_for_stage(catalog, job, "stacking"):
        return f"the stack did not begin: {queue.show(catalog, job).error}"
    filler = disk / "filler"
    with filler.open("wb") as stream:
        try:
            while True:
                stream.write(bytes(1 << 20))
                stream.flush()
        except OSError as error:
            print(f"the disk was filled: {error.strerror}")
    record = wait_for(catalog, job)
    left = [path.name for path in disk.iterdir() if path != filler]
    filler.unlink()
    return f"full disk    {record.status}: {record.error}; left there: {left or 'nothing'}"


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", type=Path, help="written by python -m sample_sessions.make --full")
    parser.add_argument("--small-disk", type=Path, metavar="DIR", help="mount point of a file system to fill")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="cancel-stages-"))
    home = work / "home"
    try:
        lights = options.set.resolve() / "lights"
        run(home, "index", options.set.resolve())
        with Catalog.open(home / "data" / "astrotui" / "catalog.sqlite") as catalog:
            for number, stage in enumerate(STAGES):
                print(cancel_in(home, catalog, lights, work / f"out{number}.fits", stage), flush=True)
            if options.small_disk:
                print(fill_disk(home, catalog, lights, options.small_disk.resolve()))
        print("integrity:", run(home, "doctor")["catalog"]["integrity"])
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
