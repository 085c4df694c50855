"""How evenly a drizzle will cover its result, foretold from the registrations that the catalogue holds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement
from astrotui.imaging.drizzle import Prediction, describe, placed_transform, predict
from astrotui.imaging.types import Float64Array
from astrotui.library.lights import Light
from astrotui.library.requests import StackRequest
from astrotui.stacking.recipe import Recipe

_ENOUGH = 0.6  # of the frames must be measured


@dataclass(frozen=True)
class Placed:
    """Where a frame lies on the reference of its session; None for numbers that are not known."""

    frame_id: int
    width: int | None
    height: int | None
    cfa: str | None
    reference_id: int | None
    dx_px: float | None
    dy_px: float | None
    rotation_deg: float | None
    scale: float | None


@dataclass(frozen=True)
class Foretold:
    """What is said before a drizzle begins.

    Attributes
    ----------
    text : one line
    good : nothing to worry about
    prediction : None when too few frames are measured
    """

    text: str
    good: bool
    prediction: Prediction | None


def foretell_request(catalog: Catalog, request: StackRequest) -> Foretold | None:
    """For a stack that was asked for; None when it is no drizzle."""
    if request.recipe.drizzle is None:
        return None
    places: list[Placed] = []
    with catalog.read() as db:
        for start in range(0, len(request.frames), 500):
            found = db.execute(
                select(
                    Frame.id, Frame.width, Frame.height, Frame.cfa_phase, Measurement.reference_id,
                    Measurement.dx_px, Measurement.dy_px, Measurement.rotation_deg, Measurement.scale,
                )
                .outerjoin(Measurement, Measurement.frame_id == Frame.id)
                .where(
                    Frame.id.in_(request.frames[start : start + 500]),
                    Frame.missing.is_(False),
                    Frame.quarantine.is_(None),
                )
            )  # fmt: skip
            places += [Placed(*row) for row in found]
    return foretell(places, request.recipe, request.reference)


def foretell_plan(usable: Sequence[Light], recipe: Recipe, reference: Light) -> tuple[str, ...]:
    """Warnings of the plan of a drizzle."""
    if recipe.drizzle is None:
        return ()
    places = []
    for light in usable:
        frame, found = light.frame, light.measurement
        numbers = (
            (found.reference_id, found.dx_px, found.dy_px, found.rotation_deg, found.scale)
            if found is not None
            else (None,) * 5
        )
        places.append(Placed(frame.id, frame.width, frame.height, frame.cfa_phase, *numbers))
    told = foretell(places, recipe, reference.frame.id)
    return () if told.good or told.prediction is None else (told.text,)


def foretell(places: Sequence[Placed], recipe: Recipe, reference: int | None = None) -> Foretold:
    """What coverage frames will give that lie so.

    Parameters
    ----------
    reference : the frame on which all are laid; None for that of their session
    """
    known = [one for one in places if recipe.align == "none" or None not in (one.dx_px, one.dy_px)]
    total = len(known)
    shapes = Counter((one.width, one.height, one.cfa) for one in known)
    shape = shapes.most_common(1)[0][0] if shapes else (None, None, None)
    width, height, cfa = shape
    known = [one for one in known if (one.width, one.height, one.cfa) == shape]
    if not width or not height or len(known) < _ENOUGH * len(places):
        return Foretold("how the drizzle covers is foretold once the frames are measured", True, None)
    transforms = _transforms(known, recipe, reference, width, height)
    prediction = predict(transforms, (width, height), cfa, float(recipe.drizzle or 1), recipe.pixfrac)
    text = describe(prediction)
    if len(known) < total:  # frames of another size or pattern cover, too, and nobody knows where
        text += (
            f"; told of {len(known)} of the {total} frames, those of one camera: the others make it more even"
        )
    return Foretold(text, prediction.good, prediction)


def _transforms(
    known: Sequence[Placed], recipe: Recipe, reference: int | None, width: int, height: int
) -> list[Float64Array]:
    """Frame to reference for each; sessions that have no reference in common lie anyhow to each other."""
    if recipe.align == "none":
        return [np.eye(3)] * len(known)
    found = []
    base, back = None, np.eye(3)
    for one in known:
        turn = 0.0 if recipe.align == "shift" else one.rotation_deg or 0.0
        matrix = placed_transform(one.dx_px or 0.0, one.dy_px or 0.0, turn, one.scale or 1.0, width, height)
        found.append(matrix)
        if one.frame_id == reference:
            base, back = one.reference_id, np.asarray(np.linalg.inv(matrix), np.float64)
    moves: dict[int | None, Float64Array] = {base: back} if base is not None else {}
    for one in known:
        if one.reference_id not in moves:
            # the first session lies on the grid; another by an unknown part of a pixel
            move = np.eye(3)
            if moves:
                move[:2, 2] = np.random.default_rng(one.reference_id or 0).uniform(0, 2, 2)
            moves[one.reference_id] = move
    return [moves[one.reference_id] @ matrix for one, matrix in zip(known, found, strict=True)]
