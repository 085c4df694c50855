"""`stack --drizzle`: what is said before it begins, and which words are refused."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement
from astrotui.config import catalog_path

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--drizzle", "4"), "--drizzle must be between 1 and 3, not 4"),
        (("--drizzle", "2", "--pixfrac", "0"), "--pixfrac must be between 0.1 and 1, not 0"),
        (("--pixfrac", "0.5"), "needs --drizzle SCALE"),
        (("--drizzle", "2", "--combine", "median"), "leave out --combine median"),
        (("--drizzle", "2", "--debayer", "superpixel"), "leave out --debayer superpixel"),
    ],
)
def test_wrong_words_get_one_line(run: Run, samples: Path, words: tuple[str, ...], told: str) -> None:
    run("index", samples)
    ran = run("stack", "m42", "--no-start", *words)
    assert ran.code == 2 and told in ran.err and len(ran.err.strip().splitlines()) == 1


def test_the_coverage_is_told_before_anything_is_queued(run: Run, samples: Path, tmp_path: Path) -> None:
    run("index", samples)
    ran = run("stack", "m42", "--drizzle", "2", "--no-start", "-o", tmp_path / "a.fits")
    assert ran.code == 0 and "foretold once the frames are measured" in ran.err
    with Catalog.open(catalog_path()) as catalog, catalog.write() as db:
        for number, frame in enumerate(db.query(Frame).filter(Frame.frame_type == "light")):
            db.add(
                Measurement(
                    frame_id=frame.id, version=1, measured=datetime(2025, 6, 1, tzinfo=UTC), stars=80, reference_id=1,
                    dx_px=0.37 * number, dy_px=-0.21 * number, rotation_deg=0.01 * number, scale=1.0,
                )
            )  # fmt: skip
    ran = run(
        "stack",
        "m42",
        "--drizzle",
        "3",
        "--pixfrac",
        "0.2",
        "--no-start",
        "--json",
        "-o",
        tmp_path / "c.fits",
    )
    assert ran.code == 0 and ran.json["kind"] == "stack"
    assert ran.err.startswith("warning: drizzle 3 with pixfrac 0.2: 16 frames will cover unevenly")
    assert "would pass" in ran.err or "more frames are needed" in ran.err
    assert "drizzle" not in run("stack", "m42", "--no-start", "-o", tmp_path / "b.fits").err
