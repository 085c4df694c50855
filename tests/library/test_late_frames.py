"""Frames that came after a stack: what was found for it is used again, and only the combination runs anew."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from several_nights import NightSpec, make_sky, read_in, write_nights

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Stack
from astrotui.frames.pixels import read_image
from astrotui.library.lights import load_lights
from astrotui.library.masters_for import masters_of
from astrotui.library.planning import make_plan
from astrotui.library.reference import choose_reference
from astrotui.library.requests import request_stack
from astrotui.library.reuse import rerun, with_reused
from astrotui.library.stacks import StackNames, list_stacks, record_stack
from astrotui.stacking import masters, placing
from astrotui.stacking.engine import run_plan
from astrotui.stacking.manifest import manifest_digest, write_manifest
from astrotui.stacking.masters import ensure_master
from astrotui.stacking.plan import StackPlan, load_plan
from astrotui.stacking.result import StackResult

FIRST = NightSpec("first", lights=4)
LATER = replace(FIRST, name="later", turn=181.0, date="2025-06-09", lights=3)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often stars were matched and masters made."""
    counted: Counter[str] = Counter()

    def count(where: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(where, name)

        def counting(*words: Any, **options: Any) -> Any:
            counted[name] += 1
            return real(*words, **options)

        monkeypatch.setattr(where, name, counting)

    count(placing, "match_either_hand")
    count(masters, "make_master")
    return counted


def stack(catalog: Catalog, folder: Path, name: str, ids: list[int]) -> tuple[StackPlan, StackResult]:
    """What the work process does for a stack."""
    output, cache = folder / f"{name}.fits", folder / "masters"
    begun, present = datetime.now(UTC), {path.name for path in cache.glob("*.fits")}
    plan = make_plan(catalog, request_stack(catalog, ids, output=output, folder=folder), output)
    for spec in masters_of(plan.calibrations):
        ensure_master(spec, cache)
    plan = with_reused(catalog, plan, since=begun, masters=cache, present=present)
    result = run_plan(plan, masters=cache, tag="test", workers=2)
    write_manifest(plan, result, Path(plan.manifest), "test")
    names = StackNames(output, Path(plan.manifest), manifest_digest(Path(plan.manifest)), None)
    record_stack(catalog, None, names, plan.name, plan.sessions, result)
    return plan, result


def test_a_night_that_came_late(catalog: Catalog, tmp_path: Path, calls: Counter[str]) -> None:
    sky = make_sky()
    made = write_nights(tmp_path / "target", sky, FIRST)
    ids = read_in(catalog, made)
    first, alone = stack(catalog, tmp_path, "first", [ids["first"]])
    assert alone.reused == {"measurements": 4, "masters": 0, "registrations": 0}
    assert calls == {"match_either_hand": 3, "make_master": 3}  # the reference needs none; dark, flat, bias

    # A better night comes: the reference stays, what is known is not found again.
    made.to_frame |= write_nights(tmp_path / "target", sky, replace(LATER, transparency=1.2)).to_frame
    calls.clear()
    ids = read_in(catalog, made, "first", "later")
    plan, both = stack(catalog, tmp_path, "both", list(ids.values()))
    assert plan.base.file.path == first.base.file.path
    assert both.reused == {"measurements": 7, "masters": 3, "registrations": 3}
    assert calls == {
        "match_either_hand": 3,
        "make_master": 3,
    }  # for the frames of the late night and its own masters
    assert both.frames_used == 7
    known = {o.path: o.transform for o in alone.frames}
    assert all(o.transform == known[o.path] for o in both.frames if o.path in known)
    assert list_stacks(catalog)[0]["reused"] == both.reused

    # The plan says it, and runs again to the same pixels although nothing is sought.
    stored = load_plan(Path(plan.manifest))
    assert stored.reused == both.reused and stored.digest() == plan.digest()
    again = replace(rerun(stored, tmp_path / "masters"), output=str(tmp_path / "again.fits"))
    assert run_plan(again, masters=tmp_path / "masters", tag="test").frames_used == 7
    np.testing.assert_array_equal(read_image(tmp_path / "again.fits"), read_image(tmp_path / "both.fits"))

    # All of it once more: nothing at all is found anew.
    calls.clear()
    _, third = stack(catalog, tmp_path, "third", list(ids.values()))
    assert third.reused == {"measurements": 7, "masters": 6, "registrations": 6} and not calls
    np.testing.assert_array_equal(read_image(tmp_path / "third.fits"), read_image(tmp_path / "both.fits"))


def test_what_was_measured_anew_is_laid_anew(catalog: Catalog, tmp_path: Path, calls: Counter[str]) -> None:
    made = write_nights(tmp_path / "target", make_sky(), replace(FIRST, calibrated=False))
    ids = read_in(catalog, made)
    plan, _ = stack(catalog, tmp_path, "first", list(ids.values()))
    other = next(frame for frame in plan.frames if frame is not plan.base)
    with catalog.write() as db:
        from astrotui.catalog.models import Measurement

        row = db.get_one(Measurement, other.frame_id)
        assert row.star_list is not None
        row.star_list = row.star_list[:-12]  # one star less
    calls.clear()
    _, result = stack(catalog, tmp_path, "second", list(ids.values()))
    assert result.reused["registrations"] == 2 and calls["match_either_hand"] == 1


def test_a_stack_of_the_smaller_island_does_not_give_its_reference_to_the_next(
    catalog: Catalog, tmp_path: Path, calls: Counter[str]
) -> None:
    made = write_nights(tmp_path / "target", make_sky(), FIRST)
    ids = list(read_in(catalog, made).values())
    _, first = stack(catalog, tmp_path, "first", ids)
    with catalog.write() as db:
        row = db.get_one(Stack, 1)
        other = sorted(path for path in made.to_frame if path != first.reference)[0]
        for number, used in ((2, 1), (3, 3)):
            skipped = [{"path": "x.fits", "reason": "no star in common (another island)"}] * 2
            summary = {**row.summary, "reference": other, "frames_skipped": skipped}
            db.add(Stack(created=row.created, tags=[], output=f"{number}.fits", sessions=ids, frames_used=used,
                         summary=summary))  # fmt: skip
            db.flush()
            request = request_stack(catalog, ids, output=tmp_path / "next.fits", folder=tmp_path)
            light, _ = choose_reference(db, load_lights(db, request.frames), replace(request, asked=""))
            # Two frames of another island against one that was used; then against three.
            assert str(light.path) == (first.reference if used == 1 else other)
