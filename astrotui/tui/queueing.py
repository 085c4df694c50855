"""Queueing jobs from the app."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astrotui.errors import AstrotuiError
from astrotui.text import clean, plural


def index(catalog: Any, roots: Sequence[Path]) -> int:
    """Queue a look at `roots`, or at all known roots. Returns the job's id.

    Raises
    ------
    AstrotuiError
        A folder does not exist, may not be read or holds the catalogue, or none is known yet.
    """
    from astrotui.library.roots import check_folder, check_outside, list_roots

    for root in roots:
        check_folder(root)
        check_outside(catalog.path, root)
    known = list(roots) or list(list_roots(catalog))
    if not known:
        raise AstrotuiError("no folder is known yet: f in Library adds one, or start with astrotui FOLDER")
    payload = {"roots": [str(root.expanduser().absolute()) for root in known]}
    return enqueue(catalog, "index", payload, f"index {plural(len(known), 'folder')}", 10)


def measure(catalog: Any, session_id: int) -> int:
    """Queue the measurement of a session, unless that waits or runs already. Returns the job's id."""
    from astrotui.jobs.queue import list_jobs, payload
    from astrotui.tui.reading import session_name

    for job in list_jobs(catalog, live_only=True):
        if job.kind == "measure" and payload(catalog, job.id).get("sessions") == [session_id]:
            return job.id
    return enqueue(
        catalog,
        "measure",
        {"sessions": [session_id]},
        f"measure {clean(session_name(catalog, session_id), 60)}",
        5,
    )


def solve(catalog: Any, sessions: Sequence[int], stacks: Sequence[int]) -> int:
    """Queue a plate solver for sessions and results, as `astrotui solve` does. Returns the job's id.

    Raises
    ------
    AstrotuiError
        No plate solver is installed.
    """
    from astrotui.frames.solver import find_solver

    if find_solver() is None:
        raise AstrotuiError(
            "no plate solver is installed: astrometry.net's solve-field and ASTAP can be used; "
            "F1 has a page about it, `solve`"
        )
    payload = {"sessions": list(sessions), "stacks": list(stacks), "limit_s": 60.0, "name": True}
    return enqueue(catalog, "solve", payload, f"solve {plural(len(sessions) + len(stacks), 'field')}")


def watch(catalog: Any, session_id: int, folder: Path, memory: int) -> int:
    """Queue a stack that grows while frames arrive in a session's folder, as `astrotui watch` does without options.

    A watch of the session that goes on already is not begun again. Returns the job's id.

    Parameters
    ----------
    folder : where the result goes, under a free name
    memory : bytes

    Raises
    ------
    AstrotuiError
        The session's folder is not there.
    """
    from astrotui.jobs.queue import list_jobs, payload
    from astrotui.library.listing import list_sessions
    from astrotui.library.requests import default_name
    from astrotui.stacking.recipe import Recipe

    for job in list_jobs(catalog, live_only=True):
        if job.kind == "watch" and payload(catalog, job.id).get("sessions") == [session_id]:
            return job.id
    places = [Path(one.path) for one in list_sessions(catalog) if one.id == session_id]
    if not places or not places[0].is_dir():
        name = clean(places[0], 300) if places else f"session {session_id}"
        raise AstrotuiError(f"{name}: this folder is not there; is the disk mounted?")
    orders = {
        "sessions": [session_id], "folders": [str(places[0])], "orders": {}, "recipe": vars(Recipe()),
        "options": {"dark": "auto", "flat": "auto", "bias": "auto", "memory": memory, "workers": 0},
        "output": "", "folder": str(folder),
    }  # fmt: skip
    return enqueue(catalog, "watch", orders, f"watch {clean(default_name(catalog, [session_id]), 60)}")


def enqueue(catalog: Any, kind: str, payload: dict[str, Any], title: str, priority: int = 0) -> int:
    """Queue a job and see to it that somebody does it. Returns its id."""
    from astrotui.jobs.launch import ensure_worker
    from astrotui.jobs.queue import enqueue as put

    job = put(catalog, kind, payload, title=title, priority=priority)
    ensure_worker(catalog)
    return job
