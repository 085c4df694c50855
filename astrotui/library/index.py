"""Read new, changed and vanished files of library roots into the catalogue; nothing under a root is touched."""

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Root
from astrotui.errors import AstrotuiError
from astrotui.frames.scan import FoundFile, ScanNote, scan
from astrotui.library.duplicates import refresh_duplicates
from astrotui.library.flat_levels import note_flat_levels
from astrotui.library.grouping import directly_in, inside
from astrotui.library.index_pending import resume
from astrotui.library.index_report import IndexReport
from astrotui.library.index_writer import DEVICE_REJECTED, Batch, IndexWriter, folder_of
from astrotui.library.progress import Progress, silent
from astrotui.library.readers import Fresh, ReadFile, read_all
from astrotui.library.roots import RootPlace, check_not_empty, find_root, forget_empty_roots
from astrotui.library.stacks import find_moved_stacks
from astrotui.text import clean

__all__ = ["DEVICE_REJECTED", "IndexReport", "index_roots"]

_SPOOL_BYTES = 4_000_000  # of the list of files to read that stay in memory
_BATCH_FRAMES = 1000  # in one transaction: about a tenth of a second
_FOLDER_COST = 10  # frames whose writing takes as long as grouping one more folder
_CHUNK = 1000  # numbers of frames in one question
_SIDECARS = ("shotsInfo.json", "shotsinfo.json")


def index_roots(
    catalog: Catalog,
    roots: Sequence[Path],
    progress: Progress = silent,
    *,
    again: bool = False,
    emptied: bool = False,
) -> IndexReport:
    """Bring the catalogue up to date with `roots`.

    A root that cannot be read is noted and the others are indexed; nothing of it is marked missing.

    Parameters
    ----------
    again : read all files, not only those that changed
    emptied : a folder without anything in it was emptied on purpose; otherwise it is taken for a disk that is
        not mounted

    Raises
    ------
    AstrotuiError
        No root can be read, or none of them holds a frame.
    """
    report = IndexReport()
    problems: list[AstrotuiError] = []
    for given in roots:
        try:
            place = find_root(catalog, given)
            _RootIndexer(catalog, place, report, progress, again, emptied).run()
            report.roots.append(clean(place.folder, 400))
        except AstrotuiError as error:
            problems.append(error)
    if problems and len(problems) == len(roots):
        forget_empty_roots(catalog)
        raise problems[0]
    report.unread = [clean(problem, 500) for problem in problems]
    report.notes = [*report.unread, *report.notes]
    if report.new or report.changed or report.moved or report.missing or report.returned:
        with catalog.write(durable=False) as db:
            report.duplicates = refresh_duplicates(db)
        note_flat_levels(catalog, progress)
    report.stacks = find_moved_stacks(catalog)
    if not report.frames and not report.quarantined and not report.missing:
        names = ", ".join(report.roots)
        forget_empty_roots(catalog)
        raise AstrotuiError(f"{names}: no frames found (FITS, TIFF or 16-bit PNG files)")
    return report


