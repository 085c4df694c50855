"""Places of frames that the plan knows already, from an earlier stack on the same reference."""

import numpy as np

from astrotui.imaging.geometry import apply
from astrotui.imaging.register import Model, Registration, pairs_within, star_points, star_weights
from astrotui.stacking.plan import PlanFrame

_NEAR_PX = 1.0
_LEAST = 3


def remembered(frame: PlanFrame, reference: PlanFrame, model: Model) -> Registration | None:
    """The registration that the plan tells of a frame, or None when its stars have to be matched.

    Pairs are the stars that lie on each other; no transform is sought or fitted.
    """
    if frame.transform is None or len(frame.transform) != 9:
        return None
    transform = np.array(frame.transform, np.float64).reshape(3, 3)
    points, targets = star_points(frame.stars), star_points(reference.stars)
    if not np.isfinite(transform).all() or min(len(points), len(targets)) == 0:
        return None
    i, j = pairs_within(transform, points, targets, _NEAR_PX)
    if len(i) < _LEAST:
        return None
    distance = np.hypot(*(apply(transform, points[i]) - targets[j]).T)
    rms = float(np.sqrt(np.average(distance**2, weights=star_weights(frame.stars)[i])))
    return Registration(transform, len(i), rms, i, j, model)
