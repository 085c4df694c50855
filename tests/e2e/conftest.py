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


def heed_interrupts() -> None:
    """For a process at a terminal: Ctrl+C and the end of the line reach it where these tests run with both ignored.

    A shell ignores the first for `cmd &`, `nohup` the second, and every child inherits that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
