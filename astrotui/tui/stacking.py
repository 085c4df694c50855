"""What the stack form knows and asks for: sessions that go together, calibration that fits, the request itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrotui.errors import AstrotuiError, PlanError, UsageError
from astrotui.stacking.comet_places import Place, parse_places
from astrotui.stacking.recipe import CHOICES, DEFAULT_LIMITS, Recipe
from astrotui.text import clean, plural, same_name
from astrotui.tui.choosing import light
from astrotui.tui.queueing import enqueue
from astrotui.tui.reading import session_name
from astrotui.tui.widgets.form import Line

if TYPE_CHECKING:
    from astrotui.library.calibrators import Candidate

KINDS = ("dark", "flat", "bias")
NO_NAMES: Mapping[int, str] = {}
_MOST_SETS = 3  # besides the one that is chosen; any other can be typed or pinned
_NUMBERS = ("low", "high", "drizzle", "pixfrac", "min_score")
_LINES = (
    Line("sessions", "space in Library (1) marks several to stack together", ("this one",)),
    Line("reject", "which samples are left out: trails, planes, cosmic rays", CHOICES["reject"]),
    Line("low", "how far under the others a sample must be to be left out", free="default of the method"),
    Line("high", "how far over the others a sample must be to be left out", free="default of the method"),
    Line("combine", "average keeps most signal; median for few, bad frames", CHOICES["combine"]),
    Line("normalize", "how frames are brought to one level before rejection", CHOICES["normalize"]),
    Line("weight", "what makes a frame count more in the average", CHOICES["weight"]),
    *(Line(kind, "", ("auto", "none"), free="or an id, or a path") for kind in KINDS),
    Line("cosmetic", "fill hot and dead pixels", CHOICES["cosmetic"]),
    Line("align", "the model that carries frames onto the reference", CHOICES["align"]),
    Line(
        "reference",
        "the frame that the others are laid on: auto takes the best; the id of another can be typed",
        ("auto",),
        free="",
    ),
    Line("frame", "the field of the result", CHOICES["frame"]),
    Line(
        "drizzle",
        "a finer grid, for many frames of an undersampled camera: 2 is twice as fine",
        ("off", "1.5", "2", "3"),
        free="or 1 to 3",
    ),
    Line(
        "pixfrac",
        "size of a drizzle's drops in pixels, 0.1 to 1: small ones are sharper and need more frames",
        free="1",
    ),
    Line("min_score", "leave out frames under this score, 0 to 100", free="none left out"),
    Line("master", "how darks, flats and bias frames are combined; both reject outliers", CHOICES["master"]),
    Line("debayer", "how color is made from one-shot-color frames", CHOICES["debayer"]),
    Line("resample", "interpolation when frames are moved", CHOICES["resample"]),
    Line(
        "split",
        "filter: one stack of each filter, all on one reference, for compose (t in Stacks)",
        ("no", "filter"),
    ),
    Line("mix_filters", "yes: sessions of several filters as one stack", ("no", "yes")),
    Line(
        "comet",
        "with align comet: M in Frames marks it in an early and a late frame; typed: X,Y@ID twice, ID a frame's id",
        free="none",
    ),
    Line("memory", "how much memory the stack may use, like 1GB", free=""),
    Line("output", "a .fits file or a folder", free="the output folder"),
)


def form_lines(
    memory: str, folder: Path, reference: int | None, names: Mapping[int, str] = NO_NAMES
) -> list[Line]:
    """The lines of the form with their defaults; a reference is offered by its name."""
    lines = [Line(line.name, line.meaning, line.choices, line.free) for line in _LINES]
    by_name = {line.name: line for line in lines}
    by_name["weight"].value = Recipe().weight
    by_name["combine"].value = Recipe().combine
    by_name["resample"].value = Recipe().resample
    by_name["memory"].free = f"{memory} (settings)"
    by_name["output"].free = str(folder)
    if reference is not None:
        name = names.get(reference, str(reference))
        line = by_name["reference"]
        line.choices, line.meant = ("auto", name), {name: str(reference)}
        line.meaning += _ids((reference,), names)
    return lines


def _ids(frames: Sequence[int], names: Mapping[int, str]) -> str:
    """The ids of frames, for who knows their names."""
    return "".join(f"; {names[frame]} has id {frame}" for frame in frames if frame in names)


def follow_comet(lines: Sequence[Line], places: Sequence[Place], names: Mapping[int, str] = NO_NAMES) -> None:
    """Choose a stack on the comet that was marked in two frames."""
    by_name = {line.name: line for line in lines}
    by_name["align"].value = "comet"
    by_name["comet"].value = " ".join(f"{x:.1f},{y:.1f}@{frame}" for x, y, frame in places)
    by_name["comet"].meaning += _ids([frame for _, _, frame in places], names)


@dataclass(frozen=True)
class Facts:
    """What the catalogue says about what would be stacked.

    Attributes
    ----------
    sessions : which sessions each choice means
    headings : what each choice would stack
    sets : by kind, what each choice of calibration means; `auto` first
    warnings : by choice, what to think of first: the line of the form that it is about, "" for none, and words
    """

    sessions: dict[str, tuple[int, ...]]
    headings: dict[str, str]
    sets: dict[str, dict[str, str]]
    warnings: dict[str, list[tuple[str, str]]]


def read_facts(catalog: Any, session_ids: Sequence[int]) -> Facts:
    """For a thread."""
    from sqlalchemy import select

    from astrotui.catalog.models import Session
    from astrotui.library.calibrators import session_match
    from astrotui.library.together import by_filter

    first = session_ids[0]
    with catalog.read() as db:
        row = db.get_one(Session, first)
        alike = select(Session.id, Session.target).where(Session.cfa.is_(None) == (row.cfa is None))
        known = db.execute(alike.order_by(Session.night, Session.id)).all()
        same = [number for number, name in known if same_name(name) == same_name(row.target)]
        if len(same) > 1:
            same = next(ids for ids in by_filter(db, same).values() if first in ids)
        target = clean(row.target or "(no target)", 30)
    sessions = {"this one" if len(session_ids) == 1 else f"{len(session_ids)} marked": tuple(session_ids)}
    if row.target and len(same) > 1 and set(same) != set(session_ids):
        sessions[f"all {len(same)} of {target}"] = tuple(same)
    match = session_match(catalog, first)
    sets = {}
    for kind in KINDS:
        chosen = match.chosen(kind)
        found = {"auto": f"auto is none: no {kind} fits" if chosen is None else f"auto is {_set(chosen)}"}
        if kind in match.pinned_none:
            found["auto"] = "auto is none, as you said in Darks (3)"
        others = [c for c in match.candidates[kind] if c is not chosen and c.grade != "refused"]
        found.update({str(c.set.id): _set(c) for c in others[:_MOST_SETS]})
        sets[kind] = found
    headings = {name: _heading(catalog, ids) for name, ids in sessions.items()}
    warnings = {name: _mixed(catalog, ids) + _refused(catalog, ids) for name, ids in sessions.items()}
    return Facts(sessions, headings, sets, warnings)


def _targets(catalog: Any, session_ids: Sequence[int]) -> list[str]:
    """The targets of sessions as they are written first; `M 42` and `m42` are one."""
    from sqlalchemy import select

    from astrotui.catalog.models import Session

    found: dict[str, str] = {}
    with catalog.read() as db:
        for name in db.scalars(
            select(Session.target).where(Session.id.in_(session_ids)).order_by(Session.id)
        ):
            found.setdefault(same_name(name), clean(name or "(no target)", 30))
    return list(found.values())


def _mixed(catalog: Any, session_ids: Sequence[int]) -> list[tuple[str, str]]:
    """In what sessions differ that should not be stacked together."""
    from astrotui.library.together import check_together

    if len(session_ids) < 2:
        return []
    found = []
    if len(targets := _targets(catalog, session_ids)) > 1:
        found.append(("", f"{len(targets)} targets: {_some(targets)}"))
    with catalog.read() as db:
        try:
            check_together(db, session_ids)
        except PlanError as error:
            found.append(("split" if "--split" in str(error) else "", str(error)))
    return [(kind, clean(text, 300)) for kind, text in found]


def _some(names: Sequence[str], most: int = 2) -> str:
    """The first of several names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _refused(catalog: Any, session_ids: Sequence[int]) -> list[tuple[str, str]]:
    """Calibration sets that a person pinned although they do not fit, each once."""
    from sqlalchemy import select

    from astrotui.catalog.models import Session
    from astrotui.library.calibrators import load_pins, load_sets, match_session

    found = {}
    with catalog.read() as db:
        pins = load_pins(db, session_ids)
        if not pins:
            return []
        sets = load_sets(db)
        for session in db.scalars(select(Session).where(Session.id.in_(list(pins))).order_by(Session.id)):
            match = match_session(session, sets, pins[session.id])
            for kind in KINDS:
                chosen = match.chosen(kind)
                if chosen is not None and chosen.pinned and chosen.grade == "refused":
                    why = "; ".join(chosen.reasons)
                    found[kind, chosen.set.id] = (
                        f"{kind} set {chosen.set.id}, pinned by you, does not fit: {why}"
                    )
    return [(kind, clean(text, 140)) for (kind, _), text in found.items()]


