"""The job that asks an installed plate solver where sessions and stacks lie in the sky."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrotui.config import places
from astrotui.errors import AstrotuiError
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.jobs.work import Work


def run_solve(work: "Work") -> None:
    """Solve; payload `{"sessions": [id, ...], "stacks": [id, ...], "limit_s": seconds, "name": bool}`.

    What has no solution is listed with the reason; the job fails when nothing has one.
    """
    from astrotui.frames.solver import SolveError, find_solver
    from astrotui.jobs.tasks import measure_for
    from astrotui.library.solved import solve_session, solve_stack

    if find_solver() is None:
        raise SolveError("no plate solver is installed: astrometry.net's solve-field and ASTAP can be used")
    sessions, stacks = work.payload.get("sessions", ()), work.payload.get("stacks", ())
    limit_s, name = float(work.payload["limit_s"]), bool(work.payload.get("name", True))
    if sessions:
        measure_for(work, sessions)
    found: list[dict[str, Any]] = []
    things = [("session", number) for number in sessions] + [("stack", number) for number in stacks]
    folder: Path = places().cache / "solving"
    for done, (kind, number) in enumerate(things):
        work.progress("solving", done, len(things))
        ask = solve_session if kind == "session" else solve_stack
        try:
            answer = ask(work.catalog, number, folder, limit_s=limit_s, name=name)
            found.append({kind: number, "solved": True, **answer})
        except AstrotuiError as error:
            found.append({kind: number, "solved": False, "reason": clean(error, 300)})
    work.progress("solving", len(things), len(things))
    work.set_result({"solved": found})
    if not any(one["solved"] for one in found):
        raise SolveError("; ".join(dict.fromkeys(one["reason"] for one in found)) or "nothing to solve")
