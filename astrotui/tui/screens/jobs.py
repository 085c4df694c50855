"""Jobs: live progress with stage, rate and time left; log, cancel, retry, reorder."""

import time
from collections.abc import Iterable
from functools import partial
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Log

from astrotui.text import clean, duration, plural
from astrotui.tui.follow import running_words
from astrotui.tui.place import Place
from astrotui.tui.screens.message import QuestionScreen
from astrotui.tui.widgets.bar import PlaceBar
from astrotui.tui.widgets.table import Cell, Column, RowTable, Tone
from astrotui.tui.widgets.words import Words
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.jobs.records import JobRecord

_TONES: dict[str, Tone] = {
    "queued": "",
    "running": "info",
    "done": "good",
    "failed": "bad",
    "cancelled": "dim",
}
_BAR = 12
_TAIL_BYTES = 20_000
_SCROLLBAR = 2  # columns


def bar(job: "JobRecord") -> Cell:
    """Progress of the whole job as a bar, else of its present stage, and how far the stage is."""
    if job.status != "running" or job.stage is None:
        return Cell("")
    if job.stage == "kernels":  # nothing of it can be counted
        return Cell(job.stage_in_words, "info")
    if not job.total:
        inside = f", {plural(job.done, 'frame')} in" if job.kind == "watch" and job.done else ""
        return Cell(clean(job.stage, 14) + inside, "info")
    words = f"{job.done:,}/{job.total:,} {clean(job.stage, 20)}"
    share = job.share  # who cannot tell the end of the whole sees at least that it goes on
    filled = int(_BAR * (min(job.done / job.total, 1.0) if share is None else share))
    return Cell(f"{'█' * filled}{'░' * (_BAR - filled)} {words}", "info")


def queue_order(jobs: "Iterable[JobRecord]") -> dict[int, int]:
    """Which waiting job is how far from its turn, by id; 1 is next. Pictures and indexing wait for nobody."""
    waiting = sorted((j for j in jobs if j.status == "queued"), key=lambda j: (-j.priority, j.id))
    return {job.id: place for place, job in enumerate(waiting, 1)}


def _took(job: "JobRecord") -> str:
    if job.status == "running":
        return f"{duration(job.eta_s)} left" if job.eta_s is not None else "…"
    if job.started is not None and job.finished is not None:
        return duration((job.finished - job.started).total_seconds())
    return ""


