"""First pass over the frames of a stack: where each lies, how bright it is, and what it weighs."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from math import ceil, sqrt

import numpy as np

from astrotui.errors import FrameError, PlanError
from astrotui.imaging.mapping import Lens, Mapping
from astrotui.imaging.normalize import (
    Level,
    NormalizationError,
    frame_normalization,
    measure_level,
    resolve_normalization,
)
from astrotui.imaging.register import relative_transparency
from astrotui.imaging.scoring import frame_weights
from astrotui.imaging.types import Float64Array
from astrotui.stacking.brightness import light_ratio
from astrotui.stacking.calibration import LoadedCalibration
from astrotui.stacking.color_response import color_responses
from astrotui.stacking.framing import Polygon, area, bent_outline, clip_polygon, common_area, outline
from astrotui.stacking.islands import Island, left_alone
from astrotui.stacking.outshone import outshone
from astrotui.stacking.overlaps import Overlaps
from astrotui.stacking.placement import Candidate, Placement
from astrotui.stacking.placing import register_frames
from astrotui.stacking.plan import SkippedFrame, StackPlan
from astrotui.stacking.sampling import FrameSample, covered, sample_frame
from astrotui.text import plural

Progress = Callable[[str, int, int], None]
_SAMPLED_WHOLE = 100  # frames; the samples of more take no more memory
_LEAST_COMMON = 0.05  # of the reference: with less in common, frames are levelled in pairs
_LEAST_SEEN = 0.01  # of the reference: a frame that shows less of the result's field stays out


@dataclass(frozen=True, eq=False)
class UsedFrame:
    """A frame that goes in.

    Attributes
    ----------
    index : in the plan
    transform : (3, 3), frame to reference
    matched : stars it rests on
    scale_area : reference pixels' area in frame pixels: what keeps fluxes when resampled
    transparency : relative to the reference; None when unknown
    factor, offset : float64 (planes,), x' = factor * x + offset; `factor` includes `scale_area`
    noise : float64 (planes,), of one raw pixel, ADU
    location : float64 (planes,), of the sky, raw ADU
    weight : 1 for the heaviest
    note : what was done differently for it
    lens : `transform` lies between its undistorted pixels; see `imaging.mapping.Mapping`
    """

    index: int
    transform: Float64Array
    matched: int
    scale_area: float
    transparency: float | None
    factor: Float64Array
    offset: Float64Array
    noise: Float64Array
    location: Float64Array
    weight: float = 1.0
    note: str = ""
    lens: Lens | None = None

    @property
    def mapping(self) -> Mapping:
        """Where its pixels lie on the reference, and back."""
        return Mapping(self.transform, self.lens)


@dataclass(eq=False)
class PassOne:
    """What the first pass found.

    Attributes
    ----------
    used : frames that go in, in the plan's order
    skipped : the others, with their reasons, and their index in the plan
    sky, noise : float64 (planes,), of the result's background and of one pixel of the reference, ADU
    outlines : of the used frames in reference pixels
    normalize : the kinds that were applied
    notes : what was decided about where frames lie
    islands : those that the frames fell into, the reference's first; empty for one
    """

    used: list[UsedFrame]
    skipped: dict[int, SkippedFrame]
    sky: Float64Array
    noise: Float64Array
    outlines: list[Polygon]
    normalize: str
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    islands: tuple[Island, ...] = ()


def first_pass(
    plan: StackPlan,
    calibrations: Sequence[LoadedCalibration],
    pool: Executor,
    progress: Progress,
    lost: dict[int, str] | None = None,
) -> PassOne:
    """Register, level and weigh the frames of a plan; whatever is wrong with a frame leaves out that frame only.

    Parameters
    ----------
    calibrations : loaded masters, as the plan's frames name them
    pool : runs `sample_frame` in threads of this process
    lost : frames known to be unusable, with the reason

    Raises
    ------
    PlanError
        No frame is usable.
    """
    skipped: dict[int, SkippedFrame] = {}

    def skip(index: int, reason: str) -> None:
        skipped[index] = SkippedFrame(plan.frames[index].file.path, reason)

    for index, reason in (lost or {}).items():
        skip(index, reason)
    samples = _samples(plan, calibrations, pool, progress, skip, skipped)
    placement = register_frames(plan, samples, skip)
    candidates = _in_sight(plan, placement, skip)
    if not candidates:
        raise PlanError(_nothing(skipped))
    outlines = [_outline(plan, c, placement.lens) for c in candidates]
    base = _base(plan, candidates)
    reference = outline(np.eye(3), plan.width, plan.height)
    common = common_area(outlines)
    if area(common) < _LEAST_COMMON * area(reference):
        common = np.zeros((0, 2))
    network = _levels_over_others(plan, placement, candidates, outlines, base) if not len(common) else None
    responses = color_responses(plan, candidates, base, calibrations, pool)
    used, kinds, sky = _normalize(
        plan, placement, candidates, outlines, base, common, network, responses, pool, skip
    )
    used, alone = _weigh(plan, used, skip)
    if not used:
        raise PlanError(_nothing(skipped))
    indices = {frame.index for frame in used}
    kept = [o for c, o in zip(candidates, outlines, strict=True) if c.index in indices]
    return PassOne(
        used,
        skipped,
        sky,
        base.sample.noise,
        kept,
        "+".join(sorted(kinds)),
        [
            *filter(None, (left_alone(plan, placement.islands), alone)),
            *placement.warnings,
            *_warnings(used, kinds, plan),
        ],
        placement.notes,
        placement.islands,
    )


def _outline(plan: StackPlan, candidate: Candidate, lens: Lens | None) -> Polygon:
    frame = plan.frames[candidate.index]
    if lens is None:
        return outline(candidate.transform, frame.width, frame.height)
    inner = plan.recipe.frame != "union"
    return bent_outline(Mapping(candidate.transform, lens), frame.width, frame.height, inner=inner)


def _in_sight(plan: StackPlan, placement: Placement, skip: Callable[[int, str], None]) -> list[Candidate]:
    """Candidates that show something of the field of the result."""
    if plan.recipe.frame == "union":
        return placement.candidates
    field = outline(np.eye(3), plan.width, plan.height)
    kept = []
    for candidate in placement.candidates:
        seen = area(clip_polygon(field, _outline(plan, candidate, placement.lens)))
        if seen >= _LEAST_SEEN * area(field):
            kept.append(candidate)
        else:
            skip(candidate.index, "lies outside the reference's field: --frame union takes it in")
    return kept


def _levels_over_others(
    plan: StackPlan,
    placement: Placement,
    candidates: Sequence[Candidate],
    outlines: Sequence[Polygon],
    base: Candidate,
) -> Overlaps | None:
    """Levels of pairs of frames where they overlap, when some have nothing in common with the base."""
    places = {c.index: one for c, one in zip(candidates, outlines, strict=True)}
    least = _LEAST_COMMON * plan.width * plan.height
    if all(area(clip_polygon(one, places[base.index])) >= least for one in places.values()):
        return None
    known = {c.index: c for c in candidates}
    pairs = {(link.a, link.b) for link in placement.links if link.a in known and link.b in known}
    pairs |= {(index, base.index) for index in known if index != base.index}
    overlaps = Overlaps(base.index)
    for a, b in sorted(pairs):
        shared = clip_polygon(places[a], places[b])
        if area(shared) < _LEAST_SEEN * plan.width * plan.height:
            continue
        levels = _level(known[a], shared, placement.lens), _level(known[b], shared, placement.lens)
        overlaps.add(a, b, *levels, area(shared))
    return overlaps


def _samples(
    plan: StackPlan,
    calibrations: Sequence[LoadedCalibration],
    pool: Executor,
    progress: Progress,
    skip: Callable[[int, str], None],
    skipped: dict[int, SkippedFrame],
) -> Iterator[tuple[int, FrameSample]]:
    """Frames by their index, each as soon as it and those before it are read."""
    wanted = {}
    thin = ceil(sqrt(len(plan.frames) / _SAMPLED_WHOLE))
    for index, frame in enumerate(plan.frames):
        if index in skipped:
            continue
        loaded = calibrations[frame.calibration]
        has_masters = loaded.dark is not None or loaded.inverse is not None
        if frame.planes != plan.planes or bool(frame.cfa) != bool(plan.cfa):
            skip(index, f"is {_kind(frame.planes, frame.cfa)}, the stack {_kind(plan.planes, plan.cfa)}")
        elif has_masters and (frame.width, frame.height) != (loaded.width, loaded.height):
            skip(index, f"is {frame.width}x{frame.height} pixels, its masters {loaded.width}x{loaded.height}")
        else:
            wanted[index] = pool.submit(sample_frame, frame, loaded, has_masters, thin)
    for done, (index, future) in enumerate(wanted.items()):
        try:
            sample = future.result()
        except FrameError as error:
            skip(index, error.reason)
        else:
            yield index, sample
        progress("levels", done + 1, len(wanted))


def _kind(planes: int, cfa: str | None) -> str:
    return f"a {cfa} mosaic" if cfa else "color" if planes == 3 else "mono"


def _base(plan: StackPlan, candidates: Sequence[Candidate]) -> Candidate:
    """The frame whose level and transparency the others are brought to: the reference, or the best left."""
    for candidate in candidates:
        if candidate.index == plan.reference:
            return candidate
    return max(candidates, key=lambda c: plan.frames[c.index].score or 0.0)


def _normalize(
    plan: StackPlan,
    placement: Placement,
    candidates: Sequence[Candidate],
    outlines: Sequence[Polygon],
    base: Candidate,
    common: Polygon,
    network: Overlaps | None,
    responses: dict[int, Float64Array],
    pool: Executor,
    skip: Callable[[int, str], None],
) -> tuple[list[UsedFrame], set[str], Float64Array]:
    from astrotui.imaging.warp import plan_warp

    lights = {c.index: _light(plan, c, base) for c in candidates}
    base_light = lights[base.index] or 1.0
    base_outline = outlines[list(candidates).index(base)]
    lens = placement.lens
    common_level = _level(base, common if len(common) else base_outline, lens)
    sky = common_level.location
    used, kinds = [], set()

    def levels(candidate: Candidate, own: Polygon) -> tuple[Level, Level]:
        if len(common):
            return _level(candidate, common, lens), common_level
        place = own if network is not None else common_area([own, base_outline])
        return _level(candidate, place, lens), common_level if network is not None else _level(
            base, place, lens
        )

    found = pool.map(levels, candidates, outlines)
    for candidate, (level, reference_level) in zip(candidates, found, strict=True):
        frame = plan.frames[candidate.index]
        try:
            spread = plan_warp(candidate.transform, frame.width, frame.height, lens=lens).area
        except ValueError as error:
            skip(candidate.index, f"cannot be aligned: {error}")
            continue
        light = lights[candidate.index]
        kind, note = resolve_normalization(
            plan.recipe.normalize, candidate.registration.matched if light is not None else 0
        )
        try:
            factor, offset = frame_normalization(
                kind,
                loc=level.location * spread,
                scale=level.scale * spread,
                ref_loc=reference_level.location,
                ref_scale=reference_level.scale,
                transparency=None if light is None else light / base_light,
            )
        except NormalizationError as error:
            skip(candidate.index, str(error))
            continue
        if kind == "stars" and candidate.index in responses:  # of another camera
            factor = factor / responses[candidate.index]
            offset = reference_level.location - factor * level.location * spread
        kinds.add(kind)
        used.append(
            UsedFrame(
                candidate.index,
                candidate.transform,
                candidate.registration.matched,
                spread,
                None if light is None else light / base_light,
                factor * spread,
                offset,
                candidate.sample.noise,
                level.location,
                note="; ".join(text for text in (candidate.note, note) if text),
                lens=lens,
            )
        )
    if network is not None and used:
        kind = "stars" if "stars" in kinds else sorted(kinds)[0]
        agreed = network.agree(kind, {u.index: u.factor for u in used})
        used = [replace(u, factor=agreed[u.index][0], offset=agreed[u.index][1]) for u in used]
    return used, kinds, sky


def _light(plan: StackPlan, candidate: Candidate, base: Candidate) -> float | None:
    """Transparency of a frame relative to the plan's reference, from stars that both have."""
    if plan.anchor is not None and candidate is not base and candidate.light is None:
        own = plan.frames[candidate.index], plan.frames[base.index]
        return light_ratio(*own, candidate.transform, base.transform)
    if candidate is base if plan.anchor is not None else candidate.index == plan.reference:
        return 1.0
    if candidate.light is not None:  # found over other frames
        return candidate.light
    frame, reference = plan.frames[candidate.index], plan.frames[plan.reference]
    return relative_transparency(
        frame.stars,
        reference.stars,
        candidate.registration,
        noise_adu=frame.noise_adu,
        fwhm_px=frame.fwhm_px,
        reference_noise_adu=reference.noise_adu,
        reference_fwhm_px=reference.fwhm_px,
    )


