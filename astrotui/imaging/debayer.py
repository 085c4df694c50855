"""From a color filter mosaic to three planes: gradient-corrected, bilinear and super-pixel demosaicing.

Row kernels work on a *window*: a flat float32 array of rows STRIDE apart. The constant distance lets the
compiler see that rows do not overlap, so that it vectorizes: 0.8 ns a pixel for all three colors.
"""

from typing import Any, Literal

import numpy as np

from astrotui.imaging.clip_kernels import KERNEL
from astrotui.imaging.types import Float32Array

STRIDE = 656
"""Pixels between the rows of a window: no power of two, whose multiples would share cache lines."""

MALVAR, BILINEAR = range(2)
HALO = 2
"""Pixels that demosaicing needs on each side."""

_2 = np.float32(2)
_4 = np.float32(4)
_5 = np.float32(5)
_6 = np.float32(6)
_HALF = np.float32(0.5)
_QUARTER = np.float32(0.25)
_EIGHTH = np.float32(0.125)
_3_HALVES = np.float32(1.5)


@KERNEL
def _malvar_row(window: Any, count: int, site: int, own: Any, green: Any, other: Any) -> None:
    """One row of the gradient-corrected estimate, clamped to the range of the nearest pixels of its color.

    `window` begins two rows above and two pixels left of the first result; pixels whose number has the parity
    `site` hold the row's own color (red or blue), the rest green.
    """
    for i in range(count):
        x = i + 2
        v = window[2 * STRIDE + x]
        n = window[STRIDE + x]
        s = window[3 * STRIDE + x]
        w = window[2 * STRIDE + x - 1]
        e = window[2 * STRIDE + x + 1]
        nw = window[STRIDE + x - 1]
        ne = window[STRIDE + x + 1]
        sw = window[3 * STRIDE + x - 1]
        se = window[3 * STRIDE + x + 1]
        across = window[2 * STRIDE + x - 2] + window[2 * STRIDE + x + 2]
        along = window[x] + window[4 * STRIDE + x]
        diagonal = nw + ne + sw + se
        ns_low = n if n < s else s
        ns_high = s if n < s else n
        we_low = w if w < e else e
        we_high = e if w < e else w

        g = _EIGHTH * (_4 * v + _2 * (n + s + w + e) - (across + along))
        low = ns_low if ns_low < we_low else we_low
        high = ns_high if ns_high > we_high else we_high
        g = low if g < low else g
        g = high if g > high else g

        d = _EIGHTH * (_6 * v + _2 * diagonal - _3_HALVES * (across + along))
        low_1 = nw if nw < ne else ne
        high_1 = ne if nw < ne else nw
        low_2 = sw if sw < se else se
        high_2 = se if sw < se else sw
        low = low_1 if low_1 < low_2 else low_2
        high = high_1 if high_1 > high_2 else high_2
        d = low if d < low else d
        d = high if d > high else d

        h = _EIGHTH * (_5 * v + _4 * (w + e) - diagonal - across + _HALF * along)
        h = we_low if h < we_low else h
        h = we_high if h > we_high else h

        u = _EIGHTH * (_5 * v + _4 * (n + s) - diagonal - along + _HALF * across)
        u = ns_low if u < ns_low else u
        u = ns_high if u > ns_high else u

        here = (i & 1) == site
        own[i] = v if here else h
        green[i] = g if here else v
        other[i] = d if here else u


@KERNEL
def _bilinear_row(window: Any, count: int, site: int, own: Any, green: Any, other: Any) -> None:
    """One row of means of the nearest pixels of each color; arguments as for `_malvar_row`."""
    for i in range(count):
        x = i + 2
        v = window[2 * STRIDE + x]
        ns = window[STRIDE + x] + window[3 * STRIDE + x]
        we = window[2 * STRIDE + x - 1] + window[2 * STRIDE + x + 1]
        diagonal = (
            window[STRIDE + x - 1]
            + window[STRIDE + x + 1]
            + window[3 * STRIDE + x - 1]
            + window[3 * STRIDE + x + 1]
        )
        here = (i & 1) == site
        own[i] = v if here else _HALF * we
        green[i] = _QUARTER * (ns + we) if here else v
        other[i] = _QUARTER * diagonal if here else _HALF * ns


