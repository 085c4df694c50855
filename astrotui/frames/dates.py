"""When an exposure began, and to which night it belongs."""

import math
from datetime import UTC, date, datetime, timedelta

from astrotui.frames.cards import Keywords
from astrotui.frames.devices import DWARF_3, DWARF_MINI, NameFacts
from astrotui.frames.values import from_mjd, number, sexagesimal, timestamp

_START_KEYS = ("DATE-OBS", "DATE-BEG", "DATE_OBS", "CAMERA-DATE-OBS")
_TIME_KEYS = ("TIME-OBS", "TIME_OBS", "UT", "UTC", "UTSTART", "TM-START")
_LONGITUDE_KEYS = ("SITELONG", "LONG-OBS", "LONGITUD", "OBSLONG", "GEOLON")
_ENDS = (DWARF_3, DWARF_MINI)  # their DATE-OBS is the end of the exposure


def written_date(header: Keywords) -> tuple[datetime | None, str]:
    """The moment a header names for the exposure, and the keyword it came from."""
    time = header.text(*_TIME_KEYS)
    for key in _START_KEYS:
        word = header.text(key)
        if word and (found := timestamp(word, time)):
            return found, key
    for key, zero in (("MJD-OBS", 0.0), ("MJD-BEG", 0.0), ("JD", 2_400_000.5)):
        days = header.number(key)
        if days is not None and (found := from_mjd(days - zero)):
            return found, key
    word = header.text("DATE")  # when the file was written, unless a time of observation stands beside it
    if word and time and (found := timestamp(word.partition("T")[0], time)):
        return found, "DATE"
    return None, ""


def exposure_start(
    header: Keywords, device: str | None, exposure_s: float | None
) -> tuple[datetime | None, datetime | None]:
    """Start of the exposure and the moment as written in the header, both aware UTC.

    Most programs write the start. The DWARF 3 and mini write the end, and a comment may say so elsewhere.
    """
    written, key = written_date(header)
    if written is None:
        return None, None
    comment = header.comment(key).lower()
    at_end = "end of exp" in comment or "end time" in comment
    if device in _ENDS and "start" not in comment and "begin" not in comment:
        at_end = True
    if at_end and exposure_s:
        try:
            return written - timedelta(seconds=exposure_s), written
        except OverflowError:
            return written, written
    return written, written


def night_of(
    header: Keywords,
    start: datetime | None,
    written: datetime | None,
    exposure_s: float | None,
    file_facts: NameFacts,
    folder_facts: NameFacts,
) -> date | None:
    """Local date of the noon before the exposure.

    Local time comes, in this order, from DATE-LOC beside DATE-OBS, from the local stamp in the file's name,
    from that of a session's folder, from the longitude of the site (used here and kept nowhere), else it is
    taken as UTC. Without DATE-OBS the local times alone decide.
    """
    if start is None or written is None:
        said = timestamp(header.text("DATE-LOC") or "")
        local = said.replace(tzinfo=None) if said else file_facts.local_time or folder_facts.local_time
        return _noon_before(local) if local else None
    hours = _offset_hours(header, written, exposure_s or 0.0, file_facts, folder_facts)
    return _noon_before(start.replace(tzinfo=None) + timedelta(hours=hours))


def _noon_before(local: datetime) -> date | None:
    try:
        return (local - timedelta(hours=12)).date()
    except OverflowError:
        return None


def _offset_hours(
    header: Keywords,
    written: datetime,
    exposure_s: float,
    file_facts: NameFacts,
    folder_facts: NameFacts,
) -> float:
    """Local time minus UTC, in hours."""
    local = timestamp(header.text("DATE-LOC") or "")
    if local is not None:
        hours = round((local - written).total_seconds() / 900) / 4
        if abs(hours) <= 14.5:
            return hours
    if file_facts.local_time is not None:
        # Files are named when the exposure begins or ends, and by clocks that run a little off.
        apart = (file_facts.local_time.replace(tzinfo=UTC) - written).total_seconds()
        step = 900 if exposure_s <= 600 else 3600
        hours = round((apart - min(exposure_s, 3600) / 2) / step) * step / 3600
        if abs(hours) <= 14.5 and abs(apart - hours * 3600) <= 300 + exposure_s:
            return hours
    if folder_facts.local_time is not None:
        # A session's folder is named when it begins. A frame from before that was stamped by another clock:
        # the header's is UTC and the folder's is ahead of it.
        ahead = (folder_facts.local_time.replace(tzinfo=UTC) - written).total_seconds()
        if ahead <= 120:
            return 0.0
        if ahead <= 14 * 3600:
            return math.ceil((ahead - 120) / 1800) / 2
    for key in _LONGITUDE_KEYS:
        value = header.get(key)
        degrees = number(value)
        if degrees is None and value is not None:
            degrees = sexagesimal(value)
        if degrees is not None and degrees != 0 and -180 <= degrees <= 360:
            return round((degrees - 360 if degrees > 180 else degrees) / 15)
    return 0.0
