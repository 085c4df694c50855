"""A comet of known motion: sharp and in its place in the stack that follows it, gone from the stack of the stars."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_sets import read_result
from wide_sets import EXPOSURE_S, camera, expose_to, plan_of

from astrotui.errors import PlanError, UsageError
from astrotui.stacking.comet_places import check_frames, parse_places
from astrotui.stacking.engine import run_plan
from astrotui.stacking.plan import PlanFrame
from astrotui.stacking.recipe import Recipe
from sample_sessions import sky as sim

WIDTH, HEIGHT, FRAMES = 360, 280, 20
START, SPEED = (120.0, 190.0), (3.1, -2.2)  # px, and px a frame
FWHM, FLUX = 5.0, 3000.0  # electrons a second


def comet_at(index: int) -> tuple[float, float]:
    """In the sky's pixels, at the middle of exposure `index`."""
    return START[0] + SPEED[0] * index, START[1] + SPEED[1] * index


def turn(index: int) -> np.ndarray:
    rng = np.random.default_rng([9, index])
    dx, dy = rng.uniform(-7, 7, 2) if index else (0.0, 0.0)
    return sim.similarity(dx, dy, 0.15 * index, 1.0, (WIDTH / 2, HEIGHT / 2))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[PlanFrame]:
    folder = tmp_path_factory.mktemp("comet")
    stars = sim.random_sky(21, WIDTH, HEIGHT, 110, faint=60, bright=5000, slope=0.5, margin=30, separation=16)
    cam, found = camera(WIDTH, HEIGHT), []
    for i in range(FRAMES):
        x, y = comet_at(i)

        def glow(u: np.ndarray, v: np.ndarray, x: float = x, y: float = y) -> np.ndarray:
            sigma2 = (FWHM * sim.SIGMA_OF_FWHM) ** 2
            light = FLUX / (2 * np.pi * sigma2) * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * sigma2))
            return np.broadcast_to(light, (3, *u.shape)).astype(np.float32)

        found.append(
            expose_to(
                folder / f"c{i:02d}.fits",
                replace(stars, glow=glow),
                cam,
                i,
                to_frame=turn(i),
                minutes=2.0,
                transparency=(1.0, 0.85)[i % 2],
            )
        )
    return found


def marks(first: int = 1, last: int = FRAMES - 2) -> tuple[tuple[float, float, int], ...]:
    """The comet in two frames as somebody would mark it: to the pixel."""
    found = []
    for i in (first, last):
        x, y = sim.apply(turn(i), *comet_at(i))
        found.append((float(round(float(x))), float(round(float(y))), 1000 + i))
    return tuple(found)


def fitted(image: np.ndarray, x: float, y: float) -> tuple[float, float, float, float]:
    """Place, FWHM and light of a round Gaussian near (x, y)."""
    from scipy.optimize import least_squares

    ix, iy = round(x), round(y)
    box = image[iy - 11 : iy + 12, ix - 11 : ix + 12].astype(float)
    v, u = np.mgrid[-11:12, -11:12]

    def off(p: np.ndarray) -> np.ndarray:
        return (p[0] * np.exp(-((u - p[1]) ** 2 + (v - p[2]) ** 2) / (2 * p[3] ** 2)) + p[4] - box).ravel()

    p = least_squares(
        off, [box.max() - np.median(box), 0, 0, 2, np.median(box)], loss="soft_l1", f_scale=20
    ).x
    return ix + p[1], iy + p[2], abs(p[3]) / sim.SIGMA_OF_FWHM, 2 * np.pi * p[0] * p[3] ** 2


def test_a_comet_is_sharp_in_its_place_and_as_bright(frames: list[PlanFrame], tmp_path: Path) -> None:
    plan = plan_of(frames, tmp_path / "c.fits", 0, align="comet", comet=marks())
    result = run_plan(plan, masters=tmp_path / "m", tag="t", workers=1)
    assert result.frames_used == FRAMES and result.fwhm_px is None  # what stars there are are trails
    assert any("follows a comet that moves 114." in note for note in result.notes)  # 3.8 px in two minutes
    data, _ = read_result(result.output)
    x, y, fwhm, light = fitted(data[0], *START)
    assert np.hypot(x - START[0], y - START[1]) < 0.3
    assert fwhm < FWHM + 0.35  # seeing is in FWHM; a pixel adds 0.1, resampling as much
    assert light == pytest.approx(FLUX * EXPOSURE_S, rel=0.04)


