"""Compiled drops of a drizzle: each sample of a frame falls as a shrunken square on a finer grid.

After Fruchter & Hook 2002 (PASP 114, 144): every pixel is shrunk by `pixfrac`, carried onto the output grid, and
adds to each output pixel in proportion to the area they share. Nothing is interpolated. What each output pixel
gets, and in which order, depends on no choice of tiles: pixels come frame by frame, row by row.
"""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import BIG
from astrotui.imaging.drizzle_marks import (
    CROWDED_LOW,
    DOUBTFUL_HIGH,
    DOUBTFUL_LOW,
    GOOD,
    HIGH,
    INNER,
    KERNEL,
    LOW,
    MISSING,
    REACH,
    ZERO,
)

_SLIVER = 1e-9  # of a pixel: less than that is rounding
CELLS = 32
"""Output pixels that a drop may span each way."""


@KERNEL
def drop_window(
    window: Any,
    marks: Any,
    top: int,
    left: int,
    colors: Any,
    matrix: Any,
    at: Any,
    pixfrac: float,
    aligned: bool,
    X0: int,
    Y0: int,
    weight: Any,
    sky: Any,
    sums: Any,
    spare: Any,
    low: Any,
    high: Any,
    found: Any,
) -> None:
    """Let the samples of a window fall on a tile of the result.

    A drop is the pixel shrunk by `pixfrac` about its center, as `matrix` carries it: with `aligned` a square with
    the sides of the grid and the drop's area (the *turbo* kernel of STScI's `drizzle`), for frames that are hardly
    turned; else the parallelogram itself (its *square* kernel), whose overlaps are exact.

    Parameters
    ----------
    window, marks, top, left, colors : as of `judge_window`
    matrix : float64 (3, 3), (x, y, 1) of the frame to the result, whose pixel i spans i to i + 1; of the reference to the
        result where `at` tells places, a scale and a shift
    at : as of `judge_window`; the sides of a drop are then half of the ways between its neighbors
    X0, Y0 : the tile's first pixel
    weight : of the frame
    sky : float32 (planes,), subtracted before summing, so that single precision suffices
    sums : float32 (planes, rows, columns, 2), sum of weight * area * (value - sky), and of weight * area
    spare : float32 (planes, rows, columns, 2), the same of what was rejected
    low, high, found : uint16 (planes, rows, columns), drops on each pixel that were rejected, and all
    """
    rows, columns = window.shape
    ox = np.empty(CELLS, np.float64)
    oy = np.empty(CELLS, np.float64)
    cover = np.zeros((CELLS, CELLS + 2), np.float64)
    height = sums.shape[1]
    width = sums.shape[2]
    m00, m01, m02 = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    m10, m11, m12 = matrix[1, 0], matrix[1, 1], matrix[1, 2]
    m20, m21 = matrix[2, 0], matrix[2, 1]
    all_sums, all_found = sums.reshape(-1), found.reshape(-1)
    heavy = np.float32(weight)
    half = 0.5 * pixfrac
    flat = m20 == 0.0 and m21 == 0.0
    bent = at.shape[0] > 0
    # half the sides of a drop, as vectors, and of the upright rectangle around it
    ax, ay, cx, cy = half * m00, half * m10, half * m01, half * m11
    hx, hy = _half_size(ax, ay, cx, cy, aligned)
    for y in range(rows):
        v = float(top + y)
        bx = m01 * v + m02
        by = m11 * v + m12
        for x in range(columns):
            mark = marks[y, x]
            if mark == MISSING:
                continue
            u = float(left + x)
            X = m00 * u + bx
            Y = m10 * u + by
            if bent:
                X = m00 * at[y + 1, x + 1, 0] + m02
                Y = m11 * at[y + 1, x + 1, 1] + m12
                ax = 0.5 * half * m00 * (at[y + 1, x + 2, 0] - at[y + 1, x, 0])
                ay = 0.5 * half * m11 * (at[y + 1, x + 2, 1] - at[y + 1, x, 1])
                cx = 0.5 * half * m00 * (at[y + 2, x + 1, 0] - at[y, x + 1, 0])
                cy = 0.5 * half * m11 * (at[y + 2, x + 1, 1] - at[y, x + 1, 1])
                hx, hy = _half_size(ax, ay, cx, cy, aligned)
                if not hx + hy < CELLS:
                    continue  # where the lens ends
            elif not flat:
                w = m20 * u + (m21 * v + matrix[2, 2])
                X /= w
                Y /= w
                ax, ay = half * (m00 - X * m20) / w, half * (m10 - Y * m20) / w
                cx, cy = half * (m01 - X * m21) / w, half * (m11 - Y * m21) / w
                hx, hy = _half_size(ax, ay, cx, cy, aligned)
            i0 = int(np.floor(X - hx + _SLIVER))
            j0 = int(np.floor(Y - hy + _SLIVER))
            nx = min(int(np.floor(X + hx - _SLIVER)) - i0 + 1, CELLS)
            ny = min(int(np.floor(Y + hy - _SLIVER)) - j0 + 1, CELLS)
            first_i, last_i = max(0, X0 - i0), min(nx, X0 + width - i0)
            first_j, last_j = max(0, Y0 - j0), min(ny, Y0 + height - j0)
            if first_i >= last_i or first_j >= last_j:
                continue
            if mark != GOOD:
                if mark == DOUBTFUL_LOW:
                    mark = LOW if _near(marks, y, x, LOW) else GOOD
                elif mark == DOUBTFUL_HIGH:
                    mark = HIGH if _near(marks, y, x, HIGH) else GOOD
                elif mark == CROWDED_LOW:
                    mark = LOW
            k = colors[(top + y) & 1, (left + x) & 1]
            if aligned:
                for i in range(nx):
                    ox[i] = min(X + hx, i0 + i + 1.0) - max(X - hx, i0 + 0.0 + i)
                for j in range(ny):
                    oy[j] = min(Y + hy, j0 + j + 1.0) - max(Y - hy, j0 + 0.0 + j)
            else:
                for j in range(ny):
                    for i in range(nx + 1):
                        cover[j, i] = 0.0
                p, q = X - i0, Y - j0
                _edge(p - ax - cx, q - ay - cy, p + ax - cx, q + ay - cy, nx, ny, cover)
                _edge(p + ax - cx, q + ay - cy, p + ax + cx, q + ay + cy, nx, ny, cover)
                _edge(p + ax + cx, q + ay + cy, p - ax + cx, q - ay + cy, nx, ny, cover)
                _edge(p - ax + cx, q - ay + cy, p - ax - cx, q - ay - cy, nx, ny, cover)
                for j in range(ny):
                    total = 0.0
                    for i in range(nx):
                        total += cover[j, i]
                        cover[j, i] = abs(total)
            value = window[y, x] - sky[k]
            if mark == GOOD:
                for j in range(first_j, last_j):
                    first = np.uint64(((k * height + j0 + j - Y0) * width) + i0 + first_i - X0)
                    for i in range(first_i, last_i):
                        area = ox[i] * oy[j] if aligned else cover[j, i]
                        if area > _SLIVER:
                            share = np.float32(area) * heavy
                            all_sums[first + first] += share * value
                            all_sums[first + first + np.uint64(1)] += share
                            all_found[first] += np.uint16(1)
                        first += np.uint64(1)
                continue
            for j in range(first_j, last_j):
                row = j0 + j - Y0
                for i in range(first_i, last_i):
                    area = ox[i] * oy[j] if aligned else cover[j, i]
                    if not area > _SLIVER:
                        continue
                    column = i0 + i - X0
                    share = np.float32(area) * heavy
                    found[k, row, column] += np.uint16(1)
                    spare[k, row, column, 0] += share * value
                    spare[k, row, column, 1] += share
                    if mark == LOW:
                        low[k, row, column] += np.uint16(1)
                    else:
                        high[k, row, column] += np.uint16(1)


