"""The installed command, run as a person's shell runs it: real processes, a real worker."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)


Shell = Callable[..., Done]


@pytest.fixture
def shell(home: Path) -> Shell:
    """`shell("stack", "m42", "--json")` in a home of its own."""

    def run(*words: str | Path, timeout: float = 300) -> Done:
        command = [sys.executable, "-m", "astrotui", *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=os.environ.copy(), check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def samples() -> Path:
    return REPOSITORY / "sample_sessions"


def processes(catalog: Path, module: str) -> list[int]:
    """Process ids of `python -m module` on this catalogue."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if module.encode() in words and str(catalog).encode() in words:
            found.append(int(entry.name))
    return found


def _parent(pid: int) -> int:
    """The process that `pid` is a child of; 0 when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def workers_and_work(catalog: Path) -> tuple[list[int], list[int]]:
    """Process ids of the supervisors of this catalogue, and of what does their jobs: programs or forks of them."""
    alike = processes(catalog, "astrotui.jobs.worker")
    forks = [pid for pid in alike if _parent(pid) in alike]
    return [pid for pid in alike if pid not in forks], forks + processes(catalog, "astrotui.jobs.work")


def heed_interrupts() -> None:
    """For a process at a terminal: Ctrl+C and the end of the line reach it where these tests run with both ignored.

    A shell ignores the first for `cmd &`, `nohup` the second, and every child inherits that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
