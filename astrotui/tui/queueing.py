"""Queueing jobs from the app, and what it says when they end."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrotui.errors import AstrotuiError, UsageError
from astrotui.text import clean, plural

if TYPE_CHECKING:
    from textual.app import App

    from astrotui.jobs.records import JobRecord


def index(catalog: Any, roots: Sequence[Path]) -> int:
    """Queue a look at `roots`, or at all known roots. Returns the job's id.

    Raises
    ------
    AstrotuiError
        A folder does not exist, or none is known yet.
    """
    from astrotui.library.roots import list_roots

    for root in roots:
        if not root.expanduser().is_dir():
            raise UsageError(f"{clean(root, 300)}: no such folder")
    known = list(roots) or list(list_roots(catalog))
    if not known:
        raise AstrotuiError("no folder is known yet: f in Library adds one, or start with astrotui FOLDER")
    payload = {"roots": [str(root.expanduser().absolute()) for root in known]}
    return enqueue(catalog, "index", payload, f"index {plural(len(known), 'folder')}", 10)


def measure(catalog: Any, session_id: int) -> int:
    """Queue the measurement of a session, unless that waits or runs already. Returns the job's id."""
    from astrotui.jobs.queue import list_jobs, payload

    for job in list_jobs(catalog, live_only=True):
        if job.kind == "measure" and payload(catalog, job.id).get("sessions") == [session_id]:
            return job.id
    return enqueue(catalog, "measure", {"sessions": [session_id]}, f"measure session {session_id}", 5)


def enqueue(catalog: Any, kind: str, payload: dict[str, Any], title: str, priority: int = 0) -> int:
    """Queue a job and see to it that somebody does it. Returns its id."""
    from astrotui.jobs.launch import ensure_worker
    from astrotui.jobs.queue import enqueue as put

    job = put(catalog, kind, payload, title=title, priority=priority)
    ensure_worker(catalog)
    return job


def tell_end(app: "App[Any]", job: "JobRecord") -> None:
    """A failure is a dialog with the reason and the log's place; an end that was wished for, a short note."""
    from astrotui.tui.screens.message import MessageScreen

    name = clean(job.title or job.kind, 60)
    if job.status == "failed":
        lines = [clean(job.error or "no reason was given", 1000)]
        if job.log:
            lines += ["", f"Log: {clean(job.log, 400)}"]
        lines += ["", f"Jobs (4) has it: l shows the log, t tries again (job {job.id})."]
        app.push_screen(MessageScreen(f"Job {job.id} failed: {name}", "\n".join(lines)))
    elif job.status == "done":
        where = "; 5 shows it" if job.kind in ("stack", "compose") else ""
        app.notify(f"job {job.id} is done: {name}{where}", markup=False, timeout=3)
