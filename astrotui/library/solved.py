"""Where fields lie in the sky: what a plate solver is given of sessions and stacks, and what is kept of its answer."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Session, Setting, Stack
from astrotui.errors import AstrotuiError, FrameError
from astrotui.frames.wcs import SkyField, sky_field
from astrotui.library.corrections import correct
from astrotui.library.lights import load_lights
from astrotui.library.objects import objects_near
from astrotui.text import clean

if TYPE_CHECKING:
    from astrotui.frames.solver import SolveTask
    from astrotui.stacking.plan import PlanFrame, StackPlan

_LOG = logging.getLogger(__name__)
_KEY = "wcs."
_MOST_OBJECTS = 10


@dataclass(frozen=True)
class Solution:
    """A field that was found.

    Attributes
    ----------
    cards : of the WCS, 80 characters each
    field : where that is
    objects : well-known objects in it, the likeliest subject first
    solver : the program; None where the frames brought it
    """

    cards: tuple[str, ...]
    field: SkyField
    objects: tuple[str, ...]
    solver: str | None

    @classmethod
    def of(
        cls, cards: Sequence[str], solver: str | None, size: tuple[int, int], path: Path, hdu: int
    ) -> "Solution":
        """With the middle of the field of a file of this width and height, and what lies in it."""
        width, height = size
        field = sky_field(cards, width, height, bottom_up=_bottom_up(path, hdu))
        radius = math.hypot(field.width_deg, field.height_deg) / 2
        inside = [
            one for one in objects_near(field.ra_deg, field.dec_deg, radius)
            if _shows(cards, one.ra_deg, one.dec_deg, width, height)
        ]  # fmt: skip
        return cls(tuple(cards), field, tuple(one.name for one in inside[:_MOST_OBJECTS]), solver)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            **asdict(self.field),
            "objects": list(self.objects),
            "solver": self.solver,
            "cards": list(self.cards),
        }


def _bottom_up(path: Path, hdu: int) -> bool:
    from astrotui.frames.headers import read_fits

    try:
        order = read_fits(path, hdu).header.text("ROWORDER")
    except FrameError:  # no FITS file
        return False
    return (order or "").upper().replace("_", "-") == "BOTTOM-UP"


def _shows(cards: Sequence[str], ra: float, dec: float, width: int, height: int) -> bool:
    from astrotui.frames.wcs import read_wcs

    x, y = read_wcs(cards).wcs_world2pix([(ra, dec)], 0)[0]
    return bool(0 <= x <= width - 1 and 0 <= y <= height - 1)


def scale_of(pixel_um: float | None, focal_mm: float | None) -> float | None:
    """Arc seconds of a pixel; None when either is unknown."""
    return math.degrees(pixel_um / 1000 / focal_mm) * 3600 if pixel_um and focal_mm else None


def solve_session(
    catalog: Catalog, session_id: int, folder: Path, *, limit_s: float, name: bool
) -> dict[str, Any]:
    """Solve the reference frame of a measured session; its WCS is kept for the stacks that are laid on it.

    With `name` a session of an unknown target is named after the likeliest object in the field.

    Raises
    ------
    SolveError, AstrotuiError
        There is no frame to solve, or no solution.
    """
    from astrotui.frames.solver import solve

    with catalog.read() as db:
        session = db.get(Session, session_id)
        if session is None:
            raise AstrotuiError(f"no session {session_id}; `astrotui sessions` lists them")
        found = load_lights(db, [session.reference_id]) if session.reference_id is not None else []
        target = session.target
        scale = scale_of(session.pixel_um, session.focal_mm)
        frames = list(
            db.scalars(select(Frame.id).where(Frame.session_id == session_id, Frame.frame_type == "light"))
        )
    if not found or found[0].measurement is None or not found[0].measurement.star_list:
        raise AstrotuiError(f"session {session_id} has no measured frame with stars to be solved by")
    light = found[0]
    frame = light.frame
    task = _task(light.path, frame.hdu, frame.cfa_phase, frame.full_scale_adu)
    cards, solver = solve(
        replace(task, ra_deg=frame.ra_deg, dec_deg=frame.dec_deg, scale_arcsec=scale), folder, limit_s=limit_s
    )
    solution = Solution.of(cards, solver, (task.width, task.height), light.path, frame.hdu)
    _keep(catalog, frame.content_id or "", solution)
    named = None
    if name and target is None and solution.objects:
        named = solution.objects[0]
        correct(catalog, frames, {"target": named})
    return {**solution.to_dict(), "target": target or named, "named": named, "frame": str(light.path)}


def solve_stack(
    catalog: Catalog, stack_id: int, folder: Path, *, limit_s: float, name: bool
) -> dict[str, Any]:
    """Solve a result by the stars in it; the WCS is kept in the catalogue, the file is left as it is.

    Raises
    ------
    SolveError, AstrotuiError
        It is gone, or there is no solution.
    """
    from astrotui.frames.headers import read_fits
    from astrotui.frames.solver import solve

    with catalog.read() as db:
        row = db.get(Stack, stack_id)
        if row is None:
            raise AstrotuiError(f"no stack {stack_id}; `astrotui stacks` lists them")
        path, target = Path(row.output), row.target
    if not path.exists():
        raise AstrotuiError(f"{clean(path, 300)} is gone; index the folder it was moved to")
    header = read_fits(path).header
    task = _task(path, 0, None, header.number("SATURATE"))
    scale = scale_of(header.number("XPIXSZ"), header.number("FOCALLEN"))
    cards, solver = solve(
        replace(task, ra_deg=header.number("RA"), dec_deg=header.number("DEC"), scale_arcsec=scale),
        folder,
        limit_s=limit_s,
    )
    solution = Solution.of(cards, solver, (task.width, task.height), path, 0)
    named = solution.objects[0] if name and not known_target(target) and solution.objects else None
    with catalog.write(durable=True) as db:
        row = db.get_one(Stack, stack_id)
        row.summary = {**row.summary, "wcs": solution.to_dict()}
        row.target = named or row.target
    return {**solution.to_dict(), "target": named or target, "named": named, "stack": stack_id}


def known_target(target: str | None) -> bool:
    """Whether a name says what is seen; a stack without a target is called `stack`."""
    return bool(target) and str(target).strip().lower() not in ("stack", "unknown", "")


def stored_wcs(catalog: Catalog, content_id: str | None) -> tuple[str, ...]:
    """Cards that were found for a frame of this content; none without a solution."""
    if not content_id:
        return ()
    with catalog.read() as db:
        row = db.get(Setting, _KEY + content_id)
    try:
        return tuple(str(card) for card in json.loads(row.value)["cards"]) if row is not None else ()
    except (ValueError, KeyError, TypeError):
        return ()


def carried_wcs(
    catalog: Catalog, output: Path, size: tuple[int, int], base: int | None
) -> dict[str, Any] | None:
    """What `stacks` tells of the coordinate system that a result has in its header; None without one.

    Parameters
    ----------
    size : width and height of the result
    base : id of the frame that the result is laid on, whose solver is named if it was solved here
    """
    from astrotui.frames.wcs import celestial_cards

    # Times belong to the header, not to where it lies.
    cards = [c for c in celestial_cards(output) if not c.startswith(("TIMESYS", "DATE", "MJD"))]
    if not cards:
        return None
    with catalog.read() as db:
        content = db.scalar(select(Frame.content_id).where(Frame.id == base)) if base is not None else None
        row = db.get(Setting, _KEY + content) if content else None
    try:
        solver = json.loads(row.value).get("solver") if row is not None else None
    except (ValueError, AttributeError):
        solver = None
    return Solution.of(cards, solver, size, output, 0).to_dict()


def _keep(catalog: Catalog, content_id: str, solution: Solution) -> None:
    if content_id:
        with catalog.write(durable=True) as db:
            db.merge(Setting(key=_KEY + content_id, value=json.dumps(solution.to_dict())))


def solve_plan(catalog: Catalog, plan: "StackPlan", folder: Path, *, limit_s: float) -> "StackPlan":
    """The plan with the WCS of the frame it is laid on, when a solver finds it; else as it is, with a note in the log."""
    from astrotui.frames.solver import SolveError, solve

    base: PlanFrame = plan.base
    if plan.wcs:
        return plan
    scale = scale_of(plan.header.get("XPIXSZ"), plan.header.get("FOCALLEN"))
    path, hdu = Path(base.file.path), base.file.hdu
    try:
        task = _task(path, hdu, base.cfa, base.full_scale_adu or plan.full_scale_adu)
        task = replace(task, ra_deg=plan.header.get("RA"), dec_deg=plan.header.get("DEC"), scale_arcsec=scale)
        cards, solver = solve(task, folder, limit_s=limit_s)
    except (SolveError, FrameError) as error:
        _LOG.info("not solved: %s", clean(error, 300))
        return plan
    solution = Solution.of(cards, solver, (task.width, task.height), path, hdu)
    with catalog.read() as db:
        content = db.scalar(select(Frame.content_id).where(Frame.id == base.frame_id))
    _keep(catalog, content or "", solution)
    name = plan.name
    header = dict(plan.header)
    if not known_target(name) and solution.objects:
        name = header["OBJECT"] = solution.objects[0]
    return replace(plan, wcs=cards, name=name, header=header)


def _task(path: Path, hdu: int, cfa: str | None, full_scale_adu: float | None) -> "SolveTask":
    """The stars of a file, saturated ones too: the brightest are those that star catalogues have for certain."""
    from astrotui.frames.pixels import read_image
    from astrotui.frames.solver import SolveTask
    from astrotui.imaging.cfa import bin2
    from astrotui.imaging.quality import measure_frame

    def image() -> tuple[NDArray[Any], int]:
        pixels = read_image(path, hdu)
        plane = pixels[1] if pixels.ndim == 3 else pixels
        return np.asarray(bin2(plane)), 2

    pixels = read_image(path, hdu)
    stars = measure_frame(
        pixels, cfa_phase=cfa, full_scale_adu=full_scale_adu, overwrite=True, list_saturated=True
    ).star_list
    return SolveTask(stars.x, stars.y, stars.flux, pixels.shape[-1], pixels.shape[-2], image)
