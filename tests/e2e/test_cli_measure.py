"""Judging and choosing through the shell: measure, cull, decide, undo over restarts, decisions as CSV."""

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement
from astrotui.config import catalog_path
from tests.e2e.conftest import Shell

M42 = "DWARF_II/Astronomy/DWARF_RAW_M42_EXP_10_GAIN_60_2025-01-25-21-13-52-418"


def statuses(shell: Shell) -> str:
    return "".join(frame["status"][0] for frame in shell("frames", "m42", "--json").json)


def test_from_measuring_to_a_choice(shell: Shell, samples: Path, tmp_path: Path) -> None:
    assert shell("index", samples / "DWARF_II").code == 0
    early = shell("cull", "m42", "--preset", "balanced", "--dry-run")
    assert early.code == 1 and early.err == (
        "astrotui: nothing is measured yet: `astrotui measure m42` comes first\n"
    )
    done = shell("measure", "--json")
    assert done.code == 0, done.err
    assert done.json["measured"] == 16 and done.json["problems"] == []
    assert shell("measure").out == "nothing to measure\n"
    assert shell("measure", "m42", "--json").json["kept"] == 16
    # The exact dark of the library was made into a master and used.
    with Catalog.open(catalog_path()) as catalog, catalog.read() as db:
        digests = set(db.scalars(select(Measurement.dark_digest)))
    assert len(digests) == 1 and None not in digests
    frames = shell("frames", "m42", "--json").json
    low = {frame["sequence"] for frame in frames if frame["score"] < 45}
    assert low == {24, 27, 36}
    table = list(csv.DictReader(io.StringIO(shell("frames", "m42", "--csv").out)))
    assert [float(row["score"]) for row in table] == [frame["score"] for frame in frames]

    dry = shell("cull", "m42", "--preset", "balanced", "--dry-run")
    assert dry.code == 0 and "3 of 16 frames would go" in dry.out and "2 clouded" in dry.out
    assert statuses(shell) == "u" * 16
    assert shell("accept", "m42", "sequence:24", "--json").json["changed"] == 1
    culled = shell("cull", "m42", "--preset", "balanced", "--json").json
    assert (culled["done"], culled["rejected"], culled["kept_by_person"]) == (True, 2, 1)
    assert set(culled["counts"]) >= {"clouded", "trailed"} and culled["worth"]["kept"] == 14
    rejected = shell("reject", "m42", "sequence:0", "--json").json
    assert rejected["changed"] == 1 and rejected["worth"]["against_all_mag"] < 0
    chosen = statuses(shell)
    assert sorted(chosen) == sorted("a" + "r" * 3 + "u" * 12)

    # Decisions leave as CSV and come back as one step; undo works over any number of processes.
    out = shell("decisions", "m42", "--export", tmp_path / "d.csv", "--json").json
    assert out["decisions"] == 4
    again = shell("decisions", "m42", "--export", tmp_path / "d.csv")
    assert again.code == 1 and "exists" in again.err
    assert len(shell("undo", "9", "--json").json["descriptions"]) == 3
    assert statuses(shell) == "u" * 16
    dry = shell("decisions", "m42", "--import", tmp_path / "d.csv", "--dry-run", "--json").json
    assert (dry["changed"], dry["matched"]) == (4, 4) and statuses(shell) == "u" * 16
    assert shell("decisions", "m42", "--import", tmp_path / "d.csv", "--json").json["changed"] == 4
    assert statuses(shell) == chosen
    assert len(shell("undo", "--json").json["descriptions"]) == 1
    assert statuses(shell) == "u" * 16
    assert shell("redo", "--json").json["changed"] == 4 and statuses(shell) == chosen
    listed = shell("decisions", "m42", "--json").json
    assert {r["by"] for r in listed if r["stands"]} == {"person", "preset"}
    assert shell("decisions", "m42", "--import", tmp_path / "no.csv").code == 1
    assert shell("decisions", "m42", "--export", "-", "--json").code == 2


