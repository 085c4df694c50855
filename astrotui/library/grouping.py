"""Frames grouped into sessions and calibration sets, folder by folder."""

import hashlib
import statistics
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from operator import itemgetter
from os.path import commonprefix
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.models import CalibrationSet, Frame, Pin, Session
from astrotui.library.calstat import calibrated_warning
from astrotui.library.duplicates import is_duplicate_warning
from astrotui.library.judging import Shot

_M = TypeVar("_M")

# Raw calibration frames whose temperatures lie apart by more than this are different sets; a set never spans
# more than the width, so that a sensor that drifts all night gives several.
TEMPERATURE_GAP_C = 1.5
TEMPERATURE_WIDTH_C = 4.0
_KINDS = ("dark", "bias", "flat", "dark-flat")

# What a session and a set have of their frames: the value that most of them have. Matching asks for it.
_MATCHED = tuple(field.name for field in fields(Shot) if field.name != "temperature_c")
_SHARED = ("device", "cfa", "full_scale_adu", *_MATCHED)
_OF_SESSION = (*_SHARED, "target", "night", "pixel_um", "ra_deg", "dec_deg")
_FRAMES: Any = Frame.__table__


class Member(NamedTuple):
    """What grouping looks at of a frame: columns of `Frame`."""

    id: int
    path: str
    session_id: int | None
    set_id: int | None
    frame_type: str | None
    is_master: bool
    stack_count: int | None
    temperature_c: float | None
    date_obs: datetime | None
    calstat: str
    warnings: list[str]
    device: str | None
    camera: str | None
    exposure_s: float | None
    gain: float | None
    offset: float | None
    readout_mode: str | None
    binning: str | None
    filter: str | None
    width: int
    height: int
    cfa: str | None
    cfa_phase: str | None
    full_scale_adu: float | None
    focal_mm: float | None
    rotator_deg: float | None
    roi_x: int | None
    roi_y: int | None
    target: str | None
    night: date | None
    pixel_um: float | None
    ra_deg: float | None
    dec_deg: float | None


_READ = Member._fields
_PICK = itemgetter(*_READ[1:])


@dataclass(frozen=True)
class GroupCounts:
    """Sessions and calibration sets of a folder."""

    sessions: int
    sets: int


def directly_in(folder: str) -> tuple[ColumnElement[bool], ...]:
    """Conditions for the frames directly in `folder`, answered by the index of paths."""
    if not folder:
        return (func.instr(Frame.path, "/") == 0,)
    start = len(folder) + 2  # of the name, as SQL counts
    return (
        Frame.path > f"{folder}/",
        Frame.path < f"{folder}0",  # 0 follows / in ASCII
        func.instr(func.substr(Frame.path, start), "/") == 0,
    )


def inside(folder: str) -> tuple[ColumnElement[bool], ...]:
    """Conditions for the frames anywhere in `folder`."""
    return (Frame.path > f"{folder}/", Frame.path < f"{folder}0") if folder else ()


def regroup(db: DbSession, root_id: int, folder: str) -> GroupCounts:
    """Put the frames directly in `folder` into their sessions and sets again.

    A session keeps its row, and with it notes and pins, when its key changes or its folder was renamed. Rows
    that are left without frames stay until `drop_empty`, so that another folder can still claim them.
    """
    db.flush()
    connection = db.connection()
    rows = connection.execute(
        select(*(_FRAMES.c[name] for name in _READ)).where(
            Frame.root_id == root_id, *directly_in(folder), Frame.width > 0, Frame.height > 0
        )
    )
    frames = [Member._make(row) for row in rows]
    session_ids, set_ids, counts = _group(connection, root_id, folder, frames)
    changes = [
        (session_ids.get(f.id), set_ids.get(f.id), f.id)
        for f in frames
        if f.session_id != session_ids.get(f.id) or f.set_id != set_ids.get(f.id)
    ]
    unread = connection.execute(
        select(Frame.id, Frame.path, Frame.session_id, Frame.missing).where(
            Frame.root_id == root_id, *directly_in(folder), Frame.content_id.is_(None), Frame.quarantine.is_not(None)
        )
    ).all()  # fmt: skip
    if unread:
        near = _near_sessions({f.path: session_ids.get(f.id) for f in frames}, [row.path for row in unread])
        homes = [(None if row.missing else near[row.path], row) for row in unread]
        changes += [(home, None, row.id) for home, row in homes if home != row.session_id]
    if changes:
        connection.exec_driver_sql("UPDATE frames SET session_id = ?, set_id = ? WHERE id = ?", changes)
    db.expire_all()
    return counts


