"""Which darks, bias frames and flats fit a session: every candidate ranked, with its reasons."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import CalibrationSet, Frame, Pin, Root, Session
from astrotui.text import plural

Kind = Literal["dark", "bias", "flat", "dark-flat"]
Grade = Literal["exact", "scaled", "near", "refused"]
GRADES: tuple[Grade, ...] = ("exact", "scaled", "near", "refused")

EXPOSURE_TOLERANCE = 0.02
EXPOSURE_FLOOR_S = 1e-4
SCALE_RANGE = (0.3, 2.0)  # of a dark's exposure to the light's; beyond it scaling is not trusted
FEW_FRAMES = 5
FOCAL_TOLERANCE = 0.02
ROTATOR_TOLERANCE_DEG = 2.0


@dataclass(frozen=True)
class SetRecord:
    """A calibration set as people see it. `frames` is None for a master of unknown depth."""

    id: int
    kind: str
    path: str
    camera: str | None
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
    focal_mm: float | None
    rotator_deg: float | None
    roi_x: int | None
    roi_y: int | None
    date: datetime | None
    frames: int | None
    is_master: bool
    calstat: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Shot:
    """What matching looks at: the settings of a session, or of a set of flats that wants its own darks."""

    camera: str | None
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
    focal_mm: float | None
    rotator_deg: float | None
    roi_x: int | None
    roi_y: int | None

    @classmethod
    def of(cls, thing: Session | SetRecord) -> "Shot":
        """The settings of a session or set."""
        return cls(**{f.name: getattr(thing, f.name) for f in fields(cls)})


@dataclass(frozen=True)
class Candidate:
    """One set judged for one session. `distance` orders candidates of a grade: 0 is a perfect match."""

    set: SetRecord
    grade: Grade
    distance: float
    reasons: tuple[str, ...]
    chosen: bool = False
    pinned: bool = False


def load_sets(db: DbSession, kind: Kind | None = None) -> list[SetRecord]:
    """All calibration sets that have a file on disk, with the number of their frames."""
    count = func.count(Frame.id)
    query = (
        select(CalibrationSet, Root.path, count, func.min(Frame.path))
        .join(Root, CalibrationSet.root_id == Root.id)
        .join(Frame, Frame.set_id == CalibrationSet.id)
        .where(Frame.missing.is_(False), Frame.quarantine.is_(None))
        .group_by(CalibrationSet.id)
        .order_by(CalibrationSet.kind, CalibrationSet.exposure_s, CalibrationSet.gain, CalibrationSet.id)
    )
    if kind is not None:
        query = query.where(CalibrationSet.kind == kind)
    return [_record(row, root, frames, first) for row, root, frames, first in db.execute(query)]


def _record(row: CalibrationSet, root: str, frames: int, first: str) -> SetRecord:
    place = Path(root) / (first if row.is_master else row.folder)
    return SetRecord(
        row.id, row.kind, str(place), row.camera, row.exposure_s, row.gain, row.offset, row.readout_mode, row.binning,
        row.filter, row.temperature_c, row.width, row.height, row.cfa_phase, row.focal_mm, row.rotator_deg, row.roi_x,
        row.roi_y, row.date, row.depth if row.is_master else frames, row.is_master, row.calstat, tuple(row.warnings),
    )  # fmt: skip


# --- judging one set -------------------------------------------------------------------------------------------


def _same_name(a: str, b: str) -> bool:
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in (a, b)]
    return plain[0] == plain[1]


def _gates(shot: Shot, held: SetRecord, *, with_gain: bool = True) -> tuple[list[str], list[str]]:
    """Reasons to refuse, and what could not be checked."""
    refused: list[str] = []
    unknown: list[str] = []

    def gate(name: str, mine: object, theirs: object, equal: Callable[[], bool], unit: str = "") -> None:
        if mine is None and theirs is None:
            return
        if mine is None or theirs is None:
            unknown.append(f"{name} of the {'lights' if mine is None else held.kind} is unknown")
        elif not equal():
            refused.append(f"{name} {_show(theirs)}{unit}, the lights have {_show(mine)}{unit}")

    gate("camera", shot.camera, held.camera, lambda: _same_name(str(shot.camera), str(held.camera)))
    if (shot.width, shot.height) != (held.width, held.height):
        refused.append(f"size {held.width}x{held.height}, the lights have {shot.width}x{shot.height}")
    if None not in (shot.roi_x, held.roi_x) and (shot.roi_x, shot.roi_y) != (held.roi_x, held.roi_y):
        refused.append("another part of the sensor (sub-frame origin differs)")
    gate("color pattern", shot.cfa_phase, held.cfa_phase, lambda: shot.cfa_phase == held.cfa_phase)
    gate("binning", shot.binning, held.binning, lambda: shot.binning == held.binning)
    if with_gain:
        gate("gain", shot.gain, held.gain, lambda: _close(shot.gain, held.gain, 1e-3))
        if None not in (shot.offset, held.offset):
            gate("offset", shot.offset, held.offset, lambda: _close(shot.offset, held.offset, 1e-3))
        if None not in (shot.readout_mode, held.readout_mode):
            gate(
                "readout mode",
                shot.readout_mode,
                held.readout_mode,
                lambda: shot.readout_mode == held.readout_mode,
            )
    return refused, unknown


def _show(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _close(a: float | None, b: float | None, relative: float, floor: float = 1e-9) -> bool:
    return a is not None and b is not None and abs(a - b) <= max(relative * max(abs(a), abs(b)), floor)


def _temperature(shot: Shot, held: SetRecord, reasons: list[str]) -> float:
    if shot.temperature_c is None or held.temperature_c is None:
        reasons.append("temperature unknown")
        return 1.0
    apart = abs(shot.temperature_c - held.temperature_c)
    if apart > 5:
        reasons.append(
            f"WARNING: {apart:.0f} °C apart ({held.temperature_c:.0f} against {shot.temperature_c:.0f})"
        )
    elif apart > 2:
        reasons.append(f"{apart:.1f} °C apart")
    return apart / 2


def _depth(held: SetRecord, reasons: list[str]) -> float:
    if held.frames is None:
        reasons.append("a ready master of unknown depth")
        return 0.3
    if held.frames < FEW_FRAMES:
        reasons.append(f"only {plural(held.frames, 'frame')}")
    return 1 / math.sqrt(max(held.frames, 1))


def _age(date: datetime | None, held: SetRecord) -> float:
    if date is None or held.date is None:
        return 0.2
    return min(abs((date - held.date).total_seconds()) / 86400 / 365, 3.0) * 0.2


def judge_dark(shot: Shot, held: SetRecord, *, bias: bool, date: datetime | None = None) -> Candidate:
    """Grade a dark set for lights. `bias` says that a matching bias exists, so that a dark can be scaled."""
    refused, reasons = _gates(shot, held)
    distance = float(len(reasons))
    mine, theirs = shot.exposure_s, held.exposure_s
    if refused:
        return Candidate(
            held,
            "refused",
            100.0 + 10 * len(refused) + _exposure_distance(mine, theirs),
            tuple(refused + reasons),
        )
    distance += _temperature(shot, held, reasons) + _depth(held, reasons) + _age(date, held)
    grade: Grade
    if mine is None or theirs is None:
        grade = "near"
        reasons.insert(0, "exposure unknown")
    elif _close(mine, theirs, EXPOSURE_TOLERANCE, EXPOSURE_FLOOR_S):
        grade = "exact"
        reasons.insert(0, f"same exposure, {_show(float(theirs))} s")
    elif bias and SCALE_RANGE[0] <= mine / theirs <= SCALE_RANGE[1]:
        grade = "scaled"
        reasons.insert(0, f"{_show(float(theirs))} s for {_show(float(mine))} s: scaled with the bias")
    else:
        grade = "near"
        reasons.insert(
            0, f"WARNING: {_show(float(theirs))} s for {_show(float(mine))} s, and no bias to scale it with"
        )
    return Candidate(held, grade, round(distance + _exposure_distance(mine, theirs), 3), tuple(reasons))


def _exposure_distance(mine: float | None, theirs: float | None) -> float:
    if not mine or not theirs or mine <= 0 or theirs <= 0:
        return 2.0
    return round(4 * abs(math.log(theirs / mine)), 3)


def judge_bias(shot: Shot, held: SetRecord, date: datetime | None = None) -> Candidate:
    """Grade a bias set for lights."""
    refused, reasons = _gates(shot, held)
    if refused:
        return Candidate(held, "refused", 100.0 + 10 * len(refused), tuple(refused + reasons))
    distance = len(reasons) + _depth(held, reasons) + _age(date, held)
    return Candidate(
        held, "near" if reasons and held.gain is None else "exact", round(distance, 3), tuple(reasons)
    )


def judge_flat(shot: Shot, held: SetRecord, date: datetime | None = None) -> Candidate:
    """Grade a set of flats for lights: gain and exposure may differ, optics may not."""
    refused, reasons = _gates(shot, held, with_gain=False)
    filters = [(f or "").strip().lower() for f in (shot.filter, held.filter)]
    if filters[0] != filters[1]:
        if all(filters):
            refused.append(f"filter {held.filter}, the lights have {shot.filter}")
        else:
            reasons.append("filter unknown on one side")
    if shot.focal_mm and held.focal_mm and not _close(shot.focal_mm, held.focal_mm, FOCAL_TOLERANCE):
        refused.append(f"focal length {held.focal_mm:g} mm, the lights have {shot.focal_mm:g} mm")
    if shot.rotator_deg is not None and held.rotator_deg is not None:
        turn = abs((shot.rotator_deg - held.rotator_deg + 180) % 360 - 180)
        if turn > ROTATOR_TOLERANCE_DEG:
            refused.append(f"rotator {turn:.1f} degrees away")
    if refused:
        return Candidate(held, "refused", 100.0 + 10 * len(refused), tuple(refused + reasons))
    distance = len(reasons) + _depth(held, reasons) + 5 * _age(date, held)
    return Candidate(held, "near" if reasons else "exact", round(distance, 3), tuple(reasons))


# --- for a session ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """All candidates of a session by kind, best first, at most one of each chosen; `dark_off` and the like are pins
    to nothing."""

    candidates: Mapping[str, Sequence[Candidate]]
    pinned_none: frozenset[str] = frozenset()

    def chosen(self, kind: str) -> Candidate | None:
        """The candidate in force."""
        return next((c for c in self.candidates.get(kind, ()) if c.chosen), None)


def match_session(
    session: Session, sets: Iterable[SetRecord], pins: Mapping[str, Pin] | None = None
) -> Match:
    """Rank every dark, bias and flat for `session`; a person's pin wins over the ranking."""
    by_kind: dict[str, list[SetRecord]] = defaultdict(list)
    for held in sets:
        by_kind[held.kind].append(held)
    date, shot = session.first_date, Shot.of(session)
    biases = [judge_bias(shot, held, date) for held in by_kind["bias"]]
    has_bias = any(c.grade != "refused" for c in biases)
    found = {
        "bias": biases,
        "dark": [judge_dark(shot, held, bias=has_bias, date=date) for held in by_kind["dark"]],
        "flat": [judge_flat(shot, held, date) for held in by_kind["flat"]],
    }
    pins = pins or {}
    return Match(
        {kind: _choose(candidates, pins.get(kind)) for kind, candidates in found.items()},
        frozenset(kind for kind, pin in pins.items() if pin.set_id is None and pin.path is None),
    )


