"""From a color filter mosaic to three planes: gradient-corrected, bilinear and super-pixel demosaicing.

Row kernels work on a *window*: a flat float32 array of rows STRIDE apart. The constant distance lets the
compiler see that rows do not overlap, so that it vectorizes: 0.8 ns a pixel for all three colors.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from astrotui.imaging.clip_kernels import INNER, KERNEL
from astrotui.imaging.types import Float32Array

STRIDE = 656
"""Pixels between the rows of a window: no power of two, whose multiples would share cache lines."""

MALVAR, BILINEAR, CRISP = range(3)
"""Methods. CRISP is MALVAR with more of its corrections, for a resampling that takes as much off again."""

HALO = 2
"""Pixels that demosaicing needs on each side."""

_2 = np.float32(2)
_4 = np.float32(4)
_5 = np.float32(5)
_6 = np.float32(6)
_HALF = np.float32(0.5)
_QUARTER = np.float32(0.25)
_EIGHTH = np.float32(0.125)
# What MALVAR may correct relative to what it corrects, above the sky, times 8: gains are eighths.
_AT_MOST = np.float32(6 * 8)
# Shares of the corrections of green, a fourth, and of red and blue, an eighth. CRISP takes twice as much and 1.6 times:
# resampled by `mitchell`, stars are as wide as MALVAR and lanczos3 make them, and as wide in each color (else they would
# have rims of another), and sums of 4x4 pixels have less noise.
_PLAIN = _EIGHTH, _EIGHTH
_CRISP = np.float32(1 / 4), np.float32(1.6 / 8)
_3_HALVES = np.float32(1.5)


@INNER
def _malvar_row(
    window: Any,
    count: int,
    site: int,
    own_sky: Any,
    green_sky: Any,
    other_sky: Any,
    allow: Any,
    gain: Any,
    rest: Any,
    own: Any,
    green: Any,
    other: Any,
) -> None:
    """One row of the gradient-corrected estimate, its corrections limited as `debayer` tells.

    `gain` is what is taken of green's correction, `rest` of the others'. `window` begins two rows above and two pixels
    left of the first result; pixels whose number has the parity `site` hold the row's own color (red or blue), the
    others green.
    """
    for i in range(count):
        x = i + 2
        v = window[2 * STRIDE + x]
        n = window[STRIDE + x]
        s = window[3 * STRIDE + x]
        w = window[2 * STRIDE + x - 1]
        e = window[2 * STRIDE + x + 1]
        across = window[2 * STRIDE + x - 2] + window[2 * STRIDE + x + 2]
        along = window[x] + window[4 * STRIDE + x]
        diagonal = (
            window[STRIDE + x - 1]
            + window[STRIDE + x + 1]
            + window[3 * STRIDE + x - 1]
            + window[3 * STRIDE + x + 1]
        )
        ns = _HALF * (n + s)
        we = _HALF * (w + e)

        g = _HALF * (ns + we)
        limit = gain * _AT_MOST * abs(g - green_sky) + allow
        correction = gain * (_4 * v - across - along)
        correction = limit if correction > limit else correction
        g += -limit if correction < -limit else correction

        d = _QUARTER * diagonal
        limit = rest * _AT_MOST * abs(d - other_sky) + allow
        correction = rest * (_6 * v - _3_HALVES * (across + along))
        correction = limit if correction > limit else correction
        d += -limit if correction < -limit else correction

        limit = rest * _AT_MOST * abs(we - own_sky) + allow
        correction = rest * (_5 * v - diagonal - across + _HALF * along)
        correction = limit if correction > limit else correction
        h = we + (-limit if correction < -limit else correction)

        limit = rest * _AT_MOST * abs(ns - other_sky) + allow
        correction = rest * (_5 * v - diagonal - along + _HALF * across)
        correction = limit if correction > limit else correction
        u = ns + (-limit if correction < -limit else correction)

        here = (i & 1) == site
        own[i] = v if here else h
        green[i] = g if here else v
        other[i] = d if here else u


@INNER
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


@INNER
def demosaic_row(
    window: Any,
    y: int,
    width: int,
    red_row: int,
    red_column: int,
    method: int,
    levels: Any,
    red: Any,
    green: Any,
    blue: Any,
) -> None:
    """Colors of row `y` of a window, pixels HALO to width - HALO - 1.

    Parameters
    ----------
    red_row, red_column : 0 or 1, place of red in the window's first cell
    levels : float32 (4,): sky of red, green and blue, and the correction that noise may make
    """
    above = window[(y - 2) * STRIDE :]
    count = width - 2 * HALO
    is_red = (y & 1) == red_row
    own = red[HALO:] if is_red else blue[HALO:]
    other = blue[HALO:] if is_red else red[HALO:]
    site = red_column if is_red else 1 - red_column
    if method != BILINEAR:
        gain, rest = _CRISP if method == CRISP else _PLAIN
        own_sky = levels[0] if is_red else levels[2]
        other_sky = levels[2] if is_red else levels[0]
        _malvar_row(
            above, count, site, own_sky, levels[1], other_sky, levels[3], gain, rest, own, green[HALO:], other
        )
    else:
        _bilinear_row(above, count, site, own, green[HALO:], other)


@KERNEL
def demosaic_window(
    window: Any,
    height: int,
    width: int,
    red_row: int,
    red_column: int,
    method: int,
    levels: Any,
    spans: Any,
    out: Any,
    y0: int,
    x0: int,
) -> None:
    """Colors of all rows of a window but HALO on each side, into `out` (3, H, W) with its corner at (y0, x0).

    Of row y only pixels spans[y, 0] to spans[y, 1] - 1 are wanted, int32 (height, 2).
    """
    planes = np.empty((3, STRIDE), np.float32)
    for y in range(HALO, height - HALO):
        first = max(spans[y, 0] - HALO, 0) // 2 * 2  # even: the phase stays
        last = min(spans[y, 1] + HALO, width)
        if last - first <= 2 * HALO:
            continue
        demosaic_row(
            window[first:],
            y,
            last - first,
            red_row,
            red_column,
            method,
            levels,
            planes[0],
            planes[1],
            planes[2],
        )
        for k in range(3):
            for x in range(HALO, last - first - HALO):
                out[k, y0 + y - HALO, x0 + first + x - HALO] = planes[k, x]


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
    mosaic: Float32Array,
    pattern: str,
    method: Literal["malvar", "crisp", "bilinear", "superpixel"] = "malvar",
    *,
    sky: Sequence[float] | None = None,
    allow: float | None = None,
) -> Float32Array:
    """Color planes of a mosaic.

    malvar is the gradient-corrected linear interpolation of Malvar, He & Cutler (ICASSP 2004): the mean of the
    nearest pixels of a color plus a correction from the pixel's own color. A correction may be six times as
    large as that mean is above the sky, plus `allow`. So a hot pixel makes no dark and bright crosses, and the cores of stars
    keep their light: clamping to the range of those nearest pixels instead costs stars 4 % of their red and blue
    and triples the scatter of their colors (simulated at FWHM 2.8 px).

    Parameters
    ----------
    mosaic : float32 (H, W), in ADU; its edge is mirrored, which keeps colors in place
    pattern : colors of the 2x2 cell at row 0, column 0
    method : malvar; crisp, the same with stronger corrections, to be resampled by `mitchell`; bilinear,
        which keeps channels apart (dual-band filters); or superpixel, one pixel a cell
    sky : level of the background in R, G, B; None for the medians
    allow : correction that noise may make, in ADU; None for three times the noise

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
    levels = _levels(data, pattern, sky, allow)
    padded = np.pad(data, HALO, mode="reflect")
    out = np.empty((3, height, width), np.float32)
    step = STRIDE - 2 * HALO - 16
    code = {"malvar": MALVAR, "crisp": CRISP}.get(method, BILINEAR)
    for x0 in range(0, width, step):  # step and HALO are even: the phase stays
        part = padded[:, x0 : x0 + step + 2 * HALO]
        window = np.empty((part.shape[0], STRIDE), np.float32)
        window[:, : part.shape[1]] = part
        spans = np.empty((len(part), 2), np.int32)
        spans[:] = 0, STRIDE
        demosaic_window(
            window.ravel(), len(part), part.shape[1], row, column, code, levels, spans, out, 0, x0
        )
    return out


def _levels(
    data: Float32Array, pattern: str, sky: Sequence[float] | None, allow: float | None
) -> Float32Array:
    """Sky of R, G, B and the allowance for noise, measured where they are not given."""
    cells = {letter: [] for letter in "RGB"}  # type: dict[str, list[Float32Array]]
    for place, letter in enumerate(pattern.upper()):
        cells[letter].append(data[place // 2 :: 2, place % 2 :: 2].ravel())
    values = [np.concatenate(cells[letter]) for letter in "RGB"]
    known = [v[np.isfinite(v)] for v in values]
    medians = [float(np.median(v)) if len(v) else 0.0 for v in known]
    spreads = [
        float(np.median(np.abs(v - m))) if len(v) else 0.0 for v, m in zip(known, medians, strict=True)
    ]
    noise = 3 * 1.4826 * max(spreads) if allow is None else allow
    return np.array([*(medians if sky is None else sky), noise], np.float32)


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
