"""Results in the catalogue: recording one, listing them, finding one that was moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Job, Stack
from astrotui.errors import AstrotuiError
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.stacking.result import StackResult

_SUMMARY = (
    "reference dark flat bias integration_s rejected_fraction noise_adu fwhm_px seconds stages warnings width height "
    "planes predicted_noise_adu coverage_min coverage_max"
).split()


@dataclass(frozen=True)
class StackNames:
    """Where the files of a result lie."""

    output: Path
    manifest: Path
    manifest_digest: str | None
    preview: Path | None


def record_stack(
    catalog: Catalog,
    job_id: int | None,
    names: StackNames,
    target: str | None,
    sessions: Sequence[int],
    result: "StackResult",
) -> int:
    """Put a finished stack into the catalogue; the same job records once. Returns its id."""
    summary = {name: _plain(getattr(result, name)) for name in _SUMMARY}
    summary["frames_skipped"] = [{"path": s.path, "reason": s.reason} for s in result.frames_skipped]
    with catalog.write(durable=True) as db:
        row = db.scalar(select(Stack).where(Stack.job_id == job_id)) if job_id is not None else None
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


def list_stacks(catalog: Catalog) -> list[dict[str, Any]]:
    """All results, newest first, with the keys of `stacks --json`."""
    with catalog.read() as db:
        rows = db.execute(
            select(Stack, Job.status).outerjoin(Job, Stack.job_id == Job.id).order_by(Stack.id.desc())
        ).all()
    return [_to_json(row, status) for row, status in rows]


def stack_of_job(catalog: Catalog, job_id: int) -> dict[str, Any] | None:
    """The result of a job."""
    with catalog.read() as db:
        row = db.execute(
            select(Stack, Job.status).outerjoin(Job, Stack.job_id == Job.id).where(Stack.job_id == job_id)
        ).first()
    return None if row is None else _to_json(row[0], row[1])


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
    raise AstrotuiError(f"no stack {clean(spec, 200)!r}; `astrotui stacks` lists them")


def _to_json(row: Stack, status: str | None) -> dict[str, Any]:
    present = Path(row.output).exists()
    return {
        "id": row.id,
        "job_id": row.job_id,
        "status": (status or "done") if present else "missing",
        "target": row.target,
        "created": row.created.isoformat().replace("+00:00", "Z"),
        "output": row.output,
        "manifest": row.manifest,
        "preview": row.preview if row.preview and Path(row.preview).exists() else None,
        "sessions": row.sessions,
        "frames_used": row.frames_used,
        **row.summary,
        "note": row.note,
        "rating": row.rating,
        "tags": row.tags,
    }
