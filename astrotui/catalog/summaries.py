"""Totals of sessions and the statements that list sessions and frames."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    Select,
    SQLColumnExpression,
    Subquery,
    column,
    func,
    select,
    text,
)
from sqlalchemy.orm import defer

from astrotui.catalog.models import Frame, Measurement, Root, Session
from astrotui.catalog.plain import COUNTS
from astrotui.catalog.plain import TOTALS as TOTALS_SQL

_TOTALS = (
    column("session_id", Integer),
    *(column(name, Integer) for name in COUNTS),
    column("integration_s", Float),
)


def session_totals(name: str = "totals") -> Subquery:
    """Counts of each session's lights, one row a session that has any.

    Columns: session_id; lights (all of them) = undecided + accepted + rejected + missing + quarantined;
    unmeasured (neither missing nor quarantined); integration_s, the sum of the known exposures of the
    undecided and accepted ones.
    """
    return text(TOTALS_SQL).columns(*_TOTALS).subquery(name)


# The totals that the fields of the query language refer to.
TOTALS = session_totals()


def total_of(name: str) -> ColumnElement[Any]:
    """A column of `TOTALS`, zero for a session without lights."""
    return func.coalesce(TOTALS.c[name], 0)


def path_of(relative: SQLColumnExpression[str], root_id: SQLColumnExpression[int]) -> ColumnElement[str]:
    """The absolute path of what is stored relative to its root."""
    return func.rtrim(func.rtrim(root_path(root_id), "/") + "/" + relative, "/")


def root_path(root_id: SQLColumnExpression[int]) -> ColumnElement[str]:
    """The path of a root; needs no join."""
    return select(Root.path).where(Root.id == root_id).scalar_subquery()


def session_rows() -> Select[*tuple[Any, ...]]:
    """Sessions for a query of scope "sessions": rows of `Session`, `path` and the totals by their names."""
    return select(
        Session,
        path_of(Session.folder, Session.root_id).label("path"),
        *(total_of(name).label(name) for name in (*COUNTS, "integration_s")),
    ).outerjoin(TOTALS, TOTALS.c.session_id == Session.id)


def frame_rows() -> Select[*tuple[Any, ...]]:
    """Frames for a query of scope "frames": rows of `Frame`, `Measurement` or None, and `path`.

    Star lists are left on disk until they are asked for.
    """
    return (
        select(Frame, Measurement, path_of(Frame.path, Frame.root_id).label("path"))
        .join(Session, Frame.session_id == Session.id)
        .outerjoin(Measurement, Measurement.frame_id == Frame.id)
        .options(defer(Measurement.star_list, raiseload=True))
    )
