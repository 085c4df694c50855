"""Compiled least-squares fits of Moffat profiles to stars on a mosaic; imported by workers only.

The profile is I(v) = sky + A (1 + b v)^(-1/b) with v = q11 dx^2 + 2 q12 dx dy + q22 dy^2 and b = 1/beta, which
becomes the Gaussian exp(-v) as b goes to 0. It falls to A/2 at v = (2^b - 1) / b. Parameters are, in this order,
A, sky, x, y, q11, q12, q22, b. With `subsample` each pixel is the mean of 2x2 Gauss-Legendre points, so that shapes
are those of the light before pixels integrate it.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astrotui.imaging.measure_kernels import median_in
from astrotui.imaging.types import Float32Array

Float64 = NDArray[np.float64]
PARAMETERS = 8
FINE = 64  # entries of a profile's table per unit of v
TABLE = 48 * FINE  # entries; beyond, a profile is nothing
POINT = 0.5 / math.sqrt(3.0)
FLATTEST = 0.5  # b of beta = 2, about the broadest wings that seeing makes


def profile_table(b: float) -> Float64:
    """(1 + b v)^(-1/b), and the same divided by (1 + b v), at v = 0, 1/FINE, ...: float64 (TABLE, 2).

    Logarithms and exponentials are three quarters of a fit's time; where b is fixed, a line between two entries errs
    by less than 4e-5 of the peak.
    """
    v = np.arange(TABLE) / FINE
    shape = np.exp(-np.log1p(b * v) / b) if b > 1e-4 else np.exp(-v * (1 - 0.5 * b * v))
    return np.stack([shape, shape / (1 + b * v)], axis=1)


NO_TABLE = np.zeros((0, 2))


@njit(nogil=True, cache=True)
def _model(p: Float64, dx: float, dy: float, subsample: bool, table: Float64, grad: Float64) -> float:
    """Value at (dx, dy) from the star's centre without the sky; derivatives by A, x, y, q11, q12, q22, b.

    With a table of the profile at this b the derivative by b is left at 0.
    """
    for k in range(7):
        grad[k] = 0.0
    points = 2 if subsample else 1
    weight = 0.25 if subsample else 1.0
    total = 0.0
    b = p[7]
    last = len(table) - 1
    for i in range(points):
        for j in range(points):
            u = dx + (2 * i - 1) * POINT if subsample else dx
            w = dy + (2 * j - 1) * POINT if subsample else dy
            v = p[4] * u * u + 2 * p[5] * u * w + p[6] * w * w
            if last > 0:
                place = v * FINE
                if place >= last:
                    continue
                at = int(place)
                part = place - at
                shape = weight * (table[at, 0] + part * (table[at + 1, 0] - table[at, 0]))
                slope = -p[0] * weight * (table[at, 1] + part * (table[at + 1, 1] - table[at, 1]))
            else:
                base = 1.0 + b * v
                if b * v < 1e-4:
                    log = v * (1.0 - 0.5 * b * v)
                    by_b = 0.5 * v * v
                else:
                    log = math.log(base) / b
                    by_b = log / b - v / (b * base)
                shape = math.exp(-log) * weight
                slope = -p[0] * shape / base
                grad[6] += p[0] * shape * by_b
            total += shape
            grad[1] -= slope * 2 * (p[4] * u + p[5] * w)
            grad[2] -= slope * 2 * (p[5] * u + p[6] * w)
            grad[3] += slope * u * u
            grad[4] += slope * 2 * u * w
            grad[5] += slope * w * w
    grad[0] = total
    value: float = p[0] * total
    return value


@njit(nogil=True, cache=True)
def _solve(matrix: Float64, right: Float64, n: int, low: Float64, out: Float64) -> bool:
    """Cholesky solution of the first n equations; False when the matrix is not positive definite.

    `low` is room for the factor.
    """
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= low[i, k] * low[j, k]
            if i == j:
                if not total > 0:
                    return False
                low[i, i] = math.sqrt(total)
            else:
                low[i, j] = total / low[j, j]
    for i in range(n):
        total = right[i]
        for k in range(i):
            total -= low[i, k] * out[k]
        out[i] = total / low[i, i]
    for i in range(n - 1, -1, -1):
        total = out[i]
        for k in range(i + 1, n):
            total -= low[k, i] * out[k]
        out[i] = total / low[i, i]
    return True


@njit(nogil=True, cache=True)
def _equations(
    p: Float64,
    n: int,
    pixels: Float64,
    count: int,
    subsample: bool,
    table: Float64,
    scratch: Float64,
    matrix: Float64,
    right: Float64,
) -> float:
    """The normal equations at `p` for the first `n` parameters, and the sum of squared residuals.

    `pixels` (3, count or more) holds x, y and level of each.
    """
    grad, full = scratch[0], scratch[1]
    matrix[:] = 0.0
    right[:] = 0.0
    cost = 0.0
    for i in range(count):
        shape = _model(p, pixels[0, i] - p[2], pixels[1, i] - p[3], subsample, table, grad)
        full[0], full[1] = grad[0], 1.0
        for k in range(6):
            full[k + 2] = grad[k + 1]
        delta = pixels[2, i] - p[1] - shape
        cost += delta * delta
        for a in range(n):
            right[a] += full[a] * delta
            for c in range(a + 1):
                matrix[a, c] += full[a] * full[c]
    return cost


@njit(nogil=True, cache=True)
def _place_equations(
    p: Float64, pixels: Float64, count: int, table: Float64, matrix: Float64, right: Float64
) -> float:
    """As `_equations` with `subsample` and a table, for A, sky, x, y alone, in the same order of sums."""
    q11, q12, q22, twice = p[4], p[5], p[6], 2 * p[5]
    weight = 0.25
    factor = -p[0] * weight
    last = len(table) - 1
    cost = r0 = r1 = r2 = r3 = 0.0
    m00 = m10 = m20 = m21 = m22 = m30 = m31 = m32 = m33 = 0.0
    for i in range(count):
        dx, dy = pixels[0, i] - p[2], pixels[1, i] - p[3]
        total = by_x = by_y = 0.0
        for j in range(2):
            u = dx - POINT if j == 0 else dx + POINT
            along, cross, u11, u12 = q11 * u * u, twice * u, q11 * u, q12 * u
            for k in range(2):
                w = dy - POINT if k == 0 else dy + POINT
                place = (along + cross * w + q22 * w * w) * FINE
                if place >= last:
                    continue
                at = int(place)
                part = place - at
                total += weight * (table[at, 0] + part * (table[at + 1, 0] - table[at, 0]))
                slope = factor * (table[at, 1] + part * (table[at + 1, 1] - table[at, 1]))
                by_x -= slope * 2 * (u11 + q12 * w)
                by_y -= slope * 2 * (u12 + q22 * w)
        delta = pixels[2, i] - p[1] - p[0] * total
        cost += delta * delta
        r0 += total * delta
        r1 += delta
        r2 += by_x * delta
        r3 += by_y * delta
        m00 += total * total
        m10 += total
        m20 += by_x * total
        m21 += by_x
        m22 += by_x * by_x
        m30 += by_y * total
        m31 += by_y
        m32 += by_y * by_x
        m33 += by_y * by_y
    right[0], right[1], right[2], right[3] = r0, r1, r2, r3
    matrix[0, 0], matrix[1, 0], matrix[1, 1] = m00, m10, float(count)
    matrix[2, 0], matrix[2, 1], matrix[2, 2] = m20, m21, m22
    matrix[3, 0], matrix[3, 1], matrix[3, 2], matrix[3, 3] = m30, m31, m32, m33
    return cost


@njit(nogil=True, cache=True)
def fit_stars(
    image: NDArray[Any],
    dark: Float32Array,
    parity: int,
    xs: Float64,
    ys: Float64,
    start: Float64,
    n: int,
    table: Float64,
    radius: float,
    ceiling: float,
    hot: NDArray[np.int64],
    subsample: bool,
    rounds: int,
    out: Float64,
    residual: Float64,
) -> None:
    """Fit one profile to each star.

    Parameters
    ----------
    image : (H, W), uint16 or float32
    dark : float32 (H, W) to subtract first, or shape (0, 0)
    parity : 0 or 1 uses only pixels with (x + y) % 2 == parity (the greens of a mosaic); -1 uses all
    xs, ys : first guesses of the places, (n,)
    start : first guess of all parameters; A, sky, x, y are taken from the pixels
    n : how many parameters to fit, the first ones
    table : the profile at `start`'s b where b is not free; of length 0 otherwise
    radius : pixels within it of the guessed place take part
    ceiling : pixels from this level on, before the dark is taken off, are left out: they are saturated
    hot : y W + x of pixels to leave out, sorted
    out : (n, 8) parameters; x, y absolute. NaN where a fit failed
    residual : (n,) RMS of the residuals in ADU, NaN where it failed
    """
    height, width = image.shape
    with_dark = dark.shape[0] > 0
    reach = math.ceil(radius)
    side = 2 * reach + 1
    pixels, some = np.empty((3, side * side)), np.empty(side * side)
    places_only = n == 4 and subsample and len(table) > 0
    scratch, low_half = np.empty((2, PARAMETERS)), np.empty((PARAMETERS, PARAMETERS))
    normal, damped = np.empty((PARAMETERS, PARAMETERS)), np.empty((PARAMETERS, PARAMETERS))
    equations, gradient = np.empty((PARAMETERS, PARAMETERS)), np.empty(PARAMETERS)
    right, step = np.empty(PARAMETERS), np.empty(PARAMETERS)
    p, trial = np.empty(PARAMETERS), np.empty(PARAMETERS)
    for star in range(len(xs)):
        out[star, :] = np.nan
        residual[star] = np.nan
        cx, cy = round(xs[star]), round(ys[star])
        if cx < reach or cy < reach or cx >= width - reach or cy >= height - reach:
            continue
        count = 0
        low, high = np.inf, -np.inf
        for y in range(cy - reach, cy + reach + 1):
            at = np.searchsorted(hot, np.int64(y) * width + cx - reach)
            begin = cx - reach if parity < 0 else cx - reach + (cx - reach + y + parity) % 2
            for x in range(begin, cx + reach + 1, 1 if parity < 0 else 2):
                r2 = (x - xs[star]) ** 2 + (y - ys[star]) ** 2
                if r2 > radius * radius:
                    continue
                value = np.float64(image[y, x])
                if with_dark:
                    value -= dark[y, x]
                if not np.float64(image[y, x]) < ceiling or math.isnan(value):  # NaN too
                    continue
                place = np.int64(y) * width + x
                while at < len(hot) and hot[at] < place:
                    at += 1
                if at < len(hot) and hot[at] == place:
                    continue
                pixels[0, count], pixels[1, count], pixels[2, count] = x, y, value
                some[count] = value
                count += 1
                low = min(low, value)
                if r2 < 4:
                    high = max(high, value)
        if count < n + 4 or not high > low:
            continue
        p[:] = start
        p[1] = median_in(some, count)
        p[0] = max(high - p[1], 1e-3)
        p[2], p[3] = xs[star], ys[star]
        trial[:] = p
        cost = np.inf
        damping = 1e-3
        for _ in range(rounds):
            # Costs and equations at the trial at once: nearly every trial is taken.
            usable = (
                trial[4] > 0
                and trial[6] > 0
                and trial[4] * trial[6] > trial[5] * trial[5]
                and abs(trial[2] - xs[star]) < radius
                and abs(trial[3] - ys[star]) < radius
            )
            new_cost = np.inf
            if usable and places_only:
                new_cost = _place_equations(trial, pixels, count, table, equations, gradient)
            elif usable:
                new_cost = _equations(trial, n, pixels, count, subsample, table, scratch, equations, gradient)
            if new_cost < np.inf and new_cost <= cost:
                settled = cost - new_cost < 1e-4 * new_cost
                cost = new_cost
                p[:], normal[:], right[:] = trial, equations, gradient
                damping *= 0.1
                if settled:
                    break
            else:
                damping *= 10.0
                if damping > 1e6:
                    break
            for a in range(n):
                for c in range(a + 1):
                    damped[a, c] = normal[a, c]
                damped[a, a] = normal[a, a] * (1.0 + damping) + 1e-12
            if not _solve(damped, right, n, low_half, step):
                break
            trial[:] = p
            for a in range(n):
                trial[a] += step[a]
            trial[7] = min(max(trial[7], 0.0), FLATTEST)
        if p[0] > 0 and cost < np.inf:
            out[star] = p
            residual[star] = math.sqrt(cost / count)
