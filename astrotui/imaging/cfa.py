"""Colour filter mosaics: which colour a pixel records, and planes of half size; numpy only."""

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.types import Float32Array

Channel = Literal["R", "G", "B"]
CHANNELS: tuple[Channel, ...] = ("R", "G", "B")
PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")


def channel_of(pattern: str, y: int, x: int) -> Channel:
    """The colour that pixel (row `y`, column `x`) records under the 2x2 `pattern` at row 0, column 0.

    Raises
    ------
    ValueError : not a Bayer pattern
    """
    return cast(Channel, _checked(pattern)[2 * (y % 2) + x % 2])


def plane_offsets(pattern: str) -> dict[Channel, list[tuple[int, int]]]:
    """For each colour the (row, column) offsets of its pixels in the 2x2 cell, in stored order.

    Raises
    ------
    ValueError : not a Bayer pattern
    """
    letters = _checked(pattern)
    cells = [(letters[2 * dy + dx], (dy, dx)) for dy in (0, 1) for dx in (0, 1)]
    return {channel: [offset for letter, offset in cells if letter == channel] for channel in CHANNELS}


def green_half(raw: NDArray[Any], pattern: str) -> Float32Array:
    """The mean of the two greens of each 2x2 cell, float32 (H // 2, W // 2).

    Pixel (x, y) of the result lies at (2 x + 0.5, 2 y + 0.5) of `raw`, shape (H, W); an odd last row or column is
    left out.
    """
    (ay, ax), (by, bx) = plane_offsets(pattern)["G"]
    height, width = raw.shape[0] // 2 * 2, raw.shape[1] // 2 * 2
    plane = raw[ay:height:2, ax:width:2].astype(np.float32)
    plane += raw[by:height:2, bx:width:2]
    plane *= np.float32(0.5)
    return plane


def bin2(image: NDArray[Any]) -> Float32Array:
    """The mean of each 2x2 block, float32 (H // 2, W // 2); an odd last row or column is left out.

    Pixel (x, y) of the result lies at (2 x + 0.5, 2 y + 0.5) of `image`, shape (H, W).
    """
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    total = image[0:height:2, 0:width:2].astype(np.float32)
    for dy, dx in ((0, 1), (1, 0), (1, 1)):
        total += image[dy:height:2, dx:width:2]
    total *= np.float32(0.25)
    return total


def _checked(pattern: str) -> str:
    letters = pattern.upper()
    if letters not in PATTERNS:
        raise ValueError(f"not a Bayer pattern: {pattern!r}; known are {', '.join(PATTERNS)}")
    return letters
