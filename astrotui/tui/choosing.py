"""Choosing frames: how they are listed, and their state on screen ahead of the catalogue's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from astrotui.text import clean, exposed
from astrotui.tui.remarks import remarks
from astrotui.tui.widgets.table import Cell, Column, Tone

if TYPE_CHECKING:
    from astrotui.library.choose import Choice
    from astrotui.library.listing import FrameRecord
    from astrotui.tui.reading import SessionFacts

ByHand = Literal["undecided", "accepted", "rejected"]


@dataclass(frozen=True)
class Step:
    """What was undone or redone, its frame if it was a single one, and the session it was in, if that was one."""

    words: str
    frame: int | None
    session: int | None
    session_name: str


Travel = Callable[[Any], Step]

_MARKS: dict[str, tuple[str, Tone]] = {
    "undecided": ("·", ""),
    "accepted": ("✓", "good"),
    "rejected": ("✗", "bad"),
    "missing": ("?", "warn"),
    "quarantined": ("!", "warn"),
}
_SAMPLE = 9  # frames from which the stretch of a session is found


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _mark(frame: "FrameRecord") -> Cell:
    return Cell(*_MARKS[frame.status])


def _why(frame: "FrameRecord") -> str:
    """Of a missing frame nothing matters as much as that."""
    return ", ".join(["missing"] * (frame.status == "missing") + list(frame.why))


def _why_cell(frame: "FrameRecord") -> Cell:
    return Cell(_why(frame), "bad" if frame.status == "rejected" else "dim")


def short_name(frame: "FrameRecord") -> str:
    """A frame's number, else the end of its name."""
    if frame.sequence is not None:
        return f"frame {frame.sequence}"
    name = clean(Path(frame.path).stem, 1000)
    return name if len(name) <= 24 else f"…{name[-23:]}"


def file_line(frame: "FrameRecord") -> str:
    """Status, reasons and name of a frame."""
    why = f" ({', '.join(frame.reasons)})" if frame.reasons else ""
    return clean(f"{frame.status}{why} · {Path(frame.path).name}", 300)


def details(frame: "FrameRecord") -> str:
    """Everything that is known of a frame, a few lines."""
    facts = [f"{frame.date:%Y-%m-%d %H:%M:%S} UTC"] if frame.date else ["time unknown"]
    facts += [f"{frame.exposure_s:g} s"] if frame.exposure_s is not None else []
    facts += [f"gain {frame.gain:g}"] if frame.gain is not None else []
    facts += [f"{frame.temperature_c:.1f} °C"] if frame.temperature_c is not None else []
    lines = [file_line(frame), ", ".join(facts)]
    if said := remarks(frame.note, frame.rating, frame.tags):
        lines.append(said)
    if frame.score is None:
        usable = frame.status not in ("missing", "quarantined")
        return "\n".join([*lines, *["not measured: m measures the session"] * usable])
    lines += [
        f"FWHM {_number(frame.fwhm_px, 2)} px, HFR {_number(frame.hfr_px, 2)} px, "
        f"eccentricity {_number(frame.eccentricity, 2)}, {_number(frame.stars, 0)} stars",
        f"sky {_number(frame.background_adu, 0)} ADU, noise {_number(frame.noise_adu, 1)} ADU, "
        f"transparency {_number(frame.transparency, 2)}" + (", a streak" if frame.streak else ""),
    ]
    if frame.dx_px is not None and frame.dy_px is not None:
        turned = f", turned {frame.rotation_deg:.2f}°" if frame.rotation_deg is not None else ""
        x, y = round(-frame.dx_px, 1) + 0.0, round(-frame.dy_px, 1) + 0.0  # no "-0.0"
        lines.append(f"{x:+.1f}, {y:+.1f} px from the reference{turned}")
    return "\n".join(lines)


COLUMNS: list[Column["FrameRecord"]] = [
    Column("status", " ", 1, _mark, lambda f: f.status, hold=True),
    Column("score", "Score", 6, lambda f: _number(f.score, 0), lambda f: f.score, "right", True),
    Column(
        "seq", "Frame", 6, lambda f: str(f.sequence if f.sequence is not None else f.id),
        lambda f: (f.date is None, f.date, f.id), "right",
    ),
    Column("fwhm", "FWHM", 5, lambda f: _number(f.fwhm_px, 2), lambda f: f.fwhm_px, "right"),
    Column("ecc", "Ecc", 4, lambda f: _number(f.eccentricity, 2), lambda f: f.eccentricity, "right"),
    Column("stars", "Stars", 6, lambda f: _number(f.stars, 0), lambda f: f.stars, "right", True),
    Column("clear", "Clear", 6, lambda f: _number(f.transparency, 2), lambda f: f.transparency, "right", True),
    Column("sky", "Sky", 6, lambda f: _number(f.background_adu, 0), lambda f: f.background_adu, "right"),
    Column("noise", "Noise", 6, lambda f: _number(f.noise_adu, 1), lambda f: f.noise_adu, "right"),
    Column("hfr", "HFR", 5, lambda f: _number(f.hfr_px, 2), lambda f: f.hfr_px, "right", roomy=110),
    Column("time", "Time", 8, lambda f: f"{f.date:%H:%M:%S}" if f.date else "–", lambda f: f.date, roomy=100),
    Column("why", "Why", 12, _why_cell, _why, hold=True),
]  # fmt: skip


