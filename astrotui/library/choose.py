"""Decisions on frames: accept, reject, undo, redo. A history in which every step can be taken back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Literal

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Decision, DecisionBatch, Frame
from astrotui.errors import AstrotuiError

Verdict = Literal["undecided", "accepted", "rejected"]
Author = Literal["person", "preset", "device"]


@dataclass(frozen=True)
class Choice:
    """What a decision did: `changed` frames of those that were named, in batch `batch` (None: nothing changed)."""

    frames: int
    changed: int
    batch: int | None
    description: str


def decide(
    catalog: Catalog,
    frame_ids: Sequence[int],
    verdict: Verdict,
    *,
    by: Author = "person",
    reasons: Mapping[int, list[str]] | None = None,
    description: str = "",
) -> Choice:
    """Give `verdict` to frames as one step that can be undone.

    A preset never overrules a person: frames that a person decided keep that decision.
    """
    words = description or f"{verdict} {len(frame_ids)}"
    with catalog.write(durable=True) as db:
        frames: list[Frame] = []
        for chunk in _chunks(frame_ids):
            frames += db.scalars(select(Frame).where(Frame.id.in_(chunk), Frame.frame_type == "light"))
        persons = _decided_by_person(db, frame_ids)
        changes = []
        for frame in frames:
            why = list((reasons or {}).get(frame.id, []))
            same = (
                frame.decision == verdict and (by != "person" or frame.id in persons) and frame.reasons == why
            )
            if same or (by != "person" and frame.id in persons):
                continue
            changes.append(
                {
                    "frame_id": frame.id, "before": frame.decision, "before_reasons": list(frame.reasons),
                    "after": verdict, "reasons": why,
                }
            )  # fmt: skip
            frame.decision, frame.reasons = verdict, why
        if not changes:
            return Choice(len(frames), 0, None, words)
        sessions = {f.session_id for f in frames}
        db.execute(update(DecisionBatch).where(DecisionBatch.state == "undone").values(state="dropped"))
        batch = DecisionBatch(
            session_id=sessions.pop() if len(sessions) == 1 else None,
            made=datetime.now(UTC), by=by, description=words, state="done",
        )  # fmt: skip
        db.add(batch)
        db.flush()
        db.execute(insert(Decision), [{"batch_id": batch.id, **change} for change in changes])
        return Choice(len(frames), len(changes), batch.id, words)


def undo(catalog: Catalog, steps: int = 1) -> list[Choice]:
    """Take back the latest steps, newest first; fewer when there are fewer.

    Raises
    ------
    AstrotuiError
        There is nothing to undo.
    """
    return _travel(catalog, steps, forward=False)


def redo(catalog: Catalog, steps: int = 1) -> list[Choice]:
    """Make steps again that were undone, in their order; a new decision ends what can be redone."""
    return _travel(catalog, steps, forward=True)


def _travel(catalog: Catalog, steps: int, *, forward: bool) -> list[Choice]:
    moved: list[Choice] = []
    with catalog.write(durable=True) as db:
        wanted = "undone" if forward else "done"
        order = DecisionBatch.id.asc() if forward else DecisionBatch.id.desc()
        batches = db.scalars(
            select(DecisionBatch)
            .where(DecisionBatch.state == wanted, DecisionBatch.by != "device")
            .order_by(order)
            .limit(steps)
        ).all()
        for batch in batches:
            changes = db.scalars(select(Decision).where(Decision.batch_id == batch.id)).all()
            for change in changes:
                frame = db.get(Frame, change.frame_id)
                if frame is None:
                    continue
                if forward:
                    frame.decision, frame.reasons = change.after, list(change.reasons)
                else:
                    frame.decision, frame.reasons = change.before, list(change.before_reasons)
            batch.state = "done" if forward else "undone"
            moved.append(Choice(len(changes), len(changes), batch.id, batch.description))
    if not moved:
        raise AstrotuiError("nothing to redo" if forward else "nothing to undo")
    return moved


def _decided_by_person(db: DbSession, frame_ids: Sequence[int]) -> set[int]:
    """Frames that a person accepted or rejected and nobody changed since."""
    latest: dict[int, tuple[str, str]] = {}
    for chunk in _chunks(frame_ids):
        rows = db.execute(
            select(Decision.frame_id, DecisionBatch.by, Decision.after)
            .join(DecisionBatch, Decision.batch_id == DecisionBatch.id)
            .where(Decision.frame_id.in_(chunk), DecisionBatch.state == "done")
            .order_by(Decision.id)
        )
        latest.update({frame_id: (by, after) for frame_id, by, after in rows})
    return {frame_id for frame_id, (by, after) in latest.items() if by == "person" and after != "undecided"}


def _chunks(ids: Sequence[int]) -> list[list[int]]:
    # SQLite bounds the number of parameters of a statement.
    iterator = iter(ids)
    return list(iter(lambda: list(islice(iterator, 500)), []))
