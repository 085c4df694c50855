"""Measure lights: stars and numbers of each frame, then shift, transparency and score within its session."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import and_, or_, select, true, update
from sqlalchemy.dialects.sqlite import insert

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement, Root, Session
from astrotui.library.measuring import NOT_READ, Answer, Keep, Task, measure_all
from astrotui.library.progress import Progress, silent
from astrotui.library.scores import score_session
from astrotui.text import clean

_FACTS = (
    "problem stars fwhm_px fwhm_a_px fwhm_b_px hfr_px eccentricity background_adu gradient_adu noise_adu "
    "saturated_fraction streak"
).split()
# What a new measurement makes void: it was found with the old stars.
_RELATIVE = "reference_id matched dx_px dy_px rotation_deg scale transparency depth".split()
_WRITE_EVERY = 32

Dark = tuple[Path, str]
"""A master dark: its file and digest."""


@dataclass
class MeasureReport:
    """Counts of one run: `measured` frames anew, `kept` already known, `quarantined` that hold nothing to measure.

    `problems` are of single frames, `warnings` of whole sessions.
    """

    sessions: int = 0
    frames: int = 0
    measured: int = 0
    kept: int = 0
    quarantined: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def measure_sessions(
    catalog: Catalog,
    session_ids: Sequence[int],
    *,
    workers: int = 0,
    force: bool = False,
    dark: Callable[[int], Dark | None] = lambda session_id: None,
    wanted: Callable[[], Sequence[int]] = lambda: (),
    keep: Keep | None = None,
    progress: Progress = silent,
) -> MeasureReport:
    """Measure what is unmeasured in these sessions, in their order, and score them.

    Known are frames measured by this version of the code on the content that the file has now. A frame that
    is black throughout, or whose pixels are damaged, is quarantined until its file changes.

    Parameters
    ----------
    workers : measuring processes (the star finder holds the interpreter's lock); 0: one a processor
    force : measure again what is known, and what was quarantined here
    dark : the master dark of a session, subtracted before stars are looked for; asked when its turn comes
    wanted : sessions that somebody waits for; asked every few frames, and measured at once
    keep : given each frame's path, pixels and pattern in the measuring process, to keep a picture of it
    """
    run = _Run(catalog, workers, force, dark, wanted, keep, progress)
    for session_id in session_ids:
        run.add(session_id)
    while run.pending:
        run.session(next(iter(run.pending)))
    return run.report


class _Run:
    """One run over sessions; a session that somebody waits for is slipped in."""

    def __init__(
        self,
        catalog: Catalog,
        workers: int,
        force: bool,
        dark: Callable[[int], Dark | None],
        wanted: Callable[[], Sequence[int]],
        keep: "Keep | None",
        progress: Progress,
    ) -> None:
        from astrotui.imaging.quality import MEASURE_VERSION

        self.catalog = catalog
        self.workers = workers
        self.force = force
        self.dark = dark
        self.wanted = wanted
        self.keep = keep
        self.progress = progress
        self.version = MEASURE_VERSION
        self.report = MeasureReport()
        self.pending: dict[int, list[Task]] = {}
        self.known: set[int] = set()
        self.done = self.total = 0

    def add(self, session_id: int) -> None:
        """Take a session on."""
        if session_id in self.known:
            return
        self.known.add(session_id)
        self.report.sessions += 1
        self.pending[session_id] = _unmeasured(
            self.catalog, session_id, self.version, self.force, self.report
        )
        self.total += len(self.pending[session_id])

    def session(self, session_id: int) -> None:
        """Measure and score a session, others that are wanted before its end in between."""
        tasks = self.pending.pop(session_id)
        dark = self.dark(session_id) if tasks else None
        digest = dark[1] if dark is not None else None
        buffer: list[Answer] = []
        master = dark[0] if dark is not None else None
        for answer in measure_all(tasks, master, self.keep, self.workers, self._compiling):
            buffer.append(answer)
            self.done += 1
            self.progress("measuring", self.done, self.total)
            if len(buffer) >= _WRITE_EVERY:
                _store(self.catalog, buffer, digest, self.version, self.report)
                buffer = []
                self._slip_in()
        _store(self.catalog, buffer, digest, self.version, self.report)
        self.report.warnings += [
            f"session {session_id}: {doubt}" for doubt in score_session(self.catalog, session_id)
        ]
        self._slip_in()

    def _compiling(self) -> None:
        self.progress("kernels", 0, 1)

    def _slip_in(self) -> None:
        for session_id in self.wanted():
            self.add(session_id)
            if session_id in self.pending:
                self.session(session_id)


def _unmeasured(
    catalog: Catalog, session_id: int, version: int, force: bool, report: MeasureReport
) -> list[Task]:
    # Files that indexing could not read are left to it: what else is quarantined was so by measuring.
    again = true() if force else Frame.quarantine.startswith(NOT_READ, autoescape=True)
    quarantine = or_(Frame.quarantine.is_(None), again)
    with catalog.read() as db:
        rows = db.execute(
            select(Frame, Root.path, Measurement.version, Measurement.content_id)
            .join(Root, Frame.root_id == Root.id)
            .outerjoin(Measurement, Measurement.frame_id == Frame.id)
            .where(
                Frame.session_id == session_id,
                Frame.missing.is_(False),
                Frame.content_id.is_not(None),
                quarantine,
            )
            .order_by(Frame.date_obs, Frame.path)
        ).all()
    tasks = []
    for frame, root, known, content in rows:
        report.frames += 1
        if known == version and content == frame.content_id and frame.quarantine is None and not force:
            report.kept += 1
            continue
        tasks.append(
            Task(
                frame.id, str(Path(root) / frame.path), frame.hdu, frame.size, frame.width, frame.height,
                frame.cfa_phase, frame.full_scale_adu, frame.content_id,
            )
        )  # fmt: skip
    return tasks


# --- into the catalogue ------------------------------------------------------------------------------------------


def _store(
    catalog: Catalog, answers: Sequence[Answer], dark_digest: str | None, version: int, report: MeasureReport
) -> None:
    if not answers:
        return
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    with catalog.write(durable=False) as db:
        ids = [answer.task.frame_id for answer in answers]
        here = set(db.scalars(select(Frame.id).where(Frame.id.in_(ids))))  # its root may have been forgotten
        for answer in answers:
            task, found = answer.task, answer.measurement
            reason = answer.later or answer.quarantine or (found.problem if found is not None else None)
            if reason is not None:
                report.problems.append({"path": clean(task.path, 400), "reason": clean(reason, 300)})
            if task.frame_id not in here or answer.later is not None:
                continue
            db.execute(
                update(Frame)
                .where(Frame.id == task.frame_id, Frame.content_id.is_not_distinct_from(task.content_id))
                .values(quarantine=answer.quarantine)
            )
            report.quarantined += answer.quarantine is not None
            if found is None:
                continue
            report.measured += answer.quarantine is None
            # The content of an empty frame is not noted: should its file change, it is measured whatever it is.
            content = None if answer.quarantine is not None else task.content_id
            rows.append(
                {
                    "frame_id": task.frame_id,
                    "version": version,
                    "content_id": content,
                    "sample": answer.sample,
                    "dark_digest": dark_digest,
                    "measured": now,
                    "star_list": found.star_list.to_bytes(),
                    "score": None if answer.quarantine is None else 0.0,
                    **{name: _plain(getattr(found, name)) for name in _FACTS},
                    **dict.fromkeys(_RELATIVE),
                }
            )
        if rows:
            statement = insert(Measurement)
            changed = {name: statement.excluded[name] for name in rows[0] if name != "frame_id"}
            db.execute(statement.on_conflict_do_update(index_elements=["frame_id"], set_=changed), rows)


def _plain(value: Any) -> Any:
    """A numpy scalar as Python's; what is not finite is unknown."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sessions_by_need(catalog: Catalog, session_ids: Sequence[int] | None = None) -> list[int]:
    """Sessions that hold lights to measure, latest night first; all of the catalogue's without `session_ids`."""
    from astrotui.imaging.quality import MEASURE_VERSION

    missing = (
        select(Frame.session_id)
        .outerjoin(Measurement, Measurement.frame_id == Frame.id)
        .where(
            Frame.session_id.is_not(None),
            Frame.missing.is_(False),
            Frame.content_id.is_not(None),
            or_(
                and_(
                    Frame.quarantine.is_(None),
                    or_(
                        Measurement.frame_id.is_(None),
                        Measurement.content_id.is_distinct_from(Frame.content_id),
                        Measurement.version != MEASURE_VERSION,
                    ),
                ),
                Frame.quarantine.startswith(NOT_READ, autoescape=True),
            ),
        )
    )
    query = select(Session.id).where(Session.id.in_(missing)).order_by(Session.night.desc(), Session.id)
    if session_ids is not None:
        query = query.where(Session.id.in_(session_ids))
    with catalog.read() as db:
        return list(db.scalars(query))
