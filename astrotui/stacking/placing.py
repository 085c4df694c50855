"""Where the frames of a stack lie on their reference, from the star lists of the plan."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import AstrotuiError
from astrotui.imaging.hints import Following
from astrotui.imaging.normalize import MIN_MATCHED_STARS
from astrotui.imaging.register import (
    Model,
    Registration,
    RegistrationError,
    match_stars,
    round_to_integer_shift,
)
from astrotui.stacking.comet import follow
from astrotui.stacking.hands import match_either_hand, other_scale
from astrotui.stacking.islands import Island
from astrotui.stacking.linking import show_the_same
from astrotui.stacking.placement import Candidate, Placement
from astrotui.stacking.plan import PlanFrame, StackPlan
from astrotui.stacking.remembered import remembered
from astrotui.stacking.sampling import FrameSample
from astrotui.stacking.together import Sights, Together, lay_together, stars_ask_for_more


def register_frames(
    plan: StackPlan,
    samples: Iterable[tuple[int, FrameSample]],
    skip: Callable[[int, str], None],
) -> Placement:
    """Place each sampled frame; those that cannot be are skipped with the reason.

    Each is laid on the reference. Where some do not lie there, or only by the middle of the field, all are laid on each
    other: see `together`.
    """
    reference = plan.base
    seen: dict[int, FrameSample] = {}

    def sampled() -> Iterator[int]:
        for index, sample in samples:
            seen[index] = sample
            yield index

    direct, lost, together = _place_by_stars(plan, sampled())
    placement = Placement([])
    if together is not None:
        for index in together.apart:
            skip(index, f"cannot be aligned: {together.apart[index]}")
        if together.gained or together.bent:
            placement.lens, placement.links = together.lens, together.links
        placement.islands = together.islands
        placement.notes += together.notes
    for index, reason in lost.items():
        try:
            direct[index] = _place_by_picture(plan, plan.frames[index], reference, reason)
        except RegistrationError as error:
            skip(index, f"cannot be aligned: {error.reason}")
    for index in sorted(seen.keys() & direct.keys()):
        registration = direct[index]
        transform = registration.transform
        frame = plan.frames[index]
        if plan.recipe.align == "shift" and plan.recipe.resample == "nearest":
            transform = round_to_integer_shift(registration, (frame.height, frame.width))
        if plan.recipe.align == "none":
            transform = np.eye(3)
        if misfit := other_scale(registration):
            skip(index, misfit)
            continue
        placement.candidates.append(
            Candidate(index, registration, transform, seen[index], note=registration.warning or "")
        )
    if together is not None and placement.links:
        for candidate in placement.candidates:
            candidate.light = together.light.get(candidate.index)
    if plan.recipe.align != "none":
        placement.candidates = _with_stars(placement.candidates, skip)
    if plan.recipe.align == "comet" and placement.candidates:
        follow(plan, placement, skip)
    return placement


def find_islands(plan: StackPlan) -> tuple[Island, ...]:
    """The islands that the frames of a plan fall into, told by their stars alone; the reference's first, empty for one."""
    _, _, together = _place_by_stars(plan, range(len(plan.frames)))
    return () if together is None else together.islands


def _place_by_stars(
    plan: StackPlan, indices: Iterable[int]
) -> tuple[dict[int, Registration], dict[int, str], Together | None]:
    """Frames on the reference, those that do not lie there with the reason, and how all were laid on each other.

    Frames of other islands are neither here nor there.
    """
    reference, model = plan.base, _model(plan)
    direct: dict[int, Registration] = {}
    lost: dict[int, str] = {}
    following = Following()
    astray: int | None = None  # the last lost frame: another one of its view need not be tried for long
    for index in indices:
        if astray is not None and show_the_same(plan.frames[index], plan.frames[astray], model):
            lost[index], astray = lost[astray], index
            continue
        try:
            known = remembered(plan.frames[index], reference, model)
            direct[index] = known or _place(plan, plan.frames[index], reference, following)
        except RegistrationError as error:
            lost[index], astray = error.reason, index
        else:
            following.found(direct[index].transform)
    sights = Sights.of(plan)
    if plan.anchor is not None:
        direct[sights.root] = _place(plan, reference, reference, following)
    asks = sights.free and stars_ask_for_more(sights, direct)
    if plan.recipe.align == "none" or sights.root not in direct or not (lost or asks):
        return direct, lost, None
    upright = {i: r for i, r in direct.items() if np.linalg.det(r.transform[:2, :2]) > 0}
    together = lay_together(sights, upright, list(lost), afresh=asks)
    for index in together.apart:
        lost.pop(index, None)
    if together.gained or together.bent:
        _take_over(together, direct, lost, upright)
    return direct, lost, together


