"""Combine aligned samples into one value a pixel, rejecting those that do not belong; NaN is a missing sample."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.methods import DEFAULT_LIMITS, Method, Rejection
from astrotui.imaging.types import Float32Array

KNOWN_NOISE_BELOW = 8
"""With fewer samples `auto` judges each by its known noise; from there on by the spread of all."""

KNOWN_NOISE_KAPPA = 5.0 / 3.0
"""Factor from kappas of the winsorized clip to those of the known-noise clip: 5 sigma for 3."""


@dataclass(frozen=True, eq=False)
class CombineResult:
    """A combined image.

    Attributes
    ----------
    value : float32 (...), NaN where there is no sample
    low_rejected, high_rejected : uint16 (...), samples rejected on either side
    kept : uint16 (...), samples that went in
    """

    value: Float32Array
    low_rejected: NDArray[np.uint16]
    high_rejected: NDArray[np.uint16]
    kept: NDArray[np.uint16]


@lru_cache(maxsize=64)
def sorting_network(n: int) -> NDArray[np.int32]:
    """Comparators of Batcher's odd-even merge sort for n samples, int32 (m, 2).

    After K. E. Batcher, "Sorting networks and their applications", AFIPS 32 (1968); pairs that reach beyond n
    are left out, which is the network of the next power of two with the rest held at infinity.
    """
    pairs: list[tuple[int, int]] = []
    p = 1
    while p < n:
        k = p
        while k >= 1:
            for j in range(k % p, n - k, 2 * k):
                pairs += [
                    (i + j, i + j + k)
                    for i in range(min(k, n - j - k))
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p)
                ]
            k //= 2
        p *= 2
    return np.array(pairs, np.int32).reshape(-1, 2)


@lru_cache(maxsize=64)
def median_network(n: int) -> NDArray[np.int32]:
    """Those comparators of `sorting_network` that bring the middle one or two of n samples in place."""
    wanted = {(n - 1) // 2, n // 2}
    kept = []
    for low, high in sorting_network(n)[::-1].tolist():
        if low in wanted or high in wanted:
            wanted |= {low, high}
            kept.append((low, high))
    return np.array(kept[::-1], np.int32).reshape(-1, 2)


def rejection_code(method: Method, reject: Rejection) -> int:
    """The kernels' number for a combination; `auto` stands for its rule for many frames."""
    from astrotui.imaging import clip_kernels as kernels

    if method == "median":
        return kernels.MEDIAN
    return {
        "auto": kernels.AUTO,
        "none": kernels.NONE,
        "sigma": kernels.SIGMA,
        "winsorized": kernels.WINSORIZED,
        "linear": kernels.LINEAR,
        "percentile": kernels.PERCENTILE,
        "minmax": kernels.MINMAX,
    }[reject]


def new_tile(planes: int, rows: int, columns: int, samples: int) -> Float32Array:
    """An empty tile for the kernels: (planes, rows, samples, columns or a few more)."""
    return np.empty((planes, rows, samples, tile_width(columns)), np.float32)


