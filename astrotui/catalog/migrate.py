"""Versions of the catalogue's tables: made new at once, brought up to date by Alembic.

A new catalogue is made from the models without loading Alembic (0.2 s); tests hold both ways equal.
"""

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from astrotui.catalog.connection import connect, translated
from astrotui.catalog.models import Frame
from astrotui.catalog.revisions import REVISIONS
from astrotui.errors import CatalogError
from astrotui.text import clean

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def head() -> str:
    """The revision that the models describe."""
    return REVISIONS[-1]


def scripts() -> Path:
    """The folder of Alembic's scripts: inside an installed package, else the checkout's."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise CatalogError(
        f"this installation lacks its migrations ({package / '_migrations'}); install it again"
    )


def stored_revision(connection: sqlite3.Connection, path: Path) -> str | None:
    """The revision a file is at; None when it holds no tables yet.

    Raises
    ------
    CatalogError
        The file holds tables of another program.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if VERSION_TABLE.name in tables and "frames" in tables:
        row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE.name}").fetchone()
        if row is not None:
            return str(row[0])
    if tables:
        raise CatalogError(
            f"{path}: this SQLite file belongs to another program; name a catalogue with --catalog"
        )
    return None


def check_known(revision: str, path: Path) -> None:
    """Refuse a catalogue that a newer program wrote."""
    if revision not in REVISIONS:
        raise CatalogError(
            f"{path}: written by a newer astrotui (catalogue version {clean(revision, 40)}, this one knows"
            f" {head()}); upgrade astrotui, or name another catalogue with --catalog"
        )


def create_tables(path: Path) -> None:
    """Make all tables in the empty file `path`, in one transaction."""
    engine = _engine(path)
    with translated(path), engine.connect() as connection, connection.begin():
        Frame.metadata.create_all(connection)
        VERSION_TABLE.create(connection)
        connection.execute(insert(VERSION_TABLE).values(version_num=head()))


def upgrade(path: Path) -> None:
    """Bring the catalogue up to date; the caller holds the lock of the file.

    All steps are one transaction: it succeeds as a whole or leaves the catalogue as it was. A copy is kept
    beside it first.

    Raises
    ------
    CatalogError
        A job runs, the copy cannot be written or a step failed.
    """
    from alembic import command
    from alembic.util import CommandError

    engine = _engine(path)
    with translated(path), engine.connect() as connection, connection.begin():
        revision = connection.scalar(select(VERSION_TABLE.c.version_num))
        if revision is not None:
            _refuse_while_working(connection, path)
            copy = path.with_name(f"{path.name}.{revision}.bak")
            keep_copy(path, copy)
        try:
            command.upgrade(config(connection), "head")
            broken = connection.execute(text("PRAGMA foreign_key_check")).first()
        except (SQLAlchemyError, CommandError) as error:
            raise CatalogError(
                f"{path}: could not be brought from version {revision} to {head()} and stays as it was:"
                f" {clean(error)}"
            ) from error
        if broken is not None:
            raise CatalogError(
                f"{path}: could not be brought from version {revision} to {head()} and stays as it was:"
                f" rows of {broken[0]} would point to nothing; `astrotui doctor` checks the catalogue"
            )


def config(connection: Connection) -> "Config":
    """Alembic's settings for work on `connection`."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    return settings


def write_revision(message: str) -> Path:
    """For developers: write the next migration from what differs between the migrations and the models."""
    from tempfile import TemporaryDirectory

    from alembic import command

    with TemporaryDirectory() as folder:
        file = Path(folder) / "catalog.sqlite"
        file.touch()
        with _engine(file).connect() as connection, connection.begin():
            settings = config(connection)
            command.upgrade(settings, "head")
            number = len(list((scripts() / "versions").glob("[0-9]*.py"))) + 1
            written = command.revision(settings, message, autogenerate=True, rev_id=f"{number:04d}")
    script = written if not isinstance(written, list) else written[-1]
    if script is None:
        raise CatalogError("no migration was written")
    return Path(script.path)


def keep_copy(path: Path, copy: Path) -> None:
    """Copy the catalogue as it is now to `copy`, safely on disk or not at all."""
    part = copy.with_name(f".{copy.name}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)
        source = connect(path)
        try:
            target = sqlite3.connect(part)
            try:
                source.backup(target)
            finally:
                target.close()
        finally:
            source.close()
        _sync(part)
        part.replace(copy)
        _sync(copy.parent)
    except (OSError, sqlite3.Error) as error:
        raise CatalogError(f"{copy}: no copy of the catalogue could be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _refuse_while_working(connection: Connection, path: Path) -> None:
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    row = connection.execute(
        text("SELECT id, kind, title FROM jobs WHERE status = 'running' AND lease_until > :now"), {"now": now}
    ).first()
    if row is not None:
        title = f" ({clean(row.title, 60)})" if row.title else ""
        raise CatalogError(
            f"{path}: must be upgraded to version {head()}, but job {row.id}, {clean(row.kind, 20)}{title},"
            " is running under an older astrotui; try again when it has ended"
        )


def _engine(path: Path) -> Engine:
    def creator() -> sqlite3.Connection:
        connection = connect(path)
        # Tables are rebuilt under other names and renamed: references must be left as they are written.
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA legacy_alter_table=ON")
        return connection

    engine = create_engine("sqlite://", creator=creator, poolclass=NullPool)
    event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
