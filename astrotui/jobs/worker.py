"""The worker: takes jobs from the queue, one at a time, and supervises their work.

    python -m astrotui.jobs.worker --catalog PATH [--drain] [--launched] [--cluster ADDRESS] [--ahead KIND]
    python -m astrotui.jobs.worker --wait --launched [--ahead KIND]

It imports no pixel library. SIGHUP is ignored; on SIGTERM or SIGINT it gives its job back and ends.
"""

import argparse
import json
import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from astrotui.loading import collect_rarely

if __name__ == "__main__":
    collect_rarely()  # before the libraries below

from sqlalchemy import func
from sqlalchemy import select as select_rows
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.models import Job
from astrotui.config import load_settings
from astrotui.errors import AstrotuiError
from astrotui.jobs import kernels, leases, logs, registry
from astrotui.jobs.owner import this_process
from astrotui.jobs.spare import Spare, make_spare
from astrotui.jobs.supervise import Attempt, Outcome, Times
from astrotui.text import plural

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog

LOOK_S = 0.25  # how often an idle worker looks whether the catalogue changed
CLAIM_S = 2.0  # how often it tries to claim all the same: leases run out and workers die without a change
WORK = (sys.executable, "-P", "-m", "astrotui.jobs.work")  # -P: the current folder holds no modules of ours


