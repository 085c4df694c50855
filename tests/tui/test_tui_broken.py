"""Files that were broken before they were ever read: the job and the session say which they are, and why."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from textual.widgets import Log

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Job
from astrotui.jobs.tasks import run_index
from astrotui.tui.screens.frames import FramesPlace
from astrotui.tui.screens.jobs import JobsPlace
from tests.tui.conftest import REPOSITORY, MakeApp, add_job, until
from tests.tui.test_tui_frames import line
from tests.tui.test_tui_places import table

LIGHTS = REPOSITORY / "sample_sessions" / "NINA" / "2025-04-02" / "M 51" / "LIGHT"


async def test_broken_files_are_told_and_shown(
    make_app: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, path = tmp_path / "root" / "LIGHT", tmp_path / "new.sqlite"
    folder.mkdir(parents=True)
    for number, light in enumerate(sorted(LIGHTS.iterdir())):
        data = light.read_bytes()
        (folder / light.name).write_bytes(data[:20_000] if number == 3 else b"" if number == 5 else data)
    results: list[dict[str, Any]] = []
    payload = {"roots": [str(folder.parent)]}
    with Catalog.open(path) as catalog, caplog.at_level(logging.INFO):
        run_index(cast(Any, SimpleNamespace(
            catalog=catalog, payload=payload, progress=lambda *_: None, set_result=results.append,
            log=logging.getLogger("astrotui.jobs"),
        )))  # fmt: skip
    said = caplog.text
    assert (
        "8 frames and 2 unusable files in" in said
        and "2 files quarantined" in said
        and "truncated" in said
        and "empty" in said
    )
    job = add_job(path, kind="index", title="index 1 folder", status="queued", payload=payload)
    app = make_app(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "! 2 quarantined, " in line(app.screen, "#facts"))
        assert "8 of 10 lights" in line(app.screen, "#facts")
        await until(pilot, lambda: app.live)
        app.follower.add(job)
        with Catalog.open(path) as catalog, catalog.write() as db:
            row = db.get_one(Job, job)
            row.status, row.result, row.log = "done", results[0], str(tmp_path / "job.log")
        (tmp_path / "job.log").write_text(said)
        told = "2 files quarantined: l in Jobs (4) says which and why"
        await until(pilot, lambda: any(told in str(note.message) for note in app._notifications))
        await pilot.press("4")
        await until(pilot, lambda: isinstance(app.screen, JobsPlace) and table(app).rows)
        await until(pilot, lambda: "2 files quarantined, not usable" in line(app.screen, "#detail"))
        await until(pilot, lambda: "2 quarantined" in str(table(app).render_line(1).text))
        await pilot.press("l")
        log = app.screen.query_one(Log)
        await until(pilot, lambda: len(log.lines) > 4)
        assert "the file is empty" in " ".join(" ".join(log.lines).split())
        assert all(len(part) < 79 for part in log.lines)  # nothing is beyond the edge
        await pilot.press("1", "enter")
        await until(pilot, lambda: isinstance(app.screen, FramesPlace) and len(table(app).rows) == 10)
        why = [", ".join(frame.why) for frame in table(app).rows if frame.status == "quarantined"]
        assert len(why) == 2 and any("truncated" in text for text in why)