def _choose(candidates: Sequence[Candidate], pin: Pin | None) -> list[Candidate]:
    ranked = sorted(candidates, key=lambda c: (GRADES.index(c.grade), c.distance, c.set.id))
    if pin is not None:
        return [
            replace(c, chosen=True, pinned=True, reasons=("pinned by you", *c.reasons))
            if c.set.id == pin.set_id
            else c
            for c in ranked
        ]
    if ranked and ranked[0].grade != "refused":
        ranked[0] = replace(ranked[0], chosen=True)
    return ranked


def load_pins(db: DbSession, session_ids: Sequence[int] | None = None) -> dict[int, dict[str, Pin]]:
    """Pins by session and kind."""
    query = select(Pin)
    if session_ids is not None:
        query = query.where(Pin.session_id.in_(session_ids))
    pins: dict[int, dict[str, Pin]] = defaultdict(dict)
    for pin in db.scalars(query):
        pins[pin.session_id][pin.kind] = pin
    return pins


def session_match(catalog: Catalog, session_id: int) -> Match:
    """All candidates for one session of the catalogue."""
    with catalog.read() as db:
        session = db.get_one(Session, session_id)
        return match_session(session, load_sets(db), load_pins(db, [session_id]).get(session_id))


def match_flat_darks(flat: SetRecord, sets: Iterable[SetRecord]) -> Candidate | None:
    """What to take off a flat: a dark-flat or dark of its own exposure, else a bias; None when nothing fits."""
    sets = list(sets)
    shot = Shot.of(flat)
    darks = [judge_dark(shot, s, bias=False, date=flat.date) for s in sets if s.kind in ("dark-flat", "dark")]
    own = sorted(
        (c for c in darks if c.grade == "exact"), key=lambda c: (c.set.kind != "dark-flat", c.distance)
    )
    if own:
        return own[0]
    biases = [judge_bias(shot, s, flat.date) for s in sets if s.kind == "bias"]
    return min((c for c in biases if c.grade != "refused"), key=lambda c: c.distance, default=None)


