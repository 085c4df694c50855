"""Compiled loops over the pixels of one frame, for measuring it; imported by workers only.

`image` is a native uint16 or float32 array (H, W); NaN pixels take part in no result.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astrotui.imaging.types import Float32Array

Index = NDArray[np.int32]
CHUNK = 64  # pixels looked at together, so that the compiler can use vectors


@njit(nogil=True, cache=True)
def hot_scan(
    image: NDArray[Any], excess: float, spread: float, touch: float, rows: Index, columns: Index
) -> int:
    """Write the places of hot pixels into `rows`, `columns` in stored order; returns how many there are.

    Counting goes on when the arrays are full, so that a caller can see that they were too small.
    A pixel is hot when it exceeds all but one of the 8 pixels two steps away (its colour in a Bayer mosaic and in
    mono) by `excess` ADU, exceeds their mean by `spread` times their range, and its four touching pixels exceed
    *their* neighbours of the same colour, on average, by less than `touch` of what it exceeds its own. Of a bright
    one the strongest of the four may be hot as well.
    """
    height, width = image.shape
    limit = np.float32(excess)
    found = 0
    ring = np.empty(8, np.float32)
    flags = np.zeros(CHUNK, np.uint8)
    words = flags.view(np.uint64)
    for y in range(2, height - 2):
        row, above, below = image[y], image[y - 2], image[y + 2]
        for start in range(2, width - 2, CHUNK):
            stop = min(start + CHUNK, width - 2)
            center, left, right = row[start:stop], row[start - 2 : stop - 2], row[start + 2 : stop + 2]
            upper, lower = above[start:stop], below[start:stop]
            for i in range(stop - start):  # written so that the compiler makes vectors of it
                p, q = np.float32(left[i]), np.float32(right[i])
                across = p if p < q else q
                p, q = np.float32(upper[i]), np.float32(lower[i])
                along = p if p < q else q
                flags[i] = np.float32(center[i]) > (across if across > along else along) + limit
            candidates = np.uint64(0)
            for i in range(len(words)):
                candidates |= words[i]
            if candidates == 0:
                continue
            for x in range(start, stop):
                value = np.float32(row[x])
                if not value > np.float32(row[x - 2]) + limit and not value > np.float32(row[x + 2]) + limit:
                    continue
                ring[0], ring[1], ring[2] = above[x - 2], above[x], above[x + 2]
                ring[3], ring[4] = row[x - 2], row[x + 2]
                ring[5], ring[6], ring[7] = below[x - 2], below[x], below[x + 2]
                first, second, least, total = ring[0], np.float32(-np.inf), ring[0], ring[0]
                for i in range(1, 8):
                    r = ring[i]
                    total += r
                    if r > first:
                        first, second = r, first
                    elif r > second:
                        second = r
                    least = min(least, r)
                if not value > second + limit:
                    continue
                # One hot neighbour must not hide another: the mean is that of the other seven.
                mean = (total - first) / np.float32(7)
                if not value - mean > np.float32(spread) * (second - least):
                    continue
                # Excess of each touching pixel over the middle of four of its colour: one hot pixel among those
                # must not make a star look lonely.
                level = _middle_of_four(above[x - 1], above[x + 1], below[x - 1], below[x + 1])
                one, two = np.float32(row[x - 1]) - level, np.float32(row[x + 1]) - level
                before, after = image[y - 1], image[y + 1]
                level = _middle_of_four(before[x - 2], before[x + 2], after[x - 2], after[x + 2])
                three, four = np.float32(before[x]) - level, np.float32(after[x]) - level
                sum4 = (one + two) + (three + four)
                own = value - mean
                lonely = sum4 < np.float32(4.0 * touch) * own
                # A pair of touching hot pixels lights nothing else; a star between two pixels lights four more.
                sum3 = sum4 - max(max(one, two), max(three, four))
                pair = (
                    own > np.float32(2.0) * limit
                    and value > first + limit
                    and sum3 < np.float32(2.0 * touch) * own
                )
                if lonely or pair:
                    if found < len(rows):
                        rows[found], columns[found] = y, x
                    found += 1
    return found


@njit(nogil=True, cache=True)
def _middle_of_four(a: float, b: float, c: float, d: float) -> np.float32:
    """The mean of the two middle values."""
    p, q, r, s = np.float32(a), np.float32(b), np.float32(c), np.float32(d)
    low, high = min(min(p, q), min(r, s)), max(max(p, q), max(r, s))
    return np.float32(0.5) * (((p + q) + (r + s)) - low - high)


@njit(nogil=True, cache=True)
def hot_fill(image: NDArray[Any], rows: Index, columns: Index, step: int, out: Float32Array) -> None:
    """For each listed pixel the median of its up to 8 neighbours `step` away that are not listed, into `out`.

    `rows`, `columns` are in stored order. Where every neighbour is listed the pixel keeps its value.
    """
    height, width = image.shape
    flat = np.empty(len(rows), np.int64)
    for i in range(len(rows)):
        flat[i] = np.int64(rows[i]) * width + columns[i]
    near = np.empty(8, np.float32)
    for i in range(len(rows)):
        count = 0
        for dy in (-step, 0, step):
            for dx in (-step, 0, step):
                y, x = rows[i] + dy, columns[i] + dx
                if (dy == 0 and dx == 0) or y < 0 or x < 0 or y >= height or x >= width:
                    continue
                place = np.int64(y) * width + x
                at = np.searchsorted(flat, place)
                if (at < len(flat) and flat[at] == place) or math.isnan(image[y, x]):
                    continue
                near[count] = image[y, x]
                count += 1
        out[i] = np.median(near[:count]) if count else np.float32(image[rows[i], columns[i]])


@njit(nogil=True, cache=True)
def mean_of_two(image: NDArray[Any], ay: int, ax: int, by: int, bx: int, out: Float32Array) -> None:
    """Fill `out` (H // 2, W // 2) with the mean of two pixels of each 2x2 cell."""
    height, width = out.shape
    half = np.float32(0.5)
    for y in range(height):
        first, second, target = image[2 * y + ay], image[2 * y + by], out[y]
        for x in range(width):
            target[x] = half * (np.float32(first[2 * x + ax]) + np.float32(second[2 * x + bx]))


@njit(nogil=True, cache=True)
def mean_of_four(image: NDArray[Any], out: Float32Array) -> None:
    """Fill `out` (H // 2, W // 2) with the mean of each 2x2 block."""
    height, width = out.shape
    quarter = np.float32(0.25)
    for y in range(height):
        upper, lower, target = image[2 * y], image[2 * y + 1], out[y]
        for x in range(width):
            top = np.float32(upper[2 * x]) + np.float32(upper[2 * x + 1])
            bottom = np.float32(lower[2 * x]) + np.float32(lower[2 * x + 1])
            target[x] = quarter * (top + bottom)


@njit(nogil=True, cache=True)
def block_mean(image: Float32Array, size: int, out: Float32Array) -> None:
    """Fill `out` (H // size, W // size) with the mean of each block of `image`."""
    height, width = out.shape
    norm = np.float32(1.0 / (size * size))
    for y in range(height):
        target = out[y]
        for x in range(width):
            target[x] = 0
        for dy in range(size):
            row = image[y * size + dy]
            for x in range(width):
                total = np.float32(0)
                for dx in range(size):
                    total += row[x * size + dx]
                target[x] += total
        for x in range(width):
            target[x] *= norm


@njit(nogil=True, cache=True)
def subtract_smooth(image: Float32Array, coarse: Float32Array, factor: int) -> None:
    """Take a smooth surface off `image` in place; `coarse` samples it at the centres of `factor`-sized blocks.

    Bilinear between the samples, constant beyond the outer ones.
    """
    height, width = image.shape
    rows, columns = coarse.shape
    left = np.empty(width, np.int32)
    share = np.empty(width, np.float32)
    for x in range(width):
        at = min(max((x + 0.5) / factor - 0.5, 0.0), columns - 1.0)
        left[x] = min(int(at), max(columns - 2, 0))
        share[x] = at - left[x]
    line = np.empty(columns, np.float32)
    right = 1 if columns > 1 else 0
    for y in range(height):
        at = min(max((y + 0.5) / factor - 0.5, 0.0), rows - 1.0)
        top = min(int(at), max(rows - 2, 0))
        fraction = np.float32(at - top)
        upper, lower = coarse[top], coarse[min(top + 1, rows - 1)]
        for x in range(columns):
            line[x] = upper[x] + fraction * (lower[x] - upper[x])
        target = image[y]
        for x in range(width):
            a = line[left[x]]
            target[x] -= a + share[x] * (line[left[x] + right] - a)


@njit(nogil=True, cache=True)
def highest_near(
    image: NDArray[Any],
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
    reach: int,
    out: NDArray[np.float64],
) -> None:
    """The highest pixel of `image` within `reach` rows and columns of each place, into `out`."""
    height, width = image.shape
    for i in range(len(xs)):
        cx, cy = round(xs[i]), round(ys[i])
        highest = -np.inf
        for y in range(max(0, cy - reach), min(height, cy + reach + 1)):
            for x in range(max(0, cx - reach), min(width, cx + reach + 1)):
                highest = max(highest, np.float64(image[y, x]))
        out[i] = highest


@njit(nogil=True, cache=True)
def aperture_flux(
    image: NDArray[Any],
    parity: int,
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
    radius: float,
    inner: float,
    outer: float,
    core: float,
    flux: NDArray[np.float64],
    core_flux: NDArray[np.float64],
) -> None:
    """Flux within `radius` and within `core` of each place, above the sky in the ring from `inner` to `outer`.

    Pixels on the rim count by the share of a 5x5 grid that lies inside. `parity` chooses the pixels of one half of a
    chequerboard, as in `fit_stars`, which then count twice; -1 takes all. NaN where the aperture leaves the image or
    the ring holds fewer than 12 pixels.
    """
    height, width = image.shape
    size = 2 * math.ceil(outer) + 3
    ring = np.empty(size * size, np.float64)
    each = 1.0 if parity < 0 else 2.0
    for i in range(len(xs)):
        flux[i] = core_flux[i] = np.nan
        cx, cy = xs[i], ys[i]
        inside = cx >= radius and cy >= radius and cx <= width - 1 - radius and cy <= height - 1 - radius
        if not inside:  # also when a coordinate is NaN
            continue
        y0, y1 = max(0, int(cy - outer)), min(height - 1, int(cy + outer) + 1)
        x0, x1 = max(0, int(cx - outer)), min(width - 1, int(cx + outer) + 1)
        count = 0
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                if parity >= 0 and (x + y) % 2 != parity:
                    continue
                r2 = (x - cx) ** 2 + (y - cy) ** 2
                if inner * inner <= r2 <= outer * outer and math.isfinite(image[y, x]):
                    ring[count] = image[y, x]
                    count += 1
        if count < 12:
            continue
        # Neighbouring stars only add light: what lies over 3 sigma from the median goes, twice. Then the mean, not
        # the median: levels are whole numbers, in steps of up to 16.
        for _ in range(2):
            middle = np.median(ring[:count])
            spread = max(4.4478 * np.median(np.abs(ring[:count] - middle)), 1.0)
            kept = 0
            for k in range(count):
                if abs(ring[k] - middle) <= spread:
                    ring[kept] = ring[k]
                    kept += 1
            count = kept
        sky = ring[:count].mean()
        total, center = 0.0, 0.0
        for y in range(max(0, int(cy - radius)), min(height - 1, int(cy + radius) + 1) + 1):
            for x in range(max(0, int(cx - radius)), min(width - 1, int(cx + radius) + 1) + 1):
                if parity >= 0 and (x + y) % 2 != parity:
                    continue
                distance = math.sqrt((x - cx) ** 2 + (y - cy) ** 2)
                if distance > radius + 0.75:
                    continue
                value = np.float64(image[y, x]) - sky
                total += value * _share(distance, x - cx, y - cy, radius)
                if distance < core + 0.75:
                    center += value * _share(distance, x - cx, y - cy, core)
        flux[i], core_flux[i] = each * total, each * center


@njit(nogil=True, cache=True)
def half_flux_radii(
    image: NDArray[Any],
    parity: int,
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
    reach: float,
    grid: int,
    out: NDArray[np.float64],
    peaked: NDArray[np.float64],
) -> None:
    """The radius that holds half of the light within `reach` of each place, into `out`; NaN where there is none.

    `peaked` is the surface brightness within 0.4 of that radius over that around it (0.8 to 1.2): about 1.8 for a
    star, under 1 for a ring. The sky is the median between `reach` and 1.5 `reach`. Each pixel counts as grid x grid
    points of its level. `parity` chooses the pixels of one half of a chequerboard, as in `fit_stars`; -1 takes all.
    """
    height, width = image.shape
    outer = 1.5 * reach
    side = 2 * math.ceil(outer) + 3
    ring = np.empty(side * side, np.float32)
    fine = 20  # bins per pixel
    growth = np.empty(int(reach * fine) + 1)
    for i in range(len(xs)):
        out[i] = peaked[i] = np.nan
        cx, cy = xs[i], ys[i]
        if not (cx > reach and cy > reach and cx < width - 1 - reach and cy < height - 1 - reach):
            continue
        y0, y1 = max(0, int(cy - outer)), min(height - 1, int(cy + outer) + 1)
        x0, x1 = max(0, int(cx - outer)), min(width - 1, int(cx + outer) + 1)
        count = 0
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                if parity < 0 or (x + y) % 2 == parity:
                    r2 = (x - cx) ** 2 + (y - cy) ** 2
                    if reach * reach < r2 <= outer * outer and not math.isnan(image[y, x]):
                        ring[count] = image[y, x]
                        count += 1
        if count < 8:
            continue
        sky = np.float64(np.median(ring[:count]))
        growth[:] = 0.0
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                if (parity >= 0 and (x + y) % 2 != parity) or math.isnan(image[y, x]):
                    continue
                if (x - cx) ** 2 + (y - cy) ** 2 > (reach + 1) ** 2:
                    continue
                value = np.float64(image[y, x]) - sky
                for j in range(grid):
                    for k in range(grid):
                        dx = x - cx + (k + 0.5) / grid - 0.5
                        dy = y - cy + (j + 0.5) / grid - 0.5
                        at = int(math.sqrt(dx * dx + dy * dy) * fine)
                        if at < len(growth):
                            growth[at] += value
        half = 0.5 * growth.sum()
        if not half > 0:
            continue
        total = 0.0
        for at in range(len(growth)):
            if total + growth[at] >= half:
                out[i] = (at + (half - total) / growth[at]) / fine
                break
            total += growth[at]
        inner = int(0.4 * out[i] * fine)
        low, high = int(0.8 * out[i] * fine), int(1.2 * out[i] * fine)
        if inner > 0 and high <= len(growth):
            rim = growth[low:high].sum() / (high * high - low * low)
            if rim > 0:
                peaked[i] = growth[:inner].sum() / (inner * inner) / rim


@njit(nogil=True, cache=True)
def _share(distance: float, dx: float, dy: float, radius: float) -> float:
    """How much of a pixel whose centre lies at (dx, dy) is inside a circle of `radius` around the origin."""
    if distance < radius - 0.75:
        return 1.0
    if distance > radius + 0.75:
        return 0.0
    hits = 0
    for i in range(-2, 3):
        for j in range(-2, 3):
            hits += (dx + 0.2 * i) ** 2 + (dy + 0.2 * j) ** 2 <= radius * radius
    return hits / 25.0
