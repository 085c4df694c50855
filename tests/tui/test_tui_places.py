"""Library, Darks, Jobs and Stacks by keys, and the ways between them."""

import threading
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Job, Root, Session
from astrotui.cli.stack_commands import stack
from astrotui.errors import AstrotuiError
from astrotui.jobs import queue
from astrotui.library.calibrators import session_match
from astrotui.stacking.recipe import Recipe
from astrotui.tui.coverage import cover
from astrotui.tui.pictures import session_picture
from astrotui.tui.screens.message import MessageScreen, QuestionScreen
from astrotui.tui.screens.prompt import PromptScreen
from astrotui.tui.screens.stack_form import StackForm
from astrotui.tui.stacking import form_lines, options_of
from astrotui.tui.widgets.form import Form
from astrotui.tui.widgets.picture import Picture
from astrotui.tui.widgets.table import RowTable
from tests.tui.conftest import NOW, MakeApp, add_job, until
from tests.tui.test_tui_frames import line


def table(app: Any) -> RowTable[Any]:
    found: RowTable[Any] = app.screen.query(RowTable).first()
    return found


async def show(pilot: Pilot[Any], key: str, mode: str) -> None:
    """Wait for the sessions, go to a place and wait for its rows."""
    await until(pilot, lambda: table(pilot.app).rows)
    await pilot.press(key)
    await until(pilot, lambda: pilot.app.current_mode == mode and table(pilot.app).loaded)


# --- Library ------------------------------------------------------------------------------------------------------


async def test_library_says_what_needs_attention(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        sessions = await until(pilot, lambda: table(app).rows)
        await until(pilot, lambda: sessions is not None and "no dark" in line(app.screen, "#facts"))
        assert [s.target for s in table(app).rows] == ["M 45", "M 51", "M42"]
        assert "4 unmeasured" in line(app.screen, "#facts") and "/astro/" in line(app.screen, "#facts")
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: [s.target for s in table(app).rows] == ["M 45"])
        await pilot.press("escape")
        await until(pilot, lambda: len(table(app).rows) == 3)
        await until(pilot, lambda: app.screen.query_one(Picture).view is not None)


async def test_library_filters_and_comes_back_to_the_same_session(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: table(app).rows)
        await pilot.press("slash", *"target:m42", "enter")
        await until(pilot, lambda: len(table(app).rows) == 1)
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "frames" and len(table(app).rows) == 16)
        await pilot.press("1", "escape")
        await until(pilot, lambda: app.current_mode == "library" and len(table(app).rows) == 3)
        assert table(app).row.target == "M42"


async def test_measuring_and_a_new_folder_are_queued(
    make_app: MakeApp, catalog_file: Path, tmp_path: Path
) -> None:
    night = tmp_path / "night"
    night.mkdir()
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: table(app).rows)
        await pilot.press("m", "f")
        await until(pilot, lambda: isinstance(app.screen, PromptScreen))
        await pilot.press(*str(night), "enter")
        await until(pilot, lambda: len(app.follower._waited) == 2)
        await pilot.press("f", *"/nowhere", "enter")
        dialog = await until(pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen)
        assert "/nowhere: no such folder" in dialog.message
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.screen_stack[0])
        await pilot.press("f", *str(tmp_path), "enter")  # nothing is written among frames
        dialog = await until(pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen)
        assert f"the catalogue {catalog_file} lies in this folder" in dialog.message
    with Catalog.open(catalog_file) as catalog:
        jobs = queue.list_jobs(catalog)
        assert [job.kind for job in jobs] == ["measure", "index"]
        assert queue.payload(catalog, jobs[1].id) == {"roots": [str(night)]}


async def test_roots_that_were_named_are_indexed(
    make_app: MakeApp, catalog_file: Path, tmp_path: Path
) -> None:
    night = tmp_path / "night"
    night.mkdir()
    app = make_app(roots=(night,))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.follower._waited)
    with Catalog.open(catalog_file) as catalog:
        (job,) = queue.list_jobs(catalog)
    assert job.kind == "index" and job.status == "queued"


# --- Darks --------------------------------------------------------------------------------------------------------


