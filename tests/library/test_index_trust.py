"""What indexing must never do: lose decisions, call a frame missing that may be there, leave a catalogue half written."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement
from astrotui.errors import AstrotuiError
from astrotui.frames.sample import sample_digest
from astrotui.frames.scan import FoundFile, ScanNote, scan
from astrotui.library import index as indexing
from astrotui.library import index_writer, readers
from astrotui.library.annotate import Notes, annotate, find_things
from astrotui.library.choose import decide
from astrotui.library.index import index_roots
from astrotui.library.listing import list_frames, list_sessions
from tests.library.conftest import WriteFrame

Tree = Callable[..., list[Path]]


@pytest.fixture
def tree(tmp_path: Path, write_frame: WriteFrame) -> Tree:
    """`tree("root/M1", 3)`: lights of one session, a minute apart."""

    def make(folder: str, count: int = 3, hour: int = 22, **cards: Any) -> list[Path]:
        return [
            write_frame(
                tmp_path / folder / f"light_{i:04}.fits", DATE_OBS=f"2025-01-02T{hour:02}:{i:02}:00", **cards
            )
            for i in range(count)
        ]

    return make


def statuses(catalog: Catalog) -> dict[str, str]:
    ids = [s.id for s in list_sessions(catalog)]
    return {"/".join(f.path.split("/")[-2:]): f.status for f in list_frames(catalog, ids)}


# --- what cannot be seen is not missing --------------------------------------------------------------------------


def test_frames_of_an_unreadable_folder_are_not_missing(
    catalog: Catalog, tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree("root/a\x1bodd", 2)
    tree("root/b", 2, hour=23)
    index_roots(catalog, [tmp_path / "root"])

    def blind(root: Path) -> Iterator[FoundFile | ScanNote]:
        for found in scan(root):
            if not found.relative.startswith("a"):
                yield found
        yield ScanNote("aodd", "folder cannot be read: Permission denied", "a\x1bodd")

    monkeypatch.setattr(indexing, "scan", blind)
    report = index_roots(catalog, [tmp_path / "root"])
    assert (report.missing, report.frames) == (0, 4)
    assert "Permission denied" in report.notes[0]


@pytest.mark.skipif(os.getuid() == 0, reason="root reads every folder")
def test_a_folder_without_permission_is_noted(catalog: Catalog, tmp_path: Path, tree: Tree) -> None:
    tree("root/a", 2)
    tree("root/b", 2, hour=23)
    index_roots(catalog, [tmp_path / "root"])
    (tmp_path / "root" / "a").chmod(0)
    try:
        assert index_roots(catalog, [tmp_path / "root"]).missing == 0
    finally:
        (tmp_path / "root" / "a").chmod(0o755)


def test_a_root_that_is_gone_is_an_error_and_stays(catalog: Catalog, tmp_path: Path, tree: Tree) -> None:
    tree("one/M1")
    tree("two/M2", hour=20)
    index_roots(catalog, [tmp_path / "one", tmp_path / "two"])
    (tmp_path / "one").rename(tmp_path / "unplugged")
    with pytest.raises(AstrotuiError, match="no such folder"):
        index_roots(catalog, [tmp_path / "one"])
    report = index_roots(catalog, [tmp_path / "one", tmp_path / "two"])
    assert (report.unchanged, report.missing) == (3, 0)
    assert "no such folder" in report.notes[0]
    assert set(statuses(catalog).values()) == {"undecided"}


def test_an_empty_mount_point_is_not_an_emptied_library(catalog: Catalog, tmp_path: Path, tree: Tree) -> None:
    root = tmp_path / "root"
    tree("root/M1")
    index_roots(catalog, [root])
    (root / "M1").rename(tmp_path / "M1")
    (root / ".Trash-1000").mkdir()
    with pytest.raises(AstrotuiError, match="is the disk mounted"):
        index_roots(catalog, [root])
    assert set(statuses(catalog).values()) == {"undecided"}
    assert index_roots(catalog, [root], emptied=True).missing == 3
    (tmp_path / "M1").rename(root / "M1")
    assert index_roots(catalog, [root]).returned == 3


def test_a_part_that_vanished_is_missing(catalog: Catalog, tmp_path: Path, tree: Tree) -> None:
    tree("root/M1")
    tree("root/M2", hour=20)
    index_roots(catalog, [tmp_path / "root"])
    shutil.rmtree(tmp_path / "root" / "M1")
    report = index_roots(catalog, [tmp_path / "root"])
    assert (report.missing, report.frames) == (3, 3)
    assert index_roots(catalog, [tmp_path / "root"]).missing == 0  # told once


# --- frames keep their rows --------------------------------------------------------------------------------------


def test_a_remount_is_known_beside_the_empty_old_mount_point(
    catalog: Catalog, tmp_path: Path, tree: Tree
) -> None:
    tree("old/disk/M1")
    index_roots(catalog, [tmp_path / "old" / "disk"])
    decide(catalog, [1], "rejected")
    (tmp_path / "new").mkdir()
    (tmp_path / "old" / "disk" / "M1").rename(tmp_path / "new" / "M1")
    report = index_roots(catalog, [tmp_path / "new"])
    assert (report.unchanged, report.new, report.missing) == (3, 0, 0)
    assert statuses(catalog)["M1/light_0000.fits"] == "rejected"


@pytest.mark.parametrize(("first", "second"), [("a/disk/astro", "b"), ("a/disk", "b/disk/astro")])
def test_a_remount_is_known_from_another_level(
    catalog: Catalog, tmp_path: Path, tree: Tree, first: str, second: str
) -> None:
    tree("a/disk/astro/M1")
    index_roots(catalog, [tmp_path / first])
    (tmp_path / "a").rename(tmp_path / "b")
    report = index_roots(catalog, [tmp_path / second])
    assert (report.unchanged, report.new, report.missing) == (3, 0, 0)


def test_frames_that_move_to_another_root_keep_their_decisions(
    catalog: Catalog, tmp_path: Path, tree: Tree
) -> None:
    tree("inbox/M1")
    tree("inbox/M2", hour=20)
    (tmp_path / "archive").mkdir()
    index_roots(catalog, [tmp_path / "inbox"])
    decide(catalog, [2], "rejected")
    annotate(catalog, find_things(catalog, [str(tmp_path / "inbox" / "M1")]), Notes("windy"))
    shutil.move(tmp_path / "inbox" / "M1", tmp_path / "archive" / "M1")
    report = index_roots(catalog, [tmp_path / "archive"])
    assert (report.moved, report.new) == (3, 0)
    (session,) = [s for s in list_sessions(catalog) if s.note == "windy"]
    assert session.path == str(tmp_path / "archive" / "M1") and session.rejected == 1
    assert index_roots(catalog, [tmp_path / "inbox"]).missing == 0


def test_a_copy_made_while_the_original_is_unplugged_takes_nothing(
    catalog: Catalog, tmp_path: Path, tree: Tree
) -> None:
    tree("disk/M1")
    tree("disk/M2", hour=20)
    index_roots(catalog, [tmp_path / "disk"])
    decide(catalog, [1], "rejected")
    shutil.copytree(tmp_path / "disk" / "M1", tmp_path / "copy" / "M1")
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    assert index_roots(catalog, [tmp_path / "copy"]).new == 3
    (tmp_path / "unplugged").rename(tmp_path / "disk")
    index_roots(catalog, [tmp_path / "disk"])
    frames = {f.path: f.status for f in list_frames(catalog, [s.id for s in list_sessions(catalog)])}
    assert frames[str(tmp_path / "disk" / "M1" / "light_0000.fits")] == "rejected"
    assert len(frames) == 9


def test_frames_that_are_numbered_anew_keep_their_decisions(
    catalog: Catalog, tmp_path: Path, tree: Tree
) -> None:
    frames = tree("root/M1", 4)
    index_roots(catalog, [tmp_path / "root"])
    decide(catalog, [2], "rejected")  # light_0001, taken at 22:01
    frames[0].unlink()
    for i in (1, 2, 3):
        frames[i].rename(frames[i - 1])
    report = index_roots(catalog, [tmp_path / "root"])
    assert (report.moved, report.missing, report.new) == (3, 1, 0)
    (rejected,) = [f for f in list_frames(catalog, [1]) if f.status == "rejected"]
    assert rejected.path.endswith("light_0000.fits") and rejected.date is not None
    assert (rejected.date.minute, rejected.id) == (1, 2)


def test_another_exposure_under_an_old_name_does_not_take_its_decision(
    catalog: Catalog, tmp_path: Path, tree: Tree, write_frame: WriteFrame
) -> None:
    frames = tree("root/M1")
    kept = tmp_path / "kept.fits"
    index_roots(catalog, [tmp_path / "root"])
    decide(catalog, [1], "rejected")
    frames[0].rename(kept)
    write_frame(frames[0], DATE_OBS="2025-01-02T23:30:00")
    report = index_roots(catalog, [tmp_path / "root"])
    assert report.new == 1
    by_status = {f.status for f in list_frames(catalog, [1]) if f.date and f.date.hour == 23}
    assert by_status == {"undecided"}
    kept.rename(frames[0].with_name("again.fits"))
    assert index_roots(catalog, [tmp_path / "root"]).moved == 1
    (back,) = [f for f in list_frames(catalog, [1]) if f.path.endswith("again.fits")]
    assert (back.id, back.status) == (1, "rejected")


def test_an_edited_header_is_the_same_exposure(
    catalog: Catalog, tmp_path: Path, tree: Tree, write_frame: WriteFrame
) -> None:
    frames = tree("root/M1")
    index_roots(catalog, [tmp_path / "root"])
    decide(catalog, [1], "rejected")
    frames[0].unlink()
    write_frame(frames[0], DATE_OBS="2025-01-02T22:00:00", CRVAL1=10.0)
    report = index_roots(catalog, [tmp_path / "root"])
    assert (report.changed, report.new) == (1, 0)
    assert statuses(catalog)["M1/light_0000.fits"] == "rejected"


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "only touched"])
def test_pixels_replaced_under_an_equal_header_lose_their_measurement(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame, replaced: bool
) -> None:
    path = write_frame(tmp_path / "root" / "x.fits", size=(200, 100))
    index_roots(catalog, [tmp_path / "root"])
    with catalog.write() as db:
        db.add(
            Measurement(
                frame_id=1, version=1, measured=datetime.now(UTC), stars=9, sample=sample_digest(path),
                content_id=db.get_one(Frame, 1).content_id,
            )
        )  # fmt: skip
    raw = bytearray(path.read_bytes())
    if replaced:  # behind the block that the identity looks at
        raw[-8000:-7000] = bytes(1000)
    path.write_bytes(raw)
    os.utime(path, (10**9, 10**9))
    report = index_roots(catalog, [tmp_path / "root"])
    assert (report.changed, report.new) == (1, 0)
    with catalog.read() as db:
        assert (db.get(Measurement, 1) is None) is replaced
        assert db.get_one(Frame, 1).measured is not replaced


def test_a_session_keeps_its_note_when_a_missing_frame_stays_behind(
    catalog: Catalog, tmp_path: Path, tree: Tree
) -> None:
    frames = tree("root/M1")
    index_roots(catalog, [tmp_path / "root"])
    annotate(catalog, find_things(catalog, ["1"]), Notes("windy"))
    frames[0].unlink()
    index_roots(catalog, [tmp_path / "root"])
    (tmp_path / "root" / "M1").rename(tmp_path / "root" / "Messier 1")
    index_roots(catalog, [tmp_path / "root"])
    (session,) = [s for s in list_sessions(catalog) if s.lights > s.missing]
    assert (session.note, Path(session.path).name) == ("windy", "Messier 1")


def test_a_renamed_folder_of_several_batches_stays_one_session(
    catalog: Catalog, tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "_BATCH_FRAMES", 4)
    tree("root/M1", 11)
    index_roots(catalog, [tmp_path / "root"])
    annotate(catalog, find_things(catalog, ["1"]), Notes("windy"))
    (tmp_path / "root" / "M1").rename(tmp_path / "root" / "Messier 1")
    assert index_roots(catalog, [tmp_path / "root"]).moved == 11
    (session,) = list_sessions(catalog)
    assert (session.id, session.note, session.lights) == (1, "windy", 11)


def test_two_copies_of_one_tree_can_be_taken_into_a_root_around_them(
    catalog: Catalog, tmp_path: Path, tree: Tree
) -> None:
    tree("all/a/M1")
    shutil.copytree(tmp_path / "all" / "a", tmp_path / "all" / "b")
    for name in "ab":
        index_roots(catalog, [tmp_path / "all" / name])
    report = index_roots(catalog, [tmp_path / "all"])
    assert (report.unchanged, report.new, report.missing) == (6, 0, 0)
    assert sorted(s.lights for s in list_sessions(catalog)) == [3, 3]


# --- files that change -------------------------------------------------------------------------------------------


def test_a_file_that_is_being_written_waits_for_the_next_run(
    catalog: Catalog, tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = tree("root/M1")
    real = readers.read_metadata

    def read(path: Path, **kwargs: Any) -> Any:
        found = real(path, **kwargs)
        if path == frames[1]:
            os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))  # its writer goes on
        return found

    monkeypatch.setattr(readers, "read_metadata", read)
    report = index_roots(catalog, [tmp_path / "root"])
    assert (report.writing, report.new, report.frames) == (1, 2, 2)
    monkeypatch.undo()
    report = index_roots(catalog, [tmp_path / "root"])
    assert (report.writing, report.new, report.frames) == (0, 1, 3)


def test_a_frame_that_becomes_damaged_stays_in_its_session(
    catalog: Catalog, tmp_path: Path, tree: Tree
) -> None:
    frames = tree("root/M1")
    index_roots(catalog, [tmp_path / "root"])
    whole = frames[0].read_bytes()
    frames[0].write_bytes(whole[:3000])
    report = index_roots(catalog, [tmp_path / "root"])
    assert (report.quarantined, report.frames) == (1, 2)
    (held,) = list_frames(catalog, [1], "status:quarantined")
    assert "truncated" in held.reasons[0] and "still being written" in held.reasons[0]
    frames[0].write_bytes(whole)
    assert index_roots(catalog, [tmp_path / "root"]).quarantined == 0
    assert set(statuses(catalog).values()) == {"undecided"}


def test_a_session_file_that_comes_later_is_read(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    folder = tmp_path / "root" / "DWARF_RAW_M51_EXP_15_GAIN_60_2024-05-05-23-02-57-312"
    names = [f"raw_M51_15s_60_{i:04}.fits" for i in range(3)]
    cards: dict[str, Any] = {"IMAGETYP": None, "OBJECT": None, "EXPTIME": 15.0}
    for i in (0, 1):
        write_frame(folder / names[i], DATE_OBS=f"2024-05-05T21:0{i}:00", **cards)
    index_roots(catalog, [tmp_path / "root"])
    assert list_sessions(catalog)[0].filter is None
    write_frame(folder / names[2], DATE_OBS="2024-05-05T21:02:00", **cards)
    (folder / "shotsInfo.json").write_text('{"exp":"15","gain":60,"ir":"CUT","target":"M51"}')
    report = index_roots(catalog, [tmp_path / "root"])
    (session,) = list_sessions(catalog)
    assert (session.filter, session.lights, report.new) == ("IRCUT", 3, 1)


# --- several indexers, and dead ones -----------------------------------------------------------------------------


def start_index(catalog: Path, root: Path) -> subprocess.Popen[bytes]:
    script = (
        "import sys; from pathlib import Path; from astrotui.catalog.database import Catalog; "
        "from astrotui.library.index import index_roots; "
        "index_roots(Catalog.open(Path(sys.argv[1])), [Path(sys.argv[2])])"
    )
    words = [sys.executable, "-c", script, str(catalog), str(root)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def check_whole(catalog: Catalog, frames: int, sessions: int) -> None:
    assert catalog.integrity() == []
    with closing(sqlite3.connect(catalog.path)) as db:
        loose = "SELECT count(*) FROM frames WHERE session_id IS NULL AND frame_type = 'light'"
        assert db.execute(loose).fetchone()[0] == 0
        assert db.execute("SELECT count(*), count(DISTINCT path) FROM frames").fetchone() == (frames, frames)
    assert sum(s.lights for s in list_sessions(catalog)) == frames
    assert len(list_sessions(catalog)) == sessions


@pytest.fixture
def many(tmp_path: Path, tree: Tree) -> Path:
    """1,600 frames in eight folders: enough for helper processes and several transactions."""
    first = tree("many/s0", 60)
    data = [path.read_bytes() for path in first]
    for number in range(8):
        folder = tmp_path / "many" / f"s{number}"
        folder.mkdir(exist_ok=True)
        for i in range(200):
            stamp = f"2025-{number + 1:02}-02T{20 + i // 60:02}:{i % 60:02}:00".encode()
            (folder / f"light_{i:04}.fits").write_bytes(data[i % 60].replace(_stamp(data[i % 60]), stamp))
    return tmp_path / "many"


def _stamp(data: bytes) -> bytes:
    at = data.index(b"DATE-OBS= '") + 11
    return data[at : at + 19]


def test_two_indexers_at_once_do_no_harm(catalog: Catalog, many: Path) -> None:
    running = [start_index(catalog.path, many) for _ in range(2)]
    for process in running:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert b"Traceback" not in error
    check_whole(catalog, 1600, 8)


def test_a_killed_indexer_is_completed_by_the_next(catalog: Catalog, many: Path) -> None:
    process = start_index(catalog.path, many)
    until = time.monotonic() + 60
    with closing(sqlite3.connect(catalog.path)) as db:
        while db.execute("SELECT count(*) FROM frames").fetchone()[0] == 0 and time.monotonic() < until:
            threading.Event().wait(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with closing(sqlite3.connect(catalog.path)) as db:
        (written,) = db.execute("SELECT count(*) FROM frames").fetchone()
    assert written > 0
    assert catalog.integrity() == []
    report = index_roots(catalog, [many])
    assert report.new + report.unchanged == 1600 and report.unchanged >= written
    check_whole(catalog, 1600, 8)


def test_a_large_folder_that_was_written_in_part_is_grouped_by_the_next(
    catalog: Catalog, tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree("root/M1", 9)
    monkeypatch.setattr(indexing, "_BATCH_FRAMES", 4)
    real = index_writer.IndexWriter.write
    written = 0

    def dies(self: index_writer.IndexWriter, batch: index_writer.Batch) -> None:
        nonlocal written
        if written:
            raise KeyboardInterrupt
        written = len(batch.reads)
        real(self, batch)

    monkeypatch.setattr(index_writer.IndexWriter, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        index_roots(catalog, [tmp_path / "root"])
    assert list_sessions(catalog) == []
    monkeypatch.setattr(index_writer.IndexWriter, "write", real)
    for extra in (tmp_path / "root" / "M1").glob("light_000[4-8].fits"):
        extra.unlink()
    report = index_roots(catalog, [tmp_path / "root"])
    assert (report.new, report.unchanged) == (0, 4)
    check_whole(catalog, 4, 1)


def test_helpers_read_what_this_process_reads(many: Path) -> None:
    files = [
        readers.Fresh(str(p.relative_to(many)), p.stat().st_size, p.stat().st_mtime_ns)
        for p in sorted(many.rglob("*.fits"))[:450]
    ]
    alone = list(readers.read_all(many, iter(files), len(files)))
    helped = list(readers.read_all(many, iter(files), readers.MANY))
    assert helped == alone and len(alone) == 450


def test_a_helper_that_dies_is_replaced_by_this_process(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers.sys, "executable", "/bin/false")
    files = [
        readers.Fresh(str(p.relative_to(many)), p.stat().st_size, p.stat().st_mtime_ns)
        for p in sorted(many.rglob("*.fits"))[:450]
    ]
    assert all(read.facts for read in readers.read_all(many, iter(files), readers.MANY))
    monkeypatch.setattr(readers.sys, "executable", "/nowhere/python")
    assert len(list(readers.read_all(many, iter(files), readers.MANY))) == 450
