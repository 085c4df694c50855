"""Notes, ratings, tags and pins: what people add to sessions, frames and stacks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import CalibrationSet, Frame, Pin, Root, Session, Stack
from astrotui.errors import AstrotuiError, UsageError
from astrotui.library.grouping import inside
from astrotui.library.listing import list_frames, resolve_sessions
from astrotui.text import clean


@dataclass(frozen=True)
class Notes:
    """What to add; None and empty change nothing, "" and 0 take away."""

    note: str | None = None
    rating: int | None = None
    tags: Sequence[str] = ()
    untags: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        return self.note is None and self.rating is None and not self.tags and not self.untags


@dataclass
class Things:
    """What a person named: whole sessions, single frames, stacks."""

    sessions: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    stacks: list[int] = field(default_factory=list)
    inside: list[int] = field(default_factory=list)  # all frames of folders, whatever their type

    def all_frames(self, catalog: Catalog) -> list[int]:
        """The frames that were named, and all of the sessions' and folders'; each once."""
        with catalog.read() as db:
            own = db.scalars(select(Frame.id).where(Frame.session_id.in_(self.sessions)))
            return list(dict.fromkeys([*self.frames, *own, *self.inside]))


def find_things(catalog: Catalog, specs: Sequence[str], query: str = "") -> Things:
    """What `specs` name; with `query`, the sessions stand for their matching frames.

    Raises
    ------
    AstrotuiError
        A spec names nothing.
    """
    things = Things()
    for spec in specs:
        kind, _, number = spec.partition(":")
        if kind == "stack" and number.isdigit():
            with catalog.read() as db:
                if db.get(Stack, int(number)) is None:
                    raise UsageError(f"no stack {number}; `astrotui stacks` lists them")
            things.stacks.append(int(number))
        elif (frame := _frame_at(catalog, spec)) is not None:
            things.frames.append(frame)
        elif frames := [] if query else _frames_in(catalog, spec):
            things.inside += frames
            with catalog.read() as db:
                for chunk in _chunks(frames):
                    things.sessions += db.scalars(
                        select(Frame.session_id)
                        .where(Frame.id.in_(chunk), Frame.session_id.is_not(None))
                        .distinct()
                    )
        else:
            things.sessions += resolve_sessions(catalog, spec)
    things.sessions = list(dict.fromkeys(things.sessions))
    if query:
        things.frames += [record.id for record in list_frames(catalog, things.sessions, query)]
        things.sessions = []
        if not things.frames:
            raise AstrotuiError(f"no frame matches {clean(query, 200)!r}")
    return things


def _frame_at(catalog: Catalog, spec: str) -> int | None:
    path = Path(spec).expanduser()
    try:
        if not path.is_file():
            return None
        path = path.resolve()
    except (OSError, ValueError):
        return None
    with catalog.read() as db:
        for root_id, root in db.execute(select(Root.id, Root.path)):
            if Path(root) in path.parents:
                relative = path.relative_to(root).as_posix()
                found = db.scalar(select(Frame.id).where(Frame.root_id == root_id, Frame.path == relative))
                if found is not None:
                    return found
    raise AstrotuiError(f"{clean(path, 300)} is not in the catalogue; index its folder first")


def _frames_in(catalog: Catalog, spec: str) -> list[int]:
    """All frames in the folder that `spec` names: darks, too, which belong to no session."""
    if spec.isdigit():
        return []
    path = Path(spec).expanduser()
    try:
        if not path.is_dir():
            return []
        path = path.resolve()
    except (OSError, ValueError):
        return []
    found: list[int] = []
    with catalog.read() as db:
        for root_id, root in db.execute(select(Root.id, Root.path)).all():
            place = Path(root)
            here = Frame.root_id == root_id
            if path == place or path in place.parents:
                found += db.scalars(select(Frame.id).where(here))
            elif place in path.parents:
                below = inside(path.relative_to(place).as_posix())
                found += db.scalars(select(Frame.id).where(here, *below))
    return found


def _chunks(items: Sequence[int], size: int = 500) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def annotate(catalog: Catalog, things: Things, notes: Notes) -> None:
    """Add notes, ratings and tags."""
    with catalog.write(durable=True) as db:
        rows: list[Any] = [
            *db.scalars(select(Session).where(Session.id.in_(things.sessions))),
            *db.scalars(select(Frame).where(Frame.id.in_(things.frames))),
            *db.scalars(select(Stack).where(Stack.id.in_(things.stacks))),
        ]
        for row in rows:
            if notes.note is not None:
                row.note = clean(notes.note, 2000)
            if notes.rating is not None:
                row.rating = notes.rating or None
            added = [clean(tag, 40) for tag in notes.tags if clean(tag, 40)]
            row.tags = [t for t in dict.fromkeys([*row.tags, *added]) if t not in notes.untags]


def pin(catalog: Catalog, session_ids: Sequence[int], kind: str, choice: str) -> None:
    """Pin a calibration set (its id) or file (its path) for sessions; "none" pins to nothing, "auto" unpins.

    Raises
    ------
    UsageError
        There is no such set or file, or its pixels can never fit.
    """
    from astrotui.library.masters_for import CalibrationPlanner

    with catalog.write(durable=True) as db:
        set_id, path = None, None
        if choice.isdigit():
            held = db.get(CalibrationSet, int(choice))
            if held is None or held.kind != kind:
                raise UsageError(f"--{kind} {choice}: no such {kind} set; `astrotui darks` lists them")
            set_id = held.id
        elif choice not in ("none", "auto"):
            place = Path(choice).expanduser().absolute()
            if not place.exists():
                raise UsageError(f"--{kind} {clean(choice, 300)}: no such file or folder")
            path = str(place)
        for session_id in session_ids:
            db.execute(delete(Pin).where(Pin.session_id == session_id, Pin.kind == kind))
            if choice != "auto":
                db.add(
                    Pin(session_id=session_id, kind=kind, set_id=set_id, path=path, made=datetime.now(UTC))
                )
        db.flush()
        planner = CalibrationPlanner(db, {})
        for session in db.scalars(select(Session).where(Session.id.in_(session_ids))):
            planner.check(session)
