"""Numbers, dates and angles as programs write them, read with bounded work; what cannot be read is None."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone

from astrotui import text

Value = str | int | float | bool | None

_FRACTION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*/\s*(\d{1,9}(?:\.\d{1,9})?)")
_SEXAGESIMAL = re.compile(
    r"([+-]?)(\d{1,3})(?:[\s:hdm°]+)(\d{1,2})(?:[\s:m'′]+(\d{1,2}(?:\.\d*)?))?[\s\"s″']*", re.IGNORECASE
)
_DATE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,12}))?)?)?"
    r"\s*(Z|[+-]\d{2}:?\d{2})?"
)
_OLD_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})")
_TIME = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,12}))?)?Z?")
_BINNING = re.compile(r"(\d{1,2})\s*[*xX×]\s*(\d{1,2})|(\d{1,2})")


def clean(value: object, limit: int = 200) -> str:
    """`astrotui.text.clean`, faster for the plain words that nearly all headers hold."""
    raw = str(value)
    if len(raw) <= limit and raw.isascii() and raw.isprintable():
        return " ".join(raw.split())
    return text.clean(raw, limit)


def number(value: object) -> float | None:
    """A finite number from a number or from text: `10`, `9,78E-03`, `1.5D2`, `1/400`."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            found = float(value)
        except OverflowError:
            return None
        return found if math.isfinite(found) else None
    word = str(value)[:64].strip()
    if fraction := _FRACTION.fullmatch(word):
        below = float(fraction[2])
        return float(fraction[1]) / below if below else None
    if "_" in word:  # Python reads 1_0 as ten
        return None
    try:
        found = float(word.replace(",", ".").replace("D", "E").replace("d", "e"))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def whole(value: object) -> int | None:
    """A whole number, None for anything else."""
    found = number(value)
    return int(found) if found is not None and found == int(found) and abs(found) < 1e15 else None


def rounded(value: float, digits: int = 7) -> float:
    """`value` without the noise of single precision: 0.00999999977648258 is 0.01."""
    return float(f"{value:.{digits}g}")


def sexagesimal(value: object) -> float | None:
    """Hours or degrees from `19 59 36.5`, `+22:43:19`, `51 3 0.000`."""
    match = _SEXAGESIMAL.fullmatch(str(value)[:40].strip())
    if not match:
        return None
    whole_part, minutes, seconds = int(match[2]), int(match[3]), float(match[4] or 0)
    if minutes >= 60 or seconds > 60:
        return None
    size = whole_part + minutes / 60 + seconds / 3600
    return -size if match[1] == "-" else size


def binning(value: object) -> str | None:
    """`2x2` from `2*2`, `2x2`, 2 or "2"."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        value = whole(value)
    match = _BINNING.fullmatch(str(value).strip()[:16])
    if not match:
        return None
    x = int(match[1] or match[3])
    y = int(match[2] or match[3])
    return f"{x}x{y}" if 0 < x <= 16 and 0 < y <= 16 else None


def timestamp(value: object, time: object = None) -> datetime | None:
    """A date with time from FITS text: ISO 8601 with 0 to 12 decimals and offset, or `26/10/92` with `time`.

    Parameters
    ----------
    value : `2025-03-27T05:45:00.734`, `2017-12-19T18:33:43.317-0700`, `2012-06-17`, `26/10/92`
    time : time of day for dates that come without (`TIME-OBS`, `UT`)

    Returns
    -------
    Aware UTC; None when the text is no date or no time of day is known.
    """
    word = str(value).strip()[:48]
    match = _DATE.fullmatch(word)
    if match:
        day = (int(match[1]), int(match[2]), int(match[3]))
        if match[4] is not None:
            moment = _moment(day, match[4], match[5], match[6], match[7])
            return _to_utc(moment, match[8])
    elif old := _OLD_DATE.fullmatch(word):
        # The FITS standard's old form is DD/MM/YY of the twentieth century; programs kept writing it.
        year = int(old[3]) if len(old[3]) == 4 else int(old[3]) + (1900 if int(old[3]) >= 70 else 2000)
        day = (year, int(old[2]), int(old[1]))
    else:
        return None
    clock = _TIME.fullmatch(str(time).strip()[:32]) if time is not None else None
    return _to_utc(_moment(day, clock[1], clock[2], clock[3], clock[4]), None) if clock else None


def _moment(
    day: tuple[int, int, int], hour: str, minute: str, second: str | None, decimals: str | None
) -> datetime | None:
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if hours > 24 or minutes > 59 or seconds > 60:  # 60 is a leap second, 24:00 the end of a day
        return None
    micros = int((decimals or "0")[:6].ljust(6, "0"))
    try:
        return datetime(*day) + timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=micros)
    except (ValueError, OverflowError):
        return None


def _to_utc(moment: datetime | None, offset: str | None) -> datetime | None:
    if moment is None:
        return None
    if offset is None or offset == "Z":
        return moment.replace(tzinfo=UTC)
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    try:
        zone = timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
        return moment.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def from_mjd(days: float) -> datetime | None:
    """The moment of a modified Julian date (days since 1858-11-17 UTC)."""
    if not 15_000 < days < 110_000:  # 1900 to 2160
        return None
    return datetime(1858, 11, 17, tzinfo=UTC) + timedelta(days=days)


_STAMPS = (
    re.compile(
        r"(\d{4})-(\d{2})-(\d{2})[-_T](\d{2})-(\d{2})-(\d{2})(?:-(\d{3}))?"
    ),  # DWARF folders, N.I.N.A.
    re.compile(r"(\d{4})(\d{2})(\d{2})[-_T](\d{2})(\d{2})(\d{2})(\d{3})?"),  # DWARF 3 files, Seestar, ASIAIR
    re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{3})"),  # the oldest DWARF II folders
)


def name_stamp(word: str) -> datetime | None:
    """The date and time in a part of a file or folder name, naive because it is the device's local clock."""
    for pattern in _STAMPS:
        if match := pattern.fullmatch(word):
            year, month, day, hour, minute, second, millis = (int(g or 0) for g in match.groups())
            try:
                return datetime(year, month, day, hour, minute, second, millis * 1000)
            except ValueError:
                return None
    return None
