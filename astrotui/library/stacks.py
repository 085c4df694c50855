"""Results in the catalogue: recording one, listing them, finding one that was moved."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Job, Root, Stack
from astrotui.catalog.query import parse
from astrotui.catalog.saved import saved_texts
from astrotui.errors import AstrotuiError, FrameError, UsageError
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.stacking.result import StackResult

LIVE = ("queued", "running")  # jobs that may change their result yet
_SUMMARY = (
    "reference dark flat bias integration_s rejected_fraction noise_adu fwhm_px seconds stages warnings width height "
    "planes predicted_noise_adu coverage_min coverage_max reused notes"
).split()


@dataclass(frozen=True)
class StackNames:
    """Where the files of a result lie, and by which digests they are known: `content` is in the result's header."""

    output: Path
    manifest: Path
    manifest_digest: str | None
    preview: Path | None
    content: str | None = None


def record_stack(
    catalog: Catalog,
    job_id: int | None,
    names: StackNames,
    target: str | None,
    sessions: Sequence[int],
    result: "StackResult",
    more: Mapping[str, Any] | None = None,
) -> int:
    """Put a finished stack into the catalogue; the same job records once, and each of its islands. Returns its id.

    `more` is `wcs`, where it lies in the sky, as `library.solved.Solution` tells it, and `island_of`, the id of the stack
    of whose frames it has an island.
    """
    summary = {name: _plain(getattr(result, name)) for name in _SUMMARY}
    summary["frames_skipped"] = [{"path": s.path, "reason": s.reason} for s in result.frames_skipped]
    summary["content_digest"] = names.content
    summary |= more or {}
    with catalog.write(durable=True) as db:
        row = None
        if job_id is not None:
            own = select(Stack).where(Stack.job_id == job_id).order_by(Stack.id)
            if summary.get("island_of") is not None:
                own = own.where(Stack.output == str(names.output))
            row = db.scalar(own.limit(1))
        if row is None:
            row = Stack(job_id=job_id, created=datetime.now(UTC), tags=[])
            db.add(row)
        row.output, row.manifest = str(names.output), str(names.manifest)
        row.manifest_digest = names.manifest_digest
        row.preview = str(names.preview) if names.preview else None
        row.target, row.sessions = target, list(sessions)
        row.frames_used, row.summary = result.frames_used, summary
        db.flush()
        return row.id


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def list_stacks(catalog: Catalog, query: str = "") -> list[dict[str, Any]]:
    """Results that match `query`, in its order, else newest first, with the keys of `stacks --json`.

    Raises
    ------
    QueryError
        The query names a field or value that does not exist.
    """
    with catalog.read() as db:
        parsed = parse(query, "stacks", saved=saved_texts(db, "stacks")) if query.strip() else None
        rows = db.execute(
            select(Stack, Job.status).outerjoin(Job, Stack.job_id == Job.id).order_by(Stack.id.desc())
        ).all()
    found = _to_json(rows)
    return found if parsed is None else parsed.sort(filter(parsed.matches, found))


def stack_of_job(catalog: Catalog, job_id: int) -> dict[str, Any] | None:
    """The result of a job."""
    with catalog.read() as db:
        rows = db.execute(
            select(Stack, Job.status)
            .outerjoin(Job, Stack.job_id == Job.id)
            .where(Stack.job_id == job_id)
            .order_by(Stack.id)
        ).all()
    return next(iter(_to_json(rows)), None)


def stack_at(catalog: Catalog, spec: str) -> int | None:
    """The id of the result whose file `spec` names; None for anything else."""
    path = str(Path(spec).expanduser().absolute())
    with catalog.read() as db:
        return db.scalar(select(Stack.id).where(Stack.output == path).order_by(Stack.id.desc()).limit(1))


def get_stack(catalog: Catalog, spec: str) -> dict[str, Any]:
    """The result with id `spec`, or whose file it names.

    Raises
    ------
    AstrotuiError
        There is none.
    """
    stacks = list_stacks(catalog)
    path = str(Path(spec).expanduser().absolute())
    for stack in stacks:
        if (spec.isdigit() and stack["id"] == int(spec)) or stack["output"] == path:
            return stack
    wrong = UsageError if spec.isdigit() else AstrotuiError
    raise wrong(f"no stack {clean(spec, 200)!r}; `astrotui stacks` lists them")


