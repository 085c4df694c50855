"""Hot pixels: found on the raw mosaic before anything is detected, because they do not move with the sky."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.types import Float32Array, Mask

HotPixels = tuple[NDArray[np.int32], NDArray[np.int32]]  # rows, columns, in stored order

SIGMA = 6.0
SPREAD = 2.0  # times the range of the ring: protects structure and places where photon noise is larger
TOUCH = 0.12  # a star of FWHM 1.6 px has a third of its peak in each touching pixel
AT_MOST = 0.04  # more of the frame than this is not a defect but the picture


def pixel_noise(image: NDArray[Any], origin: tuple[int, int] = (0, 0), lag: int = 2) -> float:
    """Standard deviation of one pixel's noise, ADU, free of sky gradients and stars.

    Differences (a - b) - (c - d) over squares of side `lag` have twice the noise of a pixel and no gradient; what
    stars and hot pixels do to them is clipped at 3 sigma. A clipped standard deviation is used, not the median
    deviation, because coarse converters (16 ADU a step) would quantize a median.

    Parameters
    ----------
    image : (H, W)
    origin : (row, column) of the first pixel of the chosen colour; with an even `lag` all corners are of it
    lag : side of the squares; at least 4 for interpolated pixels, whose noise is correlated
    """
    height, width = image.shape
    # About 200,000 squares, spread evenly.
    stride = max(2, 2 * int(np.sqrt(height * width / 200_000 / 4)))
    rows = np.arange(origin[0], height - lag, stride)
    columns = slice(origin[1], width - lag, stride)
    further = slice(origin[1] + lag, width, stride)
    if len(rows) == 0 or origin[1] >= width - lag:
        return 0.0
    upper, lower = image[rows], image[rows + lag]
    with np.errstate(invalid="ignore"):
        difference = upper[:, columns].astype(np.float32)
        count = difference.shape[1]
        difference -= upper[:, further][:, :count]
        difference -= lower[:, columns]
        difference += lower[:, further][:, :count]
    values = np.abs(difference[np.isfinite(difference)]) * np.float32(0.5)
    if values.size == 0:
        return 0.0
    sigma = float(np.partition(values, values.size // 2)[values.size // 2]) / 0.6745
    if sigma == 0:
        sigma = float(np.quantile(values, 0.9)) / 1.645
    for _ in range(8):
        kept = values[values <= 3 * sigma]
        new = float(np.sqrt(np.mean(np.square(kept, dtype=np.float64)))) / 0.98658 if kept.size else 0.0
        if abs(new - sigma) <= 1e-3 * sigma:
            return new
        sigma = new
    return sigma


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


def fill_values(raw: NDArray[Any], hot: HotPixels, cfa: str | None = None) -> Float32Array:
    """What each hot pixel should be: the median of its neighbours of the same colour that are not hot."""
    from astrotui.imaging.measure_kernels import hot_fill

    values = np.empty(len(hot[0]), np.float32)
    hot_fill(native(raw), hot[0], hot[1], 2 if cfa else 1, values)
    return values


def fill_hot(raw: NDArray[Any], mask: Mask | HotPixels, cfa: str | None = None) -> NDArray[Any]:
    """A copy of `raw` (H, W) with the pixels of `mask` (bool (H, W), or rows and columns) replaced by the median of
    their neighbours of the same colour."""
    if isinstance(mask, tuple):
        rows, columns = mask
    else:
        rows, columns = (a.astype(np.int32) for a in np.nonzero(mask))
    filled = native(raw).copy()
    values = fill_values(filled, (rows, columns), cfa)
    filled[rows, columns] = np.rint(values) if filled.dtype.kind in "ui" else values
    return filled


def native(image: NDArray[Any]) -> NDArray[Any]:
    """`image` as a contiguous uint16 or float32 array of this machine's byte order, copied only if needed."""
    dtype = np.uint16 if image.dtype.kind == "u" and image.dtype.itemsize <= 2 else np.float32
    return np.ascontiguousarray(image, dtype=dtype)
