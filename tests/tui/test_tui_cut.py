"""What is cut keeps its end, and what is waited for is said."""

import threading
from pathlib import Path
from textwrap import wrap
from types import SimpleNamespace
from typing import Any

import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Session, Stack
from astrotui.jobs.records import JobRecord
from astrotui.tui import app as app_module
from astrotui.tui.screens.jobs import bar
from astrotui.tui.sessions import by_target, fit_path
from tests.tui.conftest import NOW, MakeApp, add_job, until
from tests.tui.test_tui_frames import line
from tests.tui.test_tui_places import show, table


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_long_path_keeps_its_end(lines: int) -> None:
    path = "/data/a folder/" + "x" * 150 + "/M42_EXP_10_GAIN_60_2025-01-25"
    cut = fit_path(path, 45, lines)
    assert cut.endswith("/M42_EXP_10_GAIN_60_2025-01-25") and cut.startswith("…")
    assert len(wrap(cut, 45, break_on_hyphens=False)) == lines
    assert fit_path("/short", 45, lines) == "/short"


async def test_the_end_of_the_folder_can_be_read(make_app: MakeApp, catalog_file: Path) -> None:
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        for session in db.query(Session):
            session.folder = "a/" + "very_long_name_of_a_disk/" * 8 + "the_end"
            session.warnings = [
                "a warning that says a lot, in more than one line of what there is",
                "and another",
            ]
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "the_end" in line(app.screen, "#facts"))
        words = app.screen.query_one("#facts")
        shown = "\n".join(strip.text for strip in words.render_lines(words.region.reset_offset))
        assert "/the_end" in shown


async def test_a_folder_that_is_read_is_told_where_nothing_is_yet(make_app: MakeApp, tmp_path: Path) -> None:
    empty = tmp_path / "new" / "catalog.sqlite"
    app = make_app(empty)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "no sessions yet" in table(app).empty)
        app.screen._next = float("inf")  # the next reading is far off
        add_job(
            empty, kind="index", title="index 1 folder", status="running", stage="reading", done=3, total=9
        )
        await until(pilot, lambda: "3/9" in table(app)._said)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 50)])
async def test_a_wide_terminal_cuts_no_more_than_a_narrow_one(
    make_app: MakeApp, catalog_file: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    name = "M_51_60s_B_2025-04-02.fits"
    (tmp_path / name).write_bytes(b"not read here")
    summary = {
        "reference": None, "dark": None, "flat": None, "bias": None, "integration_s": 600.0, "seconds": 4.0,
        "rejected_fraction": 0.0, "noise_adu": 3.2, "fwhm_px": 2.5, "stages": {}, "warnings": [], "frames_skipped": [],
    }  # fmt: skip
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        db.add(
            Stack(
                created=NOW,
                tags=[],
                output=str(tmp_path / name),
                target="M 51",
                sessions=[3],
                frames_used=10,
                summary=summary,
            )
        )
    add_job(catalog_file, kind="watch", title=f"watch {name}")
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await show(pilot, "5", "stacks")
        await until(pilot, lambda: table(app).rows)
        shown = name if size[0] != 120 else name[:21]  # 120 columns leave half of them to the picture
        assert shown in table(app).render_line(1).text
        await show(pilot, "4", "jobs")
        await until(pilot, lambda: table(app).rows)
        assert (f"watch {name}" in table(app).render_line(1).text) == (size[0] > 80)


def test_compiling_is_said_in_words() -> None:
    job = SimpleNamespace(status="running", stage="kernels", done=0, total=1, kind="stack")
    job.stage_in_words = JobRecord.stage_in_words.fget(job)
    assert "compiled once" in bar(job).text and "0/1" not in bar(job).text


def test_a_stage_has_a_bar_while_nobody_knows_the_end_of_the_whole() -> None:
    job = SimpleNamespace(status="running", stage="stacking", done=256, total=512, kind="stack", share=None)
    text = bar(job).text
    assert text.count("█") == text.count("░") > 0 and "256/512 stacking" in text


def test_names_of_one_object_are_one_target() -> None:
    names = ("M 94", "NGC 7000", "m94", None, "")
    targets = by_target([SimpleNamespace(target=name) for name in names])
    assert [(target.name, len(target.sessions)) for target in targets] == [
        ("M 94", 2),
        ("NGC 7000", 1),
        ("", 2),
    ]


async def test_a_busy_catalogue_is_told_while_the_first_sessions_wait_for_it(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    whole = app_module.sessions_or_none

    def held(path: Path) -> Any:
        free.wait(60)
        return whole(path)

    monkeypatch.setattr(app_module, "sessions_or_none", held)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: any("busy" in note.message for note in app._notifications))
        free.set()
        await until(pilot, lambda: len(table(app).rows) == 3 and not app._notifications)
