"""What a report says of sessions: facts from the catalogue and manifests, without what is private."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Root, Session
from astrotui.errors import AstrotuiError
from astrotui.library.calibrators import Match, load_pins, load_sets, match_session
from astrotui.library.history import DecisionRecord, Step, history, steps
from astrotui.library.listing import FrameRecord, SessionRecord, list_frames, list_sessions
from astrotui.library.report_stack import StackStory, stories
from astrotui.library.worth import KEPT, Worth, worth
from astrotui.text import clean

MOST_SESSIONS = 60
MOST_PICTURES = 60  # of frames, in the whole page
A_SESSION = 6

# What cameras and telescopes put behind their model: S50_153dd4e2, QHY268M-4ec8b3f5.
_SERIAL = re.compile(r"[ _-](?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{6,}\b")


@dataclass(frozen=True)
class Privacy:
    """Takes out of text what others need not know: where the files are, who somebody is, where the telescope stands.

    Attributes
    ----------
    on : whether anything is taken out
    folders : whose names are left out of paths: library roots, the home folder
    hide : takes site coordinates and serial numbers out of a text
    """

    on: bool = False
    folders: tuple[str, ...] = ()
    hide: Callable[[str], str] = field(default=lambda text: text)

    def text(self, value: object) -> str:
        """Any text: paths become relative to their root."""
        shown = str(value)
        if not self.on:
            return shown
        for folder in self.folders:
            shown = shown.replace(f"{folder}/", "").replace(folder, folder.rpartition("/")[2])
        return self.hide(shown)

    def name(self, value: str | None) -> str | None:
        """A camera's or telescope's name, without its serial number."""
        return value if value is None or not self.on else _SERIAL.sub("", self.text(value))

    def path(self, value: str | Path | None) -> str | None:
        """The name of a file of ours: its folder is left out."""
        if value is None:
            return None
        return Path(value).name if self.on else str(value)


@dataclass(frozen=True)
class Picked:
    """A frame that gets a picture, and what it stands for."""

    frame: FrameRecord
    caption: str


@dataclass(frozen=True)
class SessionStory:
    """One session as it is told.

    Attributes
    ----------
    frames : all lights in the order of time
    match : calibration candidates, ranked, with reasons
    pinned : files outside the library that a person pinned, by kind
    steps : decisions, oldest first; `stands` the one in force of each frame that has one
    reference : path of the frame that numbers are relative to
    picked : frames that are shown as pictures
    """

    session: SessionRecord
    frames: tuple[FrameRecord, ...]
    worth: Worth
    match: Match
    pinned: dict[str, str]
    steps: tuple[Step, ...]
    stands: dict[int, DecisionRecord]
    reference: str | None
    picked: tuple[Picked, ...]
    cfa_phase: str | None = None
    full_scale_adu: float | None = None

    @property
    def measured(self) -> int:
        """How many frames have numbers."""
        return sum(frame.score is not None for frame in self.frames)


@dataclass(frozen=True)
class Report:
    """All that a page tells: sessions, and the newest result of each of them."""

    sessions: tuple[SessionStory, ...]
    stacks: tuple[StackStory, ...]
    privacy: Privacy

    @property
    def title(self) -> str:
        """Targets, and the nights from first to last."""
        targets = list(dict.fromkeys(clean(s.session.target, 60) for s in self.sessions if s.session.target))
        names = ", ".join(targets[:3]) + (f" and {len(targets) - 3} more" if len(targets) > 3 else "")
        nights = sorted(s.session.night.isoformat() for s in self.sessions if s.session.night)
        when = "" if not nights else nights[0] if nights[0] == nights[-1] else f"{nights[0]} to {nights[-1]}"
        return ", ".join(part for part in (names or "unknown target", when) if part)


def gather(
    catalog: Catalog,
    session_ids: Sequence[int],
    *,
    private: bool = True,
    hide: Callable[[str], str] = lambda text: text,
) -> Report:
    """Collect what the catalogue and the manifests of results say of sessions.

    Parameters
    ----------
    private : leave folders, site coordinates and serial numbers out
    hide : takes site coordinates and serial numbers out of a text

    Raises
    ------
    AstrotuiError
        More sessions than a page can hold.
    """
    if len(session_ids) > MOST_SESSIONS:
        raise AstrotuiError(
            f"{len(session_ids):,} sessions: a report tells of {MOST_SESSIONS} at most; name fewer"
        )
    records = {record.id: record for record in list_sessions(catalog)}
    wanted = [records[i] for i in session_ids if i in records]
    if not wanted:
        raise AstrotuiError("nothing to report: these sessions have no lights any more")
    with catalog.read() as db:
        roots = tuple(sorted(db.scalars(select(Root.path)), key=len, reverse=True))
        rows = {row.id: row for row in db.scalars(select(Session).where(Session.id.in_(session_ids)))}
        sets, pins = load_sets(db), load_pins(db, session_ids)
    folders = tuple(f for f in (*(root.rstrip("/") for root in roots), str(Path.home())) if len(f) > 1)
    privacy = Privacy(private, folders if private else (), hide)
    pictures = max(1, min(A_SESSION, MOST_PICTURES // len(wanted)))
    told = []
    for record in wanted:
        frames = tuple(
            replace(f, reasons=tuple(map(privacy.text, f.reasons))) if f.reasons else f
            for f in list_frames(catalog, [record.id])
        )
        decisions = history(catalog, [record.id])
        row = rows[record.id]
        reference = next((f for f in frames if f.id == row.reference_id), None)
        own = pins.get(record.id, {})
        told.append(
            SessionStory(
                session=record,
                frames=frames,
                worth=worth(frames),
                match=match_session(row, sets, own),
                pinned={kind: pin.path for kind, pin in own.items() if pin.path is not None},
                steps=tuple(steps(decisions)),
                stands={d.frame_id: d for d in decisions if d.stands},
                reference=reference.path if reference is not None else None,
                picked=_pick(frames, reference, pictures),
                cfa_phase=row.cfa_phase,
                full_scale_adu=row.full_scale_adu,
            )
        )
    return Report(tuple(told), stories(catalog, [record.id for record in wanted]), privacy)


def _pick(frames: Sequence[FrameRecord], reference: FrameRecord | None, most: int) -> tuple[Picked, ...]:
    """The best frame, the reference, a frame in the middle, the worst that stays, and one for each reason to go."""
    here = [f for f in frames if f.status in (*KEPT, "rejected")]
    kept = sorted((f for f in here if f.status in KEPT), key=lambda f: -(f.score or 0.0))
    wishes: list[tuple[FrameRecord, str]] = []
    if any(f.score is not None for f in kept):
        wishes.append((kept[0], "best"))
        wishes.append((kept[-1], "worst that is kept"))
    else:
        wishes += [(frame, "not measured") for frame in here[:1]]
    told: set[str] = set()
    for frame in (f for f in here if f.status == "rejected"):
        why = re.split(r"[:(\d]", frame.reasons[0], maxsplit=1)[0].strip() if frame.reasons else ""
        if why not in told:
            told.add(why)
            wishes.append(
                (frame, f"rejected{': ' if frame.reasons else ''}{frame.reasons[0] if frame.reasons else ''}")
            )
    if len(kept) > 2 and kept[0].score is not None:
        wishes.insert(1, (kept[len(kept) // 2], "in the middle"))
    if reference is not None and reference in here:
        wishes.append((reference, "reference"))
    chosen: dict[int, Picked] = {}
    for frame, caption in wishes:
        if frame.id in chosen:
            held = chosen[frame.id]
            chosen[frame.id] = Picked(frame, f"{held.caption}, {caption}")
        elif len(chosen) < most:
            chosen[frame.id] = Picked(frame, caption)
    return tuple(chosen.values())
