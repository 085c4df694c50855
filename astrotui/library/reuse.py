"""What a stack need not do again: measurements, masters and places of frames that an earlier stack left behind."""

import base64
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Measurement, Stack
from astrotui.library.masters_for import masters_of
from astrotui.stacking.plan import PlanFrame, StackPlan

_MANIFESTS = 12  # of earlier stacks of the same sessions, the latest first
_MOST_BYTES = 256 * 1024**2
_MODELS = {"auto": "similarity"}


def with_reused(
    catalog: Catalog, plan: StackPlan, *, since: datetime, masters: Path, present: Collection[str]
) -> StackPlan:
    """The plan with the places of its frames that an earlier stack on the same reference found, and what is reused.

    A frame keeps its place while it and the reference are the same files with the same stars.

    Parameters
    ----------
    since : when this stack was begun: what was measured before is reused
    masters : folder of the cache
    present : names of the files that were there at that time
    """
    from astrotui.stacking.masters import master_path

    known = _known_places(catalog, plan)
    frames = tuple(
        frame if (place := known.get(number)) is None else replace(frame, transform=place)
        for number, frame in enumerate(plan.frames)
    )
    needed = masters_of(plan.calibrations)
    reused = {
        "measurements": _measured_before(catalog, plan, since),
        "masters": sum(master_path(spec, masters).name in present for spec in needed),
        "registrations": _placed(frames, plan.base),
    }
    return replace(plan, frames=frames, reused=reused)


def rerun(plan: StackPlan, masters: Path) -> StackPlan:
    """A stored plan that is to run again: it brings its measurements with it."""
    from astrotui.stacking.masters import is_made

    reused = {
        "measurements": len(plan.frames),
        "masters": sum(is_made(spec, masters) for spec in masters_of(plan.calibrations)),
        "registrations": _placed(plan.frames, plan.base),
    }
    return replace(plan, reused=reused)


def _placed(frames: Iterable[PlanFrame], base: PlanFrame) -> int:
    """How many frames bring their place with them; the reference needs none."""
    return sum(frame.transform is not None and frame.file.path != base.file.path for frame in frames)


def _measured_before(catalog: Catalog, plan: StackPlan, since: datetime) -> int:
    ids = [frame.frame_id for frame in plan.frames if frame.frame_id is not None]
    count = 0
    with catalog.read() as db:
        for start in range(0, len(ids), 500):
            times = db.scalars(
                select(Measurement.measured).where(Measurement.frame_id.in_(ids[start : start + 500]))
            )
            count += sum(
                (time if time.tzinfo else time.replace(tzinfo=UTC)) < since
                for time in times
                if time is not None
            )
    return count


def _known_places(catalog: Catalog, plan: StackPlan) -> dict[int, tuple[float, ...]]:
    """Transforms by the number of the frame."""
    recipe = plan.recipe
    if recipe.align in ("none", "comet") or (recipe.align == "shift" and recipe.resample == "nearest"):
        return {}  # what is written there are not the places of the stars
    wanted = {frame.file.path: number for number, frame in enumerate(plan.frames)}
    found: dict[int, tuple[float, ...]] = {}
    for table in _manifests(catalog, plan):
        earlier, rows = table["plan"], table["frames"]
        if _MODELS.get(earlier["recipe"]["align"], earlier["recipe"]["align"]) != _MODELS.get(
            recipe.align, recipe.align
        ):
            continue
        base = earlier.get("anchor") or earlier["frames"][earlier["reference"]]
        if not _same(base, plan.base):
            continue
        for frame, row in zip(earlier["frames"], rows, strict=True):
            number = wanted.get(frame["file"]["path"])
            if number is None or number in found or not row.get("used") or row.get("lens") is not None:
                continue
            if row.get("transform") and _same(frame, plan.frames[number]):
                found[number] = tuple(float(value) for value in row["transform"])
        if len(found) == len(plan.frames):
            break
    return found


def _same(stored: dict[str, Any], frame: PlanFrame) -> bool:
    """Whether a frame of a manifest is this file with these stars."""
    file = stored["file"]
    known = (file["path"], file["size"], file["mtime_ns"], file["hdu"])
    own = (frame.file.path, frame.file.size, frame.file.mtime_ns, frame.file.hdu)
    return known == own and stored["stars"] == base64.b64encode(frame.stars.to_bytes()).decode("ascii")


def _manifests(catalog: Catalog, plan: StackPlan) -> Iterator[dict[str, Any]]:
    """Manifests of the latest stacks of some of the plan's sessions on its reference that can be read."""
    with catalog.read() as db:
        columns = (Stack.manifest, Stack.summary, Stack.sessions)
        rows = db.execute(select(*columns).order_by(Stack.id.desc())).all()
    paths = [
        path
        for path, summary, sessions in rows
        if path and summary.get("reference") == plan.base.file.path and set(sessions) & set(plan.sessions)
    ]
    for path in paths[:_MANIFESTS]:
        try:
            if Path(path).stat().st_size > _MOST_BYTES:
                continue
            table = json.loads(Path(path).read_bytes())
            if len(table["plan"]["frames"]) == len(table["frames"]):
                yield table
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # without it the frames are laid on the reference anew
