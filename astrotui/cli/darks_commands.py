"""`darks`: the dark library, and which dark fits a session and why."""

import click
from sqlalchemy import select

from astrotui.cli.common import State, emit, number, pass_state, shared_options, table
from astrotui.text import clean, duration, plural


@click.command()
@click.argument("session", required=False)
@click.option(
    "--kind",
    type=click.Choice(["dark", "bias", "flat"]),
    default="dark",
    help="Candidates of this kind for SESSION.",
)
@shared_options
@pass_state
def darks(state: State, session: str | None, kind: str) -> None:
    """The calibration library and its gaps; with SESSION, every candidate, ranked, with its reasons."""
    if session is None:
        _library(state)
    else:
        _candidates(state, session, kind)


def _library(state: State) -> None:
    from astrotui.catalog.models import Session
    from astrotui.library.calibrators import dark_gaps, load_sets
    from astrotui.library.listing import list_sessions, to_json

    with state.open() as catalog:
        totals = {record.id: record.integration_s for record in list_sessions(catalog)}
        with catalog.read() as db:
            sets = load_sets(db)
            rows = [(row, totals.get(row.id, 0.0)) for row in db.scalars(select(Session))]
    gaps = dark_gaps(rows, sets)
    if state.json:
        emit([to_json(held) for held in sets])
        return
    lines = [
        (
            s.id, s.kind + (" (master)" if s.is_master else ""), s.camera or "–",
            "–" if s.exposure_s is None else f"{s.exposure_s:g} s", number(s.gain, 0), s.binning or "–",
            "–" if s.temperature_c is None else f"{s.temperature_c:.0f} °C", s.filter or "",
            "?" if s.frames is None else s.frames, s.path,
        )
        for s in sets
    ]  # fmt: skip
    heads = ("ID", "KIND", "CAMERA", "EXP", "GAIN", "BIN", "TEMP", "FILTER", "FRAMES", "PATH")
    if not sets:
        click.echo("no calibration frames in the catalogue; `astrotui index FOLDER` reads them")
    else:
        click.echo(table(heads, lines, right=(0, 3, 4, 6, 8)))
    for gap in gaps:
        click.echo(
            f"gap: {plural(gap.sessions, 'session')} ({duration(gap.lights_s)} of light) without an exact dark "
            f"within 5 °C: {gap.advice()}"
        )


def _candidates(state: State, spec: str, kind: str) -> None:
    from astrotui.library.calibrators import session_match
    from astrotui.library.listing import resolve_sessions

    with state.open() as catalog:
        ids = resolve_sessions(catalog, spec)
        if len(ids) > 1:
            raise click.UsageError(f"{clean(spec, 200)!r} names {len(ids)} sessions; give the id of one")
        match = session_match(catalog, ids[0])
    candidates = match.candidates[kind]
    if state.json:
        emit(
            [
                {
                    "id": c.set.id, "path": c.set.path, "kind": c.set.kind, "exposure_s": c.set.exposure_s, "gain": c.set.gain,
                    "binning": c.set.binning, "temperature_c": c.set.temperature_c, "frames": c.set.frames,
                    "master": c.set.is_master, "grade": c.grade, "distance": c.distance, "reasons": list(c.reasons),
                    "chosen": c.chosen, "pinned": c.pinned,
                }
                for c in candidates
            ]
        )  # fmt: skip
        return
    if not candidates:
        click.echo(f"no {kind} in the catalogue; `astrotui index FOLDER` reads them")
        return
    rows = [
        (
            "→" if c.chosen else "", c.set.id, c.grade, "–" if c.set.exposure_s is None else f"{c.set.exposure_s:g} s",
            number(c.set.gain, 0), c.set.binning or "–",
            "–" if c.set.temperature_c is None else f"{c.set.temperature_c:.0f} °C",
            "?" if c.set.frames is None else c.set.frames,
        )
        for c in candidates
    ]  # fmt: skip
    click.echo(
        table(("", "ID", "GRADE", "EXP", "GAIN", "BIN", "TEMP", "FRAMES"), rows, right=(1, 3, 4, 6, 7))
    )
    for c in candidates:
        click.echo(clean(f"{c.set.id}: {'; '.join(c.reasons) or 'fits'}", 500))
    if match.chosen(kind) is not None:
        return
    if kind in match.done:
        why = ": the lights are calibrated already"
    else:
        why = (
            ", as pinned"
            if kind in match.pinned_none
            else f": none fits; `astrotui set {ids[0]} --{kind} ID` pins one"
        )
    click.echo(f"no {kind} is used{why}")
