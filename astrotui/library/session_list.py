"""The list of sessions, with the dark that is in force of each; needs no database layer.

`first_sessions` is for whoever wants it before SQLAlchemy is loaded; `listing.list_sessions` gives the same records.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - records have a field of that name
from datetime import datetime
from pathlib import Path
from typing import Any

from astrotui.catalog.plain import SessionRow, pin_rows, reading, session_rows, set_rows
from astrotui.library.calstat import calibrated_for, gamma_encoded
from astrotui.library.matching import Best, DarkFinder, match_session, pins_of, set_record


@dataclass(frozen=True)
class SessionRecord:
    """One session; `path` is its folder, `root` the library root it is in.

    `integration_s` sums the exposures that are not rejected, missing or quarantined.
    """

    id: int
    path: str
    root: str
    device: str | None
    camera: str | None
    target: str | None
    date: datetime | None
    night: Date | None
    exposure_s: float | None
    gain: float | None
    binning: str | None
    filter: str | None
    temperature_c: float | None
    width: int
    height: int
    cfa: str | None
    lights: int
    accepted: int
    rejected: int
    undecided: int
    unmeasured: int
    missing: int
    quarantined: int
    integration_s: float
    dark: Mapping[str, Any] | None
    warnings: tuple[str, ...]
    note: str
    rating: int | None
    tags: tuple[str, ...]

    @property
    def kept(self) -> int:
        """Lights that a stack would take."""
        return self.undecided + self.accepted


def first_sessions(path: Path) -> list[SessionRecord] | None:
    """All sessions of the catalogue at `path`, as `list_sessions` lists them without a query.

    None when the catalogue is not there in this program's version; `Catalog.open` sees to that.

    Raises
    ------
    CatalogError
        It cannot be read.
    """
    with reading(path) as connection:
        return None if connection is None else read_sessions(connection)


def read_sessions(
    connection: sqlite3.Connection, darks: Mapping[int, Any] | None = None
) -> list[SessionRecord]:
    """All sessions that have lights, by target and night; `darks` are those in force, if they are known already."""
    rows = session_rows(connection)
    found = darks_of(connection, rows) if darks is None else darks
    return [_record(row, found.get(row.id)) for row in rows]


def _record(row: SessionRow, dark: Mapping[str, Any] | None) -> SessionRecord:
    return SessionRecord(
        row.id, below(row.root, row.folder), row.root, row.device, row.camera, row.target, row.first_date, row.night,
        row.exposure_s, row.gain, row.binning, row.filter, row.temperature_c, row.width, row.height, row.cfa, row.lights,
        row.accepted, row.rejected, row.undecided, row.unmeasured, row.missing, row.quarantined, row.integration_s, dark,
        row.warnings, row.note, row.rating, row.tags,
    )  # fmt: skip


def below(root: str, relative: str) -> str:
    """The absolute path of what is stored relative to its root."""
    return f"{root.rstrip('/')}/{relative}" if relative else root


def darks_of(connection: sqlite3.Connection, sessions: Iterable[SessionRow]) -> dict[int, dict[str, Any]]:
    """The dark in force of every session that has one: `{session id: {"id", "grade"}}`."""
    sets = [set_record(row) for row in set_rows(connection) if row.kind in ("dark", "bias")]
    if not sets:
        return {}
    finder, pins = DarkFinder(sets), pins_of(pin_rows(connection))
    found: dict[int, dict[str, Any]] = {}
    for session in sessions:
        if session.id in pins:
            pinned = match_session(session, sets, pins[session.id]).chosen("dark")
            best = Best(pinned.set, pinned.grade) if pinned is not None else None
        elif session.warnings and (
            "dark" in calibrated_for(session.warnings) or gamma_encoded(session.warnings)
        ):
            best = None
        else:
            best = finder.best(session)
        if best is not None:
            found[session.id] = {"id": best.set.id, "grade": best.grade}
    return found
