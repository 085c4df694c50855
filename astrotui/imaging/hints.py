"""Guesses where a frame lies, from where the frames before it lay: a hundred times quicker than matching triangles."""

import numpy as np

from astrotui.imaging.geometry import apply, common_offsets
from astrotui.imaging.register import RADII, pairs_within, star_points
from astrotui.imaging.types import Float64Array, StarList

_BRIGHT = 60  # stars whose common shift is looked for


def turned_hint(stars: StarList, reference: StarList, turn: Float64Array) -> Float64Array | None:
    """A turn, (3, 3) as of `Registration.transform`, with the shift that most pairs of bright stars share."""
    return _shifted(turn, *_brightest(stars, reference))


class Following:
    """Where frames lie on one reference that follow each other in time.

    They hardly turn from one to the next, or go on turning as the last two did, as on an altazimuth mount; dithering
    shifts them by any amount. A guess is tried first and not believed without its stars.
    """

    def __init__(self) -> None:
        self._last: list[Float64Array] = []  # where the last two lie, the latest at the end

    def found(self, transform: Float64Array) -> None:
        """Tell where the latest frame lies."""
        self._last = [*self._last[-1:], transform]

    def guess(self, stars: StarList, reference: StarList) -> Float64Array | None:
        """Where the next frame may lie; None when nothing speaks for any place."""
        turns = self._last[-1:] or [np.eye(3)]
        if len(self._last) == 2:
            earlier, before = self._last
            turns.append(before @ np.linalg.inv(earlier) @ before)
        points, targets = _brightest(stars, reference)
        best, most = None, -1
        for turn in turns:
            hint = _shifted(turn, points, targets)
            paired = 0 if hint is None else len(pairs_within(hint, points, targets, RADII[0])[0])
            if hint is not None and paired > most:
                best, most = hint, paired
        return best


def _brightest(stars: StarList, reference: StarList) -> tuple[Float64Array, Float64Array]:
    return star_points(stars)[:_BRIGHT], star_points(reference)[:_BRIGHT]


def _shifted(turn: Float64Array, points: Float64Array, targets: Float64Array) -> Float64Array | None:
    if min(len(points), len(targets)) < 3:
        return None
    offsets = common_offsets(apply(turn, points), targets)
    return offsets[0] @ turn if offsets else None
