"""Satellite and aircraft trails: long thin lines, found by a Hough transform of a small thresholded copy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.types import Float32Array, Mask

MAP_WIDTH = 480  # pixels of the copy
SIGMA = 2.6  # a pixel of the copy counts from here
CROWDED = 0.06  # of the copy's pixels; in denser fields the threshold rises
COMPACT = 5  # pixels of the copy; what is smaller both ways is a star, not a piece of a trail
ANGLES = 360
SHORTEST = 22  # pixels of the copy, gaps included
FILLED = 0.8  # of a trail's length
BESIDE = 0.35  # at most so much may be filled on both sides, or it is no thin line


@dataclass(frozen=True)
class Streak:
    """One trail, from (x0, y0) to (x1, y1) in pixels of the plane it was found on."""

    x0: float
    y0: float
    x1: float
    y1: float
    filled: float

    @property
    def length(self) -> float:
        return float(np.hypot(self.x1 - self.x0, self.y1 - self.y0))


def find_streaks(plane: Float32Array, noise: float, *, limit: int = 4) -> list[Streak]:
    """Trails on a sky-subtracted plane (H, W) whose pixels have the standard deviation `noise`; longest first.

    The copy is made of block means, so that a trail's light adds up while the noise falls, and single stars become
    single pixels. A trail must be filled over at least `SHORTEST` pixels of the copy and be thin.
    """
    from astrotui.imaging.plane_kernels import block_mean
    from astrotui.imaging.streak_kernels import drop_compact, hough

    factor = max(1, round(plane.shape[1] / MAP_WIDTH))
    height, width = plane.shape[0] // factor, plane.shape[1] // factor
    if min(height, width) < SHORTEST:
        return []
    small = np.empty((height, width), np.float32)
    block_mean(plane, factor, small)
    threshold = max(SIGMA * noise / factor, float(np.quantile(small[::2, ::2], 1 - CROWDED)))
    mask = small > threshold
    drop_compact(mask, COMPACT)  # stars
    found: list[Streak] = []
    for _ in range(limit):
        y, x = np.nonzero(mask)
        if len(x) < SHORTEST * FILLED:
            break
        reach = int(np.ceil(np.hypot(width, height)))
        votes = np.zeros((ANGLES, reach + 2), np.int32)
        hough(x.astype(np.int32), y.astype(np.int32), votes)
        streak = _best(mask, votes, x, y)
        if streak is None:
            break
        found.append(_scaled(streak, factor))
        _erase(mask, streak)
    return sorted(found, key=lambda s: -s.length)


def _best(mask: Mask, votes: NDArray[np.int32], x: NDArray[np.intp], y: NDArray[np.intp]) -> Streak | None:
    """The first of the most voted lines that holds a trail."""
    angles, offsets = votes.shape
    flat = votes.ravel()
    order = np.flatnonzero(flat >= max(SHORTEST * FILLED, 0.7 * int(flat.max())))
    order = order[np.argsort(-flat[order], kind="stable")[:200]]
    tried: list[tuple[int, int]] = []
    for index in order:
        angle, offset = divmod(int(index), offsets)
        if any(abs(angle - a) < 6 and abs(offset - o) < 4 for a, o in tried):
            continue
        tried.append((angle, offset))
        if len(tried) > 8:
            break
        line = _refined(np.pi * angle / angles, 2.0 * offset - (offsets - 2) + 1.0, x, y)
        streak = None if line is None else _along(mask, *line)
        if streak is not None:
            return streak
    return None


def _refined(
    theta: float, rho: float, x: NDArray[np.intp], y: NDArray[np.intp]
) -> tuple[float, float] | None:
    """Angle and offset of the line of least squared distances to the points near the voted one."""
    for reach in (3.0, 2.0, 1.5):
        distance = x * np.cos(theta) + y * np.sin(theta) - rho
        near = np.abs(distance) <= reach
        if near.sum() < SHORTEST * FILLED:
            return None
        px, py = x[near].astype(np.float64), y[near].astype(np.float64)
        cx, cy = px.mean(), py.mean()
        _, _, axes = np.linalg.svd(np.stack([px - cx, py - cy], axis=1), full_matrices=False)
        ux, uy = axes[0]
        new = float(np.arctan2(ux, -uy))
        if abs(np.sin(new - theta)) > 0.05:
            return None
        theta = new
        rho = float(cx * np.cos(theta) + cy * np.sin(theta))
    return theta, rho


def _along(mask: Mask, theta: float, rho: float) -> Streak | None:
    """The longest well-filled part of a line, if it is a trail."""
    height, width = mask.shape
    nx, ny = np.cos(theta), np.sin(theta)
    reach = int(np.hypot(width, height))
    t = np.arange(-reach, reach + 1, dtype=np.float64)
    x, y = rho * nx - t * ny, rho * ny + t * nx
    inside = (x > -0.5) & (y > -0.5) & (x < width - 0.5) & (y < height - 0.5)
    x, y = x[inside], y[inside]
    if len(x) < SHORTEST:
        return None

    def filled(*offsets: int) -> Mask:
        hits = np.zeros(len(x), bool)
        for offset in offsets:
            ix = np.clip(np.rint(x + offset * nx), 0, width - 1).astype(np.intp)
            iy = np.clip(np.rint(y + offset * ny), 0, height - 1).astype(np.intp)
            hits |= mask[iy, ix]
        return hits

    on = filled(-1, 0, 1)
    start, stop = _longest_run(on)
    if stop - start < SHORTEST or on[start:stop].mean() < FILLED:
        return None
    if any(filled(o)[start:stop].mean() > BESIDE for o in (-4, 4)):
        return None
    last = stop - 1
    return Streak(
        float(x[start]), float(y[start]), float(x[last]), float(y[last]), float(on[start:stop].mean())
    )


def _longest_run(on: Mask) -> tuple[int, int]:
    """The part with the largest sum when a filled pixel counts +1 and a gap -4: at least 80 % of it is filled."""
    totals = np.concatenate([[0], np.cumsum(np.where(on, 1, -4))])
    lowest = np.minimum.accumulate(totals)
    stop = int(np.argmax(totals - lowest))
    return int(np.argmin(totals[: stop + 1])), stop


def _erase(mask: Mask, streak: Streak) -> None:
    """Clear the pixels of a found trail, 3 to each side, so that the next search sees others."""
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    ux, uy = (streak.x1 - streak.x0) / streak.length, (streak.y1 - streak.y0) / streak.length
    across = np.abs(ux * (y - streak.y0) - uy * (x - streak.x0))
    along = ux * (x - streak.x0) + uy * (y - streak.y0)
    mask[(across <= 3) & (along >= -3) & (along <= streak.length + 3)] = False


def _scaled(streak: Streak, factor: int) -> Streak:
    offset = (factor - 1) / 2
    x0, y0, x1, y1 = (factor * v + offset for v in (streak.x0, streak.y0, streak.x1, streak.y1))
    return Streak(x0, y0, x1, y1, streak.filled)
