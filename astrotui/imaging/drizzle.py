"""Drizzle without compiled code: the finer grid, the way drops are laid on it, and how evenly frames will cover it.

The definitions are those of Fruchter & Hook 2002 (PASP 114, 144): `scale` output pixels per pixel each way, drops of
`pixfrac` pixels. Everything here is numpy only, so that coverage is predicted where no kernel is loaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.cfa import CHANNELS, plane_offsets
from astrotui.imaging.types import Float64Array
from astrotui.text import plural

HOLES_ALLOWED = 0.001
"""Share of output pixels without any sample above which a coverage is called bad."""

VARIATION_ALLOWED = 0.3
"""Standard deviation of the coverage in units of its mean above which it is called bad."""

SCALES = (3.0, 2.5, 2.0, 1.75, 1.5, 1.25, 1.0)
PIXFRACS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

_TILT = 0.01  # output pixels by which a square's edges may be off where it is laid down untilted
_POINTS = 8192
_POINTS_SOUGHT = 4096  # enough to compare settings
_MOST = 2_000_000  # of points times frames
_SEED = 20


@dataclass(frozen=True)
class Coverage:
    """How evenly one channel is covered.

    Attributes
    ----------
    channel : R, G, B, or "" for mono
    holes : share of output pixels without a sample
    variation : standard deviation of the coverage over its mean
    """

    channel: str
    holes: float
    variation: float

    @property
    def good(self) -> bool:
        """Within the limits."""
        return self.holes <= HOLES_ALLOWED and self.variation <= VARIATION_ALLOWED


@dataclass(frozen=True)
class Prediction:
    """What coverage a drizzle will have.

    Attributes
    ----------
    scale, pixfrac : what it is about
    channels : by channel
    pixfrac_that_passes : the smallest that is within the limits at this scale; None without any
    scale_that_passes : the largest that is within the limits at this pixfrac; None without any
    only_both : neither is enough alone: that scale is within the limits at that pixfrac
    """

    scale: float
    pixfrac: float
    frames: int
    channels: tuple[Coverage, ...]
    pixfrac_that_passes: float | None = None
    scale_that_passes: float | None = None
    only_both: bool = False

    @property
    def good(self) -> bool:
        """All channels are within the limits."""
        return all(one.good for one in self.channels)


def output_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """Width and height of the output for a field of reference pixels; a last part of a pixel is left out."""
    return max(1, int(width * scale + 1e-6)), max(1, int(height * scale + 1e-6))


def grid_matrix(transform: Float64Array, scale: float, x0: float = 0.0, y0: float = 0.0) -> Float64Array:
    """(x, y, 1) of a frame to the output grid, whose pixel i spans i to i + 1.

    Parameters
    ----------
    transform : (3, 3), frame to reference, centers of pixels at whole numbers
    scale : output pixels per reference pixel
    x0, y0 : reference pixel whose outer corner is that of the output's first pixel
    """
    grid = np.array([[scale, 0, scale * (0.5 - x0)], [0, scale, scale * (0.5 - y0)], [0, 0, 1.0]])
    matrix = grid @ np.asarray(transform, np.float64)
    return np.asarray(matrix / matrix[2, 2])


def is_aligned(matrix: Float64Array, pixfrac: float, width: int, height: int) -> bool:
    """Whether squares along the grid may stand for the drops of a frame: their edges are off by a 100th of a pixel.

    True for shifts, quarter turns, and rotations of up to some tenths of a degree from these.

    Parameters
    ----------
    matrix : of `grid_matrix`
    width, height : of the frame
    """
    worst = 0.0
    for x, y in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
        X, Y = (matrix[:2] @ (x, y, 1)) / w
        side = np.abs(matrix[:2, :2] - np.outer((X, Y), matrix[2, :2])) / w
        if side[0, 0] + side[1, 1] < side[0, 1] + side[1, 0]:
            side = side[:, ::-1]  # a quarter turn
        worst = max(worst, side[0, 1], side[1, 0], abs(side[0, 0] - side[1, 1]) / 2)
    return bool(0.5 * pixfrac * worst <= _TILT)


def color_planes(cfa: str | None) -> NDArray[np.int64]:
    """Plane that a pixel belongs to by the parities of its row and column, int64 (2, 2); 0 for mono."""
    planes = np.zeros((2, 2), np.int64)
    if cfa:
        for number, channel in enumerate(CHANNELS):
            for row, column in plane_offsets(cfa)[channel]:
                planes[row, column] = number
    return planes


def placed_transform(
    dx: float, dy: float, rotation_deg: float, scale: float, width: int, height: int
) -> Float64Array:
    """Frame to reference from the numbers that are stored of a registration: shift and turn at the frame's center."""
    angle = np.radians(rotation_deg)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return np.array(
        [[cos, -sin, cx + dx - cos * cx + sin * cy], [sin, cos, cy + dy - sin * cx - cos * cy], [0, 0, 1.0]]
    )


