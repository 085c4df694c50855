"""Shifts, transparency and scores of a session's frames against its reference frame."""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session as DbSession
from sqlalchemy.orm import aliased

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement, Session
from astrotui.text import plural

if TYPE_CHECKING:
    from astrotui.imaging.hints import Following
    from astrotui.imaging.register import Registration
    from astrotui.imaging.types import Float64Array, StarList

_LOG = logging.getLogger(__name__)
NOT_ALIGNED = "cannot be aligned"
ANOTHER_SIZE = "another size"
FEW, MANY = 2, 5  # so few frames beside so many times as many of another size are no session of their own
STREAKED = 0.7  # merit of a frame with a trail as reference: what lies under the trail is not the sky
CANDIDATES, SAMPLED = 5, 9  # frames tried as reference, and frames laid on them to see whether they fit
STILL_PX, STILL_S = 0.02, 300.0
NEARLY = 0.97  # of the best merit is as good
SCALES = (0.95, 1.05)  # one camera in one night: focus and refraction change the scale by far less
_STORED = {
    "problem": "problem", "reference_id": "reference_id", "matched": "matched", "dx_px": "dx", "dy_px": "dy",
    "rotation_deg": "rotation", "scale": "scale", "transparency": "transparency", "depth": "depth", "score": "score",
}  # fmt: skip
_COLUMNS = (
    Frame.id, Frame.width, Frame.height, Frame.date_obs, Measurement.stars, Measurement.noise_adu,
    Measurement.fwhm_px, Measurement.fwhm_a_px, Measurement.fwhm_b_px, Measurement.streak,
    *(getattr(Measurement, name) for name in _STORED),
)  # fmt: skip


@dataclass(eq=False)
class _Scored:
    """A frame on its way to a score."""

    frame_id: int
    width: int
    height: int
    date: datetime | None
    count: int
    noise: float | None
    fwhm: float | None
    fwhm_a: float | None
    fwhm_b: float | None
    streak: bool | None
    problem: str | None
    reference_id: int | None
    matched: int | None
    dx: float | None
    dy: float | None
    rotation: float | None
    scale: float | None
    transparency: float | None
    depth: float | None
    score: float | None
    stars: "StarList | None" = None
    transform: "Float64Array | None" = None  # onto the reference, where it was found in this run

    @property
    def own_problem(self) -> str | None:
        """A problem of the frame itself; not being aligned is one of the pair and may change with the reference, and
        another size one of the frames beside it."""
        passing = self.problem is not None and self.problem.startswith((NOT_ALIGNED, ANOTHER_SIZE))
        return None if passing else self.problem

    def stored(self) -> dict[str, Any]:
        """What the catalogue keeps of it."""
        return {column: getattr(self, name) for column, name in _STORED.items()}


def score_session(catalog: Catalog, session_id: int) -> list[str]:
    """Register every measured frame of a session to its reference and score it; returns what to doubt, for people.

    A session keeps its reference, and frames their registration, as long as the reference is there and
    unchanged, so that frames which arrive later cost only themselves.
    """
    from astrotui.imaging.scoring import depth, scores

    with catalog.read() as db:
        frames = [
            _Scored(row[0], row[1] or 0, row[2] or 0, *row[3:])
            for row in db.execute(
                select(*_COLUMNS)
                .join(Measurement, Measurement.frame_id == Frame.id)
                .where(Frame.session_id == session_id, Frame.quarantine.is_(None))
                .order_by(Frame.date_obs, Frame.path)
            )
        ]
        if not frames:
            return []
        held = db.scalar(select(Session.reference_id).where(Session.id == session_id))
        odd = _odd_size(db, session_id, len(frames))
        before = [frame.stored() for frame in frames]
        reference = next((f for f in frames if f.frame_id == held), None)
        if reference is None or reference.reference_id != held or reference.own_problem:
            reference = None
            for frame in frames:
                frame.reference_id = None
        new = [f for f in frames if f.own_problem is None and (not reference or f.reference_id != held)]
        _load_stars(db, [*new, reference] if reference and new else new)
    if reference is None:
        reference = choose_reference(new)
    if reference is not None:
        _register_all(new, reference)
    for frame in frames:
        frame.depth = 0.0
        if frame.matched is not None and frame.own_problem is None:
            frame.depth = depth(frame.transparency, frame.noise, frame.fwhm_a, frame.fwhm_b) or 0.0
        if frame.own_problem is None:
            lost = f"{NOT_ALIGNED} with the session's reference" if frame.matched is None else None
            frame.problem = odd or lost
            frame.depth = 0.0 if odd else frame.depth
    for frame, score in zip(frames, scores([f.depth for f in frames]), strict=True):
        frame.score = round(float(score), 2)
    changed = [f for f, old in zip(frames, before, strict=True) if f.stored() != old]
    _save(catalog, session_id, reference.frame_id if reference else None, held, changed)
    return doubts(
        ((f.dx, f.dy, f.date) for f in frames if f is not reference and f.matched is not None),
        reference.date if reference else None,
    )


