"""Three things worth looking at, drawn, not observed: a nebula, a spiral galaxy, a cluster in blue mist.

Each scene is a `Sky` whose glow is sampled from planes that are larger than the frame, so that shifts and
rotation uncover more of it. Brightness is in electrons per second and pixel.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sample_sessions.sky import Float32, Float64, Sky, random_sky

MARGIN = 64


def fractal(rng: np.random.Generator, shape: tuple[int, int], slope: float, largest: float) -> Float64:
    """Gaussian noise with power falling as k^-slope below `largest` px; mean 0, deviation 1."""
    height, width = shape
    ky, kx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    k = np.maximum(np.hypot(kx, ky), 1 / largest)
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * k ** (-slope / 2)
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, shape)
    return np.asarray(noise / noise.std())


def warp(image: Float64, dx: Float64, dy: Float64) -> Float64:
    """The image read at displaced places, bilinear, wrapping around the edges."""
    height, width = image.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = x + dx, y + dy
    ix, iy = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    fx, fy = x - ix, y - iy
    ix0, ix1, iy0, iy1 = ix % width, (ix + 1) % width, iy % height, (iy + 1) % height
    upper = image[iy0, ix0] * (1 - fx) + image[iy0, ix1] * fx
    return np.asarray(upper * (1 - fy) + (image[iy1, ix0] * (1 - fx) + image[iy1, ix1] * fx) * fy)


def sampled(planes: Float64) -> Callable[[Float64, Float64], Float32]:
    """A glow function that reads planes (3, height + 2 MARGIN, width + 2 MARGIN) bilinearly."""

    def glow(x: Float64, y: Float64) -> Float32:
        x = (x + MARGIN).clip(0, planes.shape[2] - 1.001)
        y = (y + MARGIN).clip(0, planes.shape[1] - 1.001)
        ix, iy = x.astype(np.intp), y.astype(np.intp)
        fx, fy = x - ix, y - iy
        upper = planes[:, iy, ix] * (1 - fx) + planes[:, iy, ix + 1] * fx
        lower = planes[:, iy + 1, ix] * (1 - fx) + planes[:, iy + 1, ix + 1] * fx
        return np.asarray(upper * (1 - fy) + lower * fy, np.float32)

    return glow


def _grid(width: int, height: int) -> tuple[Float64, Float64]:
    """Coordinates of the enlarged planes, 0 in the middle of the frame."""
    y, x = np.mgrid[-MARGIN : height + MARGIN, -MARGIN : width + MARGIN].astype(np.float64)
    return x - (width - 1) / 2, y - (height - 1) / 2


def _blob(
    x: Float64, y: Float64, at: tuple[float, float], size: float, *, stretch: float = 1, turn: float = 0
) -> Float64:
    """A soft ellipse with wings, 1 in its middle."""
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    u, v = x - at[0], y - at[1]
    r2 = ((c * u + s * v) / (size * stretch)) ** 2 + ((c * v - s * u) / size) ** 2
    return np.asarray(1 / (1 + r2) ** 1.5)


def _colored(light: Float64, color: tuple[float, float, float]) -> Float64:
    return np.asarray(light[None] * np.array(color)[:, None, None])


def _with(sky: Sky, stars: list[tuple[float, float, float, tuple[float, float, float]]]) -> Sky:
    """The sky with more stars (x and y from the middle, green e-/s, colour), brightest first."""
    x = np.append(sky.x, [s[0] + (sky.width - 1) / 2 for s in stars])
    y = np.append(sky.y, [s[1] + (sky.height - 1) / 2 for s in stars])
    flux = np.append(sky.flux, np.array([[s[2] * c for c in s[3]] for s in stars], np.float32).T, axis=1)
    order = np.argsort(-flux[1], kind="stable")
    return replace(sky, x=x[order], y=y[order], flux=flux[:, order])


HOT = (0.80, 1.0, 1.02)
SUN = (0.95, 1.0, 0.80)
COOL = (1.25, 1.0, 0.52)


def nebula(seed: int, width: int, height: int) -> Sky:
    """A bright emission nebula after Orion's: a fan of gas, a dark bay, wings, a companion, a trapezium."""
    rng = np.random.default_rng([seed, 10])
    x, y = _grid(width, height)
    shape = (x.shape[0], x.shape[1])
    unit = height / 3.9
    swirl = [fractal(rng, shape, 4.0, 150) for _ in range(2)]
    fine = warp(fractal(rng, shape, 3.6, 80), 16 * swirl[0], 16 * swirl[1])
    ridges = np.exp(-np.abs(warp(fractal(rng, shape, 4.0, 90), 20 * swirl[1], 20 * swirl[0])) * 2.4)
    middle = (shape[0] // 2, shape[1] // 2)
    u, v = ((w + 9 * (s - s[middle])) / unit for w, s in zip((x, y), swirl, strict=True))
    r, angle = np.hypot(u, v), np.arctan2(v, u)
    core = np.exp(-((r / 0.30) ** 1.2) * (1.15 - 0.5 * np.cos(angle - 0.9)))
    fan = np.exp(-((r / 0.72) ** 1.6) * (1.35 - 0.8 * np.cos(angle - 0.9)))
    arcs = np.zeros(shape)
    for start, bend, reach in (
        (2.45, 0.75, 1.35),
        (-0.55, -0.75, 1.55),
    ):  # the wings curve away from the core
        turned = np.abs(np.angle(np.exp(1j * (angle - start - bend * r))))
        arcs += np.exp(-((turned * np.maximum(r, 0.3) / 0.22) ** 2) - (r / reach) ** 2)
    bay = np.exp(-(((u + 0.40 + 0.25 * v) / 0.20) ** 2) - ((v + 0.50) / 0.36) ** 2)
    veil = np.exp(-((np.hypot(u - 0.15, 1.15 * (v - 0.1)) / 1.25) ** 2.4))
    dust = np.exp(-np.maximum(0, fine + 0.3 * swirl[0]) * 0.8) * (1 - 0.88 * bay)
    texture = np.exp(0.40 * fine) * (0.5 + 0.9 * ridges)
    companion = _blob(x, y, (-0.35 * unit, -1.32 * unit), 0.19 * unit) ** 1.9 * np.exp(0.25 * fine)
    companion *= 1 - 0.75 * np.exp(-(((u + 0.17) / 0.08) ** 2) - ((v + 1.30) / 0.4) ** 2)
    planes = (
        _colored(170 * core * (0.6 + 0.5 * texture) * (1 - 0.7 * bay), (0.92, 1.0, 0.90))
        + _colored(44 * fan * texture * dust, (1.5, 0.58, 0.78))
        + _colored(42 * arcs * texture * dust, (1.45, 0.42, 0.66))
        + _colored(9 * veil * dust * (0.3 + 0.9 * ridges), (1.25, 0.34, 0.62))
        + _colored(3.2 * veil**0.5 * (1 - 0.8 * bay), (0.45, 0.42, 0.80))
        + _colored(36 * companion, (1.35, 0.46, 0.66))
    )
    field = random_sky(
        seed,
        width,
        height,
        210,
        faint=55,
        bright=9000,
        slope=0.72,
        margin=45,
        separation=11,
        glow=sampled(planes),
    )
    trapezium = [
        (-1.5, -2.4, 5200.0, HOT),
        (3.6, 0.2, 9800.0, HOT),
        (-3.2, 4.1, 3600.0, HOT),
        (2.2, 6.2, 4300.0, HOT),
    ]
    bright = [
        (0.92 * unit, 0.66 * unit, 26000.0, HOT),
        (1.32 * unit, 0.88 * unit, 9000.0, HOT),
        (-0.32 * unit, -1.28 * unit, 11000.0, HOT),
        (-1.9 * unit, 0.95 * unit, 14000.0, COOL),
        (2.15 * unit, -1.02 * unit, 12500.0, SUN),
    ]
    return _with(field, trapezium + bright)


def galaxy(seed: int, width: int, height: int) -> Sky:
    """A face-on spiral after M 51: two arms, dust lanes, knots of young stars, a companion on a bridge."""
    rng = np.random.default_rng([seed, 11])
    x, y = _grid(width, height)
    shape = (x.shape[0], x.shape[1])
    unit = height / 4.2
    swirl = [fractal(rng, shape, 3.2, 60) for _ in range(2)]
    clumps = fractal(rng, shape, 3.0, 22)
    cx, cy = 0.08 * unit, 0.42 * unit
    turn = math.radians(-20)
    u = (math.cos(turn) * (x - cx) + math.sin(turn) * (y - cy) + 1.6 * swirl[0]) / unit
    v = (math.cos(turn) * (y - cy) - math.sin(turn) * (x - cx) + 1.6 * swirl[1]) / (0.86 * unit)
    r, angle = np.hypot(u, v), np.arctan2(v, u)
    phase = angle - 2.5 * np.log(np.maximum(r, 0.05)) + 0.9  # logarithmic arms of 22 degrees pitch
    arm = (0.5 + 0.5 * np.cos(2 * phase)) ** 2.6
    lane = (0.5 + 0.5 * np.cos(2 * (phase + 0.40))) ** 7
    disk = np.exp(-r / 0.62)
    outer = 1 / (1 + (r / 1.75) ** 9)
    spiral = disk * outer * (0.45 + 2.3 * arm * np.exp(0.33 * clumps) * np.minimum(1, r / 0.3))
    spiral *= 1 - 0.62 * lane * np.minimum(1, r / 0.16) * np.exp(-((r / 1.3) ** 2))
    bulge = np.exp(-((r / 0.055) ** 0.72)) * 3.2
    knots = arm * np.maximum(0, clumps - 1.5) ** 1.5 * np.exp(-((r - 0.8) ** 2) / 0.28) * outer
    bx, by = cx - 0.30 * unit, cy - 1.72 * unit
    companion = 1.6 * np.exp(-((np.hypot(x - bx, (y - by) * 1.15) / (0.12 * unit)) ** 0.8))
    companion += (
        0.10
        * np.exp(-((np.hypot(x - bx + 4, (y - by + 6) * 0.8) / (0.52 * unit)) ** 2))
        * np.exp(0.3 * swirl[0])
    )
    t = ((y - by) / (0.92 * unit)).clip(0, 1)  # the bridge leaves the companion and joins the outer arm
    path = bx + unit * (1.02 * np.sin(t * math.pi * 0.62) + 0.1 * t)
    bridge = (
        0.16 * np.exp(-(((x - path) / (0.12 * unit)) ** 2)) * np.exp(-(((t - 0.45) / 0.42) ** 2)) * (y > by)
    )
    bridge *= np.exp(0.5 * clumps - 8 * np.maximum(0, (y - by) / (0.92 * unit) - 0.9))
    halo = 0.035 * np.exp(-((np.hypot(x - cx, y - cy + 0.4 * unit) / (1.9 * unit)) ** 2))
    light = 17.0 * (spiral + bulge + companion + bridge + halo + 0.8 * knots)
    planes = _colored(light, (1.0, 1.0, 1.0))
    return random_sky(
        seed,
        width,
        height,
        150,
        faint=6,
        bright=5000,
        slope=0.62,
        margin=45,
        separation=12,
        glow=sampled(planes),
    )


def cluster(seed: int, width: int, height: int) -> Sky:
    """Bright blue stars in reflecting mist after the Pleiades."""
    rng = np.random.default_rng([seed, 12])
    x, y = _grid(width, height)
    shape = (x.shape[0], x.shape[1])
    unit = height / 3.0
    swirl = [fractal(rng, shape, 4.2, 110) for _ in range(2)]
    along = math.radians(35)  # the mist is brushed along one direction
    brushed = fractal(rng, shape, 3.2, 60)
    for reach in (3, 7):
        shift = [
            warp(brushed, np.full(shape, k * math.cos(along)), np.full(shape, k * math.sin(along)))
            for k in (-reach, 0, reach)
        ]
        brushed = np.asarray(sum(shift))
    grain = warp(brushed / brushed.std(), 10 * swirl[0], 10 * swirl[1])
    places = [
        (-1.35, 0.22),
        (-0.42, -0.12),
        (0.32, -0.78),
        (0.62, 0.38),
        (1.42, -0.30),
        (1.30, -0.72),
        (-1.25, 0.55),
    ]
    power = [9000.0, 26000.0, 12000.0, 15000.0, 17000.0, 5200.0, 6000.0]
    light = 0.03 * np.exp(0.5 * grain) * np.exp(-((np.hypot(x, y) / (1.5 * unit)) ** 2))
    for (px, py), flux in zip(places, power, strict=True):
        light += (
            (flux / 26000)
            * _blob(x, y, (px * unit, py * unit), 0.19 * unit, stretch=1.5, turn=35) ** 1.3
            * np.exp(0.45 * grain)
        )
    field = random_sky(
        seed, width, height, 130, faint=35, bright=2500, slope=0.7, margin=45, separation=11,
        glow=sampled(_colored(46 * light, (0.36, 0.76, 1.25))),
    )  # fmt: skip
    return _with(
        field,
        [(px * unit, py * unit, f, (0.74, 1.0, 1.12)) for (px, py), f in zip(places, power, strict=True)],
    )
