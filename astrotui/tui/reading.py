"""Small reads of the catalogue that only the app needs; for a thread."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrotui.text import clean, plural

if TYPE_CHECKING:
    from astrotui.rendering.service import ViewRequest
    from astrotui.tui.provenance import Stack


@dataclass(frozen=True)
class SessionFacts:
    """A session's name for headings, and what its pictures need to be told: corrections are in the catalogue only."""

    name: str
    cfa_phase: str | None
    full_scale_adu: float | None


def session_facts(catalog: Any, session_id: int) -> SessionFacts:
    """Target and night of a session, and how its pixels are to be read."""
    from sqlalchemy import select

    from astrotui.catalog.models import Session

    columns = (Session.target, Session.night, Session.cfa_phase, Session.full_scale_adu)
    with catalog.read() as db:
        row = db.execute(select(*columns).where(Session.id == session_id)).first()
    if row is None:
        return SessionFacts("", None, None)
    name = f"{row.target or '(no target)'} {row.night or ''}".strip()
    return SessionFacts(name, row.cfa_phase, row.full_scale_adu)


def rejected_before(catalog: Any, stack: "Stack") -> str:
    """How many lights of a result's sessions it was not given because they were rejected, and why. For a thread."""
    from sqlalchemy import select

    from astrotui.catalog.models import Frame

    query = select(Frame.decision, Frame.reasons).where(
        Frame.session_id.in_(stack["sessions"]),
        Frame.frame_type == "light",
        Frame.missing.is_(False),
        Frame.quarantine.is_(None),
    )
    with catalog.read() as db:
        lights = db.execute(query).all()
    before = len(lights) - stack["frames_used"] - len(stack["frames_skipped"])
    if before <= 0:
        return ""
    rejected = [reasons for decision, reasons in lights if decision == "rejected"]
    reasons = Counter(", ".join(reasons) or "by hand" for reasons in rejected)
    known = len(rejected) == before  # since then nobody changed a decision
    why = ": " + "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(4)) if known else ""
    return clean(f"not given to it: {before} of {plural(len(lights), 'light')}, rejected before{why}", 300)


def unusable_files(catalog: Any) -> dict[int, int]:
    """How many files each job that indexed found unusable, those that found any."""
    from sqlalchemy import select

    from astrotui.catalog.models import Job

    count = Job.result["quarantined"].as_integer()
    query = select(Job.id, count).where(Job.kind == "index", Job.status == "done", count > 0)
    with catalog.read() as db:
        return {row[0]: row[1] for row in db.execute(query)}


def left_out(catalog: Any) -> dict[int, int]:
    """How many of the frames that it was given each job that is done did not stack, those that left out any."""
    from sqlalchemy import func, select

    from astrotui.catalog.models import Job, Stack

    count = func.max(func.json_array_length(Stack.summary, "$.frames_skipped"))
    query = select(Job.id, count).join(Stack, Stack.job_id == Job.id).where(Job.status == "done")
    with catalog.read() as db:
        return {row[0]: row[1] for row in db.execute(query.group_by(Job.id).having(count > 0))}


def session_name(catalog: Any, session_id: int) -> str:
    """Target and night of a session, for headings."""
    return session_facts(catalog, session_id).name


def best_frame(catalog: Any, session_id: int) -> "ViewRequest | None":
    """The usable light of a session with the highest score, else its first one, as a picture of its own."""
    from sqlalchemy import select

    from astrotui.catalog.models import Frame, Measurement, Root
    from astrotui.rendering.service import ViewRequest

    with catalog.read() as db:
        row = db.execute(
            select(Root.path, Frame.path, Frame.cfa_phase, Frame.full_scale_adu, Frame.content_id)
            .join(Root, Frame.root_id == Root.id)
            .outerjoin(Measurement, Measurement.frame_id == Frame.id)
            .where(Frame.session_id == session_id, Frame.missing.is_(False), Frame.quarantine.is_(None))
            .order_by(Frame.decision == "rejected", Measurement.score.desc().nulls_last(), Frame.id)
            .limit(1)
        ).first()
    if row is None:
        return None
    root, path, phase, full_scale, content = row
    return ViewRequest(
        str(Path(root) / path), 0, 0, cfa_phase=phase, full_scale_adu=full_scale, content_id=content
    )