class JobsPlace(Place):
    """The queue."""

    PLACE = "jobs"
    CSS_PATH = "jobs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l,enter", "log", "Log", key_display="l", id="jobs.log", tooltip="Show the log, or hide it"),
        Binding("x", "cancel", "Cancel", id="jobs.cancel", tooltip="Cancel the job"),
        Binding("t", "retry", "Retry", id="jobs.retry", tooltip="Try a failed or cancelled job again, where it ended"),
        Binding("plus", "priority(1)", "Sooner", key_display="+", id="jobs.sooner", tooltip="Run a waiting job sooner"),
        Binding("minus", "priority(-1)", "Later", key_display="-", id="jobs.later", tooltip="Run a waiting job later"),
        Binding("p", "pause", "Pause", id="jobs.pause", tooltip="Start no further job, or go on"),
        *Place.SHARED,
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.paused = False
        self._rates: dict[int, tuple[str | None, float, int]] = {}
        self._log_shown = ("", 0)  # its text, and the width that it was wrapped for
        self._order: dict[int, int] = {}
        self._held: dict[int, int] = {}  # by job: files that cannot be used, frames that were left out

    def _columns(self) -> "list[Column[JobRecord]]":
        return [
            Column("id", "Job", 4, lambda j: str(j.id), lambda j: j.id, "right", True),
            Column("status", "Status", 9, lambda j: Cell(j.status, _TONES[j.status]), lambda j: j.status),
            Column("what", "What", 21, lambda j: j.title or j.kind, lambda j: j.title or j.kind, most=48),
            Column("time", "Time", 10, self._time, lambda j: self._order.get(j.id), "right"),
            Column("progress", "Progress", 31, self._progress),
        ]  # fmt: skip

    def _progress(self, job: "JobRecord") -> Cell:
        if job.id in self._held:
            count = self._held[job.id]
            return Cell(
                f"{count:,} quarantined" if job.kind == "index" else f"{plural(count, 'frame')} left out",
                "warn",
            )
        return Cell(job.error or "", "bad") if job.status == "failed" else bar(job)

    def _time(self, job: "JobRecord") -> str:
        place = self._order.get(job.id)
        return _took(job) if place is None else "next" if place == 1 else f"{place} in line"

    def body(self) -> ComposeResult:
        with Container(id="jobs-place", classes="place"):
            empty = "no jobs yet: t in Library or Frames queues a stack"
            yield RowTable(self._columns(), key=lambda j: j.id, empty=empty, id="jobs")
            yield Words(id="detail")
            log = Log(id="log", max_lines=500)
            log.display = False
            yield log

    def made(self) -> None:
        self.table.sort_by("id", True)
        self.table.focus()

    @property
    def table(self) -> "RowTable[JobRecord]":
        """The table of jobs."""
        return self.query_one("#jobs", RowTable)

    async def load(self) -> None:
        jobs, self.paused, held = await self.read(_jobs)
        told = queue_order(jobs), held
        if told != (self._order, self._held):
            self._order, self._held = told
            self.table.refresh()
        follow = self.table.cursor == 0  # who looks at the newest job wants to see the next one too
        self.table.set_rows(jobs)
        if follow and self.table.cursor and jobs[-1].created > self.table.rows[self.table.cursor].created:
            self.table.action_jump(0)
        if any(job.id == self.astro.follower.newest for job in jobs):
            self.table.go_to(self.astro.follower.newest)
            self.astro.follower.newest = None
        running = sum(job.status == "running" for job in jobs)
        waiting = sum(job.status == "queued" for job in jobs)
        words = [f"{running} running"] if running else []
        words += [f"{waiting} waiting"] if waiting else []
        words += ["paused: p goes on"] if self.paused else []
        self.note(", ".join(words) or plural(len(jobs), "job"))
        # At once, so that neither line says of a job what its row does not say any more.
        self._tell(self.table.row)
        self.query_one(PlaceBar).set_running(running_words([job for job in jobs if not job.is_final]))
        if self.query_one("#log", Log).display:
            self._read_log()

    @on(RowTable.Moved, "#jobs")
    def _moved(self, event: RowTable.Moved) -> None:
        self._tell(event.row)
        if self.query_one("#log", Log).display:
            self._read_log()

    def _tell(self, job: "JobRecord | None") -> None:
        """All that is known of the job under the cursor."""
        if job is None:
            self.query_one("#detail", Words).update("")
            return
        left = f" · about {duration(job.eta_s)} left" if job.status == "running" and job.eta_s else ""
        stage = f" · {job.stage_in_words}" if job.status == "running" and job.stage else ""
        first = f"job {job.id}: {job.title or job.kind} · {job.status}{stage}{self._rate(job)}{left}"
        lines = [clean(first, 200)]
        if job.error:
            lines.append(clean(job.error, 400))
        if held := self._held.get(job.id):
            quarantined = f"{plural(held, 'file')} quarantined, not usable and left out: l says which and why"
            left_out = f"{plural(held, 'frame')} left out: i in Stacks (5) says which and why"
            lines.append(quarantined if job.kind == "index" else left_out)
        if job.log:
            lines.append(clean(f"log: {job.log}", 300))
        self.query_one("#detail", Words).update("\n".join(lines))

    def _rate(self, job: "JobRecord") -> str:
        """Pieces a second in the present stage, since this place first saw it."""
        if job.status != "running" or not job.total:
            self._rates.pop(job.id, None)
            return ""
        stage, since, first = self._rates.get(job.id, (None, 0.0, 0))
        if stage != job.stage:
            self._rates[job.id] = (job.stage, time.monotonic(), job.done)
            return ""
        took = time.monotonic() - since
        return f" · {(job.done - first) / took:.1f} a second" if took > 1 and job.done > first else ""

    def on_resize(self) -> None:
        if any(log.display for log in self.query("#log")):  # not there yet at the first size
            self._read_log()

    @on(RowTable.Chosen, "#jobs")
    def _chosen(self, event: RowTable.Chosen) -> None:
        self.action_log()

    # --- the log --------------------------------------------------------------------------------------------------

    def action_log(self) -> None:
        log = self.query_one("#log", Log)
        if log.display or self.table.row is None:
            log.display = False
            self.table.focus()
        else:
            log.display = True
            self._read_log()

    def _read_log(self) -> None:
        if (job := self.table.row) is not None:
            start(self, partial(self._show_log, job), group="log", exclusive=True)

    async def _show_log(self, job: "JobRecord") -> None:
        text = await self.read(_tail, job.log)
        width = self.size.width - _SCROLLBAR
        if (text, width) != self._log_shown:
            self._log_shown = text, width
            log = self.query_one("#log", Log)
            log.clear()
            log.write_lines(_wrapped(text, width) or ["no log yet"])

    # --- changing the queue -----------------------------------------------------------------------------------------

    def action_cancel(self) -> None:
        job = self.table.row
        if job is None or job.is_final:
            self.notify(f"job {job.id} is {job.status} already" if job else "no job here", timeout=2)
            return
        if job.status != "running":
            self.change(_on_job, "cancel", job.id)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.change(_on_job, "cancel", job.id)

        text = (
            f"Cancel job {job.id} ({clean(job.title or job.kind, 60)})? What it finished is kept for a retry."
        )
        self.app.push_screen(QuestionScreen("Cancel a running job", text), answered)

    def action_retry(self) -> None:
        job = self.table.row
        if job is None or job.status not in ("failed", "cancelled"):
            self.notify("only a failed or cancelled job can be tried again", timeout=2)
            return
        self.change(_on_job, "retry", job.id, then=lambda _: self.astro.follower.add(job.id))

    def action_priority(self, step: int) -> None:
        job = self.table.row
        if job is None or job.status != "queued":
            self.notify("only a waiting job can be moved", timeout=2)
        else:
            self.change(
                _on_job, "set_priority", job.id, job.priority + step,
                then=lambda _: self.notify(f"job {job.id} has priority {job.priority + step}", timeout=2),
            )  # fmt: skip

    def action_pause(self) -> None:
        self.change(_pause, not self.paused)

    def action_back(self) -> None:
        if self.query_one("#log", Log).display:
            self.action_log()
        else:
            super().action_back()


