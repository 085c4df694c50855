"""From a request to a plan: which frames go in, which stay out and why, with what calibration."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from astrotui import __version__
from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Root, Session
from astrotui.errors import PlanError
from astrotui.imaging.methods import MasterMethod
from astrotui.imaging.types import StarList
from astrotui.library.calibrators import SetRecord
from astrotui.library.drizzle_coverage import foretell_plan
from astrotui.library.lights import Light, load_lights, select_lights
from astrotui.library.masters_for import CalibrationPlanner, session_calstat
from astrotui.library.reference import check_reference, choose_reference, seems_alone
from astrotui.library.requests import StackRequest
from astrotui.library.scores import doubts
from astrotui.library.solved import stored_wcs
from astrotui.library.together import filter_key, kind_of
from astrotui.stacking.comet_places import check_frames
from astrotui.stacking.plan import Calibration, InputFile, MasterSpec, PlanFrame, SkippedFrame, StackPlan
from astrotui.stacking.recipe import Recipe
from astrotui.text import clean, plural


def plan_calibrations(
    db: DbSession,
    sessions: Sequence[Session],
    choices: dict[str, str],
    method: MasterMethod = "mean",
    warnings: list[str] | None = None,
) -> tuple[list[Calibration], dict[int, list[tuple[float | None, int]]]]:
    """Calibrations for sessions, and for each session the groups (temperature of the dark, index of calibration).

    An uncooled sensor drifts within a night: where darks of several temperatures fit equally well, each frame
    takes the nearest. Frames of different sizes and patterns never share a calibration. `warnings` gets what is odd
    about files that were named.
    """
    planner = CalibrationPlanner(db, choices, method)
    calibrations: list[Calibration] = []
    shapes: list[tuple[int, int, str | None]] = []
    groups: dict[int, list[tuple[float | None, int]]] = {}
    for session in sessions:
        calibration, dark = planner.for_session(session, session_calstat(db, session.id))
        variants: list[tuple[SetRecord | None, Calibration]] = [(dark.set if dark else None, calibration)]
        if dark is not None and choices.get("dark", "auto") == "auto" and not dark.pinned:
            others = [held for held in planner.colder_and_warmer(session, dark) if held.id != dark.set.id]
            variants += [(held, _with_dark(calibration, planner.spec(held), held)) for held in others]
        groups[session.id] = []
        for held, variant in variants:
            shape = (session.width, session.height, session.cfa_phase)
            known = [n for n, one in enumerate(calibrations) if one == variant and shapes[n] == shape]
            if not known:
                known = [len(calibrations)]
                calibrations.append(variant)
                shapes.append(shape)
            temperature = held.temperature_c if held is not None else None
            groups[session.id].append((temperature, known[0]))
    if warnings is not None:
        warnings += planner.warnings
    return calibrations, groups


def _with_dark(calibration: Calibration, dark: MasterSpec, held: SetRecord) -> Calibration:
    """The same with the dark of another temperature, and words that say so."""
    said = f"dark: {clean(held.path)} for the frames nearest to its {held.temperature_c:.0f} °C"
    reasons = (said, *(text for text in calibration.reasons if not text.startswith("dark:")))
    return dataclasses.replace(calibration, dark=dark, reasons=reasons)


def check_request(catalog: Catalog, request: StackRequest) -> None:
    """Say before anything is queued what would come out only when the plan is made.

    Raises
    ------
    AstrotuiError
        A disk is away, the reference is no light, or what was chosen or pinned to calibrate with does not fit.
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
            check_reference(db, request.reference)
        if request.recipe.comet:
            marked = db.execute(
                select(Frame.id, Frame.width, Frame.height).where(
                    Frame.id.in_({place[2] for place in request.recipe.comet} & set(request.frames))
                )
            )
            check_frames(request.recipe.comet, {number: (width, height) for number, width, height in marked})


def make_plan(catalog: Catalog, request: StackRequest, output: Path, *, private: bool = True) -> StackPlan:
    """The plan for `request`; every frame that stays out is listed with its reason.

    Raises
    ------
    PlanError
        No frame can be stacked.
    """
    with catalog.read() as db:
        lights = load_lights(db, request.frames)
        sessions = list(
            db.scalars(select(Session).where(Session.id.in_(request.sessions)).order_by(Session.id))
        )
        choices = {"dark": request.dark, "flat": request.flat, "bias": request.bias}
        odd: list[str] = []
        calibrations, groups = plan_calibrations(db, sessions, choices, request.recipe.master, odd)
        usable, skipped = select_lights(lights, request)
        if not usable:
            why = "; ".join(
                f"{n} {reason}" for reason, n in Counter(s.reason for s in skipped).most_common(3)
            )
            raise PlanError(f"no frame can be stacked: {why or 'none was asked for'}")
        chosen, settled = choose_reference(db, usable, request)
    inside = [number for number, light in enumerate(usable) if light.frame.id == chosen.frame.id]
    reference = inside[0] if inside else _own_base(usable, sessions)
    frames = [_plan_frame(light, groups) for light in usable]
    used = sorted({frame.calibration for frame in frames})
    frames = [dataclasses.replace(frame, calibration=used.index(frame.calibration)) for frame in frames]
    base = usable[reference].frame
    field = chosen.frame
    plan = StackPlan(
        name=clean(base.target or "stack", 80),
        frames=tuple(frames),
        reference=reference,
        recipe=_recipe(request.recipe, usable),
        output=str(output),
        manifest=str(output.with_suffix(".json")),
        width=field.width or 0,
        height=field.height or 0,
        anchor=None if inside else _plan_frame(chosen, {}),
        calibrations=tuple(calibrations[i] for i in used),
        skipped=tuple(skipped),
        sessions=request.sessions,
        cfa=base.cfa_phase,
        planes=base.planes or 1,
        full_scale_adu=base.full_scale_adu,
        memory_bytes=request.memory,
        header=_header(base, usable),
        wcs=stored_wcs(catalog, chosen.frame.content_id) or _wcs(chosen),  # mounts only claim to know theirs
        warnings=(
            *odd,
            *_warnings(usable, skipped, usable[reference], request.recipe),
            *foretell_plan(usable, request.recipe, chosen),
        ),
        software=f"astrotui {__version__}",
        private=private,
    )
    if not settled and (island := _larger_island(plan, usable)):
        with catalog.read() as db:
            chosen, _ = choose_reference(db, island, request)
        request = dataclasses.replace(request, reference=chosen.frame.id)
        return make_plan(catalog, request, output, private=private)
    return plan


