"""What the work process does for each kind of job: the use-cases of `library`, `stacking` and `rendering`."""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from astrotui.catalog.models import Job, Session
from astrotui.config import load_settings, parse_size, places
from astrotui.errors import AstrotuiError, FrameError, PlanError
from astrotui.jobs.pictures import file_digest
from astrotui.jobs.stacking import processors, stack_all
from astrotui.stacking.plan import MasterSpec, StackPlan, load_plan
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.jobs.work import Work
    from astrotui.library.requests import StackRequest
    from astrotui.rendering.render import RenderInfo

_PIXELS_AT_ONCE = 32_000_000  # of a master: making one takes some 16 bytes for each


def run_index(work: "Work") -> None:
    """Index roots; payload `{"roots": [path, ...], "again": bool, "emptied": bool}`."""
    from astrotui.library.index import index_roots

    roots = [Path(root) for root in work.payload["roots"]]
    options = {name: bool(work.payload.get(name)) for name in ("again", "emptied")}
    report = index_roots(work.catalog, roots, work.progress, **options)
    work.log.info("%s", report.summary())
    for text in (*(f"NOT INDEXED: {text}" for text in report.unread), *report.doubts()):
        work.log.warning("%s", text)
    work.set_result(asdict(report))


def run_measure(work: "Work") -> None:
    """Measure sessions; payload `{"sessions": [id, ...], "force": bool}`. Keeps a small picture of each frame."""
    from astrotui.rendering.small import prune

    sessions = work.payload["sessions"]
    report = _measure(work, sessions, force=bool(work.payload.get("force")))
    prune(parse_size(load_settings().previews_cap))
    if report.problems and not report.measured and not report.kept and not report.quarantined:
        first, more = report.problems[0], len(report.problems) - 1
        others = f" (and {more:,} more)" if more else ""
        raise AstrotuiError(f"nothing could be measured: {first['path']}: {first['reason']}{others}")
    work.set_result(asdict(report))


def run_render(work: "Work") -> None:
    """Render an image at full size; payload `{"image", "output", "look", "size", "overwrite"}`."""
    from astrotui.rendering.looks import Look
    from astrotui.rendering.render import render_image

    payload = work.payload
    output = Path(payload["output"])
    if work.attempt > 1 and (digest := work.result.get("sha256")) and file_digest(output) == digest:
        return  # an earlier attempt ended between naming its picture and saying so

    def announce(info: "RenderInfo", digest: str) -> None:
        found = {"output": str(output), "width": info.width, "height": info.height, "notes": list(info.notes)}
        work.set_result({**found, "sha256": digest})

    work.note_part(output)
    work.progress("rendering", 0, 1)
    render_image(
        Path(payload["image"]),
        Look.from_dict(payload.get("look") or {}),
        output,
        size=payload.get("size"),
        overwrite=bool(payload.get("overwrite")),
        tag=str(work.job_id),
        announce=announce,
    )
    work.progress("rendering", 1, 1)


def run_stack(work: "Work") -> None:
    """Stack; payload is a `StackRequest`, or `{"plan": path}` to run a stored plan again."""
    from astrotui.imaging.compiler import load_compiler
    from astrotui.library.master_cache import hold_to_cap

    load_compiler()
    # Where the time of a stack goes, so that its end can be told before half of it is over.
    work.expect({"masters": 1, "measuring": 4, "levels": 1, "stacking": 4, "preview": 0.3})
    plan = make_stack_plan(work)
    stack_all(work, plan)
    hold_to_cap(places().masters, parse_size(load_settings().masters_cap))


def _measure(work: "Work", sessions: Sequence[int], *, force: bool = False) -> Any:
    from astrotui.library.measure import measure_sessions
    from astrotui.rendering.small import keep_small

    return measure_sessions(
        work.catalog,
        sessions,
        workers=load_settings().workers,
        force=force,
        dark=lambda session_id: _measuring_dark(work, session_id),
        wanted=lambda: _wanted(work) if work.kind == "measure" else (),
        # Who measures will look at the frames; who stacks at once need not wait for their pictures.
        keep=keep_small if work.kind == "measure" else None,
        progress=work.progress,
    )


def measure_for(work: "Work", sessions: Sequence[int]) -> None:
    """Measure what is unmeasured of sessions, for a job that wants their stars."""
    _measure(work, sessions)


def _measuring_dark(work: "Work", session_id: int) -> tuple[Path, str] | None:
    """The master dark for finding stars: only an exact one, made now if need be. Measuring goes on without it."""
    from astrotui.library.masters_for import CalibrationPlanner, session_calstat

    with work.catalog.read() as db:
        session = db.get(Session, session_id)
        if session is None:
            return None
        planner = CalibrationPlanner(db, {"flat": "none", "bias": "none"})
        try:
            calibration, dark = planner.for_session(session, session_calstat(db, session.id))
        except AstrotuiError as error:
            work.log.warning("measuring without a dark: %s", clean(error, 300))
            return None
    if dark is None or dark.grade != "exact":
        return None
    from astrotui.stacking.usable import usable_calibrations

    (calibration,), warnings = usable_calibrations([calibration], places().masters)
    for warning in warnings:
        work.log.warning("%s", warning)
    spec = calibration.dark
    if spec is None:
        return None
    try:
        return _make_masters(work, [spec])[spec.digest()], spec.digest()
    except (FrameError, PlanError) as error:
        work.log.warning("measuring without a dark: %s", clean(error, 300))
        return None


