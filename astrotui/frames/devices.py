"""The grammars of file and folder names: what a name alone tells of a frame.

DWARF II, DWARF 3 and mini, Seestar, ASIAIR and N.I.N.A. have grammars of their own; any other name is searched
for the usual tokens (`gain100`, `Bin1`, `-10.0C`, `30.0s`, a date stamp).
"""

import re
from datetime import datetime
from pathlib import PurePath
from typing import NamedTuple

from astrotui.frames import kinds
from astrotui.frames.model import FrameType
from astrotui.frames.names import split_name
from astrotui.frames.sidecar import filter_name
from astrotui.frames.values import binning, clean, name_stamp, number, rounded

DWARF_II, DWARF_3, DWARF_MINI = "DWARF II", "DWARF 3", "DWARF mini"
DWARF, SEESTAR, ASIAIR = "DWARF", "Seestar", "ASIAIR"  # families, where the name does not tell the model


class NameFacts(NamedTuple):
    """What names tell; None where they do not.

    Attributes
    ----------
    device : model or family
    unit : "TELE" or "WIDE", the camera of a DWARF
    frame_type, is_master : as the grammar or its words say
    weak_type : the type comes from a word in the name, not from a telescope's own grammar
    stack : a device's stack, never a single exposure
    local_time : the date stamp, by the device's own clock
    rejected : the device discarded the frame
    calibrated : a program's prefix for calibrated frames (`pp_`, `proc_`, `CORRECTED_`)
    """

    device: str | None = None
    unit: str | None = None
    frame_type: FrameType | None = None
    is_master: bool = False
    weak_type: bool = False
    stack: bool = False
    target: str | None = None
    exposure_s: float | None = None
    gain: float | None = None
    binning: str | None = None
    filter: str | None = None
    temperature_c: float | None = None
    rotator_deg: float | None = None
    sequence: int | None = None
    local_time: datetime | None = None
    rejected: bool = False
    calibrated: bool = False
    mosaic: bool = False


NOTHING = NameFacts()
_TYPES = {
    "RAW": FrameType.LIGHT,
    "GOTO": FrameType.LIGHT,
    "DARK": FrameType.DARK,
    "DARKS": FrameType.DARK,
    "FLAT": FrameType.FLAT,
    "FLATS": FrameType.FLAT,
    "BIAS": FrameType.BIAS,
    "BIASES": FrameType.BIAS,
}
_UNITS = {"ms": 1e-3, "us": 1e-6, "s": 1.0, "sec": 1.0, "m": 60.0}
_NAMELESS = re.compile(r"(?:unknown|none|n/?a|no ?target|test|untitled)?(?:\(\d+\))?", re.IGNORECASE)

