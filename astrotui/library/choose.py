"""Decisions on frames: accept, reject, undo, redo. A history in which every step can be taken back.

A step is what one command or key press decided: one batch, or the batches of one import, which bear the
same time. Steps are undone in the order of time backwards, so that what a frame was before is always what
the step before left. What the telescope itself rejected is no step: a person can accept it, and undo that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

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


@dataclass(frozen=True)
class Verdicts:
    """What is to be decided on frames, by whom and why: verdicts and reasons by frame."""

    by: Author
    verdicts: Mapping[int, Verdict]
    reasons: Mapping[int, list[str]]
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
    return decide_all(catalog, [Verdicts(by, dict.fromkeys(frame_ids, verdict), reasons or {}, words)])[0]


def decide_all(catalog: Catalog, all_verdicts: Sequence[Verdicts], *, dry_run: bool = False) -> list[Choice]:
    """Decide several things, each on other frames, as one step; `dry_run` only counts what would change."""
    choices = []
    with catalog.read() if dry_run else catalog.write(durable=True) as db:
        made = datetime.now(UTC)
        dropped = False
        for wanted in all_verdicts:
            frames = _lights(db, wanted.verdicts)
            changes = _changes(db, wanted, frames)
            batch_id = None
            if changes and not dry_run:
                if not dropped:
                    undone = DecisionBatch.state == "undone"
                    db.execute(update(DecisionBatch).where(undone).values(state="dropped"))
                    dropped = True
                batch_id = _record(db, wanted, made, frames, changes)
            choices.append(Choice(len(frames), len(changes), batch_id, wanted.description))
    return choices


def _changes(db: DbSession, wanted: Verdicts, frames: Mapping[int, Frame]) -> list[dict[str, Any]]:
    """What would change on each frame."""
    by_person = decided_by_person(db, frames)
    changes = []
    for frame in frames.values():
        verdict, why = wanted.verdicts[frame.id], list(wanted.reasons.get(frame.id, []))
        # A person who agrees with a preset makes the decision their own.
        owned = wanted.by != "person" or frame.id in by_person
        same = frame.decision == verdict and (verdict == "undecided" or (owned and frame.reasons == why))
        if same or (wanted.by != "person" and frame.id in by_person):
            continue
        changes.append(
            {
                "frame_id": frame.id, "before": frame.decision, "before_reasons": list(frame.reasons),
                "after": verdict, "reasons": why,
            }
        )  # fmt: skip
    return changes


def _record(
    db: DbSession,
    wanted: Verdicts,
    made: datetime,
    frames: Mapping[int, Frame],
    changes: Sequence[dict[str, Any]],
) -> int:
    sessions = set()
    for change in changes:
        frame = frames[change["frame_id"]]
        frame.decision, frame.reasons = change["after"], change["reasons"]
        sessions.add(frame.session_id)
    batch = DecisionBatch(
        session_id=sessions.pop() if len(sessions) == 1 else None,
        made=made, by=wanted.by, description=wanted.description, state="done",
    )  # fmt: skip
    db.add(batch)
    db.flush()
    db.execute(insert(Decision), [{"batch_id": batch.id, **change} for change in changes])
    return batch.id


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
    order = DecisionBatch.id.asc() if forward else DecisionBatch.id.desc()
    with catalog.write(durable=True) as db:
        while len(moved) < steps:
            latest = db.scalar(
                select(DecisionBatch)
                .where(DecisionBatch.state == ("undone" if forward else "done"), DecisionBatch.by != "device")
                .order_by(order)
                .limit(1)
            )
            if latest is None:
                break
            together = db.scalars(
                select(DecisionBatch)
                .where(DecisionBatch.made == latest.made, DecisionBatch.state == latest.state)
                .where(DecisionBatch.by != "device")
                .order_by(order)
            ).all()
            changed = sum(_move(db, batch, forward) for batch in together)
            if changed:  # a step whose frames are all forgotten with their folder is none any more
                moved.append(Choice(changed, changed, latest.id, latest.description))
    if not moved:
        raise AstrotuiError("nothing to redo" if forward else "nothing to undo")
    return moved


def _move(db: DbSession, batch: DecisionBatch, forward: bool) -> int:
    """Undo or redo one batch; how many frames that changed."""
    changes = db.scalars(select(Decision).where(Decision.batch_id == batch.id)).all()
    frames = _lights(db, [change.frame_id for change in changes], any_type=True)
    for change in changes:
        frame = frames[change.frame_id]  # a decision goes with its frame, so that it is there
        if forward:
            frame.decision, frame.reasons = change.after, list(change.reasons)
        else:
            frame.decision, frame.reasons = change.before, list(change.before_reasons)
    batch.state = "done" if forward else "undone"
    db.flush()
    return len(changes)


def decided_by_person(db: DbSession, frame_ids: Iterable[int]) -> set[int]:
    """Frames on which a person's decision stands: no preset changes them.

    To take back in what a preset or the telescope rejected is a decision as well; to take back one's own
    acceptance leaves a frame to the presets.
    """
    latest: dict[int, bool] = {}
    for chunk in _chunks(frame_ids):
        rows = db.execute(
            select(Decision.frame_id, DecisionBatch.by, Decision.before, Decision.after)
            .join(DecisionBatch, Decision.batch_id == DecisionBatch.id)
            .where(Decision.frame_id.in_(chunk), DecisionBatch.state == "done")
            .order_by(Decision.id)
        )
        for frame_id, by, before, after in rows:
            latest[frame_id] = by == "person" and (after != "undecided" or before == "rejected")
    return {frame_id for frame_id, stands in latest.items() if stands}


def _lights(db: DbSession, frame_ids: Iterable[int], *, any_type: bool = False) -> dict[int, Frame]:
    found: dict[int, Frame] = {}
    for chunk in _chunks(frame_ids):
        query = select(Frame).where(Frame.id.in_(chunk))
        if not any_type:
            query = query.where(Frame.frame_type == "light")
        found |= {frame.id: frame for frame in db.scalars(query)}
    return found


def _chunks(ids: Iterable[int]) -> list[list[int]]:
    # SQLite bounds the number of parameters of a statement.
    every = list(dict.fromkeys(ids))
    return [every[start : start + 500] for start in range(0, len(every), 500)]
