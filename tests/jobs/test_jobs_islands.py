"""A mosaic whose job died between its islands: the next attempt makes what is missing, and nothing twice."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from astrotui.catalog.database import Catalog
from astrotui.errors import PlanError
from astrotui.jobs import queue, stacking
from astrotui.jobs.work import Work
from astrotui.library.planning import make_plan
from astrotui.library.requests import request_stack
from astrotui.library.stacks import list_stacks, stack_of_job
from astrotui.stacking.plan import StackPlan
from astrotui.stacking.recipe import Recipe
from tests.jobs.job_helpers import AttemptBase
from tests.library.several_nights import NightSpec, make_sky, read_in, write_nights

HERE = NightSpec("here", cfa=None, lights=4, calibrated=False, vignette=0.0)
THERE = replace(HERE, name="there", seed=8, lights=3)


class DiedError(Exception):
    """Stands for a worker that is killed."""


@dataclass
class Attempt(AttemptBase):
    """What a stack asks of its work, and what the catalogue keeps of it for the next attempt."""

    catalog: Catalog
    job_id: int
    stages: list[str] = field(default_factory=list)
    payload: dict[str, Any] = field(default_factory=lambda: {"workers": 1})
    cluster: str | None = None
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("test"))

    @property
    def tag(self) -> str:
        return str(self.job_id)

    def finished_stage(self, name: str) -> None:
        self.stages.append(name)


@pytest.fixture
def plan(catalog: Catalog, tmp_path: Path) -> StackPlan:
    for number, night in ((4, HERE), (23, THERE)):
        made = write_nights(tmp_path / "lib", make_sky(seed=number), night)
    ids = read_in(catalog, made)
    request = request_stack(
        catalog, list(ids.values()), output=tmp_path / "s.fits", folder=tmp_path, recipe=Recipe(frame="union")
    )
    return make_plan(catalog, request, tmp_path / "s.fits")


def run(work: Attempt, plan: StackPlan) -> None:
    stacking.stack_all(cast(Work, work), plan)


def test_the_next_attempt_makes_the_island_that_is_missing(
    catalog: Catalog, plan: StackPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = queue.enqueue(catalog, "stack", {}, title="two islands")
    first = Attempt(catalog, job_id)
    whole = stacking._stack

    def dies(work: Work, plan: StackPlan, island_of: int | None = None) -> int:
        if island_of is not None:
            raise DiedError
        return whole(work, plan, island_of)

    monkeypatch.setattr(stacking, "_stack", dies)
    with pytest.raises(DiedError):
        run(first, plan)
    monkeypatch.undo()
    written = (tmp_path / "s.fits").stat().st_mtime_ns
    assert not (tmp_path / "s-2.fits").exists() and len(list_stacks(catalog)) == 1
    second = Attempt(catalog, job_id, attempt=2, result=first.result)
    run(second, plan)
    main = stack_of_job(catalog, job_id)
    assert main is not None and (tmp_path / "s.fits").stat().st_mtime_ns == written
    assert [one["frames_used"] for one in main["islands"]] == [7 - main["frames_used"]]
    assert [Path(one["output"]).name for one in main["islands"]] == ["s-2.fits"]
    # A third one, as when the worker dies before it can say that it is done, changes nothing.
    island = (tmp_path / "s-2.fits").stat().st_mtime_ns
    run(Attempt(catalog, job_id, attempt=3, result=second.result), plan)
    assert (tmp_path / "s-2.fits").stat().st_mtime_ns == island
    assert sorted(Path(s["output"]).name for s in list_stacks(catalog)) == ["s-2.fits", "s.fits"]


def test_a_plan_of_an_island_that_was_changed_is_refused(
    catalog: Catalog, plan: StackPlan, tmp_path: Path
) -> None:
    first = Attempt(catalog, queue.enqueue(catalog, "stack", {}, title="two islands"))
    run(first, plan)
    (tmp_path / "s-2.fits").unlink()
    [known] = first.result["islands"]
    path = Path(known["plan"])
    path.write_text(path.read_text().replace('"average"', '"median"'))
    with pytest.raises(PlanError, match="was changed since"):
        run(Attempt(catalog, first.job_id, attempt=2, result=first.result), plan)
