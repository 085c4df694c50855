"""`index`, `sessions`, `frames`, `set`: what the library holds."""

import csv
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astrotui.cli.common import (
    QUERY_SETTINGS,
    State,
    emit,
    note,
    number,
    pass_state,
    query_text,
    say,
    shared_options,
    table,
)
from astrotui.errors import AstrotuiError
from astrotui.text import clean, exposed, plural

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog
    from astrotui.library.session_list import SessionRecord


@click.command()
@click.argument("roots", nargs=-1, type=click.Path(path_type=Path), metavar="ROOT ...")
@click.option("--again", is_flag=True, help="Read all files, not only those that changed.")
@click.option("--emptied", is_flag=True, help="An empty ROOT was emptied on purpose: its frames are missing.")
@click.option("--detach", is_flag=True, help="Queue it and return.")
@shared_options
@pass_state
def index(state: State, roots: tuple[Path, ...], again: bool, emptied: bool, detach: bool) -> None:
    """Read new, changed and vanished files of ROOT folders into the catalogue.

    Without ROOT, all known roots are looked at. Nothing under a root is ever written. Files that vanished are marked
    missing and keep their decisions. A ROOT that is empty or gone is taken for a disk that is not mounted.
    """
    from astrotui.jobs.launch import prepare_worker

    prepare_worker("index")
    from astrotui.cli.jobs_shared import queue_and_launch, queue_and_wait
    from astrotui.library.index_report import IndexReport
    from astrotui.library.roots import check_outside, list_roots

    for root in roots:
        check_outside(state.catalog_file, root)  # before the catalogue is made there
    with state.open() as catalog:
        places = [root.expanduser().absolute() for root in roots] or list(list_roots(catalog))
        if not places:
            raise click.UsageError("name a folder to index: astrotui index ROOT ...")
        told = _check_folders(catalog, places, emptied)
        payload = {"roots": [str(place) for place in places], "again": again, "emptied": emptied}
        title = f"index {plural(len(places), 'folder')}"
        if detach:
            queue_and_launch(state, catalog, "index", payload, title)
            return
        report = IndexReport(**queue_and_wait(state, catalog, "index", payload, title))
    if state.json:
        emit(asdict(report))
        return
    for text in report.unread:
        if text not in told:
            note(f"NOT INDEXED: {text}")
    say(state, report.summary())
    if report.stacks:
        say(state, f"{plural(report.stacks, 'stack')} found at a new place")
    if report.duplicates:
        are = "is a copy" if report.duplicates == 1 else "are copies"
        files = plural(report.duplicates, "file")
        say(state, f"{files} of the library {are} of others; `astrotui sessions` tells which")
    for text in report.doubts():
        note(text)


def _check_folders(catalog: "Catalog", folders: Sequence[Path], emptied: bool) -> list[str]:
    """Say at once which folders cannot be indexed, such as disks that are not mounted; returns what was said.

    Beside others they become notes in the job's report; when there are no others, there is no job.
    """
    from astrotui.library.roots import check_folder, check_not_empty

    problems = []
    for folder in folders:
        try:
            place = check_folder(folder)
            if not emptied:
                check_not_empty(catalog, place)
        except AstrotuiError as error:
            problems.append(error)
    if len(problems) == len(folders):
        raise problems[0]
    told = [clean(problem, 500) for problem in problems]
    for text in told:
        note(f"NOT INDEXED: {text}")
    return told


