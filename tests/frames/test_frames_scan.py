"""Walking a library: what is a frame, what is odd, and that every walk ends."""

import os
import socket
import struct
import sys
import zlib
from pathlib import Path

import pytest

from astrotui.frames import names
from astrotui.frames.scan import FoundFile, ScanNote, scan


def files(root: Path) -> list[str]:
    return [found.relative for found in scan(root) if isinstance(found, FoundFile)]


def notes(root: Path) -> dict[str, str]:
    return {note.relative: note.reason for note in scan(root) if isinstance(note, ScanNote)}


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def png(bits: int) -> bytes:
    head = struct.pack(">IIBBBBB", 4, 4, bits, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + head
        + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    )


def test_finds_frames_and_passes_junk_over(tmp_path: Path) -> None:
    wanted = [
        "M31/a.fits",
        "M31/b.FIT",
        "M31/c.fts",
        "M31/d.fits.gz",
        "M31/e.fits.fz",
        "M31/f.TIFF",
        "M31/g.png",
        "M31/sub folder/ñandú ☆.fit",
        "z.fits",
    ]
    for name in wanted:
        touch(tmp_path / name, png(16) if name.endswith("png") else b"abc")
    for name in (
        "M31/._a.fits",
        "M31/.hidden/a.fits",
        "M31/.DS_Store",
        "M31/.a.fits.job7.part",
        "M31/shotsInfo.json",
        "M31/stacked.jpg",
        "M31/stacked-16.png",
        "M31/img_reference.png",
        "M31/Thumbnail/a.fits",
        "System Volume Information/a.fits",
        "$RECYCLE.BIN/a.fits",
        "@eaDir/a.fits",
        "M31/notes.txt",
        "M31/backup.tar.gz",
    ):
        touch(tmp_path / name)
    touch(tmp_path / "M31/h.png", png(8))
    found = [f for f in scan(tmp_path) if isinstance(f, FoundFile)]
    assert sorted(f.relative for f in found) == sorted(wanted)
    assert notes(tmp_path) == {}
    first = next(f for f in found if f.relative == "M31/a.fits")
    status = (tmp_path / "M31/a.fits").stat()
    assert (first.path, first.size, first.mtime_ns) == (tmp_path / "M31/a.fits", 3, status.st_mtime_ns)


def test_order_is_that_of_names(tmp_path: Path) -> None:
    for name in ("b/2.fits", "b/1.fits", "a/3.fits", "c.fits", "b/a/0.fits"):
        touch(tmp_path / name)
    assert files(tmp_path) == ["c.fits", "a/3.fits", "b/1.fits", "b/2.fits", "b/a/0.fits"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    touch(tmp_path / "a/b/x.fits")
    (tmp_path / "a/b/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a/self")
    (tmp_path / "a/around").symlink_to(tmp_path / "a")
    assert files(tmp_path) == ["a/b/x.fits"]
    reasons = notes(tmp_path)
    assert reasons["a/b/up"] == reasons["a/around"] == "a link to a folder that is read already"
    assert set(reasons) == {"a/b/up", "a/around", "a/self"}
    assert reasons["a/self"] == "a broken link"


def test_links_to_folders_are_followed_once_and_real_paths_win(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    touch(outside / "y.fits")
    touch(root / "real/x.fits")
    (root / "a-link").symlink_to(root / "real")
    (root / "b-link").symlink_to(outside)
    (root / "c-link").symlink_to(outside)
    assert files(root) == ["real/x.fits", "b-link/y.fits"]
    assert set(notes(root)) == {"a-link", "c-link"}


def test_odd_things_are_noted_in_one_clean_line(tmp_path: Path) -> None:
    touch(tmp_path / "ok.fits")
    os.mkfifo(tmp_path / "fifo.fits")
    (tmp_path / "broken.fits").symlink_to(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.fits"))
        (tmp_path / "device.fits").symlink_to("/dev/null")
        (tmp_path / "fifo.txt").symlink_to(tmp_path / "fifo.fits")
        (tmp_path / "bad\x1b[31m\nname.fits").symlink_to("/dev/null")
        assert files(tmp_path) == ["ok.fits"]
        assert notes(tmp_path) == {
            "fifo.fits": "a FIFO, not a frame",
            "broken.fits": "a broken link",
            "socket.fits": "a socket, not a frame",
            "device.fits": "a device, not a frame",
            "bad[31m name.fits": "a device, not a frame",
        }


@pytest.mark.skipif(sys.platform == "darwin", reason="this file system refuses names that are not UTF-8")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path)
    try:
        with open(raw + b"/bad\xff.fits", "wb"):  # noqa: PTH123 - a name of bytes
            pass
    except OSError:
        pytest.skip("this file system refuses names that are not UTF-8")
    os.mkdir(raw + b"/dir\xfe")  # noqa: PTH102
    touch(tmp_path / "ok.fits")
    assert files(tmp_path) == ["ok.fits"]
    assert all("not UTF-8" in reason and name.isprintable() for name, reason in notes(tmp_path).items())
    assert len(notes(tmp_path)) == 2


def test_unreadable_folder_is_noted_and_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "a/x.fits")
    touch(tmp_path / "b/y.fits")
    real = os.scandir

    def guarded(path: str) -> object:  # a privileged user can read everything, so chmod would show nothing
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr("astrotui.frames.scan.os.scandir", guarded)
    assert files(tmp_path) == ["b/y.fits"]
    assert notes(tmp_path) == {"a": "folder cannot be read: Permission denied"}


def test_roots_that_are_none(tmp_path: Path) -> None:
    assert notes(tmp_path / "missing") == {"": "cannot be read: No such file or directory"}
    assert notes(touch(tmp_path / "x.fits")) == {"": "not a folder"}
    assert list(scan(tmp_path / "missing" / "deeper")) != []


def test_deep_trees_need_no_recursion(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 600)
    touch(deep / "x.fits")
    assert len(files(tmp_path)) == 1


def test_camera_raw_without_the_extra_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astrotui.frames.names.find_spec", lambda name: None)
    names.raw_supported.cache_clear()
    for i in range(3):
        touch(tmp_path / f"a/{i}.CR2")
    assert files(tmp_path) == []
    assert list(notes(tmp_path).values()) == [
        "3 camera raw files passed over: pip install 'astrotui[raw]' reads them"
    ]
    monkeypatch.setattr("astrotui.frames.names.find_spec", lambda name: name)
    names.raw_supported.cache_clear()
    assert len(files(tmp_path)) == 3
    names.raw_supported.cache_clear()


def test_nothing_is_written_or_opened_for_writing(tmp_path: Path) -> None:
    touch(tmp_path / "a/x.fits")
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in tmp_path.rglob("*")}
    list(scan(tmp_path))
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in tmp_path.rglob("*")} == before


@pytest.mark.skipif(not Path("/proc/self/root").exists(), reason="needs /proc")
def test_a_link_into_the_system_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x.fits").write_bytes(b"x")
    (tmp_path / "everything").symlink_to("/proc")
    found = list(scan(tmp_path))
    assert [f.relative for f in found if isinstance(f, FoundFile)] == ["x.fits"]
    assert [n for n in found if isinstance(n, ScanNote)] == [
        ScanNote("everything", "a folder of the operating system, not read")
    ]
