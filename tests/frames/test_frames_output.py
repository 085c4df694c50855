"""Results appear whole or not at all, and never in place of something else."""

import errno
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from astrotui.errors import OutputError
from astrotui.frames import atomic
from astrotui.frames.headers import read_fits
from astrotui.frames.output import FitsWriter, check_output, part_path, remove_leftovers, write_bytes_atomic

RNG = np.random.default_rng(5)


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_bands_in_any_order_and_from_threads_are_one_image(tmp_path: Path) -> None:
    image = RNG.normal(0, 1, (3, 57, 41)).astype(np.float32)
    image[1, 4, 5] = np.nan
    count = RNG.integers(0, 65535, (57, 41)).astype(np.uint16)
    low = RNG.integers(-300, 300, (57, 41)).astype(np.int16)
    path = tmp_path / "r.fits"
    writer = FitsWriter(
        path,
        image.shape,
        [("OBJECT", "M31", "target")],
        {"COVERAGE": ((57, 41), "u2"), "LOW": ((57, 41), np.int16)},
        "job-7",
    )
    with writer:

        def band(y0: int) -> None:
            writer.write_rows(None, y0, image[:, y0 : y0 + 10])
            writer.write_rows("COVERAGE", y0, count[y0 : y0 + 10])
            writer.write_rows("LOW", y0, low[y0 : y0 + 10])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(band, [50, 0, 30, 10, 40, 20]))
        writer.update_header([("STACKCNT", 40, "frames"), ("OBJECT", "M 31", "target")])
        assert left(tmp_path) == [".r.fits.job-7.part"]
        writer.commit()
    assert left(tmp_path) == ["r.fits"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", AstropyWarning)
        with fits.open(path) as hdus:
            hdus.verify("exception")
            assert [h.name for h in hdus] == ["PRIMARY", "COVERAGE", "LOW"]
            np.testing.assert_array_equal(hdus[0].data, image)
            np.testing.assert_array_equal(hdus[1].data, count)
            np.testing.assert_array_equal(hdus[2].data, low)
            assert (hdus[0].header["STACKCNT"], hdus[0].header["OBJECT"]) == (40, "M 31")
            assert path.stat().st_size % 2880 == 0
    assert read_fits(path).planes == 3


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
def test_types_of_extensions(tmp_path: Path, dtype: str) -> None:
    data = RNG.integers(0, 200, (5, 6)).astype(dtype)
    with FitsWriter(tmp_path / "r.fits", (2, 3), (), {"X": ((5, 6), dtype)}) as writer:
        writer.write_rows("X", 0, data)
        writer.commit()
    read = fits.getdata(tmp_path / "r.fits", "X")
    np.testing.assert_array_equal(read, data)
    assert read.dtype.newbyteorder("=") == data.dtype
    np.testing.assert_array_equal(fits.getdata(tmp_path / "r.fits", 0), np.zeros((2, 3)))


def test_cards_of_every_kind_are_made_safe(tmp_path: Path) -> None:
    path = tmp_path / "r.fits"
    cards = [
        ("OBJECT", "Ñandú\x1b[31m ☆", "naïve"),
        ("EXPTIME", np.float32(2.5), "[s]"),
        ("STACKCNT", np.int64(12), ""),
        ("NOISE", float("nan"), "unknown"),
        ("SOLVED", True, ""),
        ("LONG", "x" * 150, "continued"),
        ("LONGKEYWORD", 5, ""),
        ("HISTORY", "one", ""),
        ("HISTORY", "two", ""),
        ("BITPIX", 8, "structure is the writer's own"),
        ("NAXIS1", 1, ""),
    ]
    with FitsWriter(path, (4, 4), cards) as writer:
        writer.commit()
    header = fits.getheader(path)
    assert header["OBJECT"] == "Nandu[31m ?"
    assert (header["EXPTIME"], header["STACKCNT"], header["SOLVED"]) == (2.5, 12, True)
    assert header["NOISE"] is None
    assert header["LONG"] == "x" * 150
    assert header["LONGKEYWORD"] == 5
    assert list(header["HISTORY"]) == ["one", "two"]
    assert (header["BITPIX"], header["NAXIS1"]) == (-32, 4)
    copy = tmp_path / "copy.fits"
    with FitsWriter(copy, (4, 4), header) as writer:
        writer.commit()
    again = fits.getheader(copy)
    for key in ("OBJECT", "EXPTIME", "LONG", "LONGKEYWORD", "NOISE"):
        assert again[key] == header[key]
    assert list(again["HISTORY"]) == ["one", "two"]


def test_header_room_is_reserved_and_its_end_is_an_error(tmp_path: Path) -> None:
    writer = FitsWriter(tmp_path / "r.fits", (4, 4), (), reserve_cards=50)
    writer.write_rows(None, 0, np.ones((4, 4), np.float32))
    writer.update_header([(f"KEY{i}", i, "") for i in range(50)])
    with pytest.raises(OutputError, match="no room"):
        writer.update_header([(f"MORE{i}", i, "") for i in range(100)])
    assert left(tmp_path) == []


def test_abort_leaves_nothing(tmp_path: Path) -> None:
    writer = FitsWriter(tmp_path / "r.fits", (4, 4))
    writer.write_rows(None, 0, np.zeros((2, 4), np.float32))
    writer.abort()
    writer.abort()
    assert left(tmp_path) == []
    with pytest.raises(ValueError, match="not being written"):
        writer.write_rows(None, 0, np.zeros((2, 4), np.float32))
    with pytest.raises(RuntimeError), FitsWriter(tmp_path / "r.fits", (4, 4)):
        raise RuntimeError
    assert left(tmp_path) == []


def test_committed_results_outlive_abort(tmp_path: Path) -> None:
    with FitsWriter(tmp_path / "r.fits", (4, 4)) as writer:
        writer.commit()
        writer.abort()
    assert left(tmp_path) == ["r.fits"]


@pytest.mark.parametrize(
    ("shape", "y0"), [((2, 5), 0), ((5, 4), 0), ((1, 4), 4), ((1, 4), -1), ((3, 1, 4), 0), ((4,), 0)]
)
def test_rows_must_fit(tmp_path: Path, shape: tuple[int, ...], y0: int) -> None:
    with FitsWriter(tmp_path / "r.fits", (4, 4)) as writer, pytest.raises(ValueError, match="do not fit"):
        writer.write_rows(None, y0, np.zeros(shape, np.float32))


def test_existing_files_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.fits"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        FitsWriter(path, (4, 4))
    with pytest.raises(OutputError, match="exists already"):
        write_bytes_atomic(path, b"x", "1")
    assert (path.read_text(), left(tmp_path)) == ("mine", ["r.fits"])
    write_bytes_atomic(path, b"new", "1", overwrite=True)
    assert (path.read_text(), left(tmp_path)) == ("new", ["r.fits"])


@pytest.mark.parametrize("links", [True, False], ids=["links", "no-links"])
def test_a_file_that_appears_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def refuse(self: Path, target: Path) -> None:
            if self.exists():
                raise FileExistsError(errno.EEXIST, "File exists")
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = tmp_path / "r.fits"
    writer = FitsWriter(path, (4, 4))
    path.write_text("theirs")
    with pytest.raises(OutputError, match="came into being meanwhile"):
        writer.commit()
    assert (path.read_text(), left(tmp_path)) == ("theirs", ["r.fits"])
    other = tmp_path / "s.fits"
    with FitsWriter(other, (4, 4)) as writer:
        writer.commit()
    assert left(tmp_path) == ["r.fits", "s.fits"]
    assert fits.getdata(other).shape == (4, 4)


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.fits"
    writer = FitsWriter(path, (4, 4))
    real = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("astrotui.frames.atomic.os.pwrite", full)
    with pytest.raises(OutputError) as caught:
        writer.write_rows(None, 0, np.zeros((4, 4), np.float32))
    assert str(caught.value) == f"{path}: cannot be written: the disk is full"
    assert left(tmp_path) == []
    monkeypatch.setattr(
        "astrotui.frames.atomic.os.pwrite", lambda fd, data, offset: real(fd, data[:7], offset)
    )
    write_bytes_atomic(path, bytes(range(100)), "1")  # short writes are gone on with
    assert path.read_bytes() == bytes(range(100))


def test_too_little_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = os.statvfs(tmp_path)
    values = list(free)
    values[4] = 1  # f_bavail
    monkeypatch.setattr("astrotui.frames.atomic.os.statvfs", lambda path: os.statvfs_result(values))
    with pytest.raises(OutputError, match=r"B are needed and .*B are free there"):
        FitsWriter(tmp_path / "r.fits", (3000, 3000))
    assert left(tmp_path) == []


def test_check_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_output(tmp_path / "new.fits")
    (tmp_path / "old.fits").write_text("x")
    check_output(tmp_path / "old.fits", overwrite=True)
    (tmp_path / "dangling.fits").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "fifo.fits")
    for path, overwrite, reason in (
        (tmp_path / "old.fits", False, "exists already"),
        (tmp_path / "dangling.fits", False, "exists already"),
        (tmp_path / "fifo.fits", True, "no regular file"),
        (tmp_path, True, "is a folder"),
        (tmp_path / "missing" / "x.fits", False, "its folder does not exist"),
        (tmp_path / "old.fits" / "x.fits", False, "cannot be written"),
        (tmp_path / ("x" * 300), False, "cannot be written"),
        (tmp_path / "a\0b.fits", False, "cannot be written"),
    ):
        with pytest.raises(OutputError, match=reason) as caught:
            check_output(path, overwrite)
        assert "\n" not in str(caught.value)
    monkeypatch.setattr("astrotui.frames.atomic.os.access", lambda path, mode: False)
    with pytest.raises(OutputError, match="its folder cannot be written"):
        check_output(tmp_path / "new.fits")


