"""Compiled sums over taps: the weights of six-tap kernels as polynomials, and what they make of rows of pixels.

Kernels that are four pixels wide have functions of their own, which take two thirds and, in two directions at once,
half the time.
"""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import INNER
from astrotui.imaging.debayer import STRIDE
from astrotui.imaging.lanes import four_weights, sum_taps

TAPS = 6
COLUMNS = 512
"""Greatest width of a tile of the result, and the distance between rows of weights."""

WEIGHTS = (TAPS + 1) * COLUMNS
"""Numbers that `tap_weights` writes."""

FIRST_PASS_ROW = 3 * COLUMNS + 16
"""Distance between rows of the first pass, each with up to three planes; no power of two, for the caches' sake."""

_HALF = np.float32(0.5)
_NAN = np.float32(np.nan)
_1 = np.uint64(1)
_2 = np.uint64(2)
_3 = np.uint64(3)
_4 = np.uint64(4)
_5 = np.uint64(5)


@INNER
def tap_weights(
    base: float, slope: float, first: int, count: int, table: Any, nearest: bool, whole: Any, weights: Any
) -> None:
    """Weights of the taps at positions base + slope * (first + X), X = 0 .. count - 1.

    Parameters
    ----------
    table : float32 (3, 10), see `resample.weight_table`
    nearest : round the position first
    whole : int32 (count,), gets the whole part of each position, the third of the six taps
    weights : float32 (WEIGHTS,), gets the weights, one tap after the other, and scratch
    """
    past = weights[TAPS * COLUMNS :]  # position past the middle of the inner taps
    for X in range(count):
        position = base + slope * (first + X)
        floor = np.floor(position)
        whole[X] = np.int32(floor)
        past[X] = np.float32(position - floor) - _HALF
    if nearest:
        for X in range(count):
            past[X] = _HALF if past[X] >= np.float32(0) else -_HALF
    for p in range(3):
        _tap_pair(table[p], count, past, weights[(3 + p) * COLUMNS :], weights[(2 - p) * COLUMNS :])


@INNER
def _tap_pair(table: Any, count: int, past: Any, right: Any, left: Any) -> None:
    """Weights of two taps at equal distances from the middle."""
    e0 = table[0]
    e1 = table[1]
    e2 = table[2]
    e3 = table[3]
    e4 = table[4]
    o0 = table[5]
    o1 = table[6]
    o2 = table[7]
    o3 = table[8]
    o4 = table[9]
    for X in range(count):
        t = past[X]
        q = t * t
        even = (((e4 * q + e3) * q + e2) * q + e1) * q + e0
        odd = ((((o4 * q + o3) * q + o2) * q + o1) * q + o0) * t
        right[X] = even + odd
        left[X] = even - odd


@INNER
def all_weights(table: Any, nearest: bool, count: int, past: Any, weights: Any) -> None:
    """Weights of six taps of many positions, each told past the middle of the inner two."""
    if nearest:
        for i in range(count):
            past[i] = _HALF if past[i] >= np.float32(0) else -_HALF
    for p in range(3):
        _tap_pair(table[p], count, past, weights[(3 + p) * COLUMNS :], weights[(2 - p) * COLUMNS :])


@INNER
def is_narrow(table: Any, nearest: bool) -> bool:
    """Whether a `resample.weight_table` gives its outer two taps no weight: that of all kernels but lanczos3."""
    for j in range(table.shape[1]):
        if table[2, j] != np.float32(0):
            return False
    return not nearest


@INNER
def run_along(source: Any, count: int, weights: Any, allow: Any, out: Any) -> None:
    """out[i] from the six pixels from source[i] on; not below the inner two by more than `allow`."""
    for i in range(count):
        b = source[i + 2]
        c = source[i + 3]
        v = (
            weights[i] * source[i]
            + weights[COLUMNS + i] * source[i + 1]
            + weights[2 * COLUMNS + i] * b
            + weights[3 * COLUMNS + i] * c
            + weights[4 * COLUMNS + i] * source[i + 4]
            + weights[5 * COLUMNS + i] * source[i + 5]
        )
        limit = (b if b < c else c) - allow
        out[i] = limit if v < limit else v