def _jobs(catalog: Any) -> "tuple[list[JobRecord], bool, dict[int, int]]":
    from astrotui.jobs.queue import is_paused, list_jobs
    from astrotui.tui.reading import left_out, unusable_files

    return list_jobs(catalog), is_paused(catalog), unusable_files(catalog) | left_out(catalog)


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a log, those that are too long as several."""
    lines = (clean(line, 1000) for line in text.splitlines())
    return [part for line in lines for part in wrap(line, max(width, 20), subsequent_indent="  ")]


def _on_job(catalog: Any, name: str, job_id: int, *arguments: Any) -> None:
    from astrotui.jobs import queue
    from astrotui.jobs.launch import ensure_worker

    getattr(queue, name)(catalog, job_id, *arguments)
    ensure_worker(catalog)


def _pause(catalog: Any, paused: bool) -> None:
    from astrotui.jobs import queue
    from astrotui.jobs.launch import ensure_worker

    if paused:
        queue.pause(catalog)
    else:
        queue.resume(catalog)
        ensure_worker(catalog)


def _tail(catalog: Any, path: str | None) -> str:
    """The end of a log."""
    if path is None:
        return ""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - seek from the end
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            return stream.read().decode(errors="replace")
    except OSError as error:
        return f"the log cannot be read: {error.strerror}"
