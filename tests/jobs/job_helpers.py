"""What tests of jobs share: workers that end with the test, attempts, and waiting for a condition with a deadline."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from astrotui.catalog.database import Catalog
from astrotui.jobs import queue
from astrotui.jobs.owner import Owner, this_process

FAKE_WORKER = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
DEADLINE_S = 60.0


def eventually(condition: Callable[[], Any], within_s: float = DEADLINE_S) -> Any:
    """The first true value of `condition`; fails when there is none in time."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never came true: {condition}"
        time.sleep(0.01)
    return value


def lines(path: Path) -> list[str]:
    """The lines of a file that may not be there yet."""
    return path.read_text().splitlines() if path.exists() else []


def elsewhere(**changes: Any) -> Owner:
    """An owner on a machine that cannot be seen from here."""
    return replace(this_process(), host="another-host", **changes)


def dead_here() -> Owner:
    """An owner on this machine whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    owner = this_process()
    from astrotui.jobs.owner import process_start

    owner = replace(owner, pid=process.pid, start=process_start(process.pid) or "")
    process.communicate()
    return owner


class Workers:
    """Starts worker processes, and ends those that are left."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, *options: str) -> "subprocess.Popen[str]":
        """A worker with these options."""
        process = subprocess.Popen(
            [*FAKE_WORKER, "--catalog", str(self._catalog.path), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes.append(process)
        return process

    def drain(self, *options: str) -> str:
        """Let a worker do everything; returns what it said."""
        process = self.start("--drain", *options)
        said, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, said
        return said

    def end(self) -> None:
        """Kill what is left."""
        for process in self._processes:
            process.kill()
            process.communicate()


def status(catalog: Catalog, job_id: int) -> str:
    """The status of a job."""
    return queue.show(catalog, job_id).status


@dataclass(kw_only=True)
class AttemptBase:
    """What a handler asks of its work in one attempt, and what is kept of it for the next."""

    attempt: int = 1
    result: dict[str, Any] = field(default_factory=dict)

    def set_result(self, values: dict[str, Any]) -> None:
        self.result = dict(values)

    def note_part(self, path: Path) -> Path:
        return path

    def progress(self, stage: str, done: int, total: int) -> None:
        return
