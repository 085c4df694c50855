"""How each place looks, at the least size it is made for and at a comfortable one."""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from astrotui.tui.screens.cull import CullScreen
from astrotui.tui.screens.stack_form import StackForm
from astrotui.tui.widgets.picture import Picture
from tests.tui.conftest import NOW, MakeApp, add_job, until
from tests.tui.test_tui_frames import line, open_m42
from tests.tui.test_tui_places import show, stacks, table

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="pictures of the screen are kept for Python 3.11 only"
)
SIZES = ((80, 24), (160, 50))
sizes = pytest.mark.parametrize("size", SIZES, ids=[f"{columns}x{rows}" for columns, rows in SIZES])
Compare = Callable[..., bool]
__all__ = ["stacks"]  # a fixture


async def pictured(pilot: Pilot[Any]) -> None:
    """Wait until the picture fills its room."""
    picture = pilot.app.screen.query_one(Picture)
    await until(pilot, lambda: picture.shown is not None and picture.shown is picture.request)
    await until(pilot, lambda: picture.view is not None and picture.view.cells.columns == picture.size.width)
    await pilot.pause(0.2)


@sizes
def test_library(make_app: MakeApp, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: table(pilot.app).rows)
        await until(pilot, lambda: "no dark" in line(pilot.app.screen, "#facts"))
        await pictured(pilot)

    assert snap_compare(make_app(), terminal_size=size, run_before=before)


@sizes
def test_frames(make_app: MakeApp, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        screen = await open_m42(pilot)
        await pilot.press("x", "a")
        await until(pilot, lambda: not screen.frames.busy)
        await pictured(pilot)

    assert snap_compare(make_app(), terminal_size=size, run_before=before)


@sizes
def test_darks(make_app: MakeApp, snap_compare: Compare, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: len(table(pilot.app).rows) == 3)
        await pilot.press("end", "d")
        await until(pilot, lambda: pilot.app.current_mode == "darks" and table(pilot.app).rows)
        await until(pilot, lambda: line(pilot.app.screen, "#gaps"))

    assert snap_compare(make_app(), terminal_size=size, run_before=before)


@sizes
def test_jobs(
    make_app: MakeApp,
    snap_compare: Compare,
    catalog_file: Path,
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("astrotui.jobs.records.now", lambda: NOW + timedelta(seconds=19))
    took = {"started": NOW, "finished": NOW + timedelta(minutes=3)}
    add_job(catalog_file, status="done", kind="index", title="index 1 folder", **took)
    add_job(
        catalog_file,
        status="failed",
        error="/astro/out.fits: the disk is full",
        log="/logs/job-2.log",
        **took,
    )
    add_job(
        catalog_file,
        status="running",
        stage="stacking",
        done=5,
        total=16,
        started=NOW,
        eta_s=42.0,
        log="/logs/job-3.log",
    )
    add_job(catalog_file, title="stack M 51")

    async def before(pilot: Pilot[Any]) -> None:
        await show(pilot, "4", "jobs")
        await until(pilot, lambda: len(table(pilot.app).rows) == 4)
        await pilot.press("j")
        await until(pilot, lambda: "31%" in str(pilot.app.screen.query_one("PlaceBar").render()))
        await until(pilot, lambda: "42 s left" in line(pilot.app.screen, "#detail"))

    assert snap_compare(make_app(), terminal_size=size, run_before=before)


@sizes
def test_stacks(
    make_app: MakeApp, snap_compare: Compare, stacks: list[dict[str, Any]], size: tuple[int, int]
) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await show(pilot, "5", "stacks")
        await pictured(pilot)
        await until(pilot, lambda: line(pilot.app.screen, "#where"))

    assert snap_compare(make_app(), terminal_size=size, run_before=before)


def test_cull_dialog(make_app: MakeApp, snap_compare: Compare) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await open_m42(pilot)
        await pictured(pilot)
        await pilot.press("c")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, CullScreen) and pilot.app.screen.plan is not None
        )

    assert snap_compare(make_app(), terminal_size=(80, 24), run_before=before)


def test_stack_form(make_app: MakeApp, snap_compare: Compare) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await open_m42(pilot)
        await pictured(pilot)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, StackForm))
        await until(pilot, lambda: "16 of 16" in line(pilot.app.screen, "#heading"))

    assert snap_compare(make_app(), terminal_size=(80, 24), run_before=before)


def test_help_in_the_light_theme(make_app: MakeApp, snap_compare: Compare) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await open_m42(pilot)
        await pictured(pilot)
        await pilot.press("f2", "question_mark")
        await pilot.pause(0.2)

    assert snap_compare(make_app(), terminal_size=(80, 24), run_before=before)
