"""A sensor with its fixed faults, and its dark, bias and flat frames; numpy only."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Frame = NDArray[np.uint16]
CHANNELS = "RGB"


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
    unsteady : part of the hot pixels that are at 0.3 of their rate in half of all frames
    vignette : light lost in the corners, 0 to 1
    dust : number of dust shadows in the flat
    dust_radius : their typical radius as a part of the width
    dust_depth : the light that they typically take away, 0 to 1
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
    unsteady: float = 0.0
    vignette: float = 0.0
    dust: int = 0
    dust_radius: float = 0.02
    dust_depth: float = 0.08
    prnu: float = 0.005
    amp_glow_e_s: float = 0.0
    flat_light: tuple[float, float, float] = (0.7, 1.0, 0.6)
    seed: int = 0


def random_hot(
    seed: int, width: int, height: int, count: int, *, low: float = 5.0, high: float = 400.0
) -> tuple[tuple[int, int, float], ...]:
    """`count` different hot pixels (x, y, electrons per second), rates log-uniform from `low` to `high`."""
    rng = np.random.default_rng([seed, 2])
    places = np.sort(rng.choice(width * height, count, replace=False))
    rates = np.exp(rng.uniform(math.log(low), math.log(high), count))
    return tuple((int(p % width), int(p // width), float(r)) for p, r in zip(places, rates, strict=True))


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
    """Dark current at `dark_at_c` with hot pixels and amp glow, e-/s, float32 (height, width)."""
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
    """Relative sensitivity, 1 in the middle, float32 (height, width): vignetting, dust, scatter."""
    rng = np.random.default_rng([camera.seed, 5])
    y, x = np.ogrid[: camera.height, : camera.width]
    half = math.hypot(camera.width, camera.height) / 2
    r2 = ((x - (camera.width - 1) / 2) ** 2 + (y - (camera.height - 1) / 2) ** 2) / half**2
    flat = 1.0 - camera.vignette * (0.7 * r2 + 0.3 * r2**2)
    for _ in range(camera.dust):
        cx, cy = rng.uniform(0.05, 0.95, 2) * (camera.width, camera.height)
        radius = rng.uniform(0.4, 1.5) * camera.dust_radius * camera.width
        depth = rng.uniform(0.5, 1.5) * camera.dust_depth
        r = np.hypot(x - cx, y - cy) / radius
        disc, hole = (0.5 - 0.5 * np.tanh((r - at) * 6) for at in (1.0, 0.45))
        edge = disc - 0.6 * hole  # a ring, as out-of-focus dust is
        flat = flat * (1 - depth * edge)
    scatter = rng.standard_normal((camera.height, camera.width), dtype=np.float32)
    return _frozen((flat * (1 + camera.prnu * scatter)).astype(np.float32))


def _frozen(array: Float32) -> Float32:
    array.setflags(write=False)
    return array


def dark(
    camera: Camera, exposure_s: float, *, temperature_c: float | None = None, rng: np.random.Generator
) -> Frame:
    """One raw dark frame, uint16 (height, width)."""
    return read_out(
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

    `level` is how much of the full scale the brightest channel reaches above the bias in the middle.
    """
    light = np.asarray(camera.flat_light, np.float32) if camera.cfa else np.ones(3, np.float32)
    full_e = (camera.full_scale_adu - camera.bias_adu) * camera.e_per_adu
    electrons = (level * full_e / light.max() * light)[channel_map(camera.cfa, camera.height, camera.width)]
    return read_out(camera, electrons.astype(np.float32) * flat_field(camera), exposure_s, temperature_c, rng)


def read_out(
    camera: Camera,
    electrons: Float32,
    exposure_s: float,
    temperature_c: float | None,
    rng: np.random.Generator,
) -> Frame:
    """What the camera makes of `electrons` of light: dark current, noise, bias, clipping; uint16."""
    if exposure_s > 0:
        warmer = 0.0 if temperature_c is None else temperature_c - camera.dark_at_c
        gathered = dark_rate(camera) * np.float32(exposure_s * 2 ** (warmer / 6.0))
        count = round(camera.unsteady * len(camera.hot))
        if count:
            x, y, _ = zip(*camera.hot[:: len(camera.hot) // count], strict=True)
            gathered[list(y), list(x)] *= rng.choice(np.array([0.3, 1.0], np.float32), len(x))
        electrons = electrons + gathered
    noise = rng.standard_normal(electrons.shape, dtype=np.float32)
    noise *= np.sqrt(electrons + np.float32(camera.read_noise_e**2))
    adu = (electrons + noise) / np.float32(camera.e_per_adu)
    adu += bias_pattern(camera)
    adu += np.float32(camera.bias_adu + 0.5)  # the half makes the cast below round to nearest
    return adu.clip(0, camera.full_scale_adu).astype(np.uint16)