async def test_a_dark_is_pinned_unpinned_and_pinned_to_none(make_app: MakeApp, catalog_file: Path) -> None:
    app = make_app()

    def chosen(session: int) -> Any:
        with Catalog.open(catalog_file) as catalog:
            return session_match(catalog, session).chosen("dark")

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("end", "d")
        await until(pilot, lambda: app.current_mode == "darks" and table(app).rows)
        session = app.session_id
        assert session is not None
        first, second = table(app).rows[:2]
        assert first.candidate.chosen and "same exposure" in line(app.screen, "#reasons")
        await pilot.press("j", "enter")
        await until(pilot, lambda: "pinned by you" in line(app.screen, "#head"))
        assert chosen(session).set.id == second.set.id and table(app).row.set.id == second.set.id
        await pilot.press("backspace")
        await until(pilot, lambda: "exact" in line(app.screen, "#head"))
        assert chosen(session).set.id == first.set.id
        await pilot.press("n")
        await until(pilot, lambda: "none, as you said" in line(app.screen, "#head"))
        assert chosen(session) is None
        await pilot.press("f")
        await until(pilot, lambda: line(app.screen, "#head").startswith("flat"))
        await pilot.press("w")
        await until(pilot, lambda: "whole library" in line(app.screen, "#head"))
        await until(pilot, lambda: "shoot 20 x 15 s" in line(app.screen, "#gaps"))
        held = app.screen.query_one("#coverage", RowTable)
        await until(pilot, lambda: held.has_focus and len(held.rows) > 3)
        assert sum(len(row.sets) for row in held.rows) == 6 and "-10° 8" in [
            row.temperatures for row in held.rows
        ]
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.query_one("#sets").has_focus)


