"""Measure lights: stars and numbers of each frame, then shift, transparency and score within its session."""

import logging
import math
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.sqlite import insert

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement, Root, Session
from astrotui.errors import FrameError
from astrotui.library.progress import Progress, silent
from astrotui.library.scores import score_session
from astrotui.text import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from astrotui.imaging.quality import FrameMeasurement

_LOG = logging.getLogger(__name__)
_FACTS = (
    "problem stars fwhm_px fwhm_a_px fwhm_b_px hfr_px eccentricity background_adu gradient_adu noise_adu "
    "saturated_fraction streak"
).split()
_WRITE_EVERY = 32


@dataclass
class MeasureReport:
    """Counts of one run: `measured` frames anew, `kept` already known, `quarantined` that could not be read."""

    sessions: int = 0
    frames: int = 0
    measured: int = 0
    kept: int = 0
    quarantined: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Task:
    frame_id: int
    path: str
    hdu: int
    cfa_phase: str | None
    full_scale_adu: float | None
    content_id: str | None


@dataclass(frozen=True)
class _Answer:
    """What a measuring process sends back: a measurement, or why the pixels cannot be read."""

    task: _Task
    measurement: "FrameMeasurement | None"
    unreadable: str | None = None


def measure_sessions(
    catalog: Catalog,
    session_ids: Sequence[int],
    *,
    workers: int = 0,
    force: bool = False,
    darks: dict[int, tuple[Path, str]] | None = None,
    progress: Progress = silent,
) -> MeasureReport:
    """Measure what is unmeasured in these sessions, in their order, and score them.

    Parameters
    ----------
    workers : measuring processes (the star finder holds the interpreter's lock); 0: one a processor
    force : measure again what is known
    darks : master dark (path and digest) by session, subtracted before stars are looked for
    """
    from astrotui.imaging.quality import MEASURE_VERSION

    report = MeasureReport(sessions=len(session_ids))
    plans = [(sid, _unmeasured(catalog, sid, MEASURE_VERSION, force, report)) for sid in session_ids]
    total, done = sum(len(tasks) for _, tasks in plans), 0
    for session_id, tasks in plans:
        dark, digest = (darks or {}).get(session_id, (None, None))
        buffer: list[_Answer] = []
        for answer in _measure_all(tasks, dark, workers):
            buffer.append(answer)
            done += 1
            progress("measuring", done, total)
            if len(buffer) >= _WRITE_EVERY:
                _store(catalog, buffer, digest, MEASURE_VERSION, report)
                buffer = []
        _store(catalog, buffer, digest, MEASURE_VERSION, report)
        score_session(catalog, session_id)
    return report


def _unmeasured(
    catalog: Catalog, session_id: int, version: int, force: bool, report: MeasureReport
) -> list[_Task]:
    with catalog.read() as db:
        rows = db.execute(
            select(Frame, Root.path, Measurement.version, Measurement.content_id)
            .join(Root, Frame.root_id == Root.id)
            .outerjoin(Measurement, Measurement.frame_id == Frame.id)
            .where(Frame.session_id == session_id, Frame.missing.is_(False), Frame.quarantine.is_(None))
            .order_by(Frame.date_obs, Frame.path)
        ).all()
    tasks = []
    for frame, root, known, content in rows:
        report.frames += 1
        if known == version and content == frame.content_id and not force:
            report.kept += 1
            continue
        path = str(Path(root) / frame.path)
        tasks.append(
            _Task(frame.id, path, frame.hdu, frame.cfa_phase, frame.full_scale_adu, frame.content_id)
        )
    return tasks


# --- in the measuring processes ----------------------------------------------------------------------------------

# The dark of the session being measured; forked children inherit it instead of each reading it.
_shared: dict[str, "NDArray[np.float32]"] = {}


def _measure_one(task: _Task) -> _Answer:
    from astrotui.frames.pixels import open_frame
    from astrotui.imaging.quality import measure_frame

    try:
        with open_frame(task.path, task.hdu) as reader:
            raw = reader.read(0, reader.height)
    except (FrameError, OSError) as error:
        reason = error.reason if isinstance(error, FrameError) else error.strerror or str(error)
        return _Answer(task, None, clean(reason, 300))
    dark = _shared.get("dark")
    if dark is not None and dark.shape != raw.shape[-2:]:
        dark = None
    return _Answer(
        task, measure_frame(raw, cfa_phase=task.cfa_phase, full_scale_adu=task.full_scale_adu, dark=dark)
    )


def _measure_all(tasks: Sequence[_Task], dark: Path | None, workers: int) -> Iterator[_Answer]:
    if not tasks:
        return
    _shared.clear()
    if dark is not None:
        from astrotui.frames.pixels import read_image

        _shared["dark"] = read_image(dark)
    count = min(workers or len(os.sched_getaffinity(0)), len(tasks))
    # The first frame is measured here: it compiles the kernels once, and forked children inherit them and the dark.
    yield _measure_one(tasks[0])
    if count < 2 or len(tasks) < 4:
        yield from map(_measure_one, tasks[1:])
        return
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("fork")) as pool:
        waiting: set[Future[_Answer]] = set()
        for task in tasks[1:]:
            waiting.add(pool.submit(_measure_one, task))
            if len(waiting) >= 3 * count:  # bounded: star lists of a hundred thousand frames do not pile up
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (f.result() for f in finished)
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (f.result() for f in finished)


# --- into the catalogue ------------------------------------------------------------------------------------------


def _store(
    catalog: Catalog, answers: Sequence[_Answer], dark_digest: str | None, version: int, report: MeasureReport
) -> None:
    if not answers:
        return
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    with catalog.write(durable=False) as db:
        for answer in answers:
            if answer.measurement is None:
                report.quarantined += 1
                report.problems.append(
                    {"path": clean(answer.task.path, 400), "reason": answer.unreadable or ""}
                )
                db.execute(
                    update(Frame).where(Frame.id == answer.task.frame_id).values(quarantine=answer.unreadable)
                )
                continue
            report.measured += 1
            facts = {name: _plain(getattr(answer.measurement, name)) for name in _FACTS}
            rows.append(
                {
                    "frame_id": answer.task.frame_id,
                    "version": version,
                    "content_id": answer.task.content_id,
                    "dark_digest": dark_digest,
                    "measured": now,
                    "star_list": answer.measurement.star_list.to_bytes(),
                    "score": None,
                    **facts,
                }
            )
            if facts["problem"]:
                problem = clean(facts["problem"], 300)
                report.problems.append({"path": clean(answer.task.path, 400), "reason": problem})
        if rows:
            statement = insert(Measurement)
            changed = {name: statement.excluded[name] for name in rows[0] if name != "frame_id"}
            db.execute(statement.on_conflict_do_update(index_elements=["frame_id"], set_=changed), rows)


def _plain(value: Any) -> Any:
    """A numpy scalar as Python's; what is not finite is unknown."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sessions_by_need(catalog: Catalog, session_ids: Sequence[int] | None = None) -> list[int]:
    """Sessions that hold unmeasured lights, latest night first; all of the catalogue's without `session_ids`."""
    missing = (
        select(Frame.session_id)
        .outerjoin(Measurement, Measurement.frame_id == Frame.id)
        .where(
            Frame.missing.is_(False),
            Frame.quarantine.is_(None),
            or_(Measurement.frame_id.is_(None), Measurement.content_id != Frame.content_id),
        )
    )
    query = select(Session.id).where(Session.id.in_(missing)).order_by(Session.night.desc(), Session.id)
    if session_ids is not None:
        query = query.where(Session.id.in_(session_ids))
    with catalog.read() as db:
        return list(db.scalars(query))
