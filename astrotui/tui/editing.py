"""What a person corrects or adds by the edit form: the same functions as `astrotui set`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from astrotui.errors import UsageError
from astrotui.text import clean, plural
from astrotui.tui.widgets.form import Line

if TYPE_CHECKING:
    from astrotui.library.annotate import Notes

Kind = Literal["sessions", "frames", "stacks"]
KEEP = "as it is"
_NO_RATING = "none"
_TYPES = (KEEP, "light", "dark", "bias", "flat", "dark-flat", "auto")
_PATTERNS = (KEEP, "RGGB", "GRBG", "GBRG", "BGGR", "none", "auto")
_SAID = {
    "target": "name of the object, for all frames; auto: as the files say",
    "filter": "name of the filter, for all frames; auto: as the files say",
    "type": "what the frames are, if the files say it wrong; auto: as the files say",
    "pattern": "color pattern at the first pixel; auto: as the files say",
    "note": "anything worth remembering",
    "rating": "1 to 5",
    "tags": "words with spaces between; tag:WORD finds them",
}


@dataclass(frozen=True)
class Known:
    """What is to be edited, and what is known of it; None where several differ."""

    kind: Kind
    ids: tuple[int, ...]
    heading: str
    target: str | None = None
    filter: str | None = None
    note: str | None = ""
    rating: int | None = None
    tags: tuple[str, ...] = ()


def known_of(kind: Kind, heading: str, records: Sequence[Any]) -> Known:
    """What records have in common; those of stacks are tables, the others have attributes."""

    def get(record: Any, name: str) -> Any:
        return record.get(name) if isinstance(record, dict) else getattr(record, name, None)

    def common(name: str) -> Any:
        values = {get(record, name) for record in records}
        return values.pop() if len(values) == 1 else None

    ids = tuple(get(record, "id") for record in records)
    tags = [tuple(get(record, "tags") or ()) for record in records]
    shared = tuple(tag for tag in tags[0] if all(tag in other for other in tags))
    target, name = (common("target"), common("filter")) if kind == "sessions" else (None, None)
    return Known(kind, ids, heading, target, name, common("note"), common("rating"), shared)


def edit_lines(known: Known) -> list[Line]:
    """The lines of the form, filled with what is known."""
    lines = []
    if known.kind == "sessions":
        lines += [Line("target", _SAID["target"], free="unknown", value=known.target or "")]
        lines += [Line("filter", _SAID["filter"], free="unknown", value=known.filter or "")]
    if known.kind != "stacks":
        lines += [Line("type", _SAID["type"], _TYPES), Line("pattern", _SAID["pattern"], _PATTERNS)]
    rating = _NO_RATING if known.rating is None else str(known.rating)
    return [
        *lines,
        Line("note", _SAID["note"], free="none", value=known.note or ""),
        Line("rating", _SAID["rating"], (_NO_RATING, *"12345"), value=rating),
        Line("tags", _SAID["tags"], free="none", value=" ".join(known.tags)),
    ]


@dataclass(frozen=True)
class Changes:
    """What was changed in the form."""

    corrections: dict[str, str]
    note: str | None
    rating: int | None
    tags: tuple[str, ...]
    untags: tuple[str, ...]

    @property
    def notes(self) -> "Notes":
        """As the catalogue takes it."""
        from astrotui.library.annotate import Notes

        return Notes(self.note, self.rating, self.tags, self.untags)


def changes_of(known: Known, lines: Sequence[Line]) -> Changes:
    """What differs from what is known.

    Raises
    ------
    UsageError
        Nothing does.
    """
    before = {line.name: line.value for line in edit_lines(known)}
    after = {line.name: line.value for line in lines}
    changed = {name: value.strip() for name, value in after.items() if value.strip() != before[name]}
    old, new = known.tags, tuple(after["tags"].split())
    changes = Changes(
        {name: changed[name] for name in ("target", "filter", "type", "pattern") if name in changed},
        changed.get("note"),
        None if "rating" not in changed else 0 if changed["rating"] == _NO_RATING else int(changed["rating"]),
        tuple(tag for tag in new if tag not in old),
        tuple(tag for tag in old if tag not in new),
    )
    if not changed:
        raise UsageError("nothing was changed; esc leaves")
    return changes


def apply(catalog: Any, known: Known, changes: Changes) -> str:
    """Write the changes; returns what is said of them. For a thread.

    Raises
    ------
    AstrotuiError
        A value cannot be used, or a file that is to be read again cannot be.
    """
    from astrotui.library.annotate import Things, annotate
    from astrotui.library.corrections import check_correction, correct

    for name, value in changes.corrections.items():
        check_correction(name, value)  # nothing is written of a form that holds a mistake
    things = Things(**{known.kind: list(known.ids)})
    said = []
    if not changes.notes.empty:
        annotate(catalog, things, changes.notes)
        said.append(f"noted for {plural(len(known.ids), known.kind.removesuffix('s'))}")
    if changes.corrections:
        count = correct(catalog, things.all_frames(catalog), changes.corrections)
        said.append(f"{', '.join(changes.corrections)} of {plural(count, 'frame')} corrected")
    return clean("; ".join(said), 200)
