"""Sessions and frames as people and scripts see them: records with the keys of `--json`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from datetime import date as Date  # noqa: N812 - records have a field of that name
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession
from sqlalchemy.orm import aliased

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement, Root, Session
from astrotui.catalog.plain import session_rows
from astrotui.catalog.query import parse
from astrotui.catalog.raw import raw_connection
from astrotui.catalog.saved import saved_texts
from astrotui.catalog.status import status_expression
from astrotui.errors import AstrotuiError, UsageError
from astrotui.library.session_list import SessionRecord, below, darks_of, read_sessions
from astrotui.text import clean, query_phrase

__all__ = [
    "FrameRecord", "SessionRecord", "chosen_darks", "list_frames", "list_sessions", "resolve_all", "resolve_sessions",
    "session_fields", "to_json",
]  # fmt: skip


@dataclass(frozen=True)
class FrameRecord:
    """One light."""

    id: int
    path: str
    session_id: int | None
    sequence: int | None
    date: datetime | None
    exposure_s: float | None
    gain: float | None
    temperature_c: float | None
    width: int
    height: int
    status: str
    reasons: tuple[str, ...]
    score: float | None
    stars: int | None
    fwhm_px: float | None
    hfr_px: float | None
    eccentricity: float | None
    background_adu: float | None
    noise_adu: float | None
    transparency: float | None
    streak: bool | None
    dx_px: float | None
    dy_px: float | None
    rotation_deg: float | None
    note: str
    rating: int | None
    tags: tuple[str, ...]

    @property
    def why(self) -> tuple[str, ...]:
        """What people are told of it: its reasons, and what is worth knowing though it costs nothing, in brackets.

        A satellite's trail is one: rejection takes it out of a stack, so it lowers no score.
        """
        return self.reasons if not self.streak or "streak" in self.reasons else (*self.reasons, "(streak)")


def to_json(record: Any) -> dict[str, Any]:
    """A record's fields as JSON-ready values: dates ISO 8601 in UTC, tuples as lists."""
    return {f.name: _json(getattr(record, f.name)) for f in fields(record)}


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_json(v) for v in value]
    return dict(value) if isinstance(value, Mapping) else value


def list_sessions(
    catalog: Catalog, query: str = "", *, darks: Callable[[DbSession], Mapping[int, Any]] | None = None
) -> list[SessionRecord]:
    """Sessions that match `query`, in its order, else by target and night.

    `darks` finds the dark in force of each session, by default `chosen_darks`; for callers that know them already.

    Raises
    ------
    QueryError
        The query names a field or value that does not exist.
    """
    with catalog.read() as db:
        parsed = parse(query, "sessions", saved=saved_texts(db, "sessions")) if query.strip() else None
        records = read_sessions(raw_connection(db), darks(db) if darks is not None else None)
    if parsed is None:
        return records
    wanted = [r for r in records if parsed.matches(session_fields(r))]
    return parsed.sort(wanted, key=session_fields)


def chosen_darks(db: DbSession) -> dict[int, dict[str, Any]]:
    """The dark in force of every session that has one: `{session id: {"id", "grade"}}`."""
    connection = raw_connection(db)
    return darks_of(connection, session_rows(connection))


def session_fields(record: SessionRecord) -> dict[str, Any]:
    """A session's values by the names of the query language."""
    return {
        **vars(record),
        "exp": record.exposure_s, "temp": record.temperature_c, "integration": record.integration_s,
        "dark": record.dark["grade"] if record.dark else None, "tag": record.tags,
    }  # fmt: skip


# Queries look roots up by themselves: under the same name, the two would be taken for one.
_PLACE = aliased(Root)
# What a FrameRecord is made of; reading whole rows would cost five times as much.
_FRAME_COLUMNS = (
    Frame.id, _PLACE.path, Frame.path, Frame.session_id, Frame.sequence, Frame.date_obs, Frame.exposure_s, Frame.gain,
    Frame.temperature_c, Frame.width, Frame.height, status_expression(), Frame.quarantine, Frame.reasons,
    Measurement.problem, Measurement.score, Measurement.stars, Measurement.fwhm_px, Measurement.hfr_px,
    Measurement.eccentricity, Measurement.background_adu, Measurement.noise_adu, Measurement.transparency,
    Measurement.streak, Measurement.dx_px, Measurement.dy_px, Measurement.rotation_deg, Frame.note, Frame.rating,
    Frame.tags,
)  # fmt: skip


def list_frames(catalog: Catalog, session_ids: Sequence[int], query: str = "") -> list[FrameRecord]:
    """All lights of sessions that match `query`: rejected, missing and quarantined ones too."""
    with catalog.read() as db:
        parsed = parse(query, "frames", saved=saved_texts(db, "frames"))
        rows = db.execute(
            select(*_FRAME_COLUMNS)
            .join(_PLACE, Frame.root_id == _PLACE.id)
            .join(Session, Frame.session_id == Session.id)
            .outerjoin(Measurement, Measurement.frame_id == Frame.id)
            .where(Frame.session_id.in_(session_ids), *parsed.where())
            .order_by(*parsed.order(), Frame.date_obs, Frame.path)
        )
        return [_frame_record(*row) for row in rows]


def _frame_record(frame_id: int, root: str, path: str, *values: Any) -> FrameRecord:
    (
        session, sequence, date, exposure, gain, temperature, width, height, status, quarantine, decided, problem,
        *numbers, note, rating, tags,
    ) = values  # fmt: skip
    reasons = [r for r in (quarantine, *decided, problem) if r]
    make: Any = FrameRecord  # its fields are those of the columns
    return make(  # type: ignore[no-any-return]
        frame_id, below(root, path), session, sequence, date, exposure, gain, temperature, width or 0,
        height or 0, status, tuple(dict.fromkeys(reasons)), *numbers, note, rating, tuple(tags),
    )  # fmt: skip


def resolve_sessions(catalog: Catalog, spec: str) -> list[int]:
    """Ids of the sessions that `spec` names: an id, a folder (all sessions in it), else a query.

    Raises
    ------
    AstrotuiError
        Nothing is there under that name.
    """
    if spec.isdigit():
        with catalog.read() as db:
            if len(spec) > 15 or db.get(Session, int(spec)) is None:
                raise UsageError(f"no session {clean(spec, 20)}; `astrotui sessions` lists them")
        return [int(spec)]
    folder = Path(spec).expanduser()
    if _is_folder(folder):
        return _in_folder(catalog, folder.resolve())
    found = [record.id for record in list_sessions(catalog, query_phrase(spec))]
    if not found:
        if "/" in spec and " " not in spec:
            raise AstrotuiError(f"{clean(spec, 300)}: no such folder, and no session matches it")
        raise AstrotuiError(f"no session matches {clean(spec, 200)!r}; `astrotui sessions` lists them")
    return found


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _in_folder(catalog: Catalog, folder: Path) -> list[int]:
    with catalog.read() as db:
        rows = db.execute(select(Session.id, Root.path, Session.folder).join(Root).order_by(Session.id)).all()
    inside = [
        session_id
        for session_id, root, relative in rows
        if folder in (place := Path(root) / relative, *place.parents)
    ]
    if not inside:
        raise AstrotuiError(
            f"{clean(folder, 300)}: no session in this folder is in the catalogue; index it first"
        )
    return inside


def resolve_all(catalog: Catalog, specs: Sequence[str]) -> list[int]:
    """Ids of all sessions that `specs` name, each once, in that order."""
    if not specs:
        raise UsageError("name a session: an id, a folder or a query")
    return list(dict.fromkeys(sid for spec in specs for sid in resolve_sessions(catalog, spec)))
