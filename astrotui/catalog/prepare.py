"""What opening a catalogue checks and does before the first transaction."""

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from astrotui.catalog import migrate
from astrotui.catalog.connection import connect, translated
from astrotui.catalog.mounts import file_system, is_network
from astrotui.catalog.turns import lock_file, open_lock
from astrotui.errors import CatalogError

_OLDEST_SQLITE = (3, 35, 0)  # RETURNING


def prepare(path: Path, *, create: bool, upgrade: bool) -> None:
    """Make sure that a catalogue of this program's version stands at `path`.

    Raises
    ------
    CatalogError
        The place or the file cannot be used, or is not there and `create` is False.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise CatalogError(f"SQLite {sqlite3.sqlite_version} is too old; 3.35 or newer is needed")
    check_place(path)
    there = check_file(path)
    if there and _ready(path):
        return
    if not there:
        if not create:
            raise CatalogError(f"{path}: there is no catalogue here; `astrotui index ROOT` makes one")
        _make_folder(path.parent)
    with _alone(path):
        # Another process may have done the work while this one waited.
        if check_file(path) and _ready(path):
            return
        revision = _begin_log(path)
        if revision is None:
            if not create:
                raise CatalogError(f"{path}: the catalogue is empty; `astrotui index ROOT` fills it")
            migrate.create_tables(path)
        elif revision != migrate.head():
            if not upgrade:
                raise CatalogError(
                    f"{path}: catalogue version {revision} is older than this program's {migrate.head()};"
                    " `astrotui sessions` upgrades it"
                )
            migrate.upgrade(path)


def check_place(path: Path) -> None:
    """Refuse file systems on which SQLite cannot share a file."""
    found = file_system(path)
    if found is not None and is_network(found[1]):
        point, kind = found
        raise CatalogError(
            f"{path}: lies on a network file system ({kind} at {point}), where a catalogue would be damaged;"
            " keep it on a local disk: --catalog PATH or ASTROTUI_CATALOG names another place"
        )


def check_file(path: Path) -> bool:
    """Whether there is a file to open; it and its folder must be readable and writable.

    Only SQLite may open the file: the locks of a process end when it closes any descriptor of it, and then
    another process, closing last as it seems, removes the log under this process's open catalogues.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CatalogError(
            f"{path}: the catalogue cannot be read: {error.strerror}; name another with --catalog"
        ) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not an ordinary file"
        raise CatalogError(f"{path}: is {kind}; --catalog names a file")
    if not os.access(path, os.R_OK):
        raise CatalogError(
            f"{path}: the catalogue cannot be read: Permission denied; name another with --catalog"
        )
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK | os.X_OK):
        raise CatalogError(
            f"{path}: the catalogue and its folder must be writable; name another with --catalog"
        )
    return True


def _ready(path: Path) -> bool:
    """Whether the catalogue is at this program's version and in its journal mode."""
    with translated(path), closing(connect(path)) as connection:
        revision = migrate.stored_revision(connection, path)
        if revision is None:
            return False
        migrate.check_known(revision, path)
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        return revision == migrate.head() and mode == "wal"


def _begin_log(path: Path) -> str | None:
    """Give the file its write-ahead log, making it if need be; returns its revision, None when empty."""
    try:
        path.touch()
    except OSError as error:
        raise CatalogError(
            f"{path}: the catalogue cannot be made: {error.strerror}; name another with --catalog"
        ) from error
    with translated(path), closing(connect(path)) as connection:
        revision = migrate.stored_revision(connection, path)
        if revision is not None:
            migrate.check_known(revision, path)
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise CatalogError(
            f"{path}: this file system does not support SQLite's write-ahead log; keep the catalogue on"
            " another disk: --catalog PATH or ASTROTUI_CATALOG names the place"
        )
    return revision


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CatalogError(
            f"{folder}: the catalogue's folder cannot be made: {error.strerror}; name another with --catalog"
        ) from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock under which one process at a time makes or upgrades the catalogue.

    The lock ends with its holder.
    """
    try:
        handle = open_lock(path)
    except OSError as error:
        raise CatalogError(
            f"{lock_file(path)}: cannot be written: {error.strerror}; name another catalogue with --catalog"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