def _wanted(work: "Work") -> list[int]:
    """Sessions of measuring jobs that wait with a higher priority than this one: somebody looks at them."""
    with work.catalog.read() as db:
        own = select(Job.priority).where(Job.id == work.job_id).scalar_subquery()
        payloads = db.scalars(
            select(Job.payload)
            .where(Job.kind == "measure", Job.status == "queued", Job.priority > own)
            .order_by(Job.priority.desc(), Job.id)
        )
        return [int(session) for payload in payloads for session in payload.get("sessions", ())]


def _make_masters(work: "Work", specs: Sequence[MasterSpec]) -> dict[str, Path]:
    """Make what is not there yet, two at a time: their files are read and written while others are computed."""
    from astrotui.stacking.masters import ensure_master

    unique = {spec.digest(): spec for spec in specs}
    workers = load_settings().workers
    made: dict[str, Path] = {}

    def make(spec: MasterSpec) -> Path:
        return ensure_master(spec, places().masters, workers=workers)

    if not unique:
        return made
    work.progress("masters", 0, len(unique))
    with ThreadPoolExecutor(_masters_at_once(specs, workers)) as pool:
        try:
            for number, (digest, path) in enumerate(
                zip(unique, pool.map(make, unique.values()), strict=True)
            ):
                made[digest] = path
                work.progress("masters", number + 1, len(unique))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return made


def _masters_at_once(specs: Sequence[MasterSpec], workers: int) -> int:
    """How many masters to make at a time: large ones one after the other, for the sake of memory."""
    largest = max((spec.width * spec.height for spec in specs), default=0)
    return 2 if processors(workers) > 1 and largest <= _PIXELS_AT_ONCE else 1


def _make_masters_ahead(work: "Work", request: "StackRequest") -> None:
    """The masters that the plan will want, before measuring, which wants one of them and all processors.

    Which they are can be told without measurements, but for nights of several temperatures: those come with the plan.
    What is wrong with one is said then, too.
    """
    from astrotui.library.masters_for import masters_of
    from astrotui.library.planning import plan_calibrations
    from astrotui.stacking.usable import usable_calibrations

    with work.catalog.read() as db:
        sessions = db.scalars(
            select(Session).where(Session.id.in_(request.sessions)).order_by(Session.id)
        ).all()
        choices = {"dark": request.dark, "flat": request.flat, "bias": request.bias}
        try:
            calibrations, groups = plan_calibrations(db, sessions, choices, request.recipe.master)
        except AstrotuiError as error:
            work.log.info("masters are made after measuring: %s", clean(error, 300))
            return
    first = sorted({variants[0][1] for variants in groups.values()})
    usable, _ = usable_calibrations([calibrations[i] for i in first], places().masters)
    try:
        _make_masters(work, masters_of(usable))
    except AstrotuiError as error:
        work.log.info("a master is tried again after measuring: %s", clean(error, 300))


def make_stack_plan(work: "Work") -> StackPlan:
    """The plan of an earlier attempt, a plan that was asked for, or a new one."""
    from astrotui.library.reuse import rerun, with_reused

    if (known := work.plan()) is not None:
        return known
    if "plan" in work.payload:
        plan = load_plan(Path(work.payload["plan"]))
        if output := work.payload.get("output"):
            plan = dataclasses.replace(plan, output=output, manifest=str(Path(output).with_suffix(".json")))
        return rerun(plan, places().masters)
    from astrotui.frames.solver import LIMIT_S
    from astrotui.library.masters_for import masters_of
    from astrotui.library.planning import make_plan
    from astrotui.library.reference import measured_sessions
    from astrotui.library.requests import StackRequest, default_name, free_output
    from astrotui.library.solved import solve_plan
    from astrotui.stacking.bands import choose_band_rows
    from astrotui.stacking.usable import usable_calibrations

    request = StackRequest.from_dict(work.payload)
    begun = datetime.now(UTC)
    present = {path.name for path in places().masters.glob("*.fits")}
    _make_masters_ahead(work, request)
    work.finished_stage("masters")
    _measure(work, measured_sessions(work.catalog, request))
    work.finished_stage("measuring")
    plan = make_plan(work.catalog, request, Path(request.output or "stack.fits"))
    if load_settings().solve and not plan.wcs:
        work.progress("solving", 0, 1)
        plan = solve_plan(work.catalog, plan, places().cache / "solving", limit_s=LIMIT_S)
    if not request.output:  # named after what is in it, which may be less than what was asked for
        inside = sorted({frame.session_id for frame in plan.frames if frame.session_id is not None})
        output = free_output(Path(request.folder), default_name(work.catalog, inside))
        plan = dataclasses.replace(plan, output=str(output), manifest=str(output.with_suffix(".json")))
    calibrations, warnings = usable_calibrations(plan.calibrations, places().masters)
    plan = dataclasses.replace(plan, calibrations=calibrations, warnings=(*plan.warnings, *warnings))
    _make_masters(work, masters_of(plan.calibrations))
    plan = with_reused(work.catalog, plan, since=begun, masters=places().masters, present=present)
    plan = dataclasses.replace(
        plan, band_rows=choose_band_rows(plan, request.memory, processors(request.workers))
    )
    path, digest = plan.save(work.catalog.path.parent / "plans")
    work.set_plan(path, digest)
    work.finished_stage("planning")
    return plan