def group_new(db: DbSession, root_id: int, folder: str, frames: Sequence[dict[str, Any]]) -> GroupCounts:
    """Give the rows to be of a folder that is new to the catalogue their sessions and sets.

    Sets `session_id` and `set_id` of each of `frames`, which hold all columns of `Frame` but its id: half the work of grouping
    them once they are stored.
    """
    members = [
        Member._make((place, *_PICK(frame)))
        for place, frame in enumerate(frames)
        if frame["width"] and frame["height"]
    ]
    session_ids, set_ids, counts = _group(db.connection(), root_id, folder, members)
    for place, frame in enumerate(frames):
        frame["session_id"], frame["set_id"] = session_ids.get(place), set_ids.get(place)
    unread = [frame for frame in frames if frame["content_id"] is None]
    if unread:
        known = {frame["path"]: frame["session_id"] for frame in frames if frame["content_id"] is not None}
        near = _near_sessions(known, [frame["path"] for frame in unread])
        for frame in unread:
            frame["session_id"] = near[frame["path"]]
    return counts


def _near_sessions(known: Mapping[str, int | None], unread: Iterable[str]) -> dict[str, int | None]:
    """The session of files of a folder of which nothing could be read: that of the neighbor with the most like name.

    A person finds them there, quarantined; none for those beside a dark, say.
    """
    names = sorted(known)
    found: dict[str, int | None] = {}
    for path in unread:
        place = bisect_left(names, path)
        around = names[max(0, place - 1) : place + 1]
        alike = max(around, key=lambda name: len(commonprefix((name, path))), default=None)  # noqa: RUF071 - letters
        found[path] = None if alike is None else known[alike]
    return found


def is_new(db: DbSession, root_id: int, folder: str) -> bool:
    """Whether the catalogue knows no frame directly in a folder."""
    known = select(exists().where(Frame.root_id == root_id, *directly_in(folder)))
    return db.connection().scalar(known) is not True


def _group(
    connection: Connection, root_id: int, folder: str, frames: Sequence[Member]
) -> tuple[dict[int, int], dict[int, int], GroupCounts]:
    """Write the sessions and sets of a folder's frames; returns the session and the set of each by its id."""
    sessions: dict[tuple[Any, ...], list[Member]] = defaultdict(list)
    sets: dict[str, list[Member]] = defaultdict(list)
    raw: dict[tuple[Any, ...], list[Member]] = defaultdict(list)
    for frame in frames:
        if frame.frame_type == "light":
            sessions[_session_settings(frame)].append(frame)
        elif frame.frame_type in _KINDS:
            if frame.is_master:
                sets[_digest(folder, "master", frame.path)].append(frame)
            else:
                raw[_set_settings(frame)].append(frame)
    for settings, members in raw.items():
        for cluster in temperature_clusters(members, lambda f: f.temperature_c):
            center = _median(f.temperature_c for f in cluster)
            key = _digest(folder, *settings)
            sets[_digest(key, None if center is None else round(center))].extend(cluster)
    by_key = {_digest(folder, *settings): members for settings, members in sessions.items()}
    session_ids = _Rows(connection, Session, root_id, folder, by_key).write(_session_values)
    set_ids = _Rows(connection, CalibrationSet, root_id, folder, sets).write(_set_values)
    return session_ids, set_ids, GroupCounts(len(sessions), len(sets))