async def test_pinning_a_set_that_does_not_fit_is_told(make_app: MakeApp, catalog_file: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("end", "d")
        await until(pilot, lambda: app.current_mode == "darks" and table(app).rows)
        with Catalog.open(catalog_file) as catalog, catalog.read() as db:
            row = db.get(Session, app.session_id)
            assert row is not None
            size = (row.width, row.height)
        refused = [h for h in table(app).rows if h.grade == "refused"]
        fits = next(h for h in refused if (h.set.width, h.set.height) == size)
        table(app).go_to(fits.set.id)
        await pilot.press("enter")
        await until(pilot, lambda: "pinned by you although" in line(app.screen, "#reasons"))
        (toast,) = app._notifications
        assert toast.severity == "warning" and "although it does not fit: " in toast.message
        never = next(h for h in refused if (h.set.width, h.set.height) != size)
        table(app).go_to(never.set.id)
        await pilot.press("enter")
        message = await until(pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen.message)
        assert "can never fit" in message and "astrotui set" not in message


def test_coverage_counts_frames_by_temperature() -> None:
    common = {"kind": "dark", "camera": "ASI", "exposure_s": 60.0, "gain": 0.0, "binning": "1x1"}
    sets = [
        SimpleNamespace(**common, id=n, temperature_c=degree, frames=frames, path="/darks")
        for n, (degree, frames) in enumerate([(-10.2, 20), (-9.8, 5), (0.0, 8), (None, None)])
    ]
    (row,) = cover(sets)
    assert row.frames == 33 and row.temperatures == "-10° 25, 0° 8, any ?"


# --- the stack form and Jobs --------------------------------------------------------------------------------------


def mounted(path: Path) -> None:
    """The frames' folder is there; nothing in it is looked at before the work begins."""
    with Catalog.open(path) as catalog, catalog.write() as db:
        db.query(Root).one().path = str(path.parent)


async def test_a_stack_of_a_disk_that_is_away_is_refused(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("end", "t")
        form = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        await until(pilot, lambda: "16 of 16 frames" in line(form, "#heading"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "is the disk mounted?" in line(form, "#wrong"))


async def test_a_stack_is_queued_with_its_recipe(make_app: MakeApp, catalog_file: Path) -> None:
    mounted(catalog_file)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("end", "t")
        form = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        await until(pilot, lambda: "16 of 16 frames" in line(form, "#heading"))
        lines = form.query_one(Form)
        await pilot.press("down", "right", "right")  # none, then sigma
        await until(pilot, lambda: "left out" in line(form, "#meaning"))
        assert lines["reject"].value == "sigma" and lines["low"].free == "3 sigma"
        await pilot.press("down", *"x", "ctrl+s")
        await until(pilot, lambda: "'x' is not a number" in line(form, "#wrong"))
        await pilot.press("backspace", *"2.5", "down", "down", "l")  # median
        while lines.lines[lines.cursor].name != "dark":
            await pilot.press("tab")
        await until(pilot, lambda: "auto is set" in line(form, "#meaning"))
        await pilot.press("right")
        await until(pilot, lambda: "on purpose" in line(form, "#meaning"))
        while lines.lines[lines.cursor].name != "memory":
            await pilot.press("down")
        await pilot.press(*"600MB", "ctrl+s", "ctrl+s")
        await until(pilot, lambda: app.current_mode == "jobs" and table(app).rows)
        assert [job.title for job in table(app).rows] == ["M42: 16 frames"]
    with Catalog.open(catalog_file) as catalog:
        (job,) = queue.list_jobs(catalog)
        payload = queue.payload(catalog, job.id)
    recipe = payload["recipe"]
    assert (recipe["combine"], recipe["reject"], recipe["low"], recipe["high"]) == (
        "median",
        "sigma",
        2.5,
        None,
    )
    assert (payload["dark"], payload["flat"], payload["memory"]) == ("none", "auto", 600_000_000)


def test_the_form_has_every_recipe_option_of_the_shell() -> None:
    shell = {parameter.name for parameter in stack.params if not getattr(parameter, "hidden", False)} - {
        "sessions",
        "plan",
        "detach",
        "no_start",
        "workers",
    }
    shell -= {"as_json", "json", "debug", "catalog", "help"}
    assert shell <= {line.name for line in form_lines("1GB", Path("/out"), None)}, shell


def test_the_form_says_the_defaults_of_the_recipe() -> None:
    options = options_of(form_lines("1GB", Path("/out"), 17), "1GB")
    assert options["recipe"] == Recipe() and options["reference"] is None and options["output"] is None


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("low", "x", "low: 'x' is not a number"),
        ("reference", "best", "auto or the id"),
        ("memory", "much", "much"),
    ],
)
def test_the_form_refuses_what_cannot_be_used(name: str, typed: str, said: str) -> None:
    lines = form_lines("1GB", Path("/out"), None)
    next(line for line in lines if line.name == name).type(typed)
    with pytest.raises(AstrotuiError, match=said):
        options_of(lines, "1GB")


async def test_marked_sessions_are_stacked_together(make_app: MakeApp, catalog_file: Path) -> None:
    mounted(catalog_file)
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        sessions = db.query(Session).order_by(Session.target).all()
        for session in sessions:
            session.target, session.width, session.height = "M 42", 576, 336
            session.cfa, session.cfa_phase = sessions[0].cfa, sessions[0].cfa_phase
            session.ra_deg = session.dec_deg = session.filter = None
        ids = sorted(session.id for session in sessions)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("t")
        form = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        await until(pilot, lambda: form.query_one(Form)["sessions"].choices == ("this one", "all 3 of M 42"))
        await pilot.press("right")
        await until(pilot, lambda: "3 sessions: 29 of 30 frames" in line(form, "#heading"))
        await pilot.press("escape", "g", "space", "space", "t")
        form = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        await until(pilot, lambda: form.query_one(Form)["sessions"].value == "2 marked")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.current_mode == "jobs" and table(app).rows)
    with Catalog.open(catalog_file) as catalog:
        (job,) = queue.list_jobs(catalog)
        assert len(queue.payload(catalog, job.id)["sessions"]) == 2
        assert set(queue.payload(catalog, job.id)["sessions"]) < set(ids)


async def test_targets_are_summed_up(make_app: MakeApp, catalog_file: Path) -> None:
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        db.query(Session).filter(Session.target == "M 51").one().target = "M42"
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("v")
        targets = app.screen.targets
        await until(pilot, lambda: targets.has_focus and [t.name for t in targets.rows] == ["M 45", "M42"])
        await pilot.press("j")
        await until(pilot, lambda: "2 sessions" in line(app.screen, "#facts"))
        total = sum(s.integration_s for s in app.screen.table.rows if s.target == "M42")
        assert targets.row.integration_s == total > 0
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.table.has_focus and app.screen.table.row.target == "M42")
        assert app.session_id == app.screen.table.row.id


