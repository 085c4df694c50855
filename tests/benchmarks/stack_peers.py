"""Stack one benchmark set with astrotui, Siril and the plain ccdproc + astroalign pipeline, and compare the cost.

    python -m sample_sessions.make --full /tmp/set
    python tests/benchmarks/stack_peers.py /tmp/set [--peers astrotui,siril,plain] [--keep DIR] [--no-quality]

Prints wall time, peak memory (summed PSS of the process tree), bytes written, each as a ratio to Siril where it is
installed, and the quality of every result against the truth. Files are read once before each run; astrotui's kernels
are compiled by a tiny stack before it is timed, its masters are not cached.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

from process_cost import Cost, measure, warm  # noqa: E402
from quality_metrics import measure as measure_quality  # noqa: E402
from siril_script import registered_frames, write_script  # noqa: E402
from stack_quality import HEADINGS, read_planes, registration, row, table  # noqa: E402

from sample_sessions.benchmark_set import Spec, read_truth, write_set  # noqa: E402


@dataclass
class Run:
    """What a peer did: its cost, its result, and registered frames if it leaves any on disk."""

    name: str
    cost: Cost
    result: Path
    registered: dict[str, Path] = field(default_factory=dict)


def lights_of(folder: Path) -> list[str]:
    """The names of the set's lights in order."""
    return [path.name for path in sorted((folder / "lights").glob("*.fits"))]


def run_plain(folder: Path, work: Path, cpus: int) -> Run | None:
    """ccdproc and astroalign, the straightforward way."""
    result = work / "plain.fits"
    command = [sys.executable, str(HERE / "plain_ccdproc.py"), str(folder), str(result)]
    return Run("ccdproc + astroalign", measure([command], work), result)


def run_siril(folder: Path, work: Path, cpus: int) -> Run | None:
    """Siril's command line, where it is installed."""
    program = shutil.which("siril-cli")
    if program is None:
        print("siril-cli is not installed: left out", file=sys.stderr)
        return None
    result = work / "siril.fits"
    steps = work / "steps"
    steps.mkdir()
    script = write_script(folder, steps, result, cpus)
    cost = measure([[program, "-d", str(work), "-s", str(script)]], work)
    return Run("Siril", cost, result, registered_frames(steps, lights_of(folder)))


def run_astrotui(folder: Path, work: Path, cpus: int) -> Run | None:
    """astrotui by the shell: index the set, stack its lights with everything at its default."""
    result = work / "astrotui.fits"
    environment = {f"XDG_{n.upper()}_HOME": str(work / n) for n in ("config", "data", "state", "cache")}
    for place in environment.values():
        Path(place).mkdir()
    program = [sys.executable, "-m", "astrotui.cli.main"]
    script = Path(sys.executable).with_name("astrotui")
    if script.is_file():
        program = [str(script)]

    def commands(source: Path, out: Path, catalog: Path) -> list[list[str]]:
        start = [*program, "--catalog", str(catalog)]
        return [[*start, "index", str(source)], [*start, "stack", str(source / "lights"), "-o", str(out)]]

    tiny = work / "tiny"
    turn = json.loads((folder / "truth.json").read_text())["spec"][
        "rotation_deg"
    ]  # it decides which kernels there are
    write_set(
        tiny, Spec(width=640, height=480, lights=9, calibration=3, stars=250, rotation_deg=turn), jobs=1
    )
    first = measure(commands(tiny, work / "tiny.fits", work / "tiny.db"), work, environment)
    if first.code:
        print(f"the first, untimed stack failed:\n{first.tail}", file=sys.stderr)
    cost = measure(commands(folder, result, work / "catalog.db"), work, environment)
    return Run("astrotui", cost, result)


PEERS: dict[str, Callable[[Path, Path, int], Run | None]] = {
    "plain": run_plain,
    "siril": run_siril,
    "astrotui": run_astrotui,
}


def cost_table(runs: list[Run]) -> str:
    """Costs, and ratios to Siril, or to the first run where Siril is missing."""
    base = next((run for run in runs if run.name == "Siril"), runs[0]).cost
    rows = [("", "wall s", "ratio", "peak MB (PSS)", "ratio", "written MB", "ratio")]
    for run in runs:
        cost = run.cost
        rows.append(
            (
                run.name,
                f"{cost.wall_s:.1f}",
                f"{cost.wall_s / base.wall_s:.2f}",
                f"{cost.peak_pss / 1e6:.0f}",
                f"{cost.peak_pss / max(1, base.peak_pss):.2f}",
                f"{cost.written / 1e6:.0f}",
                f"{cost.written / max(1, base.written):.2f}",
            )
        )
    return table(rows)


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("set", type=Path, help="written by python -m sample_sessions.make --full")
    parser.add_argument("--peers", default=",".join(PEERS), help="which, in this order (%(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep results and logs here")
    parser.add_argument("--cpus", type=int, default=len(os.sched_getaffinity(0)), help="for Siril")
    parser.add_argument("--no-quality", action="store_true", help="costs only")
    options = parser.parse_args()
    unknown = set(options.peers.split(",")) - set(PEERS)
    if unknown:
        parser.error(f"--peers: {', '.join(sorted(unknown))}: choose from {', '.join(PEERS)}")
    folder = options.set.resolve()
    if not (folder / "truth.json").is_file():
        parser.error(
            f"{folder}: no truth.json; write a set with python -m sample_sessions.make --full {folder}"
        )
    runs: list[Run] = []
    qualities = [HEADINGS]
    place = options.keep or Path(tempfile.mkdtemp(prefix="stack_peers_"))
    try:
        for name in options.peers.split(","):
            work = (place / name).resolve()
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            warm(folder)
            run = PEERS[name](folder, work, options.cpus)
            if run is None:
                continue
            if run.cost.code or not run.result.is_file():
                print(f"{run.name} failed with exit code {run.cost.code}:\n{run.cost.tail}", file=sys.stderr)
                continue
            runs.append(run)
            print(
                f"{run.name}: {run.cost.wall_s:.1f} s, {run.cost.peak_pss / 1e6:.0f} MB",
                file=sys.stderr,
                flush=True,
            )
            if not options.no_quality:
                qualities.append(quality_row(run, folder))
            shutil.rmtree(work / "steps", ignore_errors=True)  # Siril's intermediates: gigabytes
        if not runs:
            return 1
        print(machine(), "\n", cost_table(runs), sep="\n")
        if not options.no_quality:
            print("\n" + table(qualities))
        return 0
    finally:
        if options.keep is None:
            shutil.rmtree(place, ignore_errors=True)


def quality_row(run: Run, folder: Path) -> tuple[str, ...]:
    """The quality of a result as a line of the table."""
    truth = read_truth(folder)
    quality = measure_quality(read_planes(run.result), truth, truth.e_per_adu)
    return row(run.name, quality, registration(run.result, truth, run.registered))


def machine() -> str:
    """Cores, load and versions, so that a table can be judged later."""
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    version = ""
    if shutil.which("siril-cli"):
        version = subprocess.run(["siril-cli", "--version"], capture_output=True, text=True).stdout.strip()
    return f"{cores} cores, load {load:.1f}, Python {sys.version.split()[0]}, {version}"


if __name__ == "__main__":
    raise SystemExit(main())
