"""One round of a watch: index the folders, measure what is new, combine all that is kept, put the result in place."""

import ctypes
import dataclasses
import gc
import math
import os
from collections.abc import Set
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import select

from astrotui.catalog.models import Frame, Job, Measurement, Root
from astrotui.config import load_settings, places
from astrotui.errors import AstrotuiError, FrameError, OutputError, PlanError
from astrotui.jobs.pictures import is_own_picture, write_picture
from astrotui.jobs.watch_folder import Look
from astrotui.jobs.watch_sessions import Choice, Kind
from astrotui.stacking.plan import StackPlan
from astrotui.stacking.recipe import Recipe
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.jobs.work import Work
    from astrotui.library.requests import StackRequest
    from astrotui.stacking.result import StackResult


_POOR, _GOOD = 50.0, 80.0  # scores of a reference that is given up, and of the one that is worth it


class _InTheWayError(PlanError):
    """Somebody's file is where the result should go."""


class Rounds:
    """Makes the pictures of a watch. What a later attempt has to know is kept as the job's result.

    Attributes
    ----------
    state : the result so far: `output`, `preview`, `stack`, `round`, what the last round gave, and what the files were
        when they were written, so that no other file is ever written over
    """

    def __init__(self, work: "Work", folders: list[Path]) -> None:
        self.work = work
        self.folders = folders
        self.state: dict[str, Any] = work.result
        self._kind = Kind(work.payload.get("sessions", ()), self.state.get("kind"))
        self._choice = Choice((), ())
        self._made = False

    def keep(self, **values: Any) -> None:
        """Keep facts for people and for a later attempt."""
        self.state |= values
        self.work.set_result(self.state)

    def own_files(self) -> frozenset[str]:
        """The files that this watch writes."""
        names = (self.state.get(name) for name in ("output", "manifest", "preview"))
        return frozenset(str(name) for name in names if name)

    # --- what the loop asks for ------------------------------------------------------------------------------------

    def index(self) -> bool:
        """Tell the catalogue what is in the folders; False when they cannot be read now."""
        from astrotui.library.index import index_roots

        there = [folder for folder in self.folders if folder.is_dir()]
        if not there:
            return False
        try:
            index_roots(self.work.catalog, there, self.work.progress)
        except AstrotuiError as error:  # no frames yet, or a disk that was just taken away
            self.work.log.info("not indexed: %s", clean(error, 300))
        return True

    def frames(self, writing: Set[str]) -> frozenset[int]:
        """The lights that would be stacked now: neither rejected nor unusable, nor being written."""
        with self.work.catalog.read() as db:
            self._choice = self._kind.choose(db, self.folders)
            rows = db.execute(
                select(Frame.id, Root.path, Frame.path)
                .join(Root, Frame.root_id == Root.id)
                .where(
                    Frame.session_id.in_(self._choice.sessions),
                    Frame.frame_type == "light",
                    Frame.decision != "rejected",
                    Frame.missing.is_(False),
                    Frame.quarantine.is_(None),
                )
            ).all()
        return frozenset(i for i, root, path in rows if f"{root.rstrip('/')}/{path}" not in writing)

    def rest(self, look: Look) -> None:
        """Say how many frames are in the picture while nothing is to be done."""
        stage = "watching" if not look.absent else "waiting for the folder"
        self.work.progress(stage, int(self.state.get("frames_used", 0)), 0)
        if self._made:
            self._made = False
            _give_back_memory()

    def make(self, writing: Set[str]) -> int | None:
        """Make the picture of the frames that are kept now; None when none can be made of them."""
        for _ in range(2):  # a second time when somebody's file got in the way: then under another name
            try:
                plan = self._plan(self._request(writing))
                output = Path(plan.output)
                if _essence(plan) == self.state.get("plan") and self._is_own(output):
                    return int(self.state["frames_used"])
                result = self._run(plan)
            except _InTheWayError as error:
                self._none(error)
                continue
            except (PlanError, FrameError) as error:
                self._none(error)
                return None
            self._record(plan, result)
            self._made = True
            return result.frames_used
        return None

    def _none(self, error: PlanError | FrameError) -> None:
        """No picture can be made of these frames; the next ones may be better."""
        self.work.log.warning("no new picture: %s", clean(error, 300))
        self.keep(problem=clean(error, 300))

    # --- planning --------------------------------------------------------------------------------------------------

    def _request(self, writing: Set[str]) -> "StackRequest":
        """What a stack of these sessions would be asked for now."""
        from astrotui.library.requests import request_stack

        payload = self.work.payload
        try:
            request = request_stack(
                self.work.catalog,
                self._choice.sessions,
                folder=Path(payload["folder"]),
                recipe=Recipe.from_dict(payload["recipe"]),
                **payload["options"],
            )
        except AstrotuiError as error:
            if type(error) is not AstrotuiError:
                raise
            raise PlanError(str(error)) from error  # no frame is left just now
        if writing:
            usable = self.frames(writing)
            with self.work.catalog.read() as db:
                lights = (Frame.session_id.in_(self._choice.sessions), Frame.frame_type == "light")
                rows = db.execute(select(Frame.id, Root.path, Frame.path).join(Root).where(*lights)).all()
            flux = {i for i, root, path in rows if f"{root.rstrip('/')}/{path}" in writing} - usable
            request = dataclasses.replace(request, frames=tuple(i for i in request.frames if i not in flux))
        return dataclasses.replace(request, output=self._output(), reference=self._better_reference())

    def _better_reference(self) -> int | None:
        """The best frame so far, when the one that the picture is laid on turned out poor; None to leave it."""
        held = self.state.get("reference")
        if held is None:
            return None
        with self.work.catalog.read() as db:
            rows = db.execute(
                select(Frame.id, Root.path, Frame.path, Measurement.score)
                .join(Root, Frame.root_id == Root.id)
                .join(Measurement, Measurement.frame_id == Frame.id)
                .where(
                    Frame.session_id.in_(self._choice.sessions), Frame.frame_type == "light", Frame.decision != "rejected",
                    Frame.missing.is_(False), Frame.quarantine.is_(None), Measurement.score.is_not(None),
                )
            ).all()  # fmt: skip
        scores = {f"{root.rstrip('/')}/{path}": (score or 0.0, i) for i, root, path, score in rows}
        best, frame_id = max(scores.values(), default=(0.0, 0))
        return frame_id if best >= _GOOD and scores.get(held, (100.0, 0))[0] < _POOR else None

    def _output(self) -> str:
        """Where the result goes: the same file again as long as it is this watch's, else a free name beside it."""
        from astrotui.library.requests import free_output

        held = self.state.get("output")
        if held is None:
            return str(self.work.payload.get("output") or "")
        place = Path(held)
        if not os.path.lexists(place) or self._is_ours(place):
            return str(place)
        self.work.log.warning("%s is another file now and is left alone", clean(place, 300))
        return str(free_output(place.parent, place.stem))

    def _is_own(self, output: Path) -> bool:
        """Whether a file is the result that this watch wrote there last."""
        return self.state.get("identity") is not None and _identity(output) == self.state["identity"]

    def _is_ours(self, output: Path) -> bool:
        """Whether a file is this watch's result, of an attempt too that ended before it could note what it wrote."""
        from astrotui.library.stacks import plan_in_header

        digest = self.state.get("pending")
        return self._is_own(output) or (digest is not None and (plan_in_header(output) or "-") == digest[:32])

    def _plan(self, request: "StackRequest") -> StackPlan:
        """The plan that a stack job makes of the same request."""
        from astrotui.jobs.tasks import make_stack_plan

        return make_stack_plan(cast("Work", _AsStack(self.work, request, self._replace_plan)))

    def _replace_plan(self, path: Path, digest: str) -> None:
        """Tie the job to its newest plan, and remove the file of the one before."""
        before = self.work.plan_path
        self.work.set_plan(path, digest)
        if before is None or before == path.absolute():
            return
        with self.work.catalog.read() as db:
            others = db.scalar(
                select(Job.id).where(Job.plan_path == str(before), Job.id != self.work.job_id).limit(1)
            )
        if others is None:
            with suppress(OSError):
                before.unlink()

    # --- the picture -----------------------------------------------------------------------------------------------

    def _run(self, plan: StackPlan) -> "StackResult":
        from astrotui.jobs.executors import executor
        from astrotui.stacking.engine import run_plan

        work, output, manifest = self.work, Path(plan.output), Path(plan.manifest)
        mine = self._is_ours(output)
        for path in (output, manifest):
            work.note_part(path)
        self.keep(
            output=str(output), manifest=str(manifest), pending=plan.content_digest(),
            identity=_identity(output) if mine else None,
        )  # fmt: skip

        def progress(stage: str, done: int, total: int) -> None:
            if stage == "judging" and mine and os.path.lexists(output) and not self._is_own(output):
                raise _InTheWayError(f"{clean(output, 300)} was replaced meanwhile and is left alone")
            work.progress(stage, done, total)

        with executor(cluster=work.cluster) if work.cluster else nullcontext() as cluster:
            try:
                return run_plan(
                    plan, masters=places().masters, tag=work.tag, progress=progress, executor=cluster, overwrite=mine,
                    workers=int(work.payload["options"].get("workers") or 0) or load_settings().workers,
                )  # fmt: skip
            except OutputError as error:
                if "round" in self.state and os.path.lexists(output) and not self._is_ours(output):
                    raise _InTheWayError(str(error)) from error
                raise

    def _record(self, plan: StackPlan, result: "StackResult") -> None:
        """Write manifest and picture, and put all into the catalogue."""
        from astrotui.library.solved import carried_wcs
        from astrotui.library.stacks import StackNames, record_stack
        from astrotui.stacking.manifest import manifest_digest, write_manifest

        work, output, manifest = self.work, Path(plan.output), Path(plan.manifest)
        self.keep(
            output=str(output), manifest=str(manifest), identity=_identity(output), plan=_essence(plan),
            kind=self._kind.to_dict(), aside=list(self._choice.aside), problem="", **_facts(plan, result),
        )  # fmt: skip
        write_manifest(plan, result, manifest, work.tag)
        names = StackNames(
            output, manifest, manifest_digest(manifest), self._last_preview(), plan.content_digest()
        )
        size = (result.width, result.height)
        more = {"wcs": carried_wcs(work.catalog, output, size, plan.base.frame_id)}
        record = (plan.name, plan.sessions, result, more)
        stack = record_stack(work.catalog, work.job_id, names, *record)
        self.keep(stack=stack)
        work.progress("preview", 0, 1)
        preview, said = write_picture(output, work.tag, work)
        self.state = work.result
        if said:
            work.log.warning("%s", said)
        if preview is not None:
            names = dataclasses.replace(names, preview=preview)
            record_stack(work.catalog, work.job_id, names, *record)
        self.keep(preview=str(preview) if preview else None, round=int(self.state.get("round", 0)) + 1)
        work.finished_stage("round")  # deaths before it are forgiven

    def _last_preview(self) -> Path | None:
        held = self.state.get("preview")
        return Path(held) if held and is_own_picture(self.state, Path(held)) else None


