"""Jobs as the app follows them: how far the running one is, and what to say when one ends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astrotui.jobs.records import JobRecord


@dataclass(frozen=True)
class News:
    """What changed since the last look: `running` is a few characters for the bar of places."""

    running: str
    ended: "tuple[JobRecord, ...]"


class Follower:
    """Remembers the jobs whose end a person wants to hear of: those queued here, and those that still went on."""

    def __init__(self) -> None:
        self._waited: set[int] = set()

    def add(self, job_id: int) -> None:
        """Say when this job ends."""
        self._waited.add(job_id)

    def look(self, catalog: Any) -> News:
        """Read the queue; for a thread."""
        from astrotui.jobs.queue import list_jobs, show

        live = list_jobs(catalog, live_only=True)
        here = {job.id for job in live}
        ended = tuple(show(catalog, job_id) for job_id in sorted(self._waited - here))
        self._waited = here
        return News(_running(live), ended)


def _running(live: "list[JobRecord]") -> str:
    running = [job for job in live if job.status == "running"]
    if not running:
        return f"{len(live)}… " if live else ""
    first = running[0]
    share = f"{100 * min(first.done, first.total) // first.total}%" if first.total else "▸"
    return f"{share}{f'+{len(live) - 1}' if len(live) > 1 else ''} "
