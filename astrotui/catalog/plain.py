"""The list of sessions in SQL and the standard library alone: loading SQLAlchemy takes longer than the list.

Its SQL stands here once, for whoever holds a connection, be it SQLAlchemy's or one that `connection.connect` made.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from astrotui.catalog.connection import connect, translated
from astrotui.catalog.revisions import REVISIONS

COUNTS = ("lights", "undecided", "accepted", "rejected", "missing", "quarantined", "unmeasured")
_USED = "quarantine IS NULL AND NOT missing"
_CONDITIONS = {
    "undecided": f"decision = 'undecided' AND {_USED}",
    "accepted": f"decision = 'accepted' AND {_USED}",
    "rejected": f"decision = 'rejected' AND {_USED}",
    "missing": "missing AND quarantine IS NULL",
    "quarantined": "quarantine IS NOT NULL",
    "unmeasured": f"NOT measured AND {_USED}",
}
_TOTALS = ("session_id", *COUNTS, "integration_s")
# Sessions whose totals have to be counted: triggers take a session's row away when its frames change.
_STALE = "SELECT id FROM sessions WHERE id NOT IN (SELECT session_id FROM session_totals)"
_FILTERS = ", ".join(
    f"coalesce(sum(frames) FILTER (WHERE {test}), 0) AS {name}" for name, test in _CONDITIONS.items()
)


def _counted(which: str) -> str:
    """Totals counted from the frames, of the sessions that `which` selects.

    Equal frames are counted first, by an index of the frames in its order: half the time of asking each of them.
    """
    return f"""
SELECT session_id, sum(frames) AS lights, {_FILTERS},
coalesce(sum(seconds) FILTER (WHERE decision <> 'rejected' AND {_USED}), 0.0) AS integration_s
FROM (SELECT session_id, missing, quarantine, decision, measured, count(*) AS frames, sum(exposure_s) AS seconds
FROM frames WHERE session_id IN ({which}) GROUP BY session_id, missing, quarantine, decision, measured)
GROUP BY session_id"""


_COUNTED = _counted(_STALE)
# Totals of all sessions that have lights, whether they were kept or have to be counted.
TOTALS = f"SELECT {', '.join(_TOTALS)} FROM session_totals WHERE lights > 0 UNION ALL {_COUNTED}"
# Keeps the totals that were counted; the end of every write.
KEEP_TOTALS = f"""
INSERT INTO session_totals ({", ".join(_TOTALS)})
SELECT stale.id, {", ".join(f"coalesce({name}, 0)" for name in _TOTALS[1:])}
FROM ({_STALE}) AS stale LEFT JOIN ({_COUNTED}) AS counted ON counted.session_id = stale.id"""

# Sessions whose kept totals are not those of their frames: there should be none.
WRONG_TOTALS = f"""
SELECT kept.session_id FROM session_totals AS kept
LEFT JOIN ({_counted("SELECT session_id FROM session_totals")}) AS counted ON counted.session_id = kept.session_id
WHERE {" OR ".join(f"kept.{name} <> coalesce(counted.{name}, 0)" for name in COUNTS)}
OR abs(kept.integration_s - coalesce(counted.integration_s, 0)) > 1e-6 * abs(kept.integration_s) + 1e-9
ORDER BY kept.session_id"""


class SessionRow(NamedTuple):
    """A session with its totals; `root` is the path of its root, `folder` is relative to it."""

    id: int
    root: str
    folder: str
    device: str | None
    camera: str | None
    target: str | None
    first_date: datetime | None
    night: date | None
    exposure_s: float | None
    gain: float | None
    offset: float | None
    readout_mode: str | None
    binning: str | None
    filter: str | None
    temperature_c: float | None
    temperature_min_c: float | None
    temperature_max_c: float | None
    width: int
    height: int
    cfa: str | None
    cfa_phase: str | None
    focal_mm: float | None
    rotator_deg: float | None
    roi_x: int | None
    roi_y: int | None
    note: str
    rating: int | None
    warnings: tuple[str, ...]
    tags: tuple[str, ...]
    lights: int
    undecided: int
    accepted: int
    rejected: int
    missing: int
    quarantined: int
    unmeasured: int
    integration_s: float


class SetRow(NamedTuple):
    """A calibration set with the number of its usable files and the first of them."""

    id: int
    kind: str
    root: str
    folder: str
    is_master: bool
    depth: int | None
    device: str | None
    camera: str | None
    date: datetime | None
    exposure_s: float | None
    gain: float | None
    offset: float | None
    readout_mode: str | None
    binning: str | None
    filter: str | None
    temperature_c: float | None
    width: int
    height: int
    cfa_phase: str | None
    full_scale_adu: float | None
    focal_mm: float | None
    rotator_deg: float | None
    roi_x: int | None
    roi_y: int | None
    calstat: str
    warnings: tuple[str, ...]
    median_adu: float | None
    files: int
    first: str


class PinRow(NamedTuple):
    """A person's choice of a calibration set for a session."""

    session_id: int
    kind: str
    set_id: int | None
    path: str | None


