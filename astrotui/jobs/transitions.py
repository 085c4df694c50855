"""How a job changes from one status to the next: the rules that people's and workers' doings share.

Every function here works inside a write transaction of the caller.
"""

from contextlib import suppress
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession
from sqlalchemy.orm import aliased

from astrotui.catalog.models import Job
from astrotui.errors import NoSuchJobError
from astrotui.jobs.owner import Owner, same_machine
from astrotui.jobs.processes import end_strays
from astrotui.jobs.records import now

MAX_DEATHS = 10
PARTS = "_parts"  # in the result of a job: unfinished files that its work has announced


def get_job(db: DbSession, job_id: int) -> Job:
    """The row of a job; raises `NoSuchJobError` when there is none of that id."""
    job = db.get(Job, job_id)
    if job is None:
        raise NoSuchJobError(f"no job {job_id}; `astrotui jobs` lists them")
    return job


def owner_of(job: Job) -> Owner | None:
    """Who holds the job's lease."""
    if job.owner is None or job.owner_pid is None:
        return None
    return Owner(job.owner, job.owner_host or "", job.owner_boot or "", job.owner_pid, job.owner_start or "")


def settle(db: DbSession, job: Job, status: str, error: str | None = None) -> None:
    """End a job as done, failed or cancelled; jobs that wait for it in vain fail with it."""
    job.status = status
    job.error = error
    job.finished = now()
    job.eta_s = None
    _disown(job)
    db.flush()
    if status != "done":
        fail_dependents(db)


def give_back(job: Job, error: str | None = None) -> None:
    """Put a job that was running back into the queue."""
    job.status = "queued"
    job.error = error
    job.eta_s = None
    _disown(job)


def after_death(db: DbSession, catalog: Path, job: Job, reason: str) -> None:
    """What becomes of a running job whose work ended before its time: cancelled, queued again, or failed.

    What is left of its processes is ended and, unless another attempt follows, its unfinished files are
    removed: within the transaction, so that no new attempt can begin meanwhile.
    """
    owner = owner_of(job)
    if owner is None or same_machine(owner):
        end_strays(catalog, job.id, job.attempts)
    job.deaths += 1
    if job.cancel_requested:
        remove_parts(job)
        settle(db, job, "cancelled")
    elif job.deaths >= MAX_DEATHS:
        remove_parts(job)
        often = f"ended {job.deaths} times in a row without finishing a stage"
        settle(db, job, "failed", f"{often}; the last time: {reason}")
    else:
        give_back(job, reason)


def remove_parts(job: Job) -> list[str]:
    """Remove the unfinished files that the job's work announced; returns those that were there."""
    removed = []
    for name in job.result.get(PARTS, []):
        path = Path(name)
        if is_part_of(path, job.id):
            with suppress(OSError):  # gone, or its folder is: nothing is left behind either way
                path.unlink()
                removed.append(name)
    job.result = {key: value for key, value in job.result.items() if key != PARTS}
    return removed


def is_part_of(path: Path, job_id: int) -> bool:
    """Whether a path has the form of an unfinished file of the job: `.NAME.<job id>.part`."""
    return path.name.startswith(".") and path.name.endswith(f".{job_id}.part")


def fail_dependents(db: DbSession) -> None:
    """Fail queued jobs whose dependency failed or was cancelled, and those that wait for them in turn."""
    first = aliased(Job)
    while True:
        waiting = db.execute(
            select(Job, first.status)
            .join(first, Job.after_id == first.id)
            .where(Job.status == "queued", first.status.in_(("failed", "cancelled")))
        ).all()
        if not waiting:
            return
        for job, status in waiting:
            how = "was cancelled" if status == "cancelled" else "failed"
            job.status = "failed"
            job.error = f"job {job.after_id}, which it waits for, {how}"
            job.finished = now()
        db.flush()


def _disown(job: Job) -> None:
    job.owner = job.owner_host = job.owner_boot = job.owner_start = None
    job.owner_pid = None
    job.lease_until = None
