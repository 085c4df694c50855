"""Writes what was read into the catalogue: short transactions, each of which leaves it whole."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Decision, DecisionBatch, Frame, Measurement, Root
from astrotui.errors import FrameError
from astrotui.frames.sample import sample_digest
from astrotui.library.corrections import Corrections
from astrotui.library.grouping import GroupCounts, drop_empty, group_new, is_new, regroup
from astrotui.library.index_homes import Homes, content_of
from astrotui.library.index_pending import keep_pending, pending
from astrotui.library.index_report import IndexReport
from astrotui.library.readers import FACTS, ReadFile
from astrotui.library.roots import RootPlace, is_empty

DEVICE_REJECTED = "rejected by the device"
_CHUNK = 500
_PLACE = ("root_id", "path", "size", "mtime_ns", "missing", "quarantine")
_COLUMNS = (*_PLACE, *FACTS)
_NEW = ("decision", "reasons", "note", "tags", "measured", "session_id", "set_id")
_NOTHING_SAID: dict[str, Any] = {
    "note": "",
    "tags": [],
    "measured": False,
    "session_id": None,
    "set_id": None,
}
_UNKNOWN: dict[str, Any] = dict.fromkeys(FACTS) | {
    "is_master": False,
    "calstat": "",
    "device_rejected": False,
    "hdu": 0,
    "warnings": [],
}


def folder_of(relative: str) -> str:
    """The folder of a path below a root, "" for the root itself."""
    return relative.rpartition("/")[0]


@dataclass
class Batch:
    """Files that are written at once; `folders` are complete with it, `unfinished` is not yet."""

    reads: list[ReadFile]
    folders: list[str]
    unfinished: str | None = None


class IndexWriter:
    """Writes batches of one root: a frame keeps its row wherever its file goes.

    Parameters
    ----------
    gone : frames of the catalogue whose files were looked for and not found
    was_seen : whether the file of a frame, by its id, was found where the catalogue has it
    """

    def __init__(
        self,
        catalog: Catalog,
        place: RootPlace,
        gone: Sequence[int],
        was_seen: Callable[[int], bool],
        report: IndexReport,
    ) -> None:
        self.catalog, self.root_id, self.place = catalog, place.root_id, place
        self.gone = dict.fromkeys(gone)
        self.was_seen = was_seen
        self.report = report
        self.mounted: dict[str, bool] = {}
        self.left: set[int] = set()  # other roots that frames came from
        self.displaced: set[int] = set()  # frames whose paths other exposures have now
        with catalog.read() as db:
            self.first_ever = db.scalar(select(Frame.id).limit(1)) is None

    # --- files that were read --------------------------------------------------------------------------------------

    def write(self, batch: Batch) -> None:
        """Write one batch and group its folders, in one transaction."""
        settled = [read for read in batch.reads if read.settled]
        self.report.writing += len(batch.reads) - len(settled)
        lost = {} if self.first_ever else self._lost(settled)
        replaced = [] if self.first_ever else self._replaced(settled)
        with self.catalog.write(durable=False) as db:
            corrections = Corrections.load(db, self.root_id)
            known = self._at(db, [read.relative for read in settled])
            homes = Homes(lost, known, settled)
            homes.clear_the_way(db)
            self.displaced |= homes.ousted.keys()
            self.report.missing += len(homes.ousted.keys() - homes.came_from.keys())
            new: list[dict[str, Any]] = []
            changed: list[tuple[int, dict[str, Any]]] = []
            regrouped = {(self.root_id, folder) for folder in batch.folders}
            for read in settled:
                values = self._values(read, corrections)
                frame_id = homes.of(read)
                row = known.get(read.relative)
                if frame_id is None:
                    self.report.new += 1
                    new.append(values)
                    continue
                changed.append((frame_id, values))
                if row is not None and row.id == frame_id:
                    self._count_same(row, read)
                    continue
                self.report.moved += 1
                self.gone.pop(frame_id, None)
                self.displaced.discard(frame_id)
                root_id, path = homes.came_from[frame_id]
                regrouped.add((root_id, folder_of(path)))
                self.left |= {root_id} - {self.root_id}
            moved_in = {(self.root_id, folder_of(values["path"])) for _, values in changed}
            regrouped -= self._insert(db, new, regrouped - moved_in)
            self._update(db, changed)
            _drop_measurements(db.connection(), replaced)
            self._set_pending(db, batch)
            for root_id, folder in sorted(regrouped):
                self._grouped(regroup(db, root_id, folder))

    def _count_same(self, row: Row[Any], read: ReadFile) -> None:
        same = (row.size, row.mtime_ns, row.quarantine) == (read.size, read.mtime_ns, read.reason)
        if row.missing:
            self.report.returned += 1
        elif same:
            self.report.unchanged += 1
        else:
            self.report.changed += 1

    def _at(self, db: DbSession, paths: Sequence[str]) -> dict[str, Row[Any]]:
        """What the catalogue has at these paths now; another indexer may have been here since the walk."""
        columns = (
            Frame.id, Frame.root_id, Frame.path, Frame.size, Frame.mtime_ns, Frame.missing, Frame.quarantine, Frame.content_id,
            Frame.date_obs, Frame.decision, Frame.note, Frame.rating, Frame.tags,
        )  # fmt: skip
        found: dict[str, Row[Any]] = {}
        for chunk in _chunks(paths):
            rows: Any = db.connection().execute(
                select(*columns).where(Frame.root_id == self.root_id, Frame.path.in_(chunk))
            )
            found.update((row.path, row) for row in rows)
        return found

    def _lost(self, reads: Sequence[ReadFile]) -> dict[str, list[Row[Any]]]:
        """Frames by content whose files are no longer where the catalogue has them, in any root."""
        contents = {content for read in reads if (content := content_of(read))}
        found: dict[str, list[Row[Any]]] = defaultdict(list)
        with self.catalog.read() as db:
            for chunk in _chunks(sorted(contents)):
                rows: Any = db.connection().execute(
                    select(
                        Frame.id,
                        Frame.content_id,
                        Frame.root_id,
                        Frame.path,
                        Frame.missing,
                        Root.path.label("root"),
                    )
                    .join(Root, Frame.root_id == Root.id)
                    .where(Frame.content_id.in_(chunk))
                    .order_by(Frame.root_id != self.root_id, Frame.path)
                )
                for row in rows:
                    if self._is_lost(row):
                        found[row.content_id].append(row)
        return found

    def _replaced(self, reads: Sequence[ReadFile]) -> list[int]:
        """Measured frames with new pixels under an old header: their content looks the same, a sample does not."""
        contents = {read.relative: content_of(read) for read in reads}
        found: list[int] = []
        with self.catalog.read() as db:
            for chunk in _chunks(list(contents)):
                rows = db.connection().execute(
                    select(Frame.id, Frame.path, Frame.content_id, Measurement.sample)
                    .join(Measurement, Measurement.frame_id == Frame.id)
                    .where(
                        Frame.root_id == self.root_id, Frame.path.in_(chunk), Measurement.sample.is_not(None)
                    )
                )
                for frame_id, path, content, sample in rows.all():
                    if contents[path] == content and _sample(self.place.path / path) not in (None, sample):
                        found.append(frame_id)
        return found

    def _is_lost(self, row: Row[Any]) -> bool:
        if row.id in self.gone or row.id in self.displaced:
            return True
        prefix = self.place.prefix
        looked_at = row.root_id == self.root_id and (not prefix or row.path.startswith(f"{prefix}/"))
        if looked_at:
            return bool(row.missing) and not self.was_seen(row.id)
        if row.missing:
            return True
        # A disk that is not mounted now still has its frames.
        if row.root not in self.mounted:
            self.mounted[row.root] = os.path.isdir(row.root) and not is_empty(Path(row.root))  # noqa: PTH112
        return self.mounted[row.root] and not os.path.lexists(f"{row.root}/{row.path}")

    def _values(self, read: ReadFile, corrections: Corrections) -> dict[str, Any]:
        values: dict[str, Any] = {
            "root_id": self.root_id,
            "path": read.relative,
            "size": read.size,
            "mtime_ns": read.mtime_ns,
            "missing": False,
            "quarantine": read.reason,
        }
        if read.facts is not None:
            values.update(zip(FACTS, read.facts, strict=True))
            corrections.apply(values, folder_of(read.relative))
        return values

    def _insert(
        self, db: DbSession, rows: Sequence[dict[str, Any]], complete: set[tuple[int, str]]
    ) -> set[tuple[int, str]]:
        """Add new frames; returns those of the `complete` folders that are grouped with it."""
        grouped: set[tuple[int, str]] = set()
        if not rows:
            return grouped
        by_folder: dict[str, list[dict[str, Any]]] = defaultdict(list)
        device_rejected = []
        for row in rows:
            if row["quarantine"] is not None:
                row.update(_UNKNOWN)
            rejected = row["device_rejected"] and row["frame_type"] == "light"
            row["decision"], row["reasons"] = "undecided", []
            if rejected:
                row["decision"], row["reasons"] = "rejected", [DEVICE_REJECTED]
                device_rejected.append(row["path"])
            row.update(_NOTHING_SAID)
            by_folder[folder_of(row["path"])].append(row)
        for folder, members in by_folder.items():
            place = (self.root_id, folder)
            if place in complete and is_new(db, *place):
                self._grouped(group_new(db, *place, members))
                grouped.add(place)
        columns = (*_COLUMNS, *_NEW)
        marks = ", ".join("?" * len(columns))
        names = ", ".join(f'"{name}"' for name in columns)
        db.connection().exec_driver_sql(
            f"INSERT INTO frames ({names}) VALUES ({marks})", _stored(rows, columns)
        )
        _record_device(db, [row.id for row in self._at(db, device_rejected).values()])
        return grouped

    def _grouped(self, counts: GroupCounts) -> None:
        self.report.sessions += counts.sessions
        self.report.calibration_sets += counts.sets

    def _update(self, db: DbSession, changes: Sequence[tuple[int, dict[str, Any]]]) -> None:
        """Give frames the facts of their files now; a file that became unusable keeps what was known of it."""
        connection = db.connection()
        for columns in (_COLUMNS, _PLACE):
            rows = [
                {"id": i, **values}
                for i, values in changes
                if ("content_id" in values) == (columns is _COLUMNS)
            ]
            if rows:
                names = ", ".join(f'"{name}" = ?' for name in columns)
                connection.exec_driver_sql(
                    f"UPDATE frames SET {names} WHERE id = ?", _stored(rows, (*columns, "id"))
                )
        self._forget_measurements(connection, [i for i, values in changes if "content_id" in values])

    def _forget_measurements(self, connection: Connection, ids: Sequence[int]) -> None:
        """What was measured on other content is no fact of the file any more."""
        for chunk in _chunks(ids):
            held = connection.execute(
                select(Measurement.frame_id)
                .join(Frame, Measurement.frame_id == Frame.id)
                .where(
                    Measurement.frame_id.in_(chunk), Measurement.content_id.is_distinct_from(Frame.content_id)
                )
            )
            _drop_measurements(connection, list(held.scalars()))

    def _set_pending(self, db: DbSession, batch: Batch) -> None:
        """Remember a folder of which only a part is written: whoever indexes next groups it, if not this run."""
        before = pending(db, self.root_id)
        after = before - set(batch.folders) | ({batch.unfinished} if batch.unfinished is not None else set())
        if after != before:
            keep_pending(db, self.root_id, after)

    # --- files that are gone or back -------------------------------------------------------------------------------

    def finish(self, returned: Sequence[int]) -> None:
        """Mark what vanished and what came back, and remove what is left empty.

        A file of which nothing could ever be read leaves its session when it vanishes: there is nothing to miss.
        """
        left = "missing = 1, session_id = CASE WHEN content_id IS NULL THEN NULL ELSE session_id END"
        for values, ids in ((left, list(self.gone)), ("missing = 0", returned)):
            for chunk in _chunks(ids, 4 * _CHUNK):
                with self.catalog.write(durable=False) as db:
                    db.connection().exec_driver_sql(
                        f"UPDATE frames SET {values} WHERE id = ?", [(i,) for i in chunk]
                    )
        self.report.missing += len(self.gone)
        self.report.returned += len(returned)
        with self.catalog.write(durable=False) as db:
            for root_id in {self.root_id, *self.left}:
                drop_empty(db, root_id)


def _drop_measurements(connection: Connection, ids: Sequence[int]) -> None:
    for chunk in _chunks(ids):
        connection.execute(delete(Measurement).where(Measurement.frame_id.in_(chunk)))


def _sample(path: Path) -> str | None:
    try:
        return sample_digest(path)
    except (FrameError, OSError):
        return None  # nothing is known of it, least of all that it changed


def _stored(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Rows as the driver wants them; the models say how each column is stored."""
    pick = itemgetter(*columns)
    rows = list(rows)
    for name, bind in _BINDERS.items():
        if name in columns:
            for row in rows:
                row[name] = bind(row[name])
    return [pick(row) for row in rows]


def _list_binder(bind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    # Warnings are those of a whole night, mostly.
    remembered = lru_cache(maxsize=256)(lambda items: bind(list(items)))
    return lambda value: remembered(tuple(value))


_DIALECT = dialect()
_BINDERS: dict[str, Callable[[Any], Any]] = {}
for _name in ("date_obs", "night", "warnings", "reasons", "tags"):
    _bind = Frame.__table__.c[_name].type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    if _bind is not None:
        _BINDERS[_name] = _list_binder(_bind) if _name in ("warnings", "reasons", "tags") else _bind


def _record_device(db: DbSession, frame_ids: Sequence[int]) -> None:
    if not frame_ids:
        return
    batch = DecisionBatch(
        session_id=None, made=datetime.now(UTC), by="device", description=DEVICE_REJECTED, state="done"
    )
    db.add(batch)
    db.flush()
    db.execute(
        insert(Decision),
        [
            {
                "batch_id": batch.id, "frame_id": frame_id, "before": "undecided", "before_reasons": [], "after": "rejected",
                "reasons": [DEVICE_REJECTED],
            }
            for frame_id in frame_ids
        ],
    )  # fmt: skip


def _chunks(items: Sequence[Any], size: int = _CHUNK) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
