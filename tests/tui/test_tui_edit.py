"""Names, types, notes, ratings and tags from the app: the same functions as `astrotui set`."""

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from astrotui.catalog.database import Catalog
from astrotui.errors import UsageError
from astrotui.library.listing import list_frames, list_sessions
from astrotui.tui.editing import KEEP, changes_of, edit_lines, known_of
from astrotui.tui.screens.edit_form import EditForm
from astrotui.tui.widgets.form import Form
from tests.tui.conftest import MakeApp, until
from tests.tui.test_tui_frames import line, open_m42
from tests.tui.test_tui_places import table


async def opened(pilot: Pilot[Any], key: str = "e") -> Any:
    await pilot.press(key)
    return await until(pilot, lambda: isinstance(pilot.app.screen, EditForm) and pilot.app.screen)


async def test_a_session_is_named_rated_and_tagged(make_app: MakeApp, catalog_file: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        held = table(app).row.id
        screen = await opened(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "nothing was changed" in line(screen, "#wrong"))
        await pilot.press("ctrl+u", *"NGC", "space", *"7000")
        screen.query_one(Form).action_move(4)  # the note
        await pilot.press(
            *"haze", "down", "right", "right", "right", "down", *"keep", "space", *"best", "ctrl+s"
        )
        await until(pilot, lambda: app.screen is app.screen_stack[0])
        await until(pilot, lambda: any(r.id == held and r.target == "NGC 7000" for r in table(app).rows))
        table(app).go_to(held)
        await until(pilot, lambda: "★★★ · #keep #best · haze" in line(app.screen, "#facts"))
    with Catalog.open(catalog_file) as catalog:
        record = next(r for r in list_sessions(catalog) if r.id == held)
        assert (record.target, record.note, record.rating, record.tags) == (
            "NGC 7000",
            "haze",
            3,
            ("keep", "best"),
        )


async def test_marked_sessions_are_edited_together(make_app: MakeApp, catalog_file: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("space", "space")
        screen = await opened(pilot)
        assert screen.query_one(Form)["target"].value == ""  # they differ
        await pilot.press("down", *"Ha", "ctrl+s")
        await until(pilot, lambda: app.screen is app.screen_stack[0])
        await until(pilot, lambda: sum(r.filter == "Ha" for r in table(app).rows) == 2)
    with Catalog.open(catalog_file) as catalog:
        assert len({r.target for r in list_sessions(catalog)}) == 3  # nothing else was changed


async def test_a_wrong_type_of_a_frame_is_corrected(make_app: MakeApp, catalog_file: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        place = await open_m42(pilot)
        frame = place.table.row.id
        screen = await opened(pilot)
        assert [each.name for each in screen.query_one(Form).lines] == [
            "type",
            "pattern",
            "note",
            "rating",
            "tags",
        ]
        await pilot.press("right", "right")  # dark
        await pilot.press("question_mark")
        await until(pilot, lambda: type(app.screen).__name__ == "HelpScreen")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(place.table.rows) == 15)
    with Catalog.open(catalog_file) as catalog:
        assert frame not in {record.id for record in list_frames(catalog, [app.session_id or 0])}


def test_only_what_was_changed_is_written() -> None:
    known = known_of(
        "sessions", "", [{"id": 1, "target": "M 1", "note": "a", "rating": 2, "tags": ["x", "y"]}]
    )
    lines = {each.name: each for each in edit_lines(known)}
    assert lines["type"].value == KEEP and lines["rating"].value == "2" and lines["tags"].value == "x y"
    lines["rating"].value, lines["tags"].value, lines["note"].value = "none", "y z", ""
    changes = changes_of(known, list(lines.values()))
    assert (changes.corrections, changes.note, changes.rating) == ({}, "", 0)
    assert (changes.tags, changes.untags) == (("z",), ("x",))
    with pytest.raises(UsageError, match="nothing was changed"):
        changes_of(known, edit_lines(known))
