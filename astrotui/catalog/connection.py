"""Connections to the catalogue's SQLite file, and its errors put into words for people."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astrotui.catalog import functions
from astrotui.errors import CatalogError

BUSY_SECONDS = 30.0
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the existing file `path` that leaves transactions to its caller.

    It may be used by any thread, by one at a time.
    """
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in (
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-16000",  # 16 MB: the index that totals are counted from stays in memory
            "journal_size_limit=67108864",
        ):
            connection.execute(f"PRAGMA {pragma}")
        functions.register(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def is_busy(error: sqlite3.Error) -> bool:
    """Whether the statement failed for no more than another's lock."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors that a person can do something about into one `CatalogError` of one line."""
    try:
        yield
    except Exception as error:
        problem = explain(path, getattr(error, "orig", error))  # SQLAlchemy wraps what SQLite raised
        if problem is None or problem is error:
            raise
        raise problem from error


def explain(path: Path, error: BaseException | None) -> CatalogError | None:
    """What `error` of SQLite means for the catalogue at `path`; None for mistakes of the program."""
    if isinstance(error, CatalogError):
        return error
    if not isinstance(error, sqlite3.Error):
        return None
    if is_busy(error):
        return CatalogError(
            f"{path}: another program has kept the catalogue locked for over {BUSY_SECONDS:.0f} s; try again"
        )
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            words = "the disk is full; make room and try again"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            words = "the catalogue cannot be written; see its permissions, or name another with --catalog"
        case sqlite3.SQLITE_CANTOPEN:
            words = "the catalogue cannot be opened; see its permissions, or name another with --catalog"
        case sqlite3.SQLITE_IOERR:
            words = f"the disk failed ({error}); nothing of this step was kept"
        case sqlite3.SQLITE_NOTADB:
            words = (
                "is not a catalogue (not an SQLite file), or one with a damaged start; name another with"
                f" --catalog, or {way_out(path)}"
            )
        case sqlite3.SQLITE_CORRUPT:
            words = f"the catalogue is damaged ({error}); {way_out(path)}"
        case _:
            return None
    return CatalogError(f"{path}: {words}")


def way_out(path: Path) -> str:
    """What to do about a damaged catalogue."""
    copies = sorted(path.parent.glob(f"{path.name}.*.bak"), key=lambda copy: copy.stat().st_mtime_ns)
    away = f"move it away together with {path.name}-wal and {path.name}-shm"
    if copies:
        return f"{away} and put the copy {copies[-1]} in its place"
    return f"{away} and index again, or put a copy of your own in its place (none is kept in {path.parent})"
