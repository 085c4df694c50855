"""Compiled places of pixels that a drizzle drops through a lens, where no matrix tells them."""

from typing import Any

import numpy as np

from astrotui.imaging.drizzle_marks import INNER, KERNEL
from astrotui.imaging.lens_kernels import undistorted

# compiled anew, without the fast-math of resampling
_undistorted = INNER(undistorted.py_func)


@KERNEL
def places_through_lens(top: int, left: int, matrix: Any, lens: Any, at: Any) -> None:
    """Places on the reference of the pixels of a window and of a rim of one pixel around it; NaN where there is none.

    Parameters
    ----------
    top, left : of the window in the frame
    matrix : float64 (3, 3), undistorted (x, y, 1) of the frame to undistorted (X, Y, w) of the reference
    lens : float64 (6,): center x and y of the lens of both, its radius, k1, k2, and the greatest undistorted radius;
        see `imaging.mapping.Lens`
    at : float64 (rows + 2, columns + 2, 2), gets X and Y
    """
    cx, cy, radius, k1, k2, limit = lens
    for j in range(at.shape[0]):
        for i in range(at.shape[1]):
            u = left - 1.0 + i - cx
            v = top - 1.0 + j - cy
            stretch = _undistorted(np.sqrt(u * u + v * v) / radius, k1, k2)
            u = cx + u * stretch
            v = cy + v * stretch
            w = matrix[2, 0] * u + matrix[2, 1] * v + matrix[2, 2]
            x = (matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2]) / w - cx
            y = (matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2]) / w - cy
            q = (x * x + y * y) / (radius * radius)
            if not (w > 0.0 and q <= limit * limit):  # neither is true of NaN
                at[j, i, 0] = np.nan
                at[j, i, 1] = np.nan
                continue
            shown = 1.0 + q * (k1 + k2 * q)
            at[j, i, 0] = cx + x * shown
            at[j, i, 1] = cy + y * shown