def _odd_size(db: DbSession, session_id: int, frames: int) -> str | None:
    """What is wrong with a session of one or two frames beside a long one of another size: a subframe to focus
    with, or a broken download. By itself it would be its own best."""
    if frames > FEW:
        return None
    own, other = aliased(Session), aliased(Session)
    same = ("root_id", "folder", "night", "camera", "target", "filter", "exposure_s", "gain")
    beside = db.execute(
        select(other.width, other.height, func.count(Frame.id))
        .join(own, and_(*(getattr(own, name).is_not_distinct_from(getattr(other, name)) for name in same)))
        .join(Frame, Frame.session_id == other.id)
        .where(own.id == session_id, or_(own.width != other.width, own.height != other.height))
        .group_by(other.id)
        .order_by(func.count(Frame.id).desc())
        .limit(1)
    ).first()
    if beside is None or beside[2] < MANY * frames:
        return None
    return f"{ANOTHER_SIZE}: the {beside[2]:,} frames beside it have {beside[0]}x{beside[1]}"


def doubts(
    placed: Iterable[tuple[float | None, float | None, datetime | None]], reference: datetime | None
) -> list[str]:
    """What is odd about where frames (dx, dy, date) lie on a reference of another date, for people.

    Stars drift by more than a fiftieth of a pixel in five minutes on any mount; hot pixels never do.
    """
    if reference is None:
        return []
    later = [
        math.hypot(dx, dy) < STILL_PX
        for dx, dy, date in placed
        if dx is not None and dy is not None and date is not None
        if abs((date - reference).total_seconds()) >= STILL_S
    ]
    still = sum(later)
    if still < 2 or 2 * still < len(later):
        return []
    return [
        f"{plural(still, 'frame')} of {len(later)} did not shift by a fiftieth of a pixel in "
        f"{STILL_S / 60:.0f} minutes: are their stars hot pixels? A matching dark would tell"
    ]


def _load_stars(db: DbSession, frames: Sequence[_Scored]) -> None:
    from astrotui.imaging.types import StarList

    wanted = {frame.frame_id: frame for frame in frames}
    ids = list(wanted)
    for start in range(0, len(ids), 500):
        rows = db.execute(
            select(Measurement.frame_id, Measurement.star_list).where(
                Measurement.frame_id.in_(ids[start : start + 500])
            )
        )
        for frame_id, blob in rows:
            wanted[frame_id].stars = StarList.from_bytes(blob) if blob else StarList.empty()


