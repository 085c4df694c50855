"""Every model of --align on fields of twenty stars whose places are known, and what cannot be laid is said in a line."""

from typing import Any

import numpy as np
import pytest
from test_wide_fields import HEIGHT, WIDTH, listed

from astrotui.imaging.mapping import Mapping
from astrotui.stacking.placement import Placement
from astrotui.stacking.placing import register_frames
from astrotui.stacking.plan import PlanFrame, StackPlan
from astrotui.stacking.recipe import Recipe
from sample_sessions import sky as sim

MIDDLE = (WIDTH / 2, HEIGHT / 2)
SHEAR = np.array([[1.0, 0.012, 0], [-0.003, 1.006, 0], [0, 0, 1]])
TILT = np.array([[1, 0, 0], [0, 1, 0], [4e-5, -3e-5, 1.0]])
TRUE: dict[str, list[np.ndarray]] = {
    "none": [np.eye(3)] * 4,
    "shift": [sim.similarity(5.0 * i, -3.3 * i) for i in range(4)],
    "similarity": [sim.similarity(4.0 * i, 2.0 * i, 3.0 * i, 1 + 0.002 * i, MIDDLE) for i in range(4)],
    "affine": [sim.similarity(4.0 * i, 2.0 * i, 2.0 * i, 1.0, MIDDLE) @ (SHEAR if i else np.eye(3)) for i in range(4)],
    "homography": [sim.similarity(4.0 * i, 2.0 * i, 2.0 * i, 1.0, MIDDLE) @ (TILT if i else np.eye(3)) for i in range(4)],
}  # fmt: skip
TRUE["auto"] = TRUE["comet"] = TRUE["similarity"]


def placed(frames: list[PlanFrame], align: str, **recipe: Any) -> tuple[Placement, dict[int, str]]:
    plan = StackPlan(
        "x", tuple(frames), 0, Recipe(align=align, **recipe), "o", "m", WIDTH, HEIGHT  # type: ignore[arg-type]
    )  # fmt: skip
    skipped: dict[int, str] = {}
    samples: list[Any] = [(i, None) for i in range(len(frames))]
    return register_frames(plan, samples, skipped.__setitem__), skipped


@pytest.mark.parametrize("align", TRUE)
def test_twenty_stars_tell_where_frames_lie(align: str) -> None:
    sky = sim.random_sky(31, WIDTH, HEIGHT, 25, faint=60, bright=4000, slope=0.5, margin=-20, separation=30)
    frames = [listed(sky, matrix, None, i, noise_px=0.04) for i, matrix in enumerate(TRUE[align])]
    assert all(15 <= len(frame.stars) <= 25 for frame in frames)
    marks = {"comet": ((50.0, 60.0, 0), (52.0, 61.0, 3))} if align == "comet" else {}
    found, skipped = placed(frames, align, **marks)
    assert not skipped
    assert found.lens is None
    x, y = (v.ravel() for v in np.meshgrid(np.linspace(30, WIDTH - 31, 5), np.linspace(30, HEIGHT - 31, 5)))
    for candidate in found.candidates:
        u, v = sim.apply(sim.inverse(TRUE[align][candidate.index]), x, y)
        a, b = Mapping(candidate.registration.transform).to_reference(x, y)
        assert np.sqrt(np.mean((a - u) ** 2 + (b - v) ** 2)) < 0.15
    if align == "comet":  # it stands still where the reference's is
        moved = [Mapping(c.transform).to_reference(*(np.array([v]) for v in p)) for c, p in zip(
            (found.candidates[0], found.candidates[3]), ((50.0, 60.0), (52.0, 61.0)), strict=True
        )]  # fmt: skip
        assert np.allclose(moved[0], moved[1], atol=1e-6)


@pytest.mark.parametrize("align", ["auto", "shift", "similarity", "affine", "homography"])
def test_a_frame_of_another_sky_is_left_out_with_a_line(align: str) -> None:
    here = sim.random_sky(31, WIDTH, HEIGHT, 60, faint=60, bright=4000, slope=0.5, separation=20)
    there = sim.random_sky(32, WIDTH, HEIGHT, 60, faint=60, bright=4000, slope=0.5, separation=20)
    frames = [listed(here, sim.similarity(3.0 * i, 0.0), None, i) for i in range(3)] + [
        listed(there, np.eye(3), None, 3)
    ]
    found, skipped = placed(frames, align)
    assert [c.index for c in found.candidates] == [0, 1, 2]
    assert list(skipped) == [3]
    assert skipped[3].startswith("cannot be aligned: its ")
    assert "do not match the reference's" in skipped[3]


def test_a_model_with_too_many_unknowns_gives_way() -> None:
    sky = sim.random_sky(33, WIDTH, HEIGHT, 9, faint=200, bright=4000, slope=0.5, margin=-30, separation=40)
    frames = [
        listed(sky, sim.similarity(6.0 * i, -2.0 * i, 0.5 * i), None, i, noise_px=0.03) for i in range(3)
    ]
    found, skipped = placed(frames, "homography")
    assert not skipped
    assert all("fitted a similarity instead" in c.note for c in found.candidates[1:])
