"""A simulated sky and camera with known truth: stars, glow, noise, flats, darks, hot pixels, trails; numpy only.

Pixels: x along the rows, y down the rows as stored, the centre of the first pixel is (0, 0). Reference coordinates
are those of the sky; every exposure has a 3x3 matrix `to_frame` that takes (x, y, 1) of the reference to (x, y, 1) of
the frame. Its inverse (frame to reference) is what a registration should find.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Frame = NDArray[np.uint16]
Glow = Float32 | Callable[[Float64, Float64], Float32]
Trail = tuple[float, float, float, float, float, float]
Hits = tuple[NDArray[np.intp], NDArray[np.intp], Float32]

SIGMA_OF_FWHM = 1.0 / math.sqrt(8.0 * math.log(2.0))
PIXEL_FWHM2 = 8.0 * math.log(2.0) / 12.0  # what a square pixel adds to the squared FWHM that is recorded
CHANNELS = "RGB"

_erf = np.frompyfunc(math.erf, 1, 1)


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


@dataclass(frozen=True)
class Camera:
    """A sensor with its fixed faults, all of which follow from `seed`.

    Attributes
    ----------
    width, height : pixels
    cfa : "RGGB", "GBRG", ... of row 0 and 1, column 0 and 1; None for mono
    e_per_adu : electrons per ADU
    read_noise_e : electrons per pixel and read
    dark_e_s : mean dark current at `dark_at_c`, electrons per second and pixel; doubles every 6 C
    dark_at_c : temperature of `dark_e_s` and of the hot pixels' rates
    bias_adu : mean level of a zero exposure
    bias_pattern_adu : standard deviation of the columns' fixed offsets (pixels have half of it)
    full_scale_adu : where the converter clips
    hot : (x, y, electrons per second) of each hot pixel
    vignette : light lost in the corners, 0 to 1
    dust : number of dust shadows in the flat
    prnu : relative pixel-to-pixel scatter of sensitivity
    amp_glow_e_s : dark current added in the corner at (width, 0)
    flat_light : relative colour of the light of flat frames in R, G, B; a master flat should be made grey
    seed : of the fixed patterns
    """

    width: int
    height: int
    cfa: str | None = None
    e_per_adu: float = 1.0
    read_noise_e: float = 2.0
    dark_e_s: float = 0.02
    dark_at_c: float = 20.0
    bias_adu: float = 200.0
    bias_pattern_adu: float = 1.0
    full_scale_adu: int = 65535
    hot: tuple[tuple[int, int, float], ...] = ()
    vignette: float = 0.0
    dust: int = 0
    prnu: float = 0.005
    amp_glow_e_s: float = 0.0
    flat_light: tuple[float, float, float] = (0.7, 1.0, 0.6)
    seed: int = 0


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
    x, y = _places(rng, width, height, stars, margin, separation)
    kelvin = np.exp(rng.normal(math.log(5600.0), 0.28, stars)).clip(2900.0, 22000.0)
    wave = np.array([600.0, 530.0, 460.0])[:, None] * 1e-9
    radiance = wave**-5 / np.expm1(0.014388 / (wave * kelvin))
    white = (wave**-5 / np.expm1(0.014388 / (wave * 5600.0))) * np.array([[0.92], [1.0], [0.84]]) ** -1
    ratio = (radiance / radiance[1]) / (white / white[1])
    ratio = np.array([[0.92], [1.0], [0.84]]) * (ratio / np.array([[0.92], [1.0], [0.84]])) ** colors
    return Sky(width, height, x, y, (green * ratio).astype(np.float32), glow)


def _places(
    rng: np.random.Generator, width: int, height: int, count: int, margin: float, separation: float
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


def random_hot(
    seed: int, width: int, height: int, count: int, *, low: float = 5.0, high: float = 400.0
) -> tuple[tuple[int, int, float], ...]:
    """`count` different hot pixels (x, y, electrons per second), rates log-uniform between `low` and `high`."""
    rng = np.random.default_rng([seed, 2])
    places = np.sort(rng.choice(width * height, count, replace=False))
    rates = np.exp(rng.uniform(math.log(low), math.log(high), count))
    return tuple((int(p % width), int(p // width), float(r)) for p, r in zip(places, rates, strict=True))


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


def similarity(
    dx: float = 0.0,
    dy: float = 0.0,
    degrees: float = 0.0,
    scale: float = 1.0,
    center: tuple[float, float] = (0.0, 0.0),
) -> Float64:
    """A 3x3 matrix to use as `to_frame`: REFERENCE (x, y, 1) to FRAME (x, y, 1).

    A star at p in the reference lies at center + scale R(degrees) (p - center) + (dx, dy) in the frame; positive
    degrees turn x towards y. `inverse` of it maps FRAME to REFERENCE, which is what a registration finds.
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