def _columns(table: str, names: Sequence[str], elsewhere: dict[str, str]) -> str:
    return ", ".join(elsewhere.get(name, f'{table}."{name}"') for name in names)


_SESSIONS = f"""
SELECT {_columns("sessions", SessionRow._fields, {"root": "roots.path", **{n: f"totals.{n}" for n in _TOTALS[1:]}})}
FROM sessions JOIN roots ON roots.id = sessions.root_id JOIN ({TOTALS}) AS totals ON totals.session_id = sessions.id
ORDER BY sessions.target, sessions.night, sessions.id"""
# Files are counted apart, by the index of sets: joined, SQLite would go through all frames, most of which are lights.
_SETS = f"""
SELECT {_columns("sets", SetRow._fields, {"root": "roots.path", "files": "present.files", "first": "present.first"})}
FROM calibration_sets AS sets JOIN roots ON roots.id = sets.root_id JOIN
(SELECT set_id, count(*) AS files, min(path) AS first FROM frames
WHERE set_id IS NOT NULL AND NOT missing AND quarantine IS NULL GROUP BY set_id) AS present ON present.set_id = sets.id
ORDER BY sets.kind, sets.exposure_s, sets.gain, sets.id"""
_PINS = "SELECT session_id, kind, set_id, path FROM pins ORDER BY id"


def session_rows(connection: sqlite3.Connection) -> list[SessionRow]:
    """All sessions that have lights, by target and night."""
    return _rows(connection, _SESSIONS, SessionRow)


def set_rows(connection: sqlite3.Connection) -> list[SetRow]:
    """All calibration sets with a file on disk, by kind and settings."""
    return _rows(connection, _SETS, SetRow)


def pin_rows(connection: sqlite3.Connection) -> list[PinRow]:
    """All pins, the oldest first."""
    return _rows(connection, _PINS, PinRow)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that sees the catalogue at `path` at one moment; None when it is not there in this program's version.

    Then `Catalog.open` makes it, upgrades it or says what is wrong.
    """
    if not path.is_file():
        yield None
        return
    with translated(path), closing(connect(path)) as connection:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("BEGIN")
        tables = {n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        ours = {"alembic_version", "frames"} <= tables
        known = ours and connection.execute("SELECT version_num FROM alembic_version").fetchone()
        yield connection if known == (REVISIONS[-1],) else None


def _moment(stored: str) -> datetime:
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)


def _texts(stored: str) -> tuple[str, ...]:
    return () if stored == "[]" else tuple(json.loads(stored))


# How the models' types are stored.
_READ: dict[str, Callable[[str], Any]] = {
    "first_date": _moment,
    "date": _moment,
    "night": date.fromisoformat,
    "warnings": _texts,
    "tags": _texts,
    "is_master": bool,
}


def _rows(connection: sqlite3.Connection, sql: str, kind: Any) -> list[Any]:
    columns = list(zip(*connection.execute(sql).fetchall(), strict=True))
    for place, name in enumerate(kind._fields if columns else ()):
        if (read := _READ.get(name)) is not None:
            columns[place] = tuple(None if value is None else read(value) for value in columns[place])
    return list(map(kind._make, zip(*columns, strict=True)))
