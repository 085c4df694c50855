"""One calibration set judged for one session: a grade, a distance and the reasons."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from astrotui.frames.model import GAMMA
from astrotui.text import plural

if TYPE_CHECKING:
    from astrotui.catalog.models import Session
    from astrotui.catalog.plain import SessionRow

Kind = Literal["dark", "bias", "flat", "dark-flat"]
Grade = Literal["exact", "scaled", "near", "refused"]
GRADES: tuple[Grade, ...] = ("exact", "scaled", "near", "refused")

EXPOSURE_TOLERANCE = 0.02
EXPOSURE_FLOOR_S = 1e-4
SCALE_RANGE = (0.3, 2.0)  # of a dark's exposure to the light's; beyond it scaling is not trusted
FEW_FRAMES = 5
FOCAL_TOLERANCE = 0.02
ROTATOR_TOLERANCE_DEG = 2.0
FLAT_RANGE = (1 / 3, 2 / 3)  # of full scale, for the median of a flat
CLIPPED = 0.98
_YEAR_S = 365 * 86400.0
_OLD_YEARS = 3.0  # older does not count more


@dataclass(frozen=True, kw_only=True)
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
    def of(cls, thing: "Session | SessionRow | Shot") -> "Shot":
        """The settings of a session or set."""
        return cls(**{f.name: getattr(thing, f.name) for f in fields(Shot)})


@dataclass(frozen=True, kw_only=True)
class SetRecord(Shot):
    """A calibration set as people see it. `frames` is None for a master of unknown depth."""

    id: int
    kind: str
    path: str
    date: datetime | None
    frames: int | None
    is_master: bool
    calstat: str
    warnings: tuple[str, ...]
    device: str | None = None
    median_adu: float | None = None
    full_scale_adu: float | None = None


@dataclass(frozen=True)
class Candidate:
    """One set judged for one session. `distance` orders candidates of a grade: 0 is a perfect match."""

    set: SetRecord
    grade: Grade
    distance: float
    reasons: tuple[str, ...]
    chosen: bool = False
    pinned: bool = False


def _same_name(a: str, b: str) -> bool:
    return _plain(a) == _plain(b)


@lru_cache(maxsize=256)
def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def gates(shot: Shot, held: SetRecord, *, with_gain: bool = True) -> tuple[list[str], list[str]]:
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

    if any(warning.startswith(GAMMA) for warning in held.warnings):
        refused.append(f"{GAMMA.removesuffix(': ')}; pin it if you know that it is linear")
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


def dark_gates(shot: Shot, held: SetRecord) -> tuple[list[str], list[str]]:
    """`gates` of a dark. One of which neither camera nor exposure can be compared fits by chance at most."""
    refused, unknown = gates(shot, held)
    if None in (shot.camera, held.camera) and None in (shot.exposure_s, held.exposure_s):
        refused.append("neither camera nor exposure are known; pin it if you know that it fits")
    return refused, unknown


def _show(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _close(a: float | None, b: float | None, relative: float, floor: float = 1e-9) -> bool:
    return a is not None and b is not None and abs(a - b) <= max(relative * max(abs(a), abs(b)), floor)


def _temperature_reasons(shot: Shot, held: SetRecord) -> list[str]:
    if shot.temperature_c is None or held.temperature_c is None:
        return ["temperature unknown"]
    apart = abs(shot.temperature_c - held.temperature_c)
    if apart > 5:
        return [f"WARNING: {apart:.0f} °C apart ({held.temperature_c:.0f} against {shot.temperature_c:.0f})"]
    return [f"{apart:.1f} °C apart"] if apart > 2 else []


def _depth_distance(held: SetRecord) -> float:
    return 0.3 if held.frames is None else 1 / math.sqrt(max(held.frames, 1))


def _depth_reasons(held: SetRecord) -> list[str]:
    if held.frames is None:
        return ["a ready master of unknown depth"]
    return [f"only {plural(held.frames, 'frame')}"] if held.frames < FEW_FRAMES else []


def _age(date: datetime | None, held: SetRecord) -> float:
    return _age_distance(seconds_of(date), seconds_of(held.date))


def _age_distance(mine_s: float | None, theirs_s: float | None) -> float:
    if mine_s is None or theirs_s is None:
        return 0.2
    years = abs(mine_s - theirs_s) / _YEAR_S
    return years * 0.2 if years < _OLD_YEARS else _OLD_YEARS * 0.2


def seconds_of(date: datetime | None) -> float | None:
    """A date as a number, for `session_distance`."""
    return None if date is None else date.timestamp()


def dark_grade(mine: float | None, theirs: float | None, *, bias: bool) -> Grade:
    """Grade of a dark that fits but for its exposure; `bias` says that a matching bias exists."""
    if mine is None or theirs is None:
        return "near"
    if _close(mine, theirs, EXPOSURE_TOLERANCE, EXPOSURE_FLOOR_S):
        return "exact"
    scales = bias and theirs > 0 and SCALE_RANGE[0] <= mine / theirs <= SCALE_RANGE[1]
    return "scaled" if scales else "near"


def fixed_distance(shot: Shot, held: SetRecord, unknown: int) -> float:
    """The part of a dark's distance that all sessions of equal settings share; `unknown` settings count 1 each."""
    return unknown + _depth_distance(held) + _exposure_distance(shot.exposure_s, held.exposure_s)


