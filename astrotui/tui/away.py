"""What failed while no app looked: beside the catalogue stands the end of the last job that one has seen."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrotui.text import clean, plural

if TYPE_CHECKING:
    from astrotui.jobs.records import JobRecord


class Away:
    """Remembers what was seen, at every look and not at leaving: a terminal that is closed ends the app too."""

    def __init__(self) -> None:
        self._seen: datetime | None = None

    def look(self, catalog: Any) -> "tuple[JobRecord, ...]":
        """Take note of all that has ended; at the first look, the jobs that failed since the app before this one."""
        from astrotui.jobs.queue import failed_since, last_end

        failed: tuple[JobRecord, ...] = ()
        last = last_end(catalog) or datetime.fromtimestamp(0, UTC)
        if self._seen is None and (before := _read(_file(catalog))) is not None:
            failed = tuple(failed_since(catalog, before))
        if last != self._seen:
            with suppress(OSError):  # a full disk: then these are told again
                _file(catalog).write_text(last.isoformat(), encoding="ascii")
            self._seen = last
        return failed


def away_words(failed: "tuple[JobRecord, ...]") -> str:
    """The jobs that failed while nobody looked, in a sentence."""
    names = ", ".join(clean(f"{job.id} ({job.title or job.kind})", 50) for job in failed[-2:])
    more = f" and {len(failed) - 2} more" if len(failed) > 2 else ""
    job, it = ("job", "it") if len(failed) == 1 else ("jobs", "them")
    return f"{plural(len(failed), 'job')} failed while you were away: {job} {names}{more}; 4 shows {it}"


def _file(catalog: Any) -> Path:
    path: Path = catalog.path
    return path.with_name(f"{path.name}.seen")


def _read(path: Path) -> datetime | None:
    """What was noted; None when no app looked yet, or what it wrote is cut off."""
    try:
        return datetime.fromisoformat(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
