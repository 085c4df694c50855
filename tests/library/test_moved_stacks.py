"""Results that were moved are found again where they are indexed; stacks never become lights."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Job, Stack
from astrotui.errors import QueryError
from astrotui.library.index import index_roots
from astrotui.library.listing import list_sessions
from astrotui.library.stacks import list_stacks
from tests.library.conftest import WriteFrame

PLAN = hashlib.sha256(b"a plan").hexdigest()


def write_result(path: Path, plan: str = PLAN) -> None:
    header = fits.Header()
    header.update(
        {
            "IMAGETYP": "STACK",
            "SWCREATE": "astrotui 0.1.0",
            "PLANDGST": plan[:32],
            "STACKCNT": 20,
            "EXPTIME": 10.0,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(np.zeros((3, 16, 24), np.float32), header).writeto(path)
    path.with_suffix(".json").write_text(json.dumps({"astrotui": "0.1.0", "digest": plan, "name": path.name}))
    path.with_suffix(".png").write_bytes(b"picture")


def record(catalog: Catalog, output: Path, plan: str | None = None, content: str | None = None) -> None:
    manifest = output.with_suffix(".json")
    with catalog.write() as db:
        job = Job(kind="stack", status="done", created=datetime.now(UTC), plan_digest=plan) if plan else None
        if job is not None:
            db.add(job)
            db.flush()
        db.add(
            Stack(
                job_id=job.id if job else None, created=datetime.now(UTC), output=str(output), manifest=str(manifest),
                manifest_digest=hashlib.sha256(manifest.read_bytes()).hexdigest(), preview=str(output.with_suffix(".png")),
                sessions=[1], frames_used=20,
                summary={"content_digest": content}, note="good", tags=[],
            )
        )  # fmt: skip


def move(old: Path, new: Path, suffixes: tuple[str, ...] = (".fits", ".json", ".png")) -> None:
    new.parent.mkdir(parents=True, exist_ok=True)
    for suffix in suffixes:
        old.with_suffix(suffix).rename(new.with_suffix(suffix))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    path = tmp_path / "results" / "M51.fits"
    write_result(path)
    return path


def only(catalog: Catalog) -> dict[str, Any]:
    (stack,) = list_stacks(catalog)
    return stack


def test_a_moved_stack_is_found_by_its_manifest(catalog: Catalog, tmp_path: Path, output: Path) -> None:
    record(catalog, output)
    new = tmp_path / "archive" / "2025" / "whirlpool.fits"
    move(output, new)
    assert only(catalog)["status"] == "missing"
    report = index_roots(catalog, [tmp_path / "archive"])
    stack = only(catalog)
    assert report.stacks == 1
    assert (stack["status"], stack["output"], stack["note"]) == ("done", str(new), "good")
    assert (stack["manifest"], stack["preview"]) == (
        str(new.with_suffix(".json")),
        str(new.with_suffix(".png")),
    )
    assert list_sessions(catalog) == []


def test_a_stack_without_its_manifest_is_found_by_its_plan(
    catalog: Catalog, tmp_path: Path, output: Path
) -> None:
    record(catalog, output, PLAN)
    new = tmp_path / "archive" / "whirlpool.fits"
    move(output, new, (".fits",))
    index_roots(catalog, [tmp_path / "archive"])
    assert (only(catalog)["output"], only(catalog)["status"]) == (str(new), "done")
    assert only(catalog)["manifest"] == str(output.with_suffix(".json"))


def test_without_manifest_and_plan_its_content_tells(catalog: Catalog, tmp_path: Path, output: Path) -> None:
    record(catalog, output, "0" * 64, PLAN)
    move(output, tmp_path / "archive" / "whirlpool.fits", (".fits",))
    output.with_suffix(".json").unlink()
    index_roots(catalog, [tmp_path / "archive"])
    assert only(catalog)["output"] == str(tmp_path / "archive" / "whirlpool.fits")


def test_of_two_results_of_one_plan_each_finds_its_own(catalog: Catalog, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_result(tmp_path / "results" / f"{name}.fits")
        record(catalog, tmp_path / "results" / f"{name}.fits")
        move(tmp_path / "results" / f"{name}.fits", tmp_path / "archive" / f"{name}.fits", (".fits",))
    index_roots(catalog, [tmp_path / "archive"])
    assert [s["output"] for s in list_stacks(catalog)] == [
        str(tmp_path / "archive" / "b.fits"), str(tmp_path / "archive" / "a.fits")]  # fmt: skip


def test_results_are_asked_for_in_the_words_of_queries(catalog: Catalog, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_result(tmp_path / f"{name}.fits")
        record(catalog, tmp_path / f"{name}.fits")
    with catalog.write() as db:
        for number, row in enumerate(db.scalars(select(Stack).order_by(Stack.id)), 1):
            row.target, row.sessions, row.frames_used = f"M {number}", [number, 7], 10 * number
            row.rating, row.tags = number, ["keep"] if number != 2 else []
            row.summary = {"noise_adu": 3.0 / number, "integration_s": 3600.0 * number, "fwhm_px": None}
    (tmp_path / "c.fits").unlink()

    def ids(query: str) -> list[int]:
        return [stack["id"] for stack in list_stacks(catalog, query)]

    assert ids("") == [3, 2, 1]
    assert ids("m2") == ids("target:m2") == ids("frames:20") == [2]
    assert ids("tag:keep") == [3, 1] and ids("-tag:keep") == [2] and ids("tag:none") == [2]
    assert ids("rating:>=2 noise-") == [2, 3] and ids("noise+") == [3, 2, 1]
    assert (
        ids("session:2 , session:3") == [3, 2] and ids("session:7") == [3, 2, 1] and ids("session:1") == [1]
    )
    assert ids("integration:>=2h") == [3, 2] and ids("fwhm:none") == [3, 2, 1]
    assert ids("status:missing") == [3] and ids("b.fits") == [2]
    assert ids(f"date:{datetime.now(UTC).year}") == [3, 2, 1]
    with pytest.raises(QueryError, match=r"stacks have no field 'fwmh'.*did you mean fwhm"):
        ids("fwmh:<3")
    with pytest.raises(QueryError, match="score is a field of frames; fields of stacks are id, target"):
        ids("score:>3")


def test_a_copy_changes_nothing_while_the_result_is_there(
    catalog: Catalog, tmp_path: Path, output: Path
) -> None:
    record(catalog, output)
    write_result(tmp_path / "archive" / "M51.fits")
    assert index_roots(catalog, [tmp_path / "archive"]).stacks == 0
    assert only(catalog)["output"] == str(output)


def test_another_stack_is_not_taken_for_a_lost_one(catalog: Catalog, tmp_path: Path, output: Path) -> None:
    record(catalog, output, PLAN)
    output.unlink()
    write_result(tmp_path / "archive" / "M51.fits", hashlib.sha256(b"another").hexdigest())
    assert index_roots(catalog, [tmp_path / "archive"]).stacks == 0
    assert only(catalog)["status"] == "missing"


def test_device_stacks_are_no_lights(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    seestar: dict[str, Any] = {
        "INSTRUME": "Seestar S50", "CREATOR": "ZWO Seestar S50", "IMAGETYP": "Light", "OBJECT": "M 101",
    }  # fmt: skip
    sub = tmp_path / "MyWorks" / "M 101_sub"
    write_frame(sub / "Light_M 101_10.0s_IRCUT_20250704-232412.fit", STACKCNT=1, **seestar)
    write_frame(
        tmp_path / "MyWorks" / "M 101" / "Stacked_210_M 101_10.0s_IRCUT_20250704-235959.fit", STACKCNT=210, **seestar
    )  # fmt: skip
    folder = tmp_path / "DWARF_RAW_TELE_M 31_EXP_60_GAIN_60_2025-10-18-04-51-22-420"
    write_frame(
        folder / "M 31_60s60_Astro_20251018-045926401_16C.fits", TELESCOP="DWARFIII", IMAGETYP=None, OBJECT="M 31", EXPTIME=60.0
    )  # fmt: skip
    write_frame(
        folder / "stacked-16_M 31_60s60_Astro_20251018-055926401.fits", TELESCOP="DWARFIII", IMAGETYP=None, OBJECT="M 31",
            EXPTIME=2580.0,
    )  # fmt: skip
    index_roots(catalog, [tmp_path])
    assert sorted((s.target, s.lights) for s in list_sessions(catalog)) == [("M 101", 1), ("M 31", 1)]
    with catalog.read() as db:
        assert db.query(Frame).filter(Frame.frame_type == "stack").count() == 2
