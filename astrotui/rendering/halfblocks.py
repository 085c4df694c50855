"""From shown pixels to half-block cells that stay small on the wire: stars kept, noise smoothed, few colours."""

import zlib
from typing import cast

import numpy as np

from astrotui.imaging.types import Float32Array
from astrotui.rendering.cells import CellPicture
from astrotui.rendering.colors import ladder

BUDGET_PER_CELL = 2.35  # compressed bytes: 3,000 for 60 x 20 cells, with what a terminal needs besides
SMALL_PER_CELL = 7.0  # a small picture may cost more a cell, as long as it costs no more than one of 60 x 20
SMALL_MOST = 2600


def fit(width: int, height: int, columns: int, rows: int) -> tuple[int, int]:
    """Pixels (width, height) of a picture of this shape within `columns` x `rows` cells of two pixels each."""
    scale = min(columns / width, 2 * rows / height)
    return max(1, min(columns, round(width * scale))), max(1, min(2 * rows, round(height * scale)))


def pooled(shown: Float32Array, width: int, height: int) -> Float32Array:
    """Planes (C, h, w) on [0, 1] at a smaller size, with stars kept.

    Each pixel is the mean of its area; where something sticks out of the noise (over 5 sigma of the
    differences between neighbours) a share of that is added, or a star of three pixels would drown in an
    area of a hundred.
    """
    _, old_height, old_width = shown.shape
    if width > old_width or height > old_height:
        from astrotui.rendering.encode import resized

        return resized(shown, width, height)
    y = np.linspace(0, old_height, height + 1).astype(np.int64)
    x = np.linspace(0, old_width, width + 1).astype(np.int64)
    areas = np.diff(y)[:, np.newaxis] * np.diff(x)[np.newaxis]
    mean = np.add.reduceat(np.add.reduceat(shown, y[:-1], axis=1), x[:-1], axis=2) / areas
    peak = np.maximum.reduceat(np.maximum.reduceat(shown, y[:-1], axis=1), x[:-1], axis=2)
    noise = 1.4826 / np.sqrt(2.0) * np.median(np.abs(np.diff(shown, axis=2)), axis=(1, 2))[:, None, None]
    excess = np.maximum(peak - mean - 5.0 * noise, 0.0)
    excess = 0.5 * (excess + excess.mean(axis=0))  # the colours of a star peak in different pixels
    return cast(Float32Array, np.minimum(mean + excess**1.5, 1.0).astype(np.float32))


def smoothed(pixels: Float32Array) -> Float32Array:
    """Planes (C, h, w) with the noise of the sky taken out: what differs little from its neighbours' median."""
    if min(pixels.shape[1:]) < 3:
        return pixels
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = pixels.shape[1:]
    around = np.stack([padded[:, dy : dy + height, dx : dx + width] for dy in range(3) for dx in range(3)])
    median = np.median(around, axis=0)
    difference = pixels - median
    limit = 3.0 * 1.4826 * np.median(np.abs(difference), axis=(1, 2))[:, None, None]
    small = (np.abs(difference) < np.maximum(limit, 0.01)).all(axis=0)
    return np.where(small, median, pixels).astype(np.float32)


def affordable(cells: int) -> int:
    """Compressed bytes that a picture of so many cells may cost: under 3,000 at 60 x 20, more a cell in small ones."""
    return int(max(BUDGET_PER_CELL * cells, min(SMALL_PER_CELL * cells, SMALL_MOST)))


def make_cells(shown: Float32Array, columns: int, rows: int, *, budget: int | None = None) -> CellPicture:
    """Half-block cells of a shown picture, as many colours as its `budget` allows.

    Parameters
    ----------
    shown : float32 (C, h, w) on [0, 1], the right way up; best with a few pixels for each half cell
    columns, rows : the room there is; the picture keeps its shape and may be smaller
    budget : bytes that the terminal's sequences may take when compressed (zlib, level 6); by default that of
    `affordable`
    """
    _, height, width = shown.shape
    wide, high = fit(width, height, columns, rows)
    small = smoothed(pooled(shown, wide, high))
    if high % 2:
        small = np.concatenate([small, np.zeros((len(small), 1, wide), np.float32)], axis=1)
    rgb = np.moveaxis(small if len(small) == 3 else np.repeat(small, 3, axis=0), 0, -1)
    pixels = np.ascontiguousarray((rgb * 255.0 + 0.5).astype(np.uint8))
    allowed = affordable(wide * ((high + 1) // 2)) if budget is None else budget
    picture = CellPicture(0, 0, (), b"")
    for indices, table in ladder(pixels):
        palette = tuple((int(r), int(g), int(b)) for r, g, b in table)
        picture = CellPicture(wide, pixels.shape[0] // 2, palette, indices.tobytes())
        if len(zlib.compress(picture.ansi().encode(), 6)) <= allowed:
            break
    return picture
