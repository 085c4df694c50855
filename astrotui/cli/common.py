"""What every command shares: options, the catalogue, errors of one line, tables and JSON."""

import functools
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from astrotui.config import Settings, catalog_path, load_settings
from astrotui.text import clean, query_phrase

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class State:
    """Options that may stand before or after the command."""

    catalog: Path | None = None
    debug: bool = False
    json: bool = False

    @functools.cached_property
    def settings(self) -> Settings:
        """The user's settings; what is wrong with them is said once, on stderr."""
        settings = load_settings()
        for warning in settings.warnings:
            note(warning)
        return settings

    @property
    def catalog_file(self) -> Path:
        return catalog_path(self.catalog)

    @contextmanager
    def open(self) -> Iterator["Catalog"]:
        """The catalogue, migrated if need be."""
        from astrotui.catalog.database import Catalog

        catalog = Catalog.open(self.catalog_file)
        try:
            yield catalog
        finally:
            catalog.close()


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        state = context.ensure_object(State)
        if value:
            setattr(state, name, value)

    return callback


def shared_options(command: F) -> F:
    """Add `--json`, `--catalog` and `--debug`, which go into the `State`."""
    options = (
        click.option(
            "--json", is_flag=True, expose_value=False, callback=_keep("json"), help="One JSON document on stdout."
        ),
        click.option(
            "--catalog", type=click.Path(path_type=Path, dir_okay=False), expose_value=False, callback=_keep("catalog"),
            metavar="PATH", help="Use this catalogue.",
        ),
        click.option(
            "--debug", is_flag=True, expose_value=False, callback=_keep("debug"), help="Show tracebacks."
        ),
    )  # fmt: skip
    return functools.reduce(lambda function, option: option(function), options, command)


pass_state = click.make_pass_decorator(State, ensure=True)

# Words of a query may begin with a minus (not) and end with one (sort), so that unknown options are its words.
QUERY_SETTINGS = {"ignore_unknown_options": True}


def query_text(words: Sequence[str]) -> str:
    """The query that the shell split into words."""
    for word in words:
        if word.startswith("--"):
            raise click.UsageError(f"no such option: {clean(word, 60)}")
    return " ".join(map(query_phrase, words))


class FiniteRange(click.FloatRange):
    """A range of numbers without NaN and infinity, which pass the comparisons of `click.FloatRange`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number that can be used.", param, ctx)
        return number


def emit(value: Any) -> None:
    """Print one JSON document on stdout."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def note(text: str) -> None:
    """One line for people on stderr."""
    click.echo(clean(text, 1000), err=True)


def say(state: State, text: str) -> None:
    """One line for people: on stdout, or on stderr when stdout is for JSON."""
    click.echo(clean(text, 1000), err=state.json)


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[int] = ()) -> str:
    """Columns as wide as their content, cleaned for a terminal; `right` names columns to align right.

    Long cells are cut on a terminal only: what goes into a pipe may be used as a path.
    """
    longest = 60 if sys.stdout.isatty() else 4096
    cells = [[clean("" if cell is None else cell, longest) for cell in row] for row in rows]
    widths = [
        max(len(h), *(len(row[i]) for row in cells)) if cells else len(h) for i, h in enumerate(headings)
    ]

    def line(row: Sequence[str]) -> str:
        parts = [
            cell.rjust(w) if i in right else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(parts).rstrip()

    return "\n".join([line(headings), *map(line, cells)])


def number(value: float | None, digits: int = 1) -> str:
    """A number for a table; a dash when unknown."""
    return "–" if value is None else f"{value:.{digits}f}"


class ProgressLine:
    """Progress of work on stderr: one line that is rewritten on a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        self.active = sys.stderr.isatty()
        self.width = 0

    def __call__(self, stage: str, done: int, total: int, tail: str = "") -> None:
        if not self.active:
            return
        if total > 0:
            filled = 24 * min(done, total) // total
            bar = "█" * filled + "░" * (24 - filled)
            text = f"{clean(stage, 30)} {bar} {done:,}/{total:,}{tail}"
        else:
            text = f"{clean(stage, 30)} {done:,}{tail}"
        sys.stderr.write("\r" + text.ljust(self.width)[:200])
        sys.stderr.flush()
        self.width = len(text)

    def close(self) -> None:
        """Take the line away."""
        if self.active and self.width:
            sys.stderr.write("\r" + " " * self.width + "\r")
            sys.stderr.flush()
            self.width = 0
