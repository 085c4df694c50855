"""Matching stars of frames that may show the sky mirrored: programs differ in which row of the sensor they store first."""

from dataclasses import replace

import numpy as np

from astrotui.imaging.register import Model, Registration, RegistrationError, match_stars
from astrotui.imaging.types import Float64Array, StarList

_LEAST = 8  # stars that a mirrored match must rest on, unless the frame before was mirrored too
MOST_SCALE = 0.02
"""Pixels whose sizes on the sky differ by more than this are of another telescope: they are not stacked together."""


def match_either_hand(
    frame: StarList,
    reference: StarList,
    *,
    model: Model = "similarity",
    shape: tuple[int, int],
    span_s: float | None = None,
    hint: Float64Array | None = None,
) -> Registration:
    """`match_stars`, and when that finds nothing the same for the frame's mirror image.

    A mirror image is tried first when `hint` is one. A shift never mirrors.

    Raises
    ------
    RegistrationError
        Neither matches.
    """
    mirrored = hint is not None and np.linalg.det(hint[:2, :2]) < 0
    ways = (True, False) if mirrored else (False, True)
    first: RegistrationError | None = None
    for turned_over in ways if model != "shift" else (False,):
        stars, mirror = frame, np.eye(3)
        if turned_over:
            mirror = np.array([[-1.0, 0.0, shape[1] - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
            stars = StarList(np.float32(shape[1] - 1) - frame.x, frame.y, frame.flux)
        guess = hint @ mirror if hint is not None and mirrored == turned_over else None
        try:
            found = match_stars(stars, reference, model=model, shape=shape, span_s=span_s, hint=guess)
        except RegistrationError as error:
            first = first or error
            continue
        if turned_over and not mirrored and found.matched < _LEAST:
            continue
        return replace(found, transform=found.transform @ mirror)
    assert first is not None
    raise first


def other_scale(registration: Registration) -> str | None:
    """Why a frame cannot be stacked when its pixels see another piece of the sky than the reference's; else None."""
    if registration.model == "homography" or abs(registration.scale - 1) <= MOST_SCALE:
        return None
    return (
        f"its pixels are {registration.scale:.3g} times as large on the sky as the reference's: "
        f"no more than {MOST_SCALE:.0%} apart can be stacked together"
    )
