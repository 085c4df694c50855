"""What a stack is told of frames that cannot be used, and what is doubted of those that can."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame
from astrotui.errors import AstrotuiError
from astrotui.library.choose import decide
from astrotui.library.index import index_roots
from astrotui.library.listing import list_frames
from astrotui.library.measure import measure_sessions
from astrotui.library.planning import make_plan
from astrotui.library.requests import request_stack
from astrotui.library.scores import doubts
from tests.library.simulated_night import HEIGHT, WIDTH, Night, dithered

NOON = datetime(2025, 6, 1, 22, tzinfo=UTC)


def test_a_stack_names_frames_that_were_no_good_before_it_was_asked_for(
    catalog: Catalog, tmp_path: Path
) -> None:
    night = Night(tmp_path / "night")
    night.take(dithered(6))
    night.write(6, np.zeros((HEIGHT, WIDTH), np.uint16))
    gone = night.write(7, night.pixels(7, dithered(1)[0]))
    rejected = night.path(5)
    index_roots(catalog, [night.folder])
    measure_sessions(catalog, [1], workers=1)
    gone.unlink()
    index_roots(catalog, [night.folder])
    by_name = {Path(f.path).name: f for f in list_frames(catalog, [1])}
    decide(catalog, [by_name[rejected.name].id], "rejected")
    request = request_stack(catalog, [1], folder=tmp_path)
    plan = make_plan(catalog, request, tmp_path / "stack.fits")
    assert len(plan.frames) == 5
    assert {Path(s.path).name: s.reason for s in plan.skipped} == {
        "light_006.fits": "black frame",
        "light_007.fits": "the file is gone",
    }


def test_nothing_is_stacked_where_all_is_unusable(catalog: Catalog, tmp_path: Path) -> None:
    night = Night(tmp_path / "night")
    for number in range(3):
        night.write(number, np.zeros((HEIGHT, WIDTH), np.uint16))
    index_roots(catalog, [night.folder])
    measure_sessions(catalog, [1], workers=1)
    with pytest.raises(AstrotuiError, match="none of 3 lights is left"):
        request_stack(catalog, [1], folder=tmp_path)


def test_stars_that_never_move_are_doubted() -> None:
    def at(minutes: float, shift: float) -> tuple[float, float, datetime]:
        return shift, 0.0, NOON + timedelta(minutes=minutes)

    assert doubts([at(m, 0.001) for m in (6, 9, 12)], NOON)[0].startswith("3 frames of 3 did not shift")
    assert doubts([at(m, 0.2) for m in (6, 9, 12)], NOON) == []
    assert doubts([at(m, 0.001) for m in (1, 2, 3)], NOON) == []  # too soon to tell
    assert doubts([at(6, 0.001), at(9, 0.3), at(12, 0.4)], NOON) == []
    assert doubts([(None, None, NOON), at(9, 0.0)], NOON) == []


def test_a_session_of_hot_pixels_alone_is_doubted(catalog: Catalog, tmp_path: Path) -> None:
    """The same spots at the same places for an hour, as a warm uncalibrated sensor shows them."""
    night = Night(tmp_path / "night", stars=40)
    same = dithered(1)[0]
    for number in range(0, 40, 8):
        night.write(number, night.pixels(1, same) + np.uint16(number))
    index_roots(catalog, [night.folder])
    report = measure_sessions(catalog, [1], workers=1)
    assert len(report.warnings) == 1
    assert "hot pixels" in report.warnings[0]
    with catalog.read() as db:
        assert db.scalars(select(Frame.id)).all()
    plan = make_plan(catalog, request_stack(catalog, [1], folder=tmp_path), tmp_path / "stack.fits")
    assert any("hot pixels" in warning for warning in plan.warnings)


def test_one_frame_of_another_size_is_no_session_of_its_own(catalog: Catalog, tmp_path: Path) -> None:
    night = Night(tmp_path / "night")
    night.take(dithered(5))
    odd = night.write(5, night.pixels(5, dithered(1)[0])[:200])
    index_roots(catalog, [night.folder])
    for _ in range(2):  # and it stays so when it is scored again
        measure_sessions(catalog, [1, 2], workers=1)
        by_name = {Path(f.path).name: f for f in list_frames(catalog, [1, 2])}
        assert by_name[odd.name].score == 0
        assert by_name[odd.name].reasons == ("another size: the 5 frames beside it have 640x420",)
        assert by_name[odd.name].stars
        assert min(f.score or 0 for name, f in by_name.items() if name != odd.name) > 50
    # Once it has company it is a session like others.
    for number in range(6, 9):
        night.write(number, night.pixels(number, dithered(9)[number])[:200])
    index_roots(catalog, [night.folder])
    measure_sessions(catalog, [2], workers=1)
    assert all((f.score or 0) > 50 and not f.reasons for f in list_frames(catalog, [2]))