@INNER
def run_along_colors(source: Any, count: int, weights: Any, allow: Any, out: Any) -> None:
    """As `run_along`, of three planes STRIDE apart into rows COLUMNS apart: weights are loaded once."""
    for i in range(count):
        w0 = weights[i]
        w1 = weights[COLUMNS + i]
        w2 = weights[2 * COLUMNS + i]
        w3 = weights[3 * COLUMNS + i]
        w4 = weights[4 * COLUMNS + i]
        w5 = weights[5 * COLUMNS + i]
        b = source[i + 2]
        c = source[i + 3]
        v = w0 * source[i] + w1 * source[i + 1] + w2 * b + w3 * c + w4 * source[i + 4] + w5 * source[i + 5]
        limit = (b if b < c else c) - allow
        out[i] = limit if v < limit else v
        b = source[STRIDE + i + 2]
        c = source[STRIDE + i + 3]
        v = (
            w0 * source[STRIDE + i]
            + w1 * source[STRIDE + i + 1]
            + w2 * b
            + w3 * c
            + w4 * source[STRIDE + i + 4]
            + w5 * source[STRIDE + i + 5]
        )
        limit = (b if b < c else c) - allow
        out[COLUMNS + i] = limit if v < limit else v
        b = source[2 * STRIDE + i + 2]
        c = source[2 * STRIDE + i + 3]
        v = (
            w0 * source[2 * STRIDE + i]
            + w1 * source[2 * STRIDE + i + 1]
            + w2 * b
            + w3 * c
            + w4 * source[2 * STRIDE + i + 4]
            + w5 * source[2 * STRIDE + i + 5]
        )
        limit = (b if b < c else c) - allow
        out[2 * COLUMNS + i] = limit if v < limit else v


@INNER
def run_along_colors_4(source: Any, count: int, weights: Any, allow: Any, out: Any) -> None:
    """As `run_along_colors` by the inner four taps."""
    for i in range(count):
        w1 = weights[COLUMNS + i]
        w2 = weights[2 * COLUMNS + i]
        w3 = weights[3 * COLUMNS + i]
        w4 = weights[4 * COLUMNS + i]
        b = source[i + 2]
        c = source[i + 3]
        v = w1 * source[i + 1] + w2 * b + w3 * c + w4 * source[i + 4]
        limit = (b if b < c else c) - allow
        out[i] = limit if v < limit else v
        b = source[STRIDE + i + 2]
        c = source[STRIDE + i + 3]
        v = w1 * source[STRIDE + i + 1] + w2 * b + w3 * c + w4 * source[STRIDE + i + 4]
        limit = (b if b < c else c) - allow
        out[COLUMNS + i] = limit if v < limit else v
        b = source[2 * STRIDE + i + 2]
        c = source[2 * STRIDE + i + 3]
        v = w1 * source[2 * STRIDE + i + 1] + w2 * b + w3 * c + w4 * source[2 * STRIDE + i + 4]
        limit = (b if b < c else c) - allow
        out[2 * COLUMNS + i] = limit if v < limit else v


@INNER
def run_down(source: Any, count: int, weights: Any, allow: Any, factor: Any, offset: Any, out: Any) -> None:
    """As `run_along` from six rows of a first pass, then times `factor` plus `offset`."""
    for i in range(count):
        b = source[2 * FIRST_PASS_ROW + i]
        c = source[3 * FIRST_PASS_ROW + i]
        v = (
            weights[i] * source[i]
            + weights[COLUMNS + i] * source[FIRST_PASS_ROW + i]
            + weights[2 * COLUMNS + i] * b
            + weights[3 * COLUMNS + i] * c
            + weights[4 * COLUMNS + i] * source[4 * FIRST_PASS_ROW + i]
            + weights[5 * COLUMNS + i] * source[5 * FIRST_PASS_ROW + i]
        )
        limit = (b if b < c else c) - allow
        out[i] = (limit if v < limit else v) * factor + offset


@INNER
def run_down_4(source: Any, count: int, weights: Any, allow: Any, factor: Any, offset: Any, out: Any) -> None:
    """As `run_down` by the inner four taps."""
    for i in range(count):
        b = source[2 * FIRST_PASS_ROW + i]
        c = source[3 * FIRST_PASS_ROW + i]
        v = (
            weights[COLUMNS + i] * source[FIRST_PASS_ROW + i]
            + weights[2 * COLUMNS + i] * b
            + weights[3 * COLUMNS + i] * c
            + weights[4 * COLUMNS + i] * source[4 * FIRST_PASS_ROW + i]
        )
        limit = (b if b < c else c) - allow
        out[i] = (limit if v < limit else v) * factor + offset


