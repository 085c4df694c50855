"""Jobs that ended or were queued elsewhere in the app: where Jobs shows them, and what is said and when."""

from datetime import timedelta
from pathlib import Path

import pytest
from textual import events

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Job, Stack
from astrotui.errors import AstrotuiError
from astrotui.tui.app import AstroApp
from astrotui.tui.screens.message import MessageScreen
from astrotui.tui.screens.stack_form import StackForm
from astrotui.tui.widgets.form import Form
from tests.tui.conftest import NOW, MakeApp, add_job, until
from tests.tui.test_tui_places import show, table


def fail(path: Path, job: int, minutes: float) -> None:
    with Catalog.open(path) as catalog, catalog.write() as db:
        row = db.get_one(Job, job)
        row.status, row.error = "failed", "the disk is full"
        row.finished = NOW + timedelta(minutes=minutes)


def notes(app: AstroApp) -> str:
    return "\n".join(str(note.message) for note in app._notifications)


async def look(app: AstroApp) -> None:
    """Open the app until it has said what there was to say: nothing."""
    heard, hear = [], app.teller.hear
    app.teller.hear = lambda news: (hear(news), heard.append(news))  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: heard)
        assert "while you were away" not in notes(app)


async def test_what_failed_while_the_app_was_closed_is_told_once(
    make_app: MakeApp, catalog_file: Path
) -> None:
    fail(catalog_file, add_job(catalog_file, title="stack old"), 1)
    await look(make_app())  # no app looked before, and it may be years old
    job = add_job(catalog_file)
    await look(make_app())
    fail(catalog_file, job, 2)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        said = f"1 job failed while you were away: job {job} (stack M42); 4 shows it"
        await until(pilot, lambda: said in notes(app))
        assert not isinstance(app.screen, MessageScreen)
        add_job(catalog_file)
        await pilot.press("4")
        await until(pilot, lambda: app.current_mode == "jobs" and table(app).row and table(app).row.id == job)
    await look(make_app())


async def test_what_failed_while_the_app_was_open_is_not_told_again(
    make_app: MakeApp, catalog_file: Path
) -> None:
    job = add_job(catalog_file)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.live)
        fail(catalog_file, job, 2)
        await until(pilot, lambda: isinstance(app.screen, MessageScreen))
    await look(make_app())
    (catalog_file.with_name("catalog.sqlite.seen")).write_text("202")  # cut off
    await look(make_app())


async def test_a_failure_waits_until_nobody_types(make_app: MakeApp, catalog_file: Path) -> None:
    first, second = add_job(catalog_file), add_job(catalog_file)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(app.live) == 2)
        await pilot.press("t")
        form = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        form.query_one(Form).action_move(30)
        await pilot.press("q", "u")
        fail(catalog_file, first, 1)
        fail(catalog_file, second, 2)
        await until(pilot, lambda: f"job {second} failed" in notes(app))
        await pilot.press("e", "y")
        assert app.screen is form and form.form["output"].value == "quey"
        await pilot.press("escape", "slash")
        for job in (first, second):
            if job == first:
                await until(pilot, lambda: app.screen.filtering)
                await pilot.press("m", "escape")
            dialog = await until(pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen)
            assert dialog.heading.startswith(f"Job {job} failed")
            await pilot.press("escape")
            await until(pilot, lambda dialog=dialog: app.screen is not dialog)


async def test_a_key_for_the_place_does_not_close_a_failure_that_comes_just_then(
    make_app: MakeApp, catalog_file: Path, dialog_clock: list[float]
) -> None:
    job = add_job(catalog_file)
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        db.get_one(Job, job).title = "stack " + "M42 " * 10
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.live and len(table(app).rows) == 3)
        place, rows = app.screen, table(app)
        fail(catalog_file, job, 2)
        dialog = await until(pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen)
        body = await until(pilot, lambda: dialog.query(".dialog--body") and dialog.focused)
        body.styles.max_height = 2
        await until(pilot, lambda: body.max_scroll_y)
        for _ in range(2):
            await pilot.press("space", "enter", "q", "down", "j", "4", "f1")
            assert app.screen is dialog and app.current_mode == "library" and not app._leaving
            assert not place.marked and not rows.cursor and not body.scroll_target_y
            dialog_clock[0] += 0.45
        await pilot.press("down")
        assert body.scroll_target_y
        await pilot.press("space")
        await until(pilot, lambda: app.screen is place)
        assert not place.marked


