"""Shifts, transparency and scores of a session's frames against its reference frame."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement, Session

if TYPE_CHECKING:
    from astrotui.imaging.types import StarList

_LOG = logging.getLogger(__name__)
NOT_ALIGNED = "cannot be aligned"


@dataclass
class _Scored:
    """A frame on its way to a score."""

    frame_id: int
    width: int
    height: int
    problem: str | None
    stars: "StarList"
    noise: float | None
    fwhm_a: float | None
    fwhm_b: float | None
    reference_id: int | None
    matched: int | None = None
    dx: float | None = None
    dy: float | None = None
    rotation: float | None = None
    scale: float | None = None
    transparency: float | None = None
    depth: float | None = None
    score: float | None = None


def score_session(catalog: Catalog, session_id: int) -> None:
    """Register every measured frame of a session to its reference and score it.

    A session keeps its reference, and frames their registration, as long as the reference is there and
    unchanged, so that frames which arrive later cost only themselves.
    """
    from astrotui.imaging.scoring import depth, scores

    with catalog.read() as db:
        session = db.get(Session, session_id)
        rows = db.execute(
            select(Frame.width, Frame.height, Measurement)
            .join(Measurement, Measurement.frame_id == Frame.id)
            .where(Frame.session_id == session_id, Frame.quarantine.is_(None))
            .order_by(Frame.date_obs, Frame.path)
        ).all()
        held = session.reference_id if session is not None else None
    frames = [_load(width or 0, height or 0, row) for width, height, row in rows]
    if not frames:
        return
    known = {f.frame_id: f for f in frames}
    reference = known.get(held) if held is not None else None
    if reference is None or reference.reference_id != held or reference.problem:
        reference = choose_reference(frames)
        for frame in frames:
            frame.reference_id = None
    if reference is not None:
        for frame in frames:
            if frame.reference_id != reference.frame_id and frame.problem is None:
                _register(frame, reference)
    for frame in frames:
        frame.depth = 0.0
        if frame.matched is not None and frame.noise and frame.fwhm_a and frame.fwhm_b:
            # Too few stars to tell the transparency: the frame is taken to be as clear as the reference.
            clear = 1.0 if frame.transparency is None else frame.transparency
            worth = depth(clear, frame.noise, frame.fwhm_a, frame.fwhm_b) or 0.0
            frame.depth = worth if math.isfinite(worth) else 0.0
    for frame, score in zip(frames, scores([f.depth or 0.0 for f in frames]), strict=True):
        frame.score = round(float(score), 2)
    _save(catalog, session_id, reference.frame_id if reference else None, frames)


def _load(width: int, height: int, row: Measurement) -> _Scored:
    from astrotui.imaging.types import StarList

    stars = StarList.from_bytes(row.star_list) if row.star_list else StarList.empty()
    return _Scored(
        row.frame_id, width, height, _own_problem(row.problem), stars, row.noise_adu, row.fwhm_a_px, row.fwhm_b_px,
        row.reference_id, row.matched, row.dx_px, row.dy_px, row.rotation_deg, row.scale, row.transparency,
    )  # fmt: skip


def _own_problem(problem: str | None) -> str | None:
    """A problem of the frame itself; not being aligned is one of the pair and may change with the reference."""
    return None if problem is not None and problem.startswith(NOT_ALIGNED) else problem


def choose_reference(frames: Sequence[_Scored]) -> _Scored | None:
    """The frame with the best depth among those near the centre of the dither cloud.

    Transparency is not known before there is a reference: the number of stars stands in for it. The centre is
    found from shifts against the first choice, so that the reference does not sit at the edge of the field.
    """
    from astrotui.imaging.scoring import depth

    usable = [
        f for f in frames if f.problem is None and len(f.stars) >= 3 and f.noise and f.fwhm_a and f.fwhm_b
    ]
    if not usable:
        return None
    most = max(len(f.stars) for f in usable)

    def merit(frame: _Scored) -> float:
        noise, a, b = frame.noise or 1.0, frame.fwhm_a or 1.0, frame.fwhm_b or 1.0
        return (depth(1.0, noise, a, b) or 0.0) * (len(frame.stars) / most) ** 2

    ranked = sorted(usable, key=merit, reverse=True)
    first = ranked[0]
    for frame in ranked:
        _register(frame, first)
    placed = [f for f in ranked if f.dx is not None and f.dy is not None]
    if len(placed) < 3:
        return first
    middle_x = sorted(f.dx or 0.0 for f in placed)[len(placed) // 2]
    middle_y = sorted(f.dy or 0.0 for f in placed)[len(placed) // 2]

    def distance(frame: _Scored) -> float:
        return math.hypot((frame.dx or 0.0) - middle_x, (frame.dy or 0.0) - middle_y)

    spread = sorted(distance(f) for f in placed)[len(placed) // 2]
    central = [f for f in placed if distance(f) <= max(spread, 1.0)]
    return max(central, key=lambda f: merit(f) * min(f.transparency or 0.0, 1.5) ** 2)


def _register(frame: _Scored, reference: _Scored) -> None:
    from astrotui.imaging.register import RegistrationError, match_stars, relative_transparency

    frame.reference_id = reference.frame_id
    frame.matched = frame.dx = frame.dy = frame.rotation = frame.scale = frame.transparency = None
    if frame is reference:
        frame.matched, frame.transparency = len(frame.stars), 1.0
        frame.dx = frame.dy = frame.rotation = 0.0
        frame.scale = 1.0
        return
    try:
        found = match_stars(frame.stars, reference.stars, shape=(frame.height, frame.width))
    except RegistrationError as error:
        _LOG.info("frame %d: %s", frame.frame_id, error)
        return
    matrix = found.transform
    center_x, center_y = (frame.width - 1) / 2, (frame.height - 1) / 2
    w = matrix[2, 0] * center_x + matrix[2, 1] * center_y + matrix[2, 2]
    frame.matched = int(found.matched)
    frame.dx = float((matrix[0, 0] * center_x + matrix[0, 1] * center_y + matrix[0, 2]) / w - center_x)
    frame.dy = float((matrix[1, 0] * center_x + matrix[1, 1] * center_y + matrix[1, 2]) / w - center_y)
    frame.rotation = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
    frame.scale = math.sqrt(abs(float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])))
    factor = relative_transparency(frame.stars, reference.stars, found)
    frame.transparency = None if factor is None else float(factor)


def _save(catalog: Catalog, session_id: int, reference: int | None, frames: Sequence[_Scored]) -> None:
    with catalog.write(durable=False) as db:
        for frame in frames:
            problem = frame.problem
            if problem is None and frame.matched is None:
                problem = f"{NOT_ALIGNED} with the session's reference"
            db.execute(
                update(Measurement)
                .where(Measurement.frame_id == frame.frame_id)
                .values(
                    problem=problem, reference_id=frame.reference_id, matched=frame.matched, dx_px=frame.dx, dy_px=frame.dy,
                    rotation_deg=frame.rotation, scale=frame.scale, transparency=frame.transparency, depth=frame.depth,
                    score=frame.score,
                )
            )  # fmt: skip
        db.execute(update(Session).where(Session.id == session_id).values(reference_id=reference))
