"""Compiled passes over whole frames that make the plane on which stars are sought; imported by workers only.

`image` is a native uint16 or float32 array (H, W). NaN pixels take part in no result.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astrotui.imaging.types import Float32Array

CHUNK = 64  # pixels looked at together, so that the compiler can use vectors


@njit(nogil=True, cache=True)
def noise_squares(
    image: NDArray[Any], dark: Float32Array, top: int, left: int, lag: int, stride: int, out: Float32Array
) -> int:
    """Half of |(a - b) - (c - d)| over squares of side `lag`, one every `stride` from (top, left); returns how many.

    `dark` is float32 of the image's shape, to be subtracted on the way, or of shape (0, 0).
    """
    height, width = image.shape
    count = 0
    with_dark = dark.shape[0] > 0
    for y in range(top, height - lag, stride):
        for x in range(left, width - lag, stride):
            upper = np.float32(image[y, x]) - np.float32(image[y, x + lag])
            lower = np.float32(image[y + lag, x]) - np.float32(image[y + lag, x + lag])
            if with_dark:
                upper -= dark[y, x] - dark[y, x + lag]
                lower -= dark[y + lag, x] - dark[y + lag, x + lag]
            value = abs(upper - lower) * np.float32(0.5)
            if math.isfinite(value) and count < len(out):
                out[count] = value
                count += 1
    return count


@njit(nogil=True, cache=True)
def clipped_sigma(values: Float32Array, start: float) -> float:
    """Standard deviation of a Gaussian whose absolute values `values` are, clipped at 3 sigma until it settles."""
    sigma = start
    for _ in range(8):
        limit = np.float32(3 * sigma)
        total, kept = 0.0, 0
        for value in values:
            inside = value <= limit
            total += np.float64(value) * value if inside else 0.0
            kept += inside
        new = math.sqrt(total / kept) / 0.98658 if kept else 0.0
        if abs(new - sigma) <= 1e-3 * sigma:
            return new
        sigma = new
    return sigma


@njit(nogil=True, cache=True)
def mean_of_two(
    image: NDArray[Any], ay: int, ax: int, by: int, bx: int, full: float, out: Float32Array
) -> int:
    """Fill `out` (H // 2, W // 2) with the mean of two pixels of each 2x2 cell; returns how many of these reach `full`."""
    height, width = out.shape
    half, limit = np.float32(0.5), np.float32(2 * full)
    reached = 0
    for y in range(height):
        first, second, target = image[2 * y + ay], image[2 * y + by], out[y]
        count: Any = np.int32(0)
        for x in range(width):
            total = np.float32(first[2 * x + ax]) + np.float32(second[2 * x + bx])
            count += np.int32(total >= limit)
            target[x] = half * total
        reached += count
    return reached


@njit(nogil=True, cache=True)
def mean_of_halves(
    words: NDArray[np.uint32], ay: int, ax: int, by: int, bx: int, full: float, out: Float32Array
) -> int:
    """`mean_of_two` of a uint16 image whose rows are given as `words` of two pixels each.

    `ax`, `bx` are by how many bits a word is shifted right for the pixel: 0 or 16.
    """
    height, width = out.shape
    half, limit = np.float32(0.5), np.float32(2 * full)
    low = np.uint32(0xFFFF)
    right, other = np.uint32(ax), np.uint32(bx)
    reached = 0
    for y in range(height):
        first, second, target = words[2 * y + ay], words[2 * y + by], out[y]
        count: Any = np.int32(0)
        for x in range(width):
            total = np.float32(np.int32(((first[x] >> right) & low) + ((second[x] >> other) & low)))
            count += np.int32(total >= limit)
            target[x] = half * total
        reached += count
    return reached


@njit(nogil=True, cache=True)
def mean_of_four(image: NDArray[Any], full: float, out: Float32Array) -> int:
    """Fill `out` (H // 2, W // 2) with the mean of each 2x2 block; returns how many of these reach `full`."""
    height, width = out.shape
    quarter, limit = np.float32(0.25), np.float32(4 * full)
    reached = 0
    for y in range(height):
        upper, lower, target = image[2 * y], image[2 * y + 1], out[y]
        count: Any = np.int32(0)
        for x in range(width):
            top = np.float32(upper[2 * x]) + np.float32(upper[2 * x + 1])
            total = top + (np.float32(lower[2 * x]) + np.float32(lower[2 * x + 1]))
            count += np.int32(total >= limit)
            target[x] = quarter * total
        reached += count
    return reached


@njit(nogil=True, cache=True)
def whole(image: NDArray[Any], full: float, out: Float32Array) -> int:
    """Fill `out` (H, W) with the pixels themselves; returns how many reach `full`."""
    height, width = out.shape
    limit = np.float32(full)
    reached = 0
    for y in range(height):
        row, target = image[y], out[y]
        count: Any = np.int32(0)
        for x in range(width):
            value = np.float32(row[x])
            count += np.int32(value >= limit)
            target[x] = value
        reached += count
    return reached


@njit(nogil=True, cache=True)
def sample_pairs(image: Float32Array, step: int, out: Float32Array) -> None:
    """Fill `out` (H // step, W // step) with the mean of 2x2 pixels in the middle of each `step`-sized block.

    Enough for a smooth sky, and stars touch fewer of these than they would of whole blocks.
    """
    height, width = out.shape
    quarter = np.float32(0.25)
    middle = step // 2 - 1
    for y in range(height):
        upper, lower = image[y * step + middle], image[y * step + middle + 1]
        for x in range(width):
            at = x * step + middle
            out[y, x] = quarter * ((upper[at] + upper[at + 1]) + (lower[at] + lower[at + 1]))


@njit(nogil=True, cache=True)
def block_mean(image: Float32Array, size: int, out: Float32Array) -> None:
    """Fill `out` (H // size, W // size) with the mean of each block of `image`."""
    height, width = out.shape
    norm = np.float32(1.0 / (size * size))
    used = width * size
    line = np.empty(used, np.float32)
    for y in range(height):
        first = image[y * size]
        for x in range(used):
            line[x] = first[x]
        for dy in range(1, size):
            row = image[y * size + dy]
            for x in range(used):
                line[x] += row[x]
        target = out[y]
        for x in range(width):
            total = line[x * size]
            for dx in range(1, size):
                total += line[x * size + dx]
            target[x] = total * norm


@njit(nogil=True, cache=True)
def subtract_and_filter(
    image: Float32Array, coarse: Float32Array, factor: int, side: float, out: Float32Array
) -> None:
    """Take a smooth surface off `image` in place, and write that, filtered by a small star, into `out`.

    `coarse` samples the surface at the centres of `factor`-sized blocks: bilinear between the samples, constant beyond
    the outer ones. What is not finite becomes 0. The filter is the outer product of (side, 1 - 2 side, side) with
    itself; the outermost pixels are filtered with zeros beyond the edge.
    """
    height, width = image.shape
    rows, columns = coarse.shape
    left = np.empty(width, np.int32)
    share = np.empty(width, np.float32)
    for x in range(width):
        at = min(max((x + 0.5) / factor - 0.5, 0.0), columns - 1.0)
        left[x] = min(int(at), max(columns - 2, 0))
        share[x] = at - left[x]
    right = 1 if columns > 1 else 0
    a, b = np.float32(side), np.float32(1 - 2 * side)
    across = np.zeros((3, width), np.float32)  # the last three rows, filtered along themselves
    upper, lower = np.empty(width, np.float32), np.empty(width, np.float32)
    laid = -1
    for y in range(height + 1):
        newest = across[y % 3]
        if y < height:
            at = min(max((y + 0.5) / factor - 0.5, 0.0), rows - 1.0)
            top = min(int(at), max(rows - 2, 0))
            fraction = np.float32(at - top)
            if top != laid:
                one, two = coarse[top], coarse[min(top + 1, rows - 1)]
                for x in range(width):
                    upper[x] = one[left[x]] + share[x] * (one[left[x] + right] - one[left[x]])
                    lower[x] = two[left[x]] + share[x] * (two[left[x] + right] - two[left[x]])
                laid = top
            target = image[y]
            for x in range(width):
                value = target[x] - (upper[x] + fraction * (lower[x] - upper[x]))
                target[x] = value if abs(value) < np.float32(np.inf) else np.float32(0)
            for x in range(1, width - 1):
                newest[x] = b * target[x] + a * (target[x - 1] + target[x + 1])
            newest[0] = b * target[0] + a * target[1]
            newest[width - 1] = b * target[width - 1] + a * target[width - 2]
        else:
            newest[:] = np.float32(0)
        if y > 0:
            before, middle, filtered = across[(y - 2) % 3], across[(y - 1) % 3], out[y - 1]
            for x in range(width):
                filtered[x] = b * middle[x] + a * (before[x] + newest[x])


@njit(nogil=True, cache=True)
def cell_means(image: NDArray[Any], cell: int, factor: int, out: Float32Array) -> None:
    """Fill `out` (cell cell, h, w) with means over blocks of `factor` x `factor` cells of cell x cell pixels.

    Plane `cell` dy + dx holds the pixels at row dy and column dx of each cell: for a mosaic (`cell` 2) one
    color each, for mono (`cell` 1) all. What is not finite does not count; NaN where nothing does.
    """
    _, height, width = out.shape
    side = cell * factor
    used = width * side
    line = np.empty(used, np.float32)
    norm = np.float32(1.0 / (factor * factor))
    for y in range(height):
        for dy in range(cell):
            line[:] = np.float32(0)
            for j in range(factor):
                row = image[y * side + j * cell + dy]
                for x in range(used):
                    line[x] += np.float32(row[x])
            for dx in range(cell):
                target = out[cell * dy + dx, y]
                for x in range(width):
                    total = np.float32(0)
                    for i in range(factor):
                        total += line[x * side + i * cell + dx]
                    target[x] = total * norm
                    if not math.isfinite(total):
                        target[x] = _finite_mean(image, y * side + dy, x * side + dx, cell, factor)


@njit(nogil=True, cache=True)
def _finite_mean(image: NDArray[Any], top: int, left: int, step: int, count: int) -> float:
    """The mean of what is finite among count x count pixels, `step` apart, from (top, left)."""
    total, number = 0.0, 0
    for j in range(count):
        for i in range(count):
            value = np.float64(image[top + j * step, left + i * step])
            if math.isfinite(value):
                total += value
                number += 1
    return total / number if number else np.nan


@njit(nogil=True, cache=True)
def find_peaks(image: Float32Array, threshold: float, values: Float32Array) -> int:
    """Levels of the pixels above `threshold` that exceed their 8 neighbors, two of which must be above it too.

    Counting goes on when `values` is full.
    """
    height, width = image.shape
    limit = np.float32(threshold)
    found = 0
    for y in range(1, height - 1):
        row = image[y]
        for start in range(1, width - 1, CHUNK):
            part = row[start : min(start + CHUNK, width - 1)]
            above_it = np.uint8(0)
            for i in range(len(part)):  # written so that the compiler makes vectors of it
                above_it |= np.uint8(part[i] > limit)
            if above_it == 0:
                continue
            for x in range(start, start + len(part)):
                value = row[x]
                if not value > limit or row[x - 1] > value or row[x + 1] >= value:
                    continue
                above = 0
                highest = True
                for j in (y - 1, y, y + 1):
                    for i in (x - 1, x, x + 1):
                        other = image[j, i]
                        above += other > limit
                        # Of two equal neighbors the later one is the peak.
                        if other > value or (other == value and (j > y or (j == y and i > x))):
                            highest = False
                if highest and above >= 3:
                    if found < len(values):
                        values[found] = value
                    found += 1
    return found


@njit(nogil=True, cache=True)
def extremes(image: NDArray[Any]) -> tuple[Any, Any, int]:
    """The least and the greatest value of an integer image (H, W), and how many pixels have the greatest."""
    low = high = image[0, 0]
    count = 0
    for y in range(image.shape[0]):
        row = image[y]
        least = most = row[0]
        for x in range(len(row)):
            value = row[x]
            least = value if value < least else least
            most = value if value > most else most
        low = min(low, least)
        if most < high:
            continue
        if most > high:
            high, count = most, 0
        for x in range(len(row)):
            count += row[x] == high
    return low, high, count