@click.command(context_settings=QUERY_SETTINGS)
@click.argument("query", nargs=-1, type=click.UNPROCESSED)
@shared_options
@pass_state
def sessions(state: State, query: tuple[str, ...]) -> None:
    """List sessions that match QUERY (all without one)."""
    from astrotui.library.listing import list_sessions, to_json

    with state.open() as catalog:
        records = list_sessions(catalog, query_text(query))
    if state.json:
        emit([to_json(record) for record in records])
        return
    rows = [
        (
            r.id, r.target or "(no target)", r.night or "–", r.camera or r.device or "–",
            "–" if r.exposure_s is None else f"{r.exposure_s:g} s", number(r.gain, 0), r.filter or "–",
            f"{r.kept}/{r.lights}", exposed(r.integration_s, r.kept),
            r.dark["grade"] if r.dark else "none", _attention(r),
        )
        for r in records
    ]  # fmt: skip
    heads = (
        "ID",
        "TARGET",
        "NIGHT",
        "CAMERA",
        "EXP",
        "GAIN",
        "FILTER",
        "FRAMES",
        "TOTAL",
        "DARK",
        "ATTENTION",
    )
    click.echo(table(heads, rows, right=(0, 4, 5, 7, 8)))
    total = sum(r.integration_s for r in records)
    click.echo(f"{plural(len(records), 'session')}, {exposed(total, sum(r.kept for r in records))}")
    told = [f"session {r.id}: {warning}" for r in records for warning in r.warnings]
    for text in told[:_MOST_WARNINGS]:
        click.echo(clean(text, 300))
    if len(told) > _MOST_WARNINGS:
        more = plural(len(told) - _MOST_WARNINGS, "more warning")
        click.echo(f"and {more}; narrow the query, or see `astrotui sessions --json`")


_MOST_WARNINGS = 20  # below the table


def _attention(session: "SessionRecord") -> str:
    counts = ((getattr(session, name), name) for name in ("quarantined", "missing", "unmeasured"))
    parts = [f"{count} {name}" for count, name in counts if count]
    return ", ".join([*parts, *[plural(len(session.warnings), "warning")] * bool(session.warnings)])


@click.command(context_settings=QUERY_SETTINGS)
@click.argument("session")
@click.argument("query", nargs=-1, type=click.UNPROCESSED)
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values.")
@click.option("--paths0", is_flag=True, help="Paths only, each ended by a NUL, for xargs -0.")
@shared_options
@pass_state
def frames(state: State, session: str, query: tuple[str, ...], as_csv: bool, paths0: bool) -> None:
    """List every light of SESSION that matches QUERY: rejected, missing and quarantined ones too."""
    from astrotui.library.listing import FrameRecord, list_frames, resolve_sessions, to_json

    if state.json + as_csv + paths0 > 1:
        raise click.UsageError("choose one of --json, --csv and --paths0")
    with state.open() as catalog:
        records = list_frames(catalog, resolve_sessions(catalog, session), query_text(query))
    if state.json:
        emit([to_json(record) for record in records])
    elif paths0:
        sys.stdout.buffer.write(b"".join(os.fsencode(record.path) + b"\0" for record in records))
    elif as_csv:
        names = [f.name for f in fields(FrameRecord)]
        writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
        writer.writeheader()
        for record in records:
            values = to_json(record)
            writer.writerow(
                {k: "; ".join(map(str, v)) if isinstance(v, list) else v for k, v in values.items()}
            )
    else:
        rows = [
            (
                r.id, Path(r.path).name, r.status, number(r.score, 0), r.stars if r.stars is not None else "–",
                number(r.fwhm_px, 2), number(r.eccentricity, 2), number(r.background_adu, 0), number(r.noise_adu, 1),
                number(r.transparency, 2), number(r.dx_px), number(r.dy_px), "; ".join(r.why),
            )
            for r in records
        ]  # fmt: skip
        heads = (
            "ID", "FILE", "STATUS", "SCORE", "STARS", "FWHM", "ECC", "SKY", "NOISE", "CLEAR", "DX", "DY", "WHY",
        )  # fmt: skip
        click.echo(table(heads, rows, right=(0, *range(3, 12))))
        click.echo(plural(len(records), "frame"))


