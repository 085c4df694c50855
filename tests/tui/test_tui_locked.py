"""While another program keeps the catalogue locked: leaving, what is said, and decisions that wait."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import DecisionBatch
from astrotui.errors import CatalogError
from astrotui.tui.app import AstroApp
from astrotui.tui.screens.edit_form import EditForm
from astrotui.tui.screens.help import HelpScreen
from astrotui.tui.screens.message import MessageScreen
from astrotui.tui.widgets.form import Form
from astrotui.tui.widgets.keys import KeyLine
from tests.tui.conftest import MakeApp, until
from tests.tui.test_tui_frames import open_m42
from tests.tui.test_tui_places import table


@pytest.fixture
def holder(catalog_file: Path) -> Iterator[sqlite3.Connection]:
    """Another program."""
    connection = sqlite3.connect(catalog_file, isolation_level=None)
    yield connection
    connection.close()


def said(app: AstroApp) -> str:
    return str(app.screen_stack[0].query_one(KeyLine).render())


async def test_who_waits_for_a_locked_catalogue_can_leave_at_once(
    make_app: MakeApp, holder: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astrotui.tui.app._PATIENCE_S", 0.05)
    holder.execute("PRAGMA journal_mode=delete")
    holder.execute("BEGIN EXCLUSIVE")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: any("q leaves" in str(note.message) for note in app._notifications))
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    # The end of the program waits for threads of asyncio's.
    await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 10)


async def test_decisions_wait_for_a_locked_catalogue_and_say_so(
    make_app: MakeApp, catalog_file: Path, holder: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astrotui.catalog.connection.BUSY_SECONDS", 0.2)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_m42(pilot)
        first, second = table(app).rows[:2]
        holder.execute("BEGIN IMMEDIATE")
        await pilot.press("x", "x")
        await until(pilot, lambda: "2 changes wait to be written" in said(app))
        await pilot.press("u")
        await until(pilot, lambda: "3 changes wait to be written" in said(app))
        await pilot.pause(1)  # several times longer than a connection waits
        assert not isinstance(app.screen, MessageScreen)
        assert [row.status for row in table(app).rows[:2]] == ["rejected", "rejected"]
        await pilot.press("1")
        await until(pilot, lambda: app.current_mode == "library" and "changes wait" in said(app))
        await pilot.press("2")
        holder.rollback()
        await until(pilot, lambda: [row.status for row in table(app).rows[:2]] == ["rejected", "undecided"])
        await until(pilot, lambda: "Reject" in said(app))
    with Catalog.open(catalog_file) as catalog, catalog.read() as db:
        made = [(one.description, one.state) for one in db.query(DecisionBatch).order_by(DecisionBatch.id)]
    assert made[-2:] == [
        (f"frame {first.sequence} rejected", "done"),
        (f"frame {second.sequence} rejected", "undone"),
    ]


async def test_who_does_not_want_to_wait_leaves_without(
    make_app: MakeApp, holder: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astrotui.catalog.connection.BUSY_SECONDS", 0.2)
    monkeypatch.setattr("astrotui.tui.app._PATIENCE_S", 0.05)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_m42(pilot)
        holder.execute("BEGIN IMMEDIATE")
        await pilot.press("x", "q")
        await until(pilot, lambda: any("q again" in str(note.message) for note in app._notifications))
        await pilot.press("q")
        await until(pilot, lambda: type(app.screen).__name__ == "QuestionScreen")
        await pilot.press("y")
        await until(pilot, lambda: app._exit)
    await asyncio.to_thread(app.store._writer.join, 10)
    assert not any(thread.is_alive() for thread in app.store._writer.threads)


async def test_what_cannot_be_written_is_named_and_taken_back(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise CatalogError("the disk is full")

    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_m42(pilot)
        shown = table(app)
        first = shown.rows[0]
        monkeypatch.setattr("astrotui.library.choose.decide", full)
        await pilot.press("x")
        told = await until(
            pilot, lambda: [one.message for one in app.screen_stack if isinstance(one, MessageScreen)]
        )
        await until(pilot, lambda: {row.status for row in shown.rows} == {"undecided"})
        assert f"frame {first.sequence} rejected" in told[0] and "the disk is full" in told[0]


async def test_a_dialog_that_was_left_before_its_write_ended_closes_nothing_else(
    make_app: MakeApp, holder: sqlite3.Connection
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("e")
        form = await until(pilot, lambda: isinstance(app.screen, EditForm) and app.screen)
        form.query_one(Form)["note"].value = "windy"
        holder.execute("BEGIN IMMEDIATE")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any("1 change waits" in str(note.message) for note in app._notifications))
        await pilot.press("escape", "question_mark")
        screen = await until(pilot, lambda: isinstance(app.screen, HelpScreen) and app.screen)
        holder.rollback()
        await until(pilot, lambda: not app.store.late)
        await pilot.pause()
        assert app.screen is screen
