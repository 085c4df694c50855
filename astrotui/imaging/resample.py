"""Interpolation of images at the positions of another pixel grid.

Interpolating keeps surface brightness: a star's flux is multiplied by the number of result pixels that one source
pixel covers. `warp.Warp.area` is the inverse of that number; multiply by it to keep fluxes where scales differ.
"""

from functools import lru_cache

import numpy as np

from astrotui.imaging.mapping import Lens
from astrotui.imaging.types import Float32Array, Float64Array
from astrotui.imaging.warp import Interpolation, Place, Warp, Window, places, plan_warp

_REACH = 4  # px that the taps of a position reach, and the rounding of two ways to the same corner


@lru_cache(maxsize=8)
def weight_table(method: Interpolation) -> Float32Array:
    """Polynomials of the six weights of an interpolation, float32 (3, 10).

    With t the position past the middle of the inner two taps, -0.5 to 0.5, the taps p to the right and left of
    it weigh E(t^2) +- t O(t^2): coefficients 0 to 4 of row p are E, 5 to 9 are O. Bilinear, bicubic (Catmull-Rom)
    and mitchell (of Mitchell & Netravali's family, SIGGRAPH 1988, with B = 5/8 and C = 3/16: softer than their own
    choice) are exact; Lanczos-3, normalized to a sum of one, is fitted to 1e-7. Nearest is bilinear at a rounded
    position.
    """
    t = 0.5 * np.cos(np.pi * (np.arange(400) + 0.5) / 400)  # Chebyshev nodes: an even error
    distance = t[None, :] + 2.5 - np.arange(6)[:, None]  # of the position from each tap
    if method in ("nearest", "bilinear"):
        weights = np.maximum(1 - np.abs(distance), 0)
        # between the inner taps only: beyond t = +-0.5 the position would belong to another pixel
    elif method == "bicubic":
        u = np.abs(distance)
        inner = (1.5 * u - 2.5) * u * u + 1
        outer = ((-0.5 * u + 2.5) * u - 4) * u + 2
        weights = np.where(u <= 1, inner, np.where(u <= 2, outer, 0.0))
    elif method == "mitchell":
        u = np.abs(distance)
        inner = ((42 * u - 75) * u * u + 38) / 48
        outer = (((-14 * u + 75) * u - 132) * u + 76) / 48
        weights = np.where(u <= 1, inner, np.where(u <= 2, outer, 0.0))
    else:
        weights = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)
        weights = weights / weights.sum(axis=0)
    table = np.empty((3, 10))
    powers = np.stack([t ** (2 * i) for i in range(5)], axis=1)
    for p in range(3):
        right, left = weights[3 + p], weights[2 - p]
        table[p, :5] = np.linalg.lstsq(powers, (right + left) / 2, rcond=None)[0]
        table[p, 5:] = np.linalg.lstsq(powers * t[:, None], (right - left) / 2, rcond=None)[0]
    table[np.abs(table) < 1e-12] = 0
    return table.astype(np.float32)


def warp_tile(
    warp: Warp,
    window: Window,
    pixels: Float32Array,
    phase: tuple[int, int, int],
    levels: Float32Array,
    method: Interpolation,
    undershoot: float,
    factor: Float32Array,
    offset: Float32Array,
    place: Place,
    tile: Float32Array,
    sample: int,
    scratch: Float32Array,
) -> None:
    """Demosaic and warp a calibrated window into one sample of a tile.

    Parameters
    ----------
    window : what `places` gave with `place`
    pixels : float32 (planes, rows, STRIDE); its first `window.height` rows and `window.width` columns hold the window
    phase : row and column of red in the window and demosaicing method; a negative method takes planes as they are
    levels : see `debayer.demosaic_row`; of no meaning without demosaicing
    undershoot : ADU by which a result may lie below its nearest pixels before ringing is cut off
    factor, offset : float32 (planes of the result,)
    tile : float32 (planes, rows, samples, width), see `combine.new_tile`
    scratch : float32, flat, FIRST_PASS_ROW for each row of the (turned) window
    """
    from astrotui.imaging.debayer import HALO, STRIDE, demosaic_window
    from astrotui.imaging.resample_kernels import needed_spans, warp_general
    from astrotui.imaging.tile_kernels import warp_window

    red_row, red_column, demosaic = phase
    height, width = window.height, window.width
    if warp.turns:
        turned = np.rot90(pixels[:, :height, :width], warp.turns, axes=(1, 2))
        height, width = turned.shape[1:]
        pixels = np.empty((len(pixels), height, STRIDE), np.float32)
        pixels[:, :, :width] = turned
        if demosaic >= 0:
            cell = np.zeros((2, 2), np.bool_)
            cell[red_row, red_column] = True
            red_row, red_column = (int(v[0]) for v in np.nonzero(np.rot90(cell, warp.turns)))
    left, top = warp.turned_origin(window)
    size = warp.turned_size
    interpolation = (weight_table(method), method == "nearest", np.float32(undershoot), factor, offset)
    if warp.two_pass:
        warp_window(
            pixels.reshape(-1),
            pixels.shape[0],
            pixels.shape[1] * STRIDE,
            height,
            width,
            top,
            left,
            red_row,
            red_column,
            demosaic,
            levels,
            warp.turned,
            place.X0,
            place.Y0,
            place.rows,
            place.columns,
            *interpolation,
            *size,
            warp.covers(place.X0, place.Y0, place.columns, place.rows),
            scratch,
            tile,
            sample,
        )
        return
    if demosaic >= 0:
        planes = np.empty((3, height - 2 * HALO, width - 2 * HALO), np.float32)
        spans = np.empty((height, 2), np.int32)
        spans[:] = 0, width
        if warp.lens is None:
            corner = place.X0 + place.column, place.Y0 + place.row
            needed_spans(warp.turned, *corner, place.columns, place.rows, top, left, _REACH, spans)
        demosaic_window(
            pixels.reshape(-1), height, width, red_row, red_column, demosaic, levels, spans, planes, 0, 0
        )
        left, top = left + HALO, top + HALO
    else:
        planes = np.ascontiguousarray(pixels[:, :height, :width])
    if warp.lens is not None:
        from astrotui.imaging.lens_kernels import warp_through_lens

        warp_through_lens(
            planes,
            top,
            left,
            warp.turned,
            warp.lens_numbers,
            place.X0,
            place.Y0,
            place.row,
            place.row + place.rows,
            place.column,
            place.column + place.columns,
            *interpolation,
            *size,
            tile,
            sample,
        )
        return
    warp_general(
        planes,
        top,
        left,
        warp.turned,
        place.X0,
        place.Y0,
        place.row,
        place.row + place.rows,
        place.column,
        place.column + place.columns,
        *interpolation,
        *size,
        tile,
        sample,
    )


