"""Compiled `auto` rejection of many frames: samples in units of their frame's noise, clipped where one lies far off.

Most pixels need no clip: a bound on the median tells that none of their samples can be beyond the limits, and their
mean is taken at once. The others are gathered in queues of LANES pixels, sorted and clipped. Where the image is steep
frames of other seeing differ by more than noise: pixels that lost samples there are judged again, more mildly.
"""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import (
    BIG,
    INNER,
    KERNEL,
    LANES,
    SCRATCH_ROWS,
    average_block,
    clip_block,
    sort_block,
)
from astrotui.imaging.quick_kernels import ABOVE, BELOW, COUNT, GROUP, SCRATCH, TOTAL, WEIGHTS, quick_block

MARGIN = 1
"""Pixels around what is wanted that `auto_tile` looks at."""

STEEP = np.float32(0.1)
"""Share of the steepest difference to a neighbor that seeing and residual shifts are taken to change."""

_IGNORED = np.float32(0.1)  # added variance that is not worth judging again for
_ZERO = np.float32(0)
_ONE = np.float32(1)
_HALF = np.float32(0.5)


@INNER
def _gather(samples: Any, x: int, queue: Any, place: int) -> None:
    """Copy the samples of a pixel into a column of a queue, missing ones as BIG."""
    for i in range(samples.shape[0]):
        value = samples[i, x]
        queue[i, place] = value if abs(value) < BIG else BIG


