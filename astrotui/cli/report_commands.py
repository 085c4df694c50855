"""`report`: sessions and their results as one page of HTML."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from astrotui.cli.common import State, emit, note, pass_state, shared_options
from astrotui.errors import AstrotuiError, UsageError
from astrotui.text import clean, plural

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog
    from astrotui.library.report import Report

_ENDINGS = (".html", ".htm")


@click.command()
@click.argument("sessions", nargs=-1, metavar="SESSION ...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write the page here; never over a file."
)
@shared_options
@pass_state
def report(state: State, sessions: tuple[str, ...], output: Path | None) -> None:
    """Write one HTML page about SESSIONs: charts, frames and why they went, calibration, the newest result.

    The page holds its pictures and needs neither network nor scripts. With `private` in the settings, which is the
    default, folders, site coordinates and serial numbers are left out.
    """
    from astrotui.frames.atomic import write_bytes_atomic
    from astrotui.jobs.logs import redact
    from astrotui.library.listing import resolve_all
    from astrotui.library.report import gather
    from astrotui.library.report_page import write_page

    with state.open() as catalog:
        ids = resolve_all(catalog, sessions)
        target = _target(state, catalog, ids, output)
        told = gather(catalog, ids, private=state.settings.private, hide=redact)
    pictures, results = _pictures(told)
    data = write_page(told, pictures, results, now=datetime.now(UTC)).encode("utf-8")
    write_bytes_atomic(target, data, "report")
    frames = sum(len(story.frames) for story in told.sessions)
    if state.json:
        emit(
            {
                "output": str(target), "sessions": [s.session.id for s in told.sessions], "frames": frames,
                "stacks": [s.stack["id"] for s in told.stacks], "pictures": len(pictures) + len(results),
                "bytes": len(data), "private": told.privacy.on,
            }
        )  # fmt: skip
        return
    told_of = f"{plural(len(told.sessions), 'session')}, {plural(frames, 'frame')}"
    click.echo(f"report   {clean(target, 4096)} ({told_of}, {len(data) / 1e6:.1f} MB)")
    if not all(story.measured for story in told.sessions):
        note("some of it is not measured: `astrotui measure` first gives scores and charts")


def _target(state: State, catalog: "Catalog", ids: list[int], output: Path | None) -> Path:
    """Where the page goes; without -o under a free name that is in no library root."""
    from astrotui.frames.atomic import check_output
    from astrotui.library.requests import default_name

    name = f"{default_name(catalog, ids)}_report"
    if output is not None:
        path = output.expanduser().absolute()
        if path.is_dir():
            path = path / f"{name}.html"
        if path.suffix.lower() not in _ENDINGS:
            raise UsageError(f"-o {clean(output, 300)}: a report is written as HTML (.html)")
    else:
        folder = _outside_roots(catalog, state.settings.output_folder)
        folder.mkdir(parents=True, exist_ok=True)
        path, number = folder / f"{name}.html", 2
        while path.exists():
            path, number = folder / f"{name}_{number}.html", number + 1
    check_output(path)
    return path


def _outside_roots(catalog: "Catalog", folder: Path) -> Path:
    """The output folder of the settings, or the data folder when that one is inside the library."""
    from sqlalchemy import select

    from astrotui.catalog.models import Root
    from astrotui.config import places

    with catalog.read() as db:
        roots = {Path(path) for path in db.scalars(select(Root.path))}
    inside = folder.resolve()
    return places().data / "reports" if roots & {inside, *inside.parents} else folder


def _pictures(told: "Report") -> tuple[dict[int, bytes], dict[int, bytes]]:
    """Pictures of the frames that were picked, and of the results; what cannot be read is said and left out."""
    from astrotui.rendering.page_pictures import Wanted, frame_pictures, result_picture
    from astrotui.rendering.source import Known

    frames: dict[int, bytes] = {}
    for story in told.sessions:
        known = Known(cfa_phase=story.cfa_phase or "", full_scale_adu=story.full_scale_adu)
        there = [f for f in story.frames if f.status not in ("missing", "quarantined")]
        made, problems = frame_pictures(
            [Wanted(p.frame.id, Path(p.frame.path)) for p in story.picked], [Path(f.path) for f in there], known=known
        )  # fmt: skip
        frames |= made
        for problem in problems:
            note(f"no picture: {problem}")
    results: dict[int, bytes] = {}
    for stack in told.stacks:
        if stack.stack["status"] == "missing":
            continue
        try:
            results[stack.stack["id"]] = result_picture(Path(stack.stack["output"]))
        except (AstrotuiError, OSError) as error:
            note(f"no picture: {error}")
    return frames, results
