"""Compiled test whether any sample of a pixel can lie beyond its limits, and the mean where none can."""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import BIG, INNER, LANES

GROUP = 4
"""Samples that are taken at once, so that sums stay in registers meanwhile."""

COUNT, TOTAL, WEIGHTS, _HIGHEST, _LOWEST, BELOW, ABOVE, SCRATCH = (LANES * i for i in range(8))
"""Parts of the scratch of a block, and its size: see `quick_block`."""

_ZERO = np.float32(0)
_ONE = np.float32(1)


@INNER
def _add(
    a: Any, b: Any, c: Any, d: Any, sky: Any, up: Any, down: Any, weight: Any, lanes: int, s: Any
) -> None:
    """Add four rows of samples to the sums of their pixels, and to the bounds that the median must keep.

    No sample is too high if the median is at least the greatest of all samples less their `up`, none too low if it
    is at most the least of all samples more their `down`.
    """
    wa = weight[0]
    ua = up[0]
    da = down[0]
    wb = weight[1]
    ub = up[1]
    db = down[1]
    wc = weight[2]
    uc = up[2]
    dc = down[2]
    wd = weight[3]
    ud = up[3]
    dd = down[3]
    for k in range(lanes):
        count = s[COUNT + k]
        total = s[TOTAL + k]
        weights = s[WEIGHTS + k]
        highest = s[_HIGHEST + k]
        lowest = s[_LOWEST + k]

        known = abs(a[k]) < BIG
        e = a[k] - sky if known else _ZERO
        count += _ONE if known else _ZERO
        total += wa * e
        weights += wa if known else _ZERO
        u = e - ua if known else -BIG
        v = e + da if known else BIG
        highest = u if u > highest else highest
        lowest = v if v < lowest else lowest

        known = abs(b[k]) < BIG
        e = b[k] - sky if known else _ZERO
        count += _ONE if known else _ZERO
        total += wb * e
        weights += wb if known else _ZERO
        u = e - ub if known else -BIG
        v = e + db if known else BIG
        highest = u if u > highest else highest
        lowest = v if v < lowest else lowest

        known = abs(c[k]) < BIG
        e = c[k] - sky if known else _ZERO
        count += _ONE if known else _ZERO
        total += wc * e
        weights += wc if known else _ZERO
        u = e - uc if known else -BIG
        v = e + dc if known else BIG
        highest = u if u > highest else highest
        lowest = v if v < lowest else lowest

        known = abs(d[k]) < BIG
        e = d[k] - sky if known else _ZERO
        count += _ONE if known else _ZERO
        total += wd * e
        weights += wd if known else _ZERO
        u = e - ud if known else -BIG
        v = e + dd if known else BIG
        highest = u if u > highest else highest
        lowest = v if v < lowest else lowest

        s[COUNT + k] = count
        s[TOTAL + k] = total
        s[WEIGHTS + k] = weights
        s[_HIGHEST + k] = highest
        s[_LOWEST + k] = lowest


@INNER
def _count(a: Any, b: Any, c: Any, d: Any, sky: Any, lanes: int, s: Any) -> None:
    """Of four rows of samples, how many are under the one bound of `_add` and over the other."""
    for k in range(lanes):
        highest = s[_HIGHEST + k]
        lowest = s[_LOWEST + k]
        below = s[BELOW + k]
        above = s[ABOVE + k]
        e = a[k] - sky
        known = abs(a[k]) < BIG
        below += _ONE if known & (e < highest) else _ZERO
        above += _ONE if known & (e > lowest) else _ZERO
        e = b[k] - sky
        known = abs(b[k]) < BIG
        below += _ONE if known & (e < highest) else _ZERO
        above += _ONE if known & (e > lowest) else _ZERO
        e = c[k] - sky
        known = abs(c[k]) < BIG
        below += _ONE if known & (e < highest) else _ZERO
        above += _ONE if known & (e > lowest) else _ZERO
        e = d[k] - sky
        known = abs(d[k]) < BIG
        below += _ONE if known & (e < highest) else _ZERO
        above += _ONE if known & (e > lowest) else _ZERO
        s[BELOW + k] = below
        s[ABOVE + k] = above


@INNER
def quick_block(
    samples: Any, x0: int, lanes: int, nothing: Any, sky: Any, up: Any, down: Any, weight: Any, s: Any
) -> None:
    """What the samples of a block of pixels sum up to, and whether their median lets any of them be too far off.

    The median of m samples is within the bounds, and so no sample beyond its limits, where neither more than
    (m - 1) // 2 are BELOW the one bound nor more than that ABOVE the other.

    Parameters
    ----------
    samples : float32 (n, columns or more), by frame; NaN and infinity are missing
    x0, lanes : the block's first pixel, and how many there are
    nothing : float32 (LANES,), a row without samples
    sky : origin of the sums
    up, down, weight : float32 (n + GROUP,): how far above and below the median each frame's samples may lie; weights
    s : float32 (SCRATCH,): gets at COUNT the number of samples, at TOTAL and WEIGHTS sums of their weights times
        what they are above the sky and of their weights, at BELOW and ABOVE the counts above
    """
    n = samples.shape[0]
    for k in range(SCRATCH):
        s[k] = _ZERO
    for k in range(LANES):
        s[_HIGHEST + k] = -BIG
        s[_LOWEST + k] = BIG
    for i in range(0, n, GROUP):
        b = samples[i + 1, x0:] if i + 1 < n else nothing
        c = samples[i + 2, x0:] if i + 2 < n else nothing
        d = samples[i + 3, x0:] if i + 3 < n else nothing
        _add(samples[i, x0:], b, c, d, sky, up[i:], down[i:], weight[i:], lanes, s)
    for i in range(0, n, GROUP):
        b = samples[i + 1, x0:] if i + 1 < n else nothing
        c = samples[i + 2, x0:] if i + 2 < n else nothing
        d = samples[i + 3, x0:] if i + 3 < n else nothing
        _count(samples[i, x0:], b, c, d, sky, lanes, s)