@INNER
def _half_size(ax: Any, ay: Any, cx: Any, cy: Any, aligned: bool) -> Any:
    """Half the width and height of a drop, or of the rectangle around it."""
    if aligned:
        side = np.sqrt(abs(ax * cy - ay * cx))
        return side, side
    return abs(ax) + abs(cx), abs(ay) + abs(cy)


@INNER
def _near(marks: Any, y: int, x: int, mark: int) -> bool:
    """Whether a sample of the same frame within REACH is marked so."""
    for v in range(max(y - REACH, 0), min(y + REACH + 1, marks.shape[0])):
        for u in range(max(x - REACH, 0), min(x + REACH + 1, marks.shape[1])):
            if marks[v, u] == mark:
                return True
    return False


@INNER
def _edge(xa: float, ya: float, xb: float, yb: float, nx: int, ny: int, cover: Any) -> None:
    """Add one edge of a polygon that lies within nx by ny cells.

    In every cell that the edge passes, its signed height times the part of the cell that is right of it, and the
    rest of the height one cell further; so sums along rows are the areas inside a closed polygon, exact but for
    rounding, and negative when it is walked the other way.
    """
    if ya == yb:
        return
    sign = 1.0
    if yb < ya:
        xa, ya, xb, yb = xb, yb, xa, ya
        sign = -1.0
    dxdy = (xb - xa) / (yb - ya)
    for j in range(max(0, int(np.floor(ya))), min(ny, int(np.floor(yb)) + 1)):
        y0 = max(ya, float(j))
        y1 = min(yb, float(j + 1))
        if y1 <= y0:
            continue
        p = xa + dxdy * (y0 - ya)
        q = xa + dxdy * (y1 - ya)
        if q < p:
            p, q = q, p
        p = min(max(p, 0.0), float(nx))
        q = min(max(q, 0.0), float(nx))
        first = min(int(np.floor(p)), nx - 1)
        last = min(int(np.floor(q)), nx - 1)
        rise = sign * (y1 - y0)
        if first == last:
            beside = 0.5 * (p + q) - first  # what of the cell is left of the edge, on the mean
            cover[j, first] += rise * (1.0 - beside)
            cover[j, first + 1] += rise * beside
            continue
        rise /= q - p
        for i in range(first, last + 1):
            c0 = max(p, float(i))
            c1 = min(q, float(i + 1))
            beside = 0.5 * (c0 + c1) - i
            cover[j, i] += rise * (c1 - c0) * (1.0 - beside)
            cover[j, i + 1] += rise * (c1 - c0) * beside


@KERNEL
def finish_tile(
    sums: Any, spare: Any, sky: Any, full: Any, value: Any, weight: Any, low: Any, high: Any
) -> None:
    """The weighted means of a tile, NaN where nothing fell, and the least weight of the planes.

    Where all that fell was rejected, nothing was, as in the plain stack.

    Parameters
    ----------
    sums, spare, sky, low, high : as of `drop_window`
    full : weight of a pixel that one frame of weight 1 covers; divides `weight`
    value : float32 (planes, rows, columns), gets the means
    weight : float32 (rows, columns), gets the least sum of weights
    """
    planes = sums.shape[0]
    for y in range(sums.shape[1]):
        for x in range(sums.shape[2]):
            least = BIG
            for k in range(planes):
                light = sums[k, y, x, 0]
                total = sums[k, y, x, 1]
                if not total > ZERO and spare[k, y, x, 1] > ZERO:
                    light = spare[k, y, x, 0]
                    total = spare[k, y, x, 1]
                    low[k, y, x] = 0
                    high[k, y, x] = 0
                value[k, y, x] = sky[k] + light / total if total > ZERO else np.float32(np.nan)
                least = min(least, total)
            weight[y, x] = least / full
