"""What a person corrected in what files say, applied whenever they are read; it sticks."""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Correction, Frame, Root
from astrotui.errors import UsageError
from astrotui.frames.model import FrameType
from astrotui.library.duplicates import refresh_duplicates
from astrotui.library.grouping import directly_in, drop_empty, regroup
from astrotui.library.readers import FACTS, Fresh, read_one
from astrotui.text import clean

FIELDS = ("type", "target", "filter", "pattern")
AUTO = "auto"  # the value that withdraws a correction
_COLUMNS = {
    "type": ("frame_type",),
    "pattern": ("cfa", "cfa_phase"),
    "target": ("target",),
    "filter": ("filter",),
}
_CHUNK = 500
_PATTERNS = ("RGGB", "GRBG", "GBRG", "BGGR")


@dataclass(frozen=True)
class Corrections:
    """All corrections of one root."""

    by_folder: Mapping[str, Mapping[str, str]]
    by_content: Mapping[str, Mapping[str, str]]

    @classmethod
    def load(cls, db: DbSession, root_id: int) -> "Corrections":
        """Those of the folders of `root_id`, and of contents wherever they lie; those of `root_id` win."""
        by_folder: dict[str, dict[str, str]] = {}
        by_content: dict[str, dict[str, str]] = {}
        columns = (Correction.folder, Correction.content_id, Correction.field, Correction.value)
        rows = db.execute(
            select(*columns)
            .where(or_(Correction.root_id == root_id, Correction.content_id != ""))
            .order_by(Correction.root_id == root_id)
        )
        for folder, content, field, value in rows:
            table = by_content.setdefault(content, {}) if content else by_folder.setdefault(folder, {})
            table[field] = value
        return cls(by_folder, by_content)

    def apply(self, values: MutableMapping[str, Any], folder: str) -> None:
        """Overwrite what the file says in `values` (columns of a frame); the file's own corrections win."""
        if not (self.by_folder or self.by_content):
            return
        chosen = {**self.by_folder.get(folder, {}), **self.by_content.get(values.get("content_id") or "", {})}
        for field, value in chosen.items():
            values.update(_columns(field, value))


def _columns(field: str, value: str) -> dict[str, Any]:
    match field:
        case "type":
            return {"frame_type": value}
        case "pattern":
            pattern = None if value == "none" else value
            return {"cfa": pattern, "cfa_phase": pattern}
        case _:
            return {field: value or None}


def check_correction(field: str, value: str) -> str:
    """The value as stored; a wrong field or value is a `UsageError` that lists what exists."""
    if field not in FIELDS:
        raise UsageError(f"{field!r} cannot be set; {', '.join(FIELDS)} can")
    if field == "type":
        word = value.strip().lower().replace("darkflat", "dark-flat").replace("offset", "bias")
        if word not in [str(t) for t in FrameType]:
            raise UsageError(
                f"--type {clean(value, 40)!r} is not known; choose {', '.join(FrameType)} or auto"
            )
        return word
    if field == "pattern":
        word = value.strip().upper()
        if word not in _PATTERNS and word != "NONE":
            raise UsageError(
                f"--pattern {clean(value, 40)!r} is not known; choose {', '.join(_PATTERNS)}, none or auto"
            )
        return word if word != "NONE" else "none"
    return clean(value, 100)


