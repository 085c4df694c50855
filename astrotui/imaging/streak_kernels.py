"""Compiled loops for finding trails; imported by workers only."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Index = NDArray[np.int32]


@njit(nogil=True, cache=True)
def hough(x: Index, y: Index, votes: NDArray[np.int32]) -> None:
    """Add each point's votes for the lines through it: x cos(theta) + y sin(theta) = rho.

    Row k of `votes` is theta = pi k / rows; column c is rho from 2 c - reach to 2 c - reach + 2, where reach is
    the number of columns less 2 and no point may lie further than it from the origin.
    """
    angles, columns = votes.shape
    reach = columns - 2
    for k in range(angles):
        c, s = math.cos(math.pi * k / angles) * 0.5, math.sin(math.pi * k / angles) * 0.5
        row = votes[k]
        shift = 0.5 * reach
        for i in range(len(x)):
            row[int(x[i] * c + y[i] * s + shift)] += 1


@njit(nogil=True, cache=True)
def drop_compact(mask: NDArray[np.bool_], least: int) -> None:
    """Clear, in place, each group of touching pixels (8 neighbours) that is under `least` pixels wide and high."""
    height, width = mask.shape
    seen = np.zeros((height, width), np.bool_)
    stack = np.empty(height * width, np.int64)
    for sy in range(height):
        for sx in range(width):
            if not mask[sy, sx] or seen[sy, sx]:
                continue
            stack[0] = sy * width + sx
            seen[sy, sx] = True
            done, size = 0, 1  # what was taken stays in the stack, to be cleared
            left, right, top, bottom = sx, sx, sy, sy
            while done < size:
                y, x = stack[done] // width, stack[done] % width
                done += 1
                left, right = min(left, x), max(right, x)
                top, bottom = min(top, y), max(bottom, y)
                for ny in range(max(0, y - 1), min(height, y + 2)):
                    for nx in range(max(0, x - 1), min(width, x + 2)):
                        if mask[ny, nx] and not seen[ny, nx]:
                            seen[ny, nx] = True
                            stack[size] = ny * width + nx
                            size += 1
            if right - left + 1 < least and bottom - top + 1 < least:
                for k in range(size):
                    mask[stack[k] // width, stack[k] % width] = False
