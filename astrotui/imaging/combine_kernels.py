"""Compiled combination: sort once, reject, average what is kept; block by block of 128 pixels.

The same samples give the same bits whatever the shape of the tile they come in: no sum is reordered, and
blocks begin at columns of the result that are multiples of LANES.
"""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import (
    BIG,
    INNER,
    KERNEL,
    LANES,
    MEDIAN,
    NONE,
    SCRATCH_ROWS,
    WINSORIZED,
    average_block,
    clip_block,
    sort_block,
)

_ZERO = np.float32(0)
_ONE = np.float32(1)
_HALF = np.float32(0.5)


@INNER
def _begin_block(
    samples: Any,
    x0: int,
    work: Any,
    lanes: int,
    net: Any,
    middle: Any,
    method: int,
    counts: Any,
    median: Any,
    found: Any,
) -> None:
    """Count the samples of a block of pixels, sort them into `work`, find their median."""
    n = samples.shape[0]
    for k in range(lanes):
        found[k] = _ZERO
    for i in range(n):
        row = samples[i, x0:]
        copy = work[i]
        for k in range(lanes):
            x = row[k]
            known = abs(x) < BIG
            x = x if known else BIG
            found[k] += _ONE if known else _ZERO
            copy[k] = x
    complete = True
    for k in range(lanes):
        complete = complete and found[k] == n
        counts[k] = int(found[k])
    if not complete:
        for i in range(n):
            row = samples[i, x0:]
            for k in range(lanes):
                row[k] = work[i, k]
    if method == NONE:
        for k in range(lanes):  # any sample does as the origin of the sums
            median[k] = samples[0, x0 + k] if samples[0, x0 + k] < BIG else _ZERO
        return
    sort_block(work, middle if complete and method == MEDIAN else net, lanes)
    for k in range(lanes):
        m = counts[k]
        median[k] = _HALF * (work[m // 2, k] + work[(m - 1) // 2, k]) if m > 0 else np.float32(np.nan)


@INNER
def _combine_block(
    samples: Any,
    x0: int,
    lanes: int,
    net: Any,
    middle: Any,
    method: int,
    low: Any,
    high: Any,
    weight: Any,
    ones: Any,
    work: Any,
    t: Any,
    ends: Any,
    first: Any,
    last: Any,
    counts: Any,
    out: Any,
) -> None:
    """Reject and combine a block of pixels.

    Parameters
    ----------
    samples : float32 (n, columns or more), by frame; NaN and infinity become BIG
    x0, lanes : the block's first pixel, and how many there are
    net, middle : int32 (m, 2), comparators that sort n samples; those that bring the middle ones in place
    method : NONE, SIGMA, WINSORIZED; MEDIAN combines by the median of all samples
    low, high : limits of the method
    weight, ones : float32 (n,), positive; of 1
    work : float32 (n, LANES), scratch
    t : float32 (SCRATCH_ROWS, LANES), scratch
    ends : float32 (4, LANES), scratch
    first, last : int32 (LANES,), get the range of ranks that is kept
    counts : int32 (LANES,), gets how many samples there are
    out : float32 (lanes,), NaN without a sample
    """
    lo = ends[0]
    hi = ends[1]
    median = ends[2]
    floor = ends[3]
    _begin_block(samples, x0, work, lanes, net, middle, method, counts, median, t[11])
    for k in range(lanes):
        first[k] = 0
        last[k] = counts[k]
        lo[k] = -BIG
        hi[k] = BIG
    if method == MEDIAN:
        for k in range(lanes):
            out[k] = median[k]
        return
    if method != NONE:
        for i in range(work.shape[0]):
            row = work[i]
            for k in range(lanes):
                row[k] = row[k] - median[k] if row[k] < BIG else BIG
        for k in range(lanes):
            floor[k] = _ZERO
        clip_block(work, lanes, method == WINSORIZED, low, high, floor, first, last, lo, hi, t)
    average_block(samples, x0, lanes, ones, weight, lo, hi, median, t, out)


@KERNEL
def combine_tile(
    tile: Any,
    columns: int,
    net: Any,
    middle: Any,
    method: int,
    low: Any,
    high: Any,
    weight: Any,
    value: Any,
    low_rejected: Any,
    high_rejected: Any,
    found: Any,
) -> None:
    """Reject and combine a tile.

    Parameters
    ----------
    tile : float32 (planes, rows, n, columns or more), samples; changed
    columns : width of the tile in pixels
    net, middle, method, low, high : see `_combine_block`
    weight : float32 (n,)
    value : float32 (planes, rows, columns), gets the combination
    low_rejected, high_rejected, found : uint16 (planes, rows, columns), get counts of samples
    """
    n = tile.shape[2]
    work = np.empty((n, LANES), np.float32)
    scratch = np.empty((SCRATCH_ROWS, LANES), np.float32)
    ends = np.empty((4, LANES), np.float32)
    ones = np.ones(n, np.float32)
    first = np.empty(LANES, np.int32)
    last = np.empty(LANES, np.int32)
    counts = np.empty(LANES, np.int32)
    for plane in range(tile.shape[0]):
        for y in range(tile.shape[1]):
            for x0 in range(0, columns, LANES):
                lanes = min(LANES, columns - x0)
                _combine_block(
                    tile[plane, y],
                    x0,
                    lanes,
                    net,
                    middle,
                    method,
                    low,
                    high,
                    weight,
                    ones,
                    work,
                    scratch,
                    ends,
                    first,
                    last,
                    counts,
                    value[plane, y, x0:],
                )
                for k in range(lanes):
                    low_rejected[plane, y, x0 + k] = np.uint16(first[k])
                    high_rejected[plane, y, x0 + k] = np.uint16(counts[k] - last[k])
                    found[plane, y, x0 + k] = np.uint16(counts[k])


@KERNEL
def median_tile(tile: Any, columns: int, net: Any, value: Any) -> None:
    """Median of each pixel of a tile (see `combine_tile`), NaN without a sample; `tile` is left as it is."""
    n = tile.shape[2]
    lanes = LANES
    work = np.empty((n, lanes), np.float32)
    found = np.empty(lanes, np.int32)
    for plane in range(tile.shape[0]):
        for y in range(tile.shape[1]):
            for x0 in range(0, columns, lanes):
                width = min(lanes, columns - x0)
                for k in range(width):
                    found[k] = 0
                for i in range(n):
                    row = tile[plane, y, i, x0:]
                    copy = work[i]
                    for k in range(width):
                        x = row[k]
                        known = abs(x) < BIG
                        copy[k] = x if known else BIG
                        found[k] += 1 if known else 0
                sort_block(work, net, width)
                for k in range(width):
                    m = found[k]
                    middle = _HALF * (work[m // 2, k] + work[(m - 1) // 2, k])
                    value[plane, y, x0 + k] = middle if m > 0 else np.float32(np.nan)
