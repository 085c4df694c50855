"""Compiled drizzle: judge a frame's samples against a first stack, and let each fall as a shrunken square on a finer grid.

After Fruchter & Hook 2002 (PASP 114, 144): every pixel is shrunk by `pixfrac`, carried onto the output grid, and
adds to each output pixel in proportion to the area they share. Nothing is interpolated. What each output pixel
gets, and in which order, depends on no choice of tiles: pixels come frame by frame, row by row.
"""

from typing import Any

import numpy as np
from numba import njit

from astrotui.imaging.clip_kernels import BIG

# no fast-math at all: the place of a drop must not depend on the code around it
KERNEL = njit(nogil=True, cache=True, error_model="numpy", boundscheck=False)
INNER = njit(  # type: ignore[call-overload]  # its stub does not know the last two
    nogil=True,
    error_model="numpy",
    boundscheck=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)

GOOD, MISSING = 0, 2
LOW, HIGH = -1, 1  # beyond the limits
DOUBTFUL_LOW, DOUBTFUL_HIGH = -3, 3  # beyond those that hold next to a sample that goes
CROWDED_LOW, CROWDED_HIGH = -4, 4  # goes with many others around it, see `reject_crowds`
REACH = 2
"""Pixels around a rejected sample within which its frame is trusted less; also in the plain stack."""

CROWD_REACH, CROWD = 5, 10
"""Where a frame has so many rejected samples within so many pixels, none of it is trusted, see `reject_crowds`."""

_ZERO = np.float32(0)
_TRUST = np.float32(0.4)
_SLOPE = np.float32(
    1.2
)  # of the steepest difference to a neighbor that samples may differ by, see `judge_window`
_SLOPE_SUSPECT = np.float32(0.6)  # where the first stack rejected something on that side
_NEXT = np.float32(0.3)  # of either next to a sample that goes
_SLIVER = 1e-9  # of a pixel: less than that is rounding
CELLS = 32
"""Output pixels that a drop may span each way."""


@KERNEL
def tolerances(guide: Any, found: Any, low: Any, high: Any, least: int, allowed: Any) -> None:
    """By how much samples may differ from a first stack because it is steep; BIG where few samples made it.

    A share of the steepest difference to the eight neighbors: half as large where the first stack rejected a sample
    on that side at the pixel or next to it, for then one that deviates is suspected already.

    Parameters
    ----------
    guide : float32 (planes, H, W)
    found, low, high : uint16 (planes, H, W), samples that went into `guide`, and those of them it rejected
    least : with fewer samples nothing is judged
    allowed : float32 (2, planes, H, W), gets the result for samples below and above
    """
    planes, height, width = guide.shape
    for k in range(planes):
        for y in range(height):
            for x in range(width):
                here = guide[k, y, x]
                if found[k, y, x] < least:
                    allowed[0, k, y, x] = BIG
                    allowed[1, k, y, x] = BIG
                    continue
                steepest = _ZERO
                below = False
                above = False
                for v in range(max(y - 1, 0), min(y + 2, height)):
                    for u in range(max(x - 1, 0), min(x + 2, width)):
                        step = abs(guide[k, v, u] - here)
                        if step < BIG:
                            steepest = max(steepest, step)
                        below = below or low[k, v, u] > 0
                        above = above or high[k, v, u] > 0
                allowed[0, k, y, x] = steepest * (_SLOPE_SUSPECT if below else _SLOPE)
                allowed[1, k, y, x] = steepest * (_SLOPE_SUSPECT if above else _SLOPE)


@INNER
def _cubic(image: Any, j: int, i: int, ty: Any, tx: Any) -> Any:
    """Catmull-Rom interpolation between pixels (j, i) and (j + 1, i + 1); NaN if one of the sixteen is."""
    total = _ZERO
    for v in range(4):
        row = _ZERO
        for u in range(4):
            row += _spline(tx, u) * image[j - 1 + v, i - 1 + u]
        total += _spline(ty, v) * row
    return total


