"""What a person corrected in what files say, applied whenever they are read; it sticks."""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Correction, Frame
from astrotui.errors import UsageError
from astrotui.frames.model import FrameType
from astrotui.library.grouping import drop_empty, regroup
from astrotui.text import clean

FIELDS = ("type", "target", "filter", "pattern")
_PATTERNS = ("RGGB", "GRBG", "GBRG", "BGGR")


@dataclass(frozen=True)
class Corrections:
    """All corrections of one root."""

    by_folder: Mapping[str, Mapping[str, str]]
    by_content: Mapping[str, Mapping[str, str]]

    @classmethod
    def load(cls, db: DbSession, root_id: int) -> "Corrections":
        """Those stored for `root_id`."""
        by_folder: dict[str, dict[str, str]] = {}
        by_content: dict[str, dict[str, str]] = {}
        for row in db.scalars(select(Correction).where(Correction.root_id == root_id)):
            table = (
                by_content.setdefault(row.content_id, {})
                if row.content_id
                else by_folder.setdefault(row.folder, {})
            )
            table[row.field] = row.value
        return cls(by_folder, by_content)

    def apply(self, values: MutableMapping[str, Any], folder: str) -> None:
        """Overwrite what the file says in `values` (columns of a frame); the file's own corrections win."""
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
    """Correct `fields` of these frames, now and at every later indexing; returns the number of frames."""
    checked = {field: check_correction(field, value) for field, value in fields.items()}
    now = datetime.now(UTC)
    with catalog.write() as db:
        frames = list(db.scalars(select(Frame).where(Frame.id.in_(frame_ids))))
        for frame in frames:
            for field, value in checked.items():
                if frame.content_id:
                    statement = insert(Correction).values(
                        root_id=frame.root_id,
                        folder="",
                        content_id=frame.content_id,
                        field=field,
                        value=value,
                        made=now,
                    )
                    db.execute(
                        statement.on_conflict_do_update(
                            index_elements=["root_id", "folder", "content_id", "field"],
                            set_={"value": value, "made": now},
                        )
                    )
                for column, new in _columns(field, value).items():
                    setattr(frame, column, new)
        folders = {(frame.root_id, frame.path.rpartition("/")[0]) for frame in frames}
        db.flush()
        for root_id, folder in folders:
            regroup(db, root_id, folder)
        for root_id in {root_id for root_id, _ in folders}:
            drop_empty(db, root_id)
    return len(frames)
