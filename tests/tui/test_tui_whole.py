"""What holds in every place: start, trouble with the catalogue, help, palette, themes, small terminals, leaving."""

import sqlite3
from pathlib import Path

import pytest
from textual.command import CommandPalette

from astrotui.catalog.database import Catalog
from astrotui.errors import CatalogError
from astrotui.tui.app import AstroApp
from astrotui.tui.screens.help import HelpScreen
from astrotui.tui.screens.message import MessageScreen
from astrotui.tui.screens.pages import Page, PagesScreen, lay_out, topics
from astrotui.tui.screens.trouble import TroubleScreen
from astrotui.tui.themes import THEMES
from astrotui.tui.widgets.bar import PlaceBar
from astrotui.tui.widgets.keys import KeyLine
from astrotui.tui.widgets.table import Cell, Column, RowTable
from astrotui.tui.work import start
from tests.tui.conftest import MakeApp, until
from tests.tui.test_tui_places import show, table

PLACES = (("1", "library"), ("2", "frames"), ("3", "darks"), ("4", "jobs"), ("5", "stacks"))
# What must be named at the bottom of 80 columns.
NAMED = {
    "library": ("Frames", "Measure", "Stack", "Darks", "Filter"),
    "frames": ("Reject", "Accept", "Undo", "Cull", "Stack", "Measure"),
    "darks": ("Pin", "Unpin", "Stack"),
    "jobs": ("Log", "Cancel", "Retry"),
    "stacks": ("Zoom", "Stretch", "Export"),
}


def keys_line(app: AstroApp) -> str:
    return str(app.screen.query_one(KeyLine).render())


async def test_every_place_names_its_keys_and_helps(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: table(app).rows)
        for key, mode in PLACES:
            await pilot.press(key)
            await until(pilot, lambda mode=mode: app.current_mode == mode and table(app).loaded)
            line = keys_line(app)
            assert all(word in line for word in NAMED[mode]), line
            assert line.rstrip().endswith("? Help  q Quit") and len(line) <= 82
            await pilot.press("question_mark")
            screen = await until(pilot, lambda: isinstance(app.screen, HelpScreen) and app.screen)
            rows = [text for _, text in screen._keys()]
            assert len(rows) == len(set(rows)) or rows.count("") == len(rows) - len(set(rows)) + 1
            assert not any("Scroll" in str(row) or "Focus" in str(row) or "Copy" in str(row) for row in rows)
            assert any("Leave" in str(row) for row in rows) and any("Row down" in str(row) for row in rows)
            await pilot.press("escape")
            await until(pilot, lambda mode=mode: app.screen is app.screen_stack[0])


async def test_palette_has_what_the_app_does(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "2", "frames")
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        for title in (
            "Go to Darks", "Stack the session", "Measure (m)", "Cull (c)", "Index again",
            "Light or dark theme",
            "Help pages", "Sort by FWHM",
        ):  # fmt: skip
            assert commands[title].help
        assert [title for title in commands if "Measure" in title] == ["Measure (m)"]
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"go to jobs")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "jobs")


async def test_light_and_dark(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: table(app).rows)
        assert app.current_theme.dark
        await pilot.press("f2")
        assert not app.current_theme.dark
        await pilot.press("f2")
        assert app.current_theme.dark


async def test_help_pages_are_read_in_the_app(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: table(app).rows)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, PagesScreen) and app.screen.query_one(Page).strips)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.screen_stack[0])


@pytest.mark.parametrize("topic", topics())
def test_help_pages_fit_their_width(topic: str) -> None:
    strips = lay_out(topic, 56)
    assert len(strips) > 3 and max(strip.cell_length for strip in strips) <= 56


def _contrast(one: str, other: str) -> float:
    """As WCAG has it: 4.5 and more can be read."""

    def luminance(color: str) -> float:
        parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("topic", topics())
def test_help_pages_can_be_read_in_the_light_theme(topic: str) -> None:
    styles = {segment.style for strip in lay_out(topic, 76, dark=False) for segment in strip if segment.style}
    back = THEMES[1].panel
    assert back is not None and any(style.color for style in styles)
    for style in styles:
        assert style.bgcolor is None or style.bgcolor.is_default
        if style.color is not None and not style.color.is_default:
            assert _contrast(style.color.get_truecolor().hex, back) >= 4.5, style


@pytest.mark.parametrize("size", [(50, 24), (80, 10)])
async def test_a_small_terminal_says_so(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: table(app).rows)
        bar = app.screen.query_one(PlaceBar)
        assert "too small" in str(bar.render()) and bar.size.height == size[1] and not table(app).size.height
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: table(app).size.height > 5)
        assert bar.size.height == 1 and "Library" in str(bar.render())


async def test_leaving_closes_everything(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: table(app).rows)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert app.pictures.closed  # type: ignore[attr-defined]
    lanes = (app.store._writer, app.store._reader)
    assert not any(thread.is_alive() for lane in lanes for thread in lane.threads)


# --- a catalogue that cannot be opened --------------------------------------------------------------------------