@INNER
def run_general(
    source: Any,
    width: int,
    count: int,
    at: Any,
    wx: Any,
    wy: Any,
    allow: Any,
    factor: Any,
    offset: Any,
    out: Any,
) -> None:
    """One plane at many positions, each from the 6x6 pixels from number `at` on; negative where there are none."""
    step = np.uint64(width)
    for i in range(count):
        if at[i] < 0:
            out[i] = _NAN
            continue
        a0 = wx[i]
        a1 = wx[COLUMNS + i]
        a2 = wx[2 * COLUMNS + i]
        a3 = wx[3 * COLUMNS + i]
        a4 = wx[4 * COLUMNS + i]
        a5 = wx[5 * COLUMNS + i]
        v = np.float32(0)
        p = np.uint64(at[i])  # unsigned: no test for an index from the end
        for j in range(TAPS):
            v += wy[j * COLUMNS + i] * (
                a0 * source[p]
                + a1 * source[p + _1]
                + a2 * source[p + _2]
                + a3 * source[p + _3]
                + a4 * source[p + _4]
                + a5 * source[p + _5]
            )
            p += step
        p = np.uint64(at[i]) + step + step + _2
        limit = min(source[p], source[p + _1], source[p + step], source[p + step + _1]) - allow
        out[i] = (limit if v < limit else v) * factor + offset


@INNER
def cubic_rows(table: Any, cubic: Any) -> None:
    """The inner four taps of a narrow kernel as polynomials of the third degree, float32 (16,), see `four_weights`."""
    for p in range(2):
        for power in range(4):
            value = table[p, power // 2 + (5 if power & 1 else 0)]
            cubic[4 * power + 2 + p] = value
            cubic[4 * power + 1 - p] = -value if power & 1 else value


@INNER
def cubic_weights(cubic: Any, count: int, past: Any, out: Any) -> None:
    """As `all_weights`, of the inner four taps alone, those of one position together."""
    for i in range(count):
        four_weights(cubic, past[i], out, np.uint64(4 * i))


@INNER
def run_general_4(
    source: Any,
    width: int,
    count: int,
    at: Any,
    wx: Any,
    wy: Any,
    allow: Any,
    factor: Any,
    offset: Any,
    out: Any,
) -> None:
    """As `run_general` by the inner 4x4 taps, with weights from `cubic_weights`."""
    step = np.uint64(width)
    for i in range(count):
        if at[i] < 0:
            out[i] = _NAN
            continue
        v, least = sum_taps(source, np.uint64(at[i]) + step + _1, step, wx, wy, np.uint64(4 * i))
        limit = least - allow
        out[i] = (limit if v < limit else v) * factor + offset


@INNER
def run_planes(
    planes: Any,
    run: int,
    at: Any,
    wx: Any,
    wy: Any,
    table: Any,
    cubic: Any,
    nearest: bool,
    narrow: bool,
    allow: Any,
    factor: Any,
    offset: Any,
    tile: Any,
    Y: int,
    sample: int,
    start: int,
) -> None:
    """All planes at `run` positions, into row `Y` of sample `sample` of a tile from its pixel `start` on.

    Parameters
    ----------
    planes : float32 (planes, h, w)
    at : int64, number of the first of a position's 6x6 pixels in a plane; negative where there are none
    wx, wy : float32 (WEIGHTS,), hold from TAPS * COLUMNS on how far positions are past the middle; get the weights
    cubic : of `cubic_rows`
    narrow : of `is_narrow`
    """
    if narrow:
        cubic_weights(cubic, run, wx[TAPS * COLUMNS :], wx)
        cubic_weights(cubic, run, wy[TAPS * COLUMNS :], wy)
    else:
        all_weights(table, nearest, run, wx[TAPS * COLUMNS :], wx)
        all_weights(table, nearest, run, wy[TAPS * COLUMNS :], wy)
    spacing = planes.shape[1] * planes.shape[2]
    flat = planes.reshape(-1)
    for k in range(planes.shape[0]):
        plane = flat[k * spacing :]
        target = tile[k, Y, sample, start:]
        if narrow:
            run_general_4(plane, planes.shape[2], run, at, wx, wy, allow, factor[k], offset[k], target)
        else:
            run_general(plane, planes.shape[2], run, at, wx, wy, allow, factor[k], offset[k], target)
