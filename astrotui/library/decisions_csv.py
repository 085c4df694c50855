"""Decisions as CSV: what stands on each frame, with who, why and when; and back into a catalogue."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Root
from astrotui.errors import UsageError
from astrotui.library.choose import Author, Verdict, Verdicts, decide_all
from astrotui.library.history import history
from astrotui.text import clean, plural

COLUMNS = ("path", "content_id", "decision", "by", "when", "why", "reasons")
_VERDICTS: tuple[Verdict, ...] = ("undecided", "accepted", "rejected")
_AUTHORS: tuple[Author, ...] = ("person", "preset", "device")
_BETWEEN = "; "
_MOST_FIELD = 1_000_000


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    content_id: str
    decision: Verdict
    by: Author
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class ImportReport:
    """Counts of an import: `rows` in the file, `matched` to frames, `changed` frames (or to be, of a dry run).

    `unmatched` says of which rows nothing came.
    """

    rows: int
    matched: int
    changed: int
    batches: tuple[int, ...]
    unmatched: tuple[dict[str, Any], ...]


def export_decisions(catalog: Catalog, session_ids: Sequence[int]) -> tuple[str, int]:
    """The standing decision of each frame of sessions as CSV, and how many there are."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    standing = [record for record in history(catalog, session_ids) if record.stands]
    for record in standing:
        when = record.when.isoformat(timespec="seconds").replace("+00:00", "Z")
        writer.writerow(
            (
                record.path, record.content_id or "", record.after, record.by, when, record.why,
                _BETWEEN.join(record.reasons),
            )
        )  # fmt: skip
    return out.getvalue(), len(standing)


def import_decisions(
    catalog: Catalog, session_ids: Sequence[int], text: str, *, source: str = "CSV", dry_run: bool = False
) -> ImportReport:
    """Decide on frames of sessions what a CSV says, as one step.

    A row finds its frame by its content, wherever that lies now, else by its path or the end of it. What persons
    decided is a person's decision again; a preset's decisions, and the telescope's, do not overrule a person here.

    Raises
    ------
    UsageError
        The text is not such a table; the message names the line.
    """
    rows = read_rows(text, source)
    finder = _Finder(catalog, session_ids)
    wanted: dict[Author, dict[int, _Row]] = {"preset": {}, "person": {}}
    unmatched: list[dict[str, Any]] = []
    matched = 0
    for row in rows:
        frames, reason = finder.find(row)
        if not frames:
            unmatched.append({"line": row.line, "path": clean(row.path, 400), "reason": reason})
        matched += bool(frames)
        for frame_id in frames:
            for rows_by in wanted.values():
                rows_by.pop(frame_id, None)  # the later of two rows on a frame counts
            wanted["person" if row.by == "person" else "preset"][frame_id] = row
    steps = [
        Verdicts(
            by, {i: row.decision for i, row in found.items()},
            {i: list(row.reasons) for i, row in found.items()},
            f"import of {clean(source, 100)}: {plural(len(found), 'frame')}",
        )
        for by, found in wanted.items() if found
    ]  # fmt: skip
    choices = decide_all(catalog, steps, dry_run=dry_run)
    return ImportReport(
        len(rows), matched, sum(c.changed for c in choices),
        tuple(c.batch for c in choices if c.batch is not None), tuple(unmatched),
    )  # fmt: skip


def read_rows(text: str, source: str) -> list[_Row]:
    """The rows of a CSV; columns in any order, more of them do no harm, `path` or `content_id` and `decision` suffice.

    Raises
    ------
    UsageError
        There is no such table, or a value that does not exist.
    """
    name = clean(source, 300)
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",")
    csv.field_size_limit(_MOST_FIELD)
    try:
        heads = [head.strip().lower() for head in next(reader, [])]
        if "decision" not in heads or not {"path", "content_id"} & set(heads):
            raise UsageError(
                f"{name}: no columns path and decision in its first line; --export shows the form"
            )
        rows = []
        for cells in reader:
            if any(cell.strip() for cell in cells):
                values = dict(zip(heads, cells, strict=False))
                rows.append(_row(values, f"{name}, line {reader.line_num}", reader.line_num))
    except csv.Error as error:
        raise UsageError(f"{name}, line {reader.line_num}: {error}") from None
    return rows


def _row(values: dict[str, str], place: str, line: int) -> _Row:
    decision = values.get("decision", "").strip().lower()
    by = values.get("by", "").strip().lower() or "person"
    verdict = next((v for v in _VERDICTS if v == decision), None)
    author = next((a for a in _AUTHORS if a == by), None)
    if verdict is None:
        raise UsageError(f"{place}: decision {clean(decision, 40)!r}: there are {', '.join(_VERDICTS)}")
    if author is None:
        raise UsageError(f"{place}: by {clean(by, 40)!r}: there are {', '.join(_AUTHORS)}")
    path, content = values.get("path", ""), values.get("content_id", "").strip()
    if not path.strip() and not content:
        raise UsageError(f"{place}: neither path nor content_id says which frame")
    reasons = tuple(
        clean(reason, 300) for reason in values.get("reasons", "").split(_BETWEEN.strip()) if reason.strip()
    )
    return _Row(line, path, content, verdict, author, reasons)


class _Finder:
    """The lights of sessions by content and by path."""

    def __init__(self, catalog: Catalog, session_ids: Sequence[int]) -> None:
        self.by_content: dict[str, list[int]] = {}
        self.by_tail: dict[str, list[int]] = {}
        self.contents: dict[int, str] = {}
        self.paths: dict[int, str] = {}
        with catalog.read() as db:
            rows = db.execute(
                select(Frame.id, Frame.path, Frame.content_id, Root.path)
                .join(Root, Frame.root_id == Root.id)
                .where(Frame.session_id.in_(session_ids), Frame.frame_type == "light")
                .order_by(Frame.id)
            ).all()
        for frame_id, path, content, root in rows:
            if content:
                self.by_content.setdefault(content, []).append(frame_id)
                self.contents[frame_id] = content
            self.paths[frame_id] = f"{root.rstrip('/')}/{path}"
            self.by_tail.setdefault(path.rpartition("/")[2], []).append(frame_id)

    def find(self, row: _Row) -> tuple[list[int], str]:
        """The frames that a row means, copies of one file together; else the reason why there is none."""
        same = self.by_content.get(row.content_id, []) if row.content_id else []
        if same:
            exactly = [i for i in same if self.paths[i] == row.path]
            return exactly or same, ""
        path = row.path.strip("/") if row.path.strip() else ""
        named = [
            i
            for i in self.by_tail.get(path.rpartition("/")[2], [])
            if self.paths[i] == row.path or self.paths[i].endswith(f"/{path}")
        ]
        if row.content_id and (named or self._by_name(row)):
            return [], "the file of that name here is another exposure"
        if len(named) > 1:
            return [], f"{len(named)} frames end in that path; say more of it"
        return named, "no such frame in these sessions"

    def _by_name(self, row: _Row) -> bool:
        return bool(row.path) and row.path.rpartition("/")[2] in self.by_tail
