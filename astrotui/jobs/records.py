"""A job as the app, the command line and the workers see it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from astrotui.catalog.models import Job

LIVE = ("queued", "running")
FINAL = ("done", "failed", "cancelled")
# Stages that make up most of a job: the estimate of its end, made in one of them, is about all of it.
LONG = ("measuring", "levels", "stacking", "reading headers", "solving")


@dataclass(frozen=True)
class JobRecord:
    """One job at one moment.

    Attributes
    ----------
    id, kind, title : which job; `kind` is index, measure, stack, render or watch
    status : queued, running, done, failed or cancelled
    stage, done, total : what it is doing, and how much of it is finished; `total` None when unknown
    eta_s : seconds until the job is finished, None while nobody can say honestly
    attempts : how often a worker took it up
    created, started, finished : aware UTC times; `started` is the start of the first attempt
    error : why it failed, or how its last attempt ended
    log : path of its log file
    plan_path : the plan it runs, once there is one
    priority : larger runs first
    after : the job it waits for
    """

    id: int
    kind: str
    status: str
    stage: str | None
    done: int
    total: int | None
    eta_s: float | None
    attempts: int
    created: datetime
    started: datetime | None
    finished: datetime | None
    error: str | None
    title: str = ""
    log: str | None = None
    plan_path: str | None = None
    priority: int = 0
    after: int | None = None

    @property
    def stage_in_words(self) -> str:
        """The present stage, for people; a first job on a machine is a minute at its kernels."""
        return "kernels (compiled once)" if self.stage == "kernels" else self.stage or ""

    @property
    def share(self) -> float | None:
        """How much of the whole job is done, from 0 to 1, as its time so far and the estimate of its end tell.

        None when nobody can say: in stages that are short, or compile, and after the end of a worker, as it is not
        known how long nobody was at it.
        """
        if self.eta_s is None or self.started is None or self.stage not in LONG or self.attempts > 1:
            return None
        took = max(0.0, (now() - self.started).total_seconds())
        return took / (took + self.eta_s) if took + self.eta_s > 0 else None

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it unless someone asks for it."""
        return self.status in FINAL

    def to_dict(self) -> dict[str, Any]:
        """The keys of `astrotui jobs --json`; times as ISO 8601 UTC."""
        table = asdict(self)
        for key in ("created", "started", "finished"):
            value = table[key]
            table[key] = None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return table


COLUMNS = (
    Job.id,
    Job.kind,
    Job.status,
    Job.stage,
    Job.done,
    Job.total,
    Job.eta_s,
    Job.attempts,
    Job.created,
    Job.started,
    Job.finished,
    Job.error,
    Job.title,
    Job.log,
    Job.plan_path,
    Job.priority,
    Job.after_id,
)
_NAMES = tuple(field.name for field in fields(JobRecord))
SELECT_RECORD = select(*COLUMNS)


def to_record(row: Iterable[Any]) -> JobRecord:
    """The record of a row of `COLUMNS`."""
    return JobRecord(**dict(zip(_NAMES, row, strict=True)))


def now() -> datetime:
    """This moment, as the catalogue keeps times."""
    return datetime.now(UTC)
