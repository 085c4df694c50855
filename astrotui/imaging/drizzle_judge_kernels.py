"""Compiled judgment of a drizzle: which samples of a frame deviate from a first stack, as STScI's `driz_cr` does."""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import BIG
from astrotui.imaging.drizzle_marks import (
    CROWD,
    CROWD_REACH,
    CROWDED_HIGH,
    CROWDED_LOW,
    DOUBTFUL_HIGH,
    DOUBTFUL_LOW,
    GOOD,
    HIGH,
    INNER,
    KERNEL,
    LOW,
    MISSING,
    ZERO,
)

_TRUST = np.float32(0.4)
_SLOPE = np.float32(
    1.2
)  # of the steepest difference to a neighbor that samples may differ by, see `judge_window`
_SLOPE_SUSPECT = np.float32(0.6)  # where the first stack rejected something on that side
_NEXT = np.float32(0.3)  # of either next to a sample that goes


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
                steepest = ZERO
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
    total = ZERO
    for v in range(4):
        row = ZERO
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
    at: Any,
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
    at : float64 (rows + 2, columns + 2, 2), places on the reference of these pixels and of a rim around them, instead of
        those by `matrix`; NaN where there is none; (0, 0, 2) to take `matrix`
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
    bent = at.shape[0] > 0
    for y in range(rows):
        v = float(top + y)
        bx = matrix[0, 1] * v + matrix[0, 2]
        by = matrix[1, 1] * v + matrix[1, 2]
        bw = matrix[2, 1] * v + matrix[2, 2]
        for x in range(columns):
            k = colors[(top + y) & 1, (left + x) & 1]
            value = window[y, x]
            if not abs(value) < BIG or (bent and not abs(at[y + 1, x + 1, 0]) < BIG):
                marks[y, x] = MISSING
                continue
            value = factor[k] * value + offset[k]
            window[y, x] = value
            marks[y, x] = GOOD
            if bent:
                X = at[y + 1, x + 1, 0]
                Y = at[y + 1, x + 1, 1]
            else:
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
            kappa = low if d < ZERO else high
            light = max(expected - sky[k], ZERO)
            noise = kappa * kappa * (variance[k] + photon[k] * light)
            if not d * d > _TRUST * _TRUST * noise:
                continue  # as expected, or nothing is; else it is worth a closer look
            if i > 0 and j > 0 and i + 2 < width and j + 2 < height:
                closer = _cubic(guide[k], j, i, ty, tx)
                expected = closer if abs(closer) < BIG else expected
                d = value - expected
            side = 0 if d < ZERO else 1
            a = allowed[side, k]
            slope = max(max(a[j, i], a[j, i + 1]), max(a[j + 1, i], a[j + 1, i + 1]))
            if not slope < BIG:
                continue
            light = max(expected - sky[k], ZERO)
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