@KERNEL
def demosaic_row(
    window: Any,
    y: int,
    width: int,
    red_row: int,
    red_column: int,
    method: int,
    red: Any,
    green: Any,
    blue: Any,
) -> None:
    """Colors of row `y` of a window, pixels HALO to width - HALO - 1; `red_row`, `red_column` are 0 or 1."""
    above = window[(y - 2) * STRIDE :]
    count = width - 2 * HALO
    if (y & 1) == red_row:
        if method == MALVAR:
            _malvar_row(above, count, red_column, red[HALO:], green[HALO:], blue[HALO:])
        else:
            _bilinear_row(above, count, red_column, red[HALO:], green[HALO:], blue[HALO:])
    elif method == MALVAR:
        _malvar_row(above, count, 1 - red_column, blue[HALO:], green[HALO:], red[HALO:])
    else:
        _bilinear_row(above, count, 1 - red_column, blue[HALO:], green[HALO:], red[HALO:])


@KERNEL
def demosaic_window(
    window: Any,
    height: int,
    width: int,
    red_row: int,
    red_column: int,
    method: int,
    out: Any,
    y0: int,
    x0: int,
) -> None:
    """Colors of all rows of a window but HALO on each side, into `out` (3, H, W) with its corner at (y0, x0)."""
    planes = np.empty((3, STRIDE), np.float32)
    for y in range(HALO, height - HALO):
        demosaic_row(window, y, width, red_row, red_column, method, planes[0], planes[1], planes[2])
        for k in range(3):
            for x in range(HALO, width - HALO):
                out[k, y0 + y - HALO, x0 + x - HALO] = planes[k, x]


def red_phase(pattern: str) -> tuple[int, int]:
    """Row and column (0 or 1) of the red pixel in the 2x2 `pattern`.

    Raises
    ------
    ValueError
        Not one of RGGB, BGGR, GRBG, GBRG.
    """
    letters = pattern.upper()
    if letters not in ("RGGB", "BGGR", "GRBG", "GBRG"):
        raise ValueError(f"not a Bayer pattern: {pattern!r}; known are RGGB, BGGR, GRBG, GBRG")
    return divmod(letters.index("R"), 2)


def debayer(
    mosaic: Float32Array, pattern: str, method: Literal["malvar", "bilinear", "superpixel"] = "malvar"
) -> Float32Array:
    """Color planes of a mosaic.

    Parameters
    ----------
    mosaic : float32 (H, W), in ADU; its edge is mirrored, which keeps colors in place
    pattern : colors of the 2x2 cell at row 0, column 0
    method : malvar, the gradient-corrected linear interpolation of Malvar, He & Cutler (ICASSP 2004), each value
        clamped to the range of the pixels of its color next to it, so that hot pixels and star cores make no
        dark or bright crosses; bilinear, which keeps channels apart (dual-band filters); or superpixel, one pixel
        a cell

    Returns
    -------
    float32 array (3, H, W), or (3, H // 2, W // 2) for superpixel
        R, G, B. A missing (NaN) pixel is missing in all that is computed from it.

    Raises
    ------
    ValueError
        Not a Bayer pattern, or an image under 3 pixels.
    """
    row, column = red_phase(pattern)
    data = np.ascontiguousarray(mosaic, np.float32)
    if method == "superpixel":
        return superpixel(data, pattern)
    height, width = data.shape
    if min(height, width) < 3:
        raise ValueError(f"an image of {width}x{height} pixels is too small to demosaic")
    padded = np.pad(data, HALO, mode="reflect")
    out = np.empty((3, height, width), np.float32)
    step = STRIDE - 2 * HALO - 16
    code = MALVAR if method == "malvar" else BILINEAR
    for x0 in range(0, width, step):  # step and HALO are even: the phase stays
        part = padded[:, x0 : x0 + step + 2 * HALO]
        window = np.empty((part.shape[0], STRIDE), np.float32)
        window[:, : part.shape[1]] = part
        demosaic_window(window.ravel(), len(part), part.shape[1], row, column, code, out, 0, x0)
    return out


def superpixel(mosaic: Float32Array, pattern: str) -> Float32Array:
    """One pixel for each 2x2 cell, greens averaged: float32 (3, H // 2, W // 2).

    Pixel (x, y) of the result lies at (2 x + 0.5, 2 y + 0.5) of the mosaic.
    """
    row, column = red_phase(pattern)
    height, width = mosaic.shape[0] // 2 * 2, mosaic.shape[1] // 2 * 2
    data = mosaic[:height, :width]
    red = data[row::2, column::2]
    blue = data[1 - row :: 2, 1 - column :: 2]
    greens = data[row::2, 1 - column :: 2] + data[1 - row :: 2, column::2]
    return np.stack([red, greens * np.float32(0.5), blue]).astype(np.float32)
