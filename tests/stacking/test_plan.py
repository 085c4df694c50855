"""A plan survives its file unchanged, its digest names what it says, and damaged plans are refused."""

import json
import math
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astrotui.errors import AstrotuiError, FrameError, PlanError
from astrotui.imaging.types import StarList
from astrotui.stacking.plan import (
    Calibration,
    InputFile,
    MasterSpec,
    PlanFrame,
    SkippedFrame,
    StackPlan,
    load_plan,
)
from astrotui.stacking.recipe import Recipe

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
FILES = st.builds(InputFile, NAMES, st.integers(0, 2**40), st.integers(0, 2**63), st.integers(0, 9))
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
SIMPLE_SPECS = st.builds(
    MasterSpec,
    st.sampled_from(["dark", "bias", "flat", "dark-flat"]),
    st.lists(FILES, min_size=1, max_size=4).map(tuple),
    st.integers(1, 9000),
    st.integers(1, 9000),
    cfa=st.none() | st.just("GRBG"),
    ready=st.booleans(),
    full_scale_adu=NUMBERS,
)
SPECS = SIMPLE_SPECS | st.builds(replace, SIMPLE_SPECS, subtract=SIMPLE_SPECS, add_back=st.booleans())


@st.composite
def star_lists(draw: st.DrawFn) -> StarList:
    count = draw(st.integers(0, 30))
    values = (
        np.random.default_rng(draw(st.integers(0, 2**32))).normal(1e3, 1e3, (3, count)).astype(np.float32)
    )
    return StarList(*values)


FRAMES = st.builds(
    PlanFrame,
    FILES,
    star_lists(),
    calibration=st.just(0),
    frame_id=st.none() | st.integers(1, 10**6),
    exposure_s=NUMBERS,
    date_obs=st.none() | st.just("2025-03-27T05:45:00.734+00:00"),
    noise_adu=NUMBERS,
    transparency=NUMBERS,
)
PLANS = st.builds(
    StackPlan,
    NAMES,
    st.lists(FRAMES, min_size=1, max_size=5).map(tuple),
    st.just(0),
    st.builds(
        Recipe, reject=st.sampled_from(["auto", "minmax"]), low=st.none() | st.integers(0, 5).map(float)
    ),
    NAMES,
    NAMES,
    st.integers(1, 9000),
    st.integers(1, 9000),
    calibrations=st.lists(
        st.builds(Calibration, dark=st.none() | SPECS, flat=st.none() | SPECS, reasons=st.tuples(NAMES)),
        min_size=1,
        max_size=2,
    ).map(tuple),
    skipped=st.lists(st.builds(SkippedFrame, NAMES, NAMES), max_size=2).map(tuple),
    sessions=st.lists(st.integers(1, 99), max_size=3).map(tuple),
    header=st.dictionaries(NAMES, NAMES | st.integers(-9, 9) | st.booleans(), max_size=3),
    wcs=st.lists(NAMES, max_size=2).map(tuple),
    warnings=st.lists(NAMES, max_size=2).map(tuple),
)


def equal_frames(one: PlanFrame, other: PlanFrame) -> bool:
    plain = [f.name for f in fields(PlanFrame) if f.name != "stars"]
    return one.stars.to_bytes() == other.stars.to_bytes() and all(
        getattr(one, name) == getattr(other, name) for name in plain
    )


@settings(max_examples=60, deadline=None)
@given(PLANS)
def test_a_plan_comes_back_from_json_as_it_was(plan: StackPlan) -> None:
    text = json.dumps(plan.to_dict(), allow_nan=False)
    back = StackPlan.from_dict(json.loads(text))
    for field in fields(StackPlan):
        if field.name != "frames":
            assert getattr(back, field.name) == getattr(plan, field.name)
    assert all(equal_frames(a, b) for a, b in zip(plan.frames, back.frames, strict=True))
    assert back.digest() == plan.digest()


def small_plan(**changes: object) -> StackPlan:
    stars = StarList(*np.array([[10.5, 20.25], [1, 2], [300, 100]], np.float32))
    frame = PlanFrame(InputFile("/library/a.fits", 100, 5), stars, exposure_s=10.0)
    plan = StackPlan("M 51", (frame, frame), 0, Recipe(), "/out/m51.fits", "/out/m51.json", 640, 360)
    return replace(plan, **changes)


def test_the_digest_is_stable_and_names_every_choice() -> None:
    plan = small_plan()
    assert plan.digest() == small_plan().digest()
    assert plan.digest() != small_plan(recipe=Recipe(reject="sigma")).digest()
    assert plan.digest() != small_plan(band_rows=32).digest()
    moved = replace(plan.frames[0], stars=StarList(*np.array([[10.5], [1], [299]], np.float32)))
    assert plan.digest() != small_plan(frames=(moved, plan.frames[1])).digest()
    # a field of this plan must not change the names of masters in caches that people have
    spec = MasterSpec("dark", (InputFile("/d/1.fits", 10, 20),), 64, 48)
    assert spec.digest() == "1cd956c408607e9d67cf78c6604db744ca05df0a89c247d9f0df5377c168a372"
    assert spec.digest() != replace(spec, ready=True).digest()