def recorded_fwhm(fwhm_px: float) -> float:
    """The FWHM that a fit to the recorded pixels reads: a square pixel adds 8 ln 2 / 12 to its square."""
    return math.sqrt(fwhm_px**2 + PIXEL_FWHM2)


def channel_map(cfa: str | None, height: int, width: int) -> NDArray[np.uint8]:
    """Which of R, G, B (0, 1, 2) each pixel of a (height, width) sensor records; mono records G."""
    if cfa is None:
        return np.ones((height, width), np.uint8)
    cell = np.array([CHANNELS.index(letter) for letter in cfa], np.uint8).reshape(2, 2)
    return np.tile(cell, ((height + 1) // 2, (width + 1) // 2))[:height, :width]


@lru_cache(maxsize=8)
def bias_pattern(camera: Camera) -> Float32:
    """The fixed part of a zero exposure without its mean, ADU, float32 (height, width)."""
    rng = np.random.default_rng([camera.seed, 3])
    columns = rng.normal(0, camera.bias_pattern_adu, camera.width).astype(np.float32)
    pixels = rng.standard_normal((camera.height, camera.width), dtype=np.float32)
    return _frozen(columns + pixels * np.float32(camera.bias_pattern_adu / 2))


@lru_cache(maxsize=8)
def dark_rate(camera: Camera) -> Float32:
    """Dark current at `dark_at_c` with hot pixels and amp glow, electrons per second, float32 (height, width)."""
    rng = np.random.default_rng([camera.seed, 4])
    shape = (camera.height, camera.width)
    rate = np.float32(camera.dark_e_s) * rng.gamma(4.0, 0.25, shape).astype(np.float32)
    if camera.amp_glow_e_s:
        y, x = np.ogrid[: camera.height, : camera.width]
        far = np.hypot(camera.width - x, y) / (0.12 * camera.width)
        rate += (camera.amp_glow_e_s * np.exp(-far)).astype(np.float32)
    if camera.hot:
        x, y, e = (np.array(column) for column in zip(*camera.hot, strict=True))
        rate[y.astype(np.intp), x.astype(np.intp)] += e.astype(np.float32)
    return _frozen(rate)


@lru_cache(maxsize=8)
def flat_field(camera: Camera) -> Float32:
    """Relative sensitivity, 1 in the middle of the frame, float32 (height, width): vignetting, dust, scatter."""
    rng = np.random.default_rng([camera.seed, 5])
    y, x = np.ogrid[: camera.height, : camera.width]
    half = math.hypot(camera.width, camera.height) / 2
    r2 = ((x - (camera.width - 1) / 2) ** 2 + (y - (camera.height - 1) / 2) ** 2) / half**2
    flat = 1.0 - camera.vignette * (0.7 * r2 + 0.3 * r2**2)
    for _ in range(camera.dust):
        cx, cy = rng.uniform(0.05, 0.95, 2) * (camera.width, camera.height)
        radius, depth = rng.uniform(0.008, 0.03) * camera.width, rng.uniform(0.03, 0.12)
        r = np.hypot(x - cx, y - cy) / radius
        disc, hole = (0.5 - 0.5 * np.tanh((r - at) * 6) for at in (1.0, 0.45))
        edge = disc - 0.6 * hole  # a ring, as out-of-focus dust is
        flat = flat * (1 - depth * edge)
    scatter = rng.standard_normal((camera.height, camera.width), dtype=np.float32)
    return _frozen((flat * (1 + camera.prnu * scatter)).astype(np.float32))


def _frozen(array: Float32) -> Float32:
    array.setflags(write=False)
    return array


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
) -> Float32:
    """The stars' electrons per second in each pixel without noise, float32 (height, width).

    Round Gaussians are integrated over the pixels with the error function; elongated ones and Moffats with a 4x4-point
    Gauss-Legendre rule in each pixel. See `expose` for the shape.
    """
    image = np.zeros(height * width, np.float32)
    x, y = apply(to_frame, sky.x, sky.y)
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
    for radius in np.unique(radii[inside]):
        members = np.flatnonzero(inside & (radii == radius))
        step = max(1, 2_000_000 // int(2 * radius + 1) ** 2)
        for start in range(0, len(members), step):
            chosen = members[start : start + step]
            stamps, columns, rows = _stamps(
                x[chosen], y[chosen], int(radius), fwhm_px, elongation, angle_deg, beta
            )
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
    x: Float64, y: Float64, radius: int, fwhm: float, elongation: float, angle_deg: float, beta: float | None
) -> tuple[Float32, NDArray[np.intp], NDArray[np.intp]]:
    """Unit-flux images (n, k, k) of stars, their columns (n, k) and rows (n, k)."""
    offsets = np.arange(-radius, radius + 1)
    columns = np.rint(x).astype(np.intp)[:, None] + offsets
    rows = np.rint(y).astype(np.intp)[:, None] + offsets
    u, v = columns - x[:, None], rows - y[:, None]
    if beta is None and elongation == 1.0:
        scale = 1 / (fwhm * SIGMA_OF_FWHM * math.sqrt(2.0))
        px, py = (
            0.5 * (_erf((w + 0.5) * scale).astype(np.float64) - _erf((w - 0.5) * scale).astype(np.float64))
            for w in (u, v)
        )
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


def glow_light(sky: Sky, to_frame: Float64, width: int, height: int, cfa: str | None) -> Float32:
    """The diffuse light in each pixel of a frame, electrons per second, float32 (height, width)."""
    if sky.glow is None:
        return np.zeros((height, width), np.float32)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    x, y = apply(inverse(to_frame), columns, rows)
    if callable(sky.glow):
        planes = np.asarray(sky.glow(x, y), np.float32)
    else:
        h, w = sky.glow.shape[1:]
        x, y = x.clip(0, w - 1.001), y.clip(0, h - 1.001)
        ix, iy = x.astype(np.intp), y.astype(np.intp)
        fx, fy = (x - ix).astype(np.float32), (y - iy).astype(np.float32)
        upper = sky.glow[:, iy, ix] * (1 - fx) + sky.glow[:, iy, ix + 1] * fx
        planes = (
            upper * (1 - fy) + (sky.glow[:, iy + 1, ix] * (1 - fx) + sky.glow[:, iy + 1, ix + 1] * fx) * fy
        )
    return np.take_along_axis(planes, channel_map(cfa, height, width)[None].astype(np.intp), 0)[0]


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


def expose(
    sky: Sky,
    camera: Camera,
    *,
    exposure_s: float,
    to_frame: Float64 | None = None,
    fwhm_px: float = 2.8,
    elongation: float = 1.0,
    angle_deg: float = 0.0,
    beta: float | None = None,
    transparency: float | Float32 = 1.0,
    sky_e_s: float | Sequence[float] = 2.0,
    gradient: tuple[float, float] = (0.0, 0.0),
    trail: Trail | Sequence[Trail] | None = None,
    hits: Hits | None = None,
    temperature_c: float | None = None,
    rng: np.random.Generator,
) -> Frame:
    """One raw light frame, uint16 (height, width).

    Parameters
    ----------
    sky, camera : what is seen, by what
    exposure_s : seconds
    to_frame : 3x3, reference (x, y, 1) to frame (x, y, 1); None for the identity. See `similarity`
    fwhm_px : FWHM of the light before pixels integrate it (the geometric mean of both axes of an elongated star); a fit
        to the recorded pixels reads `recorded_fwhm(fwhm_px)`, 2.88 for 2.8
    elongation : long over short axis, at least 1
    angle_deg : of the long axis, from x towards y
    beta : exponent of a Moffat profile; None for a Gaussian
    transparency : what passes of the light of stars and glow, a number or a map (height, width)
    sky_e_s : sky background, electrons per second and pixel, a number or R, G, B
    gradient : relative change of the sky background across the frame in x and in y
    trail : (x0, y0, x1, y1, width_px, peak_e) in frame coordinates, or several; electrons per exposure
    hits : cosmic rays, see `random_hits`
    temperature_c : of the sensor; None for `camera.dark_at_c`
    rng : of this frame's noise. Photon and read noise are drawn as one normal deviate a pixel (exact in mean and
        variance), so that a rounding difference in one pixel never shifts the noise of the next
    """
    height, width = camera.height, camera.width
    matrix = np.eye(3) if to_frame is None else to_frame
    stars = star_light(
        sky,
        matrix,
        width,
        height,
        camera.cfa,
        fwhm_px=fwhm_px,
        elongation=elongation,
        angle_deg=angle_deg,
        beta=beta,
    )
    if sky.glow is not None:
        stars += glow_light(sky, matrix, width, height, camera.cfa)
    stars *= np.float32(transparency) if np.isscalar(transparency) else np.asarray(transparency, np.float32)
    levels = np.broadcast_to(np.asarray(sky_e_s, np.float32), 3)
    background = levels[channel_map(camera.cfa, height, width)]
    if gradient != (0.0, 0.0):
        y, x = np.ogrid[:height, :width]
        slope = gradient[0] * (x / (width - 1) - 0.5) + gradient[1] * (y / (height - 1) - 0.5)
        background = background * (1 + slope).astype(np.float32)
    electrons = (stars + background) * flat_field(camera)
    electrons *= np.float32(exposure_s)
    if trail is not None:
        for one in [trail] if isinstance(trail[0], float | int) else trail:
            electrons += trail_light(one, width, height)  # type: ignore[arg-type]
    if hits is not None:
        np.add.at(electrons, (hits[0], hits[1]), hits[2])
    return _read_out(camera, electrons, exposure_s, temperature_c, rng)


def dark(
    camera: Camera, exposure_s: float, *, temperature_c: float | None = None, rng: np.random.Generator
) -> Frame:
    """One raw dark frame, uint16 (height, width)."""
    return _read_out(
        camera, np.zeros((camera.height, camera.width), np.float32), exposure_s, temperature_c, rng
    )


def bias(camera: Camera, *, rng: np.random.Generator) -> Frame:
    """One raw zero exposure, uint16 (height, width)."""
    return dark(camera, 0.0, rng=rng)


def flat(
    camera: Camera,
    level: float = 0.5,
    *,
    exposure_s: float = 0.0,
    temperature_c: float | None = None,
    rng: np.random.Generator,
) -> Frame:
    """One raw flat frame, uint16 (height, width).

    `level` is how much of the full scale the brightest channel reaches above the bias in the middle of the frame.
    """
    light = np.asarray(camera.flat_light, np.float32) if camera.cfa else np.ones(3, np.float32)
    full_e = (camera.full_scale_adu - camera.bias_adu) * camera.e_per_adu
    electrons = (level * full_e / light.max() * light)[channel_map(camera.cfa, camera.height, camera.width)]
    return _read_out(
        camera, electrons.astype(np.float32) * flat_field(camera), exposure_s, temperature_c, rng
    )


def _read_out(
    camera: Camera,
    electrons: Float32,
    exposure_s: float,
    temperature_c: float | None,
    rng: np.random.Generator,
) -> Frame:
    if exposure_s > 0:
        warmer = 0.0 if temperature_c is None else temperature_c - camera.dark_at_c
        electrons = electrons + dark_rate(camera) * np.float32(exposure_s * 2 ** (warmer / 6.0))
    noise = rng.standard_normal(electrons.shape, dtype=np.float32)
    noise *= np.sqrt(electrons + np.float32(camera.read_noise_e**2))
    adu = (electrons + noise) / np.float32(camera.e_per_adu)
    adu += bias_pattern(camera)
    adu += np.float32(camera.bias_adu + 0.5)  # the half makes the cast below round to nearest
    return adu.clip(0, camera.full_scale_adu).astype(np.uint16)


@dataclass(frozen=True)
class FrameTruth:
    """What is true of one light frame; matrices map FRAME (x, y, 1) to REFERENCE (x, y, 1)."""

    name: str
    to_reference: tuple[tuple[float, float, float], ...]
    fwhm_px: float
    elongation: float = 1.0
    angle_deg: float = 0.0
    transparency: float = 1.0
    sky_e_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    trails: tuple[Trail, ...] = ()
    faults: tuple[str, ...] = ()

    def matrix(self) -> Float64:
        """FRAME to REFERENCE as a 3x3 array."""
        return np.array(self.to_reference)


@dataclass(frozen=True)
class Truth:
    """What is true of one session: sky, camera and frames, as plain numbers for JSON."""

    width: int
    height: int
    cfa: str | None
    exposure_s: float
    e_per_adu: float
    x: tuple[float, ...]
    y: tuple[float, ...]
    flux: tuple[tuple[float, ...], ...]
    hot: tuple[tuple[int, int, float], ...]
    frames: tuple[FrameTruth, ...]

    def to_json(self) -> dict[str, Any]:
        """A document of lists, numbers and strings."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Truth":
        """The record that `to_json` wrote."""
        frames = tuple(FrameTruth(**{k: _tuples(v) for k, v in one.items()}) for one in document["frames"])
        return cls(**{**{k: _tuples(v) for k, v in document.items()}, "frames": frames})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def matrix_rows(matrix: Float64) -> tuple[tuple[float, float, float], ...]:
    """A 3x3 array as nested tuples of numbers, for `FrameTruth`."""
    return tuple((float(a), float(b), float(c)) for a, b, c in matrix)
