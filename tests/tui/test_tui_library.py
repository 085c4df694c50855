"""Library: what a key is about in each of its two lists, and words that fit."""

from pathlib import Path

import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Session
from astrotui.tui.screens.darks import DarksPlace
from astrotui.tui.screens.library import LibraryPlace
from astrotui.tui.screens.stack_form import StackForm
from astrotui.tui.widgets.fit import whole_items
from tests.tui.conftest import MakeApp, add_job, until
from tests.tui.test_tui_frames import line
from tests.tui.test_tui_places import mounted, table


def library(app: object) -> LibraryPlace:
    screen = app.screen  # type: ignore[attr-defined]
    assert isinstance(screen, LibraryPlace)
    return screen


async def test_marks_of_sessions_do_not_steer_the_targets(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: [s.target for s in table(app).rows] == ["M 45", "M 51", "M42"])
        m42 = table(app).rows[2].id
        await pilot.press("g", "j", "space", "v")
        await until(pilot, lambda: library(app).targets.has_focus)
        assert "marked" not in str(library(app).query_one("PlaceBar").render())
        await pilot.press("G", "t")
        form = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        assert form.sessions == (m42,)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.screen_stack[0])
        await pilot.press("space")  # nobody would see such a mark
        assert any("marks are for sessions" in str(note.message) for note in app._notifications)
        await pilot.press("v")
        await until(pilot, lambda: library(app).table.has_focus)
        assert "1 marked" in str(library(app).query_one("PlaceBar").render())


async def test_marks_go_when_their_stack_is_queued(make_app: MakeApp, catalog_file: Path) -> None:
    mounted(catalog_file)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        place = library(app)
        await pilot.press("G", "space", "t")
        await until(pilot, lambda: isinstance(app.screen, StackForm))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is place)
        assert len(place.marked) == 1
        await pilot.press("t")
        form = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        await until(pilot, lambda: "16 of 16" in line(form, "#heading"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.current_mode == "jobs")
        assert place.marked == set()
        assert "3 sessions" in str(place.query_one("PlaceBar").render())


async def test_a_key_right_after_a_move_is_about_the_new_target(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        m45, _, m42 = (session.id for session in table(app).rows)
        await pilot.press("g", "v")
        await until(pilot, lambda: library(app).targets.has_focus and app.session_id == m45)
        library(app).targets.action_jump(-1)  # and before any message is heard:
        library(app).action_darks()
        assert app.session_id == m42
        await until(pilot, lambda: isinstance(app.screen, DarksPlace))


@pytest.mark.parametrize("width", [80, 160])
async def test_it_is_sorted_by_what_can_be_seen(make_app: MakeApp, width: int) -> None:
    app = make_app()
    async with app.run_test(size=(width, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        seen = []
        for _ in range(9):
            await pilot.press("s")
            head = table(app).render_line(0).text
            assert "▾" in head or "▴" in head
            seen.append(table(app).sorted_by)
        assert ("gain" in seen) == (width == 160) and len(set(seen)) == (8 if width == 160 else 7)


def test_items_are_whole_or_counted() -> None:
    words = "1 quarantined, 1 missing, 14 unmeasured, no dark"
    assert whole_items(words, 60) == words
    assert whole_items(words, 30) == "1 quarantined, 1 missing +2"
    assert whole_items(words, 21) == "1 quarantined +3"
    assert whole_items(words, 5) == "1 quarantined +3"  # what can be cut no further is cut as any text


async def test_what_needs_attention_is_told_whole(make_app: MakeApp, catalog_file: Path) -> None:
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        frames = (
            db.query(Frame)
            .join(Session, Frame.session_id == Session.id)
            .filter(Session.target == "M 45")
            .all()
        )
        frames[0].quarantine, frames[1].missing = "cut short", True
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        told = "! 1 quarantined, 1 missing, 2 unmeasured, no dark"
        await until(pilot, lambda: told in line(app.screen, "#facts"))
        words = app.screen.query_one("#facts")
        shown = " ".join(" ".join(s.text for s in words.render_lines(words.region.reset_offset)).split())
        assert told in shown
        assert "1 quarantined +3" in table(app).render_line(1).text


async def test_the_first_hints_fit(make_app: MakeApp, tmp_path: Path) -> None:
    empty = tmp_path / "new" / "catalog.sqlite"
    app = make_app(empty)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "no sessions yet" in table(app).empty)
        assert len(table(app).empty) < 79
        job = {"kind": "index", "title": "index 1 folder"}
        for more in (
            {"status": "queued"},
            {"status": "running", "stage": "looking for frames", "done": 90, "total": 0},
        ):
            add_job(empty, **job, **more)
            said = "waits" if more["status"] == "queued" else "looking for frames"
            await until(pilot, lambda said=said: said in table(app)._said)  # type: ignore[misc]
            assert len(table(app)._said) < 79 and table(app)._said.endswith("sessions will appear here")