def test_the_digest_of_the_content_is_that_of_what_the_pixels_follow_from() -> None:
    plan = small_plan()
    spared = replace(plan.frames[0], transform=(1.0, 0, 2, 0, 1, 3, 0, 0, 1), session_id=99)
    same = (
        small_plan(output="/else/where.fits", manifest="/else/where.json", name="another"),
        small_plan(band_rows=32, memory_bytes=7, reused={"masters": 3}, warnings=("few frames",)),
        small_plan(frames=(spared, *plan.frames[1:])),
        StackPlan.from_dict(json.loads(json.dumps(plan.to_dict()))),
    )
    assert {other.content_digest() for other in same} == {plan.content_digest()}
    moved = replace(plan.frames[0], stars=StarList(*np.array([[10.5], [1], [299]], np.float32)))
    other = (
        small_plan(recipe=Recipe(reject="sigma")),
        small_plan(frames=(moved, *plan.frames[1:])),
        small_plan(reference=1),
        small_plan(header={"OBJECT": "M 2"}),
        small_plan(private=False),
        small_plan(anchor=plan.frames[1]),
        small_plan(calibrations=(Calibration(dark=MasterSpec("dark", (plan.frames[0].file,), 64, 48)),)),
    )
    assert len({one.content_digest() for one in (plan, *other)}) == 1 + len(other)


def test_a_number_that_json_cannot_say_is_unknown() -> None:
    frame = replace(small_plan().frames[0], score=math.nan, noise_adu=math.inf)
    plan = small_plan(frames=(frame,))
    back = StackPlan.from_dict(json.loads(json.dumps(plan.to_dict(), allow_nan=False)))
    assert back.frames[0].score is None and back.frames[0].noise_adu is None
    assert back.digest() == plan.digest()


def test_saving_names_the_file_by_its_digest_and_leaves_no_part(tmp_path: Path) -> None:
    path, digest = small_plan().save(tmp_path / "plans")
    assert digest.startswith(path.stem.removeprefix("plan-"))
    assert load_plan(path).digest() == digest
    assert small_plan().save(tmp_path / "plans") == (path, digest)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"plan": 4}',
        '{"version": 99}',
        '{"version": 1}',
        '{"version": 1, "frames": "abc"}',
        "[" * 100_000,
    ],
)
def test_what_is_not_a_plan_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    assert "\n" not in str(caught.value)


def test_a_missing_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"nowhere\.json"):
        load_plan(tmp_path / "nowhere.json")


def damage(table: dict[str, object], path: tuple[object, ...], value: object) -> None:
    inner: object = table
    for step in path[:-1]:
        inner = inner[step]  # type: ignore[index]
    inner[path[-1]] = value  # type: ignore[index]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("reference",), 2),
        (("reference",), "first"),
        (("frames",), None),
        (("frames", 0, "stars"), "not base64!"),
        (("frames", 0, "stars"), "AAAA"),
        (("frames", 0, "file"), None),
        (("frames", 0, "file", "color"), "blue"),
        (("frames", 0, "calibration"), 7),
        (("calibrations",), [3]),
        (("recipe",), {"reject": "everything"}),
        (("recipe", "shape"), 1),
        (("skipped",), [{}]),
        (("colour",), "blue"),
    ],
)
def test_a_damaged_plan_is_refused(path: tuple[object, ...], value: object) -> None:
    table = json.loads(json.dumps(small_plan().to_dict()))
    damage(table, path, value)
    with pytest.raises(AstrotuiError):
        StackPlan.from_dict(table)


def test_a_planned_file_is_verified(tmp_path: Path) -> None:
    path = tmp_path / "raw.fits"
    path.write_bytes(b"x" * 2880)
    planned = InputFile.of(path)
    planned.verify()
    os.utime(path, ns=(0, planned.mtime_ns + 1))
    with pytest.raises(FrameError, match=r"raw\.fits: has changed"):
        planned.verify()
    path.unlink()
    with pytest.raises(FrameError, match="vanished"):
        planned.verify()


def test_plans_and_lists_of_masters_load_no_astronomy_library() -> None:
    program = (
        "import sys, astrotui.stacking.masters, astrotui.stacking.manifest, astrotui.stacking.provenance\n"
        "heavy = {'astropy', 'ccdproc', 'astroalign', 'numba', 'scipy', 'sep', 'skimage', 'sqlalchemy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
