"""Hot pixels: found on the raw mosaic before anything is detected, because they do not move with the sky."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.types import Float32Array, Mask

NO_DARK = np.zeros((0, 0), np.float32)
HotPixels = tuple[NDArray[np.int32], NDArray[np.int32]]  # rows, columns, in stored order

SIGMA = 6.0
SPREAD = 2.0  # times the range of the ring: protects structure and places where photon noise is larger
TOUCH = 0.12  # a star of FWHM 1.6 px has a third of its peak in each touching pixel
AT_MOST = 0.04  # more of the frame than this is not a defect but the picture


def pixel_noise(
    image: NDArray[Any], origin: tuple[int, int] = (0, 0), lag: int = 2, *, dark: Float32Array = NO_DARK
) -> float:
    """Standard deviation of one pixel's noise, ADU, free of sky gradients and stars.

    Differences (a - b) - (c - d) over squares of side `lag` have twice the noise of a pixel and no gradient; what
    stars and hot pixels do to them is clipped at 3 sigma. A clipped standard deviation is used, not the median
    deviation, because coarse converters (16 ADU a step) would quantize a median.

    Parameters
    ----------
    image : (H, W)
    origin : (row, column) of the first pixel of the chosen colour; with an even `lag` all corners are of it
    lag : side of the squares; at least 4 for interpolated pixels, whose noise is correlated
    dark : float32 (H, W) to subtract first, or shape (0, 0)
    """
    from astrotui.imaging.plane_kernels import clipped_sigma, noise_squares

    height, width = image.shape
    if min(height - origin[0], width - origin[1]) <= lag:
        return 0.0
    # About 200,000 squares, spread evenly.
    stride = max(2, 2 * int(np.sqrt(height * width / 200_000 / 4)))
    room = ((height - lag) // stride + 1) * ((width - lag) // stride + 1)
    values = np.empty(room, np.float32)
    values = values[: noise_squares(native(image), dark, *origin, lag, stride, values)]
    if values.size == 0:
        return 0.0
    some = values[:: max(1, values.size // 20_000)]  # enough to begin with
    sigma = float(np.median(some)) / 0.6745
    if sigma == 0:
        sigma = float(np.quantile(values, 0.9)) / 1.645
    return float(clipped_sigma(values, sigma))


def find_hot(
    raw: NDArray[Any], cfa: str | None = None, sigma: float = SIGMA, *, noise_adu: float | None = None
) -> HotPixels:
    """Rows and columns of hot pixels, in stored order, two int32 arrays.

    A pixel is hot when it stands out by `sigma` from the ring of same-colour pixels two steps away while its four
    touching pixels show no excess over theirs; even a star of FWHM 1.6 px lights those. The outermost two pixels
    of the frame are not judged.

    Parameters
    ----------
    raw : (H, W), uint16 or float32; a mosaic or mono (pixels two steps away are of one colour in both)
    cfa : pattern at (0, 0), used for the noise only
    sigma : in units of the noise
    noise_adu : noise of one pixel; measured when None
    """
    from astrotui.imaging.cfa import plane_offsets
    from astrotui.imaging.measure_kernels import hot_scan

    image = native(raw)
    if noise_adu is None:
        noise_adu = pixel_noise(image, plane_offsets(cfa)["G"][0] if cfa else (0, 0))
    excess = max(sigma * noise_adu, 2.0 if image.dtype == np.uint16 else 0.0)
    room = max(64, int(AT_MOST * image.size))
    rows, columns = np.empty(room, np.int32), np.empty(room, np.int32)
    count = hot_scan(image, excess, SPREAD, TOUCH, rows, columns)
    if count > room:  # not defects: leave the picture alone
        count = 0
    return rows[:count].copy(), columns[:count].copy()


def fill_values(
    raw: NDArray[Any], hot: HotPixels, cfa: str | None = None, *, dark: Float32Array = NO_DARK
) -> Float32Array:
    """What each hot pixel should be: the median of its neighbours of the same colour that are not hot.

    With a `dark` (H, W) the median is that of what it leaves, and the pixel's own dark comes on top.
    """
    from astrotui.imaging.measure_kernels import hot_fill

    values = np.empty(len(hot[0]), np.float32)
    hot_fill(native(raw), dark, hot[0], hot[1], 2 if cfa else 1, values)
    return values


def fill_hot(
    raw: NDArray[Any],
    mask: Mask | HotPixels,
    cfa: str | None = None,
    *,
    dark: Float32Array = NO_DARK,
    overwrite: bool = False,
) -> NDArray[Any]:
    """`raw` (H, W) with the pixels of `mask` (bool (H, W), or rows and columns) replaced by the median of their
    neighbours of the same colour; a copy, or, with `overwrite`, the same array if it is native and writable."""
    if isinstance(mask, tuple):
        rows, columns = mask
    else:
        rows, columns = (a.astype(np.int32) for a in np.nonzero(mask))
    filled = native(raw)
    if not overwrite or not filled.flags.writeable:
        filled = filled.copy()
    values = fill_values(filled, (rows, columns), cfa, dark=dark)
    if filled.dtype.kind in "ui":
        values = np.clip(np.rint(values), 0, 65535)
    filled[rows, columns] = values
    return filled


def native(image: NDArray[Any]) -> NDArray[Any]:
    """`image` as a contiguous uint16 or float32 array of this machine's byte order, copied only if needed."""
    dtype = np.uint16 if image.dtype.kind == "u" and image.dtype.itemsize <= 2 else np.float32
    return np.ascontiguousarray(image, dtype=dtype)
