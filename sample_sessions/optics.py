"""What a wide lens on a tripod does to the sky: it bends straight lines, and the field turns about the pole; numpy only."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sample_sessions.field import Float64


@dataclass(frozen=True)
class Lens:
    """Radial distortion: an undistorted point at distance r of the center is shown at r (1 + k1 r^2 + k2 r^4).

    r is in units of half the diagonal of a frame of `width` by `height` pixels, whose middle is the center: k1 is the
    distortion in the corner, -0.02 a barrel of 2 %.
    """

    width: int
    height: int
    k1: float
    k2: float = 0.0

    def bend(self, x: ArrayLike, y: ArrayLike) -> tuple[Float64, Float64]:
        """Where undistorted points are shown."""
        u = np.asarray(x, np.float64) - (self.width - 1) / 2
        v = np.asarray(y, np.float64) - (self.height - 1) / 2
        q = (u * u + v * v) / (self.width**2 + self.height**2) * 4
        stretch = 1 + q * (self.k1 + self.k2 * q)
        return u * stretch + (self.width - 1) / 2, v * stretch + (self.height - 1) / 2

    def straighten(self, x: ArrayLike, y: ArrayLike) -> tuple[Float64, Float64]:
        """The undistorted places of points of a frame."""
        px, py = np.asarray(x, np.float64), np.asarray(y, np.float64)
        u, v = px.copy(), py.copy()
        for _ in range(30):  # a contraction by some hundredths a step
            bx, by = self.bend(u, v)
            u, v = u + px - bx, v + py - by
        return u, v


def turned_sky(
    width: int, height: int, focal_px: float, degrees: float, pole: tuple[float, float] = (0.0, 60.0)
) -> Float64:
    """The sky as a camera on a tripod sees it after it turned by `degrees` about the pole, as `to_frame`.

    Parameters
    ----------
    focal_px : focal length in pixels
    pole : where the pole lies, in degrees to the right of and above the optical axis
    """
    a, b = math.radians(pole[0]), math.radians(pole[1])
    axis = np.array([math.sin(a) * math.cos(b), -math.sin(b), math.cos(a) * math.cos(b)])
    t = math.radians(degrees)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.eye(3) + math.sin(t) * cross + (1 - math.cos(t)) * cross @ cross
    camera = np.array([[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1]])
    matrix = camera @ turn @ np.linalg.inv(camera)
    return np.asarray(matrix / matrix[2, 2])
