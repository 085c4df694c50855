"""Frames grouped into sessions and calibration sets, folder by folder."""

import hashlib
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.models import CalibrationSet, Frame, Session

# Raw calibration frames whose temperatures lie apart by more than this are different sets; a set never spans
# more than the width, so that a sensor that drifts all night gives several.
TEMPERATURE_GAP_C = 1.5
TEMPERATURE_WIDTH_C = 4.0
_KINDS = ("dark", "bias", "flat", "dark-flat")


@dataclass(frozen=True)
class GroupCounts:
    """Sessions and calibration sets that were made or changed."""

    sessions: int
    sets: int


def regroup(db: DbSession, root_id: int, folder: str) -> GroupCounts:
    """Put the frames directly in `folder` into their sessions and sets again.

    A session keeps its row, and with it notes and pins, when its key changes or its folder was renamed. Rows
    that are left without frames stay until `drop_empty`, so that another folder can still claim them.
    """
    prefix = f"{folder}/" if folder else ""
    rows = db.scalars(
        select(Frame).where(
            Frame.root_id == root_id,
            Frame.path.startswith(prefix, autoescape=True) if prefix else Frame.path.not_like("%/%"),
        )
    )
    frames = [f for f in rows if "/" not in f.path[len(prefix) :] and f.width and f.height]
    sessions: dict[str, list[Frame]] = defaultdict(list)
    sets: dict[str, list[Frame]] = defaultdict(list)
    raw: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.frame_type == "light":
            sessions[_session_key(folder, frame)].append(frame)
        elif frame.frame_type in _KINDS:
            if frame.is_master:
                sets[_digest(folder, "master", frame.path)].append(frame)
            else:
                raw[_set_key(folder, frame)].append(frame)
    for key, members in raw.items():
        for cluster in temperature_clusters(members, lambda f: f.temperature_c):
            center = _median(f.temperature_c for f in cluster)
            sets[_digest(key, None if center is None else round(center / TEMPERATURE_WIDTH_C))].extend(
                cluster
            )
    was_session = {f.id: f.session_id for f in frames}
    was_set = {f.id: f.set_id for f in frames}
    for frame in frames:
        frame.session_id = frame.set_id = None
    session_rows = _Rows(db, Session, root_id, folder, sessions, was_session)
    for key, members in sessions.items():
        session = session_rows.of(key)
        _fill_session(session, folder, members)
        db.flush()
        for frame in members:
            frame.session_id = session.id
    set_rows = _Rows(db, CalibrationSet, root_id, folder, sets, was_set)
    for key, members in sets.items():
        held = set_rows.of(key)
        _fill_set(held, folder, members)
        db.flush()
        for frame in members:
            frame.set_id = held.id
    db.flush()
    return GroupCounts(len(sessions), len(sets))


class _Rows:
    """The rows of a folder's groups. A group whose key changed (a corrected filter, say) keeps its row."""

    def __init__(
        self,
        db: DbSession,
        model: Any,
        root_id: int,
        folder: str,
        groups: Mapping[str, Sequence[Frame]],
        was: Mapping[int, int | None],
    ) -> None:
        self.db, self.model, self.root_id = db, model, root_id
        here = db.scalars(select(model).where(model.root_id == root_id, model.folder == folder))
        rows = {row.key: row for row in here}
        self.rows = {key: row for key, row in rows.items() if key in groups}
        taken = {row.id for row in self.rows.values()}
        for key in sorted(groups.keys() - rows.keys(), key=lambda k: (-len(groups[k]), k)):
            before = _most_common(was[f.id] for f in groups[key])
            row = db.get(model, before) if before is not None and before not in taken else None
            if row is not None and row.root_id == root_id and not self._holds_others(row, folder):
                row.key = key
                self.rows[key] = row
                taken.add(row.id)

    def _holds_others(self, row: Any, folder: str) -> bool:
        """Whether frames of another folder are still in it."""
        column = Frame.session_id if self.model is Session else Frame.set_id
        return row.folder != folder and self.db.scalar(select(exists().where(column == row.id))) is True

    def of(self, key: str) -> Any:
        """The row of `key`, new if there is none."""
        if key not in self.rows:
            self.rows[key] = self.model(root_id=self.root_id, key=key)
            self.db.add(self.rows[key])
        return self.rows[key]


