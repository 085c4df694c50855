"""The SQLite connection under a session of SQLAlchemy, for SQL that `plain` keeps."""

import sqlite3
from typing import cast

from sqlalchemy.orm import Session as DbSession


def raw_connection(db: DbSession) -> sqlite3.Connection:
    """The connection in whose transaction `db` is; what `db` holds unwritten is written first."""
    db.flush()
    return cast(sqlite3.Connection, db.connection().connection.dbapi_connection)
