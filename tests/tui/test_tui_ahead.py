"""Places are made before anybody goes there, styles are parsed once, and the mouse does what keys do."""

from collections.abc import Iterator
from typing import Any

import pytest
from textual.css.stylesheet import Stylesheet

from astrotui.tui.screens.stack_form import StackForm
from astrotui.tui.widgets.bar import PlaceBar
from astrotui.tui.widgets.form import Form
from astrotui.tui.widgets.trend import Trend
from tests.tui.conftest import MakeApp, until
from tests.tui.test_tui_frames import open_m42
from tests.tui.test_tui_places import table

PLACES = {"library", "frames", "darks", "jobs", "stacks"}


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many sources each whole parse of the stylesheets had."""
    found: list[int] = []
    whole = Stylesheet.reparse

    def counted(sheet: Stylesheet) -> None:
        found.append(len(sheet.source))
        whole(sheet)

    monkeypatch.setattr(Stylesheet, "reparse", counted)
    yield found


async def test_places_are_made_ahead_and_nothing_is_parsed_twice(
    make_app: MakeApp, parses: list[int]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: set(app._screen_stacks) >= PLACES)
        made = {mode: app._screen_stacks[mode][0] for mode in PLACES}
        await until(pilot, lambda: all(screen.is_mounted for screen in made.values()))
        assert app.screen_stack[0] is not made["frames"] and app.current_mode == "library"
        before = len(parses)
        for key in "23451":
            await pilot.press(key)
        await until(pilot, lambda: app.current_mode == "library")
        assert {mode: app._screen_stacks[mode][0] for mode in PLACES} == made
        assert len(parses) == before


async def test_a_place_that_was_made_ahead_takes_another_theme(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: set(app._screen_stacks) >= PLACES)
        dark = app._screen_stacks["jobs"][0].styles.background
        await pilot.press("f2")
        await until(pilot, lambda: not app.current_theme.dark)
        light = app.screen.styles.background
        await until(pilot, lambda: app.screen.styles.background.brightness > 0.5)
        await pilot.press("4")
        await until(pilot, lambda: app.current_mode == "jobs" and table(app).loaded)
        assert app.screen.styles.background.brightness > 0.5 > dark.brightness, light


async def test_a_place_writes_only_into_its_own_bar(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: table(app).rows)
        library = app.screen
        await pilot.press("4")
        await until(pilot, lambda: app.current_mode == "jobs" and table(app).loaded)
        library.note("not here")
        assert "not here" in str(library.query_one(PlaceBar).render())
        assert "not here" not in str(app.screen.query_one(PlaceBar).render())


async def test_the_mouse_goes_everywhere(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.click(table(app), offset=(5, 3))
        await until(pilot, lambda: table(app).cursor == 2)
        held = table(app).row.id
        await pilot.click(table(app), offset=(4, 0))  # the heading of the target
        await pilot.click(table(app), offset=(4, 0))
        await until(pilot, lambda: table(app).sorted_by == "target" and table(app).descending)
        assert table(app).row.id == held and table(app).cursor == 0
        await pilot.click(table(app), offset=(5, 1), times=2)
        await until(pilot, lambda: app.current_mode == "frames" and len(table(app).rows) == 16)
        await pilot.click(Trend, offset=(1, 2))
        await until(pilot, lambda: app.screen.frames.place_of(table(app).row) == 0)
        await pilot.click(PlaceBar, offset=(24, 0))
        await until(pilot, lambda: app.current_mode == "darks")
        await pilot.click("KeyLine", offset=(2, 0))
        await until(pilot, lambda: "pinned by you" in str(app.screen.query_one("#head").render()))


async def test_a_value_of_a_form_is_clicked(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        await pilot.press("end", "t")
        screen: Any = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        form = screen.query_one(Form)
        await until(pilot, lambda: form.size.height > 5)
        await pilot.click(form, offset=(form.label + 9, 1))  # the second value of reject
        await until(pilot, lambda: form["reject"].value == "none" and form.cursor == 1)


async def test_any_column_sorts_and_the_cursor_stays(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        screen = await open_m42(pilot)
        await pilot.press("j", "j", "j")
        held = screen.table.row
        assert held is not None
        for column in screen.table.columns:
            for _ in range(2):
                screen.table.sort_by(column.key)
                assert screen.table.sorted_by == column.key and screen.table.row.id == held.id
                values = [column.sort(row) for row in screen.table.rows if column.sort(row) is not None]
                assert values == sorted(values, reverse=screen.table.descending)


@pytest.mark.parametrize(
    ("theme", "changed"), [("astrotui-dark", False), ("astrotui-light", False), ("astrotui-dark", True)]
)
async def test_text_can_be_told_from_its_background(make_app: MakeApp, theme: str, changed: bool) -> None:
    app = make_app(settings={"theme": theme})
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        if changed:
            await until(pilot, lambda: set(app._screen_stacks) >= PLACES)
            await pilot.press("f2")
        light = changed or theme == "astrotui-light"
        for key, mode in zip("23451", ("frames", "darks", "jobs", "stacks", "library"), strict=True):
            await pilot.press(key)
            await until(pilot, lambda mode=mode: app.current_mode == mode and table(app).loaded)
            await until(
                pilot, lambda: all(_readable(widget, light) for widget in app.screen.query("Static")), mode
            )


def _readable(widget: Any, light: bool) -> bool:
    style = widget.visual_style
    ground, letters = style.background.brightness, style.foreground.brightness
    return style.foreground.a > 0.4 and (ground - letters > 0.2 if light else letters - ground > 0.2)
