"""A comet is marked in pictures of two frames, or typed, and the stack form takes its places as the shell does."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from astrotui.errors import UsageError
from astrotui.rendering.service import View, ViewRequest
from astrotui.tui.screens.comet import CometScreen
from astrotui.tui.screens.stack_form import StackForm
from astrotui.tui.stacking import form_lines, options_of
from astrotui.tui.widgets.form import Form, Line
from astrotui.tui.widgets.pointer import Pointer
from tests.tui.conftest import FakePictures, MakeApp, until
from tests.tui.test_tui_frames import line, open_m42
from tests.tui.test_tui_places import table


def typed(**values: str) -> list[Line]:
    lines = form_lines("1GB", Path("/tmp"), None)
    for one in lines:
        one.value = values.get(one.name, one.value)
    return lines


def test_places_that_were_typed_reach_the_recipe() -> None:
    recipe = options_of(typed(align="comet", comet="812,430.5@1043  845,401@1070"), "1GB")["recipe"]
    assert recipe.align == "comet"
    assert recipe.comet == ((812.0, 430.5, 1043), (845.0, 401.0, 1070))


@pytest.mark.parametrize(
    ("align", "places", "said"),
    [
        ("comet", "", "in two frames, not in 0"),
        ("comet", "812,430@1043", "in two frames, not in 1"),
        ("comet", "812,430", "write X,Y@FRAME"),
        ("auto", "812,430@1043 845,401@1070", "for --align comet"),
    ],
)
def test_what_is_wrong_with_them_is_said(align: str, places: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        options_of(typed(align=align, comet=places), "1GB")


async def test_a_comet_that_was_marked_in_two_frames_is_followed(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        marked = []
        for keys in (["right", "down", "enter"], ["z", "shift+left", "enter"]):
            marked.append(screen.table.row.id)
            await pilot.press("M")
            shown = await until(pilot, lambda: isinstance(app.screen, CometScreen) and app.screen)
            pointer = shown.query_one(Pointer)
            await until(pilot, lambda s=shown: "x " in line(s, "#place"))
            before = pointer.place
            for key in keys:
                await pilot.press(key)
                await until(pilot, lambda p=pointer: p.view is not None and p.shown is p.request)
            assert pointer.place != before
            await until(pilot, lambda: app.screen is screen)
            await pilot.press("t" if len(marked) == 1 else "j")
            if len(marked) == 1:  # one mark tells no way yet
                form = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
                assert form.query_one(Form)["align"].value == "auto"
                await pilot.press("escape", "j")
        await pilot.press("t")
        form = await until(pilot, lambda: isinstance(app.screen, StackForm) and app.screen)
        lines = form.query_one(Form)
        assert lines["align"].value == "comet"
        places = options_of(lines.lines, "1GB")["recipe"].comet
        assert [place[2] for place in places] == marked
        # The picture is 576x336: one cell right and half a line down of its middle.
        assert places[0][0] > 287.5 and places[0][1] > 167.5 and places[1][0] < 287.5


@pytest.mark.parametrize("bottom_up", [False, True])
async def test_the_cross_is_where_the_place_is(make_app: MakeApp, bottom_up: bool) -> None:
    app = make_app()
    view = FakePictures.view

    async def turned(self: FakePictures, request: ViewRequest, **options: Any) -> View:
        return replace(await view(self, request, **options), bottom_up=bottom_up)

    app.pictures.view = turned.__get__(app.pictures)  # type: ignore[attr-defined, method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(table(app).rows) == 3)
        frame: Any = SimpleNamespace(
            id=7, sequence=7, width=1152, height=672
        )  # a mosaic: shown at half its size
        app.push_screen(CometScreen(frame, ViewRequest("/astro/a.fits", 0, 0), (100.0, 80.0, 7)))
        shown: Any = await until(pilot, lambda: isinstance(app.screen, CometScreen) and app.screen)
        pointer = shown.query_one(Pointer)
        await until(pilot, lambda: pointer.stored is not None)
        assert pointer.stored == pytest.approx(
            (100.0, 80.0)
        )  # what was marked before, whatever the file's first row is
        await pilot.click(pointer, offset=(10, 4))
        await until(pilot, lambda: pointer._cell() == (10, 4))
        arms = [y for y in range(pointer.size.height) if pointer.render_line(y).text[10] == "│"]
        assert arms == [2, 3, 5, 6] and pointer.render_line(4).text[7:9] == "──"
        x, y = pointer.stored
        wide, high = 1152 / pointer.view.cells.columns, 672 / pointer.view.cells.rows
        assert x == pytest.approx(10.5 * wide - 0.5)
        assert y == pytest.approx(671 - (4.5 * high - 0.5) if bottom_up else 4.5 * high - 0.5)
