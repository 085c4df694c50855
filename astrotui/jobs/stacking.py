"""A stack job runs its plan, and one more for each island that a mosaic fell into: result, manifest, picture."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from astrotui.catalog.models import Frame
from astrotui.config import load_settings, places
from astrotui.errors import PlanError
from astrotui.jobs.pictures import write_picture
from astrotui.stacking.plan import StackPlan, load_plan

if TYPE_CHECKING:
    from astrotui.jobs.work import Work
    from astrotui.stacking.islands import Island
    from astrotui.stacking.result import StackResult


def processors(asked: int) -> int:
    """Threads to use: what was asked for, what the settings say, or all."""
    import os

    return asked or load_settings().workers or len(os.sched_getaffinity(0))


def stack_all(work: "Work", plan: StackPlan) -> None:
    """Stack a plan, then the islands that its frames fell into, each into a file of its own."""
    main = _stack(work, plan)
    for number, known in enumerate(work.result.get("islands", ()), 2):
        island = load_plan(Path(known["plan"]))
        if island.digest() != known["digest"]:
            raise PlanError(f"{known['plan']}: this plan of an island was changed since it was written")
        _stack(work, island, main)
        work.finished_stage(f"island {number}")


def _stack(work: "Work", plan: StackPlan, island_of: int | None = None) -> int:
    """Run one plan and record its result; returns its id."""
    from astrotui.jobs.executors import executor
    from astrotui.library.solved import carried_wcs
    from astrotui.library.stacks import StackNames, plan_in_header, record_stack
    from astrotui.stacking.engine import run_plan
    from astrotui.stacking.manifest import manifest_digest, read_result, write_manifest

    output, manifest = Path(plan.output), Path(plan.manifest)
    for path in (output, manifest):
        work.note_part(path)
    if output.exists() and _is_result_of(manifest, plan.digest()):
        # A worker died between writing the result and recording it; the manifest has all that is to be recorded.
        result = read_result(manifest)
    else:
        if (
            work.attempt > 1
            and not manifest.exists()
            and (plan_in_header(output) or "-") == plan.content_digest()[:32]
        ):
            output.unlink()  # a worker died before the manifest: this job's own result, which comes out the same again
        with executor(cluster=work.cluster) if work.cluster else nullcontext() as cluster:
            result = run_plan(
                plan, masters=places().masters, tag=work.tag, workers=processors(int(work.payload.get("workers") or 0)),
                progress=work.progress, executor=cluster,
            )  # fmt: skip
        if island_of is None:
            result = _with_islands(work, plan, result)
        write_manifest(plan, result, manifest, work.tag)
    # Recorded before its picture is made: a result that stands is never unknown to the catalogue.
    names = StackNames(output, manifest, manifest_digest(manifest), None, plan.content_digest())
    more = {
        "wcs": carried_wcs(work.catalog, output, (result.width, result.height), plan.base.frame_id),
        "island_of": island_of,
    }
    record = (plan.name, plan.sessions, result, more)
    stack_id = record_stack(work.catalog, work.job_id, names, *record)
    if island_of is None:
        work.set_result({**work.result, "stack": stack_id, "output": str(output)})
        work.finished_stage("stacking")
    work.progress("preview", 0, 1)
    preview, said = write_picture(output, work.tag, work)
    work.progress("preview", 1, 1)
    if said:
        work.log.warning("%s", said)
    if preview is not None:
        record_stack(work.catalog, work.job_id, replace(names, preview=preview), *record)
    return stack_id


def _is_result_of(manifest: Path, digest: str) -> bool:
    try:
        return load_plan(manifest).digest() == digest
    except PlanError:
        return False


def _with_islands(work: "Work", plan: StackPlan, result: "StackResult") -> "StackResult":
    """Plan the other islands and tie their plans to the job; the result with words that say where they will be."""
    from astrotui.stacking.islands import left_alone, names_beside, stands_alone, told_of

    if len(result.islands) < 2 or not stands_alone(plan):
        return result
    others = result.islands[1:]
    outputs = list(islice(names_beside(Path(plan.output)), len(others)))
    known = []
    for island, output in zip(others, outputs, strict=True):
        path, digest = _plan_of(work, plan, island, output).save(work.catalog.path.parent / "plans")
        known.append({"plan": str(path.absolute()), "digest": digest})
    work.set_result({**work.result, "islands": known})
    alone = left_alone(plan, result.islands)
    return replace(
        result,
        warnings=tuple(text for text in result.warnings if text != alone),
        notes=(told_of(result.islands, outputs), *result.notes),
    )


def _plan_of(work: "Work", plan: StackPlan, island: "Island", output: Path) -> StackPlan:
    """The plan of an island, with the coordinates of its own reference and what is there already."""
    from astrotui.frames.solver import LIMIT_S
    from astrotui.frames.wcs import celestial_cards
    from astrotui.library.reuse import with_reused
    from astrotui.library.solved import solve_plan, stored_wcs
    from astrotui.stacking.bands import choose_band_rows
    from astrotui.stacking.islands import island_plan

    base = plan.frames[island.reference]
    with work.catalog.read() as db:
        content = db.scalar(select(Frame.content_id).where(Frame.id == base.frame_id))
    wcs = stored_wcs(work.catalog, content) or celestial_cards(Path(base.file.path), base.file.hdu)
    made = island_plan(plan, island, output, wcs)
    if load_settings().solve and not made.wcs:
        work.progress("solving", 0, 1)
        made = solve_plan(work.catalog, made, places().cache / "solving", limit_s=LIMIT_S)
    present = {path.name for path in places().masters.glob("*.fits")}
    made = with_reused(work.catalog, made, since=datetime.now(UTC), masters=places().masters, present=present)
    threads = processors(int(work.payload.get("workers") or 0))
    return replace(made, band_rows=choose_band_rows(made, plan.memory_bytes, threads))
