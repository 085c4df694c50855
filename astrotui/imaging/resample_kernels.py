"""Compiled interpolation: six-tap kernels as polynomials, a two-pass warp for small angles, a general one.

Positions are computed for each pixel from its absolute coordinates, so that any tile of an image has the
pixels of the whole. Missing pixels (NaN) make all that is computed from them missing.
"""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import INNER, KERNEL
from astrotui.imaging.debayer import STRIDE

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
def _run_along(source: Any, count: int, weights: Any, allow: Any, out: Any) -> None:
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
def _run_along_colors(source: Any, count: int, weights: Any, allow: Any, out: Any) -> None:
    """As `_run_along`, of three planes STRIDE apart into rows COLUMNS apart: weights are loaded once."""
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
def _run_down(source: Any, count: int, weights: Any, allow: Any, factor: Any, offset: Any, out: Any) -> None:
    """As `_run_along` from six rows of a first pass, then times `factor` plus `offset`."""
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
def along_row(
    rows: Any,
    planes: int,
    spacing: int,
    begin: int,
    end: int,
    origin: int,
    count: int,
    whole: Any,
    weights: Any,
    allow: Any,
    out: Any,
) -> None:
    """First pass: interpolate one row of each plane of a source window at `count` positions.

    Parameters
    ----------
    rows : float32, flat: the row of each plane, `spacing` apart
    begin, end : pixels of the row that hold anything
    origin : number of the row's first pixel in the source
    whole, weights : from `tap_weights`
    allow : least undershoot that is cut off, in ADU
    out : float32 (planes * COLUMNS,); NaN where not all six taps are in the row
    """
    colors = planes == 3 and spacing == STRIDE
    start = 0
    while start < count:
        shift = whole[start] - start
        stop = start + 1
        while stop < count and whole[stop] - stop == shift:
            stop += 1
        local = shift - origin - 2
        a = min(max(start, begin - local), stop)
        b = max(min(stop, end - TAPS + 1 - local), a)
        for k in range(planes):
            target = out[k * COLUMNS :]
            for X in range(start, a):
                target[X] = _NAN
            for X in range(b, stop):
                target[X] = _NAN
            if b > a and not colors:
                _run_along(rows[k * spacing + a + local :], b - a, weights[a:], allow, target[a:])
        if b > a and colors:
            _run_along_colors(rows[a + local :], b - a, weights[a:], allow, out[a:])
        start = stop


@INNER
def down_columns(
    first_pass: Any,
    planes: int,
    height: int,
    origin: int,
    count: int,
    whole: Any,
    weights: Any,
    allow: Any,
    factor: Any,
    offset: Any,
    tile: Any,
    Y: int,
    sample: int,
) -> None:
    """Second pass: one row of the result from rows of the first, into row `Y` of sample `sample` of a tile.

    Parameters
    ----------
    first_pass : float32 (height * FIRST_PASS_ROW,), what `along_row` made of each source row
    origin : number of the first of those rows in the source
    factor, offset : float32 (planes,)
    tile : float32 (planes, rows, samples, width), see `combine.new_tile`
    """
    start = 0
    while start < count:
        row = whole[start]
        stop = start + 1
        while stop < count and whole[stop] == row:
            stop += 1
        local = row - origin - 2
        for k in range(planes):
            target = tile[k, Y, sample, start:]
            if local >= 0 and local + TAPS <= height:
                source = first_pass[local * FIRST_PASS_ROW + k * COLUMNS + start :]
                _run_down(source, stop - start, weights[start:], allow, factor[k], offset[k], target)
            else:
                for i in range(stop - start):
                    target[i] = _NAN
        start = stop


