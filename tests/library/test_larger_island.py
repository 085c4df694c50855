"""Sessions without common stars in one stack: which of them it is made of."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Stack
from astrotui.library.planning import make_plan
from astrotui.library.requests import request_stack
from astrotui.library.reuse import with_reused
from astrotui.stacking import placing
from astrotui.stacking.engine import run_plan
from astrotui.stacking.plan import StackPlan
from astrotui.stacking.recipe import Recipe
from tests.library.several_nights import NightSpec, make_sky, read_in, write_nights

# The field here shows more stars, the one there fewer: left to the stars, the stack would be laid on a frame of here.
HERE = NightSpec("here", cfa=None, calibrated=False, vignette=0.0)
THERE = replace(HERE, name="there", seed=8)


@pytest.fixture
def catalog(tmp_path: Path) -> Any:
    with Catalog.open(tmp_path / "catalog.sqlite") as opened:
        yield opened


def fields(catalog: Catalog, folder: Path, here: int, there: int) -> dict[str, int]:
    """Two sessions of so many frames, of different fields; their ids."""
    write_nights(folder, make_sky(stars=80), replace(HERE, lights=here))
    return read_in(catalog, write_nights(folder, make_sky(seed=23, stars=50), replace(THERE, lights=there)))


def plan_of(
    catalog: Catalog, folder: Path, ids: list[int], frame: Any = "reference", **asked: Any
) -> StackPlan:
    output = next(path for n in count() if not (path := folder / f"s{n}.fits").exists())
    request = request_stack(catalog, ids, output=output, folder=folder, recipe=Recipe(frame=frame), **asked)
    return make_plan(catalog, request, output)


def home(plan: StackPlan) -> str:
    return Path(plan.base.file.path).parents[1].name


def record(catalog: Catalog, plan: StackPlan, sessions: list[int]) -> None:
    """An earlier stack on the reference of a plan."""
    summary = {"reference": plan.base.file.path}
    with catalog.write() as db:
        db.add(Stack(created=datetime.now(UTC), tags=[], output="x.fits", sessions=sessions, frames_used=9,
                     summary=summary))  # fmt: skip


def test_the_larger_island_is_stacked_and_the_other_is_named(catalog: Catalog, tmp_path: Path) -> None:
    ids = fields(catalog, tmp_path / "lib", here=3, there=5)
    both = list(ids.values())
    plan = plan_of(catalog, tmp_path, both)
    assert home(plan) == "there"
    result = run_plan(plan, masters=tmp_path / "m", tag="t", workers=1)
    assert result.frames_used == 5 and len(result.frames_skipped) == 3
    numbers = " ".join(map(str, both))
    told = next(text for text in result.warnings if "islands" in text)
    assert "5 frames, 3 frames" in told and f"`astrotui stack {numbers} --reference " in told
    # What is named is what is then stacked.
    asked = int(told.rpartition("--reference ")[2].strip("`"))
    assert home(plan_of(catalog, tmp_path, both, reference=asked)) == "here"
    assert plan_of(catalog, tmp_path, both).content_digest() == plan.content_digest()


def test_of_equal_islands_the_one_with_the_better_frame_is_stacked(catalog: Catalog, tmp_path: Path) -> None:
    ids = fields(catalog, tmp_path / "lib", here=3, there=3)
    assert home(plan_of(catalog, tmp_path, list(ids.values()))) == "here"


def test_of_a_larger_field_with_more_stars_nothing_changes(catalog: Catalog, tmp_path: Path) -> None:
    ids = fields(catalog, tmp_path / "lib", here=4, there=3)
    assert home(plan_of(catalog, tmp_path, list(ids.values()))) == "here"


def test_a_union_has_all_islands_and_needs_no_choice(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fields(catalog, tmp_path / "lib", here=3, there=4)
    monkeypatch.delattr(placing, "find_islands")
    assert home(plan_of(catalog, tmp_path, list(ids.values()), frame="union")) == "here"


def test_an_earlier_stack_of_all_keeps_its_reference_and_one_of_some_does_not(
    catalog: Catalog, tmp_path: Path
) -> None:
    ids = fields(catalog, tmp_path / "lib", here=3, there=5)
    alone = plan_of(catalog, tmp_path, [ids["here"]])
    assert home(alone) == "here"
    record(catalog, alone, [ids["here"]])
    assert home(plan_of(catalog, tmp_path, list(ids.values()))) == "there"
    record(catalog, alone, list(ids.values()))
    assert home(plan_of(catalog, tmp_path, list(ids.values()))) == "here"


def test_an_earlier_stack_of_the_larger_island_lends_its_reference(catalog: Catalog, tmp_path: Path) -> None:
    ids = fields(catalog, tmp_path / "lib", here=3, there=5)
    alone = plan_of(catalog, tmp_path, [ids["there"]])
    other = next(f for f in alone.frames if f is not alone.base)
    assert other.frame_id is not None
    record(catalog, plan_of(catalog, tmp_path, [ids["there"]], reference=other.frame_id), [ids["there"]])
    record(catalog, plan_of(catalog, tmp_path, [ids["here"]]), [ids["here"]])
    assert plan_of(catalog, tmp_path, list(ids.values())).base.file == other.file


def test_sessions_of_one_field_are_not_looked_at_twice(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = write_nights(
        tmp_path / "lib", make_sky(), replace(HERE, lights=3), replace(THERE, lights=4, date="2025-06-03")
    )
    ids = read_in(catalog, made)
    plan = plan_of(catalog, tmp_path, list(ids.values()))
    monkeypatch.delattr(placing, "find_islands")
    assert plan_of(catalog, tmp_path, list(ids.values())).digest() == plan.digest()


def test_places_in_the_larger_island_are_found_once(catalog: Catalog, tmp_path: Path) -> None:
    from astrotui.library.stacks import StackNames, record_stack
    from astrotui.stacking.manifest import manifest_digest, write_manifest

    ids = list(fields(catalog, tmp_path / "lib", here=3, there=5).values())
    plan = plan_of(catalog, tmp_path, ids)
    result = run_plan(plan, masters=tmp_path / "m", tag="t", workers=1)
    manifest = Path(plan.manifest)
    write_manifest(plan, result, manifest, "t")
    names = StackNames(Path(plan.output), manifest, manifest_digest(manifest), None, plan.content_digest())
    record_stack(catalog, None, names, plan.name, plan.sessions, result, {})
    again = plan_of(catalog, tmp_path, ids)
    reused = with_reused(catalog, again, since=datetime.now(UTC), masters=tmp_path / "m", present=())
    assert again.base.file == plan.base.file and reused.reused["registrations"] == 4
