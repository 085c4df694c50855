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

    All comes from one index of the frames, in its order: equal frames are counted first, which takes half the time
    of asking each whether it is to be counted.
    """
    alike = (Frame.session_id, Frame.missing, Frame.quarantine, Frame.decision, Frame.measured)
    kinds = (
        select(*alike, func.count().label("frames"), func.sum(Frame.exposure_s).label("seconds"))
        .where(Frame.session_id.is_not(None))
        .group_by(*alike)
        .subquery(f"{name}_of_kinds")
    ).c
    present = kinds.quarantine.is_(None) & ~kinds.missing
    conditions = {
        "undecided": (kinds.decision == "undecided") & present,
        "accepted": (kinds.decision == "accepted") & present,
        "rejected": (kinds.decision == "rejected") & present,
        "missing": kinds.missing & kinds.quarantine.is_(None),
        "quarantined": kinds.quarantine.is_not(None),
        "unmeasured": ~kinds.measured & present,
    }
    usable = (kinds.decision != "rejected") & present
    return (
        select(
            kinds.session_id,
            func.sum(kinds.frames).label("lights"),
            *(
                func.coalesce(func.sum(kinds.frames).filter(condition), 0).label(key)
                for key, condition in conditions.items()
            ),
            func.coalesce(func.sum(kinds.seconds).filter(usable), 0.0, type_=Float).label("integration_s"),
        )
        .group_by(kinds.session_id)
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
