"""The fields of sessions, frames and stacks that a query may name."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    String,
    case,
    cast,
    func,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import aliased

from astrotui.catalog.kinds import Binning, Choice, Flag, Kind, Number, Text, Texts, When
from astrotui.catalog.models import Frame, Measurement, Root, Session
from astrotui.catalog.status import STATUSES, reasons_expression, status_expression
from astrotui.catalog.summaries import path_of, root_path, total_of
from astrotui.catalog.terms import Contains, Names, Test, among_plain, is_plain

Scope = Literal["sessions", "frames", "stacks"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
# What the catalogue does not hold: by session id, or as a column over `Session`.
Supplied = Mapping[int, str | None] | SQLColumnExpression[Any]

FRAME_TYPES = ("light", "dark", "bias", "flat", "dark-flat", "stack")
STACK_STATUSES = ("done", "running", "failed", "cancelled", "missing")
GRADES = ("exact", "scaled", "near", "refused")

_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Found:
    """What a test finds, by ways that are cheaper than asking each row: any of them is enough.

    Attributes
    ----------
    sessions : numbers of sessions, all of whose frames are meant
    frames : numbers of frames
    rows : conditions on a row
    """

    sessions: tuple[Select[int], ...] = ()
    frames: tuple[Select[int], ...] = ()
    rows: tuple[ColumnElement[bool], ...] = ()


def any_of(found: Iterable[Found]) -> ColumnElement[bool]:
    """One condition: each place that a row has to be looked up in takes as long as comparing its name."""
    every = list(found)
    rows = [clause for one in every for clause in one.rows]
    for column, kind in ((Frame.session_id, "sessions"), (Frame.id, "frames")):
        places = [select for one in every for select in getattr(one, kind)]
        if places:
            rows.append(column.in_(union_all(*places) if len(places) > 1 else places[0]))
    return or_(*rows)


@dataclass(frozen=True)
class Field:
    """One field.

    Attributes
    ----------
    kind : which operators and values it takes
    help : what it is, for people
    column : its SQL; None when its values are supplied with the query, or records are asked only
    keys : other names: of the key in a record (the first), or that people write
    shortcut : the SQL of a test that is cheaper than asking `column`; None for tests that have none
    """

    name: str
    kind: Kind
    help: str
    column: SQLColumnExpression[Any] | None
    keys: tuple[str, ...] = ()
    shortcut: Callable[[Test], Found | None] | None = None

    def find(self, test: Test, supplied: Mapping[str, Supplied | None]) -> Found:
        """The SQL of a test of this field."""
        short = self.shortcut(test) if self.shortcut is not None else None
        return Found(rows=(test.sql(self.expression(supplied)),)) if short is None else short

    def value(self, record: Mapping[str, Any]) -> Any:
        """Its value in a record with the keys of `--json` or with field names; None when unknown."""
        for key in (*self.keys, self.name):
            if key in record:
                raw = record[key]
                if isinstance(raw, Mapping):  # a dark {id, grade}
                    raw = raw.get("grade")
                return None if raw is None else self.kind.value(raw)
        return None

    def expression(self, supplied: Mapping[str, Supplied | None]) -> SQLColumnExpression[Any]:
        """Its SQL, made from the supplied values where the catalogue does not hold it.

        Raises
        ------
        ValueError
            The values are needed and were not supplied.
        """
        if self.column is not None:
            return self.column
        given = supplied.get(self.name)
        if given is None:
            raise ValueError(f"the query asks for {self.name}: its values must be supplied")
        return _by_session(given) if isinstance(given, Mapping) else given


def _by_session(values: Mapping[int, str | None]) -> SQLColumnExpression[Any]:
    ids: dict[str, list[int]] = {}
    for session_id, value in values.items():
        if value is not None:
            ids.setdefault(value, []).append(session_id)
    if not ids:
        return cast(null(), String)
    # One parameter a value however many sessions there are: SQLite bounds their number.
    return case(
        *(
            (
                Session.id.in_(select(func.json_each(json.dumps(sessions)).table_valued("value").c.value)),
                value,
            )
            for value, sessions in ids.items()
        ),
        else_=null(),
    )


def _as_text(array: SQLColumnExpression[Any]) -> SQLColumnExpression[str]:
    """A JSON column as the text that is stored."""
    return type_coerce(array, String)


def _seconds() -> Number:
    return Number(units=_SECONDS)


def _degrees_celsius() -> Number:
    return Number(units={"c": 1.0}, within=0.5)


def _either(name: str) -> SQLColumnExpression[Any]:
    """A frame's fact as its session knows it, which may have been corrected."""
    return func.coalesce(getattr(Session, name), getattr(Frame, name))


