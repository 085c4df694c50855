"""Which frame a stack is laid on: the one that was asked for, that of an earlier stack, or the best of all sessions."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Session, Stack
from astrotui.errors import PlanError, UsageError
from astrotui.library.lights import Light, load_lights
from astrotui.library.requests import StackRequest
from astrotui.stacking.plan import ANOTHER_ISLAND
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.imaging.types import StarList

_LEAST_STARS = 3
_HUBS = 3  # sessions tried as the one that the others are compared on


def choose_reference(db: DbSession, usable: Sequence[Light], request: StackRequest) -> tuple[Light, bool]:
    """The frame that the others are laid on, which may lie outside of the stack; and whether it is so for good.

    It is not where it was chosen now for its stars, or for an earlier stack of some of the sessions: frames of others may
    have no star in common with it.

    An earlier stack of these sessions keeps its reference, so that its registrations are good for the frames that
    came since and both results lie on one grid.

    Raises
    ------
    PlanError
        The frame that was asked for cannot serve.
    """
    by_id = {light.frame.id: light for light in usable}
    if request.reference is not None:
        return by_id.get(request.reference) or _outside(db, request.reference), True
    sessions = request.common or request.sessions
    held = db.scalars(select(Session.reference_id).where(Session.id.in_(sessions)).order_by(Session.id))
    own = [frame_id for frame_id in held if frame_id is not None]
    if request.common:
        wanted = [light for light in load_lights(db, own) if _serves(light)]
    else:
        wanted = [by_id[frame_id] for frame_id in own if frame_id in by_id]
    inside = usable if not request.common else [*usable, *wanted]
    settled = bool(request.common)
    if (earlier := _earlier(db, inside, sessions, request.asked)) is not None:
        light, of_all = earlier
        return light, settled or of_all
    return _best(wanted) or max(inside, key=lambda light: light.score), settled


def seems_alone(chosen: Light, usable: Iterable[Light]) -> bool:
    """Whether some session may show another piece of the sky than the reference: its best frame has no star in common."""
    from astrotui.imaging.register import RegistrationError
    from astrotui.stacking.hands import match_either_hand

    best: dict[int | None, Light] = {}
    for light in usable:
        known = best.get(light.frame.session_id)
        if _serves(light) and (known is None or light.score > known.score):
            best[light.frame.session_id] = light
    best.pop(chosen.frame.session_id, None)
    for light in best.values():
        shape = (light.frame.height or 0, light.frame.width or 0)
        try:
            match_either_hand(_stars(light), _stars(chosen), shape=shape)
        except RegistrationError:
            return True
    return False


def measured_sessions(catalog: Catalog, request: StackRequest) -> list[int]:
    """Sessions that must be measured for a stack: its own, and where its reference is or may be."""
    wanted = dict.fromkeys((*request.sessions, *request.common))
    if request.reference is not None:
        with catalog.read() as db:
            home = db.scalar(select(Frame.session_id).where(Frame.id == request.reference))
        if home is not None:
            wanted[home] = None
    return list(wanted)


def check_reference(db: DbSession, frame_id: int) -> None:
    """Refuse a reference outside of the stack that can never serve, before anything is queued.

    Raises
    ------
    PlanError
        It is no light, or its file is gone or cannot be used.
    """
    found = load_lights(db, [frame_id])
    if not found or found[0].frame.frame_type != "light":
        raise UsageError(
            f"--reference {frame_id}: no light has that number; `astrotui frames SESSION` lists them"
        )
    frame = found[0].frame
    if frame.missing or frame.quarantine is not None:
        raise PlanError(f"--reference {frame_id}: {frame.quarantine or 'the file is gone'}")


def _serves(light: Light) -> bool:
    measured = light.measurement
    return (
        not light.frame.missing
        and light.frame.quarantine is None
        and measured is not None
        and measured.star_list is not None
        and len(_stars(light)) >= _LEAST_STARS
    )


def _outside(db: DbSession, frame_id: int) -> Light:
    check_reference(db, frame_id)
    light = load_lights(db, [frame_id])[0]
    if not _serves(light):
        raise PlanError(f"--reference {frame_id}: {clean(light.path.name, 100)} shows too few stars")
    return light


def _earlier(
    db: DbSession, lights: Sequence[Light], sessions: Sequence[int], asked: str
) -> tuple[Light, bool] | None:
    """The reference of the latest stack of none but these sessions, made before this one was asked for; and whether that
    stack was of all of them.

    One of the smaller part of a mosaic that fell apart does not count: it was made to have the rest, too.
    """
    by_path = {str(light.path): light for light in lights}
    query = select(Stack.sessions, Stack.summary, Stack.frames_used).order_by(Stack.id.desc())
    if asked:
        query = query.where(Stack.created < datetime.fromisoformat(asked))
    for stacked, summary, used in db.execute(query):
        if summary.get("island_of") is not None:
            continue
        skipped = summary.get("frames_skipped") or ()
        if sum(ANOTHER_ISLAND in str(one.get("reason")) for one in skipped) > used:
            continue
        if stacked and set(stacked) <= set(sessions):
            found = by_path.get(str(summary.get("reference")))
            if found is not None and _serves(found):
                return found, set(stacked) == set(sessions)
    return None


def _best(references: Sequence[Light]) -> Light | None:
    """The deepest of the sessions' references, their light, noise and FWHM compared on one of them.

    Scores compare within a session only: the best frame of a bad night scores 100 too.
    """
    if len(references) < 2:
        return references[0] if references else None
    from astrotui.imaging.scoring import depth

    most: dict[int, float] = {}
    hubs = sorted(references, key=lambda light: -light.measurement.stars if light.measurement else 0)
    for hub in hubs[:_HUBS]:
        depths: dict[int, float] = {}
        for light, light_of in _compared(references, hub):
            measured = light.measurement
            assert measured is not None
            # noise times width, both in the frame's own pixels, is that of a star's image on any grid
            found = depth(light_of, measured.noise_adu, measured.fwhm_a_px, measured.fwhm_b_px)
            depths[light.frame.id] = found or 0.0
        if len(depths) > len(most):
            most = depths
        if 2 * len(most) > len(references):
            break
    return max((r for r in references if r.frame.id in most), key=lambda r: most[r.frame.id], default=hubs[0])


def _compared(references: Sequence[Light], hub: Light) -> Iterable[tuple[Light, float]]:
    """Those that lie on the hub, and how much of its stars' light reached each."""
    from astrotui.imaging.register import RegistrationError, relative_transparency
    from astrotui.stacking.hands import match_either_hand

    for light in references:
        if light is hub:
            yield light, 1.0
            continue
        stars, others = _stars(light), _stars(hub)
        try:
            found = match_either_hand(stars, others, shape=(light.frame.height or 0, light.frame.width or 0))
        except RegistrationError:
            continue
        here, there = light.measurement, hub.measurement
        assert here is not None and there is not None
        ratio = relative_transparency(
            stars, others, found, noise_adu=here.noise_adu, fwhm_px=here.fwhm_px,
            reference_noise_adu=there.noise_adu, reference_fwhm_px=there.fwhm_px, least=1,
        )  # fmt: skip
        if ratio:
            yield light, ratio


def _stars(light: Light) -> "StarList":
    from astrotui.imaging.types import StarList

    blob = light.measurement.star_list if light.measurement else None
    return StarList.from_bytes(blob) if blob else StarList.empty()
