"""The stack form says what it is about, what to think of first, and always its keys."""

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement, Root, Session
from astrotui.jobs.queue import list_jobs
from astrotui.library.annotate import pin
from astrotui.library.calibrators import session_match
from astrotui.tui.screens.stack_form import StackForm
from astrotui.tui.stacking import form_lines, options_of, read_facts
from astrotui.tui.widgets.form import Form
from tests.tui.conftest import MakeApp, until
from tests.tui.test_tui_frames import line, open_m42
from tests.tui.test_tui_places import table


def change(path: Path, **values: Any) -> list[int]:
    """Give each session the values of its turn; returns the ids."""
    with Catalog.open(path) as catalog, catalog.write() as db:
        sessions = db.query(Session).order_by(Session.id).all()
        for number, session in enumerate(sessions):
            for name, turns in values.items():
                setattr(session, name, turns[number])
        return [session.id for session in sessions]


async def opened(pilot: Pilot[Any], *keys: str) -> Any:
    await until(pilot, lambda: len(table(pilot.app).rows) == 3)
    await pilot.press(*keys, "t")
    form = await until(pilot, lambda: isinstance(pilot.app.screen, StackForm) and pilot.app.screen)
    await until(pilot, lambda: "frames" in line(form, "#heading"))
    return form


