"""Compiled kernel that makes a master frame: mean or median after a winsorized clip with a floor under its sigma.

The floor is the noise of the set. It keeps what a single pixel's few samples would throw away by chance: of
samples without outliers a plain winsorized clip rejects 10 % at 3 frames and 1 % at 20, and of integers
whose noise is under one ADU as many as 20 %, so that the mean turns into a median (simulated). It is also
what makes the kernel fast: where no sample is beyond the floor's limits nothing can be rejected.
"""

from typing import Any

import numpy as np
from numba import njit

from astrotui.imaging.clip_kernels import sort_block

LANES = 128

_BIG = np.float32(3e38)
_FLAGS = {"contract", "nsz", "arcp"}  # none of them reorders a sum or lets a NaN be forgotten
_MAX_PASSES = 30


@njit(nogil=True, cache=True, fastmath=_FLAGS, boundscheck=False)
def winsorized_rows(cube: Any, rows: Any, net: Any, limits: Any, median: bool, out: Any) -> None:
    """Mean or median of n samples a pixel, without those that a winsorized clip rejects.

    For each pixel: sd about the median, then repeatedly clip to median +- 1.5 s and s = 1.134 sd(clipped),
    until s changes by at most 0.0005 of itself; s is at least `floor`. Samples under median - low s or over
    median + high s go, and all is repeated until none goes. The mean or median of the rest is the result.

    Parameters
    ----------
    cube : float32 (n, rows, width), NaN where a sample is missing
    rows : first row to combine and the row after the last
    net : int32 (m, 2), see `combine.sorting_network`
    limits : low and high in units of s; and `floor`, the least s, in the unit of the samples
    median : take the median of what is left instead of the mean
    out : float32 (rows, width), written; NaN where every sample is missing
    """
    n, _, width = cube.shape
    block = np.empty((n, LANES), np.float32)
    center = np.empty(LANES, np.float32)
    total = np.empty(LANES, np.float32)
    column = np.empty(n, np.float64)
    for y in range(rows[0], rows[1]):
        for x0 in range(0, width, LANES):
            lanes = min(LANES, width - x0)
            for i in range(n):
                source = cube[i, y]
                row = block[i]
                for k in range(lanes):
                    value = source[x0 + k]
                    row[k] = value if abs(value) < _BIG else _BIG  # false for NaN
            _combine_block(block, lanes, net, limits, median, center, total, column, out[y, x0:])


@njit(nogil=True, cache=True, fastmath=_FLAGS, boundscheck=False)
def winsorized_stored_rows(
    cube: Any, rows: Any, net: Any, limits: Any, median: bool, below: Any, factors: Any, out: Any
) -> None:
    """As `winsorized_rows`, of pixels as FITS stores them: a third of the work of bringing them there first.

    Parameters
    ----------
    cube : uint16 (n, rows, width), bytes swapped and the top bit flipped; begins at an even row of the frame
    below : float32 (rows, width), subtracted from each sample; (0, 0) when nothing is
    factors : float32 (n, 2, 2), multiplied then, by parity of row and column; (0, 0, 0) when nothing is
    """
    n, _, width = cube.shape
    block = np.empty((n, LANES), np.float32)
    center = np.empty(LANES, np.float32)
    total = np.empty(LANES, np.float32)
    column = np.empty(n, np.float64)
    levels = below.shape[0] > 0 or factors.shape[0] > 0
    zeros = np.zeros(width, np.float32)
    for y in range(rows[0], rows[1]):
        under = below[y] if below.shape[0] > 0 else zeros
        for x0 in range(0, width, LANES):
            lanes = min(LANES, width - x0)
            for i in range(n):
                source = cube[i, y, x0:]
                row = block[i]
                for k in range(lanes):
                    stored = np.uint32(source[k])
                    swapped = ((stored >> np.uint32(8)) | (stored << np.uint32(8))) & np.uint32(0xFFFF)
                    row[k] = np.float32(np.int32(swapped ^ np.uint32(0x8000)))
                if levels:
                    even = factors[i, y & 1, 0] if factors.shape[0] > 0 else np.float32(1)
                    odd = factors[i, y & 1, 1] if factors.shape[0] > 0 else np.float32(1)
                    for k in range(lanes):  # LANES is even: the column's parity is that of k
                        value = (row[k] - under[x0 + k]) * (odd if k & 1 else even)
                        row[k] = value if abs(value) < _BIG else _BIG
            _combine_block(block, lanes, net, limits, median, center, total, column, out[y, x0:])