def _level(candidate: Candidate, polygon: Polygon, lens: Lens | None = None) -> Level:
    valid = covered(candidate.sample, candidate.transform, polygon, lens)
    return measure_level(candidate.sample.values, valid, method="ikss")


def _weigh(
    plan: StackPlan, used: Sequence[UsedFrame], skip: Callable[[int, str], None]
) -> tuple[list[UsedFrame], str | None]:
    """The frames with their weights, without those that add next to nothing; and what is odd about that."""
    frames = [plan.frames[u.index] for u in used]
    green = 1 if plan.cfa or plan.planes == 3 else 0
    widths = np.array([f.fwhm_px or np.nan for f in frames], np.float64)
    if np.isnan(widths).all():
        widths[:] = 1.0
    widths = np.where(np.isnan(widths), np.nanmedian(widths), widths)
    spread = np.array([u.scale_area for u in used])
    weights = frame_weights(
        plan.recipe.weight,
        noise_adu=np.array([u.noise[green] for u in used]) * spread,
        fwhm_px=widths / np.sqrt(spread),
        transparency=np.array([u.transparency or 1.0 for u in used]),
        stars=np.array([len(f.stars) for f in frames], np.float64),
        factor=np.array([u.factor[green] for u in used]) / spread,
    )
    kept = []
    for frame, weight in zip(used, weights, strict=True):
        if weight > 0:
            kept.append(replace(frame, weight=float(weight)))
        else:
            skip(frame.index, "adds under 2 % of what the best frame adds")
    light = [one.transparency or 1.0 for one in used]
    return kept, outshone([frame.file.path for frame in frames], weights, light)


def _nothing(skipped: dict[int, SkippedFrame]) -> str:
    reasons: dict[str, int] = {}
    for one in skipped.values():
        reasons[one.reason] = reasons.get(one.reason, 0) + 1
    listed = sorted(reasons.items(), key=lambda item: -item[1])[:3]
    return "no frame can be stacked: " + "; ".join(f"{n} of them: {reason}" for reason, n in listed)


def _warnings(used: Sequence[UsedFrame], kinds: set[str], plan: StackPlan) -> list[str]:
    warnings = []
    if len(used) < 3:
        warnings.append(f"only {plural(len(used), 'frame')}: a plain mean without rejection")
    if plan.recipe.normalize in ("auto", "stars") and "addscale" in kinds:
        some = sum("normalized by" in u.note for u in used)
        warnings.append(
            f"{plural(some, 'frame')} with too few stars in common: normalized by sky level and dispersion"
        )
    return warnings
