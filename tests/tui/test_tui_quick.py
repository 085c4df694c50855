"""What keeps the app quick: sessions before the database layer, one painting of a place that comes, garbage in pauses."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual._compositor import Compositor
from textual._styles_cache import StylesCache
from textual.widget import Widget

from astrotui.catalog.database import Catalog
from astrotui.library.listing import list_sessions
from astrotui.tui import sweeping
from astrotui.tui.store import Store
from astrotui.tui.sweeping import Sweeper
from astrotui.tui.widgets.lines import PlainLines
from tests.tui.conftest import MakeApp, until
from tests.tui.test_tui_ahead import PLACES
from tests.tui.test_tui_places import table


async def test_sessions_come_before_the_catalogue_is_open(
    make_app: MakeApp, catalog_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_open, opened, whole = asyncio.Event(), [], Store.open

    async def late(store: Store) -> None:
        await may_open.wait()
        await whole(store)
        opened.append(store)

    monkeypatch.setattr(Store, "open", late)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        first = list(table(app).rows)
        await pilot.press("j")
        await until(pilot, lambda: table(app).cursor == 1)
        assert not opened and app.session_id == first[1].id
        may_open.set()
        await until(pilot, lambda: set(app._screen_stacks) >= PLACES)
        assert table(app).rows == first and table(app).cursor == 1
    with Catalog.open(catalog_file) as catalog:
        assert first == list_sessions(catalog)


async def test_a_damaged_catalogue_is_told_once(make_app: MakeApp, catalog_file: Path) -> None:
    catalog_file.write_bytes(b"SQLite format 3\0" + bytes(5000))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: type(app.screen).__name__ == "TroubleScreen")
        assert len(app.screen_stack) == 2


@pytest.fixture
def paintings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Each time that a whole screen was painted."""
    found: list[Any] = []
    whole = Compositor.render_full_update

    def counted(compositor: Compositor, simplify: bool = False) -> Any:
        found.append(compositor)
        return whole(compositor, simplify)

    monkeypatch.setattr(Compositor, "render_full_update", counted)
    yield found


async def test_only_the_place_or_dialog_that_comes_is_painted(
    make_app: MakeApp, paintings: list[Any]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: set(app._screen_stacks) >= PLACES)
        for key, there in (
            ("4", lambda: app.current_mode == "jobs"),
            ("question_mark", lambda: app.screen.is_modal),
        ):
            paintings.clear()
            await pilot.press(key)
            await until(pilot, lambda there=there: there() and paintings)
            await pilot.pause(0.2)
            assert {id(painted) for painted in paintings} == {id(app.screen._compositor)}


async def test_a_place_is_not_painted_before_it_hears_that_it_comes(
    make_app: MakeApp, paintings: list[Any]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: set(app._screen_stacks) >= PLACES)
        for mode in ("jobs", "library", "jobs"):  # made ahead; left before; left before
            await pilot.pause(0.2)
            paintings.clear()
            app.switch_mode(mode)
            assert app.current_mode == mode
            app.screen._repaint_required = True
            app.screen._on_timer_update()  # as it happens where the message waits for longer than a frame
            assert not paintings
            await until(pilot, lambda: paintings)
            await pilot.pause(0.2)
            assert {id(painted) for painted in paintings} == {id(app.screen._compositor)}


async def test_a_place_that_was_away_has_the_size_that_the_terminal_has(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: set(app._screen_stacks) >= PLACES)
        await pilot.resize_terminal(100, 30)
        await pilot.press("4")
        await until(pilot, lambda: app.current_mode == "jobs" and app.screen.size == (100, 30))
        await until(pilot, lambda: table(app).size.width == 100)


def test_old_garbage_is_looked_at_in_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    now, counts, collected, done = [100.0], [(5, 0, 0)], [], []

    class Collector:
        disable = staticmethod(lambda: None)
        enable = staticmethod(lambda: done.append("enable"))
        freeze = staticmethod(lambda: done.append("freeze"))
        set_threshold = staticmethod(lambda *most: done.append(most))
        get_count = staticmethod(lambda: counts[0])
        collect = staticmethod(collected.append)

    monkeypatch.setattr(sweeping, "gc", Collector)
    monkeypatch.setattr(sweeping.time, "monotonic", lambda: now[0])
    sweeper = Sweeper()
    counts[0] = (900, 50, 50)
    assert sweeper.look() is None and not done  # while the app is not complete
    sweeper.begin()
    assert (
        done[0] == "freeze" and done[2] == "enable" and min(done[1][1:]) > 100_000
    )  # the old ones never by itself
    assert sweeper.look() is None  # a key was just pressed
    now[0] += 1
    assert sweeper.look() == 0
    now[0] += 10
    assert sweeper.look() == 1
    now[0] += 100
    assert sweeper.look() == 2
    sweeper.touch()
    assert sweeper.look() is None
    now[0] += 1000
    counts[0] = (10, 50, 5)
    assert sweeper.look() is None  # nothing new
    assert collected == [0, 1, 2]


def test_a_read_of_many_rows_stops_nobody_for_long() -> None:
    """As the collector of a whole process is set, this runs in one of its own."""
    code = """
import gc, time
from astrotui.tui.sweeping import Sweeper
from astrotui.tui.widgets.lines import PlainLines
Sweeper().begin()
looked, begun = [], [0.0]
def told(phase, info):
    if phase == "start": begun[0] = gc.get_count()[0]
    else: looked.append((info["generation"], begun[0]))
gc.callbacks.append(told)
kept = [[n] for n in range(200_000)]
assert max(count for _, count in looked) < 10_000, looked
assert {generation for generation, _ in looked} == {0}, looked
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("keys", ["1", "2", "3", "4", "t"])
async def test_lines_are_those_that_textual_makes(make_app: MakeApp, keys: str) -> None:
    """And they are taken without its work where the styles add nothing, which is in most widgets."""
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: set(app._screen_stacks) >= PLACES)
        await pilot.press(keys)
        await pilot.pause(0.3)
        plain = 0
        for widget in [app.screen, *app.screen.walk_children(Widget)]:
            if isinstance(widget._styles_cache, PlainLines) and widget.region:
                whole = widget.region.reset_offset
                ours, theirs = widget.render_lines(whole), StylesCache().render_widget(widget, whole)
                for mine, other in zip(ours, theirs, strict=True):
                    assert list(mine.simplify()) == list(other.simplify()), widget
                plain += bool(widget._styles_cache.plain)
        assert plain >= 2


async def test_a_border_is_drawn_when_it_comes(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: table(app).rows)
        assert "Target" in table(app).render_lines(table(app).region.reset_offset)[0].text
        table(app).styles.border = ("solid", "red")
        table(app).notify_style_update()
        await pilot.pause(0.3)
        assert table(app).render_lines(table(app).region.reset_offset)[0].text.startswith("┌─")