# Right-anchored, so that targets may hold blanks and underscores.
_DWARF_FOLDER = re.compile(
    r"(?:(?P<made>RESTACKED|STARTRAILS)_)?DWARF_(?P<kind>RAW|GOTO|DARKS?|FLATS?|BIAS(?:ES)?)"
    r"(?:_(?P<unit>TELE|WIDE))?(?:_(?P<mosaic>MOSAIC))?(?:_(?P<target>.+?))??"
    r"(?:_EXP_(?P<exp>[\d.]+)_GAIN_(?P<gain>\d+))?(?:_(?P<stamp>\d{4}-[\d-]+|\d{8}-\d{6,9}|\d{17}))?",
    re.IGNORECASE,
)
_DWARF_DARK = re.compile(
    r"(?:(?P<unit>tele|wide)_)?exp_(?P<exp>[\d.]+)_gain_(?P<gain>\d+)_bin_(?P<bin>\d)(?:_(?P<filter>[a-z-]+))?"
    r"(?:_(?P<stamp>\d{4}-[\d-]+))?",
    re.IGNORECASE,
)
_CALI = re.compile(
    r"(?P<kind>bias|dark|flat)(?:_exp_(?P<exp>[\d.]+))?_gain_(?P<gain>\d+)_bin_(?P<bin>\d)"
    r"(?:_(?P<temp>-?\d+)C)?(?:_ir_(?P<ir>\d))?(?:_stack_\d+)?",
    re.IGNORECASE,
)
_CALI_FILTERS = {"0": "VIS", "1": "Astro", "2": "Duo-Band"}
_DWARF_RAW = re.compile(
    r"(?P<failed>failed_)?raw_(?:(?P<target>.+?)_)?(?P<exp>[\d.]+)s_(?P<gain>\d+)_(?P<seq>\d{1,6})"
    r"(?:_(?P<stamp>\d{8}-\d{9}))?(?:_(?P<temp>-?\d+)C)?",
    re.IGNORECASE,
)
_DWARF_3 = re.compile(
    r"(?P<failed>failed_)?(?P<target>.+?)_(?P<exp>[\d.]+)s(?P<gain>\d+)(?:_(?P<filter>[A-Za-z][A-Za-z-]*))?"
    r"_(?P<stamp>\d{8}-\d{9})(?:_(?P<temp>-?\d+)C)?"
)
_DWARF_STACK = re.compile(
    r"(?:stacked-16|img_stacked|startrails|img_reference)[_.-]?.*|[0-9a-f]{32}", re.IGNORECASE
)
_SEESTAR = re.compile(
    r"(?P<kind>Light|(?:DSO_|Video_)?Stacked|CrowdSky)_(?:(?P<count>\d+)_)?(?P<mosaic>mosaic_)?(?P<target>.+?)_"
    r"(?P<exp>[\d.]+)s(?:_(?P<filter>[A-Za-z]+))?_(?P<stamp>\d{8}[-_]\d{6})(?:_.*)?"
)
_SEESTAR_FOLDER = re.compile(r"(?P<target>.+?)(?P<mosaic>_mosaic)?[_-]sub(?:s)?", re.IGNORECASE)
_ASIAIR = re.compile(
    r"(?P<kind>Light|Flat|Dark|Bias|DarkFlat|FlatDark)_(?:(?P<target>.+?)_)?(?P<exp>[\d.]+)(?P<unit>ms|us|s)_"
    r"Bin(?P<bin>\d)_(?:(?P<camera>\d{3,4}M[CM][A-Za-z0-9]*)_)?(?:(?P<filter>[^_]+)_)?gain(?P<gain>\d+)_"
    r"(?P<stamp>\d{8}-\d{6})_(?:(?P<rotator>\d+)deg_)?(?P<temp>-?[\d.]+)C_(?P<seq>\d{1,6})"
)
_CALIBRATED = re.compile(r"(?:[a-z]{1,4}_)*pp_|proc_|CORRECTED_", re.IGNORECASE)

# Tokens of other names, each at a word border.
_EXPOSURE = re.compile(r"(?<![\d.A-Za-z-])(\d{1,6}(?:\.\d{1,6})?)(ms|us|sec|s)(?![a-z0-9])", re.IGNORECASE)
_GAIN = re.compile(r"(?<![a-z])gain[ _=-]?(\d{1,5})(?!\d)", re.IGNORECASE)
_BIN = re.compile(r"(?<![a-z])bin[ _=-]?(\d(?:x\d)?)(?!\d)", re.IGNORECASE)
_TEMPERATURE = re.compile(r"(?<![\d.A-Za-z])(-?\d{1,2}(?:\.\d{1,2})?)C(?![A-Za-z0-9])")
_STAMP = re.compile(
    r"(?<!\d)(\d{4}-\d{2}-\d{2}[-_T]\d{2}-\d{2}-\d{2}(?:-\d{3})?|\d{8}[-_T]\d{6}(?:\d{3})?)(?!\d)"
)
_SEQUENCE = re.compile(r"(?:^|[_ (#]|(?<=[A-Za-z0-9])-|DSC|IMG)(\d{1,6})\)?$")


def parse_file_name(name: str) -> NameFacts:
    """What a file's name tells.

    Examples
    --------
    `raw_M51_10s_60_0048.fits`, `failed_IC 434_60s60_Astro_20251018-045926401_16C.fits`,
    `Light_M 101_10.0s_IRCUT_20250704-232412.fit`,
    `Light_M 31_30.0s_Bin1_2600MC_None_gain100_20250824-225244_-10.0C_0001.fit`.
    """
    stem = split_name(name[:255])[0]
    if m := _DWARF_RAW.fullmatch(stem):
        return _dwarf_file(m, DWARF_3 if m["stamp"] else DWARF, sequence=int(m["seq"]))
    if m := _CALI.fullmatch(stem):
        return _cali(m)
    if _DWARF_STACK.fullmatch(stem):
        return NameFacts(stack=True)
    if m := _ASIAIR.fullmatch(stem):
        return _asiair(m)
    if m := _SEESTAR.fullmatch(stem):
        return _seestar(m)
    if m := _DWARF_3.fullmatch(stem):
        return _dwarf_file(m, DWARF_3)
    return _tokens(stem)


