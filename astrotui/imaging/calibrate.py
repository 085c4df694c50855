"""Calibration of raw frames: dark, flat, defects; pedestal-safe, nothing is clipped at 0."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.types import Float32Array, Mask

DEFECT_SIGMA = 5.0
DEFECTS_AT_MOST = 0.01
FLAT_FLOOR = 0.05
"""Least response of a pixel, relative to its color's mean, that a flat is believed to tell."""

_BLOCK = 32  # pixels over which a dark's glow is taken as straight, and rows looked at at a time
_DEAD = 0.3  # a pixel that differs from its neighbors by more is no dust


@dataclass(frozen=True, eq=False)
class Defects:
    """Defect pixels of a sensor, row by row.

    Attributes
    ----------
    starts : int32 (H + 1,); the defects of row y are columns[starts[y] : starts[y + 1]]
    columns : int32 (n,)
    """

    starts: NDArray[np.int32]
    columns: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.columns)

    @classmethod
    def of(cls, mask: Mask) -> "Defects":
        """The defects that a mask (H, W) marks."""
        rows, columns = np.nonzero(mask)
        starts = np.searchsorted(rows, np.arange(len(mask) + 1))
        return cls(starts.astype(np.int32), columns.astype(np.int32))


def flat_inverse(master_flat: Float32Array, cfa: str | None) -> Float32Array:
    """What to multiply a frame by, so that even grey light comes out even and grey.

    The mean of each color divided by the flat. Pixels with less than a twentieth of their color's mean get the
    factor of that, missing ones 1.

    Parameters
    ----------
    master_flat : float32 (H, W), or (3, H, W) from color frames
    cfa : pattern at row 0, column 0; None for mono

    Raises
    ------
    ValueError
        A color has no light, or the pattern is none.
    """
    out = np.empty(master_flat.shape, np.float32)
    flats = master_flat[None] if master_flat.ndim == 2 else master_flat
    results = out[None] if out.ndim == 2 else out
    for flat, result in zip(flats, results, strict=True):
        for cells in color_cells(cfa if len(flats) == 1 else None):
            sums = [_sum_and_count(flat[y::2, x::2]) for y, x in cells]
            mean = sum(s for s, _ in sums) / max(1.0, sum(n for _, n in sums))
            if not mean > 0:
                raise ValueError("the flat has no light")
            for y, x in cells:
                ratio = np.maximum(flat[y::2, x::2] / np.float32(mean), np.float32(FLAT_FLOOR))
                result[y::2, x::2] = np.where(np.isfinite(ratio), np.float32(1) / ratio, np.float32(1))
    return out


def color_cells(cfa: str | None) -> list[list[tuple[int, int]]]:
    """The (row, column) places in a 2x2 cell of each color; one color without a pattern."""
    if cfa is None:
        return [[(0, 0), (0, 1), (1, 0), (1, 1)]]
    from astrotui.imaging.cfa import plane_offsets

    return [list(places) for places in plane_offsets(cfa).values()]


def _sum_and_count(values: Float32Array) -> tuple[float, float]:
    valid = np.isfinite(values)
    return float(np.sum(values, where=valid, dtype=np.float64)), float(np.count_nonzero(valid))


