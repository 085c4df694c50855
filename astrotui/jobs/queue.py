"""What people do with jobs: queue them, look at them, cancel, retry, reorder and pause them."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.models import Job
from astrotui.errors import JobError, NoSuchJobError
from astrotui.jobs import registry
from astrotui.jobs.owner import is_dead
from astrotui.jobs.records import FINAL, LIVE, SELECT_RECORD, JobRecord, now, to_record
from astrotui.jobs.transitions import after_death, get_job, owner_of, settle
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog


def enqueue(
    catalog: "Catalog",
    kind: str,
    payload: dict[str, Any],
    *,
    title: str = "",
    priority: int = 0,
    after: int | None = None,
) -> int:
    """Queue a job; returns its id.

    Parameters
    ----------
    kind : which handler does it
    payload : what it needs to know, small and JSON-ready
    title : for people
    priority : larger runs first
    after : a job that has to be done before

    Raises
    ------
    JobError
        There is no job `after`, or a job that is not finished will write the same `output`.
    """
    with catalog.write() as db:
        if after is not None and db.get(Job, after) is None:
            raise NoSuchJobError(f"no job {after} to wait for")
        _refuse_shared_output(db, payload.get("output"))
        job = Job(
            kind=kind,
            payload=payload,
            title=title,
            priority=priority,
            after_id=after,
            created=now(),
            result={},
        )
        db.add(job)
        db.flush()
        return job.id


def _refuse_shared_output(db: DbSession, output: object) -> None:
    """Two jobs that would write one file: the second would fail at its end, so it is told at its beginning."""
    if not output:
        return
    live = db.execute(select(Job.id, Job.payload).where(Job.status.in_(LIVE)))
    for other, payload in live:
        if payload.get("output") == output:
            raise JobError(f"{clean(output, 400)}: job {other} is going to write this file")


def show(catalog: "Catalog", job_id: int) -> JobRecord:
    """One job; raises `NoSuchJobError` when there is none of that id."""
    with catalog.read() as db:
        row = db.execute(SELECT_RECORD.where(Job.id == job_id)).one_or_none()
    if row is None:
        raise NoSuchJobError(f"no job {job_id}; `astrotui jobs` lists them")
    return to_record(row)


def list_jobs(catalog: "Catalog", *, live_only: bool = False) -> list[JobRecord]:
    """All jobs, finished ones included, oldest first."""
    query = SELECT_RECORD.order_by(Job.id)
    if live_only:
        query = query.where(Job.status.in_(LIVE))
    with catalog.read() as db:
        return [to_record(row) for row in db.execute(query)]


def last_end(catalog: "Catalog") -> datetime | None:
    """When the last job ended, None before any has."""
    with catalog.read() as db:
        return db.scalar(select(func.max(Job.finished)))


def failed_since(catalog: "Catalog", moment: datetime) -> list[JobRecord]:
    """Jobs that failed after a moment, oldest first."""
    query = SELECT_RECORD.where(Job.status == "failed", Job.finished > moment).order_by(Job.id)
    with catalog.read() as db:
        return [to_record(row) for row in db.execute(query)]


def payload(catalog: "Catalog", job_id: int) -> dict[str, Any]:
    """What the job was asked to do."""
    with catalog.read() as db:
        return dict(get_job(db, job_id).payload)


def result(catalog: "Catalog", job_id: int) -> dict[str, Any]:
    """What the job's handler gave, without what it noted for itself; empty as long as it gave nothing."""
    with catalog.read() as db:
        return {key: value for key, value in get_job(db, job_id).result.items() if not key.startswith("_")}


def finished_stages(catalog: "Catalog", job_id: int) -> dict[str, float]:
    """Seconds by finished stage, in the order in which they were finished."""
    with catalog.read() as db:
        return {str(name): float(seconds) for name, seconds in get_job(db, job_id).stages.items()}


def cancel(catalog: "Catalog", job_id: int) -> JobRecord:
    """Cancel a queued job at once, or ask the worker of a running one to; a dead worker's job ends here.

    Raises `JobError` when the job is finished already.
    """
    with catalog.write() as db:
        job = get_job(db, job_id)
        if job.status in FINAL:
            raise JobError(f"job {job_id} cannot be cancelled: it is {job.status}")
        job.cancel_requested = True
        owner = owner_of(job)
        if job.status == "queued":
            settle(db, job, "cancelled")
        elif owner is None or is_dead(owner):
            after_death(db, catalog.path, job, "its worker ended")
    return show(catalog, job_id)


def retry(catalog: "Catalog", job_id: int) -> JobRecord:
    """Queue a failed or cancelled job again, with the same payload, plan and finished stages.

    Raises `JobError` when it is not finished, or done.
    """
    with catalog.write() as db:
        job = get_job(db, job_id)
        if job.status not in ("failed", "cancelled"):
            raise JobError(f"job {job_id} is {job.status}; only a failed or cancelled job can be tried again")
        job.status = "queued"
        job.cancel_requested = False
        job.deaths = 0
        job.error = job.finished = job.started = job.stage = job.total = job.eta_s = None
        job.done = 0
    return show(catalog, job_id)


def set_priority(catalog: "Catalog", job_id: int, priority: int) -> JobRecord:
    """Let a queued job run earlier (larger) or later."""
    with catalog.write() as db:
        job = get_job(db, job_id)
        if job.status != "queued":
            raise JobError(f"job {job_id} is {job.status}; only a queued job can be reordered")
        job.priority = priority
    return show(catalog, job_id)


def pause(catalog: "Catalog") -> None:
    """Start no further job until `resume`; what runs goes on."""
    with catalog.write() as db:
        registry.set_paused(db, True)


def resume(catalog: "Catalog") -> None:
    """Let jobs start again; a worker has to be there, or be started by `launch.ensure_worker`."""
    with catalog.write() as db:
        registry.set_paused(db, False)


def is_paused(catalog: "Catalog") -> bool:
    """Whether the queue is paused."""
    with catalog.read() as db:
        return registry.is_paused(db)


def set_slots(catalog: "Catalog", count: int) -> None:
    """Let `count` jobs run at the same time (1 unless changed), as far as there are workers."""
    with catalog.write() as db:
        registry.set_slots(db, count)


def needs_worker(catalog: "Catalog") -> bool:
    """Whether a job could start, or was left by a dead worker, and no worker is free to take it."""
    with catalog.read() as db:
        running = db.execute(select(Job).where(Job.status == "running")).scalars().all()
        owners = {job.id: owner_of(job) for job in running}
        living = [job for job in running if (owner := owners[job.id]) is not None and not is_dead(owner)]
        busy = {job.owner for job in living}
        kinds = [job.kind for job in living]
        could = len(living) < len(running)
        if not could and not registry.is_paused(db):
            could = (
                db.execute(select(Job.id).where(registry.startable(db, kinds)).limit(1)).first() is not None
            )
        if not could or len(living) >= registry.most_workers(db):
            return False
        return all(worker.token in busy for worker in registry.live_workers(db))