async def test_a_key_that_comes_with_the_one_that_moved_is_about_the_new_row(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("home")
        await until(pilot, lambda: app.session_id == table(app).rows[0].id)
        second: Any = table(app).rows[1]
        table(app).action_move(1)  # what a slow line brings in one piece is done before any message is heard
        app.screen.action_stack()
        form: Any = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        assert form.sessions == (second.id,)


@pytest.mark.parametrize("size", [(80, 24), (60, 15)])
async def test_keys_are_shown_whatever_else_there_is_to_say(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        form = await opened(pilot, "space", "space", "space")
        await pilot.press("down", "down", *"x", "ctrl+s")
        await until(pilot, lambda: "not a number" in line(form, "#wrong"))
        await pilot.pause()
        assert "to measure first" in line(form, "#heading") and "cannot be one stack" in line(
            form, "#warnings"
        )
        keys, dialog = form.query_one(".dialog--keys", Static), form.query_one("#stack-form")
        assert keys.region.bottom == dialog.region.bottom - 1 <= size[1] - 1
        assert len(str(keys.render())) <= keys.size.width
        for name in ("#heading", "#wrong"):
            shown = form.query_one(name).region
            assert shown.height == 1 and shown.bottom <= keys.region.y


async def test_an_error_goes_when_its_value_is_changed(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        form = await opened(pilot)
        await pilot.press("down", "down", *"x", "ctrl+s")
        await until(pilot, lambda: "not a number" in line(form, "#wrong"))
        await pilot.press("down", "up")
        await pilot.pause()
        assert "not a number" in line(form, "#wrong")
        await pilot.press("backspace")
        await until(pilot, lambda: not line(form, "#wrong"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"target": ["M 42", "m42", "M42"]}, []),
        ({"target": ["M 45", "M42", "M42"]}, ["2 targets: M 45, M42"]),
        ({"width": [400, 576, 576]}, []),  # each camera has its own size
        ({"filter": ["R", "R", "G"]}, ["filters are mixed up"]),
        ({"cfa": ["RGGB", None, "RGGB"]}, ["a color mosaic"]),
    ],
)
def test_what_marked_sessions_differ_in(catalog_file: Path, values: dict[str, Any], said: list[str]) -> None:
    same = {"target": ["M42"] * 3, "width": [576] * 3, "height": [336] * 3}
    same |= {"cfa": [None] * 3 if "filter" in values else ["RGGB"] * 3, "filter": [None] * 3}
    same |= {"ra_deg": [None] * 3, "dec_deg": [None] * 3}
    ids = change(catalog_file, **(same | values))
    with Catalog.open(catalog_file) as catalog:
        facts = read_facts(catalog, ids)
    texts = [text for _, text in facts.warnings["3 marked"]]
    assert len(texts) == len(said) and all(map(str.startswith, texts, said))
    names = "M 45, M42" if "targets" in "".join(said) else values.get("target", ["M42"])[0]
    assert facts.headings["3 marked"].startswith(f"{names}, 3 sessions: 29 of 30 frames")


async def test_mixed_filters_are_told_once_in_the_words_of_the_form(
    make_app: MakeApp, catalog_file: Path
) -> None:
    same = {"target": ["M42"] * 3, "cfa": [None] * 3, "ra_deg": [None] * 3, "dec_deg": [None] * 3}
    change(catalog_file, filter=["R", "G", "B"], **same)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        form = await opened(pilot, "space", "space", "space")
        said = "split ‹filter› makes one stack of each, mix filters ‹yes› stacks them as one"
        await until(pilot, lambda: said in line(form, "#warnings"))
        words = form.query_one("#warnings")
        shown = "\n".join(strip.text for strip in words.render_lines(words.region.reset_offset))
        assert "as one" in shown
        await pilot.press("ctrl+s")
        await until(pilot, lambda: said in line(form, "#wrong"))
        assert said not in line(form, "#warnings")
        await pilot.press("down", "right")
        await until(pilot, lambda: said in line(form, "#warnings") and not line(form, "#wrong"))


@pytest.mark.parametrize(
    ("shell", "form"),
    [
        (
            "--align comet needs its place: --comet X,Y@FRAME twice",
            "align ‹comet› needs its place: comet X,Y@FRAME twice",
        ),
        ("--drizzle 1.5 --pixfrac 1 would pass", "drizzle ‹1.5› pixfrac 1 would pass"),
        ("--min-score must be between 0 and 100", "min score must be between 0 and 100"),
        ("-o a: --split writes one file a filter", "output a: split writes one file a filter"),
        ("needs 3 MB (--memory); no --plan", "needs 3 MB (memory); no --plan"),
    ],
)
def test_the_form_speaks_of_its_lines(shell: str, form: str) -> None:
    assert Form(form_lines("1GB", Path("/out"), None)).words(shell) == form


async def test_a_reference_has_the_name_that_frames_gives_it(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        frame = screen.table.row
        await pilot.press("t")
        form: Any = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        assert form.form["reference"].choices == ("auto", f"frame {frame.sequence}")
        form.form["reference"].step(1)
        assert options_of(form.form.lines, "1GB")["reference"] == frame.id
        assert f"frame {frame.sequence} has id {frame.id}" in form.form["reference"].meaning
        form.form["reference"].type("7")  # as the shell takes it
        assert options_of(form.form.lines, "1GB")["reference"] == 7


async def test_a_pinned_set_that_does_not_fit_is_told(make_app: MakeApp, catalog_file: Path) -> None:
    with Catalog.open(catalog_file) as catalog:
        with catalog.read() as db:
            session = db.query(Session).filter(Session.target == "M42").one().id
        refused = [
            c.set.id
            for c in session_match(catalog, session).candidates["dark"]
            if c.grade == "refused" and (c.set.width, c.set.height) == (576, 336)
        ]
        pin(catalog, [session], "dark", str(refused[0]))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        form = await opened(pilot, "end")
        await until(pilot, lambda: f"dark set {refused[0]}, pinned by you, does" in line(form, "#warnings"))
        lines = form.query_one(Form)
        while lines.lines[lines.cursor].name != "dark":
            await pilot.press("down")
        await pilot.press("right")
        await until(pilot, lambda: not line(form, "#warnings"))


async def test_how_a_drizzle_will_cover_is_told_before_it_is_queued(
    make_app: MakeApp, catalog_file: Path
) -> None:
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        frames = db.query(Frame).filter(Frame.frame_type == "light").order_by(Frame.id).all()
        first: dict[int | None, int] = {}
        for number, frame in enumerate(frames):  # none moved by a part of a pixel
            reference = first.setdefault(frame.session_id, frame.id)
            place = {
                "reference_id": reference,
                "dx_px": 2.0 * number,
                "dy_px": 0.0,
                "rotation_deg": 0.0,
                "scale": 1.0,
            }
            row = db.get(Measurement, frame.id) or Measurement(
                frame_id=frame.id, version=1, measured=datetime.now(UTC), stars=40
            )
            for name, value in place.items():
                setattr(row, name, value)
            db.add(row)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        form = await opened(pilot)
        lines = form.query_one(Form)
        while lines.lines[lines.cursor].name != "drizzle":
            await pilot.press("down")
        await pilot.press("right", "right")  # 2
        await until(pilot, lambda: "will cover unevenly" in line(form, "#warnings"))
        await pilot.press("down", *"0.3")
        await until(pilot, lambda: "drizzle 2 with pixfrac 0.3" in line(form, "#warnings"))
        await pilot.press("up", "left", "left")
        await until(pilot, lambda: "unevenly" not in line(form, "#warnings"))
        with Catalog.open(catalog_file) as catalog, catalog.write() as db:
            for row in db.query(Measurement).all():
                row.dx_px = row.dy_px = None
        await pilot.press("down", "backspace", "backspace", "backspace", "1", "up", "right")
        await until(pilot, lambda: "foretold once the frames are measured" in line(form, "#meaning"))
        assert form.query_one("#meaning").size.height >= 1


async def test_too_full_a_disk_is_refused_in_the_form(
    make_app: MakeApp, catalog_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "astrotui.jobs.estimates.shutil.disk_usage", lambda place: SimpleNamespace(free=205_000)
    )
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        db.query(Root).one().path = str(tmp_path)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        form = await opened(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "MB and 205 KB are free there" in line(form, "#wrong"))
        assert app.screen is form
    with Catalog.open(catalog_file) as catalog:
        assert list_jobs(catalog) == []


async def test_the_job_counts_the_frames_that_the_form_counts(
    make_app: MakeApp, catalog_file: Path, tmp_path: Path
) -> None:
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        db.query(Root).one().path = str(tmp_path)
        session = db.query(Session).order_by(Session.target).first()
        assert session is not None
        gone, broken, *_ = db.query(Frame).filter(Frame.session_id == session.id, Frame.frame_type == "light")
        gone.missing, broken.quarantine = True, "cut off"
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("home")
        form = await opened(pilot)
        said = re.search(r"(\d+) of (\d+) frames", line(form, "#heading"))
        assert said is not None and int(said[1]) == int(said[2]) - 2
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.current_mode == "jobs" and table(app).rows)
        assert table(app).row.title.endswith(f": {said[1]} frames")
