"""Compositions in the catalogue: color images made of stacks, listed among the results."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Session, Stack
from astrotui.library.together import filter_key
from astrotui.stacking.palettes import PALETTES, SPLIT
from astrotui.text import clean

_LETTERS = {"l": "L", "r": "R", "g": "G", "b": "B", "ha": "H", "oiii": "O", "sii": "S"}
_UNKNOWN = (
    "reference dark flat bias noise_adu fwhm_px predicted_noise_adu coverage_min coverage_max"
).split()


def letters_of(catalog: Catalog, stacks: Sequence[Mapping[str, Any]]) -> dict[int, str | None]:
    """What each stack can be in a palette (L R G B S H O) by the filters of its sessions; None where they do not say."""
    wanted = {session for stack in stacks for session in stack["sessions"]}
    with catalog.read() as db:
        rows = db.execute(select(Session.id, Session.filter).where(Session.id.in_(wanted))).all()
        filters = {row.id: row.filter for row in rows}
    found: dict[int, str | None] = {}
    for stack in stacks:
        keys = {
            filter_key(filters.get(session), color=stack.get("planes") == 3) for session in stack["sessions"]
        }
        found[stack["id"]] = _LETTERS.get(keys.pop() or "") if len(keys) == 1 else None
    return found


def mixed_up(palette: str, images: Sequence[Path]) -> tuple[str, ...]:
    """What is said of images whose filters are not those that they are taken for; files that name none say nothing."""
    from astrotui.frames.headers import read_fits

    lines = palette == SPLIT or (palette == "hoo" and len(images) == 1)
    order = ("",) if lines else PALETTES[palette]
    said = []
    for letter, path in zip(order, images, strict=False):
        name = read_fits(path).header.text("FILTER")
        key = filter_key(name, color=lines)
        shown = clean(name, 40)
        if lines and key == "broadband":
            said.append(
                f"{clean(path.name, 100)}: its filter {shown} is no dual-band one, so red is not H alpha alone, nor are "
                "green and blue O III"
            )
        elif not lines and _LETTERS.get(key or "", letter) != letter:
            said.append(
                f"{clean(path.name, 100)}: its filter is {shown}, and it was given as {letter}; {palette} takes "
                f"{', '.join(order)} in this order"
            )
    return tuple(said)


def record_composition(
    catalog: Catalog,
    outputs: Sequence[Path],
    images: Sequence[Path],
    *,
    palette: str,
    size: tuple[int, int],
    seconds: float,
    previews: Sequence[Path | None] = (),
    job_id: int | None = None,
) -> list[int]:
    """List written compositions among the results; those of images that the catalogue does not know are not listed.

    Parameters
    ----------
    outputs : the written files: one, or the two lines of a split
    images : what they were made of, in the order of the palette
    size : width and height of the outputs in pixels
    previews : the picture beside each output, where there is one
    job_id : the job that made them, which lists each output once however often it is tried

    Returns
    -------
    Ids of the results.
    """
    names = list(dict.fromkeys(str(image) for image in images))
    with catalog.write(durable=True) as db:
        known = {row.output: row for row in db.scalars(select(Stack).where(Stack.output.in_(names)))}
        if len(known) < len(names):
            return []
        parts = [known[name] for name in names]
        lights = [part.summary.get("integration_s") or 0.0 for part in parts]
        rejected = sum(part.frames_used * (part.summary.get("rejected_fraction") or 0.0) for part in parts)
        summary: dict[str, Any] = dict.fromkeys(_UNKNOWN)
        summary |= {
            "integration_s": sum(lights), "rejected_fraction": rejected / max(sum(p.frames_used for p in parts), 1),
            "seconds": seconds, "stages": {"composing": seconds}, "warnings": [],
            "frames_skipped": [], "width": size[0], "height": size[1], "planes": 1 if len(outputs) > 1 else 3,
            "composed": {"palette": palette, "stacks": [part.id for part in parts]},
        }  # fmt: skip
        found = []
        for output, preview in zip_longest(outputs, previews):
            same = (Stack.job_id == job_id, Stack.output == str(output))
            row = db.scalar(select(Stack).where(*same)) if job_id is not None else None
            if row is None:
                row = Stack(job_id=job_id, created=datetime.now(UTC), tags=[], output=str(output))
                db.add(row)
            row.target = parts[0].target
            row.sessions = sorted({session for part in parts for session in part.sessions})
            row.frames_used = sum(part.frames_used for part in parts)
            row.summary = summary
            row.preview = str(preview) if preview else None
            db.flush()
            found.append(row.id)
        return found