class _Rows:
    """The rows of a folder's groups. A group whose key changed (a corrected filter, say) keeps its row."""

    def __init__(
        self,
        connection: Connection,
        model: Any,
        root_id: int,
        folder: str,
        groups: Mapping[str, Sequence[Member]],
    ) -> None:
        self.connection, self.table, self.root_id, self.folder = connection, model.__table__, root_id, folder
        self.column = "session_id" if model is Session else "set_id"
        self.groups = groups
        table = self.table
        here = connection.execute(
            select(table.c.id, table.c.key, table.c.warnings).where(
                table.c.root_id == root_id, table.c.folder == folder
            )
        ).all()
        known = {row.key: row.id for row in here}
        self.told = {row.id: [w for w in row.warnings if is_duplicate_warning(w)] for row in here}
        self.ids = {key: known[key] for key in groups if key in known}
        taken = set(self.ids.values())
        # Larger groups choose first.
        for key in sorted(groups.keys() - known.keys(), key=lambda k: (-len(groups[k]), k)):
            before = _most_common([getattr(f, self.column) for f in groups[key]])
            if before is not None and before not in taken and self._free(before):
                self.ids[key] = before
                taken.add(before)

    def _free(self, row_id: int) -> bool:
        """Whether a row is this folder's to take: no frame of it is still present in another folder.

        Files of which nothing could be read do not count: they are not known again when their folder was renamed.
        """
        table = self.table
        row = self.connection.execute(
            select(table.c.root_id, table.c.folder).where(table.c.id == row_id)
        ).first()
        if row is None:
            return False
        if (row.root_id, row.folder) == (self.root_id, self.folder):
            return True
        here = and_(Frame.root_id == self.root_id, *directly_in(self.folder))
        others = select(
            exists().where(
                _FRAMES.c[self.column] == row_id, ~Frame.missing, Frame.content_id.is_not(None), ~here
            )
        )
        return self.connection.scalar(others) is not True

    def write(self, values: Callable[[Sequence[Member]], dict[str, Any]]) -> dict[int, int]:
        """Write the rows of all groups; returns the row of each frame."""
        found: dict[int, int] = {}
        for key, members in self.groups.items():
            row = {"root_id": self.root_id, "key": key, "folder": self.folder, **values(members)}
            row_id = self.ids.get(key)
            if row_id is not None:
                row["warnings"] += self.told.get(row_id, [])
                self.connection.execute(update(self.table).where(self.table.c.id == row_id).values(row))
            else:
                new = {"note": "", "tags": []} if self.column == "session_id" else {}
                made = self.connection.execute(insert(self.table).values({**row, **new}))
                (row_id,) = made.inserted_primary_key or (0,)
            found.update((f.id, row_id) for f in members)
        return found


def drop_empty(db: DbSession, root_id: int) -> None:
    """Remove sessions and sets of a root that hold no frame any more.

    A session that a person wrote on or pinned something for stays, unseen: its frames may come back.
    """
    plain = (Session.note == "", Session.rating.is_(None), Session.tags == [])
    pinned = exists().where(Pin.session_id == Session.id)
    used = exists().where(Frame.session_id == Session.id)
    db.execute(delete(Session).where(Session.root_id == root_id, ~used, *plain, ~pinned))
    used = exists().where(Frame.set_id == CalibrationSet.id)
    db.execute(delete(CalibrationSet).where(CalibrationSet.root_id == root_id, ~used))


