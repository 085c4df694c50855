"""One attempt at one job, seen through: lease, progress, log, cancellation, and how it ended."""

import enum
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from astrotui.errors import AstrotuiError, CatalogError
from astrotui.jobs import leases, logs
from astrotui.jobs.child import KILL_AFTER_S, Child, Heard
from astrotui.jobs.eta import Eta
from astrotui.jobs.owner import Owner
from astrotui.jobs.queue import finished_stages
from astrotui.jobs.records import JobRecord

if TYPE_CHECKING:
    from logging import Logger

    from astrotui.catalog.database import Catalog
    from astrotui.jobs.spare import Spare

TICK_S = 0.05  # how long a wish to cancel can go unseen
REPORT_S = 0.25  # progress is written at most four times a second
_Answer = TypeVar("_Answer")


class Outcome(enum.Enum):
    """How an attempt ended."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DIED = "died"  # crashed or killed: queued again, or failed after too many deaths
    RELEASED = "released"  # given back, because the worker was asked to end
    LOST = "lost"  # the job was another's before this attempt ended
    UNUSABLE = "unusable"  # the work process could not use the catalogue; the worker had better end


@dataclass(frozen=True)
class Times:
    """Seconds that govern a worker; tests make them small."""

    lease_s: float = leases.LEASE_S
    heartbeat_s: float = leases.HEARTBEAT_S
    kill_after_s: float = KILL_AFTER_S


class Attempt:
    """Runs the work of a claimed job in a child process and keeps its row.

    Parameters
    ----------
    record : the job as `leases.claim` gave it
    command : begins the work process
    is_stopping : asked all the time; True gives the job back
    on_heartbeat : called with every heartbeat
    wake : descriptor that interrupts waiting
    spare : a work process that waits for its order
    """

    def __init__(
        self,
        catalog: "Catalog",
        record: JobRecord,
        owner: Owner,
        command: Sequence[str],
        *,
        options: Sequence[str] = (),
        times: Times | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
        on_heartbeat: Callable[[], None] = lambda: None,
        wake: int | None = None,
        spare: "Spare | None" = None,
    ) -> None:
        self._spare = spare
        self._catalog = catalog
        self._record = record
        self._owner = owner
        self._command = command
        self._options = options
        self._times = times or Times()
        self._is_stopping = is_stopping
        self._on_heartbeat = on_heartbeat
        self._wake = wake
        self._eta = Eta()
        self._progress: tuple[str, int, int | None] | None = None
        self._written: object = None
        self._written_at = 0.0
        self._end: dict[str, Any] | None = None  # the message with which the work said how it ended

    def run(self) -> Outcome:
        """See the attempt through; the job's row says the same as what is returned."""
        path = logs.job_log(self._catalog.path, self._record.id)
        log, handler = logs.open_log(path)
        try:
            leases.set_log(self._catalog, self._record.id, self._owner, path)
            removed = leases.clean_up(self._catalog, self._record, self._owner)
            log.info("attempt %d at %s job %d", self._record.attempts, self._record.kind, self._record.id)
            for name in removed:
                log.info("removed the unfinished %s of an earlier attempt", name)
            self._eta = Eta(leases.stage_history(self._catalog, self._record.kind))
            for stage in finished_stages(self._catalog, self._record.id):
                self._eta.finished(stage)
            return self._attempt(log)
        finally:
            log.removeHandler(handler)
            handler.close()

    def _attempt(self, log: "Logger") -> Outcome:
        try:
            child = Child(
                self._command,
                self._catalog.path,
                self._record.id,
                self._record.attempts,
                self._owner,
                options=self._options,
                wake=self._wake,
                spare=self._spare,
            )
        except OSError as error:
            return self._die(log, f"the work process could not be started: {error.strerror or error}")
        try:
            verdict = self._watch(child, log)
        except BaseException:
            child.end(0)
            raise
        # Where a service manager ends all its processes at once, the work may be gone before the wish to stop is
        # seen: that is no death either.
        code, last = child.end(self._times.kill_after_s if verdict is not Outcome.LOST else 0)
        self._hear(last, log)
        if verdict is None and self._end is None and not self._is_stopping():
            return self._die(log, _how_it_ended(code))
        return self._conclude(verdict, log)

    def _watch(self, child: Child, log: "Logger") -> Outcome | None:
        """Until the work ends by itself (None), or has to be ended for the reason that is returned."""
        beat_at = time.monotonic() + self._times.heartbeat_s
        seen: int | None = None  # look at once: the wish to cancel may be older than this attempt
        while not child.has_ended:
            self._hear(child.listen(TICK_S), log)
            if self._is_stopping():
                return Outcome.RELEASED
            answer = None
            with _forgiving(log):
                if time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + self._times.heartbeat_s
                    answer = leases.heartbeat(
                        self._catalog, self._record.id, self._owner, lease_s=self._times.lease_s
                    )
                    self._on_heartbeat()
                elif (version := self._catalog.data_version()) != seen:
                    seen = version
                    answer = leases.look(self._catalog, self._record.id, self._owner)
                self._report()
            if answer is not None and answer.lost:
                return Outcome.LOST
            if answer is not None and answer.cancel:
                return Outcome.CANCELLED
        return None

    def _hear(self, heard: Heard, log: "Logger") -> None:
        for line in filter(str.strip, heard.lines):
            log.info("%s", line)
        for message in heard.messages:
            match message:
                case {"type": "progress", "stage": str(stage), "done": int(done), "total": int(total)}:
                    self._progress = (stage, done, total if total > 0 else None)
                    self._eta.update(time.monotonic(), stage, done, total)
                case {"type": "stage", "name": str(name), "seconds": float(seconds)}:
                    self._eta.finished(name)
                    log.info("finished %s in %.1f s", name, seconds)
                case {"type": "expect", "shares": dict(shares)}:
                    self._eta.expect(shares)
                case {"type": "done" | "failed" | "lost" | "unusable"}:
                    self._end = message
                case _:
                    log.warning("the work said something unknown: %s", message)

    def _report(self, *, at_once: bool = False) -> None:
        """Write progress, at most four times a second and only what is new."""
        if self._progress is None:
            return
        at = time.monotonic()
        # Nobody knows when a watch ends: what its stages tell is the end of a round.
        eta_s = None if self._record.kind == "watch" else self._eta.remaining(at)
        current = (*self._progress, None if eta_s is None else round(eta_s))
        if current == self._written or (at - self._written_at < REPORT_S and not at_once):
            return
        stage, done, total = self._progress
        leases.progress(
            self._catalog, self._record.id, self._owner, stage, done=done, total=total, eta_s=current[3]
        )
        self._written = current
        self._written_at = time.monotonic()

    def _conclude(self, verdict: Outcome | None, log: "Logger") -> Outcome:
        """Write the end of the attempt into the job's row."""
        job, kind = self._record.id, (self._end or {}).get("type")
        error = str((self._end or {}).get("error", ""))
        if verdict is Outcome.LOST or (verdict is None and kind == "lost"):
            return _lose(log)
        if kind == "done":  # it was finished before the wish to cancel or to stop reached it
            self._insist(lambda: self._report(at_once=True), log)
            held = self._insist(lambda: leases.finish(self._catalog, job, self._owner), log)
            outcome = Outcome.DONE
        elif verdict is Outcome.CANCELLED:
            held = self._insist(lambda: leases.died(self._catalog, job, self._owner, "it was cancelled"), log)
            outcome = Outcome.CANCELLED
        elif kind == "failed":
            held = self._insist(lambda: leases.fail(self._catalog, job, self._owner, error), log)
            outcome = Outcome.FAILED
        else:
            held = self._insist(lambda: leases.release(self._catalog, job, self._owner), log)
            outcome = Outcome.UNUSABLE if kind == "unusable" else Outcome.RELEASED
        if not held:
            return _lose(log)
        log.info("%s%s", outcome.value, f": {error}" if error else "")
        return outcome

    def _die(self, log: "Logger", reason: str) -> Outcome:
        log.error("%s", reason)
        held = self._insist(lambda: leases.died(self._catalog, self._record.id, self._owner, reason), log)
        return Outcome.DIED if held else _lose(log)  # who took the job over may have ended the work

    def _insist(self, write: Callable[[], _Answer], log: "Logger", times: int = 3) -> _Answer:
        """A write that matters: tried again while the catalogue is locked (each try waits for the lock)."""
        for _ in range(times - 1):
            try:
                return write()
            except CatalogError as error:
                log.warning("%s", error)
        return write()


def _lose(log: "Logger") -> Outcome:
    log.warning("the lease was lost; another worker has the job")
    return Outcome.LOST


@contextmanager
def _forgiving(log: "Logger") -> Iterator[None]:
    """A locked or failing catalogue must not end work that goes well; the next heartbeat tells."""
    try:
        yield
    except (AstrotuiError, SQLAlchemyError) as error:
        log.warning("%s", error)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"the work process ended with exit code {code} and said nothing"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = "; the system may be out of memory" if -code == signal.SIGKILL else ""
    return f"the work process was ended by {name}{hint}"
