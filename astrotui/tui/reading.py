"""Small reads of the catalogue that only the app needs; for a thread."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.orm import Session as DbSession

    from astrotui.library.calibrators import SetRecord


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


class DarkMemo:
    """The dark in force of each session, judged once for each combination of settings and pins.

    Judging hundreds of sessions against the whole dark library takes a third of a second; the library is read again
    whenever anything changed, and darks change rarely.
    """

    def __init__(self) -> None:
        self._sets: tuple[SetRecord, ...] = ()
        self._known: dict[Any, dict[str, Any] | None] = {}

    def __call__(self, db: "DbSession") -> "dict[int, dict[str, Any]]":
        """As `library.listing.chosen_darks`."""
        from sqlalchemy import select

        from astrotui.catalog.models import Session
        from astrotui.library.calibrators import Shot, load_pins, load_sets, match_session

        sets = tuple(held for held in load_sets(db) if held.kind in ("dark", "bias"))
        if sets != self._sets:
            self._sets, self._known = sets, {}
        by_size: dict[tuple[int, int], list[SetRecord]] = {}
        for held in sets:
            by_size.setdefault((held.width, held.height), []).append(held)
        found: dict[int, dict[str, Any]] = {}
        pins = load_pins(db)
        for session in db.scalars(select(Session)):
            own = pins.get(session.id) or {}
            pinned = tuple(sorted((kind, pin.set_id, pin.path) for kind, pin in own.items()))
            key = (Shot.of(session), session.first_date, pinned)
            if key not in self._known:
                fitting = sets if own else by_size.get((session.width, session.height), ())
                chosen = match_session(session, fitting, own).chosen("dark") if fitting else None
                self._known[key] = None if chosen is None else {"id": chosen.set.id, "grade": chosen.grade}
            if (dark := self._known[key]) is not None:
                found[session.id] = dark
        return found


def unjudged(db: "DbSession") -> "dict[int, dict[str, Any]]":
    """No darks yet: for a first look at the library that must not wait."""
    return {}