def _larger_island(plan: StackPlan, usable: Sequence[Light]) -> list[Light]:
    """Frames of the largest island, or of those of one size, where the reference's is smaller and would be stacked alone."""
    if plan.recipe.frame == "union" or plan.recipe.align in ("none", "comet"):
        return []
    if not seems_alone(usable[plan.reference], usable):
        return []
    from astrotui.stacking.placing import find_islands

    islands = find_islands(plan)
    most = max((len(island.frames) for island in islands), default=0)
    if not islands or len(islands[0].frames) == most:
        return []
    return [usable[number] for island in islands if len(island.frames) == most for number in island.frames]


def _filters(usable: Sequence[Light]) -> dict[str | None, str]:
    """What the filters let through, each with the name that it has first."""
    found: dict[str | None, str] = {}
    for frame in (light.frame for light in usable):
        color = kind_of(frame.planes, frame.cfa_phase) != "mono"
        found.setdefault(filter_key(frame.filter, color=color), frame.filter or "unknown")
    return found


def _recipe(recipe: Recipe, usable: Sequence[Light]) -> Recipe:
    """The recipe with what `auto` means for these filters.

    Two lines in one mosaic have nothing in common that could lend one the other's detail: behind a dual-band filter
    each color is interpolated by itself.
    """
    if recipe.debayer == "auto" and recipe.drizzle is None and set(_filters(usable)) == {"dual-band"}:
        return dataclasses.replace(recipe, debayer="bilinear")
    return recipe


def _own_base(usable: Sequence[Light], sessions: Sequence[Session]) -> int:
    """The frame to whose level and light the others are brought when they are laid on one outside of the stack."""
    own = {session.reference_id for session in sessions}
    best = [number for number, light in enumerate(usable) if light.frame.id in own]
    return max(best or range(len(usable)), key=lambda number: usable[number].score)


def _plan_frame(light: Light, groups: dict[int, list[tuple[float | None, int]]]) -> PlanFrame:
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
        full_scale_adu=frame.full_scale_adu,
    )


def _header(base: Frame, usable: Sequence[Light]) -> dict[str, Any]:
    """Facts of the reference and the frames for the result's header; what is unknown stays out."""
    facts: dict[str, Any] = {
        "OBJECT": base.target, "RA": base.ra_deg, "DEC": base.dec_deg, "EXPTIME": base.exposure_s,
        "FOCALLEN": base.focal_mm, "XPIXSZ": base.pixel_um, "YPIXSZ": base.pixel_um,
    }  # fmt: skip
    for key, name in (("INSTRUME", "camera"), ("TELESCOP", "device"), ("FILTER", "filter")):
        facts[key] = " + ".join(_values(usable, base, name)) or None
    for key, name in (("GAIN", "gain"), ("OFFSET", "offset")):
        values = _values(usable, base, name)
        facts[key] = values[0] if len(values) == 1 else None  # one number would be wrong for the others
    if base.binning and "x" in base.binning:
        facts["XBINNING"], facts["YBINNING"] = (int(part) for part in base.binning.split("x", 1))
    temperatures = sorted(li.frame.temperature_c for li in usable if li.frame.temperature_c is not None)
    if temperatures:
        facts["CCD-TEMP"] = temperatures[len(temperatures) // 2]
    return {key: clean(v, 68) if isinstance(v, str) else v for key, v in facts.items() if v is not None}


def _values(usable: Sequence[Light], base: Frame, name: str) -> list[Any]:
    """What the frames have of one fact, the reference's first; unknown values do not count."""
    values = [getattr(base, name), *(getattr(light.frame, name) for light in usable)]
    return [value for value in dict.fromkeys(values) if value is not None]


def _wcs(reference: Light) -> tuple[str, ...]:
    from astrotui.frames.wcs import celestial_cards

    return celestial_cards(reference.path, reference.frame.hdu)


def _warnings(
    usable: Sequence[Light], skipped: Sequence[SkippedFrame], reference: Light, recipe: Recipe
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
    # Frames of another panel of a mosaic do not lie on the reference of their session.
    known = [(dx, dy) for dx, dy, _ in placed if dx is not None and dy is not None]
    span = max((max(axis) - min(axis) for axis in zip(*known, strict=True)), default=0.0)
    if recipe.align == "none" and span > 1:
        warnings.append(f"the field moved by {span:.0f} px and the frames were not aligned (--align none)")
    warnings += recipe.idle(mosaic=bool(reference.frame.cfa_phase))
    if len(usable) < 3:
        warnings.append(f"only {plural(len(usable), 'frame')}: a plain mean without rejection")
    if len(names := _filters(usable)) > 1:
        warnings.append(f"frames of several filters in one stack: {', '.join(sorted(names.values()))}")
    if skipped:
        warnings.append(f"{plural(len(skipped), 'frame')} left out")
    return tuple(warnings)