def _set(candidate: "Candidate") -> str:
    held = candidate.set
    parts = [
        f"{held.exposure_s:g} s" if held.exposure_s is not None else "",
        f"gain {held.gain:g}" if held.gain is not None else "",
        f"{held.temperature_c:.0f} °C" if held.temperature_c is not None else "",
    ]
    pinned = ", pinned by you" if candidate.pinned else ""
    return clean(f"set {held.id}, {candidate.grade}{pinned}: {', '.join(p for p in parts if p)}", 120)


def _heading(catalog: Any, session_ids: Sequence[int]) -> str:
    from astrotui.library.listing import list_frames
    from astrotui.library.worth import worth

    value = worth(list_frames(catalog, list(session_ids)))
    name = session_name(catalog, session_ids[0])
    if len(session_ids) > 1:
        name = f"{_some(_targets(catalog, session_ids))}, {len(session_ids)} sessions"
    unmeasured = f"; {value.unmeasured:,} to measure first" if value.unmeasured else ""
    return clean(
        f"{name}: {value.kept} of {plural(value.frames, 'frame')}, {light(value.integration_s, value.kept)}{unmeasured}",
        120,
    )


def limits(reject: str) -> tuple[str, str]:
    """What holds for low and high while nothing is typed."""
    units = {"percentile": "of the median", "minmax": "samples"}
    if reject == "none":
        return "nothing is rejected", "nothing is rejected"
    low, high = DEFAULT_LIMITS[reject]
    unit = units.get(reject, "sigma")
    return f"{low:g} {unit}", f"{high:g} {unit}"