class SessionFrames:
    """The frames of a session as they are shown.

    A decision is shown at its key press, before the catalogue has it. As long as a write is under way (`busy`),
    what is read from the catalogue is older than what is shown and must not replace it.
    """

    def __init__(self) -> None:
        self._frames: dict[int, FrameRecord] = {}
        self._places: dict[int, int] = {}
        self._under_way = 0
        self.writes = 0
        self.sample: tuple[str, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether a write is under way."""
        return self._under_way > 0

    @property
    def unmeasured(self) -> bool:
        """Whether no frame has a score yet."""
        return all(frame.score is None for frame in self._frames.values())

    @property
    def records(self) -> "list[FrameRecord]":
        """All frames of the session."""
        return list(self._frames.values())

    def by_time(self) -> "list[FrameRecord]":
        """All frames in the order in which they were taken."""
        return list(self._frames.values())

    def take(self, frames: "Sequence[FrameRecord]") -> bool:
        """Use what the catalogue says; returns whether that is new."""
        fresh = {f.id: f for f in sorted(frames, key=lambda f: (f.date is None, f.date, f.id))}
        if fresh == self._frames:
            return False
        self._frames = fresh
        self._places = {frame: place for place, frame in enumerate(fresh)}
        usable = sorted(f.path for f in frames if f.status not in ("missing", "quarantined"))
        self.sample = tuple(usable[:: max(1, len(usable) // _SAMPLE)][:_SAMPLE])
        return True

    def decide(self, frame: "FrameRecord", verdict: ByHand) -> "FrameRecord":
        """The frame with its new status; a write is under way from now on."""
        changed = replace(frame, status=verdict, reasons=("by hand",))
        if frame.id in self._frames:
            self._frames[frame.id] = changed
        self.begin()
        return changed

    def begin(self) -> None:
        """A write is under way."""
        self.writes += 1
        self._under_way += 1

    def written(self) -> None:
        """A write has ended, well or not."""
        self._under_way -= 1

    def place_of(self, frame: "FrameRecord | None") -> int | None:
        """Number of a frame in the order of time."""
        return None if frame is None else self._places.get(frame.id)

    def best(self) -> "FrameRecord | None":
        """The frame with the highest score."""
        return max(self._frames.values(), key=lambda f: f.score or 0.0, default=None)


def light(seconds: float, frames: int) -> str:
    """`exposed`, with the seconds (`2m10s`) while it is under ten minutes, where one frame more or less is to be seen."""
    whole = round(seconds)
    return f"{whole // 60}m{whole % 60:02d}s" if 60 <= whole < 600 else exposed(seconds, frames)


def worth_line(frames: "Sequence[FrameRecord]", room: int) -> str:
    """What the choice is worth, in as many words as there is room for."""
    from astrotui.library.worth import worth

    value = worth(frames)
    kept = f"{value.kept}/{value.frames} kept"
    if value.depth_mag is None or value.depth_all_mag is None:
        return f"{kept} · {light(value.integration_s, value.kept)}"
    against = value.depth_mag - value.depth_all_mag
    parts = [
        kept,
        f"{light(value.integration_s, value.kept)}, worth {light(value.effective_integration_s, value.kept)}",
        f"depth {value.depth_mag:+.2f} mag over the best frame",
        f"{against:+.2f} against all",
    ]
    line = " · ".join(parts)
    if len(line) > room:
        parts[2] = f"{value.depth_mag:+.2f} mag over best"
        line = " · ".join(parts)
    return line


def read_session(
    catalog: Any, session_id: int, query: str
) -> "tuple[list[FrameRecord], list[FrameRecord], SessionFacts]":
    """All frames of a session, those that match the query, and what is known of the session."""
    from astrotui.library.listing import list_frames
    from astrotui.tui.reading import session_facts

    everything = list_frames(catalog, [session_id])
    shown = list_frames(catalog, [session_id], query) if query else everything
    return everything, shown, session_facts(catalog, session_id)


def decide_one(catalog: Any, frame_id: int, name: str, verdict: ByHand) -> "Choice":
    """Commit one decision by hand."""
    from astrotui.library.choose import decide

    words = {"rejected": "rejected", "accepted": "accepted", "undecided": "taken back in"}[verdict]
    return decide(
        catalog, [frame_id], verdict, reasons={frame_id: ["by hand"]}, description=f"{name} {words}"
    )


def undo_one(catalog: Any) -> Step:
    """Take back the last decision."""
    from astrotui.library.choose import undo

    return _about(catalog, undo(catalog)[0])


def redo_one(catalog: Any) -> Step:
    """Decide again what was undone last."""
    from astrotui.library.choose import redo

    return _about(catalog, redo(catalog)[0])


def _about(catalog: Any, choice: "Choice") -> Step:
    from sqlalchemy import select

    from astrotui.catalog.models import Decision, DecisionBatch
    from astrotui.tui.reading import session_name

    with catalog.read() as db:
        frames = db.scalars(select(Decision.frame_id).where(Decision.batch_id == choice.batch).limit(2)).all()
        session = db.scalar(select(DecisionBatch.session_id).where(DecisionBatch.id == choice.batch))
    name = "several sessions" if session is None else session_name(catalog, session)
    return Step(choice.description, frames[0] if len(frames) == 1 else None, session, name)
