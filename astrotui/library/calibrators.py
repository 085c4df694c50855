"""Calibration sets and pins out of the catalogue; `matching` ranks them."""

from collections.abc import Sequence

from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Session
from astrotui.catalog.plain import PinRow, pin_rows, set_rows
from astrotui.catalog.raw import raw_connection
from astrotui.library.judging import (
    Candidate,
    Grade,
    Kind,
    SetRecord,
    Shot,
    judge_bias,
    judge_dark,
    judge_flat,
)
from astrotui.library.matching import (
    Best,
    DarkFinder,
    Gap,
    Match,
    dark_gaps,
    match_flat_darks,
    match_session,
    pins_of,
    set_record,
)

__all__ = [
    "Best", "Candidate", "DarkFinder", "Gap", "Grade", "Kind", "Match", "SetRecord", "Shot", "dark_gaps", "judge_bias",
    "judge_dark", "judge_flat", "load_pins", "load_sets", "match_flat_darks", "match_session", "session_match",
]  # fmt: skip


def load_sets(db: DbSession, kind: Kind | None = None) -> list[SetRecord]:
    """All calibration sets that have a file on disk, with the number of their frames."""
    return [set_record(row) for row in set_rows(raw_connection(db)) if kind in (None, row.kind)]


def load_pins(db: DbSession, session_ids: Sequence[int] | None = None) -> dict[int, dict[str, PinRow]]:
    """Pins by session and kind."""
    rows = pin_rows(raw_connection(db))
    return pins_of(row for row in rows if session_ids is None or row.session_id in session_ids)


def session_match(catalog: Catalog, session_id: int) -> Match:
    """All candidates for one session of the catalogue."""
    with catalog.read() as db:
        session = db.get_one(Session, session_id)
        return match_session(session, load_sets(db), load_pins(db, [session_id]).get(session_id))