def _told_by_session(name: str) -> Callable[[Test], Found | None]:
    """Texts that most frames have of their session are looked at once for each session.

    Frames whose sessions tell nothing are found apart, so that the others need not be read for it.
    """
    sessions, silent, frames = aliased(Session), aliased(Session), aliased(Frame)

    def shortcut(test: Test) -> Found | None:
        if not isinstance(test, (Contains, Names)):
            return None
        found = select(sessions.id).where(test.sql(getattr(sessions, name)))
        of_silent = frames.session_id.in_(select(silent.id).where(getattr(silent, name).is_(None)))
        alone = select(frames.id).where(of_silent, test.sql(getattr(frames, name)))
        return Found((found,), (alone,))

    return shortcut


def _below_root(
    relative: SQLColumnExpression[str], root_id: SQLColumnExpression[int]
) -> Callable[[Test], Found | None]:
    """What has no slash in it is either in the path of a root, which is looked at once, or below it."""
    roots = aliased(Root)

    def shortcut(test: Test) -> Found | None:
        if not isinstance(test, (Contains, Names)) or "/" in test.needle:
            return None
        return Found(rows=(test.sql(relative), root_id.in_(select(roots.id).where(test.sql(roots.path)))))

    return shortcut


def _frame_below_root() -> Callable[[Test], Found | None]:
    """`_below_root` of frames, of which there are many: the few whose paths are not plain ASCII have an index."""
    roots, frames, sessions = aliased(Root), aliased(Frame), aliased(Session)

    def shortcut(test: Test) -> Found | None:
        if not isinstance(test, (Contains, Names)) or "/" in test.needle:
            return None
        odd = select(frames.id).where(~is_plain(frames.path), test.sql(frames.path))
        # By way of the session, whose root it is: the index has it.
        named = select(sessions.id).join(roots, sessions.root_id == roots.id).where(test.sql(roots.path))
        return Found((named,), (odd,), (among_plain(test, Frame.path),))

    return shortcut


def _pixels() -> Number:
    return Number(units={"px": 1.0})


_SESSION_FIELDS = (
    Field("id", Number(), "number of the session", Session.id),
    Field("target", Text(names=True), "what the session shows", Session.target),
    Field("device", Text(), "telescope or program", Session.device),
    Field("camera", Text(), "camera", Session.camera),
    Field("date", When(), "start of the first light, UTC", Session.first_date),
    Field("night", When(nights=True), "local date of the noon before", Session.night),
    Field("exp", _seconds(), "exposure of one light", Session.exposure_s, ("exposure_s", "exposure")),
    Field("gain", Number(), "gain", Session.gain),
    Field("bin", Binning(), "binning", Session.binning, ("binning",)),
    Field("filter", Text(), "filter", Session.filter),
    Field(
        "temp", _degrees_celsius(), "sensor temperature", Session.temperature_c, ("temperature_c", "temperature")
    ),
    Field("width", Number(), "width in pixels", Session.width),
    Field("height", Number(), "height in pixels", Session.height),
    Field("cfa", Text(), "color pattern; none is mono", Session.cfa),
    Field("lights", Number(), "light frames", total_of("lights")),
    Field("accepted", Number(), "accepted lights", total_of("accepted")),
    Field("rejected", Number(), "rejected lights", total_of("rejected")),
    Field("undecided", Number(), "undecided lights", total_of("undecided")),
    Field("missing", Number(), "lights whose files are gone", total_of("missing")),
    Field("quarantined", Number(), "lights that cannot be used", total_of("quarantined")),
    Field("unmeasured", Number(), "lights not measured yet", total_of("unmeasured")),
    Field(
        "integration", _seconds(), "exposure of all lights not rejected", total_of("integration_s"),
        ("integration_s",),
    ),
    Field("dark", Choice(GRADES), "grade of the dark in force", None),
    Field("rating", Number(), "your rating", Session.rating),
    Field("tag", Texts(), "one of your tags", _as_text(Session.tags), ("tags",)),
    Field("note", Text(), "your note", Session.note),
    Field(
        "path", Text(), "folder", path_of(Session.folder, Session.root_id), (),
        _below_root(Session.folder, Session.root_id),
    ),
    Field("warnings", Texts(parts=True), "what is odd about the session", _as_text(Session.warnings), ("warning",)),
    Field("root", Text(), "library root", root_path(Session.root_id)),
)  # fmt: skip

