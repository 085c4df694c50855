"""What the app says of jobs that have ended."""

from collections import deque
from typing import TYPE_CHECKING, Any

from astrotui.text import clean, plural
from astrotui.tui.away import away_words
from astrotui.tui.place import Place
from astrotui.tui.solved import solved_lines

if TYPE_CHECKING:
    from textual.app import App

    from astrotui.jobs.records import JobRecord
    from astrotui.tui.follow import News


class Teller:
    """Failures, and answers that were waited for, are dialogs, one after the other; an end that was wished for, a note."""

    def __init__(self, app: "App[Any]") -> None:
        self._app = app
        self._waiting: deque[tuple[str, str]] = deque()

    def hear(self, news: "News") -> None:
        """Say what can be said at once."""
        for job in news.ended:
            if (dialog := _dialog(job, news.results.get(job.id))) is not None:
                self._waiting.append(dialog)
                if not self._may_interrupt():
                    self._note(f"job {job.id} {'failed' if job.status == 'failed' else 'has an answer'}")
            elif count := (news.results.get(job.id) or {}).get("quarantined"):
                why = f"{plural(count, 'file')} quarantined: l in Jobs (4) says which and why"
                words = f"job {job.id} is done: {_name(job)}; {why}"
                self._app.notify(words, severity="warning", markup=False, timeout=8)
            elif count := (news.results.get(job.id) or {}).get("left_out"):
                words = f"job {job.id} is done: {_name(job)}; {plural(count, 'frame')} left out: i in Stacks (5) says why"
                self._app.notify(words, severity="warning", markup=False, timeout=8)
            elif job.status == "done":
                where = "; 5 shows it" if job.kind in ("stack", "compose", "watch") else ""
                self._note(f"job {job.id} is done: {_name(job)}{where}")
        if news.missed:
            self._app.notify(away_words(news.missed), severity="warning", markup=False, timeout=30)
        self.tell()

    def tell(self) -> None:
        """Show the next dialog, where that takes nobody's keys: not over another one, or while a filter is typed."""
        from astrotui.tui.screens.message import MessageScreen

        if self._waiting and self._may_interrupt():
            self._app.push_screen(MessageScreen(*self._waiting.popleft(), unasked=True))

    def _may_interrupt(self) -> bool:
        screen = self._app.screen
        return isinstance(screen, Place) and not screen.filtering

    def _note(self, text: str) -> None:
        self._app.notify(text, markup=False, timeout=3)


def _name(job: "JobRecord") -> str:
    return clean(job.title or job.kind, 60)


def _dialog(job: "JobRecord", result: dict[str, Any] | None) -> tuple[str, str] | None:
    """Title and text: the reason of a failure with the log's place, or where something is in the sky."""
    if job.status == "failed":
        lines = [clean(job.error or "no reason was given", 1000)]
        if job.log:
            lines += ["", f"Log: {clean(job.log, 400)}"]
        lines += ["", f"Jobs (4) has it: l shows the log, t tries again (job {job.id})."]
        return f"Job {job.id} failed: {_name(job)}", "\n".join(lines)
    if job.status == "done" and result and result.get("solved"):
        return f"Job {job.id}: where it is in the sky", "\n".join(solved_lines(result))
    return None
