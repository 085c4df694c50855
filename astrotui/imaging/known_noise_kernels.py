"""Compiled rejection for few frames, where a sample is judged by what its frame's noise explains."""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import BIG, INNER, KERNEL

REACH = 2
"""Pixels around a rejected sample within which its frame is trusted less."""

MARGIN = REACH + 1
"""Pixels around what is wanted that `known_noise_tile` looks at."""

_TRUST = np.float32(0.4)  # of the limits next to a rejected sample: what is under 5 sigma of a trail's flank
_ZERO = np.float32(0)


@KERNEL
def known_noise_tile(
    tile: Any,
    median: Any,
    top: int,
    left: int,
    low: Any,
    high: Any,
    variance: Any,
    photon: Any,
    sky: Any,
    weight: Any,
    value: Any,
    low_rejected: Any,
    high_rejected: Any,
    found: Any,
) -> None:
    """Reject samples further from the median than their noise explains, and average the others.

    The variance of a sample is that of its frame, plus photon noise of what is above the sky, plus the square
    of a tenth of the steepest difference to the eight neighbors in the median image: frames of other seeing
    and residual shift differ there. Within two pixels of a sample that goes, its frame's samples go at two
    fifths of the limit, so that no flank of a trail is left.

    Parameters
    ----------
    tile : float32 (planes, rows, n, width), with a margin around what is wanted
    median : float32 (planes, rows, columns) of the same pixels, NaN where there is no sample
    top, left : the margin: value[:, 0, 0] is at median[:, top, left]; MARGIN or 0 at an edge of all there is
    low, high : kappas
    variance, photon : float32 (planes, n); in ADU^2, and ADU^2 per ADU above the sky
    sky : float32 (planes,), in ADU
    weight : float32 (n,)
    value, low_rejected, high_rejected, found : as in `combine_tile`
    """
    n = tile.shape[2]
    height = median.shape[1]
    width = median.shape[2]
    marks = np.empty((n, height, width), np.int8)
    extra = np.empty((height, width), np.float32)
    for plane in range(value.shape[0]):
        _steepness(median[plane], extra)
        _mark(tile[plane], median[plane], extra, low, high, variance[plane], photon[plane], sky[plane], marks)
        for y in range(value.shape[1]):
            for x in range(value.shape[2]):
                _average(
                    tile[plane, y + top],
                    median[plane],
                    extra,
                    marks,
                    y + top,
                    x + left,
                    low * _TRUST,
                    high * _TRUST,
                    variance[plane],
                    photon[plane],
                    sky[plane],
                    weight,
                    value[plane, y, x:],
                    low_rejected[plane, y, x:],
                    high_rejected[plane, y, x:],
                    found[plane, y, x:],
                )


@INNER
def _steepness(median: Any, extra: Any) -> None:
    """Square of a tenth of the steepest difference of each pixel to its eight neighbors."""
    height, width = median.shape
    for y in range(height):
        for x in range(width):
            steepest = _ZERO
            for v in range(max(y - 1, 0), min(y + 2, height)):
                for u in range(max(x - 1, 0), min(x + 2, width)):
                    step = abs(median[v, u] - median[y, x])
                    steepest = max(steepest, step if step < BIG else _ZERO)
            extra[y, x] = (np.float32(0.1) * steepest) ** 2


@INNER
def _mark(
    tile: Any, median: Any, extra: Any, low: Any, high: Any, variance: Any, photon: Any, sky: Any, marks: Any
) -> None:
    """-1 and 1 for samples beyond the limits, 0 for others, 2 for missing ones."""
    n = tile.shape[1]
    for i in range(n):
        for y in range(median.shape[0]):
            for x in range(median.shape[1]):
                d = tile[y, i, x] - median[y, x]
                above = max(median[y, x] - sky, _ZERO)
                sigma = np.sqrt(variance[i] + photon[i] * above + extra[y, x])
                mark = 0
                if not abs(d) < BIG:
                    mark = 2
                elif d < -low * sigma:
                    mark = -1
                elif d > high * sigma:
                    mark = 1
                marks[i, y, x] = np.int8(mark)


@INNER
def _average(
    row: Any,
    median: Any,
    extra: Any,
    marks: Any,
    y: int,
    x: int,
    low: Any,
    high: Any,
    variance: Any,
    photon: Any,
    sky: Any,
    weight: Any,
    value: Any,
    low_rejected: Any,
    high_rejected: Any,
    found: Any,
) -> None:
    """Combine one pixel; `low` and `high` hold next to a marked sample."""
    n = row.shape[0]
    center = median[y, x]
    above = max(center - sky, _ZERO)
    below = 0
    over = 0
    count = 0
    total = _ZERO
    weights = _ZERO
    total_all = _ZERO
    weights_all = _ZERO
    for i in range(n):
        mark = marks[i, y, x]
        if mark == 2:
            continue
        d = row[i, x] - center
        count += 1
        total_all += weight[i] * d
        weights_all += weight[i]
        if mark == 0:
            sigma = np.sqrt(variance[i] + photon[i] * above + extra[y, x])
            if d < -low * sigma and _near(marks[i], y, x, -1):
                mark = -1
            elif d > high * sigma and _near(marks[i], y, x, 1):
                mark = 1
        if mark < 0:
            below += 1
        elif mark > 0:
            over += 1
        else:
            total += weight[i] * d
            weights += weight[i]
    if count > 0 and below + over == count:  # of an even number all can be far from the middle
        below = 0
        over = 0
        total = total_all
        weights = weights_all
    value[0] = center + total / weights if count > 0 else np.float32(np.nan)
    low_rejected[0] = np.uint16(below)
    high_rejected[0] = np.uint16(over)
    found[0] = np.uint16(count)


@INNER
def _near(marks: Any, y: int, x: int, mark: int) -> bool:
    """Whether a sample of the same frame within REACH is marked so."""
    height, width = marks.shape
    for v in range(max(y - REACH, 0), min(y + REACH + 1, height)):
        for u in range(max(x - REACH, 0), min(x + REACH + 1, width)):
            if marks[v, u] == mark:
                return True
    return False
