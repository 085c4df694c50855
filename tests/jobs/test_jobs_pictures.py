"""The picture beside a result: whose file it may replace, where it goes when the name is taken, and what is said."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from astrotui.catalog.database import Catalog
from astrotui.config import places
from astrotui.errors import OutputError
from astrotui.jobs import queue
from astrotui.jobs.context import LeaseLostError
from astrotui.jobs.pictures import PICTURES, is_own_picture, write_picture
from astrotui.jobs.transitions import get_job
from astrotui.jobs.work import Work
from tests.jobs.job_helpers import AttemptBase


@dataclass
class Attempt(AttemptBase):
    """What a picture asks of its work."""

    tag: str = "7"


def result(path: Path, seed: int = 1) -> Path:
    path.parent.mkdir(exist_ok=True)
    data = np.random.default_rng(seed).normal(500, 20, (60, 80)).astype(np.float32)
    fits.PrimaryHDU(data).writeto(path, overwrite=True)
    return path


def picture(output: Path, attempt: Attempt | None = None) -> tuple[Path | None, str]:
    return write_picture(output, "7", cast(Work, attempt) if attempt else None)


def is_picture(path: Path | None) -> bool:
    return path is not None and Image.open(path).size == (80, 60)


@pytest.mark.parametrize("working", [False, True])
def test_a_free_name_is_taken(tmp_path: Path, working: bool) -> None:
    path, said = picture(result(tmp_path / "m31.fits"), Attempt() if working else None)
    assert path == tmp_path / "m31.png" and is_picture(path) and said == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m31.fits", "m31.png"]


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "folder"])
def test_what_is_there_stays(tmp_path: Path, kind: str) -> None:
    output, mine = result(tmp_path / "m31.fits"), tmp_path / "m31.png"
    target = tmp_path / "target"
    if kind == "folder":
        mine.mkdir()
    elif kind == "file":
        mine.write_bytes(b"mine")
    else:
        mine.symlink_to(target)
        if kind == "link":
            target.write_bytes(b"mine")
    before = mine.lstat()
    for _ in range(2):  # the second time, too, where the picture of the first is replaced
        path, said = picture(output, Attempt())
        assert path is not None and path.parent == places().data / "previews" and is_picture(path)
        assert "m31.png: exists already" in said and str(path) in said
    assert len(list(path.parent.iterdir())) == 1
    after = mine.lstat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert kind != "link" or target.read_bytes() == b"mine"
    assert kind != "dangling" or not target.exists()


def test_results_of_one_job_do_not_share_a_picture(tmp_path: Path) -> None:
    found = []
    for number, folder in enumerate(("a", "b")):
        output = result(tmp_path / folder / "m31.fits", seed=number)
        output.with_suffix(".png").write_bytes(b"mine")
        found.append(picture(output, Attempt())[0])
    assert found[0] != found[1] and is_picture(found[0]) and is_picture(found[1])


def test_a_later_attempt_replaces_its_own(tmp_path: Path) -> None:
    output = result(tmp_path / "m31.fits")
    first = Attempt()
    path, _ = picture(output, first)
    assert path is not None and is_own_picture(first.result, path)
    before = path.read_bytes()
    result(output, seed=2)
    second = Attempt(attempt=2, result=first.result)
    assert picture(output, second) == (path, "") and path.read_bytes() != before
    assert is_own_picture(second.result, path)


def test_its_own_is_known_when_it_died_before_the_name_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, work = result(tmp_path / "m31.fits"), Attempt()
    path, _ = picture(output, work)
    result(output, seed=2)

    def dies(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("astrotui.rendering.render.write_bytes_atomic", dies)
        with pytest.raises(KeyboardInterrupt):
            picture(output, work)
    assert path is not None and is_own_picture(work.result, path)
    assert picture(output, work) == (path, "")


def test_its_own_that_somebody_changed_stays(tmp_path: Path) -> None:
    output, work = result(tmp_path / "m31.fits"), Attempt()
    path, _ = picture(output, work)
    assert path is not None
    path.write_bytes(b"retouched")
    other, said = picture(output, work)
    assert path.read_bytes() == b"retouched" and is_picture(other) and other != path and said
    assert not is_own_picture(work.result, path)


def test_a_file_that_comes_while_the_picture_is_made_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, mine = result(tmp_path / "m31.fits"), tmp_path / "m31.png"
    work = Attempt()

    def note_part(path: Path) -> Path:
        if path == mine:
            mine.write_bytes(b"mine")
        return path

    monkeypatch.setattr(work, "note_part", note_part)
    path, said = picture(output, work)
    assert mine.read_bytes() == b"mine" and is_picture(path) and path != mine and said


def test_its_own_that_is_changed_while_the_next_is_made_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, work = result(tmp_path / "m31.fits"), Attempt()
    path, _ = picture(output, work)
    assert path is not None

    def note_part(part: Path) -> Path:
        if part == path:
            path.write_bytes(b"retouched")
        return part

    monkeypatch.setattr(work, "note_part", note_part)
    other, said = picture(output, work)
    assert path.read_bytes() == b"retouched" and is_picture(other) and other != path and said


def test_a_picture_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "m31.fits"
    broken.write_bytes(b"no image")
    path, said = picture(broken, Attempt())
    assert path is None and said.startswith("no picture: ") and not broken.with_suffix(".png").exists()

    def full(*arguments: Any, **options: Any) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("astrotui.rendering.render.write_bytes_atomic", full)
    assert picture(result(broken), Attempt()) == (None, "no picture: the disk is full")


def test_a_folder_of_pictures_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    output = result(tmp_path / "m31.fits")
    output.with_suffix(".png").write_bytes(b"mine")
    places().data.parent.mkdir(parents=True, exist_ok=True)
    places().data.write_bytes(b"no folder")
    path, said = picture(output, Attempt())
    assert path is None and said.startswith("no picture: ")


def test_nothing_is_written_for_a_job_that_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Attempt()

    def lost(values: dict[str, Any]) -> None:
        raise LeaseLostError("job 7 is no longer this worker's")

    monkeypatch.setattr(work, "set_result", lost)
    with pytest.raises(LeaseLostError):
        picture(result(tmp_path / "m31.fits"), work)
    assert [p.name for p in tmp_path.iterdir()] == ["m31.fits"]


def test_what_was_noted_of_pictures_is_not_shown(catalog: Catalog, tmp_path: Path) -> None:
    job_id = queue.enqueue(catalog, "stack", {})
    work = Attempt()
    work.set_result({"stack": 1})
    picture(result(tmp_path / "m31.fits"), work)
    with catalog.write() as db:
        get_job(db, job_id).result = work.result
    assert set(work.result) == {"stack", PICTURES} and queue.result(catalog, job_id) == {"stack": 1}