@njit(nogil=True, fastmath=_FLAGS, boundscheck=False)
def _combine_block(
    block: Any,
    lanes: int,
    net: Any,
    limits: Any,
    median: bool,
    center: Any,
    total: Any,
    column: Any,
    target: Any,
) -> None:
    """Means or medians of what is kept in the columns of a block, which is sorted; missing samples are _BIG."""
    n = block.shape[0]
    low, high, floor = limits
    below = np.float32(low * floor)
    above = np.float32(high * floor)
    share = np.float32(1.0) / np.float32(n)
    half = np.float32(0.5)
    sort_block(block, net, lanes)
    first = block[(n - 1) // 2]
    second = block[n // 2]
    for k in range(lanes):
        center[k] = half * (first[k] + second[k])
        total[k] = np.float32(0)
    for i in range(n):
        row = block[i]
        for k in range(lanes):
            total[k] += row[k] - center[k]  # of deviations: sums of raw values would lose digits
    least = block[0]
    most = block[n - 1]
    for k in range(lanes):
        if center[k] - least[k] <= below and most[k] - center[k] <= above:
            target[k] = center[k] if median else center[k] + total[k] * share
        else:
            for i in range(n):
                column[i] = block[i, k]
            target[k] = _clipped(column, limits, median)


@njit(nogil=True, cache=True)
def _clipped(column: Any, limits: Any, median: bool) -> float:
    """Mean or median of what is kept of one pixel's sorted samples; missing ones are last and at least 3e38."""
    low, high, floor = limits
    a = 0
    b = column.shape[0]
    while b > 0 and column[b - 1] >= _BIG:
        b -= 1
    if b == 0:
        return np.nan
    while True:
        center = 0.5 * (column[(a + b) // 2] + column[(a + b - 1) // 2])
        sigma = _clipped_sd(column, a, b, center, np.inf)
        for _ in range(_MAX_PASSES):
            new = 1.134 * _clipped_sd(column, a, b, center, 1.5 * sigma)
            settled = abs(new - sigma) <= 0.0005 * sigma
            sigma = new
            if settled:
                break
        sigma = max(sigma, floor)
        p = a
        q = b
        while p < q and column[p] < center - low * sigma:
            p += 1
        while q > p and column[q - 1] > center + high * sigma:
            q -= 1
        if p == q or (p == a and q == b):
            break
        a = p
        b = q
    if median:
        return float(0.5 * (column[(a + b) // 2] + column[(a + b - 1) // 2]))
    total = 0.0
    for i in range(a, b):
        total += column[i]
    return float(total / (b - a))


@njit(nogil=True, cache=True)
def _clipped_sd(column: Any, a: int, b: int, center: float, bound: float) -> float:
    """Standard deviation of column[a:b] after clipping to center +- bound."""
    total = 0.0
    squares = 0.0
    for i in range(a, b):
        d = min(max(column[i] - center, -bound), bound)
        total += d
        squares += d * d
    mean = total / (b - a)
    return float(np.sqrt(max(squares / (b - a) - mean * mean, 0.0)))


def warm() -> None:
    """Compile the kernels, or load them from the cache, before they are timed or threads want them."""
    net, limits, out = np.array([[0, 1]], np.int32), (3.0, 3.0, 1.0), np.zeros((1, LANES), np.float32)
    winsorized_rows(np.zeros((2, 1, LANES), np.float32), (0, 1), net, limits, False, out)
    nothing = np.zeros((0, 0), np.float32), np.zeros((0, 0, 0), np.float32)
    winsorized_stored_rows(np.zeros((2, 1, LANES), np.uint16), (0, 1), net, limits, False, *nothing, out)
