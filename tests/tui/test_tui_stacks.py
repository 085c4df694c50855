"""Stacks: the look, statistics and provenance, and files for other programs."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Stack
from astrotui.errors import AstrotuiError, UsageError
from astrotui.imaging.stretch import linear_stretch
from astrotui.jobs import queue
from astrotui.rendering.develop import Development
from astrotui.rendering.looks import Look
from astrotui.rendering.protocol import ChannelStatistics, View, ViewRequest
from astrotui.tui.exporting import FORMATS, export_file, free_name, parse_longest
from astrotui.tui.provenance import levels, read_provenance
from astrotui.tui.screens.export_form import ExportForm
from astrotui.tui.screens.look_form import LookForm, look_lines, look_of
from astrotui.tui.screens.message import MessageScreen
from astrotui.tui.widgets.form import Form
from tests.tui.conftest import NOW, FakePictures, MakeApp, until
from tests.tui.test_tui_frames import line
from tests.tui.test_tui_places import show, table

MANIFEST = {
    "astrotui": "0.1.0",
    "digest": "65ce336fe4d2",
    "result": {"width": 576, "height": 336, "planes": 3, "reference": "/astro/raw_0042.fits"},
    "plan": {
        "recipe": {"combine": "average", "low": None},
        "calibrations": [{"reasons": ["dark: /astro/DARK (exact): same exposure, 10 s", "flat: none"]}],
    },
    "frames": [
        {
            "path": "/astro/raw_0042.fits", "used": True, "reason": "", "weight": 1.0, "matched": 40,
            "transform": [1, 0, 0, 0, 1, 0, 0, 0, 1], "factor": [1.0], "offset": [0.0],
        },
        {
            "path": "/astro/raw_0027.fits", "used": False, "reason": "only 3 stars match", "weight": 0.0, "matched": 3,
            "transform": None, "factor": None, "offset": None,
        },
    ],
}  # fmt: skip


@pytest.fixture
def result(catalog_file: Path, tmp_path: Path) -> Path:
    """A result in the catalogue, with its manifest beside it."""
    output = tmp_path / "m42.fits"
    output.write_bytes(b"not read here")
    output.with_suffix(".json").write_text(json.dumps(MANIFEST))
    summary = {
        "reference": None, "dark": "a dark", "flat": None, "bias": None, "integration_s": 160.0, "seconds": 4.0,
        "rejected_fraction": 0.002, "noise_adu": 3.2, "fwhm_px": 2.5, "stages": {}, "warnings": [], "frames_skipped": [],
    }  # fmt: skip
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        db.add(
            Stack(
                created=NOW, tags=[], output=str(output), manifest=str(output.with_suffix(".json")), target="M42",
                sessions=[2], frames_used=15, summary=summary,
            )
        )  # fmt: skip
    return output


async def test_a_picture_is_queued_under_the_look_that_is_shown(
    make_app: MakeApp, catalog_file: Path, result: Path
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "5", "stacks")
        await until(pilot, lambda: table(app).rows)
        await pilot.press("w", "e")
        form = await until(pilot, lambda: isinstance(app.screen, ExportForm) and app.screen)
        await until(pilot, lambda: form.query_one(Form)["file"].free.endswith("m42_picture.png"))
        await pilot.press("right", "down", *"9", "ctrl+s")
        await until(pilot, lambda: "from 16 to 100000" in line(form, "#wrong"))
        await pilot.press(*"00", "ctrl+s")
        await until(pilot, lambda: app.screen is app.screen_stack[0])
    with Catalog.open(catalog_file) as catalog:
        (job,) = queue.list_jobs(catalog)
        payload = queue.payload(catalog, job.id)
    assert job.kind == "render" and payload["output"] == str(result.with_name("m42_picture.jpg"))
    assert payload["size"] == 900 and payload["look"]["stretch"] == "asinh"


async def test_a_table_is_written_and_no_file_is_replaced(make_app: MakeApp, result: Path) -> None:
    out = result.with_name("m42_frames.csv")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "5", "stacks")
        await until(pilot, lambda: table(app).rows)
        await pilot.press("e")
        form = await until(pilot, lambda: isinstance(app.screen, ExportForm) and app.screen)
        await pilot.press("left", "left", "ctrl+s")
        await until(pilot, out.exists)
        assert [row["used"] for row in csv.DictReader(out.open())] == ["1", "0"]
        await pilot.press("e")
        form = await until(pilot, lambda: isinstance(app.screen, ExportForm) and app.screen)
        await pilot.press("down", "down", *str(out), "ctrl+s")
        await until(pilot, lambda: "exists; choose another name" in line(form, "#wrong"))


def test_what_the_command_says_is_the_reason(catalog_file: Path, result: Path) -> None:
    with pytest.raises(AstrotuiError, match="nowhere"):
        export_file(catalog_file, {"id": 1}, "csv", result.parent / "nowhere" / "m42.csv")


@pytest.mark.parametrize("kind", FORMATS)
def test_free_names_are_free(kind: str, tmp_path: Path) -> None:
    first = free_name(tmp_path / "m42.fits", kind)
    first.write_bytes(b"")
    second = free_name(tmp_path / "m42.fits", kind)
    assert first.parent == second.parent == tmp_path and not second.exists() and second.suffix == first.suffix


def test_sizes() -> None:
    assert parse_longest("") is None and parse_longest("1600") == 1600
    for text in ("0", "-3", "big", "1e9"):
        with pytest.raises(UsageError):
            parse_longest(text)


async def test_the_look_follows_each_choice(make_app: MakeApp, result: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "5", "stacks")
        asked = app.pictures.asked  # type: ignore[attr-defined]
        await until(pilot, lambda: asked and asked[-1].path == str(result))
        await pilot.press("o")
        form = await until(pilot, lambda: isinstance(app.screen, LookForm) and app.screen)
        await pilot.press("right", "down", "down", *"0.3")
        await until(pilot, lambda: (asked[-1].look.stretch, asked[-1].look.target) == ("mtf", 0.3))
        await pilot.press(*"x")
        await until(pilot, lambda: "is not a number" in line(form, "#meaning"))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: asked[-1].look == Look())
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.screen_stack[0])


async def test_brightness_changes_under_each_stretch(make_app: MakeApp, result: Path) -> None:
    ramp = np.linspace(0, 0.4, 100, dtype=np.float32).reshape(10, 10)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "5", "stacks")
        asked = app.pictures.asked
        await until(pilot, lambda: asked)
        for stretch in ("auto", "asinh", "ghs", "zscale", "percentile", "linear"):
            await until(pilot, lambda name=stretch: asked[-1].look.stretch == name)
            before = asked[-1].look
            await pilot.press("right_square_bracket", "right_square_bracket")
            await until(pilot, lambda: asked[-1].look.mid < 0.4)
            brighter = Development(asked[-1].look, 1, None, None, linear_stretch())
            plain = Development(before, 1, None, None, linear_stretch())
            row, column = np.arange(10.0), np.arange(10.0)
            image = ramp[np.newaxis]
            assert (
                brighter.show(image, row, column)[0].mean() > 1.2 * plain.show(image, row, column)[0].mean()
            )
            await pilot.press("left_square_bracket", "left_square_bracket")
            await until(pilot, lambda: asked[-1].look.mid == 0.5)
            assert asked[-1].look == before
            await pilot.press("w")


def test_every_choice_of_a_look_is_in_its_form() -> None:
    look = Look(stretch="ghs", target=0.3, rotate=90, flip="vertical", saturation=1.5)
    assert look_of(look_lines(look)) == look and look_of(look_lines(Look())) == Look()


async def test_info_says_where_a_result_comes_from(make_app: MakeApp, result: Path) -> None:
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        await show(pilot, "5", "stacks")
        await until(pilot, lambda: "reference: raw_0042.fits" in line(app.screen, "#facts"))
        await pilot.press("i")
        message = await until(pilot, lambda: isinstance(app.screen, MessageScreen) and app.screen.message)
        assert "recipe: combine average" in message and "none used: flat" in message
        assert "15 frames" in message and "noise 3.20 ADU" in message


async def test_the_line_under_the_picture_is_not_cut(make_app: MakeApp, result: Path) -> None:
    app = make_app()
    whole = FakePictures.view
    notes = ("background: quadratic (97% sky)", "color: balanced on 141 stars", "R G B times 1.00 1.00 1.00")

    async def view(self: FakePictures, request: ViewRequest, **options: Any) -> View:
        return replace(await whole(self, request, **options), notes=notes)

    app.pictures.view = view.__get__(app.pictures)  # type: ignore[attr-defined, method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, "5", "stacks")
        await until(pilot, lambda: notes[1] in line(app.screen, "#where"))
        told, path = line(app.screen, "#where").split("\n")
        assert told == f"x1 auto · {notes[0]} · {notes[1]}"
        assert path.endswith("/m42.fits") and len(path) <= 78
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, MessageScreen))
        assert notes[2] in app.screen.message


def test_what_is_empty_in_a_recipe_is_left_out(tmp_path: Path) -> None:
    manifest = tmp_path / "m42.json"
    recipe = {"combine": "average", "low": None, "comet": [], "pixfrac": 1.0, "min_score": 0}
    manifest.write_text(json.dumps(MANIFEST | {"plan": {"recipe": recipe, "calibrations": []}}))
    told = read_provenance(str(manifest))
    assert "recipe: combine average, pixfrac 1.0, min_score 0" in told


def test_a_manifest_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert "cannot be read" in read_provenance(str(tmp_path / "gone.json"))[0]
    (tmp_path / "odd.json").write_text("[]")
    assert "cannot be read" in read_provenance(str(tmp_path / "odd.json"))[0]
    assert read_provenance(None) == []


def test_levels_of_each_channel(pictured_view: View) -> None:
    assert levels(pictured_view)[1:] == [
        "R 64.0 ± 14.7, 2 to 4847",
        "G 96.0 ± 13.0, 41 to 4538",
        "B 75.8 ± 14.7, 15 to 4611",
    ]
    assert levels(None) == []


@pytest.fixture
def pictured_view() -> Any:
    from astrotui.rendering.cells import CellPicture

    numbers = (
        (2.0, 4847.0, 70.0, 64.0, 14.7),
        (41.0, 4538.0, 99.0, 96.0, 13.0),
        (15.0, 4611.0, 80.0, 75.8, 14.7),
    )
    statistics = tuple(ChannelStatistics(*row) for row in numbers)
    return View(CellPicture(0, 0, (), b""), 2, 2, (0, 0, 2, 2), 1.0, statistics=statistics)
