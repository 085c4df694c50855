"""Which sessions of the watched folders are one picture: those that were named, and what comes of their kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.models import Frame, Root, Session
from astrotui.text import clean, plural

_EPOCH = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Choice:
    """What is stacked: `sessions`, and in words what lies in the folders and is not."""

    sessions: tuple[int, ...]
    aside: tuple[str, ...]


class Kind:
    """The kind of frames that a watch collects: one target, filter, size and pattern.

    It is fixed by the sessions that were named, or by the newest one in the folders when the first frames are
    there; so a change of the filter does not turn the picture into another.
    """

    def __init__(self, named: Sequence[int], kept: dict[str, Any] | None = None) -> None:
        self._named = set(named)
        kept = kept or {}
        self._keys: list[list[Any]] = [list(key) for key in kept.get("keys", ())]
        self._since: str | None = kept.get("since")

    def to_dict(self) -> dict[str, Any]:
        """What a later attempt needs to go on with the same kind."""
        return {"keys": self._keys, "since": self._since}

    def choose(self, db: DbSession, folders: Sequence[Path]) -> Choice:
        """The sessions to stack now."""
        inside = _inside(db, folders)
        if not self._keys:
            named = [s for s in inside if s.id in self._named]
            first = named or ([] if self._named or not inside else [max(inside, key=_latest)])
            for key in map(_key, first):
                if key not in self._keys:
                    self._keys.append(key)
            if named:  # sessions that were there before and were not named are not wanted
                self._since = min(s.first_date or _EPOCH for s in named).isoformat()
        since = datetime.fromisoformat(self._since) if self._since else _EPOCH
        chosen = [
            s
            for s in inside
            if s.id in self._named or (_key(s) in self._keys and (s.first_date or _EPOCH) >= since)
        ]
        ids = {s.id for s in chosen}
        counts: dict[int | None, int] = {}
        query = select(Frame.session_id, func.count()).where(
            Frame.session_id.in_([s.id for s in inside if s.id not in ids]), Frame.missing.is_(False)
        )
        for row in db.execute(query.group_by(Frame.session_id)):
            counts[row[0]] = row[1]
        aside = [
            f"session {s.id} ({_name(s)}): {plural(counts[s.id], 'frame')}" for s in inside if s.id in counts
        ]
        return Choice(tuple(s.id for s in chosen), tuple(aside))


def _inside(db: DbSession, folders: Sequence[Path]) -> list[Session]:
    wanted = set(folders)
    rows = db.execute(select(Session, Root.path).join(Root).order_by(Session.id)).all()
    return [
        session
        for session, root in rows
        if (place := Path(root) / session.folder) in wanted or wanted & set(place.parents)
    ]


def _key(session: Session) -> list[Any]:
    target = (session.target or "").lower().replace(" ", "")
    return [target, session.filter, session.width, session.height, session.cfa_phase]


def _latest(session: Session) -> tuple[datetime, int]:
    return session.last_date or session.first_date or _EPOCH, session.id


def _name(session: Session) -> str:
    parts = [session.target or "unknown target", session.filter, f"{session.width}x{session.height}"]
    return ", ".join(clean(part, 60) for part in parts if part)
