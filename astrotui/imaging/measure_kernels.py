"""Compiled loops over hot pixels and over the surroundings of stars; imported by workers only.

`image` is a native uint16 or float32 array (H, W); NaN pixels take part in no result. `dark` is float32 of that
shape, to be subtracted on the way, or an array of shape (0, 0) where there is none: of a whole frame that would be
tens of megabytes, of its stars it is nothing.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astrotui.imaging.types import Float32Array

Index = NDArray[np.int32]


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
    margin = image.dtype.type(excess)  # in the image's own type, so that 16 pixels fit into a vector, not 4
    found = 0
    ring = np.empty(8, np.float32)
    inside = max(width - 4, 0)
    flags = np.zeros((inside + 7) // 8 * 8, np.uint8)
    words = flags.view(np.uint64)
    for y in range(2, height - 2):
        row, above, below = image[y], image[y - 2], image[y + 2]
        center, left, right = row[2 : 2 + inside], row[:inside], row[4 : 4 + inside]
        upper, lower = above[2 : 2 + inside], below[2 : 2 + inside]
        for i in range(inside):  # written so that the compiler makes vectors of it
            p, q = left[i], right[i]
            across = p if p < q else q
            p, q = upper[i], lower[i]
            along = p if p < q else q
            most = across if across > along else along
            flags[i] = (center[i] > most) & (image.dtype.type(center[i] - most) > margin)
        for word in range(len(words)):
            if words[word] == 0:
                continue
            for x in range(8 * word + 2, 8 * word + 10):
                if flags[x - 2] == 0:
                    continue
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
def hot_fill(
    image: NDArray[Any], dark: Float32Array, rows: Index, columns: Index, step: int, out: Float32Array
) -> None:
    """For each listed pixel the median of its up to 8 neighbours `step` away that are not listed, into `out`.

    `rows`, `columns` are in stored order. Where every neighbour is listed the pixel keeps its value. With a dark
    the median is that of what it leaves, and the pixel's own dark comes on top.
    """
    height, width = image.shape
    with_dark = dark.shape[0] > 0
    first = np.zeros(height + 1, np.int64)  # where each row's begin in the list
    for i in range(len(rows)):
        first[rows[i] + 1] += 1
    for y in range(height):
        first[y + 1] += first[y]
    near = np.empty(8, np.float32)
    for i in range(len(rows)):
        count = 0
        for dy in (-step, 0, step):
            y = rows[i] + dy
            if y < 0 or y >= height:
                continue
            for dx in (-step, 0, step):
                x = columns[i] + dx
                if (dy == 0 and dx == 0) or x < 0 or x >= width:
                    continue
                if _is_listed(columns, first[y], first[y + 1], x) or math.isnan(image[y, x]):
                    continue
                value = np.float32(image[y, x])
                if with_dark:
                    value -= dark[y, x]
                at = count  # kept in order
                while at > 0 and near[at - 1] > value:
                    near[at] = near[at - 1]
                    at -= 1
                near[at] = value
                count += 1
        if count == 0:
            out[i] = image[rows[i], columns[i]]
            continue
        half = count // 2
        out[i] = near[half] if count % 2 else (near[half - 1] + near[half]) / 2
        if with_dark:
            out[i] += dark[rows[i], columns[i]]


@njit(nogil=True, cache=True)
def _is_listed(columns: Index, low: int, high: int, x: int) -> bool:
    """Whether `x` is one of the increasing columns from `low` up to `high`."""
    while low < high:
        middle = (low + high) // 2
        if columns[middle] < x:
            low = middle + 1
        elif columns[middle] > x:
            high = middle
        else:
            return True
    return False


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
    dark: Float32Array,
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
    ring, some = np.empty(size * size, np.float64), np.empty(size * size, np.float64)
    each = 1.0 if parity < 0 else 2.0
    along = 1 if parity < 0 else 2
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
            for x in range(x0 if parity < 0 else x0 + (x0 + y + parity) % 2, x1 + 1, along):
                r2 = (x - cx) ** 2 + (y - cy) ** 2
                if inner * inner <= r2 <= outer * outer:
                    ring[count] = _level(image, dark, y, x)
                    count += math.isfinite(ring[count])
        if count < 12:
            continue
        # Neighbouring stars only add light: what lies over 3 sigma from the median goes, twice. Then the mean, not
        # the median: levels are whole numbers, in steps of up to 16.
        for _ in range(2):
            for k in range(count):
                some[k] = ring[k]
            middle = median_in(some, count)
            for k in range(count):
                some[k] = abs(ring[k] - middle)
            spread = max(4.4478 * median_in(some, count), 1.0)
            kept = 0
            for k in range(count):
                if abs(ring[k] - middle) <= spread:
                    ring[kept] = ring[k]
                    kept += 1
            if kept == count:
                break
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
                value = _level(image, dark, y, x) - sky
                total += value * _share(distance, x - cx, y - cy, radius)
                if distance < core + 0.75:
                    center += value * _share(distance, x - cx, y - cy, core)
        flux[i], core_flux[i] = each * total, each * center


@njit(nogil=True, cache=True)
def half_flux_radii(
    image: NDArray[Any],
    dark: Float32Array,
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
                    if reach * reach < r2 <= outer * outer:
                        ring[count] = _level(image, dark, y, x)
                        count += not math.isnan(ring[count])
        if count < 8:
            continue
        sky = np.float64(np.median(ring[:count]))
        growth[:] = 0.0
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                if parity >= 0 and (x + y) % 2 != parity:
                    continue
                if (x - cx) ** 2 + (y - cy) ** 2 > (reach + 1) ** 2:
                    continue
                value = _level(image, dark, y, x) - sky
                if math.isnan(value):
                    continue
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
def _level(image: NDArray[Any], dark: Float32Array, y: int, x: int) -> float:
    """One pixel without its dark."""
    value = np.float64(image[y, x])
    if dark.shape[0] > 0:
        value -= dark[y, x]
    return value


@njit(nogil=True, cache=True)
def median_in(values: NDArray[np.float64], count: int) -> Any:
    """The median of the first `count` finite values, at least 1, whose order is changed.

    Selection without branches that depend on the values, which a processor would guess wrong half of the time.
    """
    half = count // 2
    low, high = 0, count - 1
    while low < high:
        one, two, three = values[low], values[(low + high) // 2], values[high]
        pivot = max(min(one, two), min(max(one, two), three))
        edge = low
        for i in range(low, high + 1):
            value = values[i]
            values[i] = values[edge]
            values[edge] = value
            edge += value < pivot
        if half < edge:
            high = edge - 1
            continue
        for i in range(edge, high + 1):
            value = values[i]
            values[i] = values[edge]
            values[edge] = value
            edge += value == pivot
        if half < edge:
            break
        low = edge
    upper = values[half]
    if count % 2:
        return upper
    lower = values[0]
    for k in range(1, half):
        lower = max(lower, values[k])
    return (lower + upper) / 2


@njit(nogil=True, cache=True)
def _share(distance: float, dx: float, dy: float, radius: float) -> float:
    """How much of a pixel whose centre lies at (dx, dy) is inside a circle of `radius` around the origin."""
    if distance < radius - 0.57:  # the outermost of 25 points is 0.566 from the centre
        return 1.0
    if distance > radius + 0.57:
        return 0.0
    hits = 0
    for i in range(-2, 3):
        across = (dx + 0.2 * i) ** 2
        for j in range(-2, 3):
            hits += across + (dy + 0.2 * j) ** 2 <= radius * radius
    return hits / 25.0