async def trouble(app: AstroApp, *words: str) -> None:
    """The app explains itself, tries again when asked, and leaves when asked."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await until(pilot, lambda: isinstance(app.screen, TroubleScreen) and app.screen)
        assert all(word in screen.reason for word in words), screen.reason
        await pilot.press("r")
        again = await until(
            pilot, lambda: isinstance(app.screen, TroubleScreen) and app.screen is not screen and app.screen
        )
        assert again.reason == screen.reason and not [
            s for s in app.screen_stack if isinstance(s, MessageScreen)
        ]
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


async def test_a_damaged_catalogue_is_explained(make_app: MakeApp, tmp_path: Path) -> None:
    path = tmp_path / "damaged.sqlite"
    path.write_bytes(b"this is no database" * 100)
    await trouble(make_app(path), "not a catalogue", "--catalog")


async def test_a_catalogue_of_a_newer_program_is_explained(make_app: MakeApp, catalog_file: Path) -> None:
    with sqlite3.connect(catalog_file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    await trouble(make_app(), "newer")


async def test_a_network_file_system_is_explained(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astrotui.catalog.prepare.file_system", lambda path: (Path("/mnt/nas"), "nfs4"))
    await trouble(make_app(), "network file system", "nfs4", "--catalog")


async def test_a_locked_catalogue_is_waited_for_explained_and_left(
    make_app: MakeApp, catalog_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astrotui.catalog.connection.BUSY_SECONDS", 0.2)
    holder = sqlite3.connect(catalog_file, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await until(pilot, lambda: isinstance(app.screen, TroubleScreen) and app.screen)
        assert "locked" in screen.reason
        holder.rollback()
        holder.close()
        await pilot.press("r")
        await until(pilot, lambda: table(app).rows)


async def test_trouble_later_is_told_once(
    make_app: MakeApp, catalog_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: table(app).rows)

        def broken(catalog: Catalog) -> int:
            raise CatalogError("the disk failed")

        monkeypatch.setattr(Catalog, "data_version", broken)
        await until(pilot, lambda: isinstance(app.screen, MessageScreen))
        await pilot.press("r")  # not a key of the dialog
        assert sum(isinstance(screen, MessageScreen) for screen in app.screen_stack) == 1


async def test_trouble_that_goes_on_leaves_its_dialog_closed(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing it has the place read again, which fails as before."""
    app, asked = make_app(), []
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: table(app).rows)

        def broken(catalog: Catalog) -> None:
            asked.append(catalog)
            raise CatalogError("the catalogue is damaged")

        await until(pilot, lambda: app.pictures.asked)  # type: ignore[attr-defined]
        monkeypatch.setattr(Catalog, "read", broken)  # but what tells of changes can be read
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, MessageScreen))
        count = len(asked)
        await pilot.press("escape")
        await until(pilot, lambda: len(asked) > count)
        await pilot.pause()
        assert not isinstance(app.screen, MessageScreen)
        await pilot.press("r")  # who asks is told again
        await until(pilot, lambda: isinstance(app.screen, MessageScreen))


async def test_an_error_that_nobody_foresaw_is_logged_and_told(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    async def broken() -> None:
        raise ZeroDivisionError("a mistake")

    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: table(app).rows)
        start(app, broken, group="test")
        dialog = await until(pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen)
        (log,) = (tmp_path / "state").rglob("app.log")
        assert dialog.message == f"ZeroDivisionError: a mistake\nThe log has the details: {log}"
        assert "in broken" in log.read_text()


# --- the table ----------------------------------------------------------------------------------------------------


class Rows(RowTable[tuple[int, str]]):
    """Numbers with words."""


def rows_table() -> Rows:
    columns: list[Column[tuple[int, str]]] = [
        Column("number", "Number", 7, lambda r: str(r[0]), lambda r: r[0], "right"),
        Column("word", "Word", 8, lambda r: Cell(r[1], "bad"), lambda r: r[1] or None),
    ]
    return Rows(columns, key=lambda r: r[0], id="rows")


async def test_a_hundred_thousand_rows_are_only_drawn_where_seen(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        rows = rows_table()
        await app.screen.mount(rows, before=0)
        drawn: list[int] = []
        rows.columns[0] = Column(
            "number", "Number", 7, lambda r: drawn.append(r[0]) or str(r[0]), lambda r: r[0]
        )
        rows.set_rows([(n, "") for n in range(100_000)])
        rows.focus()
        await pilot.pause()
        await pilot.press("G")
        await pilot.pause()
        assert rows.row == (99_999, "") and len(set(drawn)) < 200


async def test_unknown_values_sort_last_and_hostile_text_is_harmless(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        rows = rows_table()
        await app.screen.mount(rows, before=0)
        rows.set_rows([(1, ""), (2, "b"), (3, "星雲 \x1b[31mred\x07"), (4, "a")])
        rows.sort_by("word")
        await pilot.pause()
        assert [row[0] for row in rows.rows] == [4, 2, 3, 1]
        rows.sort_by("word")
        assert [row[0] for row in rows.rows] == [3, 2, 4, 1]
        for y in range(5):
            strip = rows.render_line(y)
            assert (
                strip.cell_length == rows.size.width and "\x1b" not in strip.text and "\x07" not in strip.text
            )