def predict(
    transforms: Sequence[Float64Array],
    size: tuple[int, int],
    cfa: str | None,
    scale: float,
    pixfrac: float,
) -> Prediction:
    """The coverage that frames will give, and what would do better where it is bad.

    Parameters
    ----------
    transforms : (3, 3) each, frame to reference
    size : width and height of the frames
    cfa : pattern of the mosaic; None for mono or color frames
    """
    asked = coverage(transforms, size, cfa, scale, pixfrac)
    if all(one.good for one in asked):
        return Prediction(scale, pixfrac, len(transforms), asked)

    def passes(s: float, p: float) -> bool:
        return all(one.good for one in coverage(transforms, size, cfa, s, p, _POINTS_SOUGHT))

    larger = next((p for p in PIXFRACS if p > pixfrac and passes(scale, p)), None)
    smaller = next((s for s in SCALES if s < scale and passes(s, pixfrac)), None)
    only_both = larger is None and smaller is None
    if only_both:
        smaller = next((s for s in SCALES if s < scale and passes(s, 1.0)), None)
        larger = None if smaller is None else 1.0
    return Prediction(scale, pixfrac, len(transforms), asked, larger, smaller, only_both)


def coverage(
    transforms: Sequence[Float64Array],
    size: tuple[int, int],
    cfa: str | None,
    scale: float,
    pixfrac: float,
    points: int = _POINTS,
) -> tuple[Coverage, ...]:
    """Coverage of each channel, from pixels of the output drawn at random where at least half of the frames lie.

    For each the overlaps with the drops of all frames are summed, in the frames' own pixels, where the output's
    are squares of 1 / scale that are taken to lie untilted. The sum is divided by the number of frames there, so
    that edges of turned fields do not count as uneven.
    """
    width, height = size
    rng = np.random.default_rng(_SEED)
    count = max(512, min(points, _MOST // max(1, len(transforms))))
    across, down = output_size(width, height, scale)
    X = (rng.integers(0, across, count) + 0.5) / scale - 0.5
    Y = (rng.integers(0, down, count) + 0.5) / scale - 0.5
    cells = _cells(cfa)
    total = np.zeros((len(cells), count))
    there = np.zeros(count)
    for transform in transforms:
        (a, b, c), (d, e, f), (g, h, i) = np.linalg.inv(np.asarray(transform, np.float64)).tolist()
        w = g * X + h * Y + i
        u, v = (a * X + b * Y + c) / w, (d * X + e * Y + f) / w
        inside = (u > -0.5) & (v > -0.5) & (u < width - 0.5) & (v < height - 0.5)
        there += inside
        fx = [np.where(inside, _overlap(u, parity, scale, pixfrac), 0) for parity in (0, 1)]
        fy = [_overlap(v, parity, scale, pixfrac) for parity in (0, 1)]
        for number, (_, offsets) in enumerate(cells):
            for row, column in offsets:
                total[number] += fx[column] * fy[row]
    kept = there >= max(1, len(transforms) / 2)
    if not kept.any():
        kept = there > 0
    found = []
    for number, (channel, _) in enumerate(cells):
        part = total[number, kept] / there[kept]
        mean = float(part.mean()) if len(part) else 0.0
        holes = float((part <= 1e-9).mean()) if len(part) else 1.0
        found.append(Coverage(channel, holes, float(part.std()) / mean if mean > 0 else float("inf")))
    return tuple(found)


def _cells(cfa: str | None) -> list[tuple[str, list[tuple[int, int]]]]:
    if not cfa:
        return [("", [(0, 0), (0, 1), (1, 0), (1, 1)])]
    return list(plane_offsets(cfa).items())


def _overlap(u: Float64Array, parity: int, scale: float, pixfrac: float) -> Float64Array:
    """Length that an output pixel at `u` shares with the one drop of a parity that it can reach."""
    near = np.floor(u)
    near += (near - parity) % 2
    side = 1 / scale
    return np.clip((pixfrac + side) / 2 - np.abs(u - near), 0, min(pixfrac, side))


_NAMES = {"R": "red", "G": "green", "B": "blue"}


def describe(prediction: Prediction) -> str:
    """A prediction in one line, for people."""
    asked = f"drizzle {prediction.scale:g} with pixfrac {prediction.pixfrac:g}"
    if prediction.good:
        told = ", ".join(f"{one.variation:.2f}{_where(one)}" for one in prediction.channels)
        return f"{asked}: no holes, coverage varies by {told} of its mean"
    told = ", ".join(
        f"{one.holes:.1%} holes and variation {one.variation:.2f}{_where(one)}"
        for one in prediction.channels
        if not one.good
    )
    larger, smaller = prediction.pixfrac_that_passes, prediction.scale_that_passes
    if prediction.only_both and larger is not None and smaller is not None:
        better = f"--drizzle {smaller:g} --pixfrac {larger:g} would pass"
    elif larger is not None and smaller is not None:
        better = f"--pixfrac {larger:g} or --drizzle {smaller:g} would pass"
    elif larger is not None:
        better = f"--pixfrac {larger:g} would pass"
    elif smaller is not None:
        better = f"--drizzle {smaller:g} would pass"
    else:
        better = "no scale passes, more frames are needed, moved between exposures"
    limits = f"limits {HOLES_ALLOWED:.1%} and {VARIATION_ALLOWED:g}"
    frames = plural(prediction.frames, "frame")
    return f"{asked}: {frames} will cover unevenly; {better}: {told} ({limits})"


def _where(one: Coverage) -> str:
    return f" in {_NAMES[one.channel]}" if one.channel else ""