def correct(catalog: Catalog, frame_ids: Sequence[int], fields: Mapping[str, str]) -> int:
    """Correct `fields` of these frames, now and at every later indexing; returns the number of frames.

    Where these are all frames of a folder, frames that come into the folder later are corrected likewise. The value
    "auto" withdraws what was corrected: the files count again. Files that could not be read say nothing to correct.
    """
    withdrawn = [field for field, value in fields.items() if value == AUTO and field in FIELDS]
    if withdrawn:
        count = _withdraw(catalog, frame_ids, withdrawn)
        kept = {field: value for field, value in fields.items() if field not in withdrawn}
        return correct(catalog, frame_ids, kept) if kept else count
    checked = {field: check_correction(field, value) for field, value in fields.items()}
    columns = {
        column: new for field, value in checked.items() for column, new in _columns(field, value).items()
    }
    folders: dict[tuple[int, str], int] = {}
    count = 0
    with catalog.write() as db:
        for start in range(0, len(frame_ids), _CHUNK):
            chunk = (Frame.id.in_(frame_ids[start : start + _CHUNK]), Frame.content_id.is_not(None))
            rows = db.execute(select(Frame.root_id, Frame.path, Frame.content_id).where(*chunk)).all()
            for root_id, path, content in rows:
                folder = root_id, path.rpartition("/")[0]
                folders[folder] = folders.get(folder, 0) + 1
                _remember(db, root_id, "", content or "", checked)
            db.execute(update(Frame).where(*chunk).values(columns))
            count += len(rows)
        for (root_id, name), corrected in folders.items():
            here = (Frame.root_id == root_id, Frame.content_id.is_not(None), *directly_in(name))
            if db.scalar(select(func.count()).select_from(Frame).where(*here)) == corrected:
                _remember(db, root_id, name, "", checked)
        _regroup(db, folders)
    return count


def _remember(db: DbSession, root_id: int, folder: str, content: str, checked: Mapping[str, str]) -> None:
    now = datetime.now(UTC)
    for field, value in checked.items():
        statement = insert(Correction).values(
            root_id=root_id, folder=folder, content_id=content, field=field, value=value, made=now
        )
        db.execute(
            statement.on_conflict_do_update(
                index_elements=["root_id", "folder", "content_id", "field"],
                set_={"value": value, "made": now},
            )
        )


def _withdraw(catalog: Catalog, frame_ids: Sequence[int], fields: Sequence[str]) -> int:
    """Forget corrections of these frames and of their folders, and take what the files say again.

    A file that cannot be read now keeps its corrected values until it is indexed again.
    """
    columns = [column for field in fields for column in _COLUMNS[field]]
    told: dict[int, dict[str, Any] | None] = {}
    contents: list[str] = []
    folders: set[tuple[int, str]] = set()
    with catalog.read() as db:
        for start in range(0, len(frame_ids), _CHUNK):
            chunk = Frame.id.in_(frame_ids[start : start + _CHUNK])
            rows = db.execute(
                select(
                    Frame.id,
                    Frame.root_id,
                    Frame.path,
                    Frame.size,
                    Frame.mtime_ns,
                    Frame.content_id,
                    Root.path,
                )
                .join(Root, Frame.root_id == Root.id)
                .where(chunk)
            ).all()
            for frame_id, root_id, path, size, mtime_ns, content, root in rows:
                facts = read_one(root, Fresh(path, size, mtime_ns)).facts
                told[frame_id] = None if facts is None else dict(zip(FACTS, facts, strict=True))
                contents += [content] if content else []
                folders.add((root_id, path.rpartition("/")[0]))
    with catalog.write() as db:
        for start in range(0, len(contents), _CHUNK):
            some = Correction.content_id.in_(contents[start : start + _CHUNK])
            db.execute(delete(Correction).where(some, Correction.field.in_(fields)))
        for root_id, folder in folders:
            here = (Correction.root_id == root_id, Correction.folder == folder, Correction.content_id == "")
            db.execute(delete(Correction).where(*here, Correction.field.in_(fields)))
        for frame_id, now in told.items():
            values = {"mtime_ns": -1} if now is None else {column: now[column] for column in columns}
            db.execute(update(Frame).where(Frame.id == frame_id).values(values))
        _regroup(db, folders)
    return len(told)


def _regroup(db: DbSession, folders: Iterable[tuple[int, str]]) -> None:
    """Put the frames of changed folders into their sessions and sets again."""
    roots = set()
    for root_id, name in folders:
        regroup(db, root_id, name)
        roots.add(root_id)
    for root_id in roots:
        drop_empty(db, root_id)
    refresh_duplicates(db)
