"""Small reads of the catalogue that only the app needs; for a thread."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astrotui.rendering.service import ViewRequest


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
