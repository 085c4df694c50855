"""Which pixels of a source a rectangle of the result needs, and by which of two ways they are brought there."""

from dataclasses import dataclass
from functools import cached_property
from math import floor
from typing import Literal

import numpy as np

from astrotui.imaging.mapping import Lens, Mapping
from astrotui.imaging.types import Float64Array

Interpolation = Literal["nearest", "bilinear", "bicubic", "mitchell", "lanczos3"]

# 8.6 and 3.4 degrees: beyond, the first pass stretches what the second has to read, and runs in one direction are short.
# Kernels of four taps take less time in both directions at once.
_TWO_PASS_SHEAR, _NARROW_TWO_PASS_SHEAR = 0.15, 0.06
_TWO_PASS_STRETCH = 0.05
_SIDE_POINTS = 33  # of each side of a rectangle, looked at through a lens
_BULGE = 2.0  # px by which a side may leave the points that were looked at
MARGIN = 8
"""Mirrored pixels that a window may have beyond the edge of its source: taps, demosaicing, and even size."""


@dataclass(frozen=True)
class Window:
    """A rectangle of source pixels, even in position and size; it may reach MARGIN beyond the source."""

    x0: int
    y0: int
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Warp:
    """How a source is brought to the grid of the result.

    Attributes
    ----------
    width, height : of the source
    inverse : (3, 3), (X, Y, 1) of the result to (x, y, w) of the source
    turns : quarter turns (as of `numpy.rot90`) of the source that leave the smallest rotation to do
    turned : (3, 3), as `inverse`, to the turned source
    two_pass : the small rotation that is left suits two one-dimensional passes
    area : source pixels per result pixel (at the center of the source, for a homography)
    lens : bends both source and result; the matrices then lie between undistorted pixels
    """

    width: int
    height: int
    inverse: Float64Array
    turns: int
    turned: Float64Array
    two_pass: bool
    area: float
    lens: Lens | None = None

    @cached_property
    def rows(self) -> list[list[float]]:
        """`inverse` as plain numbers, which are quicker one by one."""
        rows: list[list[float]] = self.inverse.tolist()
        return rows

    @property
    def turned_size(self) -> tuple[int, int]:
        """Width and height of the turned source."""
        return (self.height, self.width) if self.turns % 2 else (self.width, self.height)

    def positions(self, X: Float64Array, Y: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Source positions (x, y) of result pixels."""
        if self.lens is not None:
            return Mapping(self.inverse, self.lens).to_reference(X, Y)
        return project(self.inverse, X, Y)

    def window(self, X0: int, Y0: int, columns: int, rows: int) -> Window | None:
        """The source pixels that a rectangle of the result needs; None when none of it is covered."""
        found = self._extent(X0, Y0, columns, rows)
        if found is None:
            return None  # behind the horizon of the homography
        left, right, top, bottom = found
        if right < -0.5 or bottom < -0.5 or left > self.width - 0.5 or top > self.height - 0.5:
            return None
        # taps reach 3 pixels, the shear of two passes 1, demosaicing 2, neighbors of defects 2
        x0, x1 = _even_span(left, right, self.width)
        y0, y1 = _even_span(top, bottom, self.height)
        return Window(x0, y0, x1 - x0, y1 - y0)

    def _extent(self, X0: int, Y0: int, columns: int, rows: int) -> tuple[float, float, float, float] | None:
        """Least and greatest x, then y, of the corners of a rectangle of the result in the source."""
        if self.lens is not None:
            return self._bent_extent(X0, Y0, columns, rows)
        (a, b, c), (d, e, f), (g, h, i) = self.rows
        xs, ys = [], []
        for X in (X0, X0 + columns - 1):
            for Y in (Y0, Y0 + rows - 1):
                w = g * X + h * Y + i
                if w <= 0:
                    return None
                xs.append((a * X + b * Y + c) / w)
                ys.append((d * X + e * Y + f) / w)
        return min(xs), max(xs), min(ys), max(ys)

    def _bent_extent(
        self, X0: int, Y0: int, columns: int, rows: int
    ) -> tuple[float, float, float, float] | None:
        """As `_extent`, from points all along the sides, which a lens bends."""
        along = np.linspace(0.0, 1.0, _SIDE_POINTS)
        zero, one = np.zeros(_SIDE_POINTS), np.ones(_SIDE_POINTS)
        X = X0 + (columns - 1) * np.concatenate([along, along, zero, one])
        Y = Y0 + (rows - 1) * np.concatenate([zero, one, along, along])
        a = self.inverse
        x, y = self.positions(X, Y)
        assert self.lens is not None
        ideal = self.lens.undistort(np.stack([X, Y], axis=1))
        good = np.isfinite(x) & (a[2, 0] * ideal[:, 0] + a[2, 1] * ideal[:, 1] + a[2, 2] > 0)
        if not good.any():
            return None
        if not good.all():  # part of it lies beyond what the lens shows: any of the source may be needed
            return 0.0, self.width - 1.0, 0.0, self.height - 1.0
        return (
            float(x.min()) - _BULGE,
            float(x.max()) + _BULGE,
            float(y.min()) - _BULGE,
            float(y.max()) + _BULGE,
        )

    @cached_property
    def lens_numbers(self) -> Float64Array:
        """What `lens_kernels.warp_through_lens` wants: of the result, then the middle of the turned source."""
        lens = self.lens
        assert lens is not None
        right, below = self.width - 1 - lens.x, self.height - 1 - lens.y
        middle = ((lens.x, lens.y), (lens.y, right), (right, below), (below, lens.x))[self.turns]
        return np.array([lens.x, lens.y, lens.radius, lens.k1, lens.k2, *middle, lens.limit], np.float64)

    def turned_origin(self, window: Window) -> tuple[int, int]:
        """Position (x, y) of a window's first pixel in the turned source, after the window was turned."""
        right = self.width - window.x0 - window.width
        below = self.height - window.y0 - window.height
        return ((window.x0, window.y0), (window.y0, right), (right, below), (below, window.x0))[self.turns]

    def covers(self, X0: int, Y0: int, columns: int, rows: int) -> bool:
        """Whether every pixel of a rectangle of the result lies well inside the source."""
        found = self._extent(X0, Y0, columns, rows)
        if found is None:
            return False
        left, right, top, bottom = found
        return left >= 0 and top >= 0 and right <= self.width - 1 and bottom <= self.height - 1


def _even_span(low: float, high: float, size: int) -> tuple[int, int]:
    first = max(floor(low) - 7, -MARGIN) // 2 * 2
    last = min(floor(high) + 9, size + MARGIN)
    return first, last + (last - first) % 2


def project(matrix: Float64Array, x: Float64Array, y: Float64Array) -> tuple[Float64Array, Float64Array]:
    """(x, y, 1) through a 3x3 matrix, divided by the third coordinate."""
    w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    return (
        (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / w,
        (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / w,
    )


def plan_warp(
    transform: Float64Array,
    width: int,
    height: int,
    method: Interpolation = "lanczos3",
    lens: Lens | None = None,
) -> Warp:
    """How to bring a source of `width` by `height` pixels to the result by `transform`.

    Parameters
    ----------
    transform : (3, 3), (x, y, 1) of the source to (X, Y, w) of the result
    lens : of source and result; the transform is then one of undistorted pixels

    Raises
    ------
    ValueError
        The matrix is singular or is not finite.
    """
    matrix = np.asarray(transform, np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or matrix[2, 2] == 0:
        raise ValueError("a transform is a finite 3x3 matrix")
    matrix = matrix / matrix[2, 2]
    determinant = float(np.linalg.det(matrix[:2, :2]))
    if not abs(determinant) > 1e-6:
        raise ValueError(f"a transform must not collapse the image (determinant {determinant:.3g})")
    inverse = np.linalg.inv(matrix)
    inverse /= inverse[2, 2]
    quarter = (
        np.eye(3),
        np.array([[0, 1, 0], [-1, 0, width - 1], [0, 0, 1.0]]),
        np.array([[-1, 0, width - 1], [0, -1, height - 1], [0, 0, 1.0]]),
        np.array([[0, -1, height - 1], [1, 0, 0], [0, 0, 1.0]]),
    )
    turned = [turn @ inverse for turn in quarter]
    turns = int(np.argmax([t[0, 0] + t[1, 1] for t in turned]))
    best = turned[turns]
    stretch = max(abs(best[0, 0] - 1), abs(best[1, 1] - 1))
    shear = max(abs(best[0, 1]), abs(best[1, 0]))
    most_shear = _TWO_PASS_SHEAR if method in ("lanczos3", "nearest") else _NARROW_TWO_PASS_SHEAR
    two_pass = bool(
        best[2, 0] == 0 and best[2, 1] == 0 and stretch <= _TWO_PASS_STRETCH and shear <= most_shear
    )
    if method == "nearest":  # rounding twice is not the same unless nothing turns
        two_pass = two_pass and max(stretch, shear) < 1e-12
    cx, cy = (width - 1) / 2, (height - 1) / 2
    w = matrix[2, 0] * cx + matrix[2, 1] * cy + 1
    area = abs(float(w**3 / np.linalg.det(matrix)))
    if lens is not None and not np.allclose(
        matrix, np.eye(3), rtol=0, atol=1e-12
    ):  # else it bends there and back
        x, y = Mapping(matrix, lens).to_reference(np.array([cx, cx + 1, cx]), np.array([cy, cy, cy + 1]))
        spread = abs(float((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])))
        return Warp(width, height, inverse, turns, best, False, 1 / spread if spread > 0 else area, lens)
    return Warp(width, height, inverse, turns, best, two_pass, area)


@dataclass(frozen=True)
class Place:
    """A part of a tile: the tile's corner in the result, and the part's corner and size within the tile."""

    X0: int
    Y0: int
    column: int
    row: int
    columns: int
    rows: int


def places(warp: Warp, X0: int, Y0: int, columns: int, rows: int, limit: int) -> list[tuple[Place, Window]]:
    """Parts of a tile whose windows are at most `limit` pixels wide and high; parts without coverage are left out.

    One part unless the source has much finer pixels than the result.
    """
    pending = [Place(X0, Y0, 0, 0, columns, rows)]
    found = []
    while pending:
        place = pending.pop()
        window = warp.window(X0 + place.column, Y0 + place.row, place.columns, place.rows)
        if window is None:
            continue
        if warp.two_pass or max(window.width, window.height) <= limit or max(place.columns, place.rows) == 1:
            found.append((place, window))
            continue
        half_c, half_r = place.columns, place.rows
        if half_c >= half_r:
            half_c = (half_c + 1) // 2
        else:
            half_r = (half_r + 1) // 2
        pending += [
            Place(
                X0,
                Y0,
                place.column + c,
                place.row + r,
                min(half_c, place.columns - c),
                min(half_r, place.rows - r),
            )
            for c in range(0, place.columns, half_c)
            for r in range(0, place.rows, half_r)
        ]
    return found