def defect_map(
    dark: Float32Array | None, flat: Float32Array | None, cfa: str | None, workers: int = 1
) -> Mask:
    """Pixels that cannot be trusted: bool (H, W).

    Hot and cold ones lie beyond 5 robust sigma from the local level of the master dark; dead or stuck ones differ
    in the flat from both neighbors of their color in the row by over 5 robust sigma and 30 %. At most 1 % of the
    sensor, the worst first.

    Parameters
    ----------
    dark, flat : float32 (H, W); either may be None
    cfa : pattern of the mosaic, None for mono
    workers : threads; their number changes nothing

    Raises
    ------
    ValueError
        Neither is given, or their shapes differ.
    """
    given = [image for image in (dark, flat) if image is not None]
    if not given or any(image.shape != given[0].shape or image.ndim != 2 for image in given):
        raise ValueError("a defect map needs a master dark or flat of one plane, or both of one shape")
    height, width = given[0].shape
    step = 2 if cfa else 1
    judges: list[tuple[Callable[[int, int], Float32Array], float]] = []  # deviation of rows, and its limit
    if dark is not None:
        smooth = _smooth(dark)
        judges.append((lambda y0, y1: np.abs(dark[y0:y1] - smooth(y0, y1)), 1e-6))
    if flat is not None:
        judges.append((lambda y0, y1: _from_neighbors(flat[y0:y1], step), _DEAD))
    places, badness = [np.zeros(0, np.intp)], [np.zeros(0, np.float32)]
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for deviation, least in judges:
            sampled = [deviation(y, y + 1) for y in range(0, height, max(1, height // 130) | 1)]
            limit = max(DEFECT_SIGMA * 1.4826 * _finite_median(np.concatenate(sampled)), least)

            def beyond(y0: int, deviation: Any = deviation, limit: float = limit) -> tuple[Any, Any]:
                ratio = deviation(y0, min(y0 + _BLOCK, height)).reshape(-1) / np.float32(limit)
                bad = np.flatnonzero(~(ratio <= 1))  # missing ones too
                return bad + y0 * width, np.where(np.isnan(ratio[bad]), np.inf, ratio[bad])

            for where, how in pool.map(beyond, range(0, height, _BLOCK)):  # few rows stay in the cache
                places.append(where)
                badness.append(how)
    where, how = np.concatenate(places), np.concatenate(badness)
    order = np.lexsort((where, -how))
    mask = np.zeros(height * width, np.bool_)
    most = int(DEFECTS_AT_MOST * mask.size)
    mask[where[order[:most]]] = True  # places that both name count once, so that a few less may be left
    return mask.reshape(height, width)


def _smooth(image: Float32Array) -> Callable[[int, int], Float32Array]:
    """The smooth part of an image, by rows: medians of blocks, joined by straight lines."""
    height, width = image.shape
    ny, nx = max(1, height // _BLOCK), max(1, width // _BLOCK)
    h, w = min(height, _BLOCK), min(width, _BLOCK)
    # a quarter of the rows tells the level; what is left beyond whole blocks goes on straight
    blocks = image[: ny * h, : nx * w].reshape(ny, h, nx, w)[:, ::4].transpose(0, 2, 1, 3).reshape(ny, nx, -1)
    if np.isfinite(blocks).all():
        levels = np.median(blocks, axis=2).astype(np.float32)
    else:
        levels = np.array([[_finite_median(block) for block in row] for row in blocks], np.float32)
    j, right = _between(nx, w, width)
    across = levels[:, j] * (1 - right) + levels[:, np.minimum(j + 1, nx - 1)] * right
    i, below = _between(ny, h, height)
    after = np.minimum(i + 1, ny - 1)

    def rows(y0: int, y1: int) -> Float32Array:
        part = below[y0:y1, None]
        return np.asarray(across[i[y0:y1]] * (1 - part) + across[after[y0:y1]] * part, np.float32)

    return rows


def _between(count: int, size: int, length: int) -> tuple[NDArray[np.intp], Float32Array]:
    """For each pixel the block whose center comes before it, and how far it is to the next; straight on at the ends."""
    if count == 1:
        return np.zeros(length, np.intp), np.zeros(length, np.float32)
    place = (np.arange(length) + 0.5) / size - 0.5
    before = np.clip(place.astype(np.intp), 0, count - 2)
    return before, (place - before).astype(np.float32)


def _from_neighbors(flat: Float32Array, step: int) -> Float32Array:
    """Relative difference of each pixel from its neighbors of the same color to the left and right.

    Of both sides the one that agrees better: a neighbor may be the dead one. At the edge the one side counts twice.
    """
    padded = np.concatenate([flat[:, step : 2 * step], flat, flat[:, -2 * step : -step]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.abs(flat / padded[:, : -2 * step] - 1)
        right = np.abs(flat / padded[:, 2 * step :] - 1)
    return np.asarray(np.fmin(left, right), np.float32)


def _finite_median(values: Float32Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else 0.0


def calibrate(
    raw: NDArray[Any],
    dark: Float32Array | None = None,
    flat: Float32Array | None = None,
    defects: Defects | Mask | None = None,
    cfa: str | None = None,
) -> Float32Array:
    """(raw - dark) * flat, defects filled by the mean of sound neighbors of their color.

    Parameters
    ----------
    raw : (H, W) or (3, H, W); uint16 or float
    dark : of the same shape, what is subtracted; it holds the bias
    flat : of the same shape, from `flat_inverse`
    defects : of one plane, (H, W)
    cfa : pattern at row 0, column 0; None for mono

    Returns
    -------
    float32 array of the shape of `raw`
        Negative values are kept: clipping them would shift the sky. Infinite values become NaN.
    """
    from astrotui.imaging.calibrate_kernels import calibrate_rows, fill_defects

    for name, other in (("dark", dark), ("flat", flat)):
        if other is not None and other.shape != raw.shape:
            raise ValueError(f"the {name} has shape {other.shape}, the frame {raw.shape}")
    out = np.empty(raw.shape, np.float32)
    height, width = raw.shape[-2:]
    planes = len(raw) if raw.ndim == 3 else 1
    known = Defects.of(defects) if isinstance(defects, np.ndarray) else defects

    def plane_of(
        image: NDArray[Any] | None, index: int, otherwise: float, dtype: type | None
    ) -> NDArray[Any]:
        if image is None:
            return np.full((height, width), otherwise, np.float32)
        return np.ascontiguousarray(image.reshape(planes, height, width)[index], dtype)

    for k in range(planes):
        pixels = plane_of(raw, k, 0, np.uint16 if raw.dtype == np.uint16 else np.float32)
        flat_out = out.reshape(planes, -1)[k]
        calibrate_rows(
            pixels,
            0,
            0,
            plane_of(dark, k, 0.0, np.float32),
            0,
            plane_of(flat, k, 1.0, np.float32),
            0,
            0,
            height,
            width,
            flat_out,
            0,
            width,
        )
        if known is not None and len(known):
            scratch = np.empty(len(known), np.float32)
            step = 2 if cfa else 1
            fill_defects(flat_out, 0, width, 0, 0, height, width, known.starts, known.columns, step, scratch)
    return out


@dataclass(frozen=True)
class DarkScale:
    """How much of a dark's signal over the bias a light holds.

    Attributes
    ----------
    factor : None when it cannot be told or should not be used
    pixels : warm pixels that it rests on
    reason : for people
    refused : no factor at all suits this dark, not even the ratio of exposures
    """

    factor: float | None
    pixels: int
    reason: str
    refused: bool = False


def fit_dark_scale(
    light: Float32Array,
    dark: Float32Array,
    *,
    noise_adu: float,
    full_scale_adu: float | None = None,
    cfa: str | None = None,
) -> DarkScale:
    """Fit the factor for a dark's signal to a light's warm pixels.

    The median of (light - local median) / (dark - local median) on pixels whose excess in the dark is 20 to 200
    sigma and that stay under 80 % of full scale in both; refused outside 0.3 to 2, on amplifier glow, or when the
    light keeps more of the dark's warm pixels afterwards than before.

    Parameters
    ----------
    light, dark : float32 (H, W), bias subtracted from both
    noise_adu : of one pixel of the light
    full_scale_adu : level of saturation
    cfa : pattern of a mosaic, whose four kinds of pixels have levels of their own; None for mono
    """
    step = 2 if cfa else 1
    parts = [
        _warm_pixels(light[y::step, x::step], dark[y::step, x::step], noise_adu, full_scale_adu)
        for y in range(step)
        for x in range(step)
    ]
    excess, warm = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    sigma = float(np.median([part[2] for part in parts]))
    count = len(warm)
    if _has_glow(dark, sigma):
        reason = "the dark has amplifier glow, which does not scale with time: it is not scaled"
        return DarkScale(None, count, reason, refused=True)
    if count < 50:
        return DarkScale(None, count, f"only {count} warm pixels: no factor for the dark can be fitted")
    factor = float(np.median(excess / warm))
    if not 0.3 <= factor <= 2:
        return DarkScale(None, count, f"a fitted factor of {factor:.3g} for the dark is outside 0.3 to 2")
    before = _correlation(excess - warm, warm)
    after = _correlation(excess - np.float32(factor) * warm, warm)
    if abs(after) > abs(before) + 0.02:
        reason = "scaling the dark leaves more of its warm pixels: it is not scaled"
        return DarkScale(None, count, reason, refused=True)
    return DarkScale(factor, count, f"dark scaled by {factor:.3g}, fitted to {count:,} warm pixels")


def _warm_pixels(
    light: Float32Array, dark: Float32Array, noise_adu: float, full_scale_adu: float | None
) -> tuple[Float32Array, Float32Array, float]:
    """Excess of the warm pixels in light and dark over their surroundings, and the dark's noise."""
    height = len(dark)
    excess, warm = light - _smooth(light)(0, height), dark - _smooth(dark)(0, height)
    sigma = max(1.4826 * _finite_median(np.abs(warm)), 1e-6)
    full = np.inf if full_scale_adu is None else 0.8 * full_scale_adu
    chosen = (warm > 20 * sigma) & (warm < 200 * sigma) & (dark < full) & (light < full)
    chosen &= np.isfinite(excess) & (warm > noise_adu)
    return excess[chosen], warm[chosen], sigma


def _has_glow(dark: Float32Array, sigma: float) -> bool:
    """Whether the dark's level differs between parts of the sensor by far more than its noise."""
    height, width = dark.shape
    parts = [
        np.nanmedian(dark[y : y + height // 4, x : x + width // 4])
        for y in range(0, height - height // 4 + 1, max(1, height // 4))
        for x in range(0, width - width // 4 + 1, max(1, width // 4))
    ]
    return bool(np.ptp(parts) > 10 * sigma)


def _correlation(a: Float32Array, b: Float32Array) -> float:
    a, b = a - a.mean(), b - b.mean()
    below = float(np.sqrt(np.sum(a * a, dtype=np.float64) * np.sum(b * b, dtype=np.float64)))
    return float(np.sum(a * b, dtype=np.float64)) / below if below > 0 else 0.0
