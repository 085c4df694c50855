"""`export`: a stack for other programs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from astrotui.cli.common import State, emit, pass_state, shared_options
from astrotui.errors import AstrotuiError, UsageError
from astrotui.text import clean

_SUFFIX = {"fits": ".fits", "tiff": ".tif", "png": ".png", "jpeg": ".jpg", "csv": ".csv", "siril": ""}
# What a new name beside the result says of the file.
_PART = {
    "fits": "_copy",
    "tiff": "",
    "png": "_picture",
    "jpeg": "_picture",
    "csv": "_frames",
    "siril": "_siril",
}
_ENDINGS = {
    "fits": (".fits", ".fit", ".fts"),
    "tiff": (".tif", ".tiff"),
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg"),
}


@click.command()
@click.argument("stack")
@click.option(
    "--to",
    "kind",
    type=click.Choice(list(_SUFFIX)),
    required=True,
    help="siril makes a folder with a script.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="FILE (a new folder for siril).")
@shared_options
@pass_state
def export(state: State, stack: str, kind: str, output: Path | None) -> None:
    """Write STACK (its id or file) for other programs.

    fits: a copy; tiff: linear, 32 bits; png, jpeg: a stretched picture; csv: what became of each frame; siril: links to
    the raw frames and a script.
    """
    from astrotui.library.stacks import get_stack

    with state.open() as catalog:
        found = get_stack(catalog, stack)
    source = Path(found["output"])
    if not source.exists():
        raise AstrotuiError(f"{source} is gone; index the folder it was moved to")
    target = output.expanduser().absolute() if output else _free(source, kind)
    if kind not in ("siril",) and target.is_dir():
        target = target / f"{source.stem}{_SUFFIX[kind]}"
    if target.suffix.lower() not in _ENDINGS.get(kind, (target.suffix.lower(),)):
        raise UsageError(f"-o {clean(target, 400)}: --to {kind} writes {' or '.join(_ENDINGS[kind])}")
    if found["manifest"] is None and kind in ("csv", "siril"):
        parts = ", ".join(map(str, (found.get("composed") or {}).get("stacks", ())))
        raise AstrotuiError(
            f"{source}: no stack of frames; export what it is composed of: {parts or 'unknown'}"
        )
    cards = (found.get("wcs") or {}).get("cards", ())
    facts = _write(kind, source, Path(found["manifest"] or source), target, cards)
    if state.json:
        emit({"output": str(target), **facts})
    else:
        click.echo(f"written {target}")


def _free(source: Path, kind: str) -> Path:
    """A new name beside the result."""
    number = 1
    while True:
        extra = "" if number == 1 else f"_{number}"
        target = source.with_name(f"{source.stem}{_PART[kind]}{extra}{_SUFFIX[kind]}")
        if not target.exists():
            return target
        number += 1


def _write(kind: str, source: Path, manifest: Path, target: Path, wcs: Sequence[str]) -> dict[str, Any]:
    from astrotui.stacking import export as exports

    match kind:
        case "fits":
            exports.export_fits(source, target, wcs=wcs)
        case "tiff":
            exports.export_tiff(source, target)
        case "csv":
            exports.export_csv(manifest, target)
        case "siril":
            return {"script": str(exports.export_siril(manifest, target))}
        case _:
            from astrotui.rendering.looks import Look
            from astrotui.rendering.render import render_image

            render_image(source, Look(), target)
    return {}
