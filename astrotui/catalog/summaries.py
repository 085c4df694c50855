"""Totals of sessions and the statements that list sessions and frames."""

from typing import Any

from sqlalchemy import ColumnElement, Float, Select, SQLColumnExpression, Subquery, func, select
from sqlalchemy.orm import defer

from astrotui.catalog.models import Frame, Measurement, Root, Session
from astrotui.catalog.status import STATUSES

COUNTS = ("lights", *STATUSES, "unmeasured")


def session_totals(name: str = "totals") -> Subquery:
    """Counts of each session's lights, one row a session that has any.

    Columns: session_id; lights (all of them) = undecided + accepted + rejected + missing + quarantined;
    unmeasured (neither missing nor quarantined); integration_s, the sum of the known exposures of the
    undecided and accepted ones.

    All comes from one index of the frames, in its order.
    """
    present = Frame.quarantine.is_(None) & ~Frame.missing
    usable = (Frame.decision != "rejected") & present
    conditions = {
        # Unlike a sum of cases, a filtered count costs nothing for the lights that it does not count.
        "undecided": (Frame.decision == "undecided") & present,
        "accepted": (Frame.decision == "accepted") & present,
        "rejected": (Frame.decision == "rejected") & present,
        "missing": Frame.missing & Frame.quarantine.is_(None),
        "quarantined": Frame.quarantine.is_not(None),
        "unmeasured": ~Frame.measured & present,
    }
    return (
        select(
            Frame.session_id,
            func.count().label("lights"),
            *(func.count().filter(condition).label(key) for key, condition in conditions.items()),
            func.coalesce(func.sum(Frame.exposure_s).filter(usable), 0.0, type_=Float).label("integration_s"),
        )
        .where(Frame.session_id.is_not(None))
        .group_by(Frame.session_id)
        .subquery(name)
    )


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
