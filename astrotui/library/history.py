"""The history of decisions: every step with who, why and when, and what stands of it for each frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Decision, DecisionBatch, Frame, Root


@dataclass(frozen=True)
class DecisionRecord:
    """What one step did to one frame.

    Attributes
    ----------
    step : the batch it belongs to; those of one import differ and bear the same time
    by : person, preset or device
    why : the step in words
    reasons : those of the frame
    state : done, undone, or dropped (undone, and no longer to be redone)
    stands : it is what the frame's status comes from now
    relative : the path within its library root; `path` is absolute
    """

    step: int
    when: datetime
    by: str
    why: str
    state: str
    stands: bool
    frame_id: int
    path: str
    relative: str
    content_id: str | None
    session_id: int | None
    before: str
    after: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """What one command or key press decided on the frames in question."""

    step: int
    when: datetime
    by: str
    why: str
    state: str
    frames: int


def history(catalog: Catalog, session_ids: Sequence[int]) -> list[DecisionRecord]:
    """All decisions on the lights of sessions, oldest first, undone ones too."""
    with catalog.read() as db:
        rows = db.execute(
            select(Decision, DecisionBatch, Frame.path, Frame.content_id, Frame.session_id, Root.path)
            .join(DecisionBatch, Decision.batch_id == DecisionBatch.id)
            .join(Frame, Decision.frame_id == Frame.id)
            .join(Root, Frame.root_id == Root.id)
            .where(Frame.session_id.in_(session_ids))
            .order_by(Decision.id)
        ).all()
    latest = {row[0].frame_id: row[0].id for row in rows if row[1].state == "done"}
    return [
        DecisionRecord(
            batch.id, batch.made, batch.by, batch.description, batch.state, latest.get(decision.frame_id) == decision.id,
            decision.frame_id, f"{root.rstrip('/')}/{path}", path, content, session, decision.before, decision.after,
            tuple(decision.reasons),
        )
        for decision, batch, path, content, session, root in rows
    ]  # fmt: skip


def steps(records: Sequence[DecisionRecord]) -> list[Step]:
    """The steps that records belong to, oldest first."""
    found: dict[int, list[DecisionRecord]] = {}
    for record in records:
        found.setdefault(record.step, []).append(record)
    return [
        Step(first.step, first.when, first.by, first.why, first.state, len(members))
        for members in found.values()
        for first in members[:1]
    ]


def to_json(record: DecisionRecord) -> dict[str, Any]:
    """The keys of `decisions --json`."""
    from astrotui.library.listing import to_json as plain

    values = plain(record)
    return {("id" if name == "frame_id" else name): v for name, v in values.items() if name != "relative"}