def cut_window(image: Float32Array, window: Window) -> Float32Array:
    """A window of an image (planes, H, W) as `warp_tile` wants it, mirrored beyond its edges."""
    from astrotui.imaging.calibrate_kernels import mirror_edges
    from astrotui.imaging.debayer import STRIDE

    planes, height, width = image.shape
    out = np.empty((planes, window.height, STRIDE), np.float32)
    top, left = max(0, -window.y0), max(0, -window.x0)
    bottom = max(0, window.y0 + window.height - height)
    right = max(0, window.x0 + window.width - width)
    inside = (
        slice(window.y0 + top, window.y0 + window.height - bottom),
        slice(window.x0 + left, window.x0 + window.width - right),
    )
    out[:, top : window.height - bottom, left : window.width - right] = image[:, *inside]
    for plane in out:
        mirror_edges(plane.reshape(-1), STRIDE, window.height, window.width, top, bottom, left, right)
    return out


def resample(
    image: Float32Array,
    transform: Float64Array,
    shape: tuple[int, int],
    *,
    method: Interpolation = "lanczos3",
    origin: tuple[int, int] = (0, 0),
    undershoot: float = np.inf,
    lens: Lens | None = None,
) -> Float32Array:
    """Bring an image to another pixel grid; missing where it does not reach.

    Parameters
    ----------
    image : float array of shape (H, W) or (planes, H, W); NaN is missing
    transform : (3, 3), (x, y, 1) of the image to (X, Y, w) of the result's grid
    shape : rows and columns of the result
    method : nearest, bilinear, bicubic (Catmull-Rom), mitchell or lanczos3
    origin : (X, Y) of the result's first pixel
    undershoot : ADU by which a result may lie below its nearest pixels before ringing is cut off; the default never
        does, three times the noise removes dark rings around stars and leaves noise as it is
    lens : of image and result; the transform is then one of undistorted pixels

    Returns
    -------
    float32 array of shape (rows, columns) or (planes, rows, columns)
        Surface brightness is kept, see the module's text.

    Raises
    ------
    ValueError
        The transform is singular or mirrors; the image has more than three planes.
    """
    from astrotui.imaging.debayer import STRIDE
    from astrotui.imaging.tap_kernels import COLUMNS, FIRST_PASS_ROW

    source = np.asarray(image, np.float32)
    planes = source[None] if source.ndim == 2 else source
    if planes.ndim != 3 or len(planes) > 3:
        raise ValueError(f"an image has one to three planes, not shape {source.shape}")
    warp = plan_warp(transform, planes.shape[2], planes.shape[1], method, lens)
    out = np.full((len(planes), *shape), np.nan, np.float32)
    one, zero = np.ones(len(planes), np.float32), np.zeros(len(planes), np.float32)
    levels = np.zeros(4, np.float32)
    step = 64
    scratch = np.empty((2 * COLUMNS + 64) * FIRST_PASS_ROW, np.float32)
    for Y in range(0, shape[0], step):
        for X in range(0, shape[1], COLUMNS):
            rows, columns = min(step, shape[0] - Y), min(COLUMNS, shape[1] - X)
            tile = np.full((len(planes), rows, 1, columns), np.nan, np.float32)
            for place, window in places(warp, origin[0] + X, origin[1] + Y, columns, rows, STRIDE):
                pixels = cut_window(planes, window)
                none = (0, 0, -1)
                warp_tile(
                    warp, window, pixels, none, levels, method, undershoot, one, zero, place, tile, 0, scratch
                )
            out[:, Y : Y + rows, X : X + columns] = tile[:, :, 0]
    return out[0] if source.ndim == 2 else out