def _doubts(catalog: "Catalog", sessions: Sequence[int], kind: str) -> list[str]:
    """What speaks against a set that was pinned all the same."""
    from astrotui.library.calibrators import session_match

    told = []
    for session in sessions:
        chosen = session_match(catalog, session).chosen(kind)
        if chosen is not None and chosen.pinned and chosen.grade != "exact":
            why = "; ".join(chosen.reasons)
            told.append(f"session {session}: {kind} set {chosen.set.id} is {chosen.grade}: {why}")
    return told


@click.command("set")
@click.argument("specs", nargs=-1, required=True, metavar="SESSION|FRAMES ...")
@click.option("--where", "query", default="", metavar="QUERY", help="Only these frames of the sessions.")
@click.option(
    "--type", "frame_type", help="light, dark, bias, flat, dark-flat, stack, or auto: as the file says."
)
@click.option("--target", help="Name of the object; '' for unknown, auto as the file says.")
@click.option("--filter", "filter_", help="Name of the filter; '' for unknown, auto as the file says.")
@click.option("--pattern", help="CFA pattern at the first pixel: RGGB, GRBG, GBRG, BGGR, none, or auto.")
@click.option("--note", "note_", help="A note; '' takes it away.")
@click.option("--rating", type=click.IntRange(0, 5), help="1 to 5; 0 takes it away.")
@click.option("--tag", multiple=True, help="Add a tag.")
@click.option("--untag", multiple=True, help="Take a tag away.")
@click.option("--dark", help="Pin a dark: id of a set, a path, none, or auto.")
@click.option("--flat", help="Pin a flat likewise.")
@click.option("--bias", help="Pin a bias likewise.")
@shared_options
@pass_state
def set_(
    state: State,
    specs: tuple[str, ...],
    query: str,
    frame_type: str | None,
    target: str | None,
    filter_: str | None,
    pattern: str | None,
    note_: str | None,
    rating: int | None,
    tag: tuple[str, ...],
    untag: tuple[str, ...],
    dark: str | None,
    flat: str | None,
    bias: str | None,
) -> None:
    """Correct what files say, or add notes, ratings, tags and pins to SESSION, frames or stacks.

    Name a session (id, folder or query), the path of a frame, or stack:ID. Corrections stick when files are read
    again, until they are withdrawn with auto; those of a whole folder hold for frames that come into it later, and
    may name a folder of darks or flats.
    """
    from astrotui.library.annotate import Notes, annotate, find_things, pin
    from astrotui.library.corrections import correct

    corrections = {
        name: value
        for name, value in (
            ("type", frame_type),
            ("target", target),
            ("filter", filter_),
            ("pattern", pattern),
        )
        if value is not None
    }
    notes = Notes(note_, rating, tag, untag)
    pins = {
        kind: value for kind, value in (("dark", dark), ("flat", flat), ("bias", bias)) if value is not None
    }
    if not corrections and not pins and notes.empty:
        raise click.UsageError("nothing to set; `astrotui set --help` lists what can be set")
    with state.open() as catalog:
        things = find_things(catalog, specs, query)
        counts = {"sessions": len(things.sessions), "frames": len(things.all_frames(catalog)), "corrected": 0}
        if not notes.empty:
            annotate(catalog, things, notes)
        if pins and not things.sessions:
            raise click.UsageError("only sessions can have a dark, flat or bias pinned; none is named")
        for kind, choice in pins.items():
            pin(catalog, things.sessions, kind, choice)
        doubts = [text for kind in pins for text in _doubts(catalog, things.sessions, kind)]
        if corrections:
            counts["corrected"] = correct(catalog, things.all_frames(catalog), corrections)
    if state.json:
        emit(counts)
    else:
        parts = [plural(counts["sessions"], "session")] if counts["sessions"] else []
        parts += [plural(counts["frames"], "frame")] if counts["frames"] else []
        parts += [plural(len(things.stacks), "stack")] if things.stacks else []
        click.echo(f"set for {', '.join(parts)}")
        for text in doubts:
            note(text)
