"""Guesses where a frame lies, from where the frames before it lay: a hundred times quicker than matching triangles."""

import numpy as np

from astrotui.imaging.geometry import apply, common_offsets
from astrotui.imaging.register import RADII, pairs_within, star_points
from astrotui.imaging.types import Float64Array, StarList

_BRIGHT = 60  # stars whose common shift is looked for


def turned_hint(stars: StarList, reference: StarList, turn: Float64Array) -> Float64Array | None:
    """A turn, (3, 3) as of `Registration.transform`, with the shift that most pairs of bright stars share."""
    points, targets = star_points(stars)[:_BRIGHT], star_points(reference)[:_BRIGHT]
    if min(len(points), len(targets)) < 3:
        return None
    offsets = common_offsets(apply(turn, points), targets)
    return offsets[0] @ turn if offsets else None


class Following:
    """Where frames lie on one reference that follow each other in time.

    They hardly turn from one to the next, or go on turning as the last two did, as on a mount without field
    rotation; dithering shifts them by any amount. A guess is tried first and not believed without its stars.
    """

    def __init__(self) -> None:
        self._before = np.eye(3)
        self._earlier: Float64Array | None = None

    def found(self, transform: Float64Array) -> None:
        """Tell where the frame lies that was asked for last."""
        self._before, self._earlier = transform, self._before

    def guess(self, stars: StarList, reference: StarList) -> Float64Array | None:
        """Where the next frame may lie; None when nothing speaks for any place."""
        turns = [self._before]
        if self._earlier is not None:
            turns.append(self._before @ np.linalg.inv(self._earlier) @ self._before)
        points, targets = star_points(stars)[:_BRIGHT], star_points(reference)[:_BRIGHT]
        best, most = None, -1
        for turn in turns:
            hint = turned_hint(stars, reference, turn)
            paired = 0 if hint is None else len(pairs_within(hint, points, targets, RADII[0])[0])
            if hint is not None and paired > most:
                best, most = hint, paired
        return best
