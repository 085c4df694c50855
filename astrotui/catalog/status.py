"""What stands of a frame: one status, and why, in Python and in SQL."""

from typing import Protocol

from sqlalchemy import ColumnElement, String, case, func

from astrotui.catalog.models import Frame, Measurement

STATUSES = ("undecided", "accepted", "rejected", "missing", "quarantined")


class HasStatus(Protocol):
    """What a status is made from: a `Frame`, or a row with these columns."""

    @property
    def decision(self) -> str: ...
    @property
    def missing(self) -> bool: ...
    @property
    def quarantine(self) -> str | None: ...


def frame_status(frame: HasStatus) -> str:
    """The status of a frame: a file that cannot be used is `quarantined`, whatever was decided on it."""
    if frame.quarantine is not None:
        return "quarantined"
    return "missing" if frame.missing else frame.decision


def status_expression() -> ColumnElement[str]:
    """`frame_status` as an expression over `Frame`."""
    return case(
        (Frame.quarantine.is_not(None), "quarantined"), (Frame.missing, "missing"), else_=Frame.decision
    )


def frame_reasons(frame: Frame, measurement: Measurement | None) -> list[str]:
    """Why a frame is not a good one: of its quarantine, of the decision, of its measurement."""
    found = [frame.quarantine, *frame.reasons, measurement.problem if measurement is not None else None]
    return list(dict.fromkeys(reason for reason in found if reason))


def reasons_expression() -> ColumnElement[str]:
    """`frame_reasons`, with repetitions, as a JSON array over `Frame` and outer-joined `Measurement`."""
    return func.astro_join(Frame.reasons, Frame.quarantine, Measurement.problem, type_=String)
