"""The sky above: stars, diffuse light and the maps between reference and frame; numpy only."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Glow = Float32 | Callable[[Float64, Float64], Float32]


@dataclass(frozen=True, eq=False)
class Sky:
    """What is above: stars and diffuse light in reference coordinates.

    Attributes
    ----------
    width, height : pixels of the reference frame
    x, y : float64 (n,), star positions; some lie outside the frame by a margin
    flux : float32 (3, n), electrons per second of each star in R, G, B; a mono camera records G
    glow : diffuse light, electrons per second and pixel: a float32 array (3, height, width), or a function of
        (x, y) arrays that returns (3, *x.shape); None for none
    """

    width: int
    height: int
    x: Float64
    y: Float64
    flux: Float32
    glow: Glow | None = None

    def __len__(self) -> int:
        return len(self.x)


def random_sky(
    seed: int,
    width: int,
    height: int,
    stars: int = 200,
    *,
    faint: float = 20.0,
    bright: float = 20000.0,
    slope: float = 0.85,
    margin: float = 50.0,
    separation: float = 0.0,
    colors: float = 1.0,
    glow: Glow | None = None,
) -> Sky:
    """Stars at random places, with the counts of a real field and the colours of black bodies.

    Parameters
    ----------
    seed : the same seed gives the same sky
    width, height : pixels of the reference frame
    stars : how many, margin included
    faint, bright : limits of the green flux, electrons per second
    slope : of the counts, N(>F) ~ F^-slope; 0.85 is that of the Milky Way's faint stars
    margin : stars also lie this far outside the frame, px
    separation : least distance between two stars, px; 0 for no limit
    colors : 0 makes every star white, 1 gives real colours
    glow : diffuse light, see `Sky`

    Returns
    -------
    Sky, brightest star first.

    Raises
    ------
    ValueError : so many stars do not fit with this separation
    """
    rng = np.random.default_rng([seed, 1])
    u = rng.random(stars)
    low, high = faint**-slope, bright**-slope
    green = np.sort((low + u * (high - low)) ** (-1.0 / slope))[::-1]
    x, y = _places(rng, width, height, stars, margin=margin, separation=separation)
    kelvin = np.exp(rng.normal(math.log(5600.0), 0.28, stars)).clip(2900.0, 22000.0)
    wave = np.array([600.0, 530.0, 460.0])[:, None] * 1e-9
    radiance = wave**-5 / np.expm1(0.014388 / (wave * kelvin))
    radiance /= radiance[1]
    white = wave**-5 / np.expm1(0.014388 / (wave * 5600.0))
    response = np.array([[0.92], [1.0], [0.84]])  # of the camera, for a white star
    ratio = response * (radiance / (white / white[1])) ** colors
    return Sky(width, height, x, y, (green * ratio).astype(np.float32), glow)


def _places(
    rng: np.random.Generator, width: int, height: int, count: int, *, margin: float, separation: float
) -> tuple[Float64, Float64]:
    spans = np.array([width + 2 * margin, height + 2 * margin])
    if separation <= 0:
        points = rng.random((count, 2)) * spans - margin
        return points[:, 0], points[:, 1]
    cell = separation / math.sqrt(
        2.0
    )  # a cell holds at most one star, so 5x5 cells around are enough to look at
    taken: dict[tuple[int, int], tuple[float, float]] = {}
    for _ in range(200 * count):
        px, py = rng.random(2) * spans - margin
        cx, cy = math.floor(px / cell), math.floor(py / cell)
        near = (taken.get((cx + i, cy + j)) for i in range(-2, 3) for j in range(-2, 3))
        if all(p is None or math.hypot(p[0] - px, p[1] - py) >= separation for p in near):
            taken[cx, cy] = (float(px), float(py))
            if len(taken) == count:
                break
    else:
        raise ValueError(f"{count} stars {separation} px apart do not fit into {width}x{height}")
    points = np.array(list(taken.values()))
    return points[:, 0], points[:, 1]


def similarity(
    dx: float = 0.0,
    dy: float = 0.0,
    degrees: float = 0.0,
    scale: float = 1.0,
    center: tuple[float, float] = (0.0, 0.0),
) -> Float64:
    """A 3x3 matrix to use as `to_frame`: REFERENCE (x, y, 1) to FRAME (x, y, 1).

    A star at p in the reference lies at center + scale R(degrees) (p - center) + (dx, dy) in the frame;
    positive degrees turn x towards y. `inverse` of it maps FRAME to REFERENCE, what a registration finds.
    """
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    cx, cy = center
    return np.array([[c, -s, cx - c * cx + s * cy + dx], [s, c, cy - s * cx - c * cy + dy], [0.0, 0.0, 1.0]])


def inverse(matrix: Float64) -> Float64:
    """The inverse map: given REFERENCE to FRAME it returns FRAME to REFERENCE, and the other way round."""
    result = np.linalg.inv(matrix)
    return np.asarray(result / result[2, 2])


def apply(matrix: Float64, x: ArrayLike, y: ArrayLike) -> tuple[Float64, Float64]:
    """The points (x, y) mapped by a 3x3 matrix, as float64 arrays."""
    px, py = np.asarray(x, np.float64), np.asarray(y, np.float64)
    w = matrix[2, 0] * px + matrix[2, 1] * py + matrix[2, 2]
    return (
        (matrix[0, 0] * px + matrix[0, 1] * py + matrix[0, 2]) / w,
        (matrix[1, 0] * px + matrix[1, 1] * py + matrix[1, 2]) / w,
    )
