"""Panels of a mosaic: laid on each other by their overlaps, one sky and one brightness over all of them."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from engine_sets import read_result
from wide_sets import EXPOSURE_S, camera, centroid, expose_to, lone, plan_of

from astrotui.errors import PlanError
from astrotui.stacking.engine import run_plan
from astrotui.stacking.islands import island_plan, names_beside
from astrotui.stacking.manifest import read_result as read_manifest
from astrotui.stacking.manifest import write_manifest
from astrotui.stacking.plan import PlanFrame
from astrotui.stacking.result import StackResult
from sample_sessions import sky as sim

WIDTH, HEIGHT = 360, 280
STEP = (0.82 * WIDTH, 0.82 * HEIGHT)  # panels overlap by 18 %
PANELS = [(0, 0), (1, 0), (1, 1), (0, 1), (2, 1)]  # the last has nothing in common with the first
SKIES = (6.0, 9.0, 5.0, 12.0, 7.0)
CLEAR = (1.0, 0.8, 0.9, 0.7, 1.0)


@lru_cache(maxsize=1)
def sky() -> sim.Sky:
    return sim.random_sky(
        11, 3 * WIDTH, 2 * HEIGHT, 900, faint=40, bright=5000, slope=0.5, margin=40, separation=12
    )


def panels(folder: Path, chosen: list[int], each: int = 3) -> list[PlanFrame]:
    cam, frames = camera(WIDTH, HEIGHT), []
    for panel in chosen:
        for k in range(each):
            rng = np.random.default_rng([panel, k])
            x, y = (s * p + d for s, p, d in zip(STEP, PANELS[panel], rng.uniform(-4, 4, 2), strict=True))
            frames.append(
                expose_to(
                    folder / f"p{panel}_{k}.fits",
                    sky(),
                    cam,
                    each * panel + k,
                    to_frame=sim.similarity(
                        -x, -y, 0.1 * k - 0.2 * panel, 1.0, (WIDTH / 2 + x, HEIGHT / 2 + y)
                    ),
                    sky_e_s=SKIES[panel],
                    transparency=CLEAR[panel],
                )
            )
    return frames


def place(frames: list[PlanFrame], result: StackResult) -> np.ndarray:
    """Sky to the grid of the reference, the first frame."""
    rng = np.random.default_rng([0, 0])
    x, y = rng.uniform(-4, 4, 2)
    return sim.similarity(-x, -y, 0.0, 1.0, (WIDTH / 2 + x, HEIGHT / 2 + y))


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[PlanFrame], StackResult, Path]:
    folder = tmp_path_factory.mktemp("mosaic")
    frames = panels(folder, [0, 1, 2, 3, 4])
    result = run_plan(
        plan_of(frames, folder / "s.fits", 0, frame="union"), masters=folder / "m", tag="t", workers=1
    )
    return frames, result, folder


def test_panels_lie_where_they_are(mosaic) -> None:
    frames, result, _ = mosaic
    assert result.frames_used == 15
    assert result.width > 2.5 * WIDTH
    assert result.height > 1.7 * HEIGHT
    data, maps = read_result(result.output)
    ux, uy = sim.apply(place(frames, result), sky().x, sky().y)
    corners = [
        np.array(row.transform).reshape(3, 3)
        @ [[0, WIDTH - 1, 0, WIDTH - 1], [0, 0, HEIGHT - 1, HEIGHT - 1], [1] * 4]
        for row in result.frames
    ]
    x0, y0 = (int(np.floor(min(c[k].min() for c in corners) + 1e-6)) for k in (0, 1))
    x, y = ux - x0, uy - y0
    off, light = [], []
    v, u = np.mgrid[-9:10, -9:10]
    for i in lone(sky(), x, y, 100.0, apart=20):
        column, row = round(float(x[i])), round(float(y[i]))
        if not (14 < column < result.width - 15 and 14 < row < result.height - 15):
            continue
        if maps["COVERAGE"][row - 12 : row + 13, column - 12 : column + 13].min() < 2:
            continue
        a, b = centroid(data[0], x[i], y[i])
        off.append(np.hypot(a - x[i], b - y[i]))
        box = data[0][row - 9 : row + 10, column - 9 : column + 10].astype(float)
        r = np.hypot(u - (x[i] - column), v - (y[i] - row))
        light.append((box - np.median(box[r > 7]))[r < 6].sum() / (sky().flux[1][i] * EXPOSURE_S))
    assert len(off) > 60
    assert (
        np.median(off) < 0.1
    )  # what 25 stars of an overlap tell of a panel's turn; two panels away it adds up
    assert max(off) < 0.4
    assert np.median(light) == pytest.approx(1.0, abs=0.02)
    assert np.std(light) < 0.06


def test_seams_are_within_the_noise(mosaic) -> None:
    """The sky of the panels differed by up to 70 ADU; in the mosaic it is one."""
    _, result, _ = mosaic
    data, _ = read_result(result.output)
    levels = []
    for y in range(0, result.height - 40, 40):
        for x in range(0, result.width - 40, 40):
            cell = data[0][y : y + 40, x : x + 40]
            if np.isfinite(cell).all():
                levels.append(np.median(cell))
    assert len(levels) > 60
    assert np.ptp(levels) < 5.0  # a pixel's noise is about 7, a median of 1,600 of them 0.2, faint stars some


def test_an_island_is_told_of_with_the_words_that_stack_it(tmp_path: Path) -> None:
    frames = panels(tmp_path, [0, 1, 4])  # nothing connects the last panel
    result = run_plan(
        plan_of(frames, tmp_path / "s.fits", 0, frame="union"), masters=tmp_path / "m", tag="t", workers=1
    )
    assert result.frames_used == 6
    [warning] = [w for w in result.warnings if "islands" in w]
    assert warning.startswith("2 islands without common stars: 6 frames, 3 frames")
    assert "3 frames with --reference 101" in warning
    # A plan of sessions names the whole command.
    plan = replace(plan_of(frames, tmp_path / "t.fits", 0, frame="union", weight="noise"), sessions=(4, 7))
    told = run_plan(plan, masters=tmp_path / "m", tag="t", workers=1).warnings
    command = "`astrotui stack 4 7 --weight noise --frame union --reference 101"
    assert any(f"3 frames with {command}" in warning for warning in told)
    assert {s.reason for s in result.frames_skipped} == {
        "cannot be aligned: no star in common with the reference's 6 frames (another island)"
    }


def test_an_island_is_stacked_on_its_own_reference(tmp_path: Path) -> None:
    frames = panels(tmp_path, [0, 1, 4])
    frames = [replace(frame, session_id=1 + number // 3) for number, frame in enumerate(frames)]
    plan = replace(plan_of(frames, tmp_path / "s.fits", 0, frame="union"), sessions=(1, 2, 3))
    result = run_plan(plan, masters=tmp_path / "m", tag="t", workers=1)
    assert [set(island.frames) for island in result.islands] == [set(range(6)), {6, 7, 8}]
    write_manifest(plan, result, tmp_path / "s.json", "t")
    assert read_manifest(tmp_path / "s.json").islands == result.islands
    (tmp_path / "s-2.json").write_text("somebody else's")
    output = next(names_beside(tmp_path / "s.fits"))
    assert output.name == "s-3.fits"
    own = island_plan(plan, result.islands[1], output, ())
    assert own.sessions == (3,) and own.base.file.path in {frame.file.path for frame in frames[6:]}
    found = run_plan(own, masters=tmp_path / "m", tag="t", workers=1)
    assert found.frames_used == 3 and not found.frames_skipped and not found.islands
    # It is what a stack of these frames alone is, to the bit.
    alone = plan_of(frames[6:], tmp_path / "a.fits", result.islands[1].reference - 6, frame="union")
    run_plan(alone, masters=tmp_path / "m", tag="t", workers=1)
    assert np.array_equal(read_result(output)[0], read_result(tmp_path / "a.fits")[0], equal_nan=True)


def test_what_the_reference_does_not_show_stays_out_of_its_field(tmp_path: Path) -> None:
    frames = panels(tmp_path, [0, 1, 2, 4], each=2)
    result = run_plan(plan_of(frames, tmp_path / "s.fits", 0), masters=tmp_path / "m", tag="t", workers=1)
    assert (result.width, result.height) == (WIDTH, HEIGHT)
    outside = [s for s in result.frames_skipped if "lies outside the reference's field" in s.reason]
    assert {Path(s.path).name for s in outside} == {"p4_0.fits", "p4_1.fits"}


def test_an_absurd_union_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = panels(tmp_path, [0, 1], each=1)
    monkeypatch.setattr("astrotui.stacking.framing.MAX_PIXELS", 100_000)
    with pytest.raises(
        PlanError, match=r"union of the frames is .* pixels: they do not belong to one picture"
    ):
        run_plan(
            plan_of(frames, tmp_path / "s.fits", 0, frame="union"), masters=tmp_path / "m", tag="t", workers=1
        )
    with pytest.raises(PlanError, match="memory budget"):
        run_plan(
            replace(plan_of(frames, tmp_path / "s.fits", 0), memory_bytes=1_000_000),
            masters=tmp_path / "m",
            tag="t",
            workers=1,
        )
