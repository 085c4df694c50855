"""Compiled combination: sort once, reject, average what is kept; block by block of 128 pixels.

The same samples give the same bits whatever the shape of the tile they come in: no sum is reordered, and
blocks begin at columns of the result that are multiples of LANES.
"""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import (
    BIG,
    KERNEL,
    MEDIAN,
    NONE,
    SIGMA,
    WINSORIZED,
    clip_block,
    ends_by_rank,
    sort_block,
    ties,
)

_ZERO = np.float32(0)
_ONE = np.float32(1)
_HALF = np.float32(0.5)


@KERNEL
def _average(
    block: Any, lanes: int, inverse_sigma: Any, weight: Any, edges: Any, median: Any, t: Any, out: Any
) -> None:
    """Weighted mean of the samples whose residual lies within `edges`; t[0], t[1] ties to drop first."""
    drop_low = t[0]
    drop_high = t[1]
    total = t[2]
    weights = t[3]
    lo = edges[0]
    hi = edges[1]
    for k in range(lanes):
        total[k] = _ZERO
        weights[k] = _ZERO
    for i in range(block.shape[0]):
        row = block[i]
        scale = inverse_sigma[i]
        w = weight[i]
        for k in range(lanes):
            d = row[k] - median[k]
            r = d * scale
            keep = (r >= lo[k]) & (r <= hi[k]) & (row[k] < BIG)
            tie = keep & (r == lo[k]) & (drop_low[k] > _ZERO)
            drop_low[k] -= _ONE if tie else _ZERO
            keep = keep & (not tie)
            tie = keep & (r == hi[k]) & (drop_high[k] > _ZERO)
            drop_high[k] -= _ONE if tie else _ZERO
            keep = keep & (not tie)
            used = w if keep else _ZERO
            weights[k] += used
            total[k] += used * d if keep else _ZERO
    for k in range(lanes):
        out[k] = median[k] + total[k] / weights[k] if weights[k] > _ZERO else np.float32(np.nan)


@KERNEL
def _judge(
    block: Any,
    work: Any,
    lanes: int,
    net: Any,
    method: int,
    low: Any,
    high: Any,
    floor: Any,
    inverse_sigma: Any,
    first: Any,
    last: Any,
    edges: Any,
    t: Any,
) -> None:
    """Turn `work` into sorted residuals and find what is kept of them."""
    n = block.shape[0]
    median = t[10]
    even = True
    for i in range(1, n):
        even = even and inverse_sigma[i] == inverse_sigma[0]
    for i in range(n):
        copy = work[i]
        source = copy if even else block[i]  # of equal frames the order is known already
        scale = inverse_sigma[i]
        for k in range(lanes):
            x = source[k]
            copy[k] = (x - median[k]) * scale if x < BIG else BIG
    if not even:
        sort_block(work, net, lanes)
    if method in (SIGMA, WINSORIZED):
        clip_block(work, lanes, method == WINSORIZED, low, high, floor, first[0], last[0], edges, t)
        for k in range(lanes):
            t[0, k] = _ZERO
            t[1, k] = _ZERO
    else:
        ends_by_rank(work, lanes, method, low, high, first[0], last[0], edges, median)
        ties(work, lanes, first[0], last[0], first[1], last[1], t)


