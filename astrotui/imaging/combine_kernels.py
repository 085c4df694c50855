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
    SIGMA,
    WINSORIZED,
    clip_block,
    sort_block,
)

_ZERO = np.float32(0)
_ONE = np.float32(1)
_HALF = np.float32(0.5)


@INNER
def _average(
    samples: Any,
    x0: int,
    lanes: int,
    inverse_sigma: Any,
    weight: Any,
    lo: Any,
    hi: Any,
    median: Any,
    t: Any,
    out: Any,
) -> None:
    """Weighted mean of the samples whose residual lies from `lo` to `hi`."""
    total = t[2]
    weights = t[3]
    for k in range(lanes):
        total[k] = _ZERO
        weights[k] = _ZERO
    for i in range(samples.shape[0]):
        row = samples[i, x0:]
        scale = inverse_sigma[i]
        w = weight[i]
        for k in range(lanes):
            d = row[k] - median[k]
            r = d * scale
            keep = (r >= lo[k]) & (r <= hi[k]) & (row[k] < BIG)
            weights[k] += w if keep else _ZERO
            total[k] += w * d if keep else _ZERO
    for k in range(lanes):
        out[k] = median[k] + total[k] / weights[k] if weights[k] > _ZERO else np.float32(np.nan)


@INNER
def _residuals(
    samples: Any, x0: int, work: Any, lanes: int, inverse_sigma: Any, median: Any, least: Any, most: Any
) -> None:
    """Residuals in units of each frame's sigma into `work`, unsorted; their extremes, at least 0, at most 0."""
    for k in range(lanes):
        least[k] = _ZERO
        most[k] = _ZERO
    for i in range(samples.shape[0]):
        row = samples[i, x0:]
        copy = work[i]
        scale = inverse_sigma[i]
        for k in range(lanes):
            known = row[k] < BIG
            r = (row[k] - median[k]) * scale
            copy[k] = r if known else BIG
            r = r if known else _ZERO
            least[k] = r if r < least[k] else least[k]
            most[k] = r if r > most[k] else most[k]