def session_distance(
    mine_c: float | None, theirs_c: float | None, mine_s: float | None, theirs_s: float | None
) -> float:
    """The part of a dark's distance that depends on the session: temperature, age (dates as `seconds_of`)."""
    apart = 1.0 if mine_c is None or theirs_c is None else abs(mine_c - theirs_c) / 2
    return apart + _age_distance(mine_s, theirs_s)


def judge_dark(shot: Shot, held: SetRecord, *, bias: bool, date: datetime | None = None) -> Candidate:
    """Grade a dark set for lights. `bias` says that a matching bias exists, so that a dark can be scaled."""
    refused, unknown = dark_gates(shot, held)
    mine, theirs = shot.exposure_s, held.exposure_s
    if refused:
        return Candidate(
            held,
            "refused",
            100.0 + 10 * len(refused) + _exposure_distance(mine, theirs),
            tuple(refused + unknown),
        )
    grade = dark_grade(mine, theirs, bias=bias)
    if mine is None or theirs is None:
        first = "exposure unknown"
    elif grade == "exact":
        first = f"same exposure, {_show(float(theirs))} s"
    elif grade == "scaled":
        first = f"{_show(float(theirs))} s for {_show(float(mine))} s: scaled with the bias"
    else:
        why = "too far to scale" if bias else "no bias to scale it with"
        first = f"WARNING: {_show(float(theirs))} s for {_show(float(mine))} s, and {why}"
    reasons = [first, *unknown, *_temperature_reasons(shot, held), *_depth_reasons(held)]
    distance = fixed_distance(shot, held, len(unknown)) + session_distance(
        shot.temperature_c, held.temperature_c, seconds_of(date), seconds_of(held.date)
    )
    return Candidate(held, grade, round(distance, 3), tuple(reasons))


def _exposure_distance(mine: float | None, theirs: float | None) -> float:
    if not mine or not theirs or mine <= 0 or theirs <= 0:
        return 2.0
    return round(4 * abs(math.log(theirs / mine)), 3)


def _factory_made(held: SetRecord) -> list[str]:
    """Why a telescope's own bias or flat is not taken by itself.

    A DWARF 3 names `bias_gain_2` and `flat_gain_2` by an index into its gains; a bias of another gain turns most
    pixels negative.
    """
    if held.is_master and held.gain is None and (held.device or "").startswith("DWARF"):
        return [
            f"the telescope's own {held.kind}: its name has an index, not the gain, so the gain is unknown; "
            "pin it if you know that it fits"
        ]
    return []


def judge_bias(shot: Shot, held: SetRecord, date: datetime | None = None) -> Candidate:
    """Grade a bias set for lights."""
    refused, unknown = gates(shot, held)
    refused += _factory_made(held)
    if refused:
        return Candidate(held, "refused", 100.0 + 10 * len(refused), tuple(refused + unknown))
    distance = len(unknown) + _depth_distance(held) + _age(date, held)
    reasons = (*unknown, *_depth_reasons(held))
    return Candidate(held, "near" if held.gain is None and unknown else "exact", round(distance, 3), reasons)


def judge_flat(shot: Shot, held: SetRecord, date: datetime | None = None) -> Candidate:
    """Grade a set of flats for lights: gain and exposure may differ, optics may not."""
    refused, reasons = gates(shot, held, with_gain=False)
    refused += _factory_made(held)
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
    level = _level_reasons(held)
    distance = len(reasons) + len(level) + _depth_distance(held) + 5 * _age(date, held)
    grade: Grade = "near" if reasons else "exact"
    return Candidate(held, grade, round(distance, 3), (*reasons, *level, *_depth_reasons(held)))


def _level_reasons(held: SetRecord) -> list[str]:
    """What is wrong with the exposure of flats, by the median of one of them."""
    if held.median_adu is None or not held.full_scale_adu:
        return []
    level = held.median_adu / held.full_scale_adu
    if level >= CLIPPED:
        return ["WARNING: the flat is clipped"]
    if FLAT_RANGE[0] <= level <= FLAT_RANGE[1]:
        return []
    return [f"WARNING: the flat's median is {level:.0%} of full scale; a third to two thirds is good"]
