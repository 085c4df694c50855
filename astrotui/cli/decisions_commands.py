"""`decisions`: the history of what was decided on a session's frames, as a table and as CSV."""

import sys
from pathlib import Path

import click

from astrotui.cli.common import State, emit, note, pass_state, shared_options, table
from astrotui.text import clean, plural

_MOST_BYTES = 100_000_000


@click.command()
@click.argument("session")
@click.option("--export", "export_", metavar="FILE|-", help="Write what stands on each frame as CSV.")
@click.option("--import", "import_", metavar="FILE|-", help="Decide what a CSV says, as one step.")
@click.option("--dry-run", is_flag=True, help="Only say what an import would change.")
@shared_options
@pass_state
def decisions(state: State, session: str, export_: str | None, import_: str | None, dry_run: bool) -> None:
    """List who decided what on the frames of SESSION, when and why; export and import it as CSV."""
    from astrotui.library.listing import resolve_sessions

    if export_ is not None and import_ is not None:
        raise click.UsageError("--export and --import cannot go together")
    if dry_run and import_ is None:
        raise click.UsageError("--dry-run belongs to --import")
    with state.open() as catalog:
        ids = resolve_sessions(catalog, session)
        if export_ is not None:
            from astrotui.library.decisions_csv import export_decisions

            text, count = export_decisions(catalog, ids)
            _write(state, export_, text, count)
        elif import_ is not None:
            from astrotui.library.decisions_csv import import_decisions

            name = "standard input" if import_ == "-" else Path(import_).name
            report = import_decisions(catalog, ids, _read(import_), source=name, dry_run=dry_run)
            if state.json:
                emit(
                    {
                        "rows": report.rows, "matched": report.matched, "changed": report.changed, "dry_run": dry_run,
                        "batches": list(report.batches), "unmatched": list(report.unmatched),
                    }
                )  # fmt: skip
            else:
                word = "would change" if dry_run else "changed"
                counts = f"{plural(report.rows, 'row')}, {report.matched:,} matched"
                click.echo(f"{counts}: {plural(report.changed, 'frame')} {word}")
                for row in report.unmatched[:20]:
                    note(f"  line {row['line']}: {row['path']}: {row['reason']}")
            if report.rows and not report.matched:
                raise click.ClickException(f"{clean(name, 300)}: no row names a frame of these sessions")
        else:
            from astrotui.library.history import history, steps, to_json

            records = history(catalog, ids)
            if state.json:
                emit([to_json(record) for record in records])
                return
            rows = [
                (s.step, f"{s.when.astimezone():%Y-%m-%d %H:%M:%S}", s.by, s.state, s.frames, s.why)
                for s in steps(records)
            ]
            click.echo(table(("STEP", "WHEN", "BY", "STATE", "FRAMES", "WHY"), rows, right=(0, 4)))


def _write(state: State, place: str, text: str, count: int) -> None:
    from astrotui.frames.atomic import check_output, write_bytes_atomic

    data = text.encode("utf-8", "surrogateescape")
    if place == "-":
        if state.json:
            raise click.UsageError("--export - and --json both want standard output: name a file")
        sys.stdout.buffer.write(data)
        return
    path = Path(place).expanduser().absolute()
    check_output(path)
    write_bytes_atomic(path, data, "decisions")
    if state.json:
        emit({"decisions": count, "output": str(path)})
    else:
        click.echo(f"{plural(count, 'decision')} in {clean(path, 400)}")


def _read(place: str) -> str:
    if place == "-":
        data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    else:
        with Path(place).expanduser().open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise click.UsageError(f"{clean(place, 300)}: too large for a list of decisions")
    return data.decode("utf-8-sig", "surrogateescape")
