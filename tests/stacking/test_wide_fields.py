"""A camera on a tripod: the field turns about the pole through a lens that bends lines, and all frames are used."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_sets import read_result
from wide_sets import camera, centroid, expose_to, lone, plan_of

from astrotui.imaging.mapping import Mapping
from astrotui.imaging.register import Registration
from astrotui.imaging.types import StarList
from astrotui.stacking.engine import run_plan
from astrotui.stacking.plan import InputFile, PlanFrame, StackPlan
from astrotui.stacking.recipe import Recipe
from astrotui.stacking.together import Sights, lay_together, stars_ask_for_more
from sample_sessions import sky as sim

WIDTH, HEIGHT, FOCAL = 420, 320, 420.0
LENS = sim.Lens(WIDTH, HEIGHT, -0.018, 0.002)


def listed(
    sky: sim.Sky, to_frame: np.ndarray, lens: sim.Lens | None, index: int, noise_px: float = 0.06
) -> PlanFrame:
    """A frame as its star list alone tells it."""
    rng = np.random.default_rng([3, index])
    x, y = sim.apply(to_frame, sky.x, sky.y)
    if lens is not None:
        x, y = lens.bend(x, y)
    flux = sky.flux[1] * rng.normal(1, 0.03, len(x))
    order = np.argsort(-flux)
    inside = (x > 3) & (y > 3) & (x < WIDTH - 4) & (y < HEIGHT - 4) & (rng.random(len(x)) < 0.9)
    chosen = [i for i in order if inside[i]][:300]
    x, y = (v[chosen] + rng.normal(0, noise_px, len(chosen)) for v in (x, y))
    return PlanFrame(
        InputFile(f"frame_{index:03d}.fits", 1, 1),
        StarList(x.astype(np.float32), y.astype(np.float32), flux[chosen].astype(np.float32)),
        frame_id=index,
        width=WIDTH,
        height=HEIGHT,
        date_obs=f"2025-09-20T{20 + index // 60:02d}:{index % 60:02d}:00",
    )


def sights(frames: list[PlanFrame], reference: int, align: str = "auto") -> Sights:
    plan = StackPlan("x", tuple(frames), reference, Recipe(align=align), "o", "m", WIDTH, HEIGHT)  # type: ignore[arg-type]
    return Sights.of(plan)


def alone(frames: list[PlanFrame], reference: int) -> dict[int, Registration]:
    everyone = np.arange(len(frames[reference].stars))
    return {reference: Registration(np.eye(3), len(everyone), 0.0, everyone, everyone)}


def test_sixty_frames_of_a_drifting_field_are_laid_on_one() -> None:
    sky = sim.random_sky(5, WIDTH, HEIGHT, 1500, faint=25, bright=6000, slope=0.5, margin=500)
    turns = [sim.turned_sky(WIDTH, HEIGHT, FOCAL, 0.9 * (i - 30)) for i in range(60)]
    frames = [listed(sky, turn, LENS, i) for i, turn in enumerate(turns)]
    others = [i for i in range(60) if i != 30]
    found = lay_together(sights(frames, 30), alone(frames, 30), others, afresh=True)
    assert len(found.registrations) == 60
    assert found.lens is not None
    assert "banks 60" in found.notes[0]
    x, y = (v.ravel() for v in np.meshgrid(np.linspace(9, WIDTH - 10, 9), np.linspace(9, HEIGHT - 10, 9)))
    for index, turn in enumerate(turns):
        a, b = LENS.bend(*sim.apply(sim.inverse(turn), *LENS.straighten(x, y)))
        u, v = Mapping(found.registrations[index].transform, found.lens).to_reference(x, y)
        inside = (a > 0) & (a < WIDTH) & (b > 0) & (b < HEIGHT)
        assert inside.any()
        off = np.hypot(u - a, v - b)[inside]
        assert np.percentile(off, 90) < 0.2
        assert off.max() < 0.3  # in a corner without a star
        assert found.light[index] == pytest.approx(1.0, abs=0.02)


def test_a_lens_is_not_seen_where_there_is_none() -> None:
    """A dithered field of a telescope: a similarity leaves nothing to explain."""
    sky = sim.random_sky(6, WIDTH, HEIGHT, 500, faint=25, bright=6000, margin=80)
    rng = np.random.default_rng(4)
    turns = [sim.similarity(*rng.uniform(-25, 25, 2), 0.3 * i, 1.0, (200, 150)) for i in range(10)]
    frames = [listed(sky, turn, None, i) for i, turn in enumerate(turns)]
    found = lay_together(sights(frames, 0), alone(frames, 0), list(range(1, 10)), afresh=True)
    assert not found.bent
    assert found.lens is None
    direct = {i: replace(r) for i, r in found.registrations.items()}
    assert not stars_ask_for_more(sights(frames, 0), direct)


def test_a_model_that_was_asked_for_is_kept() -> None:
    sky = sim.random_sky(5, WIDTH, HEIGHT, 1500, faint=25, bright=6000, slope=0.5, margin=500)
    frames = [listed(sky, sim.turned_sky(WIDTH, HEIGHT, FOCAL, 1.5 * (i - 8)), LENS, i) for i in range(16)]
    for align, bottom in (("similarity", 0.0), ("affine", 0.0), ("homography", None)):
        found = lay_together(
            sights(frames, 8, align), alone(frames, 8), [i for i in range(16) if i != 8], afresh=False
        )
        assert found.lens is None
        assert len(found.registrations) > 8
        matrix = found.registrations[10].transform
        assert bottom is None or matrix[2, 0] == pytest.approx(bottom, abs=1e-12)
        if align == "similarity":
            assert matrix[0, 0] == pytest.approx(matrix[1, 1])


def test_stars_of_a_tripod_stack_lie_where_they_are(tmp_path: Path) -> None:
    sky = sim.random_sky(5, WIDTH, HEIGHT, 1500, faint=25, bright=6000, slope=0.5, margin=420, separation=10)
    cam = camera(WIDTH, HEIGHT)
    frames = [
        expose_to(
            tmp_path / f"w{i:02d}.fits",
            sky,
            cam,
            i,
            to_frame=sim.turned_sky(WIDTH, HEIGHT, FOCAL, 2.7 * (i - 7)),
            lens=LENS,
        )
        for i in range(15)
    ]
    result = run_plan(plan_of(frames, tmp_path / "s.fits", 7), masters=tmp_path / "m", tag="t", workers=1)
    assert result.frames_used == 15
    assert any("lie on one reference with all their stars; in" in note for note in result.notes)
    assert any("the lens bends lines by -1." in note for note in result.notes)
    assert all(row.lens is not None for row in result.frames)
    data, maps = read_result(result.output)
    x, y = LENS.bend(sky.x, sky.y)
    off = []
    for i in lone(sky, x, y, 100.0):
        if (
            12 < x[i] < WIDTH - 13
            and 12 < y[i] < HEIGHT - 13
            and maps["COVERAGE"][round(y[i]), round(x[i])] > 6
        ):
            a, b = centroid(data[0], x[i], y[i])
            off.append(np.hypot(a - x[i], b - y[i]))
    assert len(off) > 15
    assert max(off) < 0.2
    assert result.fwhm_px is not None
    assert result.fwhm_px < sim.recorded_fwhm(2.6) + 0.15


@pytest.mark.parametrize(
    ("cfa", "scale", "pixfrac"), [(None, 1.5, 0.8), ("RGGB", 1.0, 1.0)], ids=("mono", "mosaic")
)
def test_a_drizzle_goes_through_the_lens(
    tmp_path: Path, cfa: str | None, scale: float, pixfrac: float
) -> None:
    """Places, light and width of stars against truth, and against plain resampling of the same frames."""
    sky = sim.random_sky(5, WIDTH, HEIGHT, 1500, faint=25, bright=6000, slope=0.5, margin=420, separation=10)
    cam = replace(camera(WIDTH, HEIGHT), cfa=cfa)
    turns = [sim.turned_sky(WIDTH, HEIGHT, FOCAL, 2.7 * (i - 9) + 0.37 * (i % 4)) for i in range(18)]
    frames = [
        replace(expose_to(tmp_path / f"w{i:02d}.fits", sky, cam, i, to_frame=turn, lens=LENS), cfa=cfa)
        for i, turn in enumerate(turns)
    ]
    plans = {
        name: plan_of(frames, tmp_path / f"{name}.fits", 9, **recipe, cfa=cfa)
        for name, recipe in (("plain", {}), ("fine", {"drizzle": scale, "pixfrac": pixfrac}))
    }
    results = {
        name: run_plan(plan, masters=tmp_path / "m", tag="t", workers=2) for name, plan in plans.items()
    }
    plain, fine = results["plain"], results["fine"]
    assert fine.frames_used == plain.frames_used == 18
    assert sum(row.lens is not None for row in fine.frames) == 18
    k = 1 if cfa else 0
    bare, (data, maps) = read_result(plain.output)[0][k], read_result(fine.output)
    x, y = LENS.bend(*sim.apply(turns[9], sky.x, sky.y))
    off, light = [], []
    for i in lone(sky, x, y, 200.0):
        if not (16 < x[i] < WIDTH - 17 and 16 < y[i] < HEIGHT - 17):
            continue
        X, Y = scale * (x[i] + 0.5) - 0.5, scale * (y[i] + 0.5) - 0.5
        if maps["COVERAGE"][round(Y), round(X)] < 6:
            continue
        a, b = centroid(data[k], X, Y, reach=round(5 * scale))
        off.append(np.hypot(a - X, b - Y) / scale)
        sums = [
            aperture(image, u, v, s) for image, u, v, s in ((data[k], X, Y, scale), (bare, x[i], y[i], 1.0))
        ]
        light.append(sums[0] / sums[1])
    assert len(off) > 12
    assert max(off) < 0.25
    assert np.median(light) == pytest.approx(1, abs=0.01)
    assert np.std(light) < 0.03
    # a drop and an output pixel are squares: they spread a star by side^2 / 12 each
    drawn = np.sqrt(sim.recorded_fwhm(2.6) ** 2 + 2.3548**2 * (pixfrac**2 + scale**-2) / 12)
    assert fine.fwhm_px is not None and fine.fwhm_px / scale == pytest.approx(
        drawn, rel=0.03 if cfa is None else 0.06
    )


def aperture(image: np.ndarray, x: float, y: float, scale: float) -> float:
    """Light within 5 pixels of a frame of a star, in ADU of a frame."""
    r = round(9 * scale)
    ix, iy = round(x), round(y)
    box = image[iy - r : iy + r + 1, ix - r : ix + r + 1].astype(float)
    v, u = np.mgrid[-r : r + 1, -r : r + 1]
    away = np.hypot(u - (x - ix), v - (y - iy)) / scale
    box = box - np.nanmedian(box[away > 6.5])
    return float(np.nansum(box * np.clip((5 - away) * scale + 0.5, 0, 1)) / scale**2)
