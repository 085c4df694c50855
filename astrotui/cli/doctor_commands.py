"""`doctor`: what this terminal, disk, catalogue and install can do."""

import importlib.util
import os
import platform
import shutil
import sqlite3
import sys
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import click

from astrotui import __version__
from astrotui.cli.common import State, emit, pass_state, shared_options
from astrotui.config import places
from astrotui.errors import AstrotuiError


@click.command()
@shared_options
@pass_state
def doctor(state: State) -> None:
    """What this terminal, disk, catalogue and install can do, and the settings in force."""
    catalog = _catalog(state)
    facts = {
        "install": _install(),
        "terminal": _terminal(),
        "catalog": catalog,
        "disk": _disk(state),
        "jobs": _jobs(state),
        "settings": {k: v for k, v in asdict(state.settings).items() if k != "warnings"},
        "warnings": list(state.settings.warnings),
    }
    problems = [
        line for part in facts.values() if isinstance(part, dict) for line in part.get("problems", ())
    ]
    if state.json:
        emit({**facts, "problems": problems})
    else:
        for name, part in facts.items():
            if isinstance(part, dict):
                click.echo(name)
                for key, value in part.items():
                    if key != "problems":
                        click.echo(f"  {key:18} {value}")
        for line in problems:
            click.echo(f"problem: {line}")
        if not problems:
            click.echo("no problem found")
    if catalog["problems"]:
        raise click.exceptions.Exit(1)  # decisions may be at stake; all else is advice


def _install() -> dict[str, Any]:
    packages = (
        "textual",
        "sqlalchemy",
        "numpy",
        "astropy",
        "astroalign",
        "ccdproc",
        "pillow",
        "sep",
        "numba",
    )
    extras = {name: importlib.util.find_spec(name) is not None for name in ("rawpy", "distributed")}
    return {
        "astrotui": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} processors",
        **{name: version(name) for name in packages},
        "plate solver": _solver(),
        "extras": ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in extras.items()),
        "problems": [] if sys.version_info >= (3, 11) else ["Python 3.11 or newer is needed"],
    }


def _solver() -> str:
    from astrotui.frames.solver import find_solver

    found = find_solver()
    return "none; solve-field or ASTAP would find fields in the sky" if found is None else str(found)


def _terminal() -> dict[str, Any]:
    columns, lines = shutil.get_terminal_size()
    encoding = sys.stdout.encoding or "unknown"
    unicode = "utf" in encoding.lower()
    return {
        "size": f"{columns}x{lines}",
        "TERM": os.environ.get("TERM", "–"),
        "colors": "24 bit" if os.environ.get("COLORTERM") in ("truecolor", "24bit") else "as TERM says",
        "encoding": encoding,
        "ssh": "yes" if "SSH_CONNECTION" in os.environ else "no",
        "problems": [] if unicode else [f"the encoding {encoding} cannot show half blocks; set LANG=C.UTF-8"],
    }


def _catalog(state: State) -> dict[str, Any]:
    path = state.catalog_file
    if not path.exists():
        return {"path": str(path), "state": "none yet; `astrotui index ROOT` makes it", "problems": []}
    try:
        with state.open() as catalog:
            damage = catalog.integrity()
    except AstrotuiError as error:
        return {"path": str(path), "state": "cannot be opened", "problems": [str(error)]}
    return {
        "path": str(path),
        "size": f"{path.stat().st_size / 1e6:.1f} MB",
        "integrity": "ok" if not damage else damage[0],
        "problems": [f"{path}: {line}" for line in damage[:3]],
    }


def _disk(state: State) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    problems = []
    folders = {
        "results": state.settings.output_folder, "data": places().data, "cache": places().cache, "logs": places().logs,
    }  # fmt: skip
    for name, folder in folders.items():
        there = next(p for p in (folder, *folder.parents) if p.exists())
        free = shutil.disk_usage(there).free
        facts[name] = f"{folder} ({free / 1e9:.1f} GB free)"
        if not os.access(there, os.W_OK):
            problems.append(f"{folder} cannot be written")
        elif free < 1e9:
            problems.append(f"{folder}: under 1 GB is free")
    return {**facts, "problems": problems}


def _jobs(state: State) -> dict[str, Any]:
    from astrotui.jobs.environment import facts

    found = facts()
    removed = _leftovers(state)
    lines = [fact.text for fact in found]
    if removed:
        lines.append(f"{len(removed)} unfinished files of dead workers removed")
    advice = "; ".join(f.remedy for f in found if f.remedy)
    return {"background": "; ".join(lines), **({"advice": advice} if advice else {}), "problems": []}


def _leftovers(state: State) -> list[str]:
    """Unfinished files of workers that died are removed here, as the next attempt would."""
    if not state.catalog_file.exists():
        return []
    from astrotui.jobs.leftovers import remove_leftovers

    try:
        with state.open() as catalog:
            return remove_leftovers(catalog)
    except AstrotuiError:
        return []  # said already, with the catalogue
