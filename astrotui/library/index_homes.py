"""Which row of the catalogue a file belongs to: frames keep theirs, with all decisions, wherever their files go."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session as DbSession

from astrotui.library.readers import FACTS, ReadFile

_DATE, _CONTENT = FACTS.index("date_obs"), FACTS.index("content_id")


class Homes:
    """Which row of the catalogue each file that was read belongs to: the one with its content, else with its path."""

    def __init__(
        self,
        lost: Mapping[str, list[Row[Any]]],
        known: Mapping[str, Row[Any]],
        reads: Iterable[ReadFile],
    ) -> None:
        self.known = known
        self.came_from: dict[int, tuple[int, str]] = {}
        self.rows: dict[str, int] = {}
        # A file name that was given to another exposure, as when frames are numbered anew.
        displaced = [read for read in reads if _other_exposure(known.get(read.relative), read)]
        free: dict[str, list[Row[Any]]] = defaultdict(list, {k: list(v) for k, v in lost.items()})
        for read in displaced:
            row = known[read.relative]
            if row.content_id:
                free[row.content_id].append(row)
        self.ousted: dict[int, Row[Any]] = {}
        ousted_paths = {read.relative for read in displaced}
        for read in reads:
            if read.relative in known and read.relative not in ousted_paths:
                continue
            candidates = free.get(content_of(read) or "")
            if candidates:
                name = read.relative.rpartition("/")[2]
                row = next((c for c in candidates if c.path.rpartition("/")[2] == name), candidates[0])
                candidates.remove(row)
                self.rows[read.relative] = row.id
                self.came_from[row.id] = (row.root_id, row.path)
        for read in displaced:
            row = known[read.relative]
            if row.id in self.came_from or read.relative in self.rows or _is_personal(row):
                self.ousted[row.id] = row
            else:
                self.rows[read.relative] = row.id  # nobody said anything about the old exposure

    def of(self, read: ReadFile) -> int | None:
        """The row of a file; None for a new one."""
        row_id = self.rows.get(read.relative)
        if row_id is not None:
            return row_id
        row = self.known.get(read.relative)
        return None if row is None or row.id in self.ousted else int(row.id)

    def clear_the_way(self, db: DbSession) -> None:
        """Take rows off paths that other exposures have now; those whose files are nowhere are missing."""
        if self.ousted:
            db.connection().exec_driver_sql(
                "UPDATE frames SET path = ?, missing = 1 WHERE id = ?",
                [(f"{row.path} (replaced, {row.id})", row.id) for row in self.ousted.values()],
            )


def _other_exposure(row: Row[Any] | None, read: ReadFile) -> bool:
    """Whether a path holds another exposure now, not the same one with an edited header."""
    if row is None or read.facts is None or row.date_obs is None:
        return False
    date = read.facts[_DATE]
    return date is not None and date != row.date_obs and content_of(read) != row.content_id


def _is_personal(row: Row[Any]) -> bool:
    return row.decision != "undecided" or bool(row.note or row.rating or row.tags)


def content_of(read: ReadFile) -> str | None:
    """What makes a file the same frame wherever it lies; None when it cannot be used."""
    return None if read.facts is None else read.facts[_CONTENT]