@INNER
def _spline(t: Any, n: int) -> Any:
    half = np.float32(0.5)
    if n == 0:
        return half * t * (np.float32(2) * t - t * t - np.float32(1))
    if n == 1:
        return np.float32(1) + half * t * t * (np.float32(3) * t - np.float32(5))
    if n == 2:
        return half * t * (np.float32(1) + np.float32(4) * t - np.float32(3) * t * t)
    return half * t * t * (t - np.float32(1))


@KERNEL
def judge_window(
    window: Any,
    top: int,
    left: int,
    colors: Any,
    matrix: Any,
    guide: Any,
    allowed: Any,
    guide_x: int,
    guide_y: int,
    low: Any,
    high: Any,
    variance: Any,
    photon: Any,
    blur: Any,
    sky: Any,
    factor: Any,
    offset: Any,
    marks: Any,
) -> None:
    """Bring a calibrated window to the level of the result, and mark what deviates from a first stack.

    The way of STScI's `driz_cr` (Gonzaga et al. 2012, The DrizzlePac Handbook): a sample is compared with the first
    stack at its place, and goes if the difference exceeds

        sqrt(kappa^2 (variance + photon * light) + slope^2 + (blur * light)^2)

    with `light` what the first stack has above the sky, and `slope` 1.2 times its steepest difference to a neighbor
    there (0.6 times, where it rejected something itself), because undersampled stars and small shifts differ where
    an image is steep. `driz_cr` adds 1.2 times the slope; added in squares it leaves the clean sky its limit of kappa
    sigma. `blur` is how much a star's peak may differ by seeing. Next to a sample that goes, 0.4 kappa and 0.3 of the
    slope hold.

    Parameters
    ----------
    window : float32 (rows, columns), calibrated; gets factor * x + offset
    top, left : its place in the frame
    colors : int64 (2, 2), plane of a pixel by the parities of its row and column
    matrix : float64 (3, 3), (x, y, 1) of the frame to the reference
    guide : float32 (planes, h, w), the first stack; (planes, 0, 0) to judge nothing
    allowed : float32 (2, planes, h, w), its `tolerances`
    guide_x, guide_y : pixel of the reference that is the guide's first
    low, high : kappas
    variance, photon : float32 (planes,) of the frame, ADU^2 and ADU^2 per ADU above the sky
    blur : share of the light above the sky
    sky : float32 (planes,)
    factor, offset : float32 (planes,)
    marks : int8 (rows, columns), gets GOOD, MISSING, LOW, HIGH, DOUBTFUL_LOW or DOUBTFUL_HIGH
    """
    rows, columns = window.shape
    height = guide.shape[1]
    width = guide.shape[2]
    for y in range(rows):
        v = float(top + y)
        bx = matrix[0, 1] * v + matrix[0, 2]
        by = matrix[1, 1] * v + matrix[1, 2]
        bw = matrix[2, 1] * v + matrix[2, 2]
        for x in range(columns):
            k = colors[(top + y) & 1, (left + x) & 1]
            value = window[y, x]
            if not abs(value) < BIG:
                marks[y, x] = MISSING
                continue
            value = factor[k] * value + offset[k]
            window[y, x] = value
            marks[y, x] = GOOD
            u = float(left + x)
            w = matrix[2, 0] * u + bw
            X = (matrix[0, 0] * u + bx) / w
            Y = (matrix[1, 0] * u + by) / w
            i = int(np.floor(X))
            j = int(np.floor(Y))
            tx = np.float32(X - i)
            ty = np.float32(Y - j)
            i -= guide_x
            j -= guide_y
            if i < 0 or j < 0 or i + 1 >= width or j + 1 >= height:
                continue
            upper = guide[k, j, i] + tx * (guide[k, j, i + 1] - guide[k, j, i])
            lower = guide[k, j + 1, i] + tx * (guide[k, j + 1, i + 1] - guide[k, j + 1, i])
            expected = upper + ty * (lower - upper)
            d = value - expected
            kappa = low if d < _ZERO else high
            light = max(expected - sky[k], _ZERO)
            noise = kappa * kappa * (variance[k] + photon[k] * light)
            if not d * d > _TRUST * _TRUST * noise:
                continue  # as expected, or nothing is; else it is worth a closer look
            if i > 0 and j > 0 and i + 2 < width and j + 2 < height:
                closer = _cubic(guide[k], j, i, ty, tx)
                expected = closer if abs(closer) < BIG else expected
                d = value - expected
            side = 0 if d < _ZERO else 1
            a = allowed[side, k]
            slope = max(max(a[j, i], a[j, i + 1]), max(a[j + 1, i], a[j + 1, i + 1]))
            if not slope < BIG:
                continue
            light = max(expected - sky[k], _ZERO)
            kappa = high if side else low
            noise = kappa * kappa * (variance[k] + photon[k] * light)
            seeing = blur * light * blur * light
            square = d * d
            if square > noise + slope * slope + seeing:
                marks[y, x] = HIGH if side else LOW
            elif square > _TRUST * _TRUST * noise + _NEXT * _NEXT * slope * slope + seeing:
                marks[y, x] = DOUBTFUL_HIGH if side else DOUBTFUL_LOW