def test_over_forty_percent_needs_a_second_yes(shell: Shell, samples: Path, tmp_path: Path) -> None:
    night = tmp_path / "night"
    shutil.copytree(samples / M42, night)
    for path in sorted(night.glob("raw_*.fits"))[1:]:
        if path.stem[-4:] not in ("0024", "0027", "0036"):
            path.unlink()
    assert shell("index", night).code == 0 and shell("measure", night).code == 0
    asked = shell("cull", night, "--preset", "balanced", "--json")
    assert asked.code == 1 and asked.err.count("\n") == 1 and "--yes" in asked.err
    assert (asked.json["done"], asked.json["needs_yes"]) == (False, True) and asked.json["share"] >= 0.5
    assert shell("cull", night, "--preset", "balanced").code == 1
    assert not [f for f in shell("frames", night, "--json").json if f["status"] == "rejected"]
    done = shell("cull", night, "--preset", "balanced", "--yes", "--json")
    assert done.code == 0 and done.json["done"]


def test_bad_frames_are_told_and_a_mended_one_comes_back(shell: Shell, samples: Path, tmp_path: Path) -> None:
    night = tmp_path / "night"
    shutil.copytree(samples / M42, night)
    frames = sorted(night.glob("raw_*.fits"))
    for extra in frames[6:]:
        extra.unlink()
    good = frames[2].read_bytes()
    with fits.open(frames[2], mode="update") as hdus:
        hdus[0].data[:] = 0
    with fits.open(frames[3], mode="update") as hdus:
        rng = np.random.default_rng(1)
        hdus[0].data[:] = rng.normal(300, 8, hdus[0].data.shape)
    shell("index", night)
    done = shell("measure", night, "--json")
    assert done.code == 0 and done.json["quarantined"] == 1
    listed = {f["sequence"]: f for f in shell("frames", night, "--json").json}
    black, cloud = listed[6], listed[9]
    assert (black["status"], black["reasons"], black["score"]) == ("quarantined", ["black frame"], 0)
    assert (cloud["status"], cloud["reasons"], cloud["score"]) == ("undecided", ["no stars"], 0)
    frames[2].write_bytes(good)
    shell("index", night)
    assert shell("measure", night, "--json").json["measured"] == 1
    mended = {f["sequence"]: f for f in shell("frames", night, "--json").json}[6]
    assert mended["status"] == "undecided" and mended["score"] > 50


@pytest.mark.parametrize("words", [("measure", "nothing-like-it"), ("cull", "x", "--preset", "harsh")])
def test_words_that_mean_nothing(shell: Shell, words: tuple[str, ...]) -> None:
    done = shell(*words)
    assert done.code in (1, 2) and done.out == "" and done.err.count("\n") == 1


def test_sessions_that_somebody_looks_at_go_first(shell: Shell, samples: Path) -> None:
    """What a running job asks the queue for."""
    from types import SimpleNamespace

    from astrotui.jobs.queue import enqueue
    from astrotui.jobs.tasks import _wanted

    with Catalog.open(catalog_path()) as catalog:
        running = enqueue(catalog, "measure", {"sessions": [1, 2]}, priority=0)
        enqueue(catalog, "measure", {"sessions": [3]}, priority=0)
        enqueue(catalog, "stack", {"sessions": [4]}, priority=9)
        enqueue(catalog, "measure", {"sessions": [2, 5]}, priority=4)
        enqueue(catalog, "measure", {"sessions": [7]}, priority=5)
        work = SimpleNamespace(catalog=catalog, job_id=running)
        assert _wanted(work) == [7, 2, 5]  # type: ignore[arg-type]
        with catalog.read() as db:
            assert db.scalars(select(Frame)).all() == []


def test_files_that_are_gone_are_named_and_nothing_is_called_done(
    shell: Shell, samples: Path, tmp_path: Path
) -> None:
    night = tmp_path / "night"
    shutil.copytree(samples / M42, night)
    shell("index", night)
    for frame in night.glob("raw_*.fits"):
        frame.unlink()
    done = shell("measure", night)
    assert done.code == 1 and "nothing could be measured" in done.err and "raw_" in done.err
    done = shell("stack", night, "-o", tmp_path / "out.fits")
    assert done.code == 1 and "the file is gone" in done.err and "not measured" not in done.err
