"""Composing in Stacks: marks, which stack is which color, and the job."""

from pathlib import Path
from typing import Any

import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Session, Stack
from astrotui.errors import OutputError, UsageError
from astrotui.jobs import queue
from astrotui.tui.composing import compose_lines, guess, payload_of, queue_composition
from astrotui.tui.screens.compose_form import ComposeForm
from astrotui.tui.widgets.form import Form
from tests.tui.conftest import NOW, MakeApp, until
from tests.tui.test_tui_frames import line
from tests.tui.test_tui_places import show, table

SUMMARY = {
    "reference": None, "dark": None, "flat": None, "bias": None, "integration_s": 160.0, "seconds": 4.0, "planes": 1,
    "rejected_fraction": 0.002, "noise_adu": 3.2, "fwhm_px": 2.5, "stages": {}, "warnings": [], "frames_skipped": [],
}  # fmt: skip
FILTERS = ("Blue", "R", "green")  # of sessions 1, 2, 3


@pytest.fixture
def stacks(catalog_file: Path, tmp_path: Path) -> Path:
    """Stacks 1 to 3 of single filters, and stack 4 that has colors."""
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        for session, name in zip(db.query(Session).order_by(Session.id), FILTERS, strict=True):
            session.filter, session.cfa, session.cfa_phase = name, None, None
        for number in (1, 2, 3, 4):
            output = tmp_path / f"s{number}.fits"
            output.write_bytes(b"not read here")
            db.add(
                Stack(
                    created=NOW, tags=[], output=str(output), manifest=None, target="M 51", frames_used=10,
                    sessions=[min(number, 3)], summary=SUMMARY | {"planes": 3 if number == 4 else 1},
                )
            )  # fmt: skip
    return tmp_path


def stack(number: int, planes: int = 1) -> dict[str, Any]:
    return {"id": number, "planes": planes, "output": f"/out/s{number}.fits", "target": "M 51"}


async def test_marked_stacks_are_composed_by_their_filters(
    make_app: MakeApp, catalog_file: Path, stacks: Path
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "5", "stacks")
        await until(pilot, lambda: len(table(app).rows) == 4)
        await pilot.press("j", "t")
        await until(pilot, lambda: any("other filters" in str(note.message) for note in app._notifications))
        await pilot.press("space", "space", "space", "t")
        screen = await until(pilot, lambda: isinstance(app.screen, ComposeForm) and app.screen)
        form = screen.query_one(Form)
        chosen = {each.name: each.value for each in form.lines}
        assert chosen["palette"] == "rgb" and [chosen[letter] for letter in "RGB"] == ["2", "3", "1"]
        await pilot.press("down")
        await until(pilot, lambda: "stack 2: M 51, filter R, 10 frames" in line(screen, "#meaning"))
        await pilot.press("up", "right")
        await until(pilot, lambda: [each.name for each in form.lines][1:5] == list("LRGB"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "chosen twice" in line(screen, "#wrong"))
        await pilot.press("left", "ctrl+s")
        await until(pilot, lambda: app.screen is app.screen_stack[0])
        assert not app.screen.marked
    with Catalog.open(catalog_file) as catalog:
        job = queue.list_jobs(catalog)[0]
        wanted = {"palette": "rgb", "images": [str(stacks / f"s{n}.fits") for n in (2, 3, 1)]}
        assert job.kind == "compose" and queue.payload(catalog, job.id).items() >= wanted.items()


async def test_a_color_stack_is_split_into_its_lines(
    make_app: MakeApp, catalog_file: Path, stacks: Path
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "5", "stacks")
        await until(pilot, lambda: len(table(app).rows) == 4)
        await pilot.press("t")
        screen = await until(pilot, lambda: isinstance(app.screen, ComposeForm) and app.screen)
        assert [each.name for each in screen.query_one(Form).lines] == [
            "palette",
            "color",
            "balance",
            "output",
        ]
        await pilot.press("right", "ctrl+s")
        await until(pilot, lambda: app.screen is app.screen_stack[0])
    with Catalog.open(catalog_file) as catalog:
        job = queue.list_jobs(catalog)[0]
        assert queue.payload(catalog, job.id)["palette"] == "split"
        (stacks / "s4_Ha.fits").write_bytes(b"")
        with pytest.raises(OutputError, match="s4_Ha"):
            queue_composition(catalog, queue.payload(catalog, job.id))


@pytest.mark.parametrize(
    ("letters", "palette"),
    [
        ("", "hoo"),
        ("RGB", "rgb"),
        ("LRGB", "lrgb"),
        ("SHO", "sho"),
        ("HO", "hoo"),
        ("???", "rgb"),
        ("HRGB", "sho"),
    ],
)
def test_the_palette_that_filters_mean(letters: str, palette: str) -> None:
    stacks = [stack(number) for number in range(max(len(letters), 1))]
    known = {number: None if letter == "?" else letter for number, letter in enumerate(letters)}
    assert guess(stacks, known) == palette


def test_a_role_without_a_filter_takes_a_stack_that_no_other_has() -> None:
    stacks = [stack(1), stack(2), stack(3)]
    lines = compose_lines("rgb", stacks, {1: "L", 2: "B", 3: "R"})
    assert {line.name: line.value for line in lines if line.name in "RGB"} == {"R": "3", "G": "1", "B": "2"}


def test_stacks_that_do_not_fit_are_told() -> None:
    mono, color = [stack(1), stack(2), stack(3, planes=3)], [stack(1)]
    with pytest.raises(UsageError, match="stack 3 is a color image already"):
        payload_of(compose_lines("rgb", mono, {1: "R", 2: "G", 3: "B"}), mono)
    with pytest.raises(UsageError, match="stack 1 has one filter"):
        payload_of(compose_lines("hoo", color, {1: None}), color)