@KERNEL
def reject_crowds(marks: Any, side: int, counts: Any) -> None:
    """Mark every sample that has CROWD rejected ones of one side within CROWD_REACH pixels each way.

    A trail that crosses a star stands out of the steep light there less than beside it. Samples go whether they
    deviate or not, so that what stays of the star is not what happened to be low. Those get a mark of their own: they
    draw no others along, so that a sample's fate rests on CROWD_REACH pixels around it.

    Parameters
    ----------
    marks : int8 (rows, columns), changed
    side : LOW or HIGH
    counts : int32 (rows, columns), scratch
    """
    rows, columns = marks.shape
    total = 0
    for y in range(rows):
        for x in range(columns):
            if marks[y, x] == side:
                total += 1
    if total < CROWD:
        return
    for y in range(rows):
        run = 0
        for x in range(columns + CROWD_REACH):
            if x < columns and marks[y, x] == side:
                run += 1
            if x > 2 * CROWD_REACH and marks[y, x - 2 * CROWD_REACH - 1] == side:
                run -= 1
            if x >= CROWD_REACH:
                counts[y, x - CROWD_REACH] = run
    for x in range(columns):
        run = 0
        for y in range(rows + CROWD_REACH):
            if y < rows:
                run += counts[y, x]
            if y > 2 * CROWD_REACH:
                run -= counts[y - 2 * CROWD_REACH - 1, x]
            if y < CROWD_REACH or run < CROWD:
                continue
            mark = marks[y - CROWD_REACH, x]
            if mark in (GOOD, DOUBTFUL_LOW, DOUBTFUL_HIGH):
                marks[y - CROWD_REACH, x] = CROWDED_LOW if side == LOW else CROWDED_HIGH


@KERNEL
def drop_window(
    window: Any,
    marks: Any,
    top: int,
    left: int,
    colors: Any,
    matrix: Any,
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
    matrix : float64 (3, 3), (x, y, 1) of the frame to the result, whose pixel i spans i to i + 1
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
            if not flat:
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
                    at = np.uint64(((k * height + j0 + j - Y0) * width) + i0 + first_i - X0)
                    for i in range(first_i, last_i):
                        area = ox[i] * oy[j] if aligned else cover[j, i]
                        if area > _SLIVER:
                            share = np.float32(area) * heavy
                            all_sums[at + at] += share * value
                            all_sums[at + at + np.uint64(1)] += share
                            all_found[at] += np.uint16(1)
                        at += np.uint64(1)
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
                if not total > _ZERO and spare[k, y, x, 1] > _ZERO:
                    light = spare[k, y, x, 0]
                    total = spare[k, y, x, 1]
                    low[k, y, x] = 0
                    high[k, y, x] = 0
                value[k, y, x] = sky[k] + light / total if total > _ZERO else np.float32(np.nan)
                least = min(least, total)
            weight[y, x] = least / full
