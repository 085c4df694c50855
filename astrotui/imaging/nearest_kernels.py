"""Compiled search for points of two lists that are each other's nearest; imported by workers only."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astrotui.imaging.types import Float64Array

Index = NDArray[np.int64]


@njit(nogil=True, cache=True)
def mutual_nearest(
    points: Float64Array, targets: Float64Array, order: Index, radius: float, there: Index, back: Index
) -> None:
    """For each point (n, 2) the index of the nearest target (m, 2) closer than `radius`, and the other way round.

    Of equally near ones the first in `order` counts. Points that are not finite have no neighbor.

    Parameters
    ----------
    order : the targets by increasing second coordinate, (m,)
    there : for each point its target, (n,); -1 where none is near enough
    back : for each target its point, (m,)
    """
    count = len(order)
    heights = np.empty(count)
    for k in range(count):
        heights[k] = targets[order[k], 1]
    limit = float(radius) * radius
    nearest = np.full(count, limit)
    there[:] = -1
    back[:] = -1
    for i in range(len(points)):
        x, y = points[i, 0], points[i, 1]
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        least = limit
        for k in range(np.searchsorted(heights, y - radius), count):
            if heights[k] > y + radius:
                break
            j = order[k]
            square = (targets[j, 0] - x) ** 2 + (heights[k] - y) ** 2
            if square < least:
                least = square
                there[i] = j
            if square < nearest[j]:
                nearest[j] = square
                back[j] = i
