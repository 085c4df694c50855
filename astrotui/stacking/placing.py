"""Where the frames of a stack lie on their reference, from the star lists of the plan."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import AstrotuiError
from astrotui.imaging.geometry import apply, common_offsets
from astrotui.imaging.normalize import MIN_MATCHED_STARS
from astrotui.imaging.register import (
    Model,
    Registration,
    RegistrationError,
    match_stars,
    round_to_integer_shift,
)
from astrotui.imaging.types import Float64Array, StarList
from astrotui.stacking.plan import PlanFrame, StackPlan
from astrotui.stacking.sampling import FrameSample


@dataclass(eq=False)
class Candidate:
    """A frame whose place is known."""

    index: int
    registration: Registration
    transform: Float64Array
    sample: FrameSample
    note: str = ""


def register_frames(
    plan: StackPlan,
    samples: Iterable[tuple[int, FrameSample]],
    skip: Callable[[int, str], None],
) -> list[Candidate]:
    """Place each sampled frame; those that cannot be are skipped with the reason. All in the plan's order."""
    reference = plan.frames[plan.reference]
    found = []
    before = np.eye(3)
    for index, sample in samples:
        frame = plan.frames[index]
        try:
            registration = _place(plan, frame, reference, before)
        except RegistrationError as error:
            skip(index, f"cannot be aligned: {error.reason}")
            continue
        transform = registration.transform
        if plan.recipe.align == "shift" and plan.recipe.resample == "nearest":
            transform = round_to_integer_shift(registration, (frame.height, frame.width))
        if plan.recipe.align == "none":
            transform = np.eye(3)
        if not np.linalg.det(transform[:2, :2]) > 0:
            skip(index, "cannot be aligned: it is mirrored")
            continue
        before = registration.transform
        found.append(Candidate(index, registration, transform, sample, note=registration.warning or ""))
    if plan.recipe.align != "none":
        return _with_stars(found, skip)
    return found


def _with_stars(found: list[Candidate], skip: Callable[[int, str], None]) -> list[Candidate]:
    """Leave out frames that show no star of the reference where most others do: clouds, a closed lid."""
    starry = sum(candidate.registration.matched >= MIN_MATCHED_STARS for candidate in found)
    if 2 * starry <= len(found):
        return found
    for candidate in found:
        if candidate.registration.matched == 0:
            skip(candidate.index, "cannot be aligned: it shows no star of the reference")
    return [candidate for candidate in found if candidate.registration.matched > 0]


def _place(plan: StackPlan, frame: PlanFrame, reference: PlanFrame, before: Float64Array) -> Registration:
    """The frame on the reference; `before` is the transform of the frame before it."""
    align = plan.recipe.align
    model: Model = "similarity" if align in ("auto", "none") else align  # type: ignore[assignment]
    shape = (frame.height, frame.width)
    if align == "none":
        try:  # the stars are matched for their light only
            return match_stars(frame.stars, reference.stars, model="shift", shape=shape, hint=np.eye(3))
        except RegistrationError:
            nobody = np.zeros(0, np.int64)
            return Registration(np.eye(3), 0, float("nan"), nobody, nobody, "shift")
    if frame is reference:
        everyone = np.arange(len(frame.stars))
        return Registration(np.eye(3), len(everyone), 0.0, everyone, everyone, model)
    span = _span(frame.date_obs, reference.date_obs)
    try:
        hint = _hint(frame.stars, reference.stars, before)
        return match_stars(frame.stars, reference.stars, model=model, shape=shape, span_s=span, hint=hint)
    except RegistrationError:
        pictures = _pictures(frame, reference)
        if pictures is None:
            raise
        return match_stars(
            frame.stars, reference.stars, model=model, shape=shape, span_s=span, images=pictures
        )


def _hint(stars: StarList, reference: StarList, before: Float64Array) -> Float64Array | None:
    """The turn of the frame before with the shift that most pairs of bright stars share.

    Frames follow each other with hardly any turn. Where this is right it is a hundred times quicker than
    matching triangles, which are tried when it is not believed.
    """
    count = 60
    points, targets = (
        np.stack([s.x[:count], s.y[:count]], axis=1).astype(np.float64) for s in (stars, reference)
    )
    if min(len(points), len(targets)) < 3:
        return None
    offsets = common_offsets(apply(before, points), targets)
    return offsets[0] @ before if offsets else None


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