def choose_reference(frames: Sequence[_Scored]) -> _Scored | None:
    """The frame with the best depth among those near the centre of the dither cloud.

    Transparency is not known before there is a reference: the number of stars stands in for it. The centre is
    found from shifts against the first choice, so that the reference does not sit at the edge of the field.
    """
    from astrotui.imaging.scoring import depth

    usable = [
        f for f in frames if f.own_problem is None and len(_stars(f)) >= 3 and f.noise and f.fwhm_a and f.fwhm_b
    ]  # fmt: skip
    if not usable:
        return None
    most = max(max(f.count, len(_stars(f))) for f in usable)

    def spoiled(frame: _Scored) -> float:
        return STREAKED if frame.streak else 1.0

    def merit(frame: _Scored) -> float:
        clear = max(frame.count, len(_stars(frame))) / most
        return (depth(clear, frame.noise, frame.fwhm_a, frame.fwhm_b) or 0.0) * spoiled(frame)

    first = _companionable(sorted(usable, key=merit, reverse=True))
    _register_all(usable, first)
    placed = [f for f in usable if f.dx is not None and f.dy is not None]
    if len(placed) < 3:
        return first
    middle_x = sorted(f.dx or 0.0 for f in placed)[len(placed) // 2]
    middle_y = sorted(f.dy or 0.0 for f in placed)[len(placed) // 2]

    def distance(frame: _Scored) -> float:
        return math.hypot((frame.dx or 0.0) - middle_x, (frame.dy or 0.0) - middle_y)

    spread = sorted(distance(f) for f in placed)[len(placed) // 2]
    central = [f for f in placed if distance(f) <= max(spread, 1.0)]

    def known_merit(frame: _Scored) -> float:
        clear = min(frame.transparency or 0.0, 1.5)
        return (depth(clear, frame.noise, frame.fwhm_a, frame.fwhm_b) or 0.0) * spoiled(frame)

    best = max(central, key=known_merit)
    # Another reference means that all are registered again: not for a hair's breadth.
    return first if first in central and known_merit(first) >= NEARLY * known_merit(best) else best


def _companionable(ranked: Sequence[_Scored]) -> _Scored:
    """The first of the best frames on which half of the others lie, so that one of another sky leads nobody."""
    others = ranked[:: -(-len(ranked) // SAMPLED)]
    most, best = -1, ranked[0]
    for candidate in ranked[:CANDIDATES]:
        _register_all(others, candidate)
        aligned = sum(f.matched is not None and f is not candidate for f in others)
        asked = sum(f is not candidate for f in others)
        if 2 * aligned >= asked:
            return candidate
        if aligned > most:
            most, best = aligned, candidate
    return best


def _stars(frame: _Scored) -> "StarList":
    from astrotui.imaging.types import StarList

    return frame.stars if frame.stars is not None else StarList.empty()


def _register_all(frames: Sequence[_Scored], reference: _Scored) -> None:
    """Register frames in order: each is tried first where those before it let expect it.

    Those that were already laid on this reference stay.
    """
    from astrotui.imaging.hints import Following

    following = Following()
    for frame in frames:
        if frame.reference_id != reference.frame_id:
            frame.transform = _register(frame, reference, following)
        if frame.transform is not None:
            following.found(frame.transform)


def _register(frame: _Scored, reference: _Scored, following: "Following") -> "Float64Array | None":
    from astrotui.imaging.register import RegistrationError, match_stars

    frame.reference_id = reference.frame_id
    frame.matched = frame.dx = frame.dy = frame.rotation = frame.scale = frame.transparency = None
    if frame is reference:
        frame.matched, frame.transparency = len(_stars(frame)), 1.0
        frame.dx = frame.dy = frame.rotation = 0.0
        frame.scale = 1.0
        return None
    span = (frame.date - reference.date).total_seconds() if frame.date and reference.date else None
    shape = (frame.height, frame.width)
    hint = following.guess(_stars(frame), _stars(reference))
    try:
        found = match_stars(
            _stars(frame), _stars(reference), shape=shape, span_s=span, scale_limits=SCALES, hint=hint
        )
    except RegistrationError as error:
        _LOG.info("frame %d: %s", frame.frame_id, error)
        return None
    if found.warning:
        _LOG.warning("frame %d: %s", frame.frame_id, found.warning)
    frame.matched = found.matched
    frame.dx, frame.dy = found.shift_at_center(shape)
    frame.rotation, frame.scale = found.rotation_deg, found.scale
    frame.transparency = _transparency(frame, reference, found)
    return found.transform


def _transparency(frame: _Scored, reference: _Scored, found: "Registration") -> float | None:
    from astrotui.imaging.register import relative_transparency

    factor = relative_transparency(
        _stars(frame), _stars(reference), found, noise_adu=frame.noise, fwhm_px=frame.fwhm,
        reference_noise_adu=reference.noise, reference_fwhm_px=reference.fwhm,
    )  # fmt: skip
    if factor is None:  # few and faint: the brightest of them tell what can be told
        factor = relative_transparency(_stars(frame), _stars(reference), found, least=1)
    return None if factor is None else float(factor)


def _save(
    catalog: Catalog, session_id: int, reference: int | None, held: int | None, frames: Sequence[_Scored]
) -> None:
    if not frames and reference == held:
        return
    with catalog.write(durable=False) as db:
        for frame in frames:
            db.execute(
                update(Measurement).where(Measurement.frame_id == frame.frame_id).values(**frame.stored())
            )
        if reference != held:
            db.execute(update(Session).where(Session.id == session_id).values(reference_id=reference))
