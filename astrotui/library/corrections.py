"""What a person corrected in what files say, applied whenever they are read; it sticks."""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Correction, Frame
from astrotui.errors import UsageError
from astrotui.frames.model import FrameType
from astrotui.library.duplicates import refresh_duplicates
from astrotui.library.grouping import directly_in, drop_empty, regroup
from astrotui.text import clean

FIELDS = ("type", "target", "filter", "pattern")
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
            raise UsageError(f"--type {clean(value, 40)!r} is not known; choose {', '.join(FrameType)}")
        return word
    if field == "pattern":
        word = value.strip().upper()
        if word not in _PATTERNS and word != "NONE":
            raise UsageError(
                f"--pattern {clean(value, 40)!r} is not known; choose {', '.join(_PATTERNS)} or none"
            )
        return word if word != "NONE" else "none"
    return clean(value, 100)


def correct(catalog: Catalog, frame_ids: Sequence[int], fields: Mapping[str, str]) -> int:
    """Correct `fields` of these frames, now and at every later indexing; returns the number of frames.

    Where these are all frames of a folder, frames that come into the folder later are corrected likewise.
    """
    checked = {field: check_correction(field, value) for field, value in fields.items()}
    columns = {
        column: new for field, value in checked.items() for column, new in _columns(field, value).items()
    }
    folders: dict[tuple[int, str], int] = {}
    count = 0
    with catalog.write() as db:
        for start in range(0, len(frame_ids), _CHUNK):
            chunk = Frame.id.in_(frame_ids[start : start + _CHUNK])
            rows = db.execute(select(Frame.root_id, Frame.path, Frame.content_id).where(chunk)).all()
            for root_id, path, content in rows:
                folder = root_id, path.rpartition("/")[0]
                folders[folder] = folders.get(folder, 0) + 1
                if content:
                    _remember(db, root_id, "", content, checked)
            db.execute(update(Frame).where(chunk).values(columns))
            count += len(rows)
        for (root_id, name), corrected in folders.items():
            here = (Frame.root_id == root_id, Frame.quarantine.is_(None), *directly_in(name))
            if db.scalar(select(func.count()).select_from(Frame).where(*here)) == corrected:
                _remember(db, root_id, name, "", checked)
            regroup(db, root_id, name)
        for root_id in {root_id for root_id, _ in folders}:
            drop_empty(db, root_id)
        refresh_duplicates(db)
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