def options_of(lines: Sequence[Line], memory: str) -> dict[str, Any]:
    """What was chosen, as `library.requests.request_stack` takes it.

    Raises
    ------
    UsageError
        A value cannot be used.
    """
    from astrotui.config import parse_size

    values = {line.name: line.meant.get(line.value, line.value) for line in lines}
    values.pop("sessions", None)
    split, mixed = values.pop("split") == "filter", values.pop("mix_filters") == "yes"
    if split and mixed:
        raise UsageError("split makes a stack of each filter, mix filters one of all: leave one of them out")
    if values["drizzle"] == "off":
        del values["drizzle"]
    calibration = {kind: values.pop(kind) for kind in KINDS}
    reference, output, memory = values.pop("reference"), values.pop("output"), values.pop("memory") or memory
    if reference != "auto" and not reference.isdigit():
        raise UsageError(f"reference: {clean(reference, 30)!r} must be auto or the id of a frame")
    recipe: dict[str, Any] = {name: value for name, value in values.items() if value}
    for name in _NUMBERS:
        if name in recipe:
            try:
                recipe[name] = float(recipe[name])
            except ValueError:
                raise UsageError(
                    f"{name.replace('_', ' ')}: {clean(recipe[name], 30)!r} is not a number"
                ) from None
    if "comet" in recipe:
        recipe["comet"] = parse_places(recipe["comet"].split())
    return {
        "recipe": Recipe(**recipe),
        "reference": None if reference == "auto" else int(reference),
        "memory": parse_size(memory),
        "split": split,
        "mix_filters": mixed,
        "output": Path(output) if output else None,
        **calibration,
    }


def queue_stack(
    catalog: Any, session_ids: Sequence[int], folder: Path, options: dict[str, Any]
) -> tuple[int, ...]:
    """Queue the stack, or one for each filter; returns the ids of the jobs. For a thread."""
    from astrotui.jobs.estimates import check_room
    from astrotui.library.planning import check_request
    from astrotui.library.requests import title_of

    requests = _requests(catalog, session_ids, folder, options)
    for request in requests.values():
        check_request(catalog, request)
        check_room(catalog, request)
    return tuple(
        enqueue(
            catalog, "stack", request.to_dict(), " ".join(filter(None, (title_of(catalog, request), name)))
        )
        for name, request in requests.items()
    )


def _requests(
    catalog: Any, session_ids: Sequence[int], folder: Path, options: dict[str, Any]
) -> dict[str, Any]:
    """What is asked for, by filter; one of no name without a split."""
    from astrotui.library.requests import request_stack
    from astrotui.library.splitting import split_by_filter

    chosen = {name: value for name, value in options.items() if name != "split"}
    if options["split"]:
        return dict(split_by_filter(catalog, list(session_ids), folder=folder, **chosen))
    return {"": request_stack(catalog, session_ids, folder=folder, **chosen)}


def foretell_drizzle(
    catalog: Any, session_ids: Sequence[int], folder: Path, options: dict[str, Any]
) -> list[tuple[str, bool]]:
    """How evenly a drizzle will cover: a line for each stack, and whether it is good. Nothing for what is refused.

    For a thread.
    """
    from astrotui.library.drizzle_coverage import foretell_request

    try:
        requests = _requests(catalog, session_ids, folder, {**options, "output": None})
    except AstrotuiError:
        return []  # said elsewhere, and when it is queued
    told = {name: foretell_request(catalog, request) for name, request in requests.items()}
    return [
        (f"{name}: {one.text}" if name else one.text, one.good)
        for name, one in told.items()
        if one is not None
    ]