@INNER
def _clip_queue(
    queue: Any,
    queued: Any,
    count: int,
    net: Any,
    winsorize: bool,
    low: Any,
    high: Any,
    floor: Any,
    first: Any,
    last: Any,
    lo: Any,
    hi: Any,
    t: Any,
) -> None:
    """Sort and clip the pixels of a queue, and tell first, last and ends of their places in the row."""
    lanes = queue.shape[1]
    padded = (count + 15) // 16 * 16
    for i in range(queue.shape[0]):
        for j in range(count, padded):
            queue[i, j] = BIG
    sort_block(queue, net, padded)
    a = np.empty(lanes, np.int32)
    b = np.empty(lanes, np.int32)
    least = np.empty(lanes, np.float32)
    most = np.empty(lanes, np.float32)
    for j in range(count):
        a[j] = first[queued[j]]
        b[j] = last[queued[j]]
    clip_block(queue, count, winsorize, low, high, floor, a, b, least, most, t)
    for j in range(count):
        x = queued[j]
        first[x] = a[j]
        last[x] = b[j]
        lo[x] = least[j]
        hi[x] = most[j]


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
            row[k] = x
            copy[k] = x
    complete = True
    for k in range(lanes):
        complete = complete and found[k] == n
        counts[k] = int(found[k])
    if method == NONE:
        for k in range(lanes):  # any sample does as the origin of the sums
            median[k] = samples[0, x0 + k] if samples[0, x0 + k] < BIG else _ZERO
        return
    sort_block(work, middle if complete else net, lanes)
    for k in range(lanes):
        m = counts[k]
        median[k] = _HALF * (work[m // 2, k] + work[(m - 1) // 2, k]) if m > 0 else np.float32(np.nan)


@INNER
def combine_row(
    samples: Any,
    columns: int,
    net: Any,
    middle: Any,
    method: int,
    low: Any,
    high: Any,
    floor: Any,
    inverse_sigma: Any,
    weight: Any,
    work: Any,
    queue: Any,
    queued: Any,
    t: Any,
    ends: Any,
    first: Any,
    last: Any,
    counts: Any,
    out: Any,
) -> None:
    """Reject and combine a row of pixels, in blocks of LANES.

    Parameters
    ----------
    samples : float32 (n, columns or more), by frame; NaN and infinity become BIG
    columns : pixels of the row
    net, middle : int32 (m, 2), comparators that sort n samples; those that bring the middle ones in place
    method : NONE, SIGMA, WINSORIZED; MEDIAN combines by the median of all samples
    low, high : limits of the method
    floor : least sigma of the clips, in units of 1 / inverse_sigma; 0 where all inverse_sigma are 1. Where no
        residual is beyond the floor's limits nothing can go, and only the other pixels are sorted and clipped
    inverse_sigma : float32 (n,), residuals are multiplied by it before they are judged
    weight : float32 (n,), positive
    work, queue : float32 (n, LANES), scratch
    queued : int32 (LANES,), scratch
    t : float32 (SCRATCH_ROWS, LANES), scratch
    ends : float32 (5, columns or more), scratch
    first, last : int32 (columns,), get the range of ranks that is kept
    counts : int32 (columns,), gets how many samples there are
    out : float32 (columns,), NaN without a sample
    """
    wide = work.shape[1]
    n = samples.shape[0]
    clips = method in (SIGMA, WINSORIZED)
    lo = ends[0]
    hi = ends[1]
    median = ends[2]
    least = ends[3]
    most = ends[4]
    count = 0
    for x0 in range(0, columns, wide):
        lanes = min(wide, columns - x0)
        center = median[x0:]
        _begin_block(samples, x0, work, lanes, net, middle, method, counts[x0:], center, t[11])
        for k in range(x0, x0 + lanes):
            first[k] = 0
            last[k] = counts[k]
            lo[k] = -BIG
            hi[k] = BIG
        if clips:
            _residuals(samples, x0, work, lanes, inverse_sigma, center, least, most)
            for k in range(lanes):
                if least[k] < -low * floor or most[k] > high * floor or floor == _ZERO:
                    for i in range(n):
                        queue[i, count] = work[i, k]
                    queued[count] = x0 + k
                    count += 1
                    if count == wide:
                        _clip_queue(
                            queue,
                            queued,
                            count,
                            net,
                            method == WINSORIZED,
                            low,
                            high,
                            floor,
                            first,
                            last,
                            lo,
                            hi,
                            t,
                        )
                        count = 0
        elif method == MEDIAN:
            for k in range(lanes):
                out[x0 + k] = center[k]
    if count > 0:
        _clip_queue(queue, queued, count, net, method == WINSORIZED, low, high, floor, first, last, lo, hi, t)
    if method != MEDIAN:
        for x0 in range(0, columns, wide):
            lanes = min(wide, columns - x0)
            _average(samples, x0, lanes, inverse_sigma, weight, lo[x0:], hi[x0:], median[x0:], t, out[x0:])


@KERNEL
def combine_tile(
    tile: Any,
    columns: int,
    net: Any,
    middle: Any,
    method: int,
    low: Any,
    high: Any,
    floor: Any,
    inverse_sigma: Any,
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
    net, middle, method, low, high, floor : see `combine_row`
    inverse_sigma : float32 (planes, n)
    weight : float32 (n,)
    value : float32 (planes, rows, columns), gets the combination
    low_rejected, high_rejected, found : uint16 (planes, rows, columns), get counts of samples
    """
    n = tile.shape[2]
    lanes = LANES
    work = np.empty((n, lanes), np.float32)
    queue = np.empty((n, lanes), np.float32)
    queued = np.empty(lanes, np.int32)
    scratch = np.empty((SCRATCH_ROWS, lanes), np.float32)
    ends = np.empty((5, max(columns, lanes)), np.float32)
    first = np.empty(columns, np.int32)
    last = np.empty(columns, np.int32)
    counts = np.empty(columns, np.int32)
    for plane in range(tile.shape[0]):
        for y in range(tile.shape[1]):
            combine_row(
                tile[plane, y],
                columns,
                net,
                middle,
                method,
                low,
                high,
                floor,
                inverse_sigma[plane],
                weight,
                work,
                queue,
                queued,
                scratch,
                ends,
                first,
                last,
                counts,
                value[plane, y],
            )
            for x in range(columns):
                low_rejected[plane, y, x] = np.uint16(first[x])
                high_rejected[plane, y, x] = np.uint16(counts[x] - last[x])
                found[plane, y, x] = np.uint16(counts[x])


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
