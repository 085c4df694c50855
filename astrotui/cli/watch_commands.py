"""`watch`: a stack that grows while frames arrive."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from astrotui.cli.common import (
    FiniteRange,
    ProgressLine,
    State,
    emit,
    note,
    number,
    pass_state,
    say,
    shared_options,
)
from astrotui.cli.stack_commands import recipe_options
from astrotui.config import parse_size
from astrotui.errors import AstrotuiError, UsageError
from astrotui.stacking.recipe import Recipe
from astrotui.text import clean, plural

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog
    from astrotui.jobs.records import JobRecord

_UNITS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?) ?(s|sec|m|min|h)")


def seconds_of(text: str, option: str, *, plain: float | None = 60.0) -> float:
    """Seconds from `90s`, `30min`, `2h`, `1h30m`; a number alone counts in `plain` seconds.

    Raises
    ------
    UsageError
        It is no time.
    """
    word = text.strip().lower()
    parts = _TIME.findall(word)
    if parts and "".join(f"{n}{u}" for n, u in parts) == word.replace(" ", ""):
        total = sum(float(n) * _UNITS[u] for n, u in parts)
    elif plain is not None and re.fullmatch(r"\d+(\.\d+)?", word):
        total = float(word) * plain
    else:
        raise UsageError(f"{option} {clean(text, 40)!r} is no time; write it like 90s, 30min or 2h")
    if not 0 < total <= 30 * 86400:
        raise UsageError(
            f"{option} {clean(text, 40)!r} is no usable time: it must be over 0 and at most 30 days"
        )
    return total


@click.command()
@click.argument("session", metavar="SESSION|FOLDER")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the result here; never over a file of others.",
)
@click.option(
    "--every", metavar="N|TIME", help="New frames, or time like 60s, between two pictures.  [default: 1]"
)
@click.option(
    "--until-idle",
    default="30",
    show_default=True,
    metavar="MINUTES",
    help="End when nothing new came for so long.",
)
@click.option("--for", "for_", metavar="TIME", help="End after so long, like 6h.")
@click.option(
    "--frames", type=click.IntRange(min=1), metavar="N", help="End when N frames are in the picture."
)
@click.option(
    "--poll",
    type=FiniteRange(0.05, 600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks at the folder.",
)
@click.option("--detach", is_flag=True, help="Queue it, start a worker and return.")
@click.option("--dark", default="auto", show_default=True, metavar="auto|none|ID|PATH", help="Master dark.")
@click.option("--flat", default="auto", show_default=True, metavar="auto|none|ID|PATH", help="Master flat.")
@click.option("--bias", default="auto", show_default=True, metavar="auto|none|ID|PATH", help="Master bias.")
@click.option("--memory", metavar="SIZE", help="Memory budget, like 1GB.")
@click.option("--workers", type=click.IntRange(0, 256), default=0, help="Threads; 0 is one a processor.")
@recipe_options
@shared_options
@pass_state
def watch(
    state: State,
    /,
    session: str,
    output: Path | None,
    every: str | None,
    until_idle: str,
    for_: str | None,
    frames: int | None,
    poll: float,
    detach: bool,
    dark: str,
    flat: str,
    bias: str,
    memory: str | None,
    workers: int,
    **recipe: Any,
) -> None:
    """Stack a session live while its frames arrive in SESSION's folder, or in FOLDER.

    New frames are indexed and measured, and the stack of all that are kept is made again: the first picture after three
    frames. The result is the one that `stack` makes of the same frames. Ctrl+C stops waiting; the job goes on.
    `astrotui jobs cancel ID` ends it, and the last result stays.
    """  # fmt: skip
    from astrotui.cli.jobs_shared import queue, queue_and_launch
    from astrotui.library.stacks import stack_of_job

    orders = _orders(every, until_idle, for_, frames, poll)
    options = {
        "dark": dark, "flat": flat, "bias": bias, "memory": parse_size(memory or state.settings.memory), "workers": workers,
    }  # fmt: skip
    with state.open() as catalog:
        sessions, folders, name = _place(catalog, session)
        payload = {
            "sessions": sessions, "folders": [str(folder) for folder in folders], "orders": orders, "options": options,
            "recipe": vars(Recipe(**recipe)), "output": _target(output, name), "folder": str(state.settings.output_folder),
        }  # fmt: skip
        title = f"watch {clean(name, 60)}"
        if detach:
            queue_and_launch(state, catalog, "watch", payload, title)
            return
        job_id = queue(catalog, "watch", payload, title)
        say(state, f"job {job_id} watches {clean(', '.join(map(str, folders)), 400)}")
        ended = follow(state, catalog, job_id)
        found = stack_of_job(catalog, job_id)
    if found is None:
        raise AstrotuiError(f"job {job_id} ended without a picture: {ended}")
    if state.json:
        emit(found)
    else:
        from astrotui.cli.stack_commands import describe

        say(state, f"ended: {ended}")
        describe(found)


def _orders(
    every: str | None, until_idle: str, for_: str | None, frames: int | None, poll: float
) -> dict[str, Any]:
    from astrotui.jobs.watch_loop import Orders

    values: dict[str, Any] = {
        "frames": frames,
        "poll_s": poll,
        "idle_s": seconds_of(until_idle, "--until-idle"),
    }
    if for_ is not None:
        values["for_s"] = seconds_of(for_, "--for")
    if every is not None:
        if every.isdecimal():
            if int(every) < 1:
                raise UsageError("--every 0: it must be one frame at least")
            values["every_frames"] = int(every)
        else:
            values["every_s"] = seconds_of(every, "--every", plain=None)
    return Orders(**values).to_dict()


def _place(catalog: "Catalog", spec: str) -> tuple[list[int], list[Path], str]:
    """The sessions that are named (none for a folder), the folders to watch, and a name for all of it."""
    from astrotui.library.listing import list_sessions, resolve_sessions
    from astrotui.library.requests import default_name
    from astrotui.library.roots import check_folder
    from astrotui.library.together import check_together

    given = Path(spec).expanduser()
    if not spec.isdigit() and given.is_dir():
        folder = check_folder(given)
        return [], [folder], folder.name or "watch"
    ids = resolve_sessions(catalog, spec)
    with catalog.read() as db:
        check_together(db, ids)
    places = {record.path: None for record in list_sessions(catalog) if record.id in set(ids)}
    folders = [Path(path) for path in places]
    for folder in folders:
        if not folder.is_dir():
            raise AstrotuiError(f"{clean(folder, 400)}: this folder is not there; is the disk mounted?")
    return ids, folders, default_name(catalog, ids)


def _target(output: Path | None, name: str) -> str:
    """The file of `-o`; empty lets the job choose a free name when it knows what is in the picture."""
    from astrotui.library.requests import check_stack_output
    from astrotui.text import file_stem

    return "" if output is None else str(check_stack_output(output, file_stem(name, "watch")))


def follow(state: State, catalog: "Catalog", job_id: int) -> str:
    """Wait for the end of a watch with a line for each new picture; returns why it ended.

    Raises
    ------
    click.ClickException
        The job failed.
    """
    from astrotui.jobs.launch import ensure_worker
    from astrotui.jobs.queue import is_paused, result
    from astrotui.jobs.wait import wait_for

    if is_paused(catalog):
        note(f"the queue is paused: job {job_id} waits until `astrotui jobs resume`")
    line = ProgressLine()
    told: dict[str, Any] = {}

    def update(job: "JobRecord") -> None:
        facts = result(catalog, job_id)
        if facts.get("round", 0) > told.get("round", 0):
            line.close()
            say(state, _round(facts))
        for key in ("problem", "aside"):
            if facts.get(key) and facts[key] != told.get(key):
                line.close()
                note(
                    _problem(facts)
                    if key == "problem"
                    else f"not in this picture: {'; '.join(facts['aside'])}"
                )
        told.update(facts)
        if job.status == "queued":
            line("waiting for the queue", 0, 0)
        elif job.stage is not None:
            words = {"watching": "watching, frames in the picture:"}
            line(words.get(job.stage, job.stage), job.done, job.total or 0)

    try:
        record = wait_for(catalog, job_id, update, ensure=lambda: ensure_worker(catalog))
    except KeyboardInterrupt:
        line.close()
        note(
            f"job {job_id} goes on; `astrotui jobs show {job_id} --wait` rejoins, `astrotui jobs cancel {job_id}` ends it"
        )
        raise
    finally:
        line.close()
    if record.status == "failed":
        log = f" (log: {record.log})" if record.log else ""
        raise click.ClickException(f"job {job_id} failed: {record.error}{log}")
    return "it was cancelled" if record.status == "cancelled" else str(told.get("ended") or record.status)


def _problem(facts: dict[str, Any]) -> str:
    return f"no new picture: {clean(facts['problem'], 400)}"


def _round(facts: dict[str, Any]) -> str:
    """One round in a line: frames, light, what it is worth, depth, sharpness, where the picture is."""
    from astrotui.library.report_parts import light

    depth = facts.get("depth_mag")
    worth = facts.get("effective_integration_s")
    parts = [
        plural(int(facts["frames_used"]), "frame"),
        f"{light(facts['integration_s'])}{f', worth {light(worth)}' if worth else ''}",
        f"{depth:+.2f} mag" if depth is not None else "",
        f"FWHM {number(facts.get('fwhm_px'), 2)} px",
        f"{plural(int(facts['frames_skipped']), 'frame')} left out" if facts.get("frames_skipped") else "",
    ]
    told = "; ".join(part for part in parts if part)
    return f"{facts['round']}: {told}; {facts.get('preview') or facts['output']}"
