"""`stack` and `stacks`: making results and listing them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from astrotui.cli.common import (
    QUERY_SETTINGS,
    State,
    emit,
    note,
    number,
    pass_state,
    query_text,
    shared_options,
    table,
)
from astrotui.config import parse_size
from astrotui.errors import OutputError
from astrotui.stacking.recipe import CHOICES, Recipe
from astrotui.text import clean, duration, exposed, plural

Jobs = dict[str, tuple[dict[str, Any], str]]  # payload and title, by filter

_HELP = {
    "combine": "How kept samples become one value.",
    "reject": "Rejection of outliers; auto decides by the number of frames.",
    "normalize": "How frames are brought to one level; auto is stars.",
    "weight": "Weights of the average.",
    "align": "Geometric model; auto is similarity, and more where the stars ask for it; comet follows one.",
    "resample": "Interpolation.",
    "frame": "Field of the result.",
    "cosmetic": "Filling of defect pixels.",
    "master": "How kept samples of darks, flats and bias frames become a master.",
    "debayer": "Demosaicing of color frames.",
}


def _comet_places(context: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> Any:
    from astrotui.stacking.comet_places import parse_places

    return parse_places(texts)


def recipe_options(command: Any) -> Any:
    """Add an option for each choice of a recipe."""
    defaults = Recipe()
    options = [
        click.option(
            f"--{name}", type=click.Choice(choices), default=getattr(defaults, name), show_default=True, help=_HELP[name]
        )
        for name, choices in CHOICES.items()
    ]  # fmt: skip
    options += [
        click.option(
            "--low", type=float, help="Lower limit of the rejection: kappa, fraction or count, by method."
        ),
        click.option("--high", type=float, help="Upper limit of the rejection."),
        click.option(
            "--drizzle", type=float, metavar="SCALE", help="Drizzle onto a grid 1 to 3 times finer."
        ),
        click.option(
            "--pixfrac",
            type=float,
            default=1.0,
            show_default=True,
            metavar="F",
            help="Size of a drizzle's drops, 0.1 to 1 pixel.",
        ),
        click.option("--min-score", type=float, metavar="N", help="Leave out frames under this score."),
        click.option(
            "--comet",
            multiple=True,
            metavar="X,Y@FRAME",
            callback=_comet_places,
            help="With --align comet: where it is in a frame; twice, in an early and in a late one.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("sessions", nargs=-1, metavar="SESSION ...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write the result here; never over a file."
)
@click.option("--detach", is_flag=True, help="Queue it, start a worker and return.")
@click.option("--no-start", is_flag=True, help="Queue it without starting a worker.")
@click.option("--plan", type=click.Path(path_type=Path), metavar="MANIFEST", help="Run a stored stack again.")
@click.option("--dark", default="auto", show_default=True, metavar="auto|none|ID|PATH", help="Master dark.")
@click.option("--flat", default="auto", show_default=True, metavar="auto|none|ID|PATH", help="Master flat.")
@click.option("--bias", default="auto", show_default=True, metavar="auto|none|ID|PATH", help="Master bias.")
@click.option(
    "--reference", default="auto", show_default=True, metavar="auto|FRAME", help="Id of the reference frame."
)
@click.option(
    "--split",
    type=click.Choice(["filter"]),
    help="One stack of each filter, all on one reference, to compose.",
)
@click.option("--mix-filters", is_flag=True, help="Stack sessions of several filters as one.")
@click.option("--memory", metavar="SIZE", help="Memory budget, like 1GB.")
@click.option("--workers", type=click.IntRange(0, 256), default=0, help="Threads; 0 is one a processor.")
@recipe_options
@shared_options
@pass_state
def stack(
    state: State,
    /,
    sessions: tuple[str, ...],
    output: Path | None,
    detach: bool,
    no_start: bool,
    plan: Path | None,
    dark: str,
    flat: str,
    bias: str,
    reference: str,
    split: str | None,
    mix_filters: bool,
    memory: str | None,
    workers: int,
    **recipe: Any,
) -> None:
    """Stack the lights of SESSIONs that are not rejected into one picture.

    What is unmeasured is measured, masters are made, and the result is written with its manifest and a preview.
    Ctrl+C stops waiting; the job goes on.
    """
    from astrotui.jobs.launch import prepare_worker

    if not no_start:
        prepare_worker("stack")
    from astrotui.library.listing import resolve_all

    with state.open() as catalog:
        if plan is not None:
            if sessions or split:
                raise click.UsageError("--plan names all that is stacked; leave out SESSION and --split")
            jobs = {"": _plan_payload(plan, output)}
        else:
            options = _options(state, dark, flat, bias, reference, memory, workers, recipe)
            ids = resolve_all(catalog, sessions)
            folders = {"output": output, "folder": state.settings.output_folder}
            jobs = _payloads(catalog, ids, split, {**folders, **options, "mix_filters": mix_filters})
        if detach or no_start:
            _leave(state, catalog, jobs, start=not no_start)
            return
        results = _wait(catalog, jobs)
        islands = {found["id"]: islands_of(catalog, found) for found in results}
    if state.json:
        emit(results if split else results[0])
        return
    for filter_name, found in zip(jobs, results, strict=True):
        if filter_name and len(jobs) > 1:
            click.echo(f"{filter_name}:")
        describe(found, islands[found["id"]])
    if split and len(results) > 1:
        click.echo(
            f"they lie on each other: {_to_compose({name: found['id'] for name, found in zip(jobs, results, strict=True)})}"
        )


def _leave(state: State, catalog: Any, jobs: Jobs, *, start: bool) -> None:
    """Queue jobs and name them."""
    from astrotui.cli.jobs_shared import queue, queue_and_launch
    from astrotui.jobs.queue import show

    if "" in jobs:
        payload, title = next(iter(jobs.values()))
        queue_and_launch(state, catalog, "stack", payload, title, start=start)
        return
    made = {queue(catalog, "stack", *job, start=start): job[1] for job in jobs.values()}
    if state.json:
        emit([show(catalog, job_id).to_dict() for job_id in made])
        return
    for job_id, title in made.items():
        click.echo(f"job {job_id}: {title}; `astrotui jobs show {job_id} --wait` follows it")
    if not start:
        click.echo("no worker was started; `astrotui worker --drain` runs what is queued")


def _wait(catalog: Any, jobs: Jobs) -> list[dict[str, Any]]:
    """Queue jobs, wait for all, and return their results; those after one that fails go on."""
    from astrotui.cli.jobs_shared import queue, wait_for_result
    from astrotui.library.stacks import stack_of_job

    results = []
    for job_id in [queue(catalog, "stack", *job) for job in jobs.values()]:
        wait_for_result(catalog, job_id)
        found = stack_of_job(catalog, job_id)
        if found is None:
            raise click.ClickException(f"job {job_id} is done, but its stack is not in the catalogue")
        results.append(found)
    return results


def _payloads(catalog: Any, ids: list[int], split: str | None, options: dict[str, Any]) -> Jobs:
    """What is to be queued, by filter; one of no name without --split."""
    from astrotui.jobs.estimates import check_room
    from astrotui.library.planning import check_request
    from astrotui.library.requests import request_stack, title_of
    from astrotui.library.splitting import split_by_filter

    requests = (
        split_by_filter(catalog, ids, **options) if split else {"": request_stack(catalog, ids, **options)}
    )
    for name, request in requests.items():
        check_request(catalog, request)
        check_room(catalog, request)
        if request.recipe.drizzle is not None:
            _foretell(catalog, request, name)
    return {
        name: (request.to_dict(), " ".join(filter(None, (title_of(catalog, request), name))))
        for name, request in requests.items()
    }


def _foretell(catalog: Any, request: Any, name: str) -> None:
    """Say how evenly a drizzle will cover, before it begins."""
    from astrotui.library.drizzle_coverage import foretell_request

    if told := foretell_request(catalog, request):
        note(f"{name + ': ' if name else ''}{'' if told.good else 'warning: '}{told.text}")


def _plan_payload(plan: Path, output: Path | None) -> tuple[dict[str, Any], str]:
    from astrotui.library.requests import check_stack_output
    from astrotui.stacking.plan import load_plan

    stored = load_plan(plan.expanduser().absolute())
    if output is None and Path(stored.output).exists():
        raise OutputError(f"{clean(stored.output, 400)} exists already; name another file with -o")
    place = check_stack_output(Path(stored.output) if output is None else output, stored.name)
    payload = {"plan": str(plan.expanduser().absolute()), "output": str(place)}
    return payload, f"{clean(stored.name, 40)}: {plural(len(stored.frames), 'frame')} again"


def _options(
    state: State,
    dark: str,
    flat: str,
    bias: str,
    reference: str,
    memory: str | None,
    workers: int,
    recipe: dict[str, Any],
) -> dict[str, Any]:
    """What `request_stack` takes beside sessions and places."""
    if reference != "auto" and not reference.isdigit():
        raise click.UsageError(f"--reference {reference!r} must be auto or the id of a frame")
    return {
        "recipe": Recipe(**recipe),
        "dark": dark,
        "flat": flat,
        "bias": bias,
        "reference": None if reference == "auto" else int(reference),
        "memory": parse_size(memory or state.settings.memory),
        "workers": workers,
    }


def islands_of(catalog: Any, found: dict[str, Any]) -> list[dict[str, Any]]:
    """The stacks of the other islands that the frames of a mosaic fell into."""
    from astrotui.library.stacks import get_stack

    return [get_stack(catalog, str(one["id"])) for one in found["islands"]]


def describe(found: dict[str, Any], islands: Sequence[dict[str, Any]] = ()) -> None:
    """The result for people: what went in, what stayed out, where it is; and those of other islands."""
    used, skipped = found["frames_used"], found["frames_skipped"]
    click.echo(
        f"{plural(used, 'frame')}, {exposed(found['integration_s'], used)}, in {duration(found['seconds'])}; "
        f"{found['rejected_fraction']:.2%} of the samples rejected, noise {number(found['noise_adu'], 2)} ADU, "
        f"FWHM {number(found['fwhm_px'], 2)} px"
    )
    if said := _reused(found.get("reused") or {}):
        click.echo(f"reused   {said}")
    for text in found.get("notes") or ():
        note(text)
    for text in found["warnings"]:
        note(f"warning: {text}")
    reasons: dict[str, list[str]] = {}
    for item in skipped:
        reasons.setdefault(item["reason"], []).append(Path(item["path"]).name)
    for reason, names in reasons.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        note(f"left out {', '.join(names[:3])}{more}: {reason}")
    click.echo(f"result   {found['output']}")
    if found["preview"]:
        click.echo(f"picture  {found['preview']}")
    click.echo(f"manifest {found['manifest']}")
    for nth, one in enumerate(islands, 2):
        click.echo(f"island {nth}:")
        describe(one)


def _to_compose(stacks: dict[str, int]) -> str:
    """The command that makes one picture of stacks by filter, where a palette takes them."""
    from astrotui.library.together import filter_key
    from astrotui.stacking.compose import PALETTES

    short = {"l": "L", "r": "R", "g": "G", "b": "B", "ha": "H", "oiii": "O", "sii": "S"}
    letters = {short.get(filter_key(name, color=False) or ""): number for name, number in stacks.items()}
    for palette in ("lrgb", "rgb", "sho", "hoo"):
        if set(PALETTES[palette]) <= letters.keys():
            numbers = " ".join(str(letters[letter]) for letter in PALETTES[palette])
            return f"`astrotui compose {palette} {numbers}` makes one picture"
    listed = ", ".join(f"{number} {name}" for name, number in stacks.items())
    return f"`astrotui compose` takes them ({listed})"


def _reused(counts: dict[str, int]) -> str:
    """What an earlier stack left behind for this one, in words; empty for nothing."""
    names = {"measurements": "measurement", "masters": "master", "registrations": "registration"}
    return ", ".join(plural(counts[key], name) for key, name in names.items() if counts.get(key))


@click.command(context_settings=QUERY_SETTINGS)
@click.argument("query", nargs=-1, type=click.UNPROCESSED)
@shared_options
@pass_state
def stacks(state: State, query: tuple[str, ...]) -> None:
    """List results that match QUERY (all without one), newest first."""
    from astrotui.library.stacks import list_stacks

    with state.open() as catalog:
        found = list_stacks(catalog, query_text(query))
    if state.json:
        emit(found)
        return
    rows = [
        (
            s["id"], s["target"] or "–", s["created"][:16].replace("T", " "), s["frames_used"],
            exposed(s["integration_s"], s["frames_used"]),
            number(s["noise_adu"], 2), number(s["fwhm_px"], 2), s["status"], s["output"],
        )
        for s in found
    ]  # fmt: skip
    heads = ("ID", "TARGET", "MADE (UTC)", "FRAMES", "TOTAL", "NOISE", "FWHM", "STATUS", "FILE")
    click.echo(table(heads, rows, right=(0, 3, 4, 5, 6)))
