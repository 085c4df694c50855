"""Compiled path of one frame into one tile of the result: demosaic and warp row by row, without whole planes."""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import KERNEL
from astrotui.imaging.debayer import HALO, STRIDE, demosaic_row
from astrotui.imaging.resample_kernels import along_row, down_columns, mask_outside
from astrotui.imaging.tap_kernels import COLUMNS, FIRST_PASS_ROW, WEIGHTS, is_narrow, tap_weights


@KERNEL
def warp_window(
    window: Any,
    planes: int,
    plane_spacing: int,
    height: int,
    width: int,
    top: int,
    left: int,
    red_row: int,
    red_column: int,
    demosaic: int,
    levels: Any,
    matrix: Any,
    X0: int,
    Y0: int,
    rows: int,
    columns: int,
    table: Any,
    nearest: bool,
    allow: Any,
    factor: Any,
    offset: Any,
    source_width: int,
    source_height: int,
    whole_inside: bool,
    first_pass: Any,
    tile: Any,
    sample: int,
) -> None:
    """Demosaic (or take as it is) a calibrated window and warp it by two passes into one sample of a tile.

    Parameters
    ----------
    window : float32, flat: `height` rows STRIDE apart, `planes` of them `plane_spacing` apart
    top, left : its corner in the source; negative where it has a mirrored margin
    red_row, red_column, demosaic : phase of a mosaic and method of `debayer`; a negative method takes planes as they are
    levels : see `demosaic_row`
    matrix : float64 (3, 3), affine: (X, Y, 1) of the result to (x, y, 1) of the source; near the identity
    X0, Y0, rows, columns : the tile in the result
    table, nearest : of the interpolation, see `tap_weights`
    factor, offset : float32 (planes,)
    source_width, source_height : pixels beyond which nothing is covered
    whole_inside : the whole tile is known to be covered
    first_pass : float32 (height * FIRST_PASS_ROW,), scratch
    tile : float32 (planes, rows, samples, width), see `combine.new_tile`
    """
    a = matrix[0, 0]
    b = matrix[0, 1]
    d = matrix[1, 0]
    e = matrix[1, 1]
    # x at the crossing of output column X and source row y, with Y eliminated
    slope = a - b * d / e
    shear = b / e
    constant = matrix[0, 2] - shear * matrix[1, 2]
    whole = np.empty(COLUMNS, np.int32)
    weights = np.empty(WEIGHTS, np.float32)
    colors = np.empty(3 * STRIDE, np.float32)
    narrow = is_narrow(table, nearest)
    halo = HALO if demosaic >= 0 else 0
    result_planes = tile.shape[0]
    # rows that the second pass reads: its extremes are at the corners
    ends = (
        d * X0 + e * Y0,
        d * (X0 + columns - 1) + e * Y0,
        d * X0 + e * (Y0 + rows - 1),
        d * (X0 + columns - 1) + e * (Y0 + rows - 1),
    )
    first = max(halo, int(np.floor(min(ends) + matrix[1, 2])) - 3 - top)
    last = min(height - halo, int(np.floor(max(ends) + matrix[1, 2])) + 5 - top)
    for y in range(first, last):
        tap_weights(shear * (top + y) + constant, slope, X0, columns, table, nearest, whole, weights)
        target = first_pass[y * FIRST_PASS_ROW :]
        if demosaic >= 0:
            demosaic_row(
                window,
                y,
                width,
                red_row,
                red_column,
                demosaic,
                levels,
                colors,
                colors[STRIDE:],
                colors[2 * STRIDE :],
            )
            along_row(
                colors, 3, STRIDE, halo, width - halo, left, columns, whole, weights, narrow, allow, target
            )
        else:
            source = window[y * STRIDE :]
            along_row(
                source,
                result_planes,
                plane_spacing,
                0,
                width,
                left,
                columns,
                whole,
                weights,
                narrow,
                allow,
                target,
            )
    last = max(first, last)
    inner = first_pass[first * FIRST_PASS_ROW :]
    for Y in range(rows):
        tap_weights(e * (Y0 + Y) + matrix[1, 2], d, X0, columns, table, nearest, whole, weights)
        down_columns(
            inner,
            result_planes,
            last - first,
            top + first,
            columns,
            whole,
            weights,
            narrow,
            allow,
            factor,
            offset,
            tile,
            Y,
            sample,
        )
        if not whole_inside:
            mask_outside(matrix, X0, Y0 + Y, columns, source_width, source_height, tile, Y, sample)
