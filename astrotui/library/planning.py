"""From a request to a plan: which frames go in, which stay out and why, with what calibration."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from astrotui import __version__
from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement, Root, Session
from astrotui.errors import PlanError
from astrotui.imaging.types import StarList
from astrotui.library.calibrators import SetRecord
from astrotui.library.masters_for import CalibrationPlanner, session_calstat
from astrotui.library.requests import StackRequest
from astrotui.library.scores import doubts
from astrotui.stacking.plan import Calibration, InputFile, PlanFrame, SkippedFrame, StackPlan
from astrotui.stacking.recipe import Recipe
from astrotui.text import clean, plural


@dataclass(frozen=True)
class _Light:
    """A frame of the catalogue that was asked for."""

    frame: Frame
    path: Path
    measurement: Measurement | None


def plan_calibrations(
    db: DbSession, sessions: Sequence[Session], choices: dict[str, str]
) -> tuple[list[Calibration], dict[int, list[tuple[float | None, int]]]]:
    """Calibrations for sessions, and for each session the groups (temperature of the dark, index of calibration).

    An uncooled sensor drifts within a night: where darks of several temperatures fit equally well, each frame
    takes the nearest.
    """
    planner = CalibrationPlanner(db, choices)
    calibrations: list[Calibration] = []
    groups: dict[int, list[tuple[float | None, int]]] = {}
    for session in sessions:
        calibration, dark = planner.for_session(session, session_calstat(db, session.id))
        variants: list[tuple[SetRecord | None, Calibration]] = [(dark.set if dark else None, calibration)]
        if dark is not None and choices.get("dark", "auto") == "auto" and not dark.pinned:
            others = [held for held in planner.colder_and_warmer(session, dark) if held.id != dark.set.id]
            variants += [(held, dataclasses.replace(calibration, dark=planner.spec(held))) for held in others]
        groups[session.id] = []
        for held, variant in variants:
            if variant not in calibrations:
                calibrations.append(variant)
            temperature = held.temperature_c if held is not None else None
            groups[session.id].append((temperature, calibrations.index(variant)))
    return calibrations, groups


def check_request(catalog: Catalog, request: StackRequest) -> None:
    """Say before anything is queued what would come out only when the plan is made.

    Raises
    ------
    AstrotuiError
        A disk is away, the reference is not among the frames, or what was chosen or pinned to calibrate with does
        not fit.
    """
    with catalog.read() as db:
        sessions = list(
            db.scalars(select(Session).where(Session.id.in_(request.sessions)).order_by(Session.id))
        )
        roots = db.scalars(select(Root.path).where(Root.id.in_({s.root_id for s in sessions})))
        for root in roots:
            if not Path(root).is_dir():
                raise PlanError(f"{clean(root, 300)}: this folder is not there; is the disk mounted?")
        planner = CalibrationPlanner(db, {"dark": request.dark, "flat": request.flat, "bias": request.bias})
        for session in sessions:
            planner.check(session)
    if request.reference is not None and request.reference not in request.frames:
        raise PlanError(f"--reference {request.reference}: that frame is not among those to be stacked")


def make_plan(catalog: Catalog, request: StackRequest, output: Path, *, private: bool = True) -> StackPlan:
    """The plan for `request`; every frame that stays out is listed with its reason.

    Raises
    ------
    PlanError
        No frame can be stacked.
    """
    with catalog.read() as db:
        lights = _lights(db, request.frames)
        sessions = list(
            db.scalars(select(Session).where(Session.id.in_(request.sessions)).order_by(Session.id))
        )
        choices = {"dark": request.dark, "flat": request.flat, "bias": request.bias}
        calibrations, groups = plan_calibrations(db, sessions, choices)
        references = {s.reference_id for s in sessions if s.reference_id is not None}
    usable, skipped = _select(lights, request)
    if not usable:
        why = "; ".join(f"{n} {reason}" for reason, n in Counter(s.reason for s in skipped).most_common(3))
        raise PlanError(f"no frame can be stacked: {why or 'none was asked for'}")
    reference = _reference(usable, request, references)
    frames = [_plan_frame(light, groups) for light in usable]
    used = sorted({frame.calibration for frame in frames})
    frames = [dataclasses.replace(frame, calibration=used.index(frame.calibration)) for frame in frames]
    base = usable[reference].frame
    return StackPlan(
        name=clean(base.target or "stack", 80),
        frames=tuple(frames),
        reference=reference,
        recipe=request.recipe,
        output=str(output),
        manifest=str(output.with_suffix(".json")),
        width=base.width or 0,
        height=base.height or 0,
        calibrations=tuple(calibrations[i] for i in used),
        skipped=tuple(skipped),
        sessions=request.sessions,
        cfa=base.cfa_phase,
        planes=base.planes or 1,
        full_scale_adu=base.full_scale_adu,
        memory_bytes=request.memory,
        header=_header(base, usable),
        wcs=_wcs(usable[reference]),
        warnings=_warnings(usable, skipped, usable[reference], request.recipe),
        software=f"astrotui {__version__}",
        private=private,
    )


def _lights(db: DbSession, frame_ids: Sequence[int]) -> list[_Light]:
    lights: list[_Light] = []
    for start in range(0, len(frame_ids), 500):
        rows = db.execute(
            select(Frame, Root.path, Measurement)
            .join(Root, Frame.root_id == Root.id)
            .outerjoin(Measurement, Measurement.frame_id == Frame.id)
            .where(Frame.id.in_(frame_ids[start : start + 500]))
        )
        lights += [_Light(frame, Path(root) / frame.path, measured) for frame, root, measured in rows]
    order = {frame_id: place for place, frame_id in enumerate(frame_ids)}
    return sorted(lights, key=lambda light: order[light.frame.id])


def _select(lights: Sequence[_Light], request: StackRequest) -> tuple[list[_Light], list[SkippedFrame]]:
    """Frames that can be stacked together, and the others with their reasons."""
    usable: list[_Light] = []
    skipped: list[SkippedFrame] = []
    shapes = Counter(
        (li.frame.width, li.frame.height, li.frame.cfa_phase, li.frame.planes)
        for li in lights
        if not _unfit(li, request)
    )
    majority = shapes.most_common(1)[0][0] if shapes else None
    contents: set[str] = set()
    for light in lights:
        frame = light.frame
        reason = _unfit(light, request)
        shape = (frame.width, frame.height, frame.cfa_phase, frame.planes)
        if reason is None and shape != majority and majority is not None:
            if shape[:2] != majority[:2]:
                reason = f"another size: {shape[0]}x{shape[1]}, the others have {majority[0]}x{majority[1]}"
            else:
                reason = (
                    f"another color pattern: {shape[2] or 'mono'}, the others have {majority[2] or 'mono'}"
                )
        if reason is None and frame.content_id in contents:
            reason = "the same exposure is already in this stack (a duplicate file)"
        if reason is None:
            contents.add(frame.content_id or str(frame.id))
            usable.append(light)
        else:
            skipped.append(SkippedFrame(str(light.path), reason))
    return usable, skipped


def _unfit(light: _Light, request: StackRequest) -> str | None:
    frame, measured = light.frame, light.measurement
    if frame.missing:
        return "the file is gone"
    if frame.quarantine is not None:
        return frame.quarantine
    if measured is None:
        return "not measured"
    # An unaligned pair may align with another reference, so that problem is judged again when stacking.
    if (
        measured.problem
        and not measured.problem.startswith("cannot be aligned")
        and request.recipe.align != "none"
    ):
        return measured.problem
    if request.recipe.min_score is not None and (measured.score or 0.0) < request.recipe.min_score:
        return f"score {measured.score or 0.0:.0f} is under {request.recipe.min_score:g}"
    return None


def _reference(usable: Sequence[_Light], request: StackRequest, session_references: set[int]) -> int:
    ids = [light.frame.id for light in usable]
    if request.reference is not None:
        if request.reference not in ids:
            raise PlanError(f"--reference {request.reference}: that frame is not among those to be stacked")
        return ids.index(request.reference)
    own = [i for i, frame_id in enumerate(ids) if frame_id in session_references]
    return max(own or range(len(usable)), key=lambda i: _score(usable[i]))


def _score(light: _Light) -> float:
    return (light.measurement.score or 0.0) if light.measurement else 0.0


def _plan_frame(light: _Light, groups: dict[int, list[tuple[float | None, int]]]) -> PlanFrame:
    frame, measured = light.frame, light.measurement
    variants = groups.get(frame.session_id or 0) or [(None, 0)]
    calibration = variants[0][1]
    if len(variants) > 1 and frame.temperature_c is not None:
        here = frame.temperature_c
        # The set that was chosen for the session wins a tie: it comes first.
        calibration = min(variants, key=lambda v: round(abs((here if v[0] is None else v[0]) - here)))[1]
    stars = StarList.from_bytes(measured.star_list) if measured and measured.star_list else StarList.empty()
    return PlanFrame(
        file=InputFile(str(light.path), frame.size, frame.mtime_ns, frame.hdu),
        stars=stars,
        calibration=calibration,
        frame_id=frame.id,
        session_id=frame.session_id,
        width=frame.width or 0,
        height=frame.height or 0,
        cfa=frame.cfa_phase,
        planes=frame.planes or 1,
        exposure_s=frame.exposure_s,
        date_obs=frame.date_obs.isoformat() if frame.date_obs else None,
        background_adu=measured.background_adu if measured else None,
        noise_adu=measured.noise_adu if measured else None,
        fwhm_px=measured.fwhm_px if measured else None,
        fwhm_a_px=measured.fwhm_a_px if measured else None,
        fwhm_b_px=measured.fwhm_b_px if measured else None,
        transparency=measured.transparency if measured else None,
        score=measured.score if measured else None,
    )


def _header(base: Frame, usable: Sequence[_Light]) -> dict[str, Any]:
    """Facts of the reference and the frames for the result's header; what is unknown stays out."""
    facts: dict[str, Any] = {
        "OBJECT": base.target, "INSTRUME": base.camera, "TELESCOP": base.device, "FILTER": base.filter,
        "GAIN": base.gain, "OFFSET": base.offset, "FOCALLEN": base.focal_mm, "XPIXSZ": base.pixel_um,
        "YPIXSZ": base.pixel_um, "RA": base.ra_deg, "DEC": base.dec_deg, "EXPTIME": base.exposure_s,
    }  # fmt: skip
    if base.binning and "x" in base.binning:
        facts["XBINNING"], facts["YBINNING"] = (int(part) for part in base.binning.split("x", 1))
    temperatures = sorted(li.frame.temperature_c for li in usable if li.frame.temperature_c is not None)
    if temperatures:
        facts["CCD-TEMP"] = temperatures[len(temperatures) // 2]
    return {key: clean(v, 68) if isinstance(v, str) else v for key, v in facts.items() if v is not None}


def _wcs(reference: _Light) -> tuple[str, ...]:
    from astrotui.frames.wcs import celestial_cards

    return celestial_cards(reference.path, reference.frame.hdu)


def _warnings(
    usable: Sequence[_Light], skipped: Sequence[SkippedFrame], reference: _Light, recipe: Recipe
) -> tuple[str, ...]:
    placed = [
        (light.measurement.dx_px, light.measurement.dy_px, light.frame.date_obs)
        for light in usable
        if light.measurement is not None and light.measurement.reference_id == reference.frame.id
        if light is not reference
    ]
    warnings = doubts(placed, reference.frame.date_obs)
    dropped = (recipe.low or 0) + (recipe.high or 0)
    if recipe.reject == "minmax" and dropped > len(usable) / 2:
        warnings.append(f"minmax drops {dropped:g} of the {len(usable)} samples of a pixel")
    span = max(
        (max(axis) - min(axis) for axis in zip(*(place[:2] for place in placed), strict=True)), default=0.0
    )
    if recipe.align == "none" and span > 1:
        warnings.append(f"the field moved by {span:.0f} px and the frames were not aligned (--align none)")
    if len(usable) < 3:
        warnings.append(f"only {plural(len(usable), 'frame')}: a plain mean without rejection")
    if len({light.frame.filter for light in usable}) > 1:
        names = sorted({light.frame.filter or "unknown" for light in usable})
        warnings.append(f"frames of several filters in one stack: {', '.join(names)}")
    if skipped:
        warnings.append(f"{plural(len(skipped), 'frame')} left out")
    return tuple(warnings)