def parse_folder_name(name: str) -> NameFacts:
    """What one folder's name tells.

    Examples
    --------
    `DWARF_RAW_M51_EXP_10_GAIN_60_2024-05-05-23-02-57-312`, `exp_15_gain_100_bin_1`, `CALI_FRAME`,
    `tele_exp_60_gain_60_bin_1_2025-10-20-03-20-10-952`, `M 101_sub`, `Darks 60s`.
    """
    name = name[:255]
    if m := _DWARF_FOLDER.fullmatch(name):
        return _dwarf_folder(m)
    if m := _DWARF_DARK.fullmatch(name):
        return NameFacts(
            device=DWARF_3 if m["unit"] or m["stamp"] else DWARF,
            unit=m["unit"].upper() if m["unit"] else None,
            frame_type=FrameType.DARK,
            exposure_s=_exposure(m["exp"]),
            gain=number(m["gain"]),
            binning=binning(m["bin"]),
            filter=filter_name(m["filter"]),
            local_time=name_stamp(m["stamp"]) if m["stamp"] else None,
        )
    upper = name.upper()
    if upper in ("CAM_0", "CAM_1"):
        return NameFacts(unit="TELE" if upper == "CAM_0" else "WIDE")
    if upper == "CALI_FRAME":
        return NameFacts(device=DWARF_3, is_master=True)
    if upper in ("RESTACKED", "STARTRAILS"):
        return NameFacts(stack=True)
    if upper == "SOLVING_FAILED":
        return NameFacts(rejected=True)
    if upper in ("DWARF_II", "DWARF3", "DWARF_MINI"):
        return NameFacts(device={"DWARF_II": DWARF_II, "DWARF3": DWARF_3}.get(upper, DWARF_MINI))
    if m := _SEESTAR_FOLDER.fullmatch(name):
        return NameFacts(target=target_name(m["target"]), mosaic=bool(m["mosaic"]))
    found = kinds.type_in_name(name)
    return NameFacts(frame_type=found, weak_type=found is not None, is_master="master" in name.lower())


def parse_folders(folders: tuple[str, ...]) -> NameFacts:
    """What a path's folders tell together; `folders` from the outermost in, the nearest to the file counts."""
    result = NOTHING
    for name in folders:
        result = merge(parse_folder_name(name), result)
    return result


def merge(first: NameFacts, second: NameFacts) -> NameFacts:
    """`first`, with what it does not tell taken from `second`."""
    if first is NOTHING or second is NOTHING:
        return second if first is NOTHING else first
    told = [two if one is None or one is False else one for one, two in zip(first, second, strict=True)]
    merged = NameFacts._make(told)
    weak = first.frame_type is None or (first.weak_type and second.frame_type and not second.weak_type)
    # A telescope's grammar further out (DWARF_DARK/...) outweighs a mere word.
    by_type = second if weak else first
    device = second.device if first.device == DWARF and second.device else merged.device
    return merged._replace(frame_type=by_type.frame_type, weak_type=by_type.weak_type, device=device)


def folders_of(path: PurePath, relative: str | None, depth: int = 6) -> tuple[str, ...]:
    """The folders whose names may tell of a file, from the outermost in.

    All of `relative` and the file's own folder. Folders above the library root only where a telescope's
    grammar knows them: a root may be one session's folder, but `/home/me/dark/library` makes no darks.
    """
    inside = tuple(relative.split("/")[:-1]) if relative is not None else ()
    parents = path.parts[max(0, len(path.parts) - 1 - max(depth, len(inside))) : -1]
    above = parents[: len(parents) - len(inside)] if inside else parents
    kept = [n for n in above[:-1] if _telescopes_own(n)]
    if above and (not inside or _telescopes_own(above[-1]) or above[-1].lower() in _PLAIN_FOLDERS):
        kept.append(above[-1])
    return (*kept, *inside[-depth:])


_PLAIN_FOLDERS = frozenset("bias biases offsets dark darks flat flats darkflats light lights".split())
_DWARF_FOLDERS = frozenset(
    "CALI_FRAME CAM_0 CAM_1 DWARF_II DWARF3 DWARF_MINI RESTACKED STARTRAILS SOLVING_FAILED".split()
)


def _telescopes_own(name: str) -> bool:
    return bool(
        name.upper() in _DWARF_FOLDERS
        or _DWARF_FOLDER.fullmatch(name[:255])
        or _DWARF_DARK.fullmatch(name[:255])
    )


