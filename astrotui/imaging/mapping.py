"""Where a frame's pixels lie on the reference when its lens bends straight lines: a matrix between undistorted pixels."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from astrotui.imaging.geometry import apply
from astrotui.imaging.types import Float64Array

NEWTON_STEPS = 6
"""Steps of Newton's method that undistort: a distortion of a tenth is exact to rounding after five."""


@dataclass(frozen=True)
class Lens:
    """Radial distortion of the frames of one camera.

    With r the distance of an undistorted point from the center in units of `radius`, the lens shows it at
    r (1 + k1 r^2 + k2 r^4) (Brown 1971, Photogrammetric Engineering 37, 855, without decentering).

    Attributes
    ----------
    x, y : center of the distortion, px
    radius : half the diagonal of the frame, px
    k1, k2 : negative k1 is a barrel, positive a cushion
    """

    x: float
    y: float
    radius: float
    k1: float
    k2: float = 0.0

    @classmethod
    def centered(cls, width: int, height: int, k1: float, k2: float = 0.0) -> "Lens":
        """A lens whose axis meets the middle of frames of `width` by `height` pixels."""
        return cls((width - 1) / 2, (height - 1) / 2, float(np.hypot(width, height)) / 2, k1, k2)

    @cached_property
    def limit(self) -> float:
        """Undistorted radius, in units of `radius`, up to which no two points are shown at one place."""
        roots = (
            np.roots([5 * self.k2, 3 * self.k1, 1.0]) if self.k2 else np.array([-1 / (3 * self.k1 or -1e-12)])
        )
        real = [float(v.real) for v in np.atleast_1d(roots) if abs(v.imag) < 1e-12 and v.real > 0]
        return float(np.sqrt(min(real))) if real else float("inf")

    def distort(self, points: Float64Array) -> Float64Array:
        """Where the lens shows undistorted points (n, 2); NaN where it folds the sky over."""
        center = np.array([self.x, self.y])
        away = points - center
        square = (away**2).sum(axis=1) / self.radius**2
        stretch = 1 + square * (self.k1 + self.k2 * square)
        stretch = np.where(square <= self.limit**2, stretch, np.nan)
        return np.asarray(center + away * stretch[:, None])

    def undistort(self, points: Float64Array) -> Float64Array:
        """The undistorted places of points (n, 2) of a frame; NaN beyond what the lens can show."""
        center = np.array([self.x, self.y])
        away = points - center
        shown = np.hypot(away[:, 0], away[:, 1]) / self.radius
        r = shown.copy()
        with np.errstate(all="ignore"):
            for _ in range(NEWTON_STEPS):
                q = r * r
                r = r - (r * (1 + q * (self.k1 + self.k2 * q)) - shown) / (
                    1 + q * (3 * self.k1 + 5 * self.k2 * q)
                )
            again = r * (1 + r * r * (self.k1 + self.k2 * r * r))
            good = (r >= 0) & (r <= self.limit) & (np.abs(again - shown) < 1e-6)
            stretch = np.where(good, np.where(shown > 0, r / np.where(shown > 0, shown, 1.0), 1.0), np.nan)
        return np.asarray(center + away * stretch[:, None])

    def halved(self) -> "Lens":
        """The same lens on super-pixel planes, whose pixel x lies at 2 x + 0.5 of the frame."""
        return replace(self, x=(self.x - 0.5) / 2, y=(self.y - 0.5) / 2, radius=self.radius / 2)


@dataclass(frozen=True, eq=False)
class Mapping:
    """Where pixels of a frame lie on the reference, and back.

    Attributes
    ----------
    matrix : float64 (3, 3), frame (x, y, 1) to reference (x, y, 1); with a lens, between undistorted pixels
    lens : of both frame and reference; None for straight lines
    """

    matrix: Float64Array
    lens: Lens | None = None

    def to_reference(self, x: Float64Array, y: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Reference pixels of frame pixels; arrays of any one shape."""
        return self._through(self.matrix, x, y)

    def to_frame(self, x: Float64Array, y: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Frame pixels of reference pixels; arrays of any one shape."""
        return self._through(np.asarray(np.linalg.inv(self.matrix), np.float64), x, y)

    def _through(
        self, matrix: Float64Array, x: Float64Array, y: Float64Array
    ) -> tuple[Float64Array, Float64Array]:
        shape = np.shape(x)
        points = np.stack([np.ravel(x), np.ravel(y)], axis=1).astype(np.float64)
        if self.lens is None:
            moved = apply(matrix, points)
        else:
            moved = self.lens.distort(apply(matrix, self.lens.undistort(points)))
        return moved[:, 0].reshape(shape), moved[:, 1].reshape(shape)

    def halved(self) -> "Mapping":
        """The same between super-pixel planes."""
        cells = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]])
        matrix = np.linalg.inv(cells) @ self.matrix @ cells
        return Mapping(matrix, None if self.lens is None else self.lens.halved())