@dataclass(frozen=True)
class Gap:
    """A dark worth shooting: settings that sessions have and the dark library lacks."""

    camera: str | None
    exposure_s: float | None
    gain: float | None
    binning: str | None
    temperature_c: float | None
    sessions: int
    lights_s: float

    def advice(self) -> str:
        """One line that says what to shoot."""
        parts = ["shoot 20" + (f" x {self.exposure_s:g} s" if self.exposure_s is not None else " darks")]
        if self.gain is not None:
            parts.append(f"gain {self.gain:g}")
        if self.binning not in (None, "1x1"):
            parts.append(f"binning {self.binning}")
        if self.temperature_c is not None:
            parts.append(f"at about {self.temperature_c:.0f} °C")
        return ", ".join(parts)


def dark_gaps(sessions: Iterable[tuple[Session, float]], sets: Sequence[SetRecord]) -> list[Gap]:
    """Settings of sessions (with their integration in seconds) that have no exact dark, most light first."""
    groups: dict[tuple[object, ...], list[tuple[Session, float]]] = defaultdict(list)
    for session, integration in sessions:
        match = match_session(session, sets)
        best = match.candidates["dark"]
        if session.exposure_s is None or (best and best[0].grade == "exact"):
            continue
        key = (session.camera, session.exposure_s, session.gain, session.binning)
        groups[key].append((session, integration))
    gaps = []
    for members in groups.values():
        first = members[0][0]
        temperatures = [s.temperature_c for s, _ in members if s.temperature_c is not None]
        mean = sum(temperatures) / len(temperatures) if temperatures else None
        gaps.append(
            Gap(
                first.camera,
                first.exposure_s,
                first.gain,
                first.binning,
                mean,
                len(members),
                sum(i for _, i in members),
            )
        )
    return sorted(gaps, key=lambda gap: -gap.lights_s)
