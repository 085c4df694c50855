"""Calibration sets ranked for sessions, and what is missing; needs no database layer."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from astrotui.catalog.plain import PinRow, SessionRow, SetRow
from astrotui.library.calstat import calibrated_for, gamma_encoded
from astrotui.library.judging import (
    GRADES,
    Candidate,
    Grade,
    SetRecord,
    Shot,
    dark_gates,
    dark_grade,
    fixed_distance,
    judge_bias,
    judge_dark,
    judge_flat,
    seconds_of,
    session_distance,
)
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.catalog.models import Pin, Session

_SHOT = tuple(field.name for field in fields(Shot))
DRIFT_C = 2.0  # a sensor that moves by more within a night wants several darks
GAP_BAND_C = 5.0  # sessions so near in temperature can share a dark that is still to be shot


def set_record(row: SetRow) -> SetRecord:
    """A calibration set as matching looks at it; the path of a ready master is its file."""
    told = row._asdict()
    return SetRecord(
        id=row.id, kind=row.kind, path=str(Path(row.root, row.first if row.is_master else row.folder)), date=row.date,
        frames=row.depth if row.is_master else row.files, is_master=row.is_master, calstat=row.calstat,
        warnings=row.warnings, device=row.device, median_adu=row.median_adu, full_scale_adu=row.full_scale_adu,
        **{name: told[name] for name in _SHOT},
    )  # fmt: skip


def pins_of(rows: Iterable[PinRow]) -> dict[int, dict[str, PinRow]]:
    """Pins by session and kind."""
    pins: dict[int, dict[str, PinRow]] = defaultdict(dict)
    for pin in rows:
        pins[pin.session_id][pin.kind] = pin
    return pins


@dataclass(frozen=True)
class Match:
    """All candidates of a session by kind, best first, at most one of each chosen; `dark_off` and the like are pins
    to nothing."""

    candidates: Mapping[str, Sequence[Candidate]]
    pinned_none: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()  # kinds that these lights are calibrated with already

    def chosen(self, kind: str) -> Candidate | None:
        """The candidate in force."""
        return next((c for c in self.candidates.get(kind, ()) if c.chosen), None)


def match_session(
    session: "Session | SessionRow",
    sets: Iterable[SetRecord],
    pins: "Mapping[str, Pin] | Mapping[str, PinRow] | None" = None,
) -> Match:
    """Rank every dark, bias and flat for `session`; a person's pin wins over the ranking."""
    by_kind: dict[str, list[SetRecord]] = defaultdict(list)
    for held in sets:
        by_kind[held.kind].append(held)
    pins = pins or {}
    date, shot = session.first_date, Shot.of(session)
    biases = [judge_bias(shot, held, date) for held in by_kind["bias"]]
    found = {
        "bias": biases,
        "dark": [judge_dark(shot, held, bias=_has_bias(biases, pins), date=date) for held in by_kind["dark"]],
        "flat": [judge_flat(shot, held, date) for held in by_kind["flat"]],
    }
    if gamma_encoded(session.warnings):
        found = {kind: [_not_linear(c) for c in candidates] for kind, candidates in found.items()}
    done = calibrated_for(session.warnings)
    ranked = {kind: _choose(candidates, pins.get(kind), kind in done) for kind, candidates in found.items()}
    ranked["dark"] = _with_drift(session, ranked["dark"])
    return Match(
        ranked,
        frozenset(kind for kind, pin in pins.items() if pin.set_id is None and pin.path is None),
        frozenset(done),
    )


def _not_linear(candidate: Candidate) -> Candidate:
    """What is measured linearly cannot be taken from lights that are not; a pin says that they are."""
    why = "the lights are probably gamma-encoded, not linear; pin it if you know that they are linear"
    distance = candidate.distance + (0 if candidate.grade == "refused" else 100)
    return replace(candidate, grade="refused", distance=distance, reasons=(why, *candidate.reasons))


def _has_bias(biases: Sequence[Candidate], pins: "Mapping[str, Pin] | Mapping[str, PinRow]") -> bool:
    """Whether a bias is there to scale a dark with; a pinned one counts whatever its grade."""
    pin = pins.get("bias")
    if pin is None:
        return any(c.grade != "refused" for c in biases)
    return pin.path is not None or any(c.set.id == pin.set_id for c in biases)


def _with_drift(session: "Session | SessionRow", ranked: list[Candidate]) -> list[Candidate]:
    """Tell at the chosen dark when the lights' sensor drifted, as uncooled ones do."""
    low, high = session.temperature_min_c, session.temperature_max_c
    chosen = next((c for c in ranked if c.chosen), None)
    if chosen is None or low is None or high is None or high - low <= DRIFT_C:
        return ranked
    drift = f"the lights drift from {low:.0f} to {high:.0f} °C"
    others = [c for c in ranked if c.grade == chosen.grade and c.set.temperature_c is not None]
    theirs = chosen.set.temperature_c
    if len(others) > 1 and not chosen.pinned:
        drift += f": each frame takes the nearest of {len(others)} darks"
    elif theirs is not None and (apart := max(abs(low - theirs), abs(high - theirs))) > 5:
        drift = f"WARNING: {drift}, up to {apart:.0f} °C from this dark"
    return [replace(c, reasons=(*c.reasons, drift)) if c is chosen else c for c in ranked]