def _to_json(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows of a stack and the status of its job, with the keys of `stacks --json`."""
    found = [_one_to_json(row, status) for row, status in rows]
    islands: dict[int, list[dict[str, Any]]] = {}
    for one in found:
        if one["island_of"] is not None:
            told = {name: one[name] for name in ("id", "output", "frames_used")}
            islands.setdefault(one["island_of"], []).append(told)
    return [{**one, "islands": sorted(islands.get(one["id"], ()), key=lambda i: i["id"])} for one in found]


def _one_to_json(row: Stack, status: str | None) -> dict[str, Any]:
    present = Path(row.output).exists()
    return {
        "id": row.id,
        "job_id": row.job_id,
        # However its job ended after it was recorded, a result is whole: a watch is mostly ended by cancelling it.
        "status": "missing" if not present else status if status in LIVE else "done",
        "target": row.target,
        "created": row.created.isoformat().replace("+00:00", "Z"),
        "output": row.output,
        "manifest": row.manifest,
        "preview": row.preview if row.preview and Path(row.preview).exists() else None,
        "sessions": row.sessions,
        "frames_used": row.frames_used,
        "wcs": None,  # of stacks that an earlier version made
        "island_of": None,
        "reused": None,  # of stacks that an earlier version made
        "content_digest": None,
        **row.summary,
        "note": row.note,
        "rating": row.rating,
        "tags": row.tags,
    }


# --- results that were moved -------------------------------------------------------------------------------------

_MOST_BYTES = 256 * 1024**2  # of a manifest that is read to know it again


@dataclass(frozen=True)
class _Lost:
    """A result whose file is not where it was written."""

    id: int
    name: str
    manifest_digest: str | None
    digests: tuple[
        str, ...
    ]  # one of them is in its header: of the content, or as earlier versions wrote it, of the plan


def find_moved_stacks(catalog: Catalog) -> int:
    """Give results that were moved their new places, where those are indexed; returns how many.

    A result is known by the digest of the manifest beside it or, without one, by that of its content in its header.
    """
    with catalog.read() as db:
        rows = db.execute(select(Stack, Job.plan_digest).outerjoin(Job, Stack.job_id == Job.id)).all()
        lost = [_lost(row, digest) for row, digest in rows if not Path(row.output).exists()]
        taken = {row.output for row, _ in rows}
        if not lost:
            return 0
        query = (
            select(Root.path, Frame.path)
            .join(Root, Frame.root_id == Root.id)
            .where(Frame.frame_type == "stack", ~Frame.missing, Frame.quarantine.is_(None))
            .order_by(Frame.path)
        )
        places = [Path(root) / path for root, path in db.execute(query)]
    found: dict[int, tuple[Path, bool]] = {}
    for place in places:
        if str(place) in taken:
            continue
        fits = list(_results_at(place, [one for one in lost if one.id not in found]))
        fits.sort(key=lambda fit: (not fit[1], fit[0].name != place.name, -fit[0].id))
        if fits:
            found[fits[0][0].id] = place, fits[0][1]
    if found:
        with catalog.write(durable=True) as db:
            for row in db.scalars(select(Stack).where(Stack.id.in_(found))):
                _move(row, *found[row.id])
    return len(found)


def _lost(row: Stack, plan_digest: str | None) -> _Lost:
    if plan_digest is None and row.manifest:
        plan_digest = _plan_digest_in(Path(row.manifest))
    digests = tuple(filter(None, (row.summary.get("content_digest"), plan_digest)))
    return _Lost(row.id, Path(row.output).name, row.manifest_digest, digests)


def _plan_digest_in(manifest: Path) -> str | None:
    data = _read(manifest)
    try:
        table = json.loads(data) if data is not None else None
    except (ValueError, RecursionError):
        return None
    digest = table.get("digest") if isinstance(table, dict) else None
    return digest if isinstance(digest, str) else None


def _results_at(place: Path, lost: Sequence[_Lost]) -> Iterator[tuple[_Lost, bool]]:
    """Which of the lost results the file at `place` may be, and whether its manifest says so."""
    from astrotui.stacking.manifest import manifest_path

    if not lost:
        return
    data = _read(manifest_path(place))
    digest = hashlib.sha256(data).hexdigest() if data is not None else None
    known = [one for one in lost if digest is not None and one.manifest_digest == digest]
    yield from ((one, True) for one in known)
    if known:
        return
    plan = plan_in_header(place)
    if plan is not None:
        yield from ((one, False) for one in lost if any(digest.startswith(plan) for digest in one.digests))


def plan_in_header(place: Path) -> str | None:
    """The digest of its content that a result of ours names (its first 32 digits); None for other files, or none."""
    from astrotui.frames.headers import read_fits

    try:
        header = read_fits(place).header
    except (FrameError, OSError):
        return None
    if not (header.text("SWCREATE") or "").lower().startswith("astrotui"):
        return None
    plan = header.text("PLANDGST")
    return plan if plan and len(plan) >= 16 else None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size <= _MOST_BYTES else None
    except OSError:
        return None


def _move(row: Stack, place: Path, with_manifest: bool) -> None:
    from astrotui.stacking.manifest import manifest_path

    row.output = str(place)
    if with_manifest:
        row.manifest = str(manifest_path(place))
    preview = place.with_suffix(".png")
    if preview.is_file():
        row.preview = str(preview)
