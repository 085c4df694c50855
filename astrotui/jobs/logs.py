"""Log files of jobs and workers: capped, rotating, without site coordinates and serial numbers."""

import hashlib
import logging
import re
from logging.handlers import RotatingFileHandler
from pathlib import Path

from astrotui.config import places
from astrotui.text import clean

MAX_BYTES = 1_000_000  # of one file; one older file is kept beside it
MAX_LINE = 2_000
KEPT = 500  # logs of so many jobs
FORMAT = "%(asctime)s %(message)s"
HIDDEN = "<private>"

_VALUE = r"""(?:'[^']*'|"[^"]*"|[^\s,;)}\]'"]+(?:\s+\d+(?:\.\d+)?[NSEW"]?(?=[\s,;)}\]]|$)){0,2})"""
_KEYWORDS = (  # nothing else is called so: whatever follows is hidden
    r"SITE-?(?:LAT|LON|ELEV|NAME)\w*|(?:LAT|LONG?|ALT)[-_]OBS|OBS[-_]?(?:LAT|LON|ELEV)\w*|OBSGEO-?\w+"
    r"|GEO[-_]?(?:LAT|LON|ELEV)\w*|GPS_?(?:LAT|LON|ALT)\w*|(?:CAM|INST|SENSOR|DEV)[-_]?SERIAL\w*"
)
# These are hidden where a value is assigned.
_WORDS = r"LATITUDE|LONGITUDE|LAT|LON|LONG|SN(?:UM)?|SERIAL(?:[-_ ]?NO|[-_ ]?NUM(?:BER)?)?"
_PRIVATE = re.compile(
    rf"""(?i)(?<![\w/])(['"]?(?:(?:{_KEYWORDS})['"]?(?:\s*[=:,]\s*|\s+)|(?:{_WORDS})['"]?\s*[=:]\s*)){_VALUE}"""
)
_SEESTAR = re.compile(r"\b(S\d0(?: Pro)?|DWARF\w*)_[0-9a-fA-F]{8}\b")  # model and serial number in TELESCOP


def redact(text: str) -> str:
    """`text` without the values of site coordinates and serial numbers."""
    return _SEESTAR.sub(rf"\1_{HIDDEN}", _PRIVATE.sub(rf"\1{HIDDEN}", text))


class RedactingFilter(logging.Filter):
    """Makes what goes into a log harmless: private values hidden, no control characters, bounded lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always kept."""
        record.msg = "\n".join(_harmless(line) for line in redact(record.getMessage()).splitlines()[:200])
        record.args = None
        return True


def job_log(catalog: Path, job_id: int) -> Path:
    """The log file of a job of a catalogue."""
    return places().logs / f"job-{_short(catalog)}-{job_id}.log"


def worker_log(catalog: Path) -> Path:
    """The log file that all workers of a catalogue share."""
    return places().logs / f"worker-{_short(catalog)}.log"


def open_log(path: Path) -> tuple[logging.Logger, RotatingFileHandler]:
    """A logger of its own that writes to `path`, and the handler to close when it is no longer needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", errors="replace")
    handler.setFormatter(logging.Formatter(FORMAT))
    handler.addFilter(RedactingFilter())
    logger = logging.Logger(path.stem, logging.INFO)  # not in the tree of loggers: nobody else writes to it
    logger.addHandler(handler)
    return logger, handler


def prune(keep: int = KEPT) -> None:
    """Remove the oldest logs of jobs, so that `keep` are left."""
    try:
        found = sorted(places().logs.glob("job-*.log"), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return  # another worker does the same just now
    for path in found[keep:]:
        for part in (path, path.with_name(path.name + ".1")):
            part.unlink(missing_ok=True)


def read_log(path: Path, last_lines: int | None = None) -> list[str]:
    """The lines of a log, of the older file first; empty when there is none yet."""
    lines: list[str] = []
    for part in (path.with_name(path.name + ".1"), path):
        try:
            lines += part.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            continue
    return lines if last_lines is None else lines[-last_lines:]


def _harmless(line: str) -> str:
    indent = len(line) - len(line.lstrip(" "))  # kept: it makes a traceback readable
    plain = line.isascii() and line.isprintable()  # most lines are, and cleaning is not cheap
    return " " * min(indent, 40) + (line.strip()[:MAX_LINE] if plain else clean(line, MAX_LINE))


def _short(catalog: Path) -> str:
    return hashlib.sha256(str(catalog.resolve()).encode()).hexdigest()[:8]
