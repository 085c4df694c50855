"""Compiled calibration: dark, flat, defects and mirrored edges of a window of a raw frame."""

from typing import Any

import numpy as np

from astrotui.imaging.clip_kernels import BIG, KERNEL

_NAN = np.float32(np.nan)


@KERNEL
def calibrate_rows(
    raw: Any,
    raw_y: int,
    raw_x: int,
    dark: Any,
    dark_y: int,
    flat_inverse: Any,
    flat_y: int,
    master_x: int,
    rows: int,
    columns: int,
    out: Any,
    first: int,
    stride: int,
) -> None:
    """(raw - dark) * flat_inverse of `rows` by `columns` pixels, unclipped; infinite values become NaN.

    Parameters
    ----------
    raw : uint16 or float32 (h, w), read from (raw_y, raw_x) on
    dark, flat_inverse : float32 (h, w), read from their own row and column `master_x` on
    out : float32, flat, written from `first` on with rows `stride` apart
    """
    for y in range(rows):
        source = raw[raw_y + y, raw_x:]
        subtract = dark[dark_y + y, master_x:]
        multiply = flat_inverse[flat_y + y, master_x:]
        target = out[first + y * stride :]
        for x in range(columns):
            v = (np.float32(source[x]) - subtract[x]) * multiply[x]
            target[x] = v if abs(v) < BIG else _NAN


@KERNEL
def calibrate_stored_rows(
    raw: Any,
    raw_y: int,
    raw_x: int,
    dark: Any,
    dark_y: int,
    flat_inverse: Any,
    flat_y: int,
    master_x: int,
    rows: int,
    columns: int,
    out: Any,
    first: int,
    stride: int,
) -> None:
    """As `calibrate_rows`, of uint16 pixels as FITS stores them: bytes swapped, the top bit flipped."""
    for y in range(rows):
        source = raw[raw_y + y, raw_x:]
        subtract = dark[dark_y + y, master_x:]
        multiply = flat_inverse[flat_y + y, master_x:]
        target = out[first + y * stride :]
        for x in range(columns):
            stored = np.uint32(source[x])
            swapped = ((stored >> np.uint32(8)) | (stored << np.uint32(8))) & np.uint32(0xFFFF)
            value = np.float32(np.int32(swapped ^ np.uint32(0x8000)))
            target[x] = (value - subtract[x]) * multiply[x]


@KERNEL
def fill_defects(
    window: Any,
    first: int,
    stride: int,
    top: int,
    left: int,
    rows: int,
    columns: int,
    starts: Any,
    defect_x: Any,
    step: int,
    scratch: Any,
) -> None:
    """Replace the defects of a window by the mean of their sound neighbors of the same color.

    Of the eight pixels `step` away, those that are defects or missing do not count; without any the pixel is
    missing. A pixel is given up to the same neighbors whatever the window, if it has `step` pixels around it.

    Parameters
    ----------
    window : float32, flat; pixel (top, left) of the frame at `first`, rows `stride` apart
    starts : int32 (H + 1,), the defects of row y are defect_x[starts[y] : starts[y + 1]], in order
    step : 2 for a color filter mosaic, else 1
    scratch : float32, at least as long as there are defects
    """
    count = 0
    for y in range(rows):
        for q in range(starts[top + y], starts[top + y + 1]):
            x = defect_x[q] - left
            if x >= 0 and x < columns:
                scratch[count] = window[first + y * stride + x]
                window[first + y * stride + x] = BIG
                count += 1
    done = 0
    for y in range(rows):
        for q in range(starts[top + y], starts[top + y + 1]):
            x = defect_x[q] - left
            if x < 0 or x >= columns:
                continue
            total = np.float32(0)
            found = 0
            for v in range(y - step, y + step + 1, step):
                for u in range(x - step, x + step + 1, step):
                    if v >= 0 and v < rows and u >= 0 and u < columns:
                        value = window[first + v * stride + u]
                        if abs(value) < BIG:
                            total += value
                            found += 1
            scratch[done] = total / np.float32(found) if found > 0 else _NAN
            done += 1
    done = 0
    for y in range(rows):
        for q in range(starts[top + y], starts[top + y + 1]):
            x = defect_x[q] - left
            if x >= 0 and x < columns:
                window[first + y * stride + x] = scratch[done]
                done += 1


@KERNEL
def mirror_edges(
    window: Any, stride: int, rows: int, columns: int, top: int, bottom: int, left: int, right: int
) -> None:
    """Fill the margins of a window from what is inside of them, mirrored about the outermost pixels.

    Pixel -i becomes pixel i, which has its color. The window has `rows` by `columns` pixels with margins.
    """
    for y in range(top, rows - bottom):
        base = y * stride
        for i in range(1, left + 1):
            window[base + left - i] = window[base + min(left + i, columns - right - 1)]
        last = columns - right - 1
        for i in range(1, right + 1):
            window[base + last + i] = window[base + max(last - i, left)]
    last = rows - bottom - 1
    for i in range(1, top + 1):
        a = (top - i) * stride
        b = min(top + i, last) * stride
        for x in range(columns):
            window[a + x] = window[b + x]
    for i in range(1, bottom + 1):
        a = (last + i) * stride
        b = max(last - i, top) * stride
        for x in range(columns):
            window[a + x] = window[b + x]