def test_a_mark_may_miss_by_some_pixels_and_one_that_finds_nothing_is_told(
    frames: list[PlanFrame], tmp_path: Path
) -> None:
    (x, y, first), late = marks()
    plan = plan_of(frames, tmp_path / "c.fits", 0, align="comet", comet=((x - 5.0, y + 7.0, first), late))
    result = run_plan(plan, masters=tmp_path / "m", tag="t", workers=1)
    data, _ = read_result(result.output)
    assert fitted(data[0], *START)[2] < FWHM + 0.35 and not any("--comet" in text for text in result.warnings)
    stars = frames[first - 1000].stars
    free = [
        (np.hypot(stars.x - u, stars.y - v).min(), u, v)
        for u in range(40, 320, 10)
        for v in range(40, 240, 10)
    ]
    _, x, y = max(free)  # empty sky
    plan = plan_of(frames, tmp_path / "d.fits", 0, align="comet", comet=((x, y, first), late))
    [told] = [
        w for w in run_plan(plan, masters=tmp_path / "m", tag="t", workers=1).warnings if "--comet" in w
    ]
    assert f"@{first}: nothing stands out within 10 px of it" in told


def test_stars_of_a_comets_stack_are_gone(frames: list[PlanFrame], tmp_path: Path) -> None:
    plan = plan_of(frames, tmp_path / "c.fits", 0, align="comet", comet=marks())
    data, _ = read_result(run_plan(plan, masters=tmp_path / "m", tag="t", workers=1).output)
    stars, _ = read_result(
        run_plan(plan_of(frames, tmp_path / "s.fits", 0), masters=tmp_path / "m", tag="t", workers=1).output
    )
    away = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH][::-1] - np.array(START)[:, None, None])) > 25
    sky, noise = np.median(stars[0]), 1.4826 * np.median(np.abs(data[0] - np.median(data[0])))
    bright = (stars[0] - sky > 200) & away
    bright[:30], bright[-30:], bright[:, :30], bright[:, -30:] = False, False, False, False
    assert bright.sum() > 100
    left = np.median(data[0][bright]) - np.median(data[0])
    assert left < 0.05 * np.median(stars[0][bright] - sky) + 2 * noise


def test_the_comet_is_gone_from_the_stack_of_the_stars(frames: list[PlanFrame], tmp_path: Path) -> None:
    stars, _ = read_result(
        run_plan(plan_of(frames, tmp_path / "s.fits", 0), masters=tmp_path / "m", tag="t", workers=1).output
    )
    path = np.array([comet_at(i) for i in np.linspace(0, FRAMES - 1, 60)])
    values = [stars[0][round(y), round(x)] for x, y in path]
    peak = FLUX * EXPOSURE_S / (2 * np.pi * (FWHM * sim.SIGMA_OF_FWHM) ** 2)
    assert np.median(values) - np.median(stars[0]) < 0.03 * peak


def test_places_are_read_and_refused() -> None:
    assert parse_places(["812,430.5@1043", "845,401@1070"]) == ((812.0, 430.5, 1043), (845.0, 401.0, 1070))
    for bad in ("812,430", "812@5", "a,b@5", "1,2@x", ""):
        with pytest.raises(UsageError, match="write X,Y@FRAME"):
            parse_places([bad])
    with pytest.raises(UsageError, match="two frames, not in 0"):
        Recipe(align="comet")
    with pytest.raises(UsageError, match="two frames, not in 1"):
        Recipe(align="comet", comet=((1.0, 2.0, 3),))
    with pytest.raises(UsageError, match="both --comet places are in frame 3"):
        Recipe(align="comet", comet=((1.0, 2.0, 3), (4.0, 5.0, 3)))
    with pytest.raises(UsageError, match="for --align comet"):
        Recipe(comet=((1.0, 2.0, 3), (4.0, 5.0, 6)))
    two = ((1.0, 2.0, 3), (4.0, 50.0, 6))
    check_frames(two, {3: (100, 80), 6: (100, 80)})
    with pytest.raises(UsageError, match="4,50@6: that frame is not among"):
        check_frames(two, {3: (100, 80)})
    with pytest.raises(UsageError, match="outside of the frame, which has 100x40"):
        check_frames(two, {3: (100, 80), 6: (100, 40)})
    recipe = Recipe(align="comet", comet=two)
    assert Recipe.from_dict({"align": "comet", "comet": [[1, 2, 3], [4, 50, 6]]}) == recipe


def test_a_marked_frame_must_be_usable_and_tell_its_time(frames: list[PlanFrame], tmp_path: Path) -> None:
    def run(changed: dict[int, PlanFrame]) -> None:
        some = [changed.get(i, f) for i, f in enumerate(frames)][:6]
        plan = plan_of(some, tmp_path / "c.fits", 0, align="comet", comet=marks(1, 4))
        run_plan(plan, masters=tmp_path / "m", tag="t", workers=1)

    with pytest.raises(PlanError, match="@1004: that frame does not tell when it was taken"):
        run({4: replace(frames[4], date_obs=None)})
    with pytest.raises(PlanError, match="taken at one time"):
        run({4: replace(frames[4], date_obs=frames[1].date_obs)})
    missing = replace(frames[4], file=replace(frames[4].file, size=1))
    with pytest.raises(PlanError, match="@1004: that frame cannot be used"):
        run({4: missing})
