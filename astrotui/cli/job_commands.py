"""`jobs` and `worker`: the queue and who works on it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from astrotui.cli.common import State, emit, pass_state, shared_options, table
from astrotui.errors import JobError
from astrotui.text import clean, duration, plural

if TYPE_CHECKING:
    from astrotui.jobs.records import JobRecord

ACTIONS = ("list", "show", "log", "cancel", "retry", "pause", "resume", "priority")


@click.command()
@click.argument("action", type=click.Choice(ACTIONS), default="list")
@click.argument("job_id", type=click.IntRange(min=1), required=False, metavar="[ID]")
@click.argument("value", type=int, required=False, metavar="[N]")
@click.option("--all", "every", is_flag=True, help="list: ended jobs too, however long ago.")
@click.option("--wait", "wait_", is_flag=True, help="show: wait for the end with a progress bar.")
@shared_options
@pass_state
def jobs(state: State, action: str, job_id: int | None, value: int | None, every: bool, wait_: bool) -> None:
    """The queue: list, show ID, log ID, cancel ID, retry ID, priority ID N; pause and resume the queue.

    Oldest first. For people, the list holds what is queued or running and what ended lately; --json lists all jobs.
    """
    if action in ("list", "pause", "resume"):
        _queue(state, action, every)
        return
    if job_id is None:
        raise click.UsageError(f"jobs {action} needs the id of a job; `astrotui jobs` lists them")
    _one(state, action, job_id, value, wait_)


_RECENT = 20  # ended jobs that people see


def _queue(state: State, action: str, every: bool) -> None:
    from astrotui.jobs import queue

    with state.open() as catalog:
        if action == "pause":
            queue.pause(catalog)
        elif action == "resume":
            from astrotui.jobs.launch import ensure_worker

            queue.resume(catalog)
            ensure_worker(catalog)
        records = queue.list_jobs(catalog)
        paused = queue.is_paused(catalog)
    if state.json:
        emit([record.to_dict() for record in records])
        return
    if action != "list":
        click.echo("the queue is paused; running jobs go on" if paused else "the queue goes on")
        return
    old = [] if every else [record for record in records if record.is_final][:-_RECENT]
    hidden = {record.id for record in old}
    rows = [
        (
            r.id,
            r.kind,
            r.status,
            _how_far(r),
            duration(r.eta_s) if r.status == "running" else "",
            r.title,
            r.error or "",
        )
        for r in records
        if r.id not in hidden
    ]
    click.echo(table(("ID", "KIND", "STATUS", "STAGE", "LEFT", "WHAT", "ERROR"), rows, right=(0,)))
    if hidden:
        click.echo(f"{plural(len(hidden), 'older job')} not listed; `astrotui jobs --all` lists them")
    if paused:
        click.echo("the queue is paused; `astrotui jobs resume` lets it go on")


def _how_far(record: "JobRecord") -> str:
    if record.status != "running" or record.stage is None:
        return ""
    return f"{record.stage} {record.done:,}/{record.total:,}" if record.total else record.stage


def _one(state: State, action: str, job_id: int, value: int | None, wait_: bool) -> None:
    from astrotui.cli.stack_commands import describe, islands_of
    from astrotui.jobs import queue
    from astrotui.jobs.launch import ensure_worker
    from astrotui.library.stacks import stack_of_job

    stack = None
    with state.open() as catalog:
        match action:
            case "log":
                _print_log(state, queue.show(catalog, job_id))
                return
            case "cancel":
                record = queue.cancel(catalog, job_id)
                if record.status == "running" and not state.json:
                    click.echo(f"job {job_id} is being cancelled")
                    return
            case "retry":
                record = queue.retry(catalog, job_id)
                ensure_worker(catalog)
            case "priority":
                if value is None:
                    raise click.UsageError("jobs priority needs ID and a number; larger runs first")
                record = queue.set_priority(catalog, job_id, value)
            case _:
                if wait_:
                    from astrotui.cli.jobs_shared import wait_for_result
                    from astrotui.cli.watch_commands import follow

                    if queue.show(catalog, job_id).kind == "watch":
                        follow(state, catalog, job_id)
                    else:
                        wait_for_result(catalog, job_id)
                record = queue.show(catalog, job_id)
                stack = stack_of_job(catalog, job_id) if record.kind in ("stack", "watch") else None
                islands = islands_of(catalog, stack) if stack is not None else []
        result = queue.result(catalog, job_id)
    if state.json:
        emit({**record.to_dict(), "result": result})
        return
    click.echo(f"job {record.id}: {record.title or record.kind}: {record.status} {_how_far(record)}".rstrip())
    for name in ("created", "started", "finished"):
        moment = getattr(record, name)
        if moment is not None:
            click.echo(f"  {name:9} {moment.astimezone():%Y-%m-%d %H:%M:%S}")
    if record.error:
        click.echo(f"  error     {record.error}")
    if record.log:
        click.echo(f"  log       {record.log}")
    if stack is not None:
        describe(stack, islands)
    elif "output" in result:
        click.echo(f"  result    {clean(result['output'], 4096)}")


def _print_log(state: State, record: "JobRecord") -> None:
    from astrotui.jobs.logs import read_log

    lines = read_log(Path(record.log)) if record.log is not None else []
    if not lines:
        raise JobError(f"job {record.id} has no log yet")
    if state.json:
        emit({"id": record.id, "log": record.log, "lines": lines})
        return
    for line in lines:
        click.echo(clean(line, 2000))


@click.command()
@click.option("--drain", is_flag=True, help="End when no job is queued or running.")
@click.option("--cluster", metavar="ADDRESS", help="Spread work over the Dask cluster with this scheduler.")
@shared_options
@pass_state
def worker(state: State, drain: bool, cluster: str | None) -> None:
    """Work on the queue here, in the foreground."""
    from astrotui.jobs.worker import run_worker

    with state.open() as catalog:
        path = catalog.path
    reason = run_worker(path, drain=drain, cluster=cluster)
    if state.json:
        emit({"ended": reason})
    else:
        click.echo(clean(reason, 1000))
