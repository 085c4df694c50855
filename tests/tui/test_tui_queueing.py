"""Jobs that the app starts beside stacks: a plate solver, a watch; and what it says of them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Job, Root
from astrotui.jobs import queue
from astrotui.jobs.records import JobRecord
from astrotui.jobs.watch_loop import Orders
from astrotui.stacking.recipe import Recipe
from astrotui.tui.follow import running_words, working
from astrotui.tui.provenance import describe
from astrotui.tui.screens.message import MessageScreen, QuestionScreen
from tests.tui.conftest import NOW, MakeApp, add_job, until
from tests.tui.test_tui_frames import line
from tests.tui.test_tui_places import show, stacks, table

__all__ = ["stacks"]  # a fixture
FIELD = {
    "ra_deg": 83.75, "dec_deg": -5.375, "width_deg": 2.9, "height_deg": 1.63, "scale_arcsec": 3.11, "rotation_deg": 1.5,
    "mirrored": False, "objects": ["M 42", "M 43"], "solver": "astap", "cards": [], "named": "M 42", "target": "M 42",
}  # fmt: skip


def jobs_of(path: Path, kind: str) -> list[tuple[int, dict[str, Any]]]:
    with Catalog.open(path) as catalog:
        found = [job.id for job in queue.list_jobs(catalog) if job.kind == kind]
        return [(job, queue.payload(catalog, job)) for job in found]


async def test_without_a_plate_solver_it_is_said_what_is_needed(
    make_app: MakeApp, catalog_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("P")
        dialog = await until(pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen)
        assert "solve-field and ASTAP" in dialog.message
    assert jobs_of(catalog_file, "solve") == []


@pytest.fixture
def solver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astrotui.frames.solver.find_solver", lambda: Path("/usr/bin/astap"))


async def test_marked_sessions_are_solved_and_the_answer_is_told(
    make_app: MakeApp, catalog_file: Path, solver: None
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("space", "space", "P")
        marked = sorted(app.screen.marked)
        found = await until(pilot, lambda: jobs_of(catalog_file, "solve"))
        job, payload = found[0]
        assert sorted(payload["sessions"]) == marked and len(marked) == 2 and not payload["stacks"]
        solved = [
            {"session": 1, "solved": True, **FIELD},
            {"session": 2, "solved": False, "reason": "too few stars"},
        ]
        with Catalog.open(catalog_file) as catalog, catalog.write() as db:
            row = db.get_one(Job, job)
            row.status, row.result = "done", {"solved": solved}
        dialog = await until(pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen)
        assert "05h35.0m -05d22m, 2.90 x 1.63 degrees" in dialog.message
        assert "with M 42, M 43. It is named M 42 now." in dialog.message
        assert "session 2: not found: too few stars" in dialog.message


async def test_a_result_is_solved(
    make_app: MakeApp, catalog_file: Path, solver: None, stacks: list[dict[str, Any]]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "5", "stacks")
        await pilot.press("P")
        found = await until(pilot, lambda: jobs_of(catalog_file, "solve"))
        assert found[0][1]["stacks"] == [table(app).row["id"]] and not found[0][1]["sessions"]


def test_a_result_tells_what_it_reused_and_where_it_is(stacks: list[dict[str, Any]]) -> None:
    counts = {"measurements": 16, "masters": 1, "registrations": 0}
    told = "\n".join(describe({**stacks[0], "reused": counts, "wcs": FIELD}))
    assert "reused: 16 measurements, 1 master" in told and "registration" not in told
    assert "in the sky: 05h35.0m -05d22m" in told
    plain = "\n".join(describe({**stacks[0], "reused": None, "wcs": None}))
    assert "reused" not in plain and "in the sky" not in plain


async def test_a_session_is_watched_once_after_a_question(
    make_app: MakeApp, catalog_file: Path, tmp_path: Path
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        session = table(app).row
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, QuestionScreen))
        await pilot.press("y")
        dialog = await until(pilot, lambda: type(app.screen) is MessageScreen and app.screen)
        assert "is the disk mounted?" in dialog.message  # nothing is there in the tests
        await pilot.press("escape")
        (tmp_path / Path(session.path).relative_to("/astro")).mkdir(parents=True)
        with Catalog.open(catalog_file) as catalog, catalog.write() as db:
            db.query(Root).one().path = str(tmp_path)
        for _ in range(2):
            await pilot.press("w")
            await until(pilot, lambda: isinstance(app.screen, QuestionScreen))
            await pilot.press("y")
            await until(pilot, lambda: any("watches" in str(note.message) for note in app._notifications))
            app.clear_notifications()
        ((_, payload),) = jobs_of(catalog_file, "watch")
        assert payload["sessions"] == [session.id] and Path(payload["folders"][0]).is_dir()
        Orders(**payload["orders"]), Recipe(**payload["recipe"])
        assert payload["options"]["memory"] > 10**8


async def test_a_watch_is_seen_among_jobs(make_app: MakeApp, catalog_file: Path) -> None:
    add_job(
        catalog_file,
        kind="watch",
        title="watch M42",
        status="running",
        stage="watching",
        done=12,
        total=0,
        started=NOW,
    )
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "4", "jobs")
        text = "".join(segment.text for segment in table(app).render_line(1))
        assert "watching, 12 frames in" in text
        await until(pilot, lambda: "watch M42 · running · watching" in line(app.screen, "#detail"))


def test_how_far_the_whole_job_is_where_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def job(number: int, stage: str, done: int, total: int, eta_s: float | None) -> JobRecord:
        record: Any = JobRecord
        values = dict.fromkeys(JobRecord.__dataclass_fields__)
        known = {
            "id": number,
            "status": "running",
            "stage": stage,
            "done": done,
            "total": total,
            "eta_s": eta_s,
        }
        return record(**{**values, **known, "attempts": 1, "started": NOW})  # type: ignore[no-any-return]

    monkeypatch.setattr("astrotui.jobs.records.now", lambda: NOW + timedelta(seconds=60))
    watch = job(1, "watching", 12, 0, None)
    assert running_words([watch, job(2, "stacking", 1, 10, 60.0)]) == "50%+1 "
    # A stage that ended says nothing of the job.
    assert (
        running_words([job(2, "masters", 1, 1, 0.0)])
        == running_words([job(2, "kernels", 0, 1, None)])
        == "▸ "
    )
    assert working([job(2, "kernels", 0, 1, None)], "measure") == ""
    told = [replace(job(2, "kernels", 0, 1, None), kind="measure")]
    assert working(told, "measure") == "measuring: kernels (compiled once)"