async def test_waiting_jobs_are_moved_in_their_line(make_app: MakeApp, catalog_file: Path) -> None:
    for title in ("first", "second", "third"):
        add_job(catalog_file, title=title, status="queued")
    app = make_app()

    def times() -> dict[str, str]:
        place = app.screen
        return {job.title: place._time(job) for job in table(app).rows}

    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "4", "jobs")
        await until(pilot, lambda: times() == {"first": "next", "second": "2 in line", "third": "3 in line"})
        await pilot.press("g", "plus")
        await until(pilot, lambda: times() == {"third": "next", "first": "2 in line", "second": "3 in line"})
        text = "".join(s.text for s in table(app).render_line(1))
        assert "third" in text and "next" in text


async def test_jobs_show_their_bar_log_and_end(
    make_app: MakeApp, catalog_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "job.log"
    log.write_text("attempt 1\nthe disk is full\n")
    add_job(catalog_file, status="done", started=NOW, finished=NOW + timedelta(seconds=75))
    job = add_job(
        catalog_file,
        status="running",
        stage="stacking",
        done=4,
        total=16,
        log=str(log),
        started=NOW,
        eta_s=180.0,
    )
    monkeypatch.setattr("astrotui.jobs.records.now", lambda: NOW + timedelta(seconds=60))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "4", "jobs")
        await until(pilot, lambda: [one.id for one in app.live] == [job])  # the app follows it from here on
        await until(pilot, lambda: "25%" in str(app.screen.query_one("PlaceBar").render()))
        text = "\n".join("".join(s.text for s in table(app).render_line(y)) for y in range(3))
        assert "███░" in text and "4/16 stacking" in text and "75 s" in text
        await pilot.press("l")
        await until(pilot, lambda: "the disk is full" in "\n".join(app.screen.query_one("#log").lines))
        with Catalog.open(catalog_file) as catalog, catalog.write() as db:
            row = db.get_one(Job, job)
            row.status, row.error = "failed", "the disk is full"
        dialog = await until(pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen)
        assert "the disk is full" in dialog.message and str(log) in dialog.message
        await until(pilot, lambda: dialog.takes_keys)
        await pilot.press("enter", "escape", "t")
        await until(pilot, lambda: table(app).rows[0].status == "queued")
        await pilot.press("plus")
        await until(pilot, lambda: table(app).rows[0].priority == 1)
        await pilot.press("p")
        await until(pilot, lambda: app.screen.paused)
        await pilot.press("x")
        await until(pilot, lambda: table(app).rows[0].status == "cancelled")


async def test_no_line_says_of_a_job_what_its_row_does_not_say_any_more(
    make_app: MakeApp, catalog_file: Path
) -> None:
    job = add_job(catalog_file, status="running", stage="registering", done=4, total=16, started=NOW)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "4", "jobs")
        screen: Any = app.screen
        await until(pilot, lambda: "running" in line(screen, "#detail"))
        with Catalog.open(catalog_file) as catalog, catalog.write() as db:
            row = db.get_one(Job, job)
            row.status, row.finished = "done", NOW + timedelta(minutes=1)
        await screen.load()  # nothing else has run since when it comes back
        assert table(app).rows[0].status == "done"
        assert "done" in line(screen, "#detail") and "running" not in line(screen, "#detail")
        assert "▸" not in str(screen.query_one("PlaceBar").render())


async def test_a_running_job_is_cancelled_only_after_a_question(
    make_app: MakeApp, catalog_file: Path
) -> None:
    job = add_job(catalog_file, status="running", started=NOW)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "4", "jobs")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, QuestionScreen))
        await pilot.press("enter", "n", "x", "y")
        await until(pilot, lambda: table(app).rows[0].status == "cancelled")
    with Catalog.open(catalog_file) as catalog:
        assert queue.show(catalog, job).status == "cancelled"


