"""Compiled rejection by rank: linear fit, percentile and min-max clips keep a run of the sorted samples."""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import BIG, INNER, KERNEL, LANES, MINMAX, PERCENTILE, sort_block

_ZERO = np.float32(0)
_ONE = np.float32(1)
_HALF = np.float32(0.5)


@KERNEL
def combine_tile_by_rank(
    tile: Any,
    columns: int,
    net: Any,
    method: int,
    low: Any,
    high: Any,
    weight: Any,
    value: Any,
    low_rejected: Any,
    high_rejected: Any,
    found: Any,
) -> None:
    """Reject and combine a tile; arguments as for `combine_kernels.combine_tile`, method LINEAR, PERCENTILE or MINMAX."""
    n = tile.shape[2]
    work = np.empty((n, LANES), np.float32)
    t = np.empty((5, LANES), np.float32)
    counts = np.empty(LANES, np.int32)
    first = np.empty(LANES, np.int32)
    last = np.empty(LANES, np.int32)
    median = t[2]
    for plane in range(tile.shape[0]):
        for y in range(tile.shape[1]):
            samples = tile[plane, y]
            for x0 in range(0, columns, LANES):
                lanes = min(LANES, columns - x0)
                for k in range(lanes):
                    counts[k] = 0
                for i in range(n):
                    row = samples[i, x0:]
                    copy = work[i]
                    for k in range(lanes):
                        x = row[k]
                        known = abs(x) < BIG
                        copy[k] = x if known else BIG
                        row[k] = copy[k]
                        counts[k] += 1 if known else 0
                sort_block(work, net, lanes)
                for k in range(lanes):
                    m = counts[k]
                    median[k] = _HALF * (work[m // 2, k] + work[(m - 1) // 2, k]) if m > 0 else _ZERO
                    first[k] = 0
                    last[k] = m
                for i in range(n):
                    copy = work[i]
                    for k in range(lanes):
                        copy[k] = copy[k] - median[k] if copy[k] < BIG else BIG
                _ends_by_rank(work, lanes, method, low, high, first, last, t[3], t[4], median)
                _ties(work, lanes, first, last, counts, t)
                _average_by_rank(samples, x0, lanes, weight, t[3], t[4], median, t, value[plane, y, x0:])
                for k in range(lanes):
                    low_rejected[plane, y, x0 + k] = np.uint16(first[k])
                    high_rejected[plane, y, x0 + k] = np.uint16(counts[k] - last[k])
                    found[plane, y, x0 + k] = np.uint16(counts[k])


@INNER
def _average_by_rank(
    samples: Any, x0: int, lanes: int, weight: Any, lo: Any, hi: Any, median: Any, t: Any, out: Any
) -> None:
    """As `_average`, but of samples equal to an end the first t[0] and t[1] are left out."""
    for k in range(lanes):
        drop_low = t[0, k]
        drop_high = t[1, k]
        total = _ZERO
        weights = _ZERO
        for i in range(samples.shape[0]):
            d = samples[i, x0 + k] - median[k]
            if not (d >= lo[k] and d <= hi[k] and samples[i, x0 + k] < BIG):
                continue
            if d == lo[k] and drop_low > _ZERO:
                drop_low -= _ONE
            elif d == hi[k] and drop_high > _ZERO:
                drop_high -= _ONE
            else:
                weights += weight[i]
                total += weight[i] * d
        out[k] = median[k] + total / weights if weights > _ZERO else np.float32(np.nan)


@INNER
def _ends_by_rank(
    block: Any,
    lanes: int,
    method: int,
    low: Any,
    high: Any,
    first: Any,
    last: Any,
    least: Any,
    most: Any,
    median: Any,
) -> None:
    """What linear fit, percentile and min-max clipping keep of sorted lanes: a run of ranks."""
    for k in range(lanes):
        a = first[k]
        b = last[k]
        n = b - a
        if n == 0:
            least[k] = BIG
            most[k] = -BIG
            continue
        if method == MINMAX:
            drop_low = int(low)
            drop_high = int(high)
            if drop_low + drop_high >= n:  # too few: drop in proportion, keep at least one
                together = drop_low + drop_high
                drop_low = (n - 1) * drop_low // together
                drop_high = (n - 1) * drop_high // together
            a += drop_low
            b -= drop_high
        elif method == PERCENTILE:
            while a < b and block[a, k] < -low * abs(median[k]):  # residuals: the median is at 0
                a += 1
            while b > a and block[b - 1, k] > high * abs(median[k]):
                b -= 1
            if a == b:
                a = first[k]
                b = last[k]
        else:
            a, b = _linear_ends(block, k, a, b, low, high)
        first[k] = a
        last[k] = b
        least[k] = block[a, k]
        most[k] = block[b - 1, k]


@INNER
def _linear_ends(block: Any, k: int, a: int, b: int, low: Any, high: Any) -> tuple[int, int]:
    """Fit value against rank, take outliers off both ends, repeat until none goes."""
    while b - a > 2:
        n = b - a
        middle = 0.5 * (a + b - 1)
        total = 0.0
        moment = 0.0
        for i in range(a, b):
            total += block[i, k]
            moment += (i - middle) * block[i, k]
        level = total / n
        slope = moment / (n * (n * n - 1.0) / 12.0)
        spread = 0.0
        for i in range(a, b):
            spread += abs(block[i, k] - level - slope * (i - middle))
        spread /= n
        p = a
        q = b
        while p < q and block[p, k] - level - slope * (p - middle) < -low * spread:
            p += 1
        while q > p and block[q - 1, k] - level - slope * (q - 1 - middle) > high * spread:
            q -= 1
        if p == q or (p == a and q == b):
            break
        a = p
        b = q
    return a, b


@INNER
def _ties(work: Any, lanes: int, first: Any, last: Any, samples: Any, t: Any) -> None:
    """How many dropped samples equal the least (t[0]) and the greatest (t[1]) kept one."""
    for k in range(lanes):
        same_low = 0
        same_high = 0
        if last[k] > first[k]:
            i = first[k] - 1
            while i >= 0 and work[i, k] == work[first[k], k]:
                same_low += 1
                i -= 1
            i = last[k]
            while i < samples[k] and work[i, k] == work[last[k] - 1, k]:
                same_high += 1
                i += 1
        t[0, k] = np.float32(same_low)
        t[1, k] = np.float32(same_high)
