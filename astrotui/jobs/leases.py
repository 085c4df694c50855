"""What a worker does with jobs: claim one, keep the lease, report, and finish it while it owns it.

Each function that changes a job does so only while `owner` holds its lease and returns whether it did.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, func, literal, select, update
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.models import Job
from astrotui.jobs import registry
from astrotui.jobs.owner import Owner, is_dead
from astrotui.jobs.processes import end_strays
from astrotui.jobs.records import COLUMNS, JobRecord, now, to_record
from astrotui.jobs.transitions import (
    PARTS,
    after_death,
    fail_dependents,
    give_back,
    owner_of,
    remove_parts,
    settle,
)

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog

LEASE_S = 15.0
HEARTBEAT_S = 3.0
LONGEST_LEASE_S = 120.0
PATIENT_DEATHS = 3  # a job that died so often lets others of its priority go first


@dataclass(frozen=True)
class HeartbeatAnswer:
    """What a worker learns: `lost` the job is another's or nobody's now, `cancel` it is to be cancelled."""

    lost: bool
    cancel: bool


@dataclass(frozen=True)
class WorkOrder:
    """What the work process has to know of its job.

    `stages` are the finished ones with their seconds, `result` is what an earlier attempt gave.
    """

    id: int
    kind: str
    title: str
    attempt: int
    payload: dict[str, Any]
    plan_path: str | None
    plan_digest: str | None
    stages: dict[str, float] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)


def claim(catalog: "Catalog", owner: Owner, *, lease_s: float = LEASE_S) -> JobRecord | None:
    """Take the next job, or None when none may start.

    Jobs whose worker is dead, or whose lease ran out, go back into the queue first, and jobs that wait in
    vain fail. Then, unless the queue is paused, the queued job of the highest priority that may start beside
    the running ones is taken; among equals the oldest, those that died often last.
    """
    with catalog.write() as db:
        reclaim(db, catalog.path)
        fail_dependents(db)
        if registry.is_paused(db):
            return None
        running = db.execute(select(Job.kind).where(Job.status == "running")).scalars()
        chosen = (
            select(Job.id)
            .where(registry.startable(db, running))
            .order_by(Job.priority.desc(), Job.deaths >= PATIENT_DEATHS, Job.id)
            .limit(1)
            .scalar_subquery()
        )
        moment = now()
        row = db.execute(
            update(Job)
            .where(Job.id == chosen)
            .values(
                status="running",
                owner=owner.token,
                owner_host=owner.host,
                owner_boot=owner.boot,
                owner_pid=owner.pid,
                owner_start=owner.start,
                lease_until=moment + timedelta(seconds=lease_s),
                started=func.coalesce(Job.started, literal(moment, Job.started.type)),
                attempts=Job.attempts + 1,
                stage=None,
                done=0,
                total=None,
                eta_s=None,
                error=None,
            )
            .returning(*COLUMNS)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        return None if row is None else to_record(row)


def reclaim(db: DbSession, catalog: Path) -> int:
    """Take running jobs from dead workers, and from any whose lease ran out; returns how many there were."""
    count = 0
    for job in db.execute(select(Job).where(Job.status == "running")).scalars().all():
        owner = owner_of(job)
        if owner is None or is_dead(owner):
            after_death(db, catalog, job, "its worker ended")
        elif _has_run_out(job.lease_until):
            after_death(db, catalog, job, f"its worker on {owner.host} gave no sign of life")
        else:
            continue
        count += 1
    db.flush()
    return count


def _has_run_out(until: datetime | None) -> bool:
    """Also when it ends far in the future: then the clock was set back since, and a living owner renews it."""
    return until is None or not 0 <= (until - now()).total_seconds() <= LONGEST_LEASE_S


def clean_up(catalog: "Catalog", record: JobRecord, owner: Owner) -> list[str]:
    """Before an attempt: end what is left of earlier ones, remove their unfinished files and return those."""
    if record.attempts > 1:
        end_strays(catalog.path, record.id, record.attempts - 1)
    with catalog.write() as db:
        job = _held(db, record.id, owner)
        return remove_parts(job) if job is not None and job.result.get(PARTS) else []


def heartbeat(catalog: "Catalog", job_id: int, owner: Owner, *, lease_s: float = LEASE_S) -> HeartbeatAnswer:
    """Renew the lease."""
    with catalog.write(durable=False) as db:
        cancel = db.execute(
            update(Job)
            .where(_is_held(job_id, owner))
            .values(lease_until=now() + timedelta(seconds=lease_s))
            .returning(Job.cancel_requested)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
    return HeartbeatAnswer(lost=cancel is None, cancel=bool(cancel))


def look(catalog: "Catalog", job_id: int, owner: Owner) -> HeartbeatAnswer:
    """What `heartbeat` answers, without writing."""
    with catalog.read() as db:
        cancel = db.execute(select(Job.cancel_requested).where(_is_held(job_id, owner))).scalar_one_or_none()
    return HeartbeatAnswer(lost=cancel is None, cancel=bool(cancel))


def progress(
    catalog: "Catalog",
    job_id: int,
    owner: Owner,
    stage: str,
    *,
    done: int,
    total: int | None = None,
    eta_s: float | None = None,
) -> bool:
    """Show how far the job is."""
    with catalog.write(durable=False) as db:
        return _set(db, job_id, owner, stage=stage, done=done, total=total, eta_s=eta_s)


def finish_stage(catalog: "Catalog", job_id: int, owner: Owner, name: str, seconds: float) -> bool:
    """Keep a stage as finished: it is not repeated, and the deaths so far are forgiven."""
    with catalog.write() as db:
        job = _held(db, job_id, owner)
        if job is None:
            return False
        job.stages = {**{k: v for k, v in job.stages.items() if k != name}, name: round(seconds, 3)}
        job.deaths = 0
        return True


def note_part(catalog: "Catalog", job_id: int, owner: Owner, path: Path) -> bool:
    """Record an unfinished file before it is created, so that it is removed should its owner die."""
    with catalog.write() as db:
        job = _held(db, job_id, owner)
        if job is None:
            return False
        parts = job.result.get(PARTS, [])
        if str(path) not in parts:
            job.result = {**job.result, PARTS: [*parts, str(path)]}
        return True


def set_plan(catalog: "Catalog", job_id: int, owner: Owner, path: Path, digest: str) -> bool:
    """Tie the job to its plan, which every later attempt runs."""
    with catalog.write() as db:
        return _set(db, job_id, owner, plan_path=str(path), plan_digest=digest)


def set_result(catalog: "Catalog", job_id: int, owner: Owner, values: dict[str, Any]) -> bool:
    """Keep what the handler gave so far."""
    with catalog.write() as db:
        job = _held(db, job_id, owner)
        if job is None:
            return False
        parts = {PARTS: job.result[PARTS]} if PARTS in job.result else {}
        job.result = {**values, **parts}
        return True


def set_log(catalog: "Catalog", job_id: int, owner: Owner, path: Path) -> bool:
    """Say where the job's log is."""
    with catalog.write(durable=False) as db:
        return _set(db, job_id, owner, log=str(path))


