"""Queries with a name, kept in the catalogue."""

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.fields import SCOPES, Scope
from astrotui.catalog.kinds import show, suggest
from astrotui.catalog.models import SavedQuery
from astrotui.catalog.query import parse
from astrotui.errors import QueryError

_NAME = re.compile(r"[\w.-]{1,40}")


@dataclass(frozen=True)
class Saved:
    """A named query."""

    name: str
    scope: Scope
    text: str


def save_query(db: DbSession, name: str, scope: Scope, text: str) -> Saved:
    """Keep `text` under `name`, in place of what had that name.

    Raises
    ------
    QueryError
        The name is not one word of letters, digits, `.`, `_`, `-`, or the text is no query.
    """
    if not _NAME.fullmatch(name):
        raise QueryError(f"{show(name)} cannot name a query; use up to 40 letters, digits, '.', '_' or '-'")
    # A query within a saved one could be a circle.
    parse(text, scope, saved=None)
    db.merge(SavedQuery(name=name, scope=scope, text=text))
    return Saved(name, scope, text)


def load_query(db: DbSession, name: str) -> Saved:
    """The query that was kept under `name`.

    Raises
    ------
    QueryError
        There is none.
    """
    return _saved(_row(db, name))


def list_queries(db: DbSession, scope: Scope | None = None) -> list[Saved]:
    """All saved queries, by name."""
    rows = db.scalars(select(SavedQuery).order_by(SavedQuery.name))
    return [_saved(row) for row in rows if scope is None or row.scope == scope]


def saved_texts(db: DbSession, scope: Scope) -> dict[str, str]:
    """Texts by name, as `parse` takes them for the word `query:NAME`."""
    return {saved.name: saved.text for saved in list_queries(db, scope)}


def delete_query(db: DbSession, name: str) -> None:
    """Forget the query `name`.

    Raises
    ------
    QueryError
        There is none.
    """
    db.delete(_row(db, name))


def _row(db: DbSession, name: str) -> SavedQuery:
    row = db.get(SavedQuery, name)
    if row is None:
        known = [saved.name for saved in list_queries(db)]
        listed = f"; saved are {', '.join(known[:20])}" if known else "; none is saved"
        raise QueryError(f"no query is saved as {show(name)}{suggest(name, known)}{listed}")
    return row


def _saved(row: SavedQuery) -> Saved:
    scope = next((scope for scope in SCOPES if scope == row.scope), SCOPES[0])
    return Saved(row.name, scope, row.text)