@KERNEL
def combine_block(
    block: Any,
    work: Any,
    lanes: int,
    net: Any,
    method: int,
    low: Any,
    high: Any,
    floor: Any,
    inverse_sigma: Any,
    weight: Any,
    first: Any,
    last: Any,
    edges: Any,
    t: Any,
    out: Any,
) -> None:
    """Reject and combine one block.

    Parameters
    ----------
    block : float32 (n, LANES), samples by frame; NaN and infinity become BIG
    work : float32 (n, LANES), scratch
    lanes : pixels in the block
    net : int32 (m, 2), comparators that sort n samples
    method : NONE, SIGMA, ...; MEDIAN combines by the median of all samples
    low, high : limits of the method
    floor : least sigma of the clips, in units of 1 / inverse_sigma
    inverse_sigma : float32 (n,), residuals are multiplied by it before they are judged
    weight : float32 (n,), positive
    first, last : int32 (2, LANES): row 0 gets how many samples were rejected low and high, row 1 is scratch and
        afterwards holds in `first` how many samples there were
    edges : float32 (2, LANES), scratch
    t : float32 (SCRATCH_ROWS, LANES), scratch
    out : float32 (LANES,), NaN without a sample
    """
    n = block.shape[0]
    median = t[10]
    found = t[11]
    for k in range(lanes):
        found[k] = _ZERO
    for i in range(n):
        row = block[i]
        copy = work[i]
        for k in range(lanes):
            x = row[k]
            known = abs(x) < BIG
            x = x if known else BIG
            found[k] += _ONE if known else _ZERO
            row[k] = x
            copy[k] = x
    if method != NONE:
        sort_block(work, net, lanes)
    for k in range(lanes):
        m = int(found[k])
        first[0, k] = 0
        last[0, k] = m
        first[1, k] = 0
        last[1, k] = m
        edges[0, k] = -BIG
        edges[1, k] = BIG
        t[0, k] = _ZERO
        t[1, k] = _ZERO
        if method == NONE:  # any sample does as the origin of the sums
            median[k] = block[0, k] if block[0, k] < BIG else _ZERO
        else:
            median[k] = _HALF * (work[m // 2, k] + work[(m - 1) // 2, k]) if m > 0 else _ZERO
    if method == MEDIAN:
        for k in range(lanes):
            out[k] = median[k] if found[k] > _ZERO else np.float32(np.nan)
    else:
        if method != NONE:
            _judge(block, work, lanes, net, method, low, high, floor, inverse_sigma, first, last, edges, t)
        _average(block, lanes, inverse_sigma, weight, edges, median, t, out)
    for k in range(lanes):
        kept_to = last[0, k]
        last[0, k] = int(found[k]) - kept_to
        first[1, k] = int(found[k])


@KERNEL
def combine_tile(
    tile: Any,
    columns: int,
    net: Any,
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
    tile : float32 (planes, rows, ceil(columns / LANES), n, LANES), samples block by block; changed
    columns : width of the tile in pixels
    inverse_sigma : float32 (planes, n)
    weight : float32 (n,)
    value : float32 (planes, rows, columns), gets the combination
    low_rejected, high_rejected, found : uint16 (planes, rows, columns), get counts of samples
    """
    n = tile.shape[3]
    lanes = tile.shape[4]
    work = np.empty((n, lanes), np.float32)
    scratch = np.empty((12, lanes), np.float32)
    edges = np.empty((2, lanes), np.float32)
    first = np.empty((2, lanes), np.int32)
    last = np.empty((2, lanes), np.int32)
    out = np.empty(lanes, np.float32)
    for plane in range(tile.shape[0]):
        for y in range(tile.shape[1]):
            for j in range(tile.shape[2]):
                x0 = j * lanes
                width = min(lanes, columns - x0)
                combine_block(
                    tile[plane, y, j],
                    work,
                    width,
                    net,
                    method,
                    low,
                    high,
                    floor,
                    inverse_sigma[plane],
                    weight,
                    first,
                    last,
                    edges,
                    scratch,
                    out,
                )
                for k in range(width):
                    value[plane, y, x0 + k] = out[k]
                    low_rejected[plane, y, x0 + k] = np.uint16(first[0, k])
                    high_rejected[plane, y, x0 + k] = np.uint16(last[0, k])
                    found[plane, y, x0 + k] = np.uint16(first[1, k])


@KERNEL
def median_tile(tile: Any, columns: int, net: Any, value: Any) -> None:
    """Median of each pixel of a tile (see `combine_tile`), NaN without a sample; `tile` is left as it is."""
    n = tile.shape[3]
    lanes = tile.shape[4]
    work = np.empty((n, lanes), np.float32)
    found = np.empty(lanes, np.int32)
    for plane in range(tile.shape[0]):
        for y in range(tile.shape[1]):
            for j in range(tile.shape[2]):
                x0 = j * lanes
                width = min(lanes, columns - x0)
                for k in range(width):
                    found[k] = 0
                for i in range(n):
                    row = tile[plane, y, j, i]
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