class _RootIndexer:
    """One root, or the part of it that was named: looks first, so that moved files are told from new ones."""

    def __init__(
        self,
        catalog: Catalog,
        place: RootPlace,
        report: IndexReport,
        progress: Progress,
        again: bool,
        emptied: bool,
    ) -> None:
        self.catalog, self.place, self.report, self.progress = catalog, place, report, progress
        self.again, self.emptied = again, emptied
        self.seen_files = 0
        self.fresh = 0
        self.returned: list[int] = []
        self.unseen: list[str] = []  # what could not be looked at: its frames are not missing
        with catalog.read() as db:
            self.last_id = db.scalar(select(func.max(Frame.id))) or 0
            scanned = db.scalar(select(Root.scanned).where(Root.id == place.root_id))
        self.scanned_ns = int(scanned.timestamp() * 1e9) if scanned is not None else None
        self.seen = bytearray(self.last_id + 1)  # by id of the frame

    def run(self) -> None:
        started = datetime.now(UTC)
        resume(self.catalog, self.place.root_id)
        with SpooledTemporaryFile(_SPOOL_BYTES, prefix="astrotui-index-") as spool:
            self._look(lambda files: pickle.dump(files, spool, protocol=5))
            self._check_mounted()
            gone = self._gone()
            writer = IndexWriter(self.catalog, self.place, gone, self._was_seen, self.report)
            spool.seek(0)
            done = 0
            with closing(read_all(self.place.path, _unspool(spool), self.fresh)) as reads:
                for batch in _batches(reads):
                    writer.write(batch)
                    done += len(batch.reads)
                    self.progress("reading headers", done, self.fresh)
        writer.finish(self.returned)
        with self.catalog.write(durable=False) as db:
            if not self.place.prefix:
                db.execute(update(Root).where(Root.id == self.place.root_id).values(scanned=started))
        self._count()

    def _look(self, keep: Callable[[list[Fresh]], None]) -> None:
        """Walk the tree; `keep` gets what is to be read, folder by folder."""
        prefix = f"{self.place.prefix}/" if self.place.prefix else ""
        files = self._files(prefix)
        for folder, found in groupby(files, key=lambda file: folder_of(file.relative)):
            known = self._known(folder)
            reread = self.again or self._new_sidecar(folder)
            fresh: list[Fresh] = []
            for file in found:
                row = known.get(file.relative)
                if row is None:
                    fresh.append(file)
                    continue
                frame_id, size, mtime_ns, missing, unread = row
                if frame_id <= self.last_id:
                    self.seen[frame_id] = 1
                # One that nothing is known of is read when it returns, and so finds its session.
                if reread or size != file.size or mtime_ns != file.mtime_ns or (missing and unread):
                    fresh.append(file)
                else:
                    self.report.unchanged += 1
                    if missing:
                        self.returned.append(frame_id)
            if fresh:
                keep(fresh)
                self.fresh += len(fresh)

    def _files(self, prefix: str) -> Iterator[Fresh]:
        for found in scan(self.place.folder):
            if isinstance(found, FoundFile):
                self.seen_files += 1
                if self.seen_files % 2000 == 0:
                    self.progress("looking for frames", self.seen_files, 0)
                relative, _, size, mtime_ns = found
                yield Fresh(prefix + relative, size, mtime_ns)
            else:
                self._note(found, prefix)

    def _note(self, found: ScanNote, prefix: str) -> None:
        where = self.place.folder / found.relative if found.relative else self.place.folder
        self.report.notes.append(clean(f"{where}: {found.reason}", 400))
        if found.unseen is not None:
            self.unseen.append((prefix + found.unseen).rstrip("/"))

    def _known(self, folder: str) -> dict[str, tuple[int, int, int, bool, bool]]:
        """Of the frames that the catalogue has in a folder, by path: id, size, time, absence, whether none could be read."""
        if not self.last_id:
            return {}
        columns = select(
            Frame.path, Frame.id, Frame.size, Frame.mtime_ns, Frame.missing, Frame.content_id.is_(None)
        )
        with self.catalog.read() as db:
            rows = db.connection().execute(
                columns.where(Frame.root_id == self.place.root_id, *directly_in(folder))
            )
            return {path: (i, size, time, gone, unread) for path, i, size, time, gone, unread in rows.all()}

    def _new_sidecar(self, folder: str) -> bool:
        """Whether a telescope wrote its session file after the frames were read: it tells of them, too."""
        if self.scanned_ns is None:
            return False
        for name in _SIDECARS:
            try:
                status = os.stat(self.place.path / folder / name)  # noqa: PTH116 - once for every folder
            except OSError:
                continue
            return status.st_mtime_ns > self.scanned_ns
        return False

    def _was_seen(self, frame_id: int) -> bool:
        return frame_id > self.last_id or bool(self.seen[frame_id])

    def _here(self) -> tuple[Any, ...]:
        return (Frame.root_id == self.place.root_id, *inside(self.place.prefix))

    def _check_mounted(self) -> None:
        if self.seen_files or self.unseen or self.emptied:
            return
        check_not_empty(self.catalog, self.place.folder)

    def _gone(self) -> list[int]:
        """Frames of the catalogue whose files are not there any more, though their folders could be read."""
        if not self.last_id:
            return []
        present: list[int] = []
        unseen = self._unseen()
        with self.catalog.read() as db:
            while chunk := list(islice(unseen, _CHUNK)):
                rows = db.connection().execute(
                    select(Frame.id, Frame.path).where(Frame.id.in_(chunk), *self._here(), ~Frame.missing)
                )
                present += [frame_id for frame_id, path in rows.all() if not self._hidden(path)]
        return present

    def _unseen(self) -> Iterator[int]:
        """Numbers that no frame seen has: those of other roots, of removed ones and of the vanished."""
        frame_id = self.seen.find(0, 1)
        while frame_id > 0:
            yield frame_id
            frame_id = self.seen.find(0, frame_id + 1)

    def _hidden(self, path: str) -> bool:
        return any(not place or path == place or path.startswith(f"{place}/") for place in self.unseen)

    def _count(self) -> None:
        with self.catalog.read() as db:
            present = (*self._here(), ~Frame.missing)
            self.report.frames += _number_of(db, *present, Frame.quarantine.is_(None))
            held = db.execute(
                select(Frame.path, Frame.quarantine)
                .where(*present, Frame.quarantine.is_not(None))
                .order_by(Frame.path)
            ).all()
        self.report.quarantined += len(held)
        self.report.problems += [
            {"path": clean(self.place.path / path, 400), "reason": str(reason)} for path, reason in held
        ]


def _number_of(db: DbSession, *conditions: Any) -> int:
    return db.scalar(select(func.count()).select_from(Frame).where(*conditions)) or 0


def _unspool(spool: Any) -> Iterator[Fresh]:
    while True:
        try:
            files = pickle.load(spool)  # our own, from a file without a name
        except EOFError:
            return
        yield from files


def _batches(reads: Iterator[ReadFile]) -> Iterator[Batch]:
    """What is written at once: whole folders, as far as they are not very large."""
    batch = Batch([], [])
    cost = 0
    for folder, members in groupby(reads, key=lambda read: folder_of(read.relative)):
        for read in members:
            if len(batch.reads) >= _BATCH_FRAMES:
                yield Batch(batch.reads, batch.folders, unfinished=folder)
                batch, cost = Batch([], []), 0
            batch.reads.append(read)
            cost += 1
        batch.folders.append(folder)
        cost += _FOLDER_COST
        if cost >= _BATCH_FRAMES // 2:
            yield batch
            batch, cost = Batch([], []), 0
    if batch.folders:
        yield batch