def temperature_clusters(members: Sequence[_M], temperature: Callable[[_M], float | None]) -> list[list[_M]]:
    """Members of one set of settings, apart by temperature; those without one stay together."""
    known = [(t, i, m) for i, m in enumerate(members) if (t := temperature(m)) is not None]
    unknown = [m for m in members if temperature(m) is None]
    clusters: list[list[_M]] = [unknown] if unknown else []
    current: list[tuple[float, _M]] = []
    for now, _, member in sorted(known, key=lambda item: item[:2]):
        if current and (
            now - current[-1][0] > TEMPERATURE_GAP_C or now - current[0][0] > TEMPERATURE_WIDTH_C
        ):
            clusters.append([m for _, m in current])
            current = []
        current.append((now, member))
    return [*clusters, [m for _, m in current]] if current else clusters


def _digest(*parts: object) -> str:
    return hashlib.sha1("\0".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def _number(value: float | None, digits: int = 4) -> str:
    return "?" if value is None else f"{value:.{digits}g}"  # 1/400 and 0.00249999 are one exposure


def _session_settings(frame: Member) -> tuple[Any, ...]:
    """What frames of one folder must share to be one session."""
    return (
        frame.target, frame.night, frame.camera, frame.width, frame.height, frame.cfa_phase, _number(frame.exposure_s),
        _number(frame.gain), frame.binning, frame.filter,
    )  # fmt: skip


def _set_settings(frame: Member) -> tuple[Any, ...]:
    # Dust moves between nights, so flats of two nights are two sets; only flats depend on the filter.
    of_flats = (frame.filter, frame.night) if frame.frame_type == "flat" else ()
    return (
        frame.frame_type, frame.camera, frame.width, frame.height, frame.cfa_phase, _number(frame.exposure_s),
        _number(frame.gain), _number(frame.offset), frame.readout_mode, frame.binning, *of_flats,
    )  # fmt: skip


def _median(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def _most_common(values: Iterable[Any]) -> Any:
    """The value that most have, the first of several such; None only when nothing is known."""
    known = Counter(values)
    known.pop(None, None)
    return max(known, key=known.__getitem__, default=None)


def _columns(members: Sequence[Member]) -> dict[str, tuple[Any, ...]]:
    return dict(zip(_READ, zip(*members, strict=True), strict=True))


def _session_values(members: Sequence[Member]) -> dict[str, Any]:
    columns = _columns(members)
    temperatures = [t for t in columns["temperature_c"] if t is not None]
    dates = [d for d in columns["date_obs"] if d is not None]
    return {
        **{name: _most_common(columns[name]) for name in _OF_SESSION},
        "temperature_c": _median(temperatures),
        "temperature_min_c": min(temperatures, default=None),
        "temperature_max_c": max(temperatures, default=None),
        "first_date": min(dates, default=None),
        "last_date": max(dates, default=None),
        "warnings": [*shared_warnings(columns["warnings"]), *_calibrated(columns["calstat"])],
    }


def _set_values(members: Sequence[Member]) -> dict[str, Any]:
    columns = _columns(members)
    first = members[0]
    return {
        **{name: _most_common(columns[name]) for name in _SHARED},
        "kind": first.frame_type,
        "is_master": first.is_master,
        "depth": first.stack_count if first.is_master else None,
        "temperature_c": _median(columns["temperature_c"]),
        "calstat": first.calstat,
        "date": min((d for d in columns["date_obs"] if d is not None), default=None),
        "median_adu": None,  # of frames that may have changed
        "warnings": shared_warnings(columns["warnings"]),
    }


def shared_warnings(warnings: Sequence[Sequence[str]], limit: int = 20) -> list[str]:
    """Each warning of a group's frames once, with the number of frames that carry it when not all do."""
    counts = Counter(text for own in warnings for text in own)
    return [
        text if n == len(warnings) else f"{text} ({n:,} of {len(warnings):,} frames)"
        for text, n in counts.most_common(limit)
    ]


def _calibrated(calstat: Sequence[str]) -> list[str]:
    """What was already done to lights: it is not done twice."""
    texts = [[calibrated_warning(done)] if done else [] for done in calstat]
    return shared_warnings(texts)
