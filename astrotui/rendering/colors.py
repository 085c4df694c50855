"""Fewer colours for small pictures: a coarse grid of brightness and colour, the same for every picture."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Steps of brightness and of colour difference, from fine to coarse, in levels of 255. Eyes see brightness better.
LADDER = (
    (2, 6),
    (3, 8),
    (4, 12),
    (5, 16),
    (6, 20),
    (8, 26),
    (10, 34),
    (14, 44),
    (20, 64),
    (30, 90),
    (50, 255),
)
_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32
)  # JFIF


def reduced(
    pixels: NDArray[np.uint8], step: int, color_step: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`pixels` (h, w, 3) on a grid of brightness (`step`) and colour difference (`color_step`).

    Unlike a palette fitted to the picture, a grid keeps the few pixels of a star as bright as they were,
    and gives an even sky one colour.

    Returns
    -------
    indices : uint8 (h, w)
    palette : uint8 (n, 3), n at most 256; rare colours beyond that are shown gray
    """
    height, width, _ = pixels.shape
    ycc = pixels.reshape(-1, 3).astype(np.float32) @ _TO_YCC.T
    middle = 128 // color_step + 1
    side = 2 * middle + 1
    y = np.rint(ycc[:, 0] / step).astype(np.int32)
    cb, cr = (np.rint(ycc[:, i] / color_step).astype(np.int32) + middle for i in (1, 2))
    codes = (y * side + cb) * side + cr
    counts = np.bincount(codes)  # the grid has few places: counting beats sorting
    used = np.flatnonzero(counts)
    meant = np.arange(len(counts))
    if len(used) > 256:
        room = max(0, 256 - (255 // step + 2))
        rare = used[np.argsort(-counts[used], kind="stable")[room:]]
        meant[rare] = (rare // side**2 * side + middle) * side + middle
        used = np.unique(meant[used])
    place = np.zeros(len(counts) + side**2, np.uint8)
    place[used] = np.arange(len(used))
    grid = np.stack(
        [
            used // side**2 * step,
            (used // side % side - middle) * color_step,
            (used % side - middle) * color_step,
        ]
    )
    palette = np.clip(np.rint(grid.T @ np.linalg.inv(_TO_YCC.astype(np.float64)).T), 0, 255).astype(np.uint8)
    return place[meant[codes]].reshape(height, width), palette


def ladder(pixels: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """`reduced` from fine to coarse."""
    for step, color_step in LADDER:
        yield reduced(pixels, step, color_step)
