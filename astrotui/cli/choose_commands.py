"""`measure`, `cull`, `accept`, `reject`, `undo`, `redo`: judging and choosing frames."""

import sys
from dataclasses import asdict
from typing import Any

import click

from astrotui.cli.common import QUERY_SETTINGS, State, emit, note, pass_state, query_text, shared_options
from astrotui.text import clean, plural

NAMED_PRIORITY = 4  # under that of a session somebody looks at in the app


@click.command()
@click.argument("sessions", nargs=-1, metavar="[SESSION ...]")
@click.option("--force", is_flag=True, help="Measure again what is known.")
@click.option("--detach", is_flag=True, help="Queue it and return.")
@shared_options
@pass_state
def measure(state: State, sessions: tuple[str, ...], force: bool, detach: bool) -> None:
    """Detect stars, measure and score the lights of SESSIONs (of all that need it without one)."""
    from astrotui.jobs.launch import prepare_worker

    prepare_worker("measure")
    from astrotui.cli.jobs_shared import queue_and_launch, queue_and_wait
    from astrotui.library.listing import resolve_all
    from astrotui.library.measure import MeasureReport, sessions_by_need

    with state.open() as catalog:
        ids = resolve_all(catalog, sessions) if sessions else sessions_by_need(catalog)
        if not ids:
            if state.json:
                emit(asdict(MeasureReport()))
            else:
                click.echo("nothing to measure")
            return
        payload = {"sessions": ids, "force": force}
        title = f"measure {plural(len(ids), 'session')}"
        # Sessions that somebody names go before what is measured for completeness.
        priority = NAMED_PRIORITY if sessions else 0
        if detach:
            queue_and_launch(state, catalog, "measure", payload, title, priority=priority)
            return
        result = queue_and_wait(state, catalog, "measure", payload, title, priority=priority)
    if state.json:
        emit(result)
        return
    quarantined = f"{result['quarantined']:,} quarantined, " if result["quarantined"] else ""
    click.echo(
        f"{result['measured']:,} measured, {result['kept']:,} known before, {quarantined}"
        f"{plural(result['frames'], 'frame')}"
    )
    for problem in result["problems"][:20]:
        note(f"  {problem['path']}: {problem['reason']}")
    if len(result["problems"]) > 20:
        note(f"  and {len(result['problems']) - 20:,} more; `astrotui frames SESSION score:0` lists them")
    for warning in result.get("warnings", ()):
        note(f"warning: {warning}")


@click.command()
@click.argument("session")
@click.option("--preset", type=click.Choice(["gentle", "balanced", "strict"]), required=True)
@click.option("--dry-run", is_flag=True, help="Only say what would go and why.")
@click.option("--yes", is_flag=True, help="Do it, also when over 40 % would go.")
@shared_options
@pass_state
def cull(state: State, session: str, preset: str, dry_run: bool, yes: bool) -> None:
    """Reject the bad frames of SESSION by a preset. A person's decisions are never overruled."""
    from astrotui.library.cull import apply_cull, plan_cull
    from astrotui.library.listing import resolve_sessions

    with state.open() as catalog:
        ids = resolve_sessions(catalog, session)
        plan = plan_cull(catalog, ids, preset)
        if not plan.frames and plan.unmeasured:
            raise click.ClickException(
                f"nothing is measured yet: `astrotui measure {clean(session, 200)}` comes first"
            )
        if not state.json:
            click.echo(plan.sentence())
        refusal = None
        if plan.rejected and not dry_run:
            refusal = None if yes or not plan.asks else _second_yes(plan.share, ask=not state.json)
            if refusal is None:
                apply_cull(catalog, plan)
    done = bool(plan.rejected) and not dry_run and refusal is None
    if state.json:
        emit(plan.to_dict(done))
    elif done:
        click.echo(plan.after.sentence())
        click.echo(f"{plural(len(plan.rejected), 'frame')} rejected; `astrotui undo` takes it back")
    if refusal is not None:
        raise click.ClickException(refusal)


def _second_yes(share: float, *, ask: bool) -> str | None:
    """Ask whether so many should go, where there is somebody to ask; why not, or None."""
    if ask and sys.stdin.isatty():
        if click.confirm(f"{share:.0%} of the frames would go. Reject them?"):
            return None
        return "nothing was rejected"
    return (
        f"nothing was rejected: {share:.0%} of the frames would go; "
        "--yes does it all the same, or choose a gentler preset"
    )


def _decide(state: State, session: str, query: tuple[str, ...], verdict: Any) -> None:
    from astrotui.library.choose import decide
    from astrotui.library.listing import list_frames, resolve_sessions
    from astrotui.library.worth import worth

    text = query_text(query)
    if not text:
        raise click.UsageError("say which frames: a query such as score:<40, or id:12")
    with state.open() as catalog:
        sessions = resolve_sessions(catalog, session)
        found = list_frames(catalog, sessions, text)
        if not found:
            raise click.ClickException(f"no frame matches {clean(text, 200)!r}")
        ids = [frame.id for frame in found]
        choice = decide(
            catalog, ids, verdict, reasons={i: [text] for i in ids}, description=f"{verdict}: {text}"
        )
        value = worth(list_frames(catalog, sessions))
    if state.json:
        counts = {"frames": choice.frames, "changed": choice.changed, "status": verdict}
        emit({**counts, "batch": choice.batch, "worth": value.to_dict()})
    else:
        click.echo(f"{plural(choice.changed, 'frame')} {verdict} of {choice.frames:,} that match")
        click.echo(value.sentence())


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
