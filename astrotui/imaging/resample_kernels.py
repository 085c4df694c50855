"""Compiled interpolation: six-tap kernels as polynomials, a two-pass warp for small angles, a general one.

Positions are computed for each pixel from its absolute coordinates, so that any tile of an image has the
pixels of the whole. Missing pixels (NaN) make all that is computed from them missing.
"""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import INNER, KERNEL
from astrotui.imaging.debayer import STRIDE
from astrotui.imaging.tap_kernels import (
    COLUMNS,
    FIRST_PASS_ROW,
    TAPS,
    cubic_rows,
    is_narrow,
    run_along,
    run_along_colors,
    run_along_colors_4,
    run_down,
    run_down_4,
    run_planes,
)

_NAN = np.float32(np.nan)
_HALF = np.float32(0.5)


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
    narrow: bool,
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
    narrow : of `is_narrow`
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
                run_along(rows[k * spacing + a + local :], b - a, weights[a:], allow, target[a:])
        if b > a and colors:
            if narrow:
                run_along_colors_4(rows[a + local :], b - a, weights[a:], allow, out[a:])
            else:
                run_along_colors(rows[a + local :], b - a, weights[a:], allow, out[a:])
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
    narrow: bool,
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
                if narrow:
                    run_down_4(source, stop - start, weights[start:], allow, factor[k], offset[k], target)
                else:
                    run_down(source, stop - start, weights[start:], allow, factor[k], offset[k], target)
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
def needed_spans(
    matrix: Any,
    X0: int,
    Y0: int,
    columns: int,
    rows: int,
    top: int,
    left: int,
    reach: int,
    spans: Any,
) -> None:
    """Which pixels of each row of a window a rectangle of the result needs: a turned one lies askew in its window.

    Parameters
    ----------
    matrix : float64 (3, 3), (X, Y, 1) of the result to (x, y, w) of the source
    X0, Y0, columns, rows : the rectangle in the result
    top, left : corner of the window in the source
    reach : pixels that are needed around each position
    spans : int32 (rows of the window, 2), gets the first pixel and the one after the last, not yet cut to the window
    """
    xs = np.empty(5)
    ys = np.empty(5)
    for corner in range(5):
        X = X0 + (columns - 1 if corner in (1, 2) else 0)
        Y = Y0 + (rows - 1 if corner in (2, 3) else 0)
        w = matrix[2, 0] * X + matrix[2, 1] * Y + matrix[2, 2]
        xs[corner] = (matrix[0, 0] * X + matrix[0, 1] * Y + matrix[0, 2]) / w - left
        ys[corner] = (matrix[1, 0] * X + matrix[1, 1] * Y + matrix[1, 2]) / w - top
    for y in range(spans.shape[0]):
        low = np.inf
        high = -np.inf
        for side in range(4):
            drop = ys[side + 1] - ys[side]
            begin, end = 0.0, 1.0  # of the side, as far as it lies within reach of this row
            if abs(drop) > 1e-9:
                one = (y - reach - ys[side]) / drop
                other = (y + reach - ys[side]) / drop
                begin = max(begin, min(one, other))
                end = min(end, max(one, other))
            elif abs(ys[side] - y) > reach:
                continue
            if begin <= end:
                for part in (begin, end):
                    x = xs[side] + part * (xs[side + 1] - xs[side])
                    low = min(low, x)
                    high = max(high, x)
        some = low <= high
        spans[y, 0] = np.int32(np.floor(low)) - reach if some else 0
        spans[y, 1] = np.int32(np.ceil(high)) + reach + 1 if some else 0


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
    narrow = is_narrow(table, nearest)
    wx = np.empty((TAPS + 1) * COLUMNS, np.float32)
    wy = np.empty((TAPS + 1) * COLUMNS, np.float32)
    cubic = np.empty(16, np.float32)
    cubic_rows(table, cubic)
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
            run_planes(
                planes,
                run,
                at,
                wx,
                wy,
                table,
                cubic,
                nearest,
                narrow,
                allow,
                factor,
                offset,
                tile,
                Y,
                sample,
                start,
            )
