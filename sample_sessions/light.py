"""Light as it falls on the pixels of a frame, without noise: stars, glow, trails, cosmic rays; numpy only."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sample_sessions.camera import channel_map
from sample_sessions.field import Float32, Float64, Sky, apply, inverse
from sample_sessions.optics import Lens

Trail = tuple[float, float, float, float, float, float]
Hits = tuple[NDArray[np.intp], NDArray[np.intp], Float32]

SIGMA_OF_FWHM = 1.0 / math.sqrt(8.0 * math.log(2.0))
PIXEL_FWHM2 = 8.0 * math.log(2.0) / 12.0  # what a square pixel adds to the squared FWHM that is recorded

_erf_objects = np.frompyfunc(math.erf, 1, 1)


def _erf(values: Float64) -> Float64:
    return np.asarray(_erf_objects(values), np.float64)


def recorded_fwhm(fwhm_px: float) -> float:
    """The FWHM that a fit to the recorded pixels reads: a square pixel adds 8 ln 2 / 12 to its square."""
    return math.sqrt(fwhm_px**2 + PIXEL_FWHM2)


def star_light(
    sky: Sky,
    to_frame: Float64,
    width: int,
    height: int,
    cfa: str | None,
    *,
    fwhm_px: float,
    elongation: float = 1.0,
    angle_deg: float = 0.0,
    beta: float | None = None,
    lens: Lens | None = None,
) -> Float32:
    """The stars' electrons per second in each pixel without noise, float32 (height, width).

    Round Gaussians are integrated over the pixels with the error function; elongated ones and Moffats with a
    4x4-point Gauss-Legendre rule in each pixel. See `expose` for the shape.
    """
    image = np.zeros(height * width, np.float32)
    x, y = apply(to_frame, sky.x, sky.y)
    if lens is not None:
        x, y = lens.bend(x, y)
    x, y = x.astype(np.float64), y.astype(np.float64)
    brightest = sky.flux.max(axis=0).astype(np.float64)
    if beta is None:  # where a star's light falls below 1e-3 electrons per second and pixel
        sigma = fwhm_px * SIGMA_OF_FWHM * math.sqrt(max(1.0, elongation))
        reach = sigma * np.sqrt(2 * np.log(np.maximum(brightest / (2 * math.pi * sigma**2) / 1e-3, 10.0))) + 1
    else:
        alpha = fwhm_px * math.sqrt(max(1.0, elongation)) / (2 * math.sqrt(2 ** (1 / beta) - 1))
        peak = brightest * (beta - 1) / (math.pi * alpha**2)
        reach = alpha * np.sqrt(np.maximum((peak / 0.02) ** (1 / beta) - 1, 9.0)) + 1
    radii = (np.ceil(np.minimum(reach, 60) / 3) * 3).astype(np.intp)
    inside = (x > -radii) & (y > -radii) & (x < width + radii) & (y < height + radii)
    channels = channel_map(cfa, 2, 2)
    shape: dict[str, Any] = {"fwhm": fwhm_px, "elongation": elongation, "angle_deg": angle_deg, "beta": beta}
    for radius in np.unique(radii[inside]):
        members = np.flatnonzero(inside & (radii == radius))
        step = max(1, 2_000_000 // int(2 * radius + 1) ** 2)
        for start in range(0, len(members), step):
            chosen = members[start : start + step]
            stamps, columns, rows = _stamps(x[chosen], y[chosen], int(radius), **shape)
            cells = sky.flux[channels][:, :, chosen]  # (2, 2, n): flux by the parity of row and column
            light = (
                stamps
                * cells[rows[:, :, None] % 2, columns[:, None, :] % 2, np.arange(len(chosen))[:, None, None]]
            )
            seen = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
                :, None, :
            ]
            place = rows[:, :, None] * width + columns[:, None, :]
            np.add.at(image, place[seen], light[seen])
    return image.reshape(height, width)


def _stamps(
    x: Float64,
    y: Float64,
    radius: int,
    *,
    fwhm: float,
    elongation: float,
    angle_deg: float,
    beta: float | None,
) -> tuple[Float32, NDArray[np.intp], NDArray[np.intp]]:
    """Unit-flux images (n, k, k) of stars, their columns (n, k) and rows (n, k)."""
    offsets = np.arange(-radius, radius + 1)
    columns = np.rint(x).astype(np.intp)[:, None] + offsets
    rows = np.rint(y).astype(np.intp)[:, None] + offsets
    u, v = columns - x[:, None], rows - y[:, None]
    if beta is None and elongation == 1.0:
        scale = 1 / (fwhm * SIGMA_OF_FWHM * math.sqrt(2.0))
        px, py = (0.5 * (_erf((w + 0.5) * scale) - _erf((w - 0.5) * scale)) for w in (u, v))
        return (py[:, :, None] * px[:, None, :]).astype(np.float32), columns, rows
    points, weights = np.polynomial.legendre.leggauss(4)
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    long, short = math.sqrt(elongation), 1 / math.sqrt(elongation)
    total = np.zeros((len(x), len(offsets), len(offsets)))
    for dy, wy in zip(points / 2, weights / 2, strict=True):
        for dx, wx in zip(points / 2, weights / 2, strict=True):
            gx, gy = (u + dx)[:, None, :], (v + dy)[:, :, None]
            r2 = ((c * gx + s * gy) / long) ** 2 + ((c * gy - s * gx) / short) ** 2
            if beta is None:
                sigma2 = (fwhm * SIGMA_OF_FWHM) ** 2
                value = np.exp(-r2 / (2 * sigma2)) / (2 * math.pi * sigma2)
            else:
                alpha2 = (fwhm / 2) ** 2 / (2 ** (1 / beta) - 1)
                value = (1 + r2 / alpha2) ** -beta * (beta - 1) / (math.pi * alpha2)
            total += wx * wy * value
    return total.astype(np.float32), columns, rows


def glow_light(
    sky: Sky, to_frame: Float64, width: int, height: int, cfa: str | None, *, lens: Lens | None = None
) -> Float32:
    """The diffuse light in each pixel of a frame, electrons per second, float32 (height, width)."""
    if sky.glow is None:
        return np.zeros((height, width), np.float32)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    if lens is not None:
        columns, rows = lens.straighten(columns, rows)
    x, y = apply(inverse(to_frame), columns, rows)
    planes: Float32
    if callable(sky.glow):
        planes = np.asarray(sky.glow(x, y), np.float32)
    else:
        h, w = sky.glow.shape[1:]
        x, y = x.clip(0, w - 1.001), y.clip(0, h - 1.001)
        ix, iy = x.astype(np.intp), y.astype(np.intp)
        fx, fy = (x - ix).astype(np.float32), (y - iy).astype(np.float32)
        upper = sky.glow[:, iy, ix] * (1 - fx) + sky.glow[:, iy, ix + 1] * fx
        lower = sky.glow[:, iy + 1, ix] * (1 - fx) + sky.glow[:, iy + 1, ix + 1] * fx
        planes = np.asarray(upper * (1 - fy) + lower * fy, np.float32)
    channels = channel_map(cfa, height, width)[None].astype(np.intp)
    return np.asarray(np.take_along_axis(planes, channels, 0)[0], np.float32)


def trail_light(trail: Trail, width: int, height: int) -> Float32:
    """A satellite's line, electrons in each pixel, float32 (height, width).

    `trail` is (x0, y0, x1, y1, width_px, peak_e) in frame coordinates; width_px is the FWHM across.
    """
    x0, y0, x1, y1, fwhm, peak = trail
    length = math.hypot(x1 - x0, y1 - y0)
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    y, x = np.ogrid[:height, :width]
    across = (ux * (y - y0) - uy * (x - x0)).astype(np.float32)
    along = (ux * (x - x0) + uy * (y - y0)).astype(np.float32)
    light = np.zeros((height, width), np.float32)
    near = (np.abs(across) < 3 * fwhm) & (along >= 0) & (along <= length)
    light[near] = peak * np.exp(across[near] ** 2 * np.float32(-4 * math.log(2) / fwhm**2))
    return light


def random_hits(
    rng: np.random.Generator, width: int, height: int, count: int, *, mean_e: float = 3000.0
) -> Hits:
    """`count` cosmic rays, each a short track of one to six pixels: rows y, columns x, electrons."""
    rows: list[int] = []
    columns: list[int] = []
    electrons: list[float] = []
    for _ in range(count):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        angle, length = rng.uniform(0, 2 * math.pi), int(rng.integers(1, 7))
        for i in range(length):
            column, row = int(x + i * math.cos(angle)), int(y + i * math.sin(angle))
            if 0 <= column < width and 0 <= row < height:
                rows.append(row)
                columns.append(column)
                electrons.append(float(rng.exponential(mean_e)))
    return np.array(rows, np.intp), np.array(columns, np.intp), np.array(electrons, np.float32)