_FRAME_FIELDS = (
    Field("id", Number(), "number of the frame", Frame.id),
    Field("path", Text(), "file", path_of(Frame.path, Frame.root_id), (), _frame_below_root()),
    Field("sequence", Number(), "number in its session", Frame.sequence),
    Field("date", When(), "start of the exposure, UTC", Frame.date_obs, ("date", "date_obs")),
    Field("night", When(nights=True), "local date of the noon before", Frame.night),
    Field("exp", _seconds(), "exposure", Frame.exposure_s, ("exposure_s", "exposure")),
    Field("gain", Number(), "gain", Frame.gain),
    Field(
        "temp", _degrees_celsius(), "sensor temperature", Frame.temperature_c, ("temperature_c", "temperature")
    ),
    Field("status", Choice(STATUSES), "what was decided, or why it cannot be used", status_expression()),
    Field("reason", Texts(parts=True), "why it is not a good frame", reasons_expression(), ("reasons",)),
    Field("score", Number(), "0 to 100 within the session", Measurement.score),
    Field("stars", Number(), "stars found", Measurement.stars),
    Field("fwhm", _pixels(), "FWHM in pixels", Measurement.fwhm_px, ("fwhm_px",)),
    Field("hfr", _pixels(), "half-flux radius in pixels", Measurement.hfr_px, ("hfr_px",)),
    Field("ecc", Number(), "eccentricity of the stars", Measurement.eccentricity, ("eccentricity",)),
    Field("background", Number(), "sky in ADU", Measurement.background_adu, ("background_adu",)),
    Field("noise", Number(), "noise of a pixel in ADU", Measurement.noise_adu, ("noise_adu",)),
    Field("transparency", Number(), "star light against the reference", Measurement.transparency),
    Field("streak", Flag(), "a satellite or plane crosses it", Measurement.streak),
    Field("dx", _pixels(), "shift in x in pixels", Measurement.dx_px, ("dx_px",)),
    Field("dy", _pixels(), "shift in y in pixels", Measurement.dy_px, ("dy_px",)),
    Field("rotation", Number(), "rotation in degrees", Measurement.rotation_deg, ("rotation_deg",)),
    Field("filter", Text(), "filter", _either("filter"), (), _told_by_session("filter")),
    Field("target", Text(names=True), "what it shows", _either("target"), (), _told_by_session("target")),
    Field("type", Choice(FRAME_TYPES), "frame type", Frame.frame_type, ("frame_type",)),
    Field("rating", Number(), "your rating", Frame.rating),
    Field("tag", Texts(), "one of your tags", _as_text(Frame.tags), ("tags",)),
    Field("note", Text(), "your note", Frame.note),
    Field("session", Number(), "number of its session", Frame.session_id, ("session_id",)),
    Field("device", Text(), "telescope or program", _either("device"), (), _told_by_session("device")),
    Field("camera", Text(), "camera", _either("camera"), (), _told_by_session("camera")),
)  # fmt: skip

# Stacks are few and half of what is known of them lies in files: they are asked in memory only.
_STACK_FIELDS = (
    Field("id", Number(), "number of the stack", None),
    Field("target", Text(names=True), "what it shows", None),
    Field("date", When(), "when it was made, UTC", None, ("created",)),
    Field("frames", Number(), "frames in it", None, ("frames_used",)),
    Field("integration", _seconds(), "exposure of all of them", None, ("integration_s",)),
    Field("noise", Number(), "noise of a pixel in ADU", None, ("noise_adu",)),
    Field("fwhm", _pixels(), "FWHM in pixels", None, ("fwhm_px",)),
    Field("width", Number(), "width in pixels", None),
    Field("height", Number(), "height in pixels", None),
    Field("status", Choice(STACK_STATUSES), "whether its file is there", None),
    Field("session", Texts(), "number of one of its sessions", None, ("sessions",)),
    Field("rating", Number(), "your rating", None),
    Field("tag", Texts(), "one of your tags", None, ("tags",)),
    Field("note", Text(), "your note", None),
    Field("warnings", Texts(parts=True), "what is odd about it", None, ("warning",)),
    Field("path", Text(), "file", None, ("output",)),
)

FIELDS: Mapping[Scope, Mapping[str, Field]] = {
    "sessions": {field.name: field for field in _SESSION_FIELDS},
    "frames": {field.name: field for field in _FRAME_FIELDS},
    "stacks": {field.name: field for field in _STACK_FIELDS},
}
# Every name that a query may use, the keys of `--json` included.
NAMES: Mapping[Scope, Mapping[str, Field]] = {
    scope: {name: field for field in FIELDS[scope].values() for name in (*field.keys, field.name)}
    for scope in SCOPES
}