def target_name(word: str | None) -> str | None:
    """A target's name cleaned; None when it is empty or stands for none (`Unknown`, `Unknown(1)`)."""
    if not word:
        return None
    name = clean(word, 80).strip(" _-")
    return None if not name or _NAMELESS.fullmatch(name) else name


def _exposure(word: str | None, unit: str = "s") -> float | None:
    seconds = number(word)
    return None if seconds is None else rounded(seconds * _UNITS[unit.lower()])


def _dwarf_folder(m: re.Match[str]) -> NameFacts:
    kind = _TYPES[m["kind"].upper()]
    device = DWARF_3 if m["unit"] or m["made"] or m["mosaic"] else DWARF
    return NameFacts(
        device=device,
        unit=m["unit"].upper() if m["unit"] else None,
        frame_type=kind,
        stack=bool(m["made"]),
        target=target_name(m["target"]) if kind is FrameType.LIGHT else None,
        exposure_s=_exposure(m["exp"]),
        gain=number(m["gain"]),
        local_time=name_stamp(m["stamp"]) if m["stamp"] else None,
        mosaic=bool(m["mosaic"]),
    )


def _dwarf_file(m: re.Match[str], device: str, sequence: int | None = None) -> NameFacts:
    groups = m.groupdict()
    return NameFacts(
        device=device,
        target=target_name(m["target"]),
        exposure_s=_exposure(m["exp"]),
        gain=number(m["gain"]),
        filter=filter_name(groups.get("filter")),
        temperature_c=number(m["temp"]),
        sequence=sequence,
        local_time=name_stamp(m["stamp"]) if m["stamp"] else None,
        rejected=bool(m["failed"]),
    )


def _cali(m: re.Match[str]) -> NameFacts:
    kind = _TYPES[m["kind"].upper()]
    return NameFacts(
        device=DWARF_3,
        frame_type=kind,
        is_master=True,
        exposure_s=_exposure(m["exp"]),
        # The 2 of bias_gain_2 and flat_gain_2 is an index into the telescope's gains: the gain is unknown.
        gain=number(m["gain"]) if kind is FrameType.DARK else None,
        binning=binning(m["bin"]),
        filter=_CALI_FILTERS.get(m["ir"]) if m["ir"] else None,
        temperature_c=number(m["temp"]),
    )


def _seestar(m: re.Match[str]) -> NameFacts:
    single = m["kind"] == "Light"
    return NameFacts(
        device=SEESTAR,
        frame_type=FrameType.LIGHT,
        stack=not single,
        target=target_name(m["target"]),
        exposure_s=_exposure(m["exp"]),
        filter=m["filter"],
        local_time=name_stamp(m["stamp"]),
        mosaic=bool(m["mosaic"]),
    )


def _asiair(m: re.Match[str]) -> NameFacts:
    kind = kinds.type_of_word(m["kind"])[0]
    return NameFacts(
        device=ASIAIR,
        frame_type=kind,
        target=target_name(m["target"]) if kind is FrameType.LIGHT else None,
        exposure_s=_exposure(m["exp"], m["unit"]),
        gain=number(m["gain"]),
        binning=binning(m["bin"]),
        filter=None if (m["filter"] or "").lower() in ("", "none") else clean(m["filter"], 40),
        temperature_c=number(m["temp"]),
        rotator_deg=number(m["rotator"]),
        sequence=int(m["seq"]),
        local_time=name_stamp(m["stamp"]),
    )


def _tokens(stem: str) -> NameFacts:
    stamp = _STAMP.search(stem)
    rest = stem.replace(stamp[1], "_") if stamp else stem
    kind = kinds.type_in_name(stem)
    exposure, gain, bins = _EXPOSURE.search(rest), _GAIN.search(rest), _BIN.search(rest)
    degrees, count = _TEMPERATURE.search(rest), _SEQUENCE.search(rest)
    stack = kind in (None, FrameType.LIGHT) and kinds.looks_like_stack(stem)
    return NameFacts(
        frame_type=kind,
        weak_type=kind is not None,
        is_master=kind is not None and kind.is_calibration and kinds.looks_like_master(stem),
        stack=stack,
        exposure_s=_exposure(exposure[1], exposure[2]) if exposure else None,
        gain=number(gain[1]) if gain else None,
        binning=binning(bins[1]) if bins else None,
        temperature_c=number(degrees[1]) if degrees else None,
        sequence=int(count[1]) if count else None,
        local_time=name_stamp(stamp[1]) if stamp else None,
        rejected=stem.lower().startswith("failed_"),
        calibrated=bool(_CALIBRATED.match(stem)),
    )
