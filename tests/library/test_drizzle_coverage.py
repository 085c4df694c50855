"""What is said of a drizzle's coverage before it begins, from the places of frames that the catalogue holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from several_nights import NightSpec, make_sky, read_in, write_nights

from astrotui.catalog.database import Catalog
from astrotui.library.drizzle_coverage import Placed, foretell, foretell_request
from astrotui.library.planning import make_plan
from astrotui.library.requests import request_stack
from astrotui.stacking.recipe import Recipe


def places(frames: int, *, cfa: str | None = "RGGB", reference: int = 1, seed: int = 1) -> list[Placed]:
    rng = np.random.default_rng(seed)
    found = []
    for i in range(frames):
        dx, dy = rng.uniform(-20, 20, 2) if i else (0.0, 0.0)
        found.append(Placed(reference + i, 400, 300, cfa, reference, dx, dy, 0.01 * i, 1.0))
    return found


def test_nothing_is_foretold_of_frames_that_are_not_measured() -> None:
    unknown = [replace(one, dx_px=None, dy_px=None) for one in places(10)]
    told = foretell(unknown, Recipe(drizzle=2.0))
    assert told.prediction is None and told.good and "once the frames are measured" in told.text
    assert foretell([*unknown[:2], *places(8)], Recipe(drizzle=2.0)).prediction is not None


def test_bad_coverage_is_told_by_channel_with_what_would_pass() -> None:
    told = foretell(places(30), Recipe(drizzle=2.0, pixfrac=0.4))
    assert not told.good and told.prediction is not None
    assert "in red" in told.text and "30 frames" in told.text and "would pass" in told.text
    assert told.prediction.pixfrac_that_passes
    better = Recipe(drizzle=2.0, pixfrac=told.prediction.pixfrac_that_passes)
    assert foretell(places(30), better).good
    assert foretell(places(30, cfa=None), Recipe(drizzle=2.0, pixfrac=0.7)).good


def test_frames_of_another_camera_are_not_passed_over_in_silence() -> None:
    other = [replace(one, width=500) for one in places(4, reference=50, seed=3)]
    told = foretell([*places(9), *other], Recipe(drizzle=2.0, pixfrac=0.4))
    assert told.text.endswith("told of 9 of the 13 frames, those of one camera: the others make it more even")
    assert "told of" not in foretell(places(9), Recipe(drizzle=2.0, pixfrac=0.4)).text


def test_frames_that_are_not_aligned_lie_on_each_other() -> None:
    told = foretell(places(30), Recipe(drizzle=2.0, align="none"))
    assert not told.good and "more frames are needed" in told.text


def test_another_reference_moves_all_frames_with_it() -> None:
    frames = places(12, cfa=None)
    usual = foretell(frames, Recipe(drizzle=3.0, pixfrac=0.3)).prediction
    other = foretell(frames, Recipe(drizzle=3.0, pixfrac=0.3), reference=5).prediction
    assert usual is not None and other is not None and usual.channels != other.channels
    assert usual.channels[0].variation == pytest.approx(other.channels[0].variation, rel=0.2)


def test_sessions_with_references_of_their_own_count_together() -> None:
    both = [*places(15), *places(15, reference=100, seed=2)]
    alone, together = (foretell(some, Recipe(drizzle=2.0)).prediction for some in (both[:15], both))
    assert alone is not None and together is not None and together.frames == 30
    assert together.channels[0].variation < alone.channels[0].variation
    # a session that stands still, and another one as still, half a pixel off perhaps
    still = [replace(one, dx_px=0.0, dy_px=0.0, rotation_deg=0.0) for one in both]
    lying = foretell(still, Recipe(drizzle=1.0)).prediction
    assert lying is not None and lying.channels[0].holes < 0.75


def test_the_plan_warns_of_what_the_shell_said(catalog: Catalog, tmp_path: Path) -> None:
    nights = write_nights(tmp_path / "library", make_sky(), NightSpec("one", lights=4))
    session = read_in(catalog, nights)["one"]
    recipe = Recipe(drizzle=2.0, pixfrac=0.5)
    request = request_stack(catalog, [session], folder=tmp_path, recipe=recipe)
    told = foretell_request(catalog, request)
    assert told is not None and not told.good and "4 frames" in told.text
    plan = make_plan(catalog, request, tmp_path / "a.fits")
    assert told.text in plan.warnings
    assert foretell_request(catalog, replace(request, recipe=Recipe())) is None
    plain = make_plan(catalog, replace(request, recipe=Recipe()), tmp_path / "b.fits")
    assert not any("drizzle" in text for text in plain.warnings)
