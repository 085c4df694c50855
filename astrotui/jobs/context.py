"""What a handler is given: its job, its catalogue, and the ways to report.

Facts that a next attempt relies on (finished stages, the plan, unfinished files, results) are written to the
catalogue before the call returns, and only while the job is still this worker's. Progress is cheap: it goes
through a pipe to the supervisor, at most ten times a second.
"""

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrotui.errors import AstrotuiError, JobError
from astrotui.jobs import leases
from astrotui.jobs.leases import WorkOrder
from astrotui.jobs.owner import Owner
from astrotui.jobs.transitions import is_part_of

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog
    from astrotui.stacking.plan import StackPlan

REPORT_S = 0.1


class LeaseLostError(AstrotuiError):
    """The job is another worker's now; nothing more may be written for it."""


class Messages:
    """Lines of JSON to the supervisor."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def send(self, **message: Any) -> None:
        """Write one message; without a supervisor it is dropped."""
        if self._descriptor is None:
            return
        rest = memoryview(json.dumps(message).encode() + b"\n")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


class Work:
    """One attempt at one job, for its handler.

    Attributes
    ----------
    catalog : the open catalogue
    job_id, kind, payload, attempt : which job, what it was asked to do, how often it was begun
    tag : goes into the names of unfinished files, `.NAME.<tag>.part`
    cluster : address of a Dask scheduler, or None
    log : where to say what people may want to read later
    """

    def __init__(
        self,
        catalog: "Catalog",
        order: WorkOrder,
        owner: Owner,
        messages: Messages,
        *,
        cluster: str | None = None,
    ) -> None:
        self.catalog = catalog
        self.job_id = order.id
        self.kind = order.kind
        self.title = order.title
        self.payload = order.payload
        self.attempt = order.attempt
        self.tag = str(order.id)
        self.cluster = cluster
        self.log = logging.getLogger("astrotui.jobs")
        self._owner = owner
        self._messages = messages
        self._stages = dict(order.stages)
        self._plan = (order.plan_path, order.plan_digest)
        self._result = dict(order.result)
        self._shown = ("", -1.0)
        self._since = time.monotonic()

    @property
    def stages_done(self) -> frozenset[str]:
        """Stages that this or an earlier attempt finished."""
        return frozenset(self._stages)

    @property
    def plan_path(self) -> Path | None:
        """The file of the plan that this or an earlier attempt set."""
        return None if self._plan[0] is None else Path(self._plan[0])

    @property
    def plan_digest(self) -> str | None:
        """The digest that came with the plan."""
        return self._plan[1]

    @property
    def stage_seconds(self) -> dict[str, float]:
        """How long each finished stage took, in the attempt that finished it."""
        return dict(self._stages)

    @property
    def result(self) -> dict[str, Any]:
        """What `set_result` kept, in this attempt or an earlier one."""
        return dict(self._result)

    def expect(self, shares: Mapping[str, float]) -> None:
        """Announce the stages in their order, each with its share of the time in any unit.

        The estimate of the end needs it; without, the shares of the last such job that was done are used.
        """
        self._messages.send(type="expect", shares={name: float(share) for name, share in shares.items()})

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say how far a stage is; may be called as often as one likes."""
        at = time.monotonic()
        name, shown = self._shown
        if stage == name and done != total and at - shown < REPORT_S:
            return
        self._shown = (stage, at)
        self._messages.send(type="progress", stage=stage, done=int(done), total=int(total))

    def finished_stage(self, name: str) -> None:
        """Keep a stage as finished: a later attempt finds it in `stages_done` and need not repeat it."""
        at = time.monotonic()
        seconds = at - self._since
        self._since = at
        self._check(leases.finish_stage(self.catalog, self.job_id, self._owner, name, seconds))
        self._stages[name] = round(seconds, 3)
        self._messages.send(type="stage", name=name, seconds=seconds)

    def note_part(self, path: Path) -> Path:
        """Announce the unfinished file of the result `path` before it is created; returns where it is.

        It is `.NAME.<tag>.part` beside the result, and it is removed should this attempt end early.
        """
        part = path.absolute()
        if not is_part_of(part, self.job_id):
            part = part.with_name(f".{path.name}.{self.tag}.part")
        self._check(leases.note_part(self.catalog, self.job_id, self._owner, part))
        return part

    def set_plan(self, path: Path, digest: str) -> None:
        """Tie the job to its plan; every later attempt runs the same."""
        self._check(leases.set_plan(self.catalog, self.job_id, self._owner, path.absolute(), digest))
        self._plan = (str(path.absolute()), digest)

    def plan(self) -> "StackPlan | None":
        """The plan that this or an earlier attempt set, None before.

        Raises `PlanError` when its file is gone, and `JobError` when it is not what it was.
        """
        from astrotui.stacking.plan import load_plan

        path, digest = self._plan
        if path is None:
            return None
        plan = load_plan(Path(path))
        if digest is not None and plan.digest() != digest:
            raise JobError(f"{path}: this plan was changed after job {self.job_id} was given it")
        return plan

    def set_result(self, values: Mapping[str, Any]) -> None:
        """Keep what the job gave (JSON-ready); a later attempt finds it in `result`."""
        self._check(leases.set_result(self.catalog, self.job_id, self._owner, dict(values)))
        self._result = dict(values)

    def ensure_owned(self) -> None:
        """Raise `LeaseLostError` unless the job is still this worker's; ask before a result gets its name."""
        answer = leases.look(self.catalog, self.job_id, self._owner)
        self._check(not answer.lost)

    def _check(self, held: bool) -> None:
        if not held:
            raise LeaseLostError(f"job {self.job_id} is no longer this worker's")
