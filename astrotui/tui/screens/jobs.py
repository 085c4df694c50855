"""Jobs: live progress with stage, rate and time left; log, cancel, retry, reorder."""

import time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Log, Static

from astrotui.text import clean, duration, plural
from astrotui.tui.place import Place
from astrotui.tui.widgets.table import Column, RowTable
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.jobs.records import JobRecord

_STYLES = {"queued": "", "running": "cyan", "done": "green", "failed": "red", "cancelled": "bright_black"}
_BAR = 16
_TAIL_BYTES = 20_000


def bar(job: "JobRecord") -> str:
    """Progress of the present stage as a bar."""
    if job.status != "running" or job.stage is None:
        return ""
    if not job.total:
        return clean(job.stage, 14)
    filled = _BAR * min(job.done, job.total) // job.total
    return f"{'█' * filled}{'░' * (_BAR - filled)} {clean(job.stage, 14)} {job.done:,}/{job.total:,}"


def _took(job: "JobRecord") -> str:
    if job.status == "running":
        return f"{duration(job.eta_s)} left" if job.eta_s is not None else "…"
    if job.started is not None and job.finished is not None:
        return duration((job.finished - job.started).total_seconds())
    return ""


def _what(job: "JobRecord") -> str:
    return job.error or job.title if job.status == "failed" else job.title or job.kind


COLUMNS: list[Column["JobRecord"]] = [
    Column("id", "Job", 5, lambda j: str(j.id), lambda j: j.id, "right", True),
    Column("status", "Status", 9, lambda j: Text(j.status, style=_STYLES[j.status]), lambda j: j.status),
    Column("progress", "Progress", 38, bar),
    Column("time", "Time", 12, _took, align="right"),
    Column("what", "What", 12, _what),
]


class JobsPlace(Place):
    """The queue."""

    PLACE = "jobs"
    CSS_PATH = "jobs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l,enter", "log", "Log", key_display="l", id="jobs.log"),
        Binding("x", "cancel", "Cancel", id="jobs.cancel"),
        Binding("t", "retry", "Retry", id="jobs.retry"),
        Binding("plus", "priority(1)", "Sooner", key_display="+", id="jobs.sooner"),
        Binding("minus", "priority(-1)", "Later", key_display="-", id="jobs.later"),
        Binding("p", "pause", "Pause queue", id="jobs.pause"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.paused = False
        self._rates: dict[int, tuple[str | None, float, int]] = {}

    def body(self) -> ComposeResult:
        with Container(id="jobs-place"):
            yield RowTable(
                COLUMNS,
                key=lambda j: j.id,
                empty="no jobs yet: t in Library or Frames queues a stack",
                id="jobs",
            )
            yield Static(id="detail", markup=False)
            log = Log(id="log", max_lines=500)
            log.display = False
            yield log

    def on_mount(self) -> None:
        table = self.query_one("#jobs", RowTable)
        table.sort_by("id", True)
        table.focus()

    async def load(self) -> None:
        jobs, self.paused = await self.read(_jobs)
        self.query_one("#jobs", RowTable).set_rows(jobs)
        running = sum(job.status == "running" for job in jobs)
        waiting = sum(job.status == "queued" for job in jobs)
        words = [plural(running, "job") + " running"] if running else []
        words += [f"{waiting} waiting"] if waiting else []
        words += ["queue paused"] if self.paused else []
        self.astro.note(", ".join(words))

    @on(RowTable.Moved, "#jobs")
    def _moved(self, event: RowTable.Moved) -> None:
        job = event.row
        if job is None:
            self.query_one("#detail", Static).update("")
            return
        lines = [clean(f"job {job.id}: {job.title or job.kind} · {job.status}{self._rate(job)}", 200)]
        if job.error:
            lines.append(clean(job.error, 300))
        if job.log:
            lines.append(clean(f"log: {job.log}", 300))
        self.query_one("#detail", Static).update("\n".join(lines))

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

    def _job(self) -> Any:
        return self.query_one("#jobs", RowTable).row

    @on(RowTable.Chosen, "#jobs")
    def _chosen(self, event: RowTable.Chosen) -> None:
        self.action_log()

    def action_log(self) -> None:
        log = self.query_one("#log", Log)
        job = self._job()
        if log.display or job is None:
            log.display = False
            self.query_one("#jobs").focus()
            return
        start(self, partial(self._show_log, job), group="log", exclusive=True)

    async def _show_log(self, job: "JobRecord") -> None:
        text = await self.read(_tail, job.log)
        log = self.query_one("#log", Log)
        log.clear()
        log.write_lines([clean(line, 400) for line in text.splitlines()] or ["no log yet"])
        log.display = True

    def action_cancel(self) -> None:
        if (job := self._job()) is not None:
            self.change(_on_job, "cancel", job.id)

    def action_retry(self) -> None:
        if (job := self._job()) is not None:
            self.change(_on_job, "retry", job.id)

    def action_priority(self, step: int) -> None:
        if (job := self._job()) is not None:
            self.change(_on_job, "set_priority", job.id, job.priority + step)

    def action_pause(self) -> None:
        self.change(_pause, not self.paused)

    def action_back(self) -> None:
        log = self.query_one("#log", Log)
        if log.display:
            log.display = False
            self.query_one("#jobs").focus()
        else:
            super().action_back()


def _jobs(catalog: Any) -> "tuple[list[JobRecord], bool]":
    from astrotui.jobs.queue import is_paused, list_jobs

    return list_jobs(catalog), is_paused(catalog)


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