def _choose(candidates: Sequence[Candidate], pin: "Pin | PinRow | None", done: bool) -> list[Candidate]:
    ranked = sorted(candidates, key=lambda c: (GRADES.index(c.grade), c.distance, c.set.id))
    if done:
        return ranked  # never calibrated twice, whatever is pinned
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


_SETTINGS = attrgetter(
    "width",
    "height",
    "camera",
    "exposure_s",
    "gain",
    "offset",
    "readout_mode",
    "binning",
    "cfa_phase",
    "roi_x",
    "roi_y",
)  # what decides the grade of a dark


@dataclass(frozen=True)
class Best:
    """The dark that would be chosen for a session."""

    set: SetRecord
    grade: Grade


class _Ranked(NamedTuple):
    """A dark with the part of its distance that depends on settings, and what the rest is made of."""

    fixed: float
    temperature_c: float | None
    date_s: float | None
    set: SetRecord


class DarkFinder:
    """Finds the best dark of many sessions as `match_session` does, without the reasons of all others.

    What depends on the settings alone is worked out once for all sessions that share them.
    """

    def __init__(self, sets: Iterable[SetRecord]) -> None:
        self._darks: dict[tuple[int, int], list[SetRecord]] = defaultdict(list)
        self._biases: list[SetRecord] = []
        for held in sets:
            if held.kind == "dark":
                self._darks[held.width, held.height].append(held)
            elif held.kind == "bias":
                self._biases.append(held)
        self._ranked: dict[tuple[object, ...], tuple[Grade, list[_Ranked]]] = {}

    def best(self, session: "Session | SessionRow") -> Best | None:
        """The dark that fits a session best; None when none does. Pins are not looked at."""
        settings = _SETTINGS(session)
        known = self._ranked.get(settings)
        if known is None:
            known = self._ranked[settings] = self._rank(Shot.of(session))
        grade, sets = known
        moment, temperature = seconds_of(session.first_date), session.temperature_c
        nearest, best = (math.inf, 0), None
        for fixed, theirs, date, held in sets:
            if fixed > nearest[0] + 0.001:
                break  # the others are further off, whatever the session is
            distance = round(fixed + session_distance(temperature, theirs, moment, date), 3), held.id
            if distance < nearest:
                nearest, best = distance, held
        return None if best is None else Best(best, grade)

    def _rank(self, shot: Shot) -> tuple[Grade, list[_Ranked]]:
        """The best grade that there is for these settings, and the sets that have it, nearest settings first."""
        bias = any(judge_bias(shot, held).grade != "refused" for held in self._biases)
        by_grade: dict[Grade, list[_Ranked]] = defaultdict(list)
        for held in self._darks[shot.width, shot.height]:
            if shot.gain and held.gain and abs(shot.gain / held.gain - 1) > 0.01:
                continue  # as most of a library
            refused, unknown = dark_gates(shot, held)
            if not refused:
                grade = dark_grade(shot.exposure_s, held.exposure_s, bias=bias)
                fixed = fixed_distance(shot, held, len(unknown))
                by_grade[grade].append(_Ranked(fixed, held.temperature_c, seconds_of(held.date), held))
        best: Grade = min(by_grade, key=GRADES.index, default="refused")
        return best, sorted(by_grade[best], key=attrgetter("fixed"))


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
        return ", ".join(parts) + (f" with the {clean(self.camera, 40)}" if self.camera else "")


def _too_far(session: "Session", held: SetRecord) -> bool:
    if session.temperature_c is None or held.temperature_c is None:
        return False
    return abs(session.temperature_c - held.temperature_c) > 5


def dark_gaps(sessions: "Iterable[tuple[Session, float]]", sets: Sequence[SetRecord]) -> list[Gap]:
    """Settings of sessions (with their integration in seconds) without an exact dark within 5 °C, most light first.

    Sessions without usable light, with calibrated lights or such that are not linear want none.
    """
    groups: dict[tuple[object, ...], list[tuple[Session, float]]] = defaultdict(list)
    finder = DarkFinder(sets)
    for session, integration in sessions:
        if session.exposure_s is None or integration <= 0 or "dark" in calibrated_for(session.warnings):
            continue
        if gamma_encoded(session.warnings):
            continue
        best = finder.best(session)
        if best is not None and best.grade == "exact" and not _too_far(session, best.set):
            continue
        warm = None if session.temperature_c is None else round(session.temperature_c / GAP_BAND_C)
        key = (session.camera, f"{session.exposure_s:.3g}", session.gain, session.binning, warm)
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