@INNER
def _settle(
    queue: Any,
    queued: Any,
    floors: Any,
    count: int,
    net: Any,
    low: Any,
    high: Any,
    inverse_sigma: Any,
    weight: Any,
    work: Any,
    t: Any,
    ends: Any,
    value: Any,
    below: Any,
    above: Any,
) -> None:
    """Clip and average the pixels of a queue; results go to their places in `value`, `below`, `above`.

    Parameters
    ----------
    queue : float32 (n, LANES), samples of each pixel in the order of frames, missing ones BIG
    queued : int32 (2, LANES), row and column of each pixel
    floors : float32 (LANES,), least sigma of each pixel
    work : float32 (n, LANES), scratch
    t, ends : float32 (SCRATCH_ROWS, LANES) and (4, LANES), scratch
    """
    n = queue.shape[0]
    lo = ends[0]
    hi = ends[1]
    median = ends[2]
    out = ends[3]
    known = np.zeros(LANES, np.int32)
    first = np.zeros(LANES, np.int32)
    last = np.empty(LANES, np.int32)
    padded = (count + 15) // 16 * 16
    for i in range(n):
        for j in range(count, padded):
            queue[i, j] = BIG
        for j in range(padded):
            x = queue[i, j]
            work[i, j] = x
            known[j] += 1 if x < BIG else 0
    sort_block(work, net, padded)
    for j in range(padded):
        m = known[j]
        last[j] = m
        median[j] = _HALF * (work[m // 2, j] + work[(m - 1) // 2, j]) if m > 0 else _ZERO
    for i in range(n):
        for j in range(padded):
            r = (queue[i, j] - median[j]) * inverse_sigma[i]
            work[i, j] = r if queue[i, j] < BIG else BIG
    sort_block(work, net, padded)
    clip_block(work, count, True, low, high, floors, first, last, lo, hi, t)
    average_block(queue, 0, count, inverse_sigma, weight, lo, hi, median, t, out)
    for j in range(count):
        y = queued[0, j]
        x = queued[1, j]
        value[y, x] = out[j]
        below[y, x] = np.uint16(first[j])
        above[y, x] = np.uint16(known[j] - last[j])


@INNER
def _steepest(image: Any, y: int, x: int) -> Any:
    """Greatest difference of a pixel to those of its eight neighbors that hold anything."""
    height, width = image.shape
    center = image[y, x]
    steepest = _ZERO
    for v in range(max(y - 1, 0), min(y + 2, height)):
        for u in range(max(x - 1, 0), min(x + 2, width)):
            step = abs(image[v, u] - center)
            steepest = step if steepest < step < BIG else steepest
    return steepest


@KERNEL
def auto_tile(
    tile: Any,
    columns: int,
    top: int,
    left: int,
    net: Any,
    low: Any,
    high: Any,
    inverse_sigma: Any,
    weight: Any,
    sigma: Any,
    photon: Any,
    sky: Any,
    value: Any,
    low_rejected: Any,
    high_rejected: Any,
    found: Any,
) -> None:
    """Reject and combine a tile: the winsorized clip of residuals divided by each frame's sigma.

    The sigma that a pixel is judged by is at least 1. Where samples go nevertheless, and photons or the steepness
    of the image explain more than noise, it is at least sqrt(1 + photon noise + (STEEP x steepest)^2), in units of
    the typical frame's sigma.

    Parameters
    ----------
    tile : float32 (planes, rows, n, columns or more), NaN and infinity missing, with a margin around what is wanted
    columns : width of the tile in pixels, margins included
    top, left : the margins: value[:, 0, 0] is at tile[:, top, :, left]; MARGIN, or 0 at an edge of all there is
    net : int32 (m, 2), comparators that sort n samples
    low, high : kappas
    inverse_sigma : float32 (planes, n)
    weight : float32 (n,)
    sigma : float32 (planes,), of the typical frame, in ADU
    photon : float32 (planes,), variance per ADU above the sky of the typical frame
    sky : float32 (planes,), in ADU
    value : float32 (planes, rows, columns), gets the combination, NaN without a sample
    low_rejected, high_rejected, found : uint16 (planes, rows, columns), get counts of samples
    """
    n = tile.shape[2]
    rows = tile.shape[1]
    s = np.empty(SCRATCH, np.float32)
    nothing = np.full(LANES, np.float32(np.nan))
    work = np.empty((n, LANES), np.float32)
    queue = np.empty((n, LANES), np.float32)
    queued = np.empty((2, LANES), np.int32)
    floors = np.empty(LANES, np.float32)
    t = np.empty((SCRATCH_ROWS, LANES), np.float32)
    ends = np.empty((4, LANES), np.float32)
    image = np.empty((rows, columns), np.float32)
    below = np.empty((rows, columns), np.uint16)
    above = np.empty((rows, columns), np.uint16)
    known = np.empty((rows, columns), np.uint16)
    up = np.zeros(n + GROUP, np.float32)
    down = np.zeros(n + GROUP, np.float32)
    padded_weight = np.zeros(n + GROUP, np.float32)
    padded_weight[:n] = weight
    for plane in range(tile.shape[0]):
        scale = inverse_sigma[plane]
        ground = sky[plane]
        for i in range(n):
            up[i] = high / scale[i]
            down[i] = low / scale[i]
        count = 0
        for y in range(rows):
            samples = tile[plane, y]
            for x0 in range(0, columns, LANES):
                lanes = min(LANES, columns - x0)
                padded = (lanes + 15) // 16 * 16  # whole vectors; a tile is wide enough
                quick_block(samples, x0, padded, nothing, ground, up, down, padded_weight, s)
                for k in range(lanes):
                    m = s[COUNT + k]
                    known[y, x0 + k] = np.uint16(m)
                    below[y, x0 + k] = np.uint16(0)
                    above[y, x0 + k] = np.uint16(0)
                    if m == _ZERO:
                        image[y, x0 + k] = np.float32(np.nan)
                        continue
                    image[y, x0 + k] = ground + s[TOTAL + k] / s[WEIGHTS + k]
                    half = np.float32((int(m) - 1) // 2)
                    if s[BELOW + k] <= half and s[ABOVE + k] <= half:
                        continue
                    _gather(samples, x0 + k, queue, count)
                    queued[0, count] = y
                    queued[1, count] = x0 + k
                    floors[count] = _ONE
                    count += 1
                    if count == LANES:
                        _settle(
                            queue,
                            queued,
                            floors,
                            count,
                            net,
                            low,
                            high,
                            scale,
                            weight,
                            work,
                            t,
                            ends,
                            image,
                            below,
                            above,
                        )
                        count = 0
        if count > 0:
            _settle(
                queue,
                queued,
                floors,
                count,
                net,
                low,
                high,
                scale,
                weight,
                work,
                t,
                ends,
                image,
                below,
                above,
            )
        count = 0
        steep = STEEP / sigma[plane]
        glow = photon[plane] / (sigma[plane] * sigma[plane])
        for y in range(value.shape[1]):
            for x in range(value.shape[2]):
                v = y + top
                u = x + left
                value[plane, y, x] = image[v, u]
                low_rejected[plane, y, x] = below[v, u]
                high_rejected[plane, y, x] = above[v, u]
                found[plane, y, x] = known[v, u]
                if below[v, u] + above[v, u] == 0:
                    continue
                light = image[v, u] - ground
                slope = steep * _steepest(image, v, u)
                added = slope * slope + glow * (light if light > _ZERO else _ZERO)
                if added < _IGNORED:
                    continue
                _gather(tile[plane, v], u, queue, count)
                queued[0, count] = y
                queued[1, count] = x
                floors[count] = np.sqrt(_ONE + added)
                count += 1
                if count == LANES:
                    _settle(
                        queue,
                        queued,
                        floors,
                        count,
                        net,
                        low,
                        high,
                        scale,
                        weight,
                        work,
                        t,
                        ends,
                        value[plane],
                        low_rejected[plane],
                        high_rejected[plane],
                    )
                    count = 0
        if count > 0:
            _settle(
                queue,
                queued,
                floors,
                count,
                net,
                low,
                high,
                scale,
                weight,
                work,
                t,
                ends,
                value[plane],
                low_rejected[plane],
                high_rejected[plane],
            )
