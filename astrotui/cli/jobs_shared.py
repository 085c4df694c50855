"""Queueing a job from the shell: start a worker, wait with a bar, leave it running on Ctrl+C."""

from typing import TYPE_CHECKING, Any

import click

from astrotui.cli.common import ProgressLine, State, emit, note
from astrotui.text import duration

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog
    from astrotui.jobs.records import JobRecord


def queue_and_launch(
    state: State,
    catalog: "Catalog",
    kind: str,
    payload: dict[str, Any],
    title: str,
    *,
    start: bool = True,
    priority: int = 0,
) -> int:
    """Queue a job, start a worker unless told not to, and say which job it is."""
    from astrotui.jobs.queue import is_paused, show

    job_id = queue(catalog, kind, payload, title, start=start, priority=priority)
    if state.json:
        emit(show(catalog, job_id).to_dict())
    else:
        click.echo(f"job {job_id}: {title}; `astrotui jobs show {job_id} --wait` follows it")
        if is_paused(catalog):
            click.echo("the queue is paused; `astrotui jobs resume` lets it go on")
        elif not start:
            click.echo("no worker was started; `astrotui worker --drain` runs what is queued")
    return job_id


def queue(
    catalog: "Catalog",
    kind: str,
    payload: dict[str, Any],
    title: str,
    *,
    start: bool = True,
    priority: int = 0,
) -> int:
    """Queue a job and make sure that somebody works."""
    from astrotui.jobs.launch import ensure_worker
    from astrotui.jobs.queue import enqueue

    job_id = enqueue(catalog, kind, payload, title=title, priority=priority)
    if start:
        ensure_worker(catalog)
    return job_id


def queue_and_wait(
    state: State, catalog: "Catalog", kind: str, payload: dict[str, Any], title: str, *, priority: int = 0
) -> dict[str, Any]:
    """Queue a job, wait for its end and return its result; Ctrl+C stops waiting, not the job."""
    job_id = queue(catalog, kind, payload, title, priority=priority)
    return wait_for_result(catalog, job_id)


def wait_for_result(catalog: "Catalog", job_id: int) -> dict[str, Any]:
    """Wait for a job with a progress line.

    Raises
    ------
    click.ClickException
        The job failed or was cancelled.
    """
    from astrotui.jobs.launch import ensure_worker
    from astrotui.jobs.queue import is_paused, result
    from astrotui.jobs.wait import wait_for

    if is_paused(catalog):
        note(f"the queue is paused: job {job_id} waits until `astrotui jobs resume`")
    line = ProgressLine()
    try:
        record = wait_for(
            catalog, job_id, lambda job: _show(line, job), ensure=lambda: ensure_worker(catalog)
        )
    except KeyboardInterrupt:
        line.close()
        note(
            f"job {job_id} goes on; `astrotui jobs show {job_id} --wait` rejoins, `astrotui jobs cancel {job_id}` ends it"
        )
        raise
    finally:
        line.close()
    if record.status != "done":
        reason = f": {record.error}" if record.error and record.error != record.status else ""
        log = f" (log: {record.log})" if record.log and record.status == "failed" else ""
        raise click.ClickException(f"job {job_id} {record.status}{reason}{log}")
    return result(catalog, job_id)


def _show(line: ProgressLine, job: "JobRecord") -> None:
    if job.status == "queued":
        line("waiting for the queue", 0, 0)
    elif job.stage is not None:
        eta = f"  {duration(job.eta_s)} left" if job.eta_s is not None else ""
        line(job.stage_in_words, job.done, job.total or 0, eta)
