"""The session file that DWARF telescopes write beside their frames, `shotsInfo.json`."""

import json
import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from astrotui.errors import FrameError
from astrotui.frames.sources import FdSource, open_regular
from astrotui.frames.values import binning, clean, number, rounded

FILE_NAME = "shotsinfo.json"  # the telescope writes shotsInfo.json; old tools lower the case
MAX_BYTES = 1024**2
MAX_BRACKETS = 2000  # a real one has one; mosaics a few dozen
_KEPT = 64
_FILTERS = {"cut": "IRCUT", "pass": "IRPASS", "vis": "VIS", "astro": "Astro", "duo-band": "Duo-Band"}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a `shotsInfo.json` tells; None where it does not.

    Attributes
    ----------
    name : its file name, in its own case
    problem : why it cannot be read, None when it can
    ra_deg, dec_deg : pointing in degrees (the file has hours)
    """

    name: str
    problem: str | None = None
    target: str | None = None
    exposure_s: float | None = None
    gain: float | None = None
    binning: str | None = None
    filter: str | None = None
    ra_deg: float | None = None
    dec_deg: float | None = None
    temperature_c: float | None = None
    shots_taken: int | None = None


def parse_sidecar(data: bytes, name: str = "shotsInfo.json") -> Sidecar:
    """The facts in the bytes of a `shotsInfo.json`; never raises, `problem` says what is wrong."""
    if len(data) > MAX_BYTES:
        return Sidecar(name, problem=f"{name} is larger than {MAX_BYTES >> 20} MiB and is not read")
    if data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        return Sidecar(name, problem=f"{name} is nested too deeply and is not read")
    try:
        table = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # JSON and Unicode errors are ValueErrors
        return Sidecar(name, problem=f"{name} is not valid JSON and is not read")
    if not isinstance(table, dict):
        return Sidecar(name, problem=f"{name} is not a JSON object and is not read")
    ra, dec = _pointing(table)
    gain = number(table.get("gain"))
    exposure = number(table.get("exp"))
    taken = number(table.get("shotsTaken"))
    return Sidecar(
        name,
        target=_word(table.get("target")),
        exposure_s=rounded(exposure) if exposure is not None and 0 <= exposure < 1e6 else None,
        gain=gain if gain is not None and 0 <= gain < 1e6 else None,
        binning=binning(table.get("binning", "")),
        filter=filter_name(_word(table.get("ir"))),
        ra_deg=ra,
        dec_deg=dec,
        temperature_c=_temperature(table),
        shots_taken=int(taken) if taken is not None and 0 <= taken < 1e9 else None,
    )


def filter_name(word: str | None) -> str | None:
    """A DWARF filter by its usual name: the telescope says `CUT`, `PASS`, `VIS`, `Astro`, `Duo-Band`."""
    return _FILTERS.get(word.lower(), word) if word else None


def _word(value: object) -> str | None:
    return clean(value) or None if isinstance(value, str) else None


def _pointing(table: dict[str, Any]) -> tuple[float | None, float | None]:
    """Degrees from `RA` in hours and `DEC` in degrees; 0/0 stands for "none"."""
    hours, degrees = number(table.get("RA")), number(table.get("DEC"))
    if hours is None or degrees is None or (hours == 0 and degrees == 0):
        return None, None
    if not (0 <= hours < 24 and -90 <= degrees <= 90):
        return None, None
    return rounded(hours * 15, 10), degrees


def _temperature(table: dict[str, Any]) -> float | None:
    """The middle of the session's coldest and warmest."""
    ends = [
        t for key in ("minTemp", "maxTemp") if (t := number(table.get(key))) is not None and -90 < t < 120
    ]
    return sum(ends) / len(ends) if ends else None


class _Cache:
    """Sidecars by folder, a few of them, checked against the disk at every use."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: OrderedDict[str, tuple[int, str | None, tuple[int, int] | None, Sidecar | None]] = (
            OrderedDict()
        )

    def clear(self) -> None:
        with self._lock:
            self._found.clear()

    def get(self, folder: str) -> Sidecar | None:
        try:
            changed = os.stat(folder).st_mtime_ns  # noqa: PTH116 - strings are faster, once a frame
        except OSError:
            return None
        with self._lock:
            known = self._found.get(folder)
        path = known[1] if known and known[0] == changed else _find(folder)
        version = _version(path)
        if known and known[:3] == (changed, path, version):
            return known[3]
        sidecar = _load(path) if path else None
        with self._lock:
            self._found[folder] = (changed, path, version, sidecar)
            self._found.move_to_end(folder)
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return sidecar


def _find(folder: str) -> str | None:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(entry.name) == len(FILE_NAME) and entry.name.lower() == FILE_NAME:
                    return entry.path
    except OSError:
        return None
    return None


def _version(path: str | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _load(path: str) -> Sidecar:
    name = clean(Path(path).name)
    try:
        with open_regular(path) as file:
            return parse_sidecar(FdSource(file).read(0, MAX_BYTES + 1), name)
    except FrameError as error:
        return Sidecar(name, problem=f"{name} cannot be used: {error.reason}")


_CACHE = _Cache()


def read_sidecar(folder: Path | str) -> Sidecar | None:
    """The sidecar in `folder`, in any case of its name; None when there is none. Kept for the next frame."""
    return _CACHE.get(str(folder))


def clear_sidecar_cache() -> None:
    """Forget all sidecars read so far."""
    _CACHE.clear()
