"""Compiled interpolation through a lens: as the general warp, at positions that no matrix gives."""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import INNER, KERNEL
from astrotui.imaging.mapping import NEWTON_STEPS
from astrotui.imaging.tap_kernels import COLUMNS, TAPS, cubic_rows, is_narrow, run_planes

_HALF = np.float32(0.5)


@INNER
def undistorted(shown: float, k1: float, k2: float) -> float:
    """Undistorted radius over the shown one; NaN where there is none."""
    if shown == 0.0:
        return 1.0
    r = shown
    for _ in range(NEWTON_STEPS):
        q = r * r
        slope = 1.0 + q * (3.0 * k1 + 5.0 * k2 * q)
        if slope <= 0.0:
            return np.nan
        r -= (r * (1.0 + q * (k1 + k2 * q)) - shown) / slope
    q = r * r
    if not (r >= 0.0 and abs(r * (1.0 + q * (k1 + k2 * q)) - shown) < 1e-6):
        return np.nan
    return r / shown


@KERNEL
def warp_through_lens(
    planes: Any,
    top: int,
    left: int,
    matrix: Any,
    lens: Any,
    X0: int,
    Y0: int,
    row_0: int,
    row_1: int,
    column_0: int,
    column_1: int,
    table: Any,
    nearest: bool,
    allow: Any,
    factor: Any,
    offset: Any,
    source_width: int,
    source_height: int,
    tile: Any,
    sample: int,
) -> None:
    """As `resample_kernels.warp_general`, between the undistorted pixels of result and source.

    Parameters
    ----------
    matrix : float64 (3, 3), undistorted (X, Y, 1) of the result to undistorted (x, y, w) of the source
    lens : float64 (8,): center of the result's lens, its radius, k1, k2; center of the source's lens; the greatest
        undistorted radius
    """
    height = planes.shape[1]
    width = planes.shape[2]
    narrow = is_narrow(table, nearest)
    wx = np.empty((TAPS + 1) * COLUMNS, np.float32)
    wy = np.empty((TAPS + 1) * COLUMNS, np.float32)
    cubic = np.empty(16, np.float32)
    cubic_rows(table, cubic)
    at = np.empty(COLUMNS, np.int64)
    cx, cy, radius, k1, k2, sx, sy, limit = lens
    for Y in range(row_0, row_1):
        for start in range(column_0, column_1, COLUMNS):
            run = min(COLUMNS, column_1 - start)
            past_x = wx[TAPS * COLUMNS :]
            past_y = wy[TAPS * COLUMNS :]
            for i in range(run):
                u = X0 + start + i - cx
                v = Y0 + Y - cy
                stretch = undistorted(np.sqrt(u * u + v * v) / radius, k1, k2)
                u = cx + u * stretch
                v = cy + v * stretch
                w = matrix[2, 0] * u + matrix[2, 1] * v + matrix[2, 2]
                x = (matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2]) / w - sx
                y = (matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2]) / w - sy
                q = (x * x + y * y) / (radius * radius)
                shown = 1.0 + q * (k1 + k2 * q)
                x = sx + x * shown
                y = sy + y * shown
                inside = w > 0.0 and q <= limit * limit  # neither is true of NaN
                inside = inside and x - left >= 2 and x - left < width - 3
                inside = inside and y - top >= 2 and y - top < height - 3
                inside = inside and x >= -0.5 and x <= source_width - 0.5
                inside = inside and y >= -0.5 and y <= source_height - 0.5
                if not inside:
                    past_x[i] = _HALF
                    past_y[i] = _HALF
                    at[i] = -1
                    continue
                ix = np.floor(x)
                iy = np.floor(y)
                past_x[i] = np.float32(x - ix) - _HALF
                past_y[i] = np.float32(y - iy) - _HALF
                at[i] = (int(iy) - top - 2) * width + int(ix) - left - 2
            run_planes(
                planes,
                run,
                at,
                wx,
                wy,
                table,
                cubic,
                nearest,
                narrow,
                allow,
                factor,
                offset,
                tile,
                Y,
                sample,
                start,
            )
