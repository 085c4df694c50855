"""Compositions: one color image of stacks of single filters, or the two lines of a dual-band stack; listed as results."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from astrotui.errors import OutputError, UsageError
from astrotui.jobs.pictures import write_picture
from astrotui.stacking.palettes import SPLIT, Balance
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog
    from astrotui.jobs.context import Work
    from astrotui.stacking.compose import Composed


@dataclass(frozen=True)
class Composition:
    """What was written, its ids among the results, for a palette what became of each image, and what was odd.

    The picture of an output is None where none could be made.
    """

    outputs: tuple[Path, ...]
    previews: tuple[Path | None, ...]
    stacks: tuple[int, ...]
    made: "Composed | None"
    warnings: tuple[str, ...] = ()


def outputs_of(palette: str, images: Sequence[Path], output: Path | None) -> tuple[Path, ...]:
    """The files that a composition writes: `output`, a folder for them, or beside the first image.

    Raises
    ------
    UsageError
        A split of more than one image, or into what is no folder.
    """
    first = images[0]
    if palette == SPLIT:
        if len(images) != 1:
            raise UsageError("split takes one color stack")
        folder = (output or first.parent).expanduser().absolute()
        if not folder.is_dir() and (folder.exists() or folder.suffix):
            raise UsageError(f"-o {clean(folder, 300)}: split writes two files, so it must name a folder")
        return folder / f"{first.stem}_Ha.fits", folder / f"{first.stem}_OIII.fits"
    name = f"{first.stem}_{palette}.fits"
    target = (output or first.with_name(name)).expanduser().absolute()
    return (target / name if target.is_dir() else target,)


def compose(
    catalog: "Catalog | None",
    palette: str,
    images: Sequence[Path],
    output: Path | None,
    *,
    balance: str = "auto",
    work: "Work | None" = None,
) -> Composition:
    """Write a composition and list it among the results, if its images are; raises as `stacking.compose` does."""
    from astrotui.frames.pixels import open_frame
    from astrotui.library.compositions import mixed_up, record_composition
    from astrotui.stacking.compose import compose as write
    from astrotui.stacking.compose import split_lines

    begun, outs = time.monotonic(), outputs_of(palette, images, output)
    tag = "compose" if work is None else work.tag
    made = None
    if palette == SPLIT:
        folder = outs[0].parent
        new = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{clean(folder, 300)}: cannot be made: {error.strerror}") from error
        try:
            split_lines(images[0], (outs[0], outs[1]), tag=tag)
        except BaseException:
            if new:
                folder.rmdir()
            raise
    else:
        made = write(palette, images, outs[0], balance=cast("Balance", balance), tag=tag)
    warnings = list(mixed_up(palette, images))
    pictures = [write_picture(out, tag, work) for out in outs]
    previews = tuple(path for path, _ in pictures)
    warnings += [said for _, said in pictures if said]
    listed: list[int] = []
    if catalog is not None:
        with open_frame(outs[0]) as written:
            size = (written.width, written.height)
        seconds = time.monotonic() - begun
        listed = record_composition(
            catalog,
            outs,
            images,
            palette=palette,
            size=size,
            seconds=seconds,
            previews=previews,
            job_id=None if work is None else work.job_id,
        )
    return Composition(outs, previews, tuple(listed), made, tuple(warnings))


def run_compose(work: "Work") -> None:
    """The job; payload `{"palette", "images": [path, ...], "output": path or null, "balance"}`."""
    from astrotui.imaging.compiler import load_compiler

    load_compiler()
    payload = work.payload
    images = [Path(image) for image in payload["images"]]
    output = Path(payload["output"]) if payload.get("output") else None
    for out in outputs_of(payload["palette"], images, output):
        work.note_part(out)
    work.progress("composing", 0, 1)
    balance = payload.get("balance") or "auto"
    made = compose(work.catalog, payload["palette"], images, output, balance=balance, work=work)
    work.progress("composing", 1, 1)
    work.set_result(
        {
            "outputs": [str(out) for out in made.outputs],
            "previews": [str(path) if path else None for path in made.previews],
            "stacks": list(made.stacks),
            "warnings": list(made.warnings),
        }
    )