def drop_empty(db: DbSession, root_id: int) -> None:
    """Remove sessions and sets of a root that hold no frame any more."""
    for model, column in ((Session, Frame.session_id), (CalibrationSet, Frame.set_id)):
        used = exists().where(column == model.id)
        db.execute(delete(model).where(model.root_id == root_id, ~used))


def temperature_clusters(
    members: Sequence[Frame], temperature: Callable[[Frame], float | None]
) -> list[list[Frame]]:
    """Members of one set of settings, apart by temperature; those without one stay together."""
    known = sorted((m for m in members if temperature(m) is not None), key=lambda m: (temperature(m), m.path))
    unknown = [m for m in members if temperature(m) is None]
    clusters: list[list[Frame]] = [unknown] if unknown else []
    current: list[Frame] = []
    for member in known:
        now = temperature(member) or 0.0
        if current and (
            now - (temperature(current[-1]) or 0.0) > TEMPERATURE_GAP_C
            or now - (temperature(current[0]) or 0.0) > TEMPERATURE_WIDTH_C
        ):
            clusters.append(current)
            current = []
        current.append(member)
    return [*clusters, current] if current else clusters


def _digest(*parts: object) -> str:
    return hashlib.sha1("\0".join(map(str, parts)).encode()).hexdigest()


def _number(value: float | None, digits: int = 4) -> str:
    return "?" if value is None else f"{value:.{digits}g}"  # 1/400 and 0.00249999 are one exposure


def _session_key(folder: str, frame: Frame) -> str:
    return _digest(
        folder, frame.target, frame.night, frame.camera, frame.width, frame.height, frame.cfa_phase, _number(frame.exposure_s),
        _number(frame.gain), frame.binning, frame.filter,
    )  # fmt: skip


def _set_key(folder: str, frame: Frame) -> str:
    # Dust moves between nights, so flats of two nights are two sets; only flats depend on the filter.
    of_flats = (frame.filter, frame.night) if frame.frame_type == "flat" else ()
    return _digest(
        folder, frame.frame_type, frame.camera, frame.width, frame.height, frame.cfa_phase, _number(frame.exposure_s),
        _number(frame.gain), _number(frame.offset), frame.readout_mode, frame.binning, *of_flats,
    )  # fmt: skip


def _median(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def _most_common(values: Iterable[Any]) -> Any:
    known = [v for v in values if v is not None]
    return statistics.mode(known) if known else None


_SHARED = (
    "device camera exposure_s gain offset readout_mode binning filter width height cfa cfa_phase full_scale_adu "
    "focal_mm rotator_deg roi_x roi_y"
).split()


def _fill_session(row: Session, folder: str, members: Sequence[Frame]) -> None:
    row.folder = folder
    for name in (*_SHARED, "target", "night", "pixel_um", "ra_deg", "dec_deg"):
        setattr(row, name, _most_common(getattr(f, name) for f in members))
    temperatures = [f.temperature_c for f in members if f.temperature_c is not None]
    row.temperature_c = _median(temperatures)
    row.temperature_min_c = min(temperatures, default=None)
    row.temperature_max_c = max(temperatures, default=None)
    dates = [f.date_obs for f in members if f.date_obs is not None]
    row.first_date, row.last_date = min(dates, default=None), max(dates, default=None)
    row.warnings = shared_warnings(members)


def _fill_set(row: CalibrationSet, folder: str, members: Sequence[Frame]) -> None:
    row.folder = folder
    row.kind = str(members[0].frame_type)
    row.is_master = members[0].is_master
    row.depth = members[0].stack_count if members[0].is_master else None
    for name in _SHARED:
        setattr(row, name, _most_common(getattr(f, name) for f in members))
    row.temperature_c = _median(f.temperature_c for f in members)
    row.calstat = members[0].calstat
    row.date = min((f.date_obs for f in members if f.date_obs is not None), default=None)
    row.warnings = shared_warnings(members)


def shared_warnings(members: Sequence[Frame], limit: int = 20) -> list[str]:
    """Each warning once, with the number of frames that carry it when not all do."""
    counts: dict[str, int] = defaultdict(int)
    for frame in members:
        for warning in frame.warnings:
            counts[warning] += 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])[:limit]
    return [w if n == len(members) else f"{w} ({n} of {len(members)} frames)" for w, n in ordered]
