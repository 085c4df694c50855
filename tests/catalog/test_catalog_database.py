"""Opening the catalogue, its transactions, and what happens when something goes wrong."""

import multiprocessing
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from catalog_rows import add_library, root
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from astrotui.catalog import connection, mounts
from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Root, Session
from astrotui.errors import CatalogError


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.open(tmp_path / "deep" / "folder" / "catalog.sqlite")


def roots(catalog: Catalog) -> list[str]:
    with catalog.read() as db:
        return list(db.scalars(select(Root.path).order_by(Root.path)))


def add_root(catalog: Catalog, path: str, durable: bool = True) -> None:
    with catalog.write(durable) as db:
        db.add(root(path=path))


class TestTransactions:
    def test_what_is_written_is_read_by_another_opening(self, catalog: Catalog) -> None:
        add_root(catalog, "/a")
        assert roots(Catalog.open(catalog.path)) == ["/a"]

    def test_an_exception_undoes_the_whole_write(self, catalog: Catalog) -> None:
        with pytest.raises(ZeroDivisionError), catalog.write() as db:
            db.add(root(path="/a"))
            db.flush()
            _ = 1 / 0
        assert roots(catalog) == []
        add_root(catalog, "/b")
        assert roots(catalog) == ["/b"]

    def test_objects_stay_usable_after_the_session(self, catalog: Catalog) -> None:
        with catalog.write() as db:
            row = root(path="/a")
            db.add(row)
        assert (row.id, row.path) == (1, "/a")

    def test_a_reader_cannot_write(self, catalog: Catalog) -> None:
        with pytest.raises(CatalogError, match="cannot be written"), catalog.read() as db:
            db.add(root(path="/a"))
            db.flush()
        add_root(catalog, "/b")  # the same connection writes again
        assert roots(catalog) == ["/b"]

    def test_a_reader_sees_one_state(self, catalog: Catalog) -> None:
        with catalog.read() as db:
            assert db.scalar(select(func.count()).select_from(Root)) == 0
            add_root(catalog, "/a")
            assert db.scalar(select(func.count()).select_from(Root)) == 0
        assert roots(catalog) == ["/a"]

    @pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
    def test_pragmas(self, catalog: Catalog, durable: bool, level: int) -> None:
        with catalog.write(durable) as db:
            assert db.scalar(text("PRAGMA synchronous")) == level
            assert db.scalar(text("PRAGMA foreign_keys")) == 1
            assert db.scalar(text("PRAGMA journal_mode")) == "wal"
            assert db.scalar(text("PRAGMA busy_timeout")) == 30_000

    def test_a_write_holds_the_lock_from_its_start(self, catalog: Catalog) -> None:
        other = sqlite3.connect(catalog.path, timeout=0, isolation_level=None)
        with catalog.write(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN IMMEDIATE")
        other.close()

    def test_a_lock_that_others_keep_is_one_clear_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "BUSY_SECONDS", 0.05)
        catalog = Catalog.open(tmp_path / "catalog.sqlite")
        other = sqlite3.connect(catalog.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogError, match="another program has kept the catalogue locked") as caught:
            add_root(catalog, "/a")
        assert str(catalog.path) in str(caught.value)
        assert roots(catalog) == []  # readers do not wait
        other.execute("ROLLBACK")
        other.close()
        add_root(catalog, "/a")

    def test_writing_within_a_write_is_refused_at_once(self, catalog: Catalog) -> None:
        with catalog.write(), pytest.raises(RuntimeError, match="already writes"), catalog.write():
            pass
        add_root(catalog, "/a")

    def test_mistakes_of_the_program_are_not_dressed_up(self, catalog: Catalog) -> None:
        with pytest.raises(OperationalError), catalog.read() as db:
            db.execute(text("SELECT nonsense FROM nowhere"))
        with pytest.raises(IntegrityError), catalog.write() as db:
            db.add_all([root(path="/a"), root(path="/a")])

    def test_foreign_keys_hold(self, catalog: Catalog) -> None:
        with pytest.raises(IntegrityError), catalog.write() as db:
            db.add(Frame(root_id=99, path="x", size=1, mtime_ns=1))

    def test_a_full_disk_is_one_clear_line_and_leaves_nothing(self, catalog: Catalog) -> None:
        with pytest.raises(CatalogError, match="disk is full"), catalog.write() as db:
            pages = db.scalar(text("PRAGMA page_count"))
            db.execute(text(f"PRAGMA max_page_count={pages}"))
            db.add_all(root(path=f"/{number}" + "x" * 3000) for number in range(50))
            db.flush()
        catalog.close()
        assert roots(catalog) == []
        assert catalog.integrity() == []

    def test_data_version_tells_of_own_and_foreign_writes_only(self, catalog: Catalog) -> None:
        first = catalog.data_version()
        roots(catalog)
        assert catalog.data_version() == first
        add_root(catalog, "/a")
        second = catalog.data_version()
        assert second != first
        add_root(Catalog.open(catalog.path), "/b")
        assert catalog.data_version() != second

    def test_close_can_be_followed_by_use(self, catalog: Catalog) -> None:
        catalog.data_version()
        catalog.close()
        add_root(catalog, "/a")
        with catalog as same:
            assert roots(same) == ["/a"]