class _AsStack:
    """The work of a watch as a stack job's, for the code that makes its plans: what it asks is what it would be asked."""

    def __init__(self, work: "Work", request: "StackRequest", set_plan: Any) -> None:
        self._work = work
        self.payload = request.to_dict()
        self.kind = "stack"
        self.set_plan = set_plan

    def plan(self) -> None:
        """Each round has a plan of its own."""

    def finished_stage(self, name: str) -> None:
        """What is finished is the round, in the end."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)


def _essence(plan: StackPlan) -> str:
    """What tells two pictures apart: the plan without what earlier rounds spare it."""
    frames = tuple(dataclasses.replace(frame, transform=None) for frame in plan.frames)
    return dataclasses.replace(plan, frames=frames, reused={}).digest()


def _identity(path: Path) -> list[int] | None:
    """What a file is known again by; None without one."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _give_back_memory() -> None:
    """Pages that a round has freed go back to the system: a watch mostly waits."""
    gc.collect()
    # Only glibc keeps them.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _facts(plan: StackPlan, result: "StackResult") -> dict[str, Any]:
    """What people are told of a round."""
    used = {row.path for row in result.frames if row.used}
    counted = [f for f in plan.frames if f.file.path in used and f.score is not None]
    effective = sum((f.score or 0.0) / 100 for f in counted)
    return {
        "reference": result.reference,
        "frames_used": result.frames_used,
        "frames_skipped": len(result.frames_skipped),
        "integration_s": result.integration_s,
        "effective_integration_s": sum((f.exposure_s or 0.0) * (f.score or 0.0) / 100 for f in counted),
        "depth_mag": 1.25 * math.log10(effective) if effective > 0 else None,
        "fwhm_px": result.fwhm_px,
        "noise_adu": result.noise_adu,
        "seconds": result.seconds,
    }