class _Stop:
    """Whether the worker was asked to end, and a descriptor that becomes readable then."""

    def __init__(self) -> None:
        self.asked = False
        self._woken, self._wakes = socket.socketpair()
        self._woken.setblocking(False)
        self._wakes.setblocking(False)

    @property
    def descriptor(self) -> int:
        return self._woken.fileno()

    def ask(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        self.asked = True
        with suppress(BlockingIOError):
            self._wakes.send(b"\0")

    def close(self) -> None:
        self._woken.close()
        self._wakes.close()


class Worker:
    """Serves the queue of one catalogue.

    Parameters
    ----------
    drain : end when no job is queued or running, else wait for more
    launched : started in the background by a command or the app: end at once when enough workers serve
    cluster : address of a Dask scheduler for the work, or None
    command : begins a work process
    spare : a work process that waits for its order; it does the first job
    """

    def __init__(
        self,
        catalog: "Catalog",
        stop: _Stop,
        *,
        drain: bool = False,
        launched: bool = False,
        cluster: str | None = None,
        command: Sequence[str] = WORK,
        times: Times | None = None,
        spare: Spare | None = None,
    ) -> None:
        self._spare = spare
        self._catalog = catalog
        self._stop = stop
        self._drain = drain
        self._launched = launched
        self._command = command
        self._times = times or Times()
        self._owner = this_process()
        self._refreshed = time.monotonic()
        settings = load_settings()
        self._options = ["--nice", str(settings.nice)] + (["--cluster", cluster] if cluster else [])

    def run(self) -> str:
        """Work until there is no reason to go on; returns that reason, for people."""
        with self._catalog.write() as db:
            most = registry.most_workers(db) if self._launched else None
            if not registry.register(db, self._owner, most=most):
                return "another worker serves the queue"
        logs.prune()
        kernels.prune()
        try:
            return self._serve()
        finally:
            with self._catalog.write() as db:
                registry.unregister(db, self._owner)

    def _serve(self) -> str:
        while not self._stop.asked:
            seen = self._catalog.data_version()
            record = leases.claim(self._catalog, self._owner, lease_s=self._times.lease_s)
            if record is None:
                if (self._drain or self._launched) and (reason := self._sign_off()):
                    return reason
                self._wait(seen)
                continue
            spare, self._spare = self._spare, None
            outcome = Attempt(
                self._catalog,
                record,
                self._owner,
                self._command,
                options=self._options,
                times=self._times,
                is_stopping=lambda: self._stop.asked,
                on_heartbeat=self._refresh,
                wake=self._stop.descriptor,
                spare=spare,
            ).run()
            if outcome is Outcome.UNUSABLE:
                return "the catalogue cannot be used by this version; start again"
        return "asked to end"

    def _sign_off(self) -> str | None:
        """End a drain when nothing is left to do, in one transaction with the look at the queue.

        So a job that is queued later finds no worker registered, and its launcher starts one. One that was
        launched beside others leaves what is left to them.
        """
        with self._catalog.write() as db:
            if self._launched and len(registry.live_workers(db)) > 1:
                registry.unregister(db, self._owner)
                return "other workers serve the queue"
            if _count(db, "running"):
                return None
            queued = _count(db, "queued")
            if queued and not registry.is_paused(db):
                return None
            registry.unregister(db, self._owner)
        if queued:
            return f"the queue is paused; {plural(queued, 'job')} not started (astrotui jobs resume)"
        return "no job is queued or running"

    def _wait(self, seen: int) -> None:
        """Until the catalogue changes, a signal comes, or others' jobs may have become free without a change."""
        with self._catalog.read() as db:
            others = _count(db, "running") > 0
        until = time.monotonic() + (min(CLAIM_S, self._times.lease_s / 4) if others else math.inf)
        while not self._stop.asked and time.monotonic() < until and self._catalog.data_version() == seen:
            select.select([self._stop.descriptor], [], [], LOOK_S)
            self._refresh()

    def _refresh(self) -> None:
        if time.monotonic() - self._refreshed >= registry.REFRESH_S:
            self._refreshed = time.monotonic()
            with self._catalog.write(durable=False) as db:
                registry.refresh(db, self._owner)


def _count(db: DbSession, status: str) -> int:
    return db.execute(select_rows(func.count(Job.id)).where(Job.status == status)).scalar_one()


def run_worker(
    catalog_path: Path,
    *,
    drain: bool = False,
    launched: bool = False,
    cluster: str | None = None,
    work_command: Sequence[str] = WORK,
    times: Times | None = None,
    spare: Spare | None = None,
) -> str:
    """Serve the queue of a catalogue from this process's main thread; returns why it ended.

    Raises `CatalogError` when the catalogue cannot be opened.
    """
    from astrotui.catalog.database import Catalog

    stop = _Stop()
    try:
        with _signals(stop), Catalog.open(catalog_path) as catalog:
            worker = Worker(
                catalog,
                stop,
                drain=drain,
                launched=launched,
                cluster=cluster,
                command=work_command,
                times=times,
                spare=spare,
            )
            return worker.run()
    finally:
        stop.close()


@contextmanager
def _signals(stop: _Stop) -> Iterator[None]:
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGTERM, signal.SIGINT)}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of the detached worker; its output goes to its log."""
    options = _options(argv)
    spare = make_spare(options.ahead)
    if options.wait and not _told(options):
        return 0  # whoever prepared it has nothing for it to do
    stamp = f"{time.strftime('%Y-%m-%d %H:%M:%S')} worker {os.getpid()}"
    try:
        reason = run_worker(
            options.catalog,
            drain=options.drain,
            launched=options.launched,
            cluster=options.cluster,
            spare=spare,
        )
    except AstrotuiError as error:
        print(f"{stamp}: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{stamp}: {reason}", file=sys.stderr)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="astrotui-worker", description="Do the jobs of a catalogue.")
    parser.add_argument("--catalog", type=Path)
    parser.add_argument("--drain", action="store_true", help="end when no job is queued or running")
    parser.add_argument("--launched", action="store_true", help="end at once when others serve the queue")
    parser.add_argument("--cluster", help="address of a Dask scheduler")
    parser.add_argument("--ahead", default="index", metavar="KIND", help="kind of the first job, to load for")
    parser.add_argument(
        "--wait", action="store_true", help="for a line on standard input that names catalogue and log"
    )
    options = parser.parse_args(argv)
    if options.catalog is None and not options.wait:
        parser.error("the following arguments are required: --catalog")
    return options


def _told(options: argparse.Namespace) -> bool:
    """Wait for the word to begin; False when whoever could give it has ended."""
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        return False
    told = json.loads(line)
    options.catalog = Path(told["catalog"])
    log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    return True


if __name__ == "__main__":
    sys.exit(main())