# --- Stacks -------------------------------------------------------------------------------------------------------


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Two results that Stacks finds."""
    common = {
        "status": "done", "target": "M42", "sessions": [2], "integration_s": 160.0, "noise_adu": 3.2, "fwhm_px": 2.5,
        "rejected_fraction": 0.002, "seconds": 4.0, "dark": "a dark", "flat": None, "bias": None, "warnings": [],
        "manifest": "/stacks/m42.json", "preview": "/stacks/m42.png",
        "frames_skipped": [{"path": "/astro/raw_0027.fits", "reason": "only 3 stars match"}],
    }  # fmt: skip
    rows = [{**common, "id": n, "output": f"/stacks/m42_{n}.fits", "frames_used": 14 + n} for n in (1, 2)]
    monkeypatch.setattr("astrotui.tui.screens.stacks._stacks", lambda catalog: rows)
    return rows


async def test_stack_is_seen_zoomed_and_found(make_app: MakeApp, stacks: list[dict[str, Any]]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "5", "stacks")
        asked = app.pictures.asked  # type: ignore[attr-defined]
        await until(pilot, lambda: asked and asked[-1].path == stacks[1]["output"])
        await until(pilot, lambda: "/stacks/m42.png" in line(app.screen, "#where"))
        await pilot.press("z", "z", "right", "down")
        await until(
            pilot, lambda: asked[-1].zoom == 4.0 and asked[-1].center_x > 0.5 and asked[-1].center_y > 0.5
        )
        await pilot.press("w", "right_square_bracket", "n")
        await until(pilot, lambda: asked[-1].look.stretch == "asinh" and asked[-1].look.saturation == 1.25)
        await pilot.press("y")
        shown = await until(pilot, lambda: app.screen.query("#paths") and line(app.screen, "#paths"))
        assert "/stacks/m42_2.fits" in shown and "/stacks/m42.png" in shown and "/stacks/m42.json" in shown
        await pilot.press("escape", "escape")
        await until(pilot, lambda: asked[-1].zoom == 1.0)
        await pilot.press("i")
        await until(
            pilot, lambda: isinstance(app.screen, MessageScreen) and "only 3 stars" in app.screen.message
        )
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.current_mode == "library")


async def test_a_place_that_was_left_asks_for_its_picture_when_it_is_shown_again(
    make_app: MakeApp, stacks: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, read = threading.Event(), threading.Event()
    real = session_picture

    def late(catalog: Any, session_id: int) -> Any:
        assert left.wait(60)
        read.set()
        return real(catalog, session_id)

    monkeypatch.setattr("astrotui.tui.screens.library.session_picture", late)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        asked = app.pictures.asked  # type: ignore[attr-defined]
        library = pilot.app.screen
        await until(pilot, lambda: table(pilot.app).rows)
        await until(pilot, lambda: library.workers and any(w.group == "picture" for w in library.workers))
        await show(pilot, "5", "stacks")
        await until(pilot, lambda: asked)
        left.set()
        picture = library.query_one("#picture", Picture)
        await until(pilot, lambda: read.is_set() and picture.request is not None)
        await pilot.pause()
        assert [request.path for request in asked] == [stacks[1]["output"]]
        await pilot.press("1")
        await until(pilot, lambda: asked[-1].path == picture.request.path)  # type: ignore[union-attr]


async def test_two_stacks_are_compared_at_the_same_place(
    make_app: MakeApp, stacks: list[dict[str, Any]]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "5", "stacks")
        await pilot.press("c", "j")
        asked = app.pictures.asked  # type: ignore[attr-defined]
        await until(pilot, lambda: asked and asked[-1].path == stacks[0]["output"])
        await pilot.press("z", "right")
        await until(pilot, lambda: asked[-1].zoom == 2.0 and asked[-1].center_x > 0.5)
        held = (asked[-1].zoom, asked[-1].center_x)
        await pilot.press("c")
        await until(pilot, lambda: asked[-1].path == stacks[1]["output"])
        assert (asked[-1].zoom, asked[-1].center_x) == held


async def test_a_picture_that_cannot_be_made_says_why(
    make_app: MakeApp, stacks: list[dict[str, Any]]
) -> None:
    for row in stacks:
        row["output"] += ".gone"
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "5", "stacks")
        await until(pilot, lambda: "no such file" in app.screen.query_one(Picture).text)
