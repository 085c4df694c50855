"""Frames that are in the library more than once, found by content and told as warnings; nothing is dropped."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, String, func, or_, select, type_coerce
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.models import CalibrationSet, Frame, Root, Session
from astrotui.text import clean, plural

_TOLD = re.compile(r"(?:[\d,]+ frames? (?:is|are)|some frames are) also in ")
_MOST_PLACES = 5  # that one session names
_MOST_COPIES = 50  # places of one exposure that are compared


class _Copy(NamedTuple):
    """Where one file with a certain content lies, and in what role."""

    session_id: int | None
    set_id: int | None
    role: str
    folder: str


def is_duplicate_warning(text: str) -> bool:
    """Whether a warning of a session or set tells of duplicates."""
    return _TOLD.match(text) is not None


def refresh_duplicates(db: DbSession) -> int:
    """Tell every session and set which of its frames lie elsewhere too; returns how many files are copies.

    Frames are equal when their content is: size, DATE-OBS, header and first pixels. Roots do not matter, nor
    does the role in which the other copy is indexed.
    """
    connection = db.connection()
    places: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    copies = 0
    for group in _groups(connection):
        copies += sum(count for _, count in group) - 1
        for (mine, count), (other, others) in _pairs(group):
            owner = ("session", mine.session_id) if mine.session_id else ("set", mine.set_id)
            if owner[1] is not None and (mine != other or others > 1):
                places[owner[0], owner[1]][_place(mine, other)] += count
    for kind, model in (("session", Session), ("set", CalibrationSet)):
        _write(connection, model, {owner[1]: p for owner, p in places.items() if owner[0] == kind})
    db.expire_all()
    return copies


def _groups(connection: Connection) -> Iterator[list[tuple[_Copy, int]]]:
    """The places of each content that more than one file has, with the number of files there."""
    several = (
        select(Frame.content_id)
        .where(Frame.content_id.is_not(None))
        .group_by(Frame.content_id)
        .having(func.count() > 1)
    )
    rows = connection.execute(
        select(Frame.content_id, Frame.session_id, Frame.set_id, Frame.frame_type, Root.path, Frame.path)
        .join(Root, Frame.root_id == Root.id)
        .where(Frame.content_id.in_(several), ~Frame.missing, Frame.quarantine.is_(None))
        .order_by(Frame.content_id, Frame.id)
    )
    for _, members in groupby(rows, key=lambda row: row[0]):
        counts: dict[_Copy, int] = defaultdict(int)
        for _, session_id, set_id, role, root, path in members:
            folder = path.rpartition("/")[0]
            counts[_Copy(session_id, set_id, role or "light", f"{root}/{folder}" if folder else root)] += 1
        if sum(counts.values()) > 1:
            yield list(counts.items())[:_MOST_COPIES]


def _pairs(
    group: list[tuple[_Copy, int]],
) -> Iterator[tuple[tuple[_Copy, int], tuple[_Copy, int]]]:
    return ((mine, other) for mine in group for other in group)


def _place(mine: _Copy, other: _Copy) -> str:
    where = "this folder, under another name" if mine.folder == other.folder else clean(other.folder, 200)
    return where if mine.role == other.role else f"{where}, as {other.role}"


def _write(connection: Connection, model: Any, places: dict[int | None, dict[str, int]]) -> None:
    table = model.__table__
    told = or_(type_coerce(table.c.warnings, String).like("%also in%"), table.c.id.in_(list(places)[:30000]))
    for row_id, before in connection.execute(select(table.c.id, table.c.warnings).where(told)).all():
        kept = [text for text in before if not is_duplicate_warning(text)]
        after = [*kept, *_lines(places.get(row_id, {}).items())]
        if after != before:
            connection.execute(table.update().where(table.c.id == row_id).values(warnings=after))


def _lines(places: Iterable[tuple[str, int]]) -> list[str]:
    ordered = sorted(places, key=lambda item: (-item[1], item[0]))
    lines = [
        f"{plural(n, 'frame')} {'is' if n == 1 else 'are'} also in {place}"
        for place, n in ordered[:_MOST_PLACES]
    ]
    more = len(ordered) - _MOST_PLACES
    return [*lines, f"some frames are also in {plural(more, 'other folder')}"] if more > 0 else lines