def tile_width(columns: int) -> int:
    """Pixels between the samples of a tile's row: no power of two, whose multiples share cache lines."""
    return -(-columns // 16) * 16 + 16


def combine_stack(
    cube: NDArray[np.floating[Any]],
    *,
    method: Method = "average",
    reject: Rejection = "none",
    low: float | None = None,
    high: float | None = None,
    weights: NDArray[np.floating[Any]] | None = None,
    sigma: NDArray[np.floating[Any]] | None = None,
    photon: NDArray[np.floating[Any]] | None = None,
    sky: float = 0.0,
) -> CombineResult:
    """Combine the samples along the first axis.

    At least one sample of each pixel is kept. What the rejections mean:

    - sigma: samples beyond `low`, `high` standard deviations (divisor n) of the median go; repeated until none
      goes. This is `astropy.stats.sigma_clip(cenfunc="median", maxiters=None)`; `ccdproc.Combiner.sigma_clipping`
      does the same, but one round only.
    - winsorized: as sigma, but sigma is the fixed point of s = 1.134 sd(samples clipped to median +- 1.5 s). It is
      solved for, where others iterate until the change is under 0.0005 s.
    - linear: the sorted samples are fitted by a line against their rank, sigma is the mean absolute residual;
      samples beyond go off both ends, repeated. (Siril and PixInsight also look between the ends.)
    - percentile: samples further from the median than the fraction `low`, `high` of it go, once.
    - minmax: the `low` lowest and `high` highest go, in proportion where they would be all. The same as
      `ccdproc.Combiner.clip_extrema` on complete cubes; missing samples are not counted here.
    - auto: each residual is divided by its frame's `sigma` first. From 8 frames on winsorized with sigma at least 1,
      and for pixels that lose samples nevertheless at least that of photon noise and (0.1 steepest difference to
      a neighbor)^2 added to it; with fewer, |x - median| beyond 5/3 of the kappas times sqrt(sigma^2 + photon noise +
      (0.1 steepest difference to a neighbor)^2), and beyond two fifths of that within two pixels of a sample of the
      same frame that goes. Without `sigma` it is estimated, equal for all, from the cube.

    Parameters
    ----------
    cube : float array of shape (N, ...); NaN and infinity are missing samples
    method : average or median; a median takes no rejection
    reject, low, high : see above; limits default to 3, 3 (linear 5, 5; percentile 0.2, 0.1)
    weights : (N,), positive, of the average
    sigma : (N,), noise of one sample, for `auto`
    photon : (N,), variance per ADU above `sky`, for `auto`; None for none
    sky : level of the background

    Returns
    -------
    CombineResult
        Arrays of shape cube.shape[1:].

    Raises
    ------
    ValueError
        Wrong shapes, weights or limits; percentile on a cube whose median is within 5 sigma of 0.
    """
    data, weight = _checked(cube, method, reject, weights)
    n = len(data)
    below, above = _limits(reject, low, high)
    if reject == "auto" and method == "average":
        noise = _known_noise(data) if sigma is None else np.asarray(sigma, np.float32)
        if noise.shape != (n,) or not (noise > 0).all():
            raise ValueError("sigma needs one positive number for each frame")
        rate = np.zeros(n, np.float32) if photon is None else np.asarray(photon, np.float32)
        return _by_known_noise(data, cube.shape[1:], below, above, noise, rate, sky, weight)
    if reject == "percentile":
        check_percentile(float(np.nanmedian(data)), float(np.median(_known_noise(data))))
    flat = data.reshape(n, -1)
    pixels = flat.shape[1]
    value = np.empty((1, 1, pixels), np.float32)
    counts = np.empty((3, 1, 1, pixels), np.uint16)
    step = 1 << 16  # bounds the copy
    for start in range(0, pixels, step):
        part = flat[:, start : start + step]
        columns = part.shape[1]
        tile = new_tile(1, 1, columns, n)
        fill_tile(tile, part[:, None, None, :])
        run_tile(
            tile,
            columns,
            rejection_code(method, reject),
            (below, above),
            weight,
            value[:, :, start : start + columns],
            counts[..., start : start + columns],
        )
    return _result(value, counts, cube.shape[1:])


def run_tile(
    tile: Float32Array,
    columns: int,
    method: int,
    limits: tuple[float, float],
    weight: Float32Array,
    value: Float32Array,
    counts: NDArray[np.uint16],
) -> None:
    """Reject and combine a tile by the kernel that its method belongs to.

    Parameters
    ----------
    tile : float32 (planes, rows, n, columns or more); changed
    method : of `rejection_code`, but AUTO
    limits : low, high
    weight : float32 (n,)
    value : float32 (planes, rows, columns), gets the combination
    counts : uint16 (3, planes, rows, columns), gets samples rejected low and high, and all there are
    """
    from astrotui.imaging import clip_kernels as kernels

    net = sorting_network(tile.shape[2])
    low, high = (np.float32(limit) for limit in limits)
    if method in (kernels.LINEAR, kernels.PERCENTILE, kernels.MINMAX):
        from astrotui.imaging.rank_kernels import combine_tile_by_rank

        combine_tile_by_rank(tile, columns, net, method, low, high, weight, value, *counts)
        return
    from astrotui.imaging.combine_kernels import combine_tile

    middle = median_network(tile.shape[2])
    combine_tile(tile, columns, net, middle, method, low, high, weight, value, *counts)


def run_auto_tile(
    tile: Float32Array,
    columns: int,
    margin: int,
    limits: tuple[float, float],
    sigma: Float32Array,
    typical: tuple[Float32Array, Float32Array],
    sky: Float32Array,
    weight: Float32Array,
    value: Float32Array,
    counts: NDArray[np.uint16],
) -> None:
    """Reject and combine a tile of many frames by what is known of their noise.

    Parameters
    ----------
    tile : float32 (planes, rows, n, columns or more), with `margin` pixels around what is wanted
    columns : width of the tile in pixels, margins included
    limits : low, high
    sigma : float32 (planes, n), noise of a sample
    typical : float32 (planes,) each, of `typical_noise`
    sky : float32 (planes,), level of the background
    weight, value, counts : as for `run_tile`, without the margin
    """
    from astrotui.imaging.auto_kernels import auto_tile

    net = sorting_network(tile.shape[2])
    low, high = (np.float32(limit) for limit in limits)
    auto_tile(tile, columns, margin, margin, net, low, high, 1 / sigma, weight, *typical, sky, value, *counts)


def run_known_noise_tile(
    tile: Float32Array,
    columns: int,
    margin: int,
    limits: tuple[float, float],
    variance: Float32Array,
    photon: Float32Array,
    sky: Float32Array,
    weight: Float32Array,
    value: Float32Array,
    counts: NDArray[np.uint16],
) -> None:
    """As `run_auto_tile` for few frames; variance and photon are float32 (planes, n)."""
    from astrotui.imaging.combine_kernels import median_tile
    from astrotui.imaging.known_noise_kernels import known_noise_tile

    median = np.empty((*tile.shape[:2], columns), np.float32)
    median_tile(tile, columns, sorting_network(tile.shape[2]), median)
    low, high = (np.float32(limit) for limit in limits)
    known_noise_tile(tile, median, margin, margin, low, high, variance, photon, sky, weight, value, *counts)


def typical_noise(
    sigma: NDArray[np.floating[Any]], photon: NDArray[np.floating[Any]]
) -> tuple[Float32Array, Float32Array]:
    """Noise of the frame in the middle, and variance per ADU above the sky there: float32 (planes,) of (planes, n)."""
    return np.median(sigma, axis=1).astype(np.float32), np.median(photon, axis=1).astype(np.float32)


def fill_tile(tile: Float32Array, samples: NDArray[np.floating[Any]]) -> None:
    """Copy samples (n, planes, rows, columns) into a tile of `new_tile`."""
    tile[..., : samples.shape[3]] = np.moveaxis(samples, 0, 2)


def check_percentile(level: float, noise: float) -> None:
    """Refuse percentile clipping of a background that is not well above 0, where it takes good samples.

    Raises
    ------
    ValueError
        `level` is within 5 `noise` of 0.
    """
    if not level > 5 * noise:
        raise ValueError(
            f"percentile rejection needs a background well above 0; it is {level:.4g} with noise {noise:.3g}"
        )


def _checked(
    cube: NDArray[np.floating[Any]],
    method: str,
    reject: str,
    weights: NDArray[np.floating[Any]] | None,
) -> tuple[Float32Array, Float32Array]:
    data = np.asarray(cube, np.float32)
    if data.ndim < 1 or not 0 < len(data) <= np.iinfo(np.uint16).max:
        raise ValueError("a cube needs 1 to 65,535 frames along its first axis")
    if method not in ("average", "median") or reject not in DEFAULT_LIMITS:
        raise ValueError(f"combination {method!r} with rejection {reject!r} is not known")
    weight = np.ones(len(data), np.float32) if weights is None else np.asarray(weights, np.float32)
    if weight.shape != (len(data),) or not (weight > 0).all() or not np.isfinite(weight).all():
        raise ValueError("weights need one positive number for each frame")
    return data, weight


def _limits(reject: str, low: float | None, high: float | None) -> tuple[float, float]:
    default = DEFAULT_LIMITS[reject]
    below = default[0] if low is None else low
    above = default[1] if high is None else high
    if below < 0 or above < 0:
        raise ValueError(f"limits of a rejection are zero or more, not {below}, {above}")
    return below, above


def _known_noise(data: Float32Array) -> Float32Array:
    """One noise for all frames, from the differences of the first two: (N,)."""
    if len(data) < 2:
        return np.ones(len(data), np.float32)
    difference = (data[1] - data[0]).ravel()
    difference = difference[np.isfinite(difference)]
    if not len(difference):
        return np.ones(len(data), np.float32)
    spread = 1.4826 * float(np.median(np.abs(difference - np.median(difference)))) / np.sqrt(2)
    return np.full(len(data), max(spread, 1e-6), np.float32)


def _by_known_noise(
    data: Float32Array,
    shape: tuple[int, ...],
    low: float,
    high: float,
    noise: Float32Array,
    rate: Float32Array,
    sky: float,
    weight: Float32Array,
) -> CombineResult:
    """`auto` of a whole image, by the rule for as many frames as there are."""
    n = len(data)
    rows, columns = (1, int(np.prod(shape))) if len(shape) < 2 else shape[-2:]
    images = data.reshape(n, -1, rows, columns)
    planes = images.shape[1]
    tile = new_tile(planes, rows, columns, n)
    fill_tile(tile, images)
    value = np.empty((planes, rows, columns), np.float32)
    counts = np.empty((3, planes, rows, columns), np.uint16)
    sigma, photon = np.repeat(noise[None], planes, axis=0), np.repeat(rate[None], planes, axis=0)
    skies = np.full(planes, sky, np.float32)
    if n >= KNOWN_NOISE_BELOW:
        typical = typical_noise(sigma, photon)
        run_auto_tile(tile, columns, 0, (low, high), sigma, typical, skies, weight, value, counts)
        return _result(value, counts, shape)
    limits = low * KNOWN_NOISE_KAPPA, high * KNOWN_NOISE_KAPPA
    run_known_noise_tile(tile, columns, 0, limits, sigma**2, photon, skies, weight, value, counts)
    return _result(value, counts, shape)


def _result(value: Float32Array, counts: NDArray[np.uint16], shape: tuple[int, ...]) -> CombineResult:
    low_rejected, high_rejected, found = (count.reshape(shape) for count in counts)
    return CombineResult(
        value.reshape(shape), low_rejected, high_rejected, found - low_rejected - high_rejected
    )