@INNER
def mask_outside(
    matrix: Any, X0: int, Y: int, count: int, width: int, height: int, tile: Any, row: int, sample: int
) -> None:
    """Make those pixels of a tile's row missing whose position lies outside the source's pixels."""
    for X in range(count):
        w = matrix[2, 0] * (X0 + X) + matrix[2, 1] * Y + matrix[2, 2]
        x = (matrix[0, 0] * (X0 + X) + matrix[0, 1] * Y + matrix[0, 2]) / w
        y = (matrix[1, 0] * (X0 + X) + matrix[1, 1] * Y + matrix[1, 2]) / w
        if not (x >= -0.5 and x <= width - 0.5 and y >= -0.5 and y <= height - 0.5):
            for k in range(tile.shape[0]):
                tile[k, row, sample, X] = _NAN


@KERNEL
def warp_general(
    planes: Any,
    top: int,
    left: int,
    matrix: Any,
    X0: int,
    Y0: int,
    row_0: int,
    row_1: int,
    column_0: int,
    column_1: int,
    table: Any,
    nearest: bool,
    allow: Any,
    factor: Any,
    offset: Any,
    source_width: int,
    source_height: int,
    tile: Any,
    sample: int,
) -> None:
    """Interpolate at any positions, 36 taps a pixel, into part of sample `sample` of a tile.

    Parameters
    ----------
    planes : float32 (planes, h, w), part of the source whose corner is its pixel (left, top)
    matrix : float64 (3, 3), (X, Y, 1) of the result to (x, y, w) of the source
    X0, Y0 : corner of the tile in the result
    row_0, row_1, column_0, column_1 : the part of the tile
    source_width, source_height : pixels beyond which nothing is covered
    """
    height = planes.shape[1]
    width = planes.shape[2]
    count = planes.shape[0]
    flat = planes.reshape(-1)
    wx = np.empty((TAPS + 1) * COLUMNS, np.float32)
    wy = np.empty((TAPS + 1) * COLUMNS, np.float32)
    at = np.empty(COLUMNS, np.int64)
    for Y in range(row_0, row_1):
        for start in range(column_0, column_1, COLUMNS):
            run = min(COLUMNS, column_1 - start)
            past_x = wx[TAPS * COLUMNS :]
            past_y = wy[TAPS * COLUMNS :]
            for i in range(run):
                X = start + i
                w = matrix[2, 0] * (X0 + X) + matrix[2, 1] * (Y0 + Y) + matrix[2, 2]
                x = (matrix[0, 0] * (X0 + X) + matrix[0, 1] * (Y0 + Y) + matrix[0, 2]) / w
                y = (matrix[1, 0] * (X0 + X) + matrix[1, 1] * (Y0 + Y) + matrix[1, 2]) / w
                inside = x - left >= 2 and x - left < width - 3 and y - top >= 2 and y - top < height - 3
                inside = (
                    inside
                    and x >= -0.5
                    and x <= source_width - 0.5
                    and y >= -0.5
                    and y <= source_height - 0.5
                )
                ix = np.floor(x)
                iy = np.floor(y)
                past_x[i] = np.float32(x - ix) - _HALF
                past_y[i] = np.float32(y - iy) - _HALF
                at[i] = (int(iy) - top - 2) * width + int(ix) - left - 2 if inside else -1
            _all_weights(table, nearest, run, past_x, wx)
            _all_weights(table, nearest, run, past_y, wy)
            for k in range(count):
                _run_general(
                    flat[k * height * width :],
                    width,
                    run,
                    at,
                    wx,
                    wy,
                    allow,
                    factor[k],
                    offset[k],
                    tile[k, Y, sample, start:],
                )


@INNER
def _all_weights(table: Any, nearest: bool, count: int, past: Any, weights: Any) -> None:
    """Weights of six taps of many positions, each told past the middle of the inner two."""
    if nearest:
        for i in range(count):
            past[i] = _HALF if past[i] >= np.float32(0) else -_HALF
    for p in range(3):
        _tap_pair(table[p], count, past, weights[(3 + p) * COLUMNS :], weights[(2 - p) * COLUMNS :])


@INNER
def _run_general(
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
