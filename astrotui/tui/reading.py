"""Small reads of the catalogue that only the app needs; for a thread."""

from pathlib import Path
from typing import Any


def session_name(catalog: Any, session_id: int) -> str:
    """Target and night of a session, for headings."""
    from sqlalchemy import select

    from astrotui.catalog.models import Session

    with catalog.read() as db:
        row = db.execute(select(Session.target, Session.night).where(Session.id == session_id)).first()
    return "" if row is None else f"{row.target or '(no target)'} {row.night or ''}".strip()


def best_frame(catalog: Any, session_id: int) -> str | None:
    """Path of the usable light of a session with the highest score, else of its first one."""
    from sqlalchemy import select

    from astrotui.catalog.models import Frame, Measurement, Root

    with catalog.read() as db:
        row = db.execute(
            select(Root.path, Frame.path)
            .join(Root, Frame.root_id == Root.id)
            .outerjoin(Measurement, Measurement.frame_id == Frame.id)
            .where(Frame.session_id == session_id, Frame.missing.is_(False), Frame.quarantine.is_(None))
            .order_by(Frame.decision == "rejected", Measurement.score.desc().nulls_last(), Frame.id)
            .limit(1)
        ).first()
    return None if row is None else str(Path(row[0]) / row[1])
