"""What dialogs and places tell: paths to copy, the meaning of lines, what a cull leaves, whose darks are missing."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import CalibrationSet, Frame, Session
from astrotui.errors import CatalogError
from astrotui.tui.choosing import short_name
from astrotui.tui.reading import rejected_before
from astrotui.tui.screens.cull import CullScreen
from astrotui.tui.screens.help import HelpScreen
from astrotui.tui.screens.message import MessageScreen
from astrotui.tui.screens.stack_form import StackForm
from astrotui.tui.screens.where import WhereScreen, plain_lines
from astrotui.tui.store import Store
from astrotui.tui.widgets.form import Form
from astrotui.tui.widgets.page import Page
from tests.tui.conftest import MakeApp, until
from tests.tui.test_tui_frames import line, open_m42
from tests.tui.test_tui_places import table


async def test_each_path_can_be_copied(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    app = make_app()
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        app.push_screen(WhereScreen("Two", {"result": "/a/long path.fits", "manifest": "/a/b.json"}))
        await until(pilot, lambda: isinstance(app.screen, WhereScreen) and copied)
        await pilot.press("2", "3")
        await until(pilot, lambda: copied == ["/a/long path.fits", "/a/b.json"])
        await pilot.press("y")  # no terminal to write to here
        await until(pilot, lambda: any("not possible" in str(note.message) for note in app._notifications))


def test_a_path_outside_of_the_app_is_one_line() -> None:
    path = "/mnt/nas/" + "a long folder/" * 30 + "stack.fits"
    assert path in plain_lines("Stack 1", {"result": path, "manifest": "/b"}).splitlines()


async def test_the_stack_form_explains_its_lines(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("t")
        form = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        form.query_one("#form").action_move(30)  # where text can be typed
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and app.screen.query(Page))
        text = "\n".join(strip.text for strip in app.screen.query_one(Page).strips)
        assert (
            "what makes a frame count more" in text and "Queue the stack" in text and "Everywhere" not in text
        )
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is form)
        assert form.form["output"].value == ""


async def test_a_cull_says_to_the_second_what_is_left(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_m42(pilot)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CullScreen) and app.screen.plan)
        await until(pilot, lambda: "left: 13 frames, 2m10s, worth" in line(app.screen, "#consequences"))


async def test_the_key_that_leaves_is_the_one_that_is_shown(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: any(note.message.startswith("q quits") for note in app._notifications))


def test_a_long_name_of_a_frame_says_that_it_is_cut() -> None:
    frame: Any = SimpleNamespace(sequence=None, path="/a/M31_FOV_o_20251115-224116988_14C.fits")
    assert short_name(frame) == "…" + "_20251115-224116988_14C"


async def test_gaps_are_those_of_the_session(make_app: MakeApp, catalog_file: Path) -> None:
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        for held in db.query(CalibrationSet).filter(CalibrationSet.camera.like("%ASI%")):
            held.exposure_s = 1.0
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("end", "d")
        await until(pilot, lambda: "no dark need be shot" in line(app.screen, "#gaps"))
        await pilot.press("w")
        await until(pilot, lambda: "worth shooting, as no exact dark" in line(app.screen, "#gaps"))


def test_what_was_rejected_before_a_stack(catalog_file: Path) -> None:
    stack = {"sessions": [2], "frames_used": 12, "frames_skipped": [{"path": "a", "reason": "b"}]}
    with Catalog.open(catalog_file) as catalog:
        with catalog.write() as db:
            frames = (
                db.query(Frame)
                .filter(Frame.session_id == 2, Frame.frame_type == "light")
                .order_by(Frame.id)
                .all()
            )
            count = len(frames)
            stack["frames_used"] = count - 4
            for frame, why in zip(frames, (["clouded"], ["clouded"], []), strict=False):
                frame.decision, frame.reasons = "rejected", why
        said = rejected_before(catalog, stack)
        assert said == f"not given to it: 3 of {count} lights, rejected before: 2 clouded; 1 by hand"
        assert rejected_before(catalog, stack | {"frames_used": count - 5}).endswith("rejected before")
        assert rejected_before(catalog, stack | {"frames_used": count}) == ""


async def test_help_is_not_cut_off_at_80_columns(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("t")
        form = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        lines = form.query_one(Form).lines
        await pilot.press("question_mark")
        screen = await until(pilot, lambda: isinstance(app.screen, HelpScreen) and app.screen)
        page = screen.query_one(Page)
        await until(pilot, lambda: page.size.width)
        assert all(strip.cell_length <= page.size.width for strip in page.strips)
        told = " ".join(" ".join(strip.text for strip in page.strips).split())
        assert max(len(one.meaning) for one in lines) > 70
        assert all(one.meaning in told for one in lines)


async def test_a_long_message_keeps_its_keys_in_sight(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        app.push_screen(MessageScreen("Long", "\n".join(f"line {n}" for n in range(60)), wide=True))
        await until(
            pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen.query(".dialog--hint")
        )
        hint = app.screen.query_one(".dialog--hint")
        await until(pilot, lambda: 0 < hint.region.bottom <= 23)
        await pilot.press("end")
        await until(pilot, lambda: app.screen.query_one(".dialog--body").scroll_offset.y > 30)


@pytest.mark.parametrize("new", [False, True])
async def test_only_a_catalogue_that_is_there_is_called_busy(
    make_app: MakeApp, catalog_file: Path, monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    monkeypatch.setattr("astrotui.tui.app._PATIENCE_S", 0.05)
    opening, may_end, told = asyncio.Event(), asyncio.Event(), []

    async def slow(store: Store) -> None:
        opening.set()
        await may_end.wait()
        raise CatalogError("it is damaged")

    monkeypatch.setattr(Store, "open", slow)
    app = make_app(catalog_file.parent / "none.sqlite" if new else catalog_file)
    monkeypatch.setattr(app, "notify", lambda text, **options: told.append(text))
    monkeypatch.setattr(app, "clear_notifications", lambda: told.append("gone"))
    async with app.run_test(size=(80, 24)) as pilot:
        if not new:
            await until(pilot, lambda: told)
            assert "busy" in told[0]
        await opening.wait()
        await pilot.pause(0.3)
        may_end.set()
        await until(pilot, lambda: type(app.screen).__name__ == "TroubleScreen")
        assert told[-1:] == ["gone"] and any("busy" in text for text in told) is not new


async def test_a_session_that_tells_nothing_is_named_by_its_number(
    make_app: MakeApp, catalog_file: Path
) -> None:
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        session = db.query(Session).filter(Session.target == "M 45").one()
        for name in ("target", "night", "exposure_s", "gain", "temperature_c"):
            setattr(session, name, None)
        number = session.id
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        table(app).go_to(number)
        await pilot.press("d")
        said = f"dark for session {number} without a target (exposure and gain unknown): none fits"
        await until(pilot, lambda: line(app.screen, "#head") == said)