def test_names_are_shown_without_control_characters(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        check_output(tmp_path / "missing\x1b[2J" / "x.fits")
    assert "\x1b" not in str(caught.value)


def test_leftovers_of_the_dead_are_removed(tmp_path: Path) -> None:
    for name in (
        ".r.fits.12.part",
        ".r.fits.13.part",
        ".p.png.job-12.part",
        ".manifest.json.12.part",
        ".download.iso.12.part",  # another program's
        "r.fits.12.part",
        ".r.fits.part",
        "r.fits",
    ):
        (tmp_path / name).write_text("x")
    (tmp_path / ".dir.fits.12.part").mkdir()
    asked: list[str] = []

    def alive(tag: str) -> bool:
        asked.append(tag)
        return tag == "13"

    removed = remove_leftovers(tmp_path, alive)
    assert sorted(p.name for p in removed) == [
        ".manifest.json.12.part",
        ".p.png.job-12.part",
        ".r.fits.12.part",
    ]
    assert sorted(asked) == ["12", "12", "13", "job-12"]
    assert left(tmp_path) == [
        ".dir.fits.12.part",
        ".download.iso.12.part",
        ".r.fits.13.part",
        ".r.fits.part",
        "r.fits",
        "r.fits.12.part",
    ]
    assert remove_leftovers(tmp_path / "missing", alive) == []


def test_a_writer_takes_up_its_own_leftover(tmp_path: Path) -> None:
    path = tmp_path / "r.fits"
    part_path(path, "7").write_bytes(b"half" * 10_000)
    with FitsWriter(path, (4, 4), tag="7") as writer:
        writer.commit()
    assert fits.getdata(path).shape == (4, 4)
    assert left(tmp_path) == ["r.fits"]


def test_a_leftover_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    part_path(tmp_path / "r.fits", "7").symlink_to(victim)
    with pytest.raises(OutputError):
        FitsWriter(tmp_path / "r.fits", (4, 4), tag="7")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("tag", ["", "a/b", "..", "a.b", "x" * 65])
def test_tags_are_plain_words(tmp_path: Path, tag: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        write_bytes_atomic(tmp_path / "x.json", b"", tag)


def test_the_folder_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    real = os.fsync
    monkeypatch.setattr(atomic.os, "fsync", lambda fd: (flushed.append(os.fstat(fd).st_mode), real(fd))[1])
    write_bytes_atomic(tmp_path / "x.json", b"{}", "1")
    assert [mode & 0o170000 for mode in flushed] == [0o100000, 0o040000]
