"""Read new, changed and vanished files of library roots into the catalogue; nothing under a root is touched."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Decision, DecisionBatch, Frame, Measurement, Root
from astrotui.errors import AstrotuiError, FrameError
from astrotui.frames.identify import content_id, read_metadata
from astrotui.frames.model import FrameMetadata
from astrotui.frames.scan import FoundFile, ScanNote, scan
from astrotui.library.corrections import Corrections
from astrotui.library.grouping import drop_empty, regroup
from astrotui.library.progress import Progress, silent
from astrotui.library.roots import find_root
from astrotui.text import clean

_T = TypeVar("_T")
_BATCH = 1000
_COLUMNS = (
    "is_master stack_count width height planes bitpix cfa cfa_phase full_scale_adu device camera target date_obs night "
    "sequence exposure_s gain offset readout_mode temperature_c binning filter focal_mm pixel_um ra_deg dec_deg "
    "rotator_deg roi_x roi_y calstat device_rejected hdu header_digest"
).split()
DEVICE_REJECTED = "rejected by the device"


@dataclass
class IndexReport:
    """Counts of one run of `index`.

    `frames` counts what the roots hold now, quarantined and missing files excluded; `writing` files changed while they
    were read and are left for the next run; `notes` are folders and files that could not be looked at.
    """

    roots: list[str] = field(default_factory=list)
    frames: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    moved: int = 0
    returned: int = 0
    missing: int = 0
    writing: int = 0
    quarantined: int = 0
    sessions: int = 0
    calibration_sets: int = 0
    notes: list[str] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Read:
    """What reading one file gave: metadata, or the reason for quarantine."""

    file: FoundFile
    metadata: FrameMetadata | None
    reason: str | None
    content: str | None
    settled: bool


def index_roots(catalog: Catalog, roots: Sequence[Path], progress: Progress = silent) -> IndexReport:
    """Bring the catalogue up to date with `roots`.

    Raises
    ------
    AstrotuiError
        A root is not a readable folder, or none of them holds a frame.
    """
    report = IndexReport()
    for given in roots:
        place = find_root(catalog, given)
        report.roots.append(str(place.folder))
        _index_root(catalog, place.root_id, place.path, place.prefix, report, progress)
    if not report.frames and not report.quarantined and not report.missing:
        names = ", ".join(report.roots)
        raise AstrotuiError(f"{names}: no frames found (FITS, TIFF or 16-bit PNG files)")
    return report


def _index_root(
    catalog: Catalog, root_id: int, root: Path, prefix: str, report: IndexReport, progress: Progress
) -> None:
    with catalog.read() as db:
        known = _known_files(db, root_id, prefix)
    fresh: list[FoundFile] = []
    returned: list[int] = []
    seen: set[str] = set()
    blind: list[str] = []  # folders that could not be read: their frames are not missing
    for found in scan(root / prefix if prefix else root):
        relative = str(PurePosixPath(prefix) / found.relative) if prefix else found.relative
        if isinstance(found, ScanNote):
            report.notes.append(clean(f"{root / relative}: {found.reason}", 400))
            blind.append(relative)
            continue
        seen.add(relative)
        row = known.get(relative)
        if row is None or row.size != found.size or row.mtime_ns != found.mtime_ns:
            fresh.append(FoundFile(relative, found.path, found.size, found.mtime_ns))
        else:
            report.unchanged += 1
            if row.missing:
                returned.append(row.id)
        if len(seen) % 2000 == 0:
            progress("looking for frames", len(seen), 0)
    gone = [
        row
        for path, row in known.items()
        if path not in seen and not any(path == b or path.startswith(f"{b}/") or not b for b in blind)
    ]
    writer = _Writer(catalog, root_id, known, gone, report)
    done = 0
    for batch in _batches(_read_all(fresh), _BATCH):
        writer.write(batch)
        done += len(batch)
        progress("reading headers", done, len(fresh))
    writer.finish(returned)
    with catalog.read() as db:
        live = _known_files(db, root_id, prefix).values()
        report.frames += sum(not row.missing and row.quarantine is None for row in live)
        held = [row for row in live if row.quarantine is not None and not row.missing]
        report.quarantined += len(held)
        report.problems += [
            {"path": clean(root / row.path, 400), "reason": str(row.quarantine)} for row in held
        ]


def _known_files(db: DbSession, root_id: int, prefix: str) -> dict[str, Any]:
    query = select(
        Frame.id, Frame.path, Frame.size, Frame.mtime_ns, Frame.missing, Frame.content_id, Frame.quarantine
    ).where(Frame.root_id == root_id)
    if prefix:
        query = query.where(Frame.path.startswith(f"{prefix}/", autoescape=True))
    return {row.path: row for row in db.execute(query)}


def _read_all(files: Sequence[FoundFile]) -> Iterator[_Read]:
    # A few threads hide the latency of network disks; the parsing itself holds the interpreter.
    with ThreadPoolExecutor(4) as pool:
        for chunk in _batches(iter(files), _BATCH):
            yield from pool.map(_read, chunk)


def _read(file: FoundFile) -> _Read:
    metadata, reason = None, None
    try:
        metadata = read_metadata(file.path, relative=file.relative)
    except FrameError as error:
        reason = clean(error.reason, 300)
    except OSError as error:
        reason = clean(f"cannot be read: {error.strerror or error}", 300)
    try:
        now = file.path.stat()
        settled = (now.st_size, now.st_mtime_ns) == (file.size, file.mtime_ns)
    except OSError:
        settled = False  # it vanished while it was read
    identity = (
        content_id(file.size, metadata.date_obs, metadata.header_digest) if metadata is not None else None
    )
    return _Read(file, metadata, reason, identity, settled)


class _Writer:
    """Writes batches of read files: one short transaction each, so that other writers are never kept waiting."""

    def __init__(
        self,
        catalog: Catalog,
        root_id: int,
        known: dict[str, Any],
        gone: Sequence[Any],
        report: IndexReport,
    ) -> None:
        self.catalog = catalog
        self.root_id = root_id
        self.known = known
        self.report = report
        self.gone: dict[int, Any] = {row.id: row for row in gone if not row.missing}
        self.places = {row.id: row.path for row in gone}
        # Files that vanished now or earlier: a new file with the same content is the same frame, moved.
        self.lost: dict[str, list[int]] = {}
        for row in gone:
            if row.content_id:
                self.lost.setdefault(row.content_id, []).append(row.id)
        self.touched: set[str] = set()  # folders to regroup

    def write(self, batch: Sequence[_Read]) -> None:
        report = self.report
        rows: list[dict[str, Any]] = []
        changes: list[dict[str, Any]] = []
        with self.catalog.write(durable=False) as db:
            corrections = Corrections.load(db, self.root_id)
            for read in batch:
                if not read.settled:
                    report.writing += 1
                    continue
                values = self._values(read, corrections)
                self.touched.add(_folder(read.file.relative))
                row = self.known.get(read.file.relative)
                moved = None if row is not None else self._moved(read)
                if row is not None:
                    report.changed += 1
                    changes.append({"id": row.id, **values})
                elif moved is not None:
                    report.moved += 1
                    self.gone.pop(moved, None)
                    self.touched.add(_folder(self.places[moved]))
                    changes.append({"id": moved, **values})
                else:
                    report.new += 1
                    rows.append(values)
            if changes:
                db.execute(update(Frame), changes)
                self._forget_measurements(db, changes)
            if rows:
                inserted = db.execute(
                    insert(Frame).returning(Frame.id, Frame.device_rejected),
                    [_first_decision(r) for r in rows],
                ).all()
                _record_device(db, [row.id for row in inserted if row.device_rejected])

    def finish(self, returned: Sequence[int]) -> None:
        """Mark what vanished and what came back; group all that changed."""
        with self.catalog.write(durable=False) as db:
            for value, ids in ((True, list(self.gone)), (False, returned)):
                for chunk in _batches(iter(ids), 500):
                    db.execute(update(Frame).where(Frame.id.in_(chunk)).values(missing=value))
                    paths = db.scalars(select(Frame.path).where(Frame.id.in_(chunk)))
                    self.touched.update(_folder(path) for path in paths)
            self.report.missing += len(self.gone)
            self.report.returned += len(returned)
            db.execute(update(Root).where(Root.id == self.root_id).values(scanned=datetime.now(UTC)))
        for folder in sorted(self.touched):
            with self.catalog.write(durable=False) as db:
                counts = regroup(db, self.root_id, folder)
            self.report.sessions += counts.sessions
            self.report.calibration_sets += counts.sets
        with self.catalog.write(durable=False) as db:
            drop_empty(db, self.root_id)

    def _forget_measurements(self, db: DbSession, changes: Sequence[dict[str, Any]]) -> None:
        """What was measured on other content is no fact of the file any more."""
        now = {change["id"]: change.get("content_id") for change in changes}
        held = db.execute(
            select(Measurement.frame_id, Measurement.content_id).where(Measurement.frame_id.in_(list(now)))
        )
        stale = [frame_id for frame_id, content in held if content != now[frame_id]]
        db.execute(delete(Measurement).where(Measurement.frame_id.in_(stale)))

    def _moved(self, read: _Read) -> int | None:
        candidates = self.lost.get(read.content or "")
        return candidates.pop() if candidates else None

    def _values(self, read: _Read, corrections: Corrections) -> dict[str, Any]:
        values: dict[str, Any] = {
            "root_id": self.root_id,
            "path": read.file.relative,
            "size": read.file.size,
            "mtime_ns": read.file.mtime_ns,
            "missing": False,
            "quarantine": read.reason,
        }
        if read.metadata is None:
            return {**values, "session_id": None, "set_id": None}
        facts = read.metadata
        values |= {name: getattr(facts, name) for name in _COLUMNS}
        values |= {
            "frame_type": str(facts.frame_type),
            "content_id": read.content,
            "warnings": [clean(w, 300) for w in facts.warnings],
        }
        corrections.apply(values, _folder(read.file.relative))
        return values


def _first_decision(row: dict[str, Any]) -> dict[str, Any]:
    # Every row of one insert must name the same columns; a quarantined file has few.
    full: dict[str, Any] = dict.fromkeys(_COLUMNS) | {
        "is_master": False,
        "calstat": "",
        "device_rejected": False,
        "hdu": 0,
        "frame_type": None,
        "content_id": None,
        "warnings": [],
        "session_id": None,
        "set_id": None,
    }
    rejected = bool(row.get("device_rejected")) and row.get("frame_type") == "light"
    decision = {
        "decision": "rejected" if rejected else "undecided",
        "reasons": [DEVICE_REJECTED] if rejected else [],
    }
    return full | row | decision


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
                "batch_id": batch.id,
                "frame_id": frame_id,
                "before": "undecided",
                "before_reasons": [],
                "after": "rejected",
                "reasons": [DEVICE_REJECTED],
            }
            for frame_id in frame_ids
        ],
    )


def _folder(relative: str) -> str:
    return relative.rpartition("/")[0]


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
