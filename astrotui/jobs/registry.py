"""State of the queue beside its jobs: the workers that serve it, its pause, how many jobs run at once.

It lives in the catalogue's table of settings, so that every change is one transaction with the jobs it is
about: a worker signs off in the transaction that sees no job left, and nobody can queue one unseen.
"""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, exists, false, or_, select
from sqlalchemy.orm import Session as DbSession
from sqlalchemy.orm import aliased

from astrotui.catalog.models import Job, Setting
from astrotui.errors import JobError, UsageError
from astrotui.jobs.owner import Owner, is_dead
from astrotui.jobs.records import LIVE, now

REFRESH_S = 20.0
# Kinds that take no slot, in lanes beside the stacks, and how many of a lane run at a time: nobody should wait an hour
# for new frames or a picture, and who watches waits all night long, mostly for the sky.
LANES = ((("index", "render"), 1), (("watch",), 2))
BESIDE = tuple(kind for kinds, _ in LANES for kind in kinds)
STALE_S = 90.0  # a worker that has not refreshed its entry for so long serves nobody
_WORKER = "worker."
_PAUSED = "queue.paused"
_SLOTS = "queue.slots"


def live_workers(db: DbSession) -> list[Owner]:
    """The workers that serve this queue."""
    values = db.execute(select(Setting.value).where(Setting.key.startswith(_WORKER))).scalars()
    return [owner for owner in map(_serving, values) if owner is not None]


def register(db: DbSession, owner: Owner, *, most: int | None = None) -> bool:
    """Enter a worker; entries of dead ones are dropped. False when `most` others serve the queue already."""
    rows = db.execute(select(Setting.key, Setting.value).where(Setting.key.startswith(_WORKER))).all()
    alive = 0
    for key, value in rows:
        other = _serving(value)
        if other is None:
            db.execute(delete(Setting).where(Setting.key == key))
        elif other.token != owner.token:
            alive += 1
    if most is not None and alive >= most:
        return False
    refresh(db, owner)
    return True


def refresh(db: DbSession, owner: Owner) -> None:
    """Say that the worker still serves."""
    text = json.dumps({"owner": owner.to_json(), "seen": now().isoformat()})
    db.merge(Setting(key=_WORKER + owner.token, value=text))


def unregister(db: DbSession, owner: Owner) -> None:
    """Take the worker's entry out."""
    db.execute(delete(Setting).where(Setting.key == _WORKER + owner.token))


def is_paused(db: DbSession) -> bool:
    """Whether no further job is to be started."""
    return db.get(Setting, _PAUSED) is not None


def set_paused(db: DbSession, paused: bool) -> None:
    """Stop or allow the start of further jobs; running ones are left alone."""
    if paused:
        db.merge(Setting(key=_PAUSED, value=now().isoformat()))
    else:
        db.execute(delete(Setting).where(Setting.key == _PAUSED))


def slots(db: DbSession) -> int:
    """How many jobs may run at the same time; 1 unless it was changed."""
    row = db.get(Setting, _SLOTS)
    return int(row.value) if row is not None and row.value.isdecimal() and int(row.value) else 1


def most_workers(db: DbSession) -> int:
    """How many workers have something to do at most: one a slot, and those that the lanes beside them keep busy."""
    rows = db.execute(select(Job.kind).where(Job.kind.in_(BESIDE), Job.status.in_(LIVE))).scalars().all()
    return slots(db) + sum(min(most, sum(kind in kinds for kind in rows)) for kinds, most in LANES)


def startable(db: DbSession, running: Iterable[str]) -> ColumnElement[bool]:
    """Which queued jobs may start beside `running` ones (their kinds): where their kind and dependency allow it."""
    kinds = list(running)
    first = aliased(Job)
    waits = exists().where(first.id == Job.after_id, first.status != "done")
    free = [
        Job.kind.in_(lane) if sum(kind in lane for kind in kinds) < most else false() for lane, most in LANES
    ]
    free.append(Job.kind.not_in(BESIDE) if sum(kind not in BESIDE for kind in kinds) < slots(db) else false())
    return and_(Job.status == "queued", or_(*free), ~waits)


def set_slots(db: DbSession, count: int) -> None:
    """Let `count` jobs run at the same time."""
    if not 1 <= count <= 64:
        raise UsageError(f"{count} jobs at once: it must be 1 to 64")
    db.merge(Setting(key=_SLOTS, value=str(count)))


def _serving(value: str) -> Owner | None:
    """The worker of an entry, None when it is dead, stale or the entry is damaged."""
    try:
        table = json.loads(value)
        owner = Owner.from_json(table["owner"])
        seen = datetime.fromisoformat(table["seen"])
    except (ValueError, KeyError, TypeError, JobError):
        return None
    return None if is_dead(owner) or now() - seen > timedelta(seconds=STALE_S) else owner
