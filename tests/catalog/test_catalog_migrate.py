"""Versions of the tables: both ways to make them are equal, upgrades are whole and leave a copy."""

import multiprocessing
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from catalog_rows import add_library, measurement
from sqlalchemy import select, text

from astrotui.catalog import migrate
from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Job
from astrotui.catalog.summaries import session_totals
from astrotui.errors import CatalogError

HELD = migrate.REVISIONS
SECOND = '''"""A later version."""

import os
import signal

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A rebuilt table is the hardest case: others refer to it, and so do triggers.
    with op.batch_alter_table("frames", recreate="always") as table:
        table.add_column(sa.Column("airmass", sa.Double()))
    op.execute("UPDATE frames SET airmass = 1.5")
'''


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog.open(tmp_path / "catalog.sqlite")
    with catalog.write() as db:
        add_library(db)
    return catalog


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make this program one that knows a second version, whose steps end with the given lines."""

    def install(ending: str = "") -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(migrate.scripts(), folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / "0004_later.py").write_text(SECOND + ending)
        monkeypatch.setattr(migrate, "scripts", lambda: folder)
        monkeypatch.setattr(migrate, "REVISIONS", (*HELD, "0004"))

    return install


def by_alembic(path: Path) -> None:
    path.touch()
    with migrate._engine(path).connect() as connection, connection.begin():
        command.upgrade(migrate.config(connection), "head")


def schema(path: Path) -> dict[str, list[str]]:
    """Every table, index and trigger; the lines of each in an order of their own, which may differ."""
    raw = sqlite3.connect(path)
    rows = raw.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    raw.close()
    return {name: _lines(sql) for name, sql in rows}


def _lines(sql: str) -> list[str]:
    """The parts of a statement; SQLite puts a column that was added later behind all, on the last line."""
    return sorted(part.strip(" )") for part in re.sub(r"\s+", " ", sql).split(","))


def columns(path: Path) -> dict[str, list[str]]:
    raw = sqlite3.connect(path)
    tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: [row[1] for row in raw.execute(f"PRAGMA table_info({name})")] for name in tables}
    raw.close()
    return found


def revision(path: Path) -> str:
    raw = sqlite3.connect(path)
    (found,) = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    raw.close()
    return str(found)


class TestScripts:
    def test_there_is_one_head_and_the_program_knows_all(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.sqlite"
        path.touch()
        with migrate._engine(path).connect() as connection:
            scripts = ScriptDirectory.from_config(migrate.config(connection))
        assert scripts.get_heads() == [migrate.head()]
        known = [script.revision for script in scripts.walk_revisions()]
        assert tuple(reversed(known)) == migrate.REVISIONS

    def test_models_and_migrations_do_not_drift(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.sqlite"
        by_alembic(path)
        with migrate._engine(path).connect() as connection, connection.begin():
            command.check(migrate.config(connection))

    def test_both_ways_make_the_same(self, tmp_path: Path) -> None:
        at_once, by_steps = tmp_path / "at_once.sqlite", tmp_path / "by_steps.sqlite"
        Catalog.open(at_once).close()
        by_alembic(by_steps)
        assert schema(at_once) == schema(by_steps)
        assert columns(at_once) == columns(by_steps)
        assert revision(at_once) == revision(by_steps)
        assert len(schema(at_once)) > 20

    def test_there_is_no_way_back(self) -> None:
        for script in (migrate.scripts() / "versions").glob("*.py"):
            assert "def downgrade" not in script.read_text()

    def test_an_installed_package_brings_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checkout = migrate.scripts()
        assert (checkout / "versions").is_dir()
        package = tmp_path / "site-packages" / "astrotui"
        (package / "catalog").mkdir(parents=True)
        monkeypatch.setattr(migrate, "__file__", str(package / "catalog" / "migrate.py"))
        with pytest.raises(CatalogError, match="lacks its migrations"):
            migrate.scripts()
        shutil.copytree(checkout, package / "_migrations")
        assert migrate.scripts() == package / "_migrations"

    def test_the_next_migration_is_written_from_the_models(
        self, newer: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        newer("")
        path = migrate.write_revision("airmass is gone again")
        written = path.read_text()
        assert path.name.startswith("0005")
        assert "drop_column('airmass')" in written
        assert "def downgrade" not in written


class TestUpgrade:
    def test_it_keeps_everything_and_a_copy(self, catalog: Catalog, newer: Callable[[str], None]) -> None:
        before = catalog.path.with_name("before.sqlite")
        migrate.keep_copy(catalog.path, before)
        newer("")
        again = Catalog.open(catalog.path)
        with again.read() as db:
            assert db.scalar(text("SELECT count(*) FROM frames WHERE airmass = 1.5")) == 8
            assert db.scalar(text("SELECT count(*) FROM frames WHERE measured")) == 2
        assert again.integrity() == []
        copy = catalog.path.with_name("catalog.sqlite.0003.bak")
        assert revision(catalog.path) == "0004"
        assert revision(copy) == "0003"
        assert dump(copy) == dump(before)
        assert not list(catalog.path.parent.glob(".*.part*"))

    def test_triggers_outlive_a_rebuilt_table(self, catalog: Catalog, newer: Callable[[str], None]) -> None:
        newer("")
        again = Catalog.open(catalog.path)
        with again.write() as db:
            db.add(measurement(2))
        with again.read() as db:
            assert list(db.scalars(select(Frame.id).where(Frame.measured).order_by(Frame.id))) == [1, 2, 4]

    def test_a_step_that_fails_leaves_it_as_it_was(
        self, catalog: Catalog, newer: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = dump(catalog.path)
        newer('    op.execute("INSERT INTO nowhere VALUES (1)")\n')
        with pytest.raises(CatalogError, match=r"from version 0003 to 0004 and stays as it was.*nowhere"):
            Catalog.open(catalog.path)
        assert dump(catalog.path) == before
        monkeypatch.setattr(migrate, "REVISIONS", HELD)
        assert Catalog.open(catalog.path).integrity() == []

    def test_a_step_that_breaks_references_leaves_it_as_it_was(
        self, catalog: Catalog, newer: Callable[[str], None]
    ) -> None:
        before = dump(catalog.path)
        newer('    op.execute("DELETE FROM sessions WHERE id = 1")\n')
        with pytest.raises(CatalogError, match="rows of frames would point to nothing"):
            Catalog.open(catalog.path)
        assert dump(catalog.path) == before

    def test_a_kill_in_the_middle_leaves_it_as_it_was(
        self, catalog: Catalog, newer: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = dump(catalog.path)
        newer("    if os.environ.get('DIE_HERE'):\n        os.kill(os.getpid(), signal.SIGKILL)\n")
        monkeypatch.setenv("DIE_HERE", "1")
        process = multiprocessing.get_context("fork").Process(target=Catalog.open, args=(catalog.path,))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert dump(catalog.path) == before
        monkeypatch.delenv("DIE_HERE")
        assert Catalog.open(catalog.path).integrity() == []
        assert revision(catalog.path) == "0004"

    def test_two_processes_at_once(self, catalog: Catalog, newer: Callable[[str], None]) -> None:
        newer("")
        fork = multiprocessing.get_context("fork")
        barrier = fork.Barrier(3)

        def child() -> None:
            barrier.wait()
            with Catalog.open(catalog.path).read() as db:
                assert db.scalar(text("SELECT count(*) FROM frames WHERE airmass = 1.5")) == 8

        processes = [fork.Process(target=child) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0, 0]

    def test_it_is_left_alone_when_asked(self, catalog: Catalog, newer: Callable[[str], None]) -> None:
        newer("")
        with pytest.raises(CatalogError, match="version 0003 is older than this program's 0004"):
            Catalog.open(catalog.path, migrate=False)
        assert revision(catalog.path) == "0003"

    def test_without_a_copy_there_is_no_upgrade(self, catalog: Catalog, newer: Callable[[str], None]) -> None:
        newer("")
        catalog.path.with_name("catalog.sqlite.0003.bak").mkdir()
        with pytest.raises(CatalogError, match=r"0003\.bak: no copy of the catalogue could be written"):
            Catalog.open(catalog.path)
        assert revision(catalog.path) == "0003"


def at_first_version(catalog: Catalog, path: Path) -> dict[str, list[tuple[object, ...]]]:
    """A catalogue as the first version wrote it, with the rows of `catalog`; returns them by table."""
    path.touch()
    with migrate._engine(path).connect() as connection, connection.begin():
        command.upgrade(migrate.config(connection), "0001")
    raw = sqlite3.connect(path)
    raw.execute("ATTACH ? AS source", (str(catalog.path),))
    held = {}
    for table, names in columns(path).items():
        if table != "alembic_version":
            listed = ", ".join(f'"{name}"' for name in names)
            raw.execute(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM source.{table}")
            held[table] = raw.execute(f"SELECT {listed} FROM {table} ORDER BY 1").fetchall()
    raw.commit()
    raw.close()
    return held


class TestRealSteps:
    def test_a_catalogue_of_the_first_version_keeps_all_it_holds(
        self, catalog: Catalog, tmp_path: Path
    ) -> None:
        path = tmp_path / "old" / "catalog.sqlite"
        path.parent.mkdir()
        held = at_first_version(catalog, path)
        before, names = dump(path), columns(path)
        assert sum(len(rows) for rows in held.values()) > 10
        with Catalog.open(path) as upgraded:
            assert upgraded.integrity() == []
            with upgraded.read() as db:
                assert db.scalar(text("SELECT count(*) FROM measurements WHERE sample IS NOT NULL")) == 0
                assert db.scalar(text("SELECT count(*) FROM session_totals")) == 0
                counted = {row.session_id: row.lights for row in db.execute(select(session_totals()))}
                assert counted == {1: 7, 2: 1}
            with upgraded.write() as db:
                db.add(measurement(2, sample="0" * 40))
            with upgraded.read() as db:
                assert db.scalar(text("SELECT count(*) FROM frames WHERE measured")) == 3
                assert db.scalar(text("SELECT sum(lights) FROM session_totals")) == 8
            with upgraded.write() as db:
                db.execute(text("DELETE FROM measurements WHERE frame_id = 2"))
        assert revision(path) == migrate.head()
        copy = path.with_name("catalog.sqlite.0001.bak")
        assert revision(copy) == "0001"
        assert dump(copy) == before
        raw = sqlite3.connect(path)
        for table, rows in held.items():
            listed = ", ".join(f'"{name}"' for name in names[table])
            assert raw.execute(f"SELECT {listed} FROM {table} ORDER BY 1").fetchall() == rows
        raw.close()


class TestRunningJobs:
    def test_a_live_lease_forbids_an_upgrade(self, catalog: Catalog, newer: Callable[[str], None]) -> None:
        add_job(catalog, "running", timedelta(seconds=15))
        newer("")
        with pytest.raises(CatalogError, match=r"job 1, stack \(M 51\), is running under an older astrotui"):
            Catalog.open(catalog.path)
        assert revision(catalog.path) == "0003"

    @pytest.mark.parametrize(
        ("status", "lease"),
        [("running", timedelta(seconds=-1)), ("done", timedelta(seconds=15)), ("queued", None)],
    )
    def test_jobs_that_nobody_runs_do_not(
        self, catalog: Catalog, newer: Callable[[str], None], status: str, lease: timedelta | None
    ) -> None:
        add_job(catalog, status, lease)
        newer("")
        Catalog.open(catalog.path)
        assert revision(catalog.path) == "0004"


def add_job(catalog: Catalog, status: str, lease: timedelta | None) -> None:
    now = datetime.now(UTC)
    with catalog.write() as db:
        until = None if lease is None else now + lease
        db.add(Job(kind="stack", title="M 51", status=status, lease_until=until, created=now))


def dump(path: Path) -> list[str]:
    raw = sqlite3.connect(path)
    lines = list(raw.iterdump())
    raw.close()
    return lines
