"""Compiled rules of rejection: what sigma, winsorized, linear, percentile and min-max clips keep of sorted samples.

A *block* is a float32 array (n, LANES): sample i of up to 128 pixels lies in row i, so that the compiler
vectorizes over pixels. Missing samples are BIG, which sorts behind every real one.
"""

from typing import Any

import numpy as np
from numba import njit

LANES = 128
BIG = np.float32(3e38)
SCRATCH_ROWS = 12

NONE, SIGMA, WINSORIZED, LINEAR, PERCENTILE, MINMAX, MEDIAN, AUTO = range(8)

# None of these flags reorders a sum or lets a NaN be forgotten; division by zero must not branch.
_FLAGS = {"contract", "nsz", "arcp"}
KERNEL = njit(nogil=True, cache=True, error_model="numpy", boundscheck=False, fastmath=_FLAGS)
"""Compiles what Python calls; kept on disk."""

INNER = njit(  # type: ignore[call-overload]  # its stub does not know the last two
    nogil=True,
    error_model="numpy",
    boundscheck=False,
    fastmath=_FLAGS,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
"""Compiles what only kernels call, in half the time: without what Python needs, which would crash on calling it."""

_EXACT = njit(  # type: ignore[call-overload]
    nogil=True,
    error_model="numpy",
    boundscheck=False,
    fastmath={"nsz"},
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)
"""As INNER, where the lane that a pixel has depends on the division of work: the rest of a loop over lanes is no
vector, and fused or divided by a reciprocal it would round otherwise."""


_ZERO = np.float32(0)
_ONE = np.float32(1)
_HALF = np.float32(0.5)
_MAX_PASSES = 30  # of one winsorizing; it settles after three or four


@INNER
def sort_block(block: Any, net: Any, lanes: int) -> None:
    """Sort the columns of `block` in place by the comparators `net`, int32 (m, 2)."""
    smaller = np.empty(LANES, np.float32)
    for q in range(net.shape[0]):
        upper = block[net[q, 0]]
        lower = block[net[q, 1]]
        # Through memory of its own: LLVM turns a minimum that goes back to where one of the two came from into a
        # masked store, which takes three times as long.
        for k in range(lanes):
            x = upper[k]
            y = lower[k]
            smaller[k] = x if x < y else y
            lower[k] = x if x > y else y
        for k in range(lanes):
            upper[k] = smaller[k]


@_EXACT
def average_block(
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


@_EXACT
def _winsorized_pass(block: Any, width: int, center: Any, sigma: Any, t: Any) -> None:
    """Samples within 1.5 sigma of the center: t[0] their sum, t[1] sum of squares, t[2] count; t[3] samples below."""
    inner1 = t[0]
    inner2 = t[1]
    inner = t[2]
    below = t[3]
    bound = t[4]
    for k in range(width):
        inner1[k] = _ZERO
        inner2[k] = _ZERO
        inner[k] = _ZERO
        below[k] = _ZERO
        bound[k] = np.float32(1.5) * sigma[k]
    for i in range(block.shape[0]):
        row = block[i]
        for k in range(width):
            d = row[k] - center[k]
            inside = abs(d) <= bound[k]
            d = d if inside else _ZERO
            inner[k] += _ONE if inside else _ZERO
            inner1[k] += d
            inner2[k] += d * d
            below[k] += _ONE if row[k] - center[k] < -bound[k] else _ZERO


@_EXACT
def _winsorized_solve(width: int, count: Any, sigma: Any, lower: Any, upper: Any, t: Any) -> None:
    """One step to the sigma that equals 1.134 times the deviation of the samples winsorized at 1.5 of it.

    With `lower` and `upper` samples on the bounds that equation is a quadratic in sigma, so that it is
    solved exactly once their numbers stay. t[4] becomes 1 where they have stayed, else 0.
    """
    for k in range(width):
        inverse = _ONE / count[k]
        low = t[3, k]
        high = count[k] - t[2, k] - low
        mean = t[0, k] * inverse
        tilt = np.float32(1.5) * (high - low) * inverse
        a = np.float32(1 / 1.134**2) - np.float32(2.25) * (low + high) * inverse + tilt * tilt
        b = mean * tilt
        c = t[1, k] * inverse - mean * mean
        c = c if c > _ZERO else _ZERO
        root = b * b + a * c
        root = np.sqrt(root if root > _ZERO else _ZERO)
        inside = a > np.float32(1e-6)  # else the samples beyond alone deviate more: sigma is far too small
        solved = (root - b) / a if inside else np.float32(2) * sigma[k]
        t[4, k] = _ONE if (low == lower[k]) & (high == upper[k]) & inside else _ZERO
        sigma[k] = solved if solved > _ZERO else _ZERO
        lower[k] = low
        upper[k] = high


@_EXACT
def _deviation_pass(block: Any, width: int, center: Any, count: Any, sigma: Any, t: Any) -> None:
    """Standard deviation of the samples that are not BIG; sets t[4] to 1: there is nothing to iterate."""
    sum1 = t[0]
    sum2 = t[1]
    for k in range(width):
        sum1[k] = _ZERO
        sum2[k] = _ZERO
    for i in range(block.shape[0]):
        row = block[i]
        for k in range(width):
            d = row[k] - center[k] if row[k] < BIG else _ZERO
            sum1[k] += d
            sum2[k] += d * d
    for k in range(width):
        mean = sum1[k] / count[k]
        variance = sum2[k] / count[k] - mean * mean
        sigma[k] = np.sqrt(variance if variance > _ZERO else _ZERO)
        t[4, k] = _ONE


@_EXACT
def clip_block(
    block: Any,
    lanes: int,
    winsorize: bool,
    low: Any,
    high: Any,
    floor: Any,
    first: Any,
    last: Any,
    least: Any,
    most: Any,
    t: Any,
) -> None:
    """Iterative clip about the median; narrows first and last to what is kept.

    Parameters
    ----------
    block : sorted residuals (n, LANES), the median of which is at 0; destroyed
    lanes : how many of the columns matter
    low, high : kappas
    floor : float32 (LANES,), least sigma to judge by
    first, last : int32 (LANES,), the range of rows with samples, then of those kept
    least, most : float32 (LANES,), get the least and greatest residual kept
    t : float32 (SCRATCH_ROWS, LANES)
    """
    n = block.shape[0]
    index = np.empty(LANES, np.int32)
    a = np.empty(LANES, np.int32)
    b = np.empty(LANES, np.int32)
    passes = np.zeros(LANES, np.int32)
    done = np.zeros(LANES, np.uint8)
    center = t[5]
    count = t[6]
    sigma = t[7]
    lower = t[8]
    upper = t[9]
    own_floor = t[10]
    for k in range(lanes):
        p = first[k]
        q = last[k]
        index[k] = k
        a[k] = p
        b[k] = q
        count[k] = np.float32(max(q - p, 1))
        own_floor[k] = floor[k]
        center[k] = _ZERO
        # the middle half of the samples tells sigma well enough to begin with
        sigma[k] = _ZERO
        if q > p:
            wide = block[q - 1 - (q - p) // 4, k] - block[p + (q - p) // 4, k]
            sigma[k] = np.float32(0.75) * wide if wide > _ZERO else block[q - 1, k] - block[p, k]
        lower[k] = -_ONE
        upper[k] = -_ONE
        least[k] = block[p, k] if q > p else BIG
        most[k] = block[q - 1, k] if q > p else -BIG
        done[k] = q - p < 2
    width = lanes
    active = lanes
    while active > 0:
        padded = min(LANES, (width + 15) // 16 * 16)  # whole vectors are quicker than a remainder
        if winsorize:
            _winsorized_pass(block, padded, center, sigma, t)
            _winsorized_solve(padded, count, sigma, lower, upper, t)
        else:
            _deviation_pass(block, padded, center, count, sigma, t)
        active = 0
        for k in range(width):
            if done[k]:
                continue
            passes[k] += 1
            if t[4, k] == _ONE or passes[k] >= _MAX_PASSES:
                spread = sigma[k] if sigma[k] > own_floor[k] else own_floor[k]
                lo = center[k] - low * spread
                hi = center[k] + high * spread
                p = a[k]
                q = b[k]
                while p < q and block[p, k] < lo:
                    p += 1
                while q > p and block[q - 1, k] > hi:
                    q -= 1
                if p == q or (p == a[k] and q == b[k]):  # nothing would be left, or nothing goes
                    done[k] = 1
                    first[index[k]] = a[k]
                    last[index[k]] = b[k]
                    least[index[k]] = block[a[k], k]
                    most[index[k]] = block[b[k] - 1, k]
                    continue
                for i in range(a[k], p):
                    block[i, k] = BIG
                for i in range(q, b[k]):
                    block[i, k] = BIG
                a[k] = p
                b[k] = q
                count[k] = np.float32(q - p)
                center[k] = _HALF * (block[(p + q) // 2, k] + block[(p + q - 1) // 2, k])
                lower[k] = -_ONE
                passes[k] = 0
            active += 1
        if 2 * active <= width and active > 0:  # only few lanes want more: close ranks
            left = 0
            for k in range(width):
                if not done[k]:
                    done[left] = 0
                    index[left] = index[k]
                    a[left] = a[k]
                    b[left] = b[k]
                    passes[left] = passes[k]
                    for row in range(5, 11):
                        t[row, left] = t[row, k]
                    for i in range(n):
                        block[i, left] = block[i, k]
                    left += 1
            width = left