async def test_a_key_that_is_on_its_way_to_the_place_does_not_close_a_message(
    make_app: MakeApp, dialog_clock: list[float]
) -> None:
    """Textual hands a key from widget to widget, and looks for its meaning at the end of the way."""
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        place = app.screen
        table(app)._forward_event(events.Key("space", " "))
        app.complain(AstrotuiError("the disk failed"), unasked=True)
        await until(pilot, lambda: app.screen.focused and app.screen is not place)
        await pilot.press("x")
        assert isinstance(app.screen, MessageScreen) and not place.marked
        await pilot.press("ctrl+q")  # from anywhere, at any time
        await until(pilot, lambda: app._exit)


async def test_an_answer_to_a_key_is_closed_as_soon_as_it_is_there(
    make_app: MakeApp, dialog_clock: list[float]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        app.complain(AstrotuiError("no such folder"))
        dialog = await until(pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not dialog)


@pytest.mark.parametrize("log", [False, True])
async def test_a_job_that_was_just_queued_is_under_the_cursor(
    make_app: MakeApp, catalog_file: Path, log: bool
) -> None:
    for number in range(40):
        add_job(catalog_file, status="done", finished=NOW + timedelta(minutes=number))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "4", "jobs")
        await pilot.press(*"jjjj", *("l" if log else ""), "1")
        await until(pilot, lambda: app.current_mode == "library")
        await pilot.press("m")
        await until(pilot, lambda: "measures; 4 shows it" in notes(app))
        await pilot.press("4")
        await until(pilot, lambda: app.current_mode == "jobs" and table(app).row.kind == "measure")
        await until(pilot, lambda: table(app).scroll_offset.y == 0)
        await pilot.press("j", "r")
        await pilot.pause(0.2)
        assert table(app).cursor == 1


async def test_frames_that_a_stack_left_out_are_told_when_it_ends(
    make_app: MakeApp, catalog_file: Path
) -> None:
    job = add_job(catalog_file, title="M 42: 15 frames", status="queued")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.live)
        with Catalog.open(catalog_file) as catalog, catalog.write() as db:
            lost = [{"path": f"/astro/raw_{n}.fits", "reason": "has vanished"} for n in range(13)]
            db.add(Stack(
                job_id=job, created=NOW, output="/out/m42.fits", frames_used=2, summary={"frames_skipped": lost}
            ))  # fmt: skip
            db.get_one(Job, job).status = "done"
        said = f"job {job} is done: M 42: 15 frames; 13 frames left out: i in Stacks (5) says why"
        await until(pilot, lambda: said in notes(app))
        await pilot.press("4")
        await until(pilot, lambda: app.current_mode == "jobs" and table(app).loaded)
        assert "13 frames left out" in table(app).render_line(1).text


async def test_long_lines_of_a_log_are_wrapped(make_app: MakeApp, catalog_file: Path, tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    said = "measured again: " + " ".join(f"frame-{number}" for number in range(40))
    log.write_text(f"attempt 1\n{said}\n")
    add_job(catalog_file, status="running", log=str(log))
    app = make_app()

    def shown(width: int) -> bool:
        lines = list(app.screen.query_one("#log").lines)
        return (
            " ".join(" ".join(lines).split()) == f"attempt 1 {said}"
            and width / 2 < max(map(len, lines)) <= width - 2
        )

    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "4", "jobs")
        await pilot.press("l")
        await until(pilot, lambda: shown(80))
        await pilot.resize_terminal(120, 30)
        await until(pilot, lambda: shown(120))