class TestProcessesAndThreads:
    def test_threads_share_a_catalogue(self, catalog: Catalog) -> None:
        def work(thread: int) -> None:
            for number in range(10):
                add_root(catalog, f"/{thread}/{number}", durable=False)
                roots(catalog)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(roots(catalog)) == 60

    def test_a_forked_child_opens_connections_of_its_own(self, catalog: Catalog) -> None:
        add_root(catalog, "/parent")
        catalog.data_version()

        def child() -> None:
            assert roots(catalog) == ["/parent"]
            add_root(catalog, "/child")
            catalog.data_version()
            catalog.close()

        with catalog.read() as db:  # the child is born in the middle of a transaction
            db.scalar(select(func.count()).select_from(Root))
            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            process.join()
        assert process.exitcode == 0
        add_root(catalog, "/parent again")
        assert roots(catalog) == ["/child", "/parent", "/parent again"]
        assert catalog.integrity() == []

    def test_it_can_be_sent_to_another_process(self, catalog: Catalog) -> None:
        add_root(catalog, "/a")
        assert roots(pickle.loads(pickle.dumps(catalog))) == ["/a"]

    @pytest.mark.parametrize("durable", [True, False])
    def test_a_kill_in_the_middle_of_a_write_leaves_it_whole(self, catalog: Catalog, durable: bool) -> None:
        add_root(catalog, "/before")
        script = f"""
import sys
from datetime import UTC, datetime
from pathlib import Path
from sqlalchemy import insert
from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Root
catalog = Catalog(Path(sys.argv[1]))
now = datetime.now(UTC)
with catalog.write({durable}) as db:
    db.execute(insert(Root), [{{"path": f"/first/{{n}}", "added": now}} for n in range(100)])
with catalog.write({durable}) as db:
    # More than the page cache holds, so that much of it is in the log already.
    db.execute(insert(Root), [{{"path": f"/lost/{{n}}" + "x" * 2000, "added": now}} for n in range(12000)])
    print("inside", flush=True)
    sys.stdin.read()
"""
        process = subprocess.Popen(
            [sys.executable, "-c", script, catalog.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"inside\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()
        assert catalog.path.with_name("catalog.sqlite-wal").stat().st_size > 10_000_000
        again = Catalog.open(catalog.path)
        assert again.integrity() == []
        assert len(roots(again)) == 101
        add_root(again, "/after")


class TestOpening:
    def test_nothing_is_made_unless_asked(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogError, match="there is no catalogue here"):
            Catalog.open(tmp_path / "new" / "catalog.sqlite", create=False)
        assert list(tmp_path.iterdir()) == []

    def test_processes_that_make_it_at_once_get_the_same(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.sqlite"
        fork = multiprocessing.get_context("fork")
        barrier = fork.Barrier(4)

        def child(number: int) -> None:
            barrier.wait()
            add_root(Catalog.open(path), f"/{number}")

        processes = [fork.Process(target=child, args=(number,)) for number in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0] * 4
        assert roots(Catalog.open(path)) == ["/0", "/1", "/2", "/3"]

    def test_a_making_that_was_cut_short_is_made_up_for(self, tmp_path: Path) -> None:
        path = tmp_path / "catalog.sqlite"
        path.touch()
        with sqlite3.connect(path) as raw:
            raw.execute("PRAGMA journal_mode=WAL")
        raw.close()
        assert roots(Catalog.open(path)) == []

    def test_a_file_in_another_journal_mode_gets_its_log_back(self, catalog: Catalog) -> None:
        add_root(catalog, "/a")
        catalog.close()
        raw = sqlite3.connect(catalog.path)
        assert raw.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
        raw.close()
        assert roots(Catalog.open(catalog.path)) == ["/a"]
        with catalog.read() as db:
            assert db.scalar(text("PRAGMA journal_mode")) == "wal"

    @pytest.mark.parametrize("content", [b"hello", b"SIMPLE  =                    T" * 500])
    def test_a_file_of_another_kind(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "m51.fits"
        path.write_bytes(content)
        with pytest.raises(CatalogError, match=r"m51\.fits: is not a catalogue.*--catalog"):
            Catalog.open(path)
        assert path.read_bytes() == content

    def test_a_database_of_another_program(self, tmp_path: Path) -> None:
        path = tmp_path / "photos.db"
        raw = sqlite3.connect(path)
        raw.execute("CREATE TABLE photos (id INTEGER)")
        raw.close()
        before = path.read_bytes()
        with pytest.raises(CatalogError, match=r"belongs to another program.*--catalog"):
            Catalog.open(path)
        assert path.read_bytes() == before

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogError, match="is a folder"):
            Catalog.open(tmp_path)

    def test_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(CatalogError, match="is not an ordinary file"):
            Catalog.open(tmp_path / "pipe")

    def test_an_empty_file_is_filled_only_when_asked(self, tmp_path: Path) -> None:
        (tmp_path / "empty.sqlite").touch()
        with pytest.raises(CatalogError, match="the catalogue is empty"):
            Catalog.open(tmp_path / "empty.sqlite", create=False)
        assert roots(Catalog.open(tmp_path / "empty.sqlite")) == []

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(CatalogError):
            Catalog.open(tmp_path / "file" / "catalog.sqlite")

    def test_a_newer_one(self, catalog: Catalog) -> None:
        stamp(catalog.path, "0999")
        with pytest.raises(CatalogError, match=r"written by a newer astrotui.*0999.*upgrade astrotui"):
            Catalog.open(catalog.path)

    def test_an_upgrade_by_a_newer_program_stops_this_one(self, catalog: Catalog) -> None:
        add_root(catalog, "/a")
        stamp(catalog.path, "0999")
        with pytest.raises(CatalogError, match="upgraded by a newer astrotui"), catalog.read() as db:
            db.scalar(select(func.count()).select_from(Root))
        with pytest.raises(CatalogError, match="upgraded by a newer astrotui"), catalog.write():
            pytest.fail("a writer must not begin")

    def test_damage_at_the_front_names_the_way_out(self, catalog: Catalog) -> None:
        add_root(catalog, "/a")
        catalog.close()
        damage(catalog.path, 100, 4000)
        with pytest.raises(CatalogError, match=r"is damaged.*move it away.*index again") as caught:
            Catalog.open(catalog.path)
        assert "\n" not in str(caught.value)

    def test_damage_names_the_newest_copy(self, catalog: Catalog) -> None:
        catalog.close()
        copy = catalog.path.with_name("catalog.sqlite.0000.bak")
        copy.write_bytes(catalog.path.read_bytes())
        damage(catalog.path, 100, 4000)
        with pytest.raises(CatalogError, match=r"put the copy \S+catalog\.sqlite\.0000\.bak in its place"):
            Catalog.open(catalog.path)

    def test_damage_further_on_is_found_by_use_and_by_the_check(self, catalog: Catalog) -> None:
        with catalog.write() as db:
            db.add_all(root(path=f"/{number:04d}" + "x" * 500) for number in range(500))
        assert catalog.integrity() == []
        catalog.close()
        size = catalog.path.stat().st_size
        damage(catalog.path, size // 2, size // 2)
        again = Catalog.open(catalog.path)
        assert again.integrity() != []
        with pytest.raises(CatalogError, match="is damaged"), again.read() as db:
            db.execute(text("SELECT sum(length(path)) FROM roots NOT INDEXED")).all()

    def test_a_truncated_file(self, catalog: Catalog) -> None:
        catalog.close()
        os.truncate(catalog.path, 5000)
        with pytest.raises(CatalogError, match="is damaged"):
            Catalog.open(catalog.path)

    def test_rows_that_point_to_nothing_are_found(self, catalog: Catalog) -> None:
        with catalog.write() as db:
            add_library(db)
        raw = sqlite3.connect(catalog.path)
        raw.execute("DELETE FROM sessions WHERE id = 1")
        raw.commit()
        raw.close()
        assert any("frames points to a row of sessions" in line for line in catalog.integrity())

    def test_permissions(self) -> None:
        # As an ordinary user even when root runs the tests; pytest's own folders are closed to others.
        folder = Path(tempfile.mkdtemp(prefix="astrotui-test-"))
        try:
            folder.chmod(0o755)
            writable, closed, hidden = folder / "writable", folder / "closed", folder / "hidden"
            for place in (writable, closed, hidden):
                place.mkdir()
                Catalog.open(place / "catalog.sqlite").close()
            (writable / "catalog.sqlite").chmod(0o444)
            writable.chmod(0o777)
            (closed / "catalog.sqlite").chmod(0o666)
            secret = writable / "secret.sqlite"
            shutil.copy(closed / "catalog.sqlite", secret)
            secret.chmod(0)
            closed.chmod(0o555)
            if os.getuid() != 0:
                (closed / "catalog.sqlite-wal").unlink(missing_ok=True)
            read_only = as_nobody(lambda: Catalog.open(writable / "catalog.sqlite"))
            in_closed = as_nobody(lambda: Catalog.open(closed / "catalog.sqlite"))
            new_in_closed = as_nobody(lambda: Catalog.open(closed / "new.sqlite"))
            below_closed = as_nobody(lambda: Catalog.open(closed / "new" / "catalog.sqlite"))
            unreadable = as_nobody(lambda: Catalog.open(secret))
            hidden.chmod(0)
            in_hidden = as_nobody(lambda: Catalog.open(hidden / "catalog.sqlite"))
        finally:
            (folder / "closed").chmod(0o755)
            (folder / "hidden").chmod(0o755)
            shutil.rmtree(folder)
        assert "must be writable" in read_only
        assert "must be writable" in in_closed
        assert "new.sqlite.lock: cannot be written: Permission denied" in new_in_closed
        assert "folder cannot be made: Permission denied" in below_closed
        assert "cannot be read: Permission denied" in unreadable
        assert "cannot be read: Permission denied" in in_hidden
        for line in (read_only, in_closed, new_in_closed, below_closed, unreadable, in_hidden):
            assert "--catalog" in line


class TestNetworkFileSystems:
    @pytest.mark.parametrize(
        "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.rclone", "afs", "fuse.glusterfs"]
    )
    def test_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        share = tmp_path / "my share"
        share.mkdir()
        fake_mounts(tmp_path, monkeypatch, f"36 35 98:0 / {octal(share)} rw shared:1 - {kind} nas:/x rw")
        with pytest.raises(CatalogError, match=rf"network file system \({kind} at .*my share\).*--catalog"):
            Catalog.open(share / "deep" / "catalog.sqlite")
        assert list(share.iterdir()) == []
        (tmp_path / "link").symlink_to(share)
        with pytest.raises(CatalogError, match="network file system"):
            Catalog.open(tmp_path / "link" / "catalog.sqlite")

    @pytest.mark.parametrize("kind", ["ext4", "btrfs", "fuseblk", "fuse.mergerfs", "tmpfs", "overlay"])
    def test_local_ones_are_fine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        fake_mounts(tmp_path, monkeypatch, f"36 35 98:0 / {octal(disk)} rw - {kind} /dev/sda1 rw")
        Catalog.open(disk / "catalog.sqlite").close()

    def test_the_deepest_and_last_mount_decides(self, tmp_path: Path) -> None:
        table = tmp_path / "mountinfo"
        table.write_text(
            "1 0 0:1 / / rw - ext4 /dev/sda1 rw\n"
            "2 1 0:2 / /mnt rw - nfs nas:/ rw\n"
            "3 2 0:3 / /mnt/local rw - nfs nas:/y rw\n"
            "4 2 0:4 / /mnt/local rw master:3 - xfs /dev/sdb1 rw\n"
            "a line of another form\n"
        )
        assert mounts.file_system(Path("/home/me/catalog.sqlite"), table) == (Path("/"), "ext4")
        assert mounts.file_system(Path("/mnt/x/catalog.sqlite"), table) == (Path("/mnt"), "nfs")
        assert mounts.file_system(Path("/mnt/local/x"), table) == (Path("/mnt/local"), "xfs")
        assert mounts.file_system(Path("/mnt/localx"), table) == (Path("/mnt"), "nfs")

    def test_without_a_mount_table_nothing_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mounts, "MOUNT_TABLE", tmp_path / "absent")
        assert mounts.file_system(tmp_path) is None
        Catalog.open(tmp_path / "catalog.sqlite").close()


class TestImports:
    def test_opening_loads_nothing_heavy(self, tmp_path: Path) -> None:
        script = """
import sys
from astrotui.catalog import database, query, saved, summaries
with database.Catalog.open(sys.argv[1]) as catalog, catalog.read() as db:
    db.execute(query.parse("").select()).all()
heavy = {"alembic", "mako", "numpy", "astropy", "scipy", "numba", "textual", "PIL"} & set(sys.modules)
print(sorted(heavy))
"""
        command = [sys.executable, "-c", script, tmp_path / "catalog.sqlite"]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[]\n"


def test_every_session_column_is_there(catalog: Catalog) -> None:
    with catalog.write() as db:
        add_library(db)
    with catalog.read() as db:
        assert [row.target for row in db.scalars(select(Session).order_by(Session.id))] == [
            "M 51",
            "M 13",
            None,
        ]


def stamp(path: Path, revision: str) -> None:
    raw = sqlite3.connect(path)
    raw.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    raw.commit()
    raw.close()


def damage(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as stream:
        stream.seek(start)
        stream.write(b"\xa5" * length)


def octal(path: Path) -> str:
    return str(path).replace(" ", "\\040")


def fake_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("\n".join(["1 0 0:1 / / rw - ext4 /dev/sda1 rw", *lines, ""]))
    monkeypatch.setattr(mounts, "MOUNT_TABLE", table)


def as_nobody(action: Callable[[], object]) -> str:
    """The message of the `CatalogError` that `action` ends in when an ordinary user does it."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        words = "no error"
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            action()
        except CatalogError as error:
            words = str(error)
        finally:
            os.write(sender, words.encode())
            os._exit(0)
    os.close(sender)
    words = b""
    while part := os.read(receiver, 4096):
        words += part
    os.close(receiver)
    os.waitpid(child, 0)
    return words.decode()
