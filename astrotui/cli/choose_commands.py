"""`measure`, `cull`, `accept`, `reject`, `undo`, `redo`: judging and choosing frames."""

import sys
from typing import Any

import click

from astrotui.cli.common import QUERY_SETTINGS, State, emit, note, pass_state, query_text, shared_options
from astrotui.text import plural


@click.command()
@click.argument("sessions", nargs=-1, metavar="[SESSION ...]")
@click.option("--force", is_flag=True, help="Measure again what is known.")
@click.option("--detach", is_flag=True, help="Queue it and return.")
@shared_options
@pass_state
def measure(state: State, sessions: tuple[str, ...], force: bool, detach: bool) -> None:
    """Detect stars, measure and score the lights of SESSIONs (of all that need it without one)."""
    from astrotui.cli.jobs_shared import queue_and_launch, queue_and_wait
    from astrotui.library.listing import resolve_all
    from astrotui.library.measure import sessions_by_need

    with state.open() as catalog:
        ids = resolve_all(catalog, sessions) if sessions else sessions_by_need(catalog)
        if not ids:
            if state.json:
                emit({"sessions": 0, "frames": 0, "measured": 0, "kept": 0, "quarantined": 0, "problems": []})
            else:
                click.echo("nothing to measure")
            return
        payload = {"sessions": ids, "force": force}
        title = f"measure {plural(len(ids), 'session')}"
        if detach:
            queue_and_launch(state, catalog, "measure", payload, title)
            return
        result = queue_and_wait(state, catalog, "measure", payload, title)
    if state.json:
        emit(result)
        return
    click.echo(
        f"{result['measured']:,} measured, {result['kept']:,} known before, {plural(result['frames'], 'frame')}"
    )
    for problem in result["problems"][:20]:
        note(f"  {problem['path']}: {problem['reason']}")


@click.command()
@click.argument("session")
@click.option("--preset", type=click.Choice(["gentle", "balanced", "strict"]), required=True)
@click.option("--dry-run", is_flag=True, help="Only say what would go and why.")
@click.option("--yes", is_flag=True, help="Do it, also when over 40 % would go.")
@shared_options
@pass_state
def cull(state: State, session: str, preset: str, dry_run: bool, yes: bool) -> None:
    """Reject the bad frames of SESSION by a preset. A person's decisions are never overruled."""
    from astrotui.library.cull import LARGE_SHARE, apply_cull, plan_cull
    from astrotui.library.listing import resolve_sessions

    with state.open() as catalog:
        ids = resolve_sessions(catalog, session)
        plan = plan_cull(catalog, ids, preset)
        if not state.json or not (dry_run or yes):
            click.echo(plan.sentence(), err=state.json)
        done = False
        if not dry_run and plan.rejected:
            if plan.share > LARGE_SHARE and not yes:
                if state.json or not sys.stdin.isatty():
                    raise click.UsageError(
                        f"{plan.share:.0%} of the frames would go; say --yes to do it all the same, or choose a gentler preset"
                    )
                click.confirm(f"{plan.share:.0%} of the frames would go. Reject them?", abort=True)
            apply_cull(catalog, plan)
            done = True
    if state.json:
        emit(plan.to_dict(done))
    elif done:
        click.echo(f"{plural(len(plan.rejected), 'frame')} rejected; `astrotui undo` takes it back")


def _decide(state: State, session: str, query: tuple[str, ...], verdict: Any) -> None:
    from astrotui.library.choose import decide
    from astrotui.library.listing import list_frames, resolve_sessions

    text = query_text(query)
    if not text:
        raise click.UsageError("say which frames: a query such as score:<40, or id:12")
    with state.open() as catalog:
        found = list_frames(catalog, resolve_sessions(catalog, session), text)
        if not found:
            raise _nothing(text)
        ids = [frame.id for frame in found]
        choice = decide(
            catalog, ids, verdict, reasons={i: [text] for i in ids}, description=f"{verdict}: {text}"
        )
    counts = {"frames": choice.frames, "changed": choice.changed, "status": verdict, "batch": choice.batch}
    if state.json:
        emit(counts)
    else:
        click.echo(f"{plural(choice.changed, 'frame')} {verdict} of {choice.frames:,} that match")


def _nothing(text: str) -> click.ClickException:
    from astrotui.text import clean

    return click.ClickException(f"no frame matches {clean(text, 200)!r}")


@click.command(context_settings=QUERY_SETTINGS)
@click.argument("session")
@click.argument("query", nargs=-1, type=click.UNPROCESSED)
@shared_options
@pass_state
def accept(state: State, session: str, query: tuple[str, ...]) -> None:
    """Accept the frames of SESSION that match QUERY."""
    _decide(state, session, query, "accepted")


@click.command(context_settings=QUERY_SETTINGS)
@click.argument("session")
@click.argument("query", nargs=-1, type=click.UNPROCESSED)
@shared_options
@pass_state
def reject(state: State, session: str, query: tuple[str, ...]) -> None:
    """Reject the frames of SESSION that match QUERY. Nothing is deleted."""
    _decide(state, session, query, "rejected")


def _travel(state: State, steps: int, forward: bool) -> None:
    from astrotui.library.choose import redo as again
    from astrotui.library.choose import undo as back

    with state.open() as catalog:
        moved = again(catalog, steps) if forward else back(catalog, steps)
    if state.json:
        emit(
            {
                "steps": len(moved),
                "changed": sum(choice.changed for choice in moved),
                "descriptions": [choice.description for choice in moved],
            }
        )
        return
    for choice in moved:
        click.echo(
            f"{'redone' if forward else 'undone'}: {choice.description} ({plural(choice.changed, 'frame')})"
        )


@click.command()
@click.argument("steps", type=click.IntRange(min=1), default=1)
@shared_options
@pass_state
def undo(state: State, steps: int) -> None:
    """Take back the latest decision, or the latest STEPS."""
    _travel(state, steps, False)


@click.command()
@click.argument("steps", type=click.IntRange(min=1), default=1)
@shared_options
@pass_state
def redo(state: State, steps: int) -> None:
    """Make undone decisions again."""
    _travel(state, steps, True)
