"""Jobs as the app follows them: how far the running one is, and what to say when one ends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from astrotui.tui.away import Away

if TYPE_CHECKING:
    from astrotui.jobs.records import JobRecord

_VERBS = {
    "measure": "measuring",
    "stack": "stacking",
    "index": "reading folders",
    "compose": "composing",
    "solve": "solving",
    "watch": "watching",
}


@dataclass(frozen=True)
class News:
    """What changed since the last look.

    Attributes
    ----------
    running : a few characters for the bar of places
    ended : jobs to tell of
    live : what goes on
    results : of jobs that ended and are told with what they found
    missed : jobs that failed while no app looked; at the first look only
    """

    running: str
    ended: "tuple[JobRecord, ...]"
    live: "tuple[JobRecord, ...]" = ()
    results: "dict[int, dict[str, Any]]" = field(default_factory=dict)
    missed: "tuple[JobRecord, ...]" = ()


class Follower:
    """Remembers the jobs whose end a person wants to hear of: those queued here, and those that still went on.

    Attributes
    ----------
    newest : the job that Jobs has to show next: the last one that was queued here, or told
    """

    def __init__(self) -> None:
        self.newest: int | None = None
        self._waited: set[int] = set()
        self._ordered: set[int] = set()  # here: answers of others are no dialog
        self._away = Away()

    def add(self, job_id: int) -> None:
        """Say when this job ends."""
        self._waited.add(job_id)
        self._ordered.add(job_id)
        self.newest = job_id

    def look(self, catalog: Any) -> News:
        """Read the queue; for a thread."""
        from astrotui.jobs.queue import list_jobs, result, show

        live = list_jobs(catalog, live_only=True)
        here = {job.id for job in live}
        ended = tuple(show(catalog, job_id) for job_id in sorted(self._waited - here))
        self._waited = here
        told = [
            job.id
            for job in ended
            if job.status == "done"
            and (job.kind == "index" or (job.kind == "solve" and job.id in self._ordered))
        ]
        found = {job: result(catalog, job) for job in told}
        if any(job.kind in ("stack", "watch") and job.status == "done" for job in ended):
            from astrotui.tui.reading import left_out

            counts = left_out(catalog)
            found |= {job.id: {"left_out": counts[job.id]} for job in ended if job.id in counts}
        missed = self._away.look(catalog)
        if missed:
            self.newest = missed[-1].id
        return News(running_words(live), ended, tuple(live), found, missed)


def running_words(live: "Sequence[JobRecord]") -> str:
    """How far the running job is, in the few characters beside the name of its place."""
    running = [job for job in live if job.status == "running"]
    if not running:
        return f"{len(live)}… " if live else ""
    shares = [share for job in running if (share := job.share) is not None]  # a watch has none
    percent = f"{int(100 * shares[0])}%" if shares else "▸"
    return f"{percent}{f'+{len(live) - 1}' if len(live) > 1 else ''} "


def numbered(jobs: "Sequence[int]") -> str:
    """`job 8`, or `jobs 8, 9`."""
    return f"job{'s' if len(jobs) > 1 else ''} {', '.join(map(str, jobs))}"


def late_words(count: int) -> str:
    """What is said while writes wait; empty when none does."""
    if not count:
        return ""
    wait = "change waits" if count == 1 else "changes wait"
    return f"{count:,} {wait} to be written: another program keeps the catalogue busy"


def working(live: "Iterable[JobRecord]", *kinds: str) -> str:
    """What a running or waiting job of these kinds is doing, in a few words; empty if there is none."""
    jobs = sorted((j for j in live if j.kind in kinds), key=lambda j: j.status != "running")
    if not jobs:
        return ""
    first = jobs[0]
    verb = _VERBS.get(first.kind, first.kind)
    if first.status != "running":
        return f"{verb} waits for its turn in Jobs (4)"
    count = f" {first.done}/{first.total}" if first.total and first.stage != "kernels" else ""
    return f"{verb}: {first.stage_in_words or 'starting'}{count}"