def work_order(catalog: "Catalog", job_id: int, owner: Owner) -> WorkOrder | None:
    """What the work process has to know; None when the job is not the owner's."""
    with catalog.read() as db:
        job = db.execute(select(Job).where(_is_held(job_id, owner))).scalar_one_or_none()
        if job is None:
            return None
        return WorkOrder(
            job.id,
            job.kind,
            job.title,
            job.attempts,
            dict(job.payload),
            job.plan_path,
            job.plan_digest,
            {str(name): float(seconds) for name, seconds in job.stages.items()},
            {key: value for key, value in job.result.items() if key != PARTS},
        )


def stage_history(catalog: "Catalog", kind: str) -> dict[str, float]:
    """Seconds by stage of the last job of this kind that was done, for its shares of the whole."""
    last = select(Job.stages).where(Job.kind == kind, Job.status == "done").order_by(Job.finished.desc())
    with catalog.read() as db:
        stages = db.execute(last.limit(1)).scalar_one_or_none()
    return {str(name): float(seconds) for name, seconds in (stages or {}).items()}


def finish(catalog: "Catalog", job_id: int, owner: Owner) -> bool:
    """The job is done."""
    with catalog.write() as db:
        job = _held(db, job_id, owner)
        if job is None:
            return False
        remove_parts(job)
        settle(db, job, "done")
        return True


def fail(catalog: "Catalog", job_id: int, owner: Owner, error: str) -> bool:
    """The job cannot be done, for a reason that trying again would not change."""
    with catalog.write() as db:
        job = _held(db, job_id, owner)
        if job is None:
            return False
        remove_parts(job)
        settle(db, job, "failed", error)
        return True


def died(catalog: "Catalog", job_id: int, owner: Owner, reason: str) -> bool:
    """The work ended before its time: cancelled if that was asked for, else queued again or failed."""
    with catalog.write() as db:
        job = _held(db, job_id, owner)
        if job is None:
            return False
        after_death(db, catalog.path, job, reason)
        return True


def release(catalog: "Catalog", job_id: int, owner: Owner) -> bool:
    """Give the job back to the queue; this is no death, and finished stages stay."""
    with catalog.write() as db:
        job = _held(db, job_id, owner)
        if job is None:
            return False
        remove_parts(job)
        if job.cancel_requested:
            settle(db, job, "cancelled")
        else:
            give_back(job)
        return True


def is_tag_alive(catalog: "Catalog", tag: str) -> bool:
    """Whether the tag of an unfinished file names a job that a living worker runs; others may go."""
    if not tag.isdecimal():
        return False
    with catalog.read() as db:
        job = db.get(Job, int(tag))
        owner = None if job is None or job.status != "running" else owner_of(job)
    return owner is not None and not is_dead(owner)


def _is_held(job_id: int, owner: Owner) -> ColumnElement[bool]:
    return and_(Job.id == job_id, Job.owner == owner.token, Job.status == "running")


def _held(db: DbSession, job_id: int, owner: Owner) -> Job | None:
    return db.execute(select(Job).where(_is_held(job_id, owner))).scalar_one_or_none()


def _set(db: DbSession, job_id: int, owner: Owner, **values: Any) -> bool:
    changed = db.execute(
        update(Job)
        .where(_is_held(job_id, owner))
        .values(**values)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return changed.scalar_one_or_none() is not None