def _take_over(
    together: Together, direct: dict[int, Registration], lost: dict[int, str], asked: Iterable[int]
) -> None:
    direct |= together.registrations
    for index in together.registrations:
        lost.pop(index, None)
    for index in set(asked) - set(together.registrations):
        lost[index] = direct.pop(index).warning or "it does not fit its neighbors"


def _with_stars(found: list[Candidate], skip: Callable[[int, str], None]) -> list[Candidate]:
    """Leave out frames that show no star of the reference where most others do: clouds, a closed lid."""
    starry = sum(candidate.registration.matched >= MIN_MATCHED_STARS for candidate in found)
    if 2 * starry <= len(found):
        return found
    for candidate in found:
        if candidate.registration.matched == 0:
            skip(candidate.index, "cannot be aligned: it shows no star of the reference")
    return [candidate for candidate in found if candidate.registration.matched > 0]


def _model(plan: StackPlan) -> Model:
    align = plan.recipe.align
    return "similarity" if align in ("auto", "none", "comet") else align  # type: ignore[return-value]


def _place(plan: StackPlan, frame: PlanFrame, reference: PlanFrame, following: Following) -> Registration:
    """The frame on the reference by their stars; `following` knows where the frames before it lie."""
    model = _model(plan)
    shape = (frame.height, frame.width)
    if plan.recipe.align == "none":
        try:  # the stars are matched for their light only
            return match_stars(frame.stars, reference.stars, model="shift", shape=shape, hint=np.eye(3))
        except RegistrationError:
            nobody = np.zeros(0, np.int64)
            return Registration(np.eye(3), 0, float("nan"), nobody, nobody, "shift")
    if frame is reference:
        everyone = np.arange(len(frame.stars))
        return Registration(np.eye(3), len(everyone), 0.0, everyone, everyone, model)
    span = _span(frame.date_obs, reference.date_obs)
    hint = following.guess(frame.stars, reference.stars)
    return match_either_hand(frame.stars, reference.stars, model=model, shape=shape, span_s=span, hint=hint)


def _place_by_picture(plan: StackPlan, frame: PlanFrame, reference: PlanFrame, reason: str) -> Registration:
    """The frame on the reference by what both look like, where stars were of no use for `reason`."""
    pictures = _pictures(frame, reference)
    if pictures is None:
        raise RegistrationError(reason)
    return match_stars(
        frame.stars,
        reference.stars,
        model=_model(plan),
        shape=(frame.height, frame.width),
        span_s=_span(frame.date_obs, reference.date_obs),
        images=pictures,
    )


def _pictures(frame: PlanFrame, reference: PlanFrame) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Small pictures of both frames, to be correlated where stars do not help."""
    from astrotui.frames.pixels import read_image
    from astrotui.imaging.cfa import bin2

    if (frame.width, frame.height) != (reference.width, reference.height):
        return None
    pictures = []
    for one in (frame, reference):
        try:
            image = read_image(one.file.path, one.file.hdu)
        except AstrotuiError:
            return None
        pictures.append(bin2(image[1] if image.ndim == 3 else image))
    return pictures[0], pictures[1]


def _span(one: str | None, other: str | None) -> float | None:
    try:
        return (datetime.fromisoformat(one or "") - datetime.fromisoformat(other or "")).total_seconds()
    except (TypeError, ValueError):
        return None
