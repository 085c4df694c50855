"""Starts a worker in the background when a job waits and nobody serves the queue."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from astrotui.errors import JobError
from astrotui.jobs.processes import MARK, SPARE

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog

WORKER = (sys.executable, "-P", "-m", "astrotui.jobs.worker")
_LOG_BYTES = 1_000_000

# A worker that waits for the word, see `prepare_worker`.
_prepared: list[subprocess.Popen[bytes]] = []

# Workers that this process started: collected here when they have ended, so that none stays as a zombie.
_started: list[subprocess.Popen[bytes]] = []


def ensure_worker(
    catalog: "Catalog | Path", *, command: Sequence[str] = WORKER, extra: Sequence[str] = ()
) -> int | None:
    """See to it that a worker serves the queue; returns the process id of one that had to be started.

    None means that nothing waits, that the queue is paused, or that enough workers serve it. Two callers at
    the same time are harmless: of two workers started so, the one that registers second ends at once.

    Parameters
    ----------
    catalog : an open catalogue, or the path of one
    command, extra : begin and further arguments of the worker's command line

    Raises
    ------
    JobError
        The worker cannot be started.
    """
    from astrotui.catalog.database import Catalog
    from astrotui.jobs.queue import needs_worker

    _started[:] = [process for process in _started if process.poll() is None]
    if isinstance(catalog, Catalog):
        path, needed = catalog.path, needs_worker(catalog)
    else:
        with Catalog.open(catalog) as opened:
            path, needed = opened.path, needs_worker(opened)
    return start_worker(path, command=command, extra=extra) if needed else None


def prepare_worker(kind: str) -> None:
    """Begin to start a worker that will do a job of `kind`, before the job is queued: it loads its libraries meanwhile.

    It opens nothing and does nothing until `start_worker` gives it the word, and ends when this process ends first.
    Where it cannot be started, `start_worker` will say why.
    """
    if _prepared or os.name != "posix":
        return
    with suppress(OSError):
        _prepared.append(_spawn([*WORKER, "--wait", "--launched", "--ahead", kind], subprocess.PIPE, None))


def _spawn(command: Sequence[str], given: int, output: IO[bytes] | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=given,
        stdout=output or subprocess.DEVNULL,
        stderr=output or subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",  # it must not keep the caller's folder, perhaps a removable disk, busy
        env={**os.environ, "PYTHONUNBUFFERED": "1", MARK: SPARE},
    )


def _begin_prepared(catalog: Path, log: Path) -> int | None:
    """Give the worker that was prepared the word; its process id, None when there is none."""
    if not _prepared:
        return None
    process = _prepared.pop()
    given = process.stdin
    assert given is not None
    try:
        with given:
            given.write(json.dumps({"catalog": str(catalog), "log": str(log)}).encode() + b"\n")
    except OSError:
        return None  # it has ended
    _started.append(process)
    return process.pid


def start_worker(catalog: Path, *, command: Sequence[str] = WORKER, extra: Sequence[str] = ()) -> int:
    """Start a worker in a session of its own, out of reach of this terminal's hang-up."""
    from astrotui.jobs.logs import worker_log

    log = worker_log(catalog)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_name(log.name + ".1"))
        if command is WORKER and not extra and (pid := _begin_prepared(catalog, log)) is not None:
            return pid
        with log.open("ab") as stream:
            process = _spawn(
                [*command, "--catalog", str(catalog), "--launched", *extra], subprocess.DEVNULL, stream
            )
    except OSError as error:
        raise JobError(f"the worker cannot be started: {error.filename or log}: {error.strerror}") from error
    _started.append(process)
    return process.pid
