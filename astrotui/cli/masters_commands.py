"""`masters`: the cache of master darks, flats and bias frames."""

from datetime import datetime
from pathlib import Path

import click

from astrotui.cli.common import State, emit, note, pass_state, shared_options, table
from astrotui.config import parse_size, places
from astrotui.text import clean, plural


@click.command()
@click.argument("action", type=click.Choice(["list", "export", "prune"]), default="list")
@click.argument("digest", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="export: where to write it.")
@click.option("--cap", metavar="SIZE", help="prune: keep at most this much; 0 keeps none.")
@shared_options
@pass_state
def masters(state: State, action: str, digest: str | None, output: Path | None, cap: str | None) -> None:
    """List cached masters, export one (its DIGEST or the beginning of it) as FITS, or prune the cache."""
    from astrotui.stacking.masters import export_master, list_masters

    folder = places().masters
    if action == "export":
        if digest is None or output is None:
            raise click.UsageError("masters export needs DIGEST and -o FILE")
        path = export_master(digest, folder, output.expanduser().absolute())
        if state.json:
            emit({"path": str(path)})
        else:
            click.echo(f"written {path}")
        return
    if action == "prune":
        limit = 0 if cap == "0" else parse_size(cap or state.settings.masters_cap)
        _prune(state, folder, limit)
        return
    found = list_masters(folder)
    if state.json:
        emit(
            [
                {
                    "digest": m.digest, "kind": m.kind, "path": str(m.path), "inputs": m.inputs, "size": m.size,
                    "created": m.created.isoformat() if m.created else None, "last_used": m.last_used.isoformat(),
                    "method": m.method, "warnings": list(m.warnings),
                }
                for m in found
            ]
        )  # fmt: skip
        return
    rows = [
        (
            m.digest[:12],
            m.kind,
            m.inputs,
            clean(m.method, 40),
            f"{m.size / 1e6:.1f} MB",
            f"{m.last_used:%Y-%m-%d}",
            m.path,
        )
        for m in found
    ]
    click.echo(table(("DIGEST", "KIND", "INPUTS", "METHOD", "SIZE", "USED", "PATH"), rows, right=(2, 4)))


def _prune(state: State, folder: Path, limit: int) -> None:
    from astrotui.library.master_cache import prune_by_hand

    running = _running(state)
    removed, stay = prune_by_hand(folder, limit, min(running.values(), default=None))
    if state.json:
        emit({"removed": len(removed), "in_use": len(stay)})
        return
    click.echo(f"{plural(len(removed), 'master')} removed")
    if stay:
        jobs = ", ".join(map(str, running))
        note(
            f"{plural(len(stay), 'master')} left: job {jobs} runs and may read them; prune again when it is done"
        )


def _running(state: State) -> dict[int, datetime]:
    """Jobs that run now, and when each began."""
    if not state.catalog_file.exists():
        return {}
    from astrotui.jobs.queue import list_jobs

    with state.open() as catalog:
        live = list_jobs(catalog, live_only=True)
    return {job.id: job.started for job in live if job.status == "running" and job.started is not None}
