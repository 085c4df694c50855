"""A composition is written and listed among the results, by the shell's function and as a job."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from astropy.io import fits
from PIL import Image

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Stack
from astrotui.config import places
from astrotui.errors import AstrotuiError, UsageError
from astrotui.jobs import queue
from astrotui.jobs.compose import compose, outputs_of
from astrotui.library.compositions import record_composition
from astrotui.library.stacks import list_stacks
from tests.stacking.test_compose import write


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return [write(tmp_path, letter) for letter in "RGB"]


def known(catalog: Catalog, images: list[Path]) -> None:
    """List the images as stacks of sessions 1, 2, 3."""
    with catalog.write() as db:
        for number, image in enumerate(images, 1):
            db.add(
                Stack(
                    created=datetime.now(UTC), tags=[], output=str(image), target="M 51", sessions=[number],
                    frames_used=10 * number, summary={"integration_s": 100.0 * number},
                )
            )  # fmt: skip


def test_a_composition_of_stacks_is_listed(tmp_path: Path, images: list[Path]) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        known(catalog, images)
        made = compose(catalog, "rgb", images, None)
        assert (
            made.outputs == (tmp_path / "R_rgb.fits",) and made.outputs[0].exists() and made.made is not None
        )
        newest = list_stacks(catalog)[0]
    assert (newest["id"],) == made.stacks and newest["status"] == "done" and newest["target"] == "M 51"
    assert (
        newest["sessions"] == [1, 2, 3] and newest["frames_used"] == 60 and newest["integration_s"] == 600.0
    )
    picture = tmp_path / "R_rgb.png"
    assert made.previews == (picture,) and newest["preview"] == str(picture)
    assert Image.open(picture).size == (480, 360)
    assert newest["composed"] == {"palette": "rgb", "stacks": [1, 2, 3]}
    assert (newest["width"], newest["height"], newest["planes"]) == (480, 360, 3)


def test_a_picture_that_is_there_stays(tmp_path: Path, images: list[Path]) -> None:
    mine = tmp_path / "out.png"
    mine.write_bytes(b"mine")
    made = compose(None, "rgb", images, tmp_path / "out.fits")
    [preview] = made.previews
    assert (
        mine.read_bytes() == b"mine" and preview is not None and preview.parent == places().data / "previews"
    )
    assert Image.open(preview).size == (480, 360)
    assert any("out.png: exists already" in text and str(preview) in text for text in made.warnings)


def test_images_that_nobody_knows_are_composed_and_not_listed(tmp_path: Path, images: list[Path]) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        known(catalog, images[:2])
        made = compose(catalog, "rgb", images, tmp_path / "out.fits")
        assert made.stacks == () and made.outputs[0].exists() and len(list_stacks(catalog)) == 2
    assert compose(None, "rgb", images, tmp_path / "again.fits").stacks == ()


def test_a_job_lists_each_output_once(tmp_path: Path, images: list[Path]) -> None:
    outs = [tmp_path / "R_Ha.fits", tmp_path / "R_OIII.fits"]
    facts = {"palette": "split", "size": (480, 360), "seconds": 1.0}
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        known(catalog, images)
        job = queue.enqueue(catalog, "compose", {})
        first = record_composition(catalog, outs, images[:1], job_id=job, **facts)  # type: ignore[arg-type]
        again = record_composition(catalog, outs, images[:1], job_id=job, **facts)  # type: ignore[arg-type]
        assert first == again and len(first) == 2
        assert {stack["planes"] for stack in list_stacks(catalog)[:2]} == {1}


def test_where_compositions_go(tmp_path: Path) -> None:
    first = tmp_path / "a.fits"
    assert outputs_of("sho", [first], None) == (tmp_path / "a_sho.fits",)
    assert outputs_of("sho", [first], tmp_path) == (tmp_path / "a_sho.fits",)
    assert outputs_of("split", [first], None) == (tmp_path / "a_Ha.fits", tmp_path / "a_OIII.fits")
    with pytest.raises(UsageError, match="one color stack"):
        outputs_of("split", [first, first], None)


def test_a_split_makes_its_folder_and_leaves_none_when_it_fails(tmp_path: Path, images: list[Path]) -> None:
    new = tmp_path / "new"
    with pytest.raises(AstrotuiError):
        compose(None, "split", images[:1], new)  # a mono image has no lines
    assert not new.exists()
    made = compose(None, "split", [write(tmp_path, "L", planes=3)], new)
    assert [path.name for path in made.outputs] == ["L_Ha.fits", "L_OIII.fits"] and made.outputs[0].exists()
    with pytest.raises(UsageError, match="must name a folder"):
        compose(None, "split", images[:1], tmp_path / "out.fits")


def test_filters_that_were_mixed_up_are_said(tmp_path: Path, images: list[Path]) -> None:
    for image, name in zip(images, ("Blue", "Green", "Red"), strict=True):
        fits.setval(image, "FILTER", value=name)
    said = compose(None, "rgb", images, tmp_path / "out.fits").warnings
    assert said == (
        "R.fits: its filter is Blue, and it was given as R; rgb takes R, G, B in this order",
        "B.fits: its filter is Red, and it was given as B; rgb takes R, G, B in this order",
    )
    assert compose(None, "rgb", images[::-1], tmp_path / "right.fits").warnings == ()


@pytest.mark.parametrize(("name", "lines"), [("IRCUT", False), ("Duo-Band", True), (None, True)])
def test_two_lines_of_a_broad_filter_are_told_of(tmp_path: Path, name: str | None, lines: bool) -> None:
    image = write(tmp_path, "L", planes=3)
    if name:
        fits.setval(image, "FILTER", value=name)
    for palette in ("hoo", "split"):
        said = compose(
            None, palette, [image], tmp_path / f"{palette}.fits" if palette == "hoo" else None
        ).warnings
        assert (said == ()) == lines
        assert lines or "L.fits: its filter IRCUT is no dual-band one" in said[0]
