"""The catalogue as the other rooms hold it: transactions on one SQLite file, safe among many processes."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog import migrate
from astrotui.catalog.connection import connect, explain, is_busy, translated
from astrotui.catalog.plain import KEEP_TOTALS, WRONG_TOTALS
from astrotui.catalog.prepare import prepare
from astrotui.catalog.turns import turn
from astrotui.errors import CatalogError

# Statements that begin a transaction, by its kind. A write takes its lock at once: a transaction that reads
# first and then writes could fail on what others wrote in between.
_BEGIN: dict[str, tuple[str, ...]] = {
    "read": ("PRAGMA query_only=ON", "BEGIN"),
    "durable": ("PRAGMA query_only=OFF", "PRAGMA synchronous=FULL", "BEGIN IMMEDIATE"),
    "quick": ("PRAGMA query_only=OFF", "PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE"),
}
_KIND = "catalog_transaction"

# What a forked child inherited: SQLite forbids even closing another process's connections.
_inherited: list[object] = []


class Catalog:
    """An open catalogue; any number of threads and processes may hold one on the same file.

    Use `Catalog.open`; the constructor neither makes nor checks the file.

    Attributes
    ----------
    patience : asked, in the thread that waits, when another program has kept its lock for so long that a transaction
        would be given up: whether to wait on
    waits_to_write : whether a transaction waits for the lock of another writer
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.patience: Callable[[], bool] = lambda: False
        self.waits_to_write = False
        self._pid = os.getpid()
        self._local = threading.local()
        self._watch_lock = threading.Lock()
        self._watch: sqlite3.Connection | None = None
        self._engine = _engine(self)

    @classmethod
    def open(cls, path: str | Path, *, create: bool = True, migrate: bool = True) -> Self:
        """Open the catalogue at `path`, making it or bringing it up to date where that is needed.

        Parameters
        ----------
        create : make a new catalogue, parent folders included, when there is none
        migrate : bring an older catalogue up to date; a copy of it is kept as `NAME.<version>.bak`

        Raises
        ------
        CatalogError
            There is none and `create` is False; it lies on a network file system, cannot be read or written,
            is damaged, no catalogue, or of a newer program; an upgrade is not possible while a job runs.
        """
        place = Path(path).expanduser().absolute()
        prepare(place, create=create, upgrade=migrate)
        return cls(place)

    @contextmanager
    def read(self) -> Iterator[DbSession]:
        """A session that sees the catalogue as it is at its first statement and cannot change it.

        Objects stay usable after it ends.
        """
        with translated(self.path), self._session("read") as session:
            yield session

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[DbSession]:
        """A session that alone may write; committed at the end, undone as a whole by an exception.

        `durable` waits until the disk has what was written (decisions, jobs); without it the latest such
        transactions may be lost, whole, when the machine loses power. Keep it short: other writers wait.

        Raises
        ------
        CatalogError
            Others kept the lock for too long, or the disk is full or fails.
        """
        if getattr(self._local, "writing", False):
            raise RuntimeError("this thread already writes to the catalogue and would wait for itself")
        kind = "durable" if durable else "quick"
        self.waits_to_write = True
        with translated(self.path), turn(self.path), self._session(kind) as session:
            try:
                session.connection()  # takes the lock now
            finally:
                self.waits_to_write = False
            self._local.writing = True
            try:
                yield session
                session.flush()
                session.connection().exec_driver_sql(KEEP_TOTALS)
                session.commit()
            finally:
                self._local.writing = False

    def data_version(self) -> int:
        """A number that changes when the catalogue was changed, by this process or another.

        Numbers of one open catalogue compare with each other only; asking costs some microseconds.
        """
        self._check_process()
        with self._watch_lock, translated(self.path):
            if self._watch is None:
                # SQLite tells a connection of others' changes only, so this one never writes.
                self._watch = connect(self.path)
            return int(self._watch.execute("PRAGMA data_version").fetchone()[0])

    def integrity(self) -> list[str]:
        """What is wrong with the file, one line each; empty when all is well. Reads the whole catalogue."""
        lines: list[str] = []
        try:
            with closing(connect(self.path)) as connection:
                for (line,) in connection.execute("PRAGMA integrity_check"):
                    if line != "ok":
                        lines += str(line).splitlines()
                for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
                    lines.append(f"row {row} of {table} points to a row of {parent} that is not there")
                for (session,) in connection.execute(WRONG_TOTALS):
                    lines.append(f"the totals of session {session} are not those of its frames")
        except sqlite3.Error as error:
            lines.append(str(explain(self.path, error) or f"{self.path}: {error}"))
        return lines

    def close(self) -> None:
        """Close idle connections; the catalogue opens them again when it is used again."""
        self._check_process()
        self._engine.dispose()
        with self._watch_lock:
            if self._watch is not None:
                self._watch.close()
                self._watch = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.path,)  # a spawned process opens its own

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            _inherited.append((self._engine, self._watch))
            Catalog.__init__(self, self.path)

    @contextmanager
    def _session(self, kind: str) -> Iterator[DbSession]:
        self._check_process()
        bind = self._engine.execution_options(**{_KIND: kind})
        with DbSession(bind, expire_on_commit=False) as session:
            yield session


def _engine(catalog: Catalog) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=lambda: connect(catalog.path),
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=-1,  # a thread never waits for another's connection
    )
    event.listen(engine, "begin", lambda connection: _begin(connection, catalog.patience))
    return engine


def _begin(connection: Connection, patience: Callable[[], bool]) -> None:
    raw = cast(sqlite3.Connection, connection.connection.dbapi_connection)
    for statement in _BEGIN[connection.get_execution_options()[_KIND]]:
        _execute(raw, statement, patience)
    # A newer program may have upgraded the catalogue since this one opened it.
    row = _execute(raw, "SELECT version_num FROM alembic_version", patience).fetchone()
    if row is None or row[0] != migrate.head():
        raise CatalogError(
            "the catalogue was upgraded by a newer astrotui while this one was running; start it again"
        )


def _execute(raw: sqlite3.Connection, statement: str, patience: Callable[[], bool]) -> sqlite3.Cursor:
    """Run a statement, again and again while others hold a lock and there is patience left."""
    while True:
        try:
            return raw.execute(statement)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or not patience():
                raise
