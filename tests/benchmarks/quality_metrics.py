"""How good a stack of a benchmark set is, measured against its truth: noise, width, photometry, outliers, trails."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, zoom
from scipy.optimize import least_squares
from scipy.spatial import cKDTree

from sample_sessions import sky as sim

Image = NDArray[np.float32]
Matrix = NDArray[np.float64]
EDGE = 90  # px left out around the border: dithers uncover it in part
EQUAL_FWHM = 3.3  # px: wider than any of the stacks that are compared
BRIGHT_E = 4e4  # a bright star has more electrons than this in green: sky noise is far below 1 % of it


@dataclass(frozen=True)
class Quality:
    """The numbers of one stack, each R, G, B where there are three.

    Attributes
    ----------
    gain : signal of a star against that of the truth at full transparency
    noise_e : scatter of star-free sums of 4x4 pixels, electrons of one exposure, divided by `gain`
    equal_noise_e : the same of the stack smoothed to stars of EQUAL_FWHM: a blurred stack has less noise in small
        sums and knows no more, so that stacks of different sharpness are to be compared by this
    fwhm_px : median of Gaussian fits to bright stars in green
    scatter_pct : of bright stars' aperture fluxes against the truth
    outliers : pixels off by over 8 sigma away from stars, all channels
    faults : those of them that are off by over 8 sigma of the noise of as few frames as cover them, too: in a corner
        that a rotating field leaves to few frames, noise alone is over 8 sigma of the whole
    trail_sigma : the largest mean excess along a satellite's line, in its standard errors
    trail_pixels : pixels over 5 sigma of as few frames as cover them within 3 px of such lines
    sky_to_result : the fitted map from sky to result
    """

    gain: tuple[float, ...]
    noise_e: tuple[float, ...]
    equal_noise_e: tuple[float, ...]
    fwhm_px: float
    scatter_pct: tuple[float, ...]
    outliers: int
    faults: int
    trail_sigma: float
    trail_pixels: int
    sky_to_result: Matrix


def spread(values: NDArray[np.floating]) -> float:
    """Standard deviation of the bulk: 1.4826 times the median absolute deviation."""
    middle = np.median(values)
    return float(1.4826 * np.median(np.abs(values - middle)))


def find_sky(plane: Image, truth: sim.Truth) -> Matrix:
    """The matrix from sky (reference coordinates of the truth) to the pixels of a result, flips included.

    Raises
    ------
    ValueError : the stars of the result are not those of the truth
    """
    import astroalign
    import sep

    flux = np.array(truth.flux[1])
    points = np.stack([truth.x, truth.y], axis=1)[np.argsort(-flux)]
    inside = (points > 0).all(1) & (points[:, 0] < truth.width) & (points[:, 1] < truth.height)
    catalog = points[inside]
    filled = np.ascontiguousarray(np.nan_to_num(plane, nan=float(np.nanmedian(plane))), np.float32)
    background = sep.Background(filled)
    found = sep.extract(filled - background.back(), 8, err=background.globalrms, minarea=5)
    found = found[np.argsort(-found["flux"])]
    stars = np.stack([found["x"], found["y"]], axis=1).astype(float)
    tree = cKDTree(stars)
    for mirrored in (False, True):
        mirror = np.array([[1, 0, 0], [0, -1, truth.height - 1], [0, 0, 1.0]]) if mirrored else np.eye(3)
        turned = np.stack(sim.apply(mirror, catalog[:, 0], catalog[:, 1]), axis=1)
        try:
            guess, _ = astroalign.find_transform(turned[:40], stars[:40], max_control_points=40)
        except (astroalign.MaxIterError, ValueError, TypeError):
            continue
        matrix = np.asarray(guess.params) @ mirror
        for reach in (4.0, 1.5, 0.8):
            x, y = sim.apply(matrix, catalog[:, 0], catalog[:, 1])
            distance, place = tree.query(np.stack([x, y], axis=1), distance_upper_bound=reach)
            good = np.isfinite(distance)
            if good.sum() < 8:
                break
            matrix = fit_affine(catalog[good], stars[place[good]])
        if good.sum() > 0.3 * min(len(stars), len(catalog)):  # by chance it would be a few in a hundred
            return matrix
    raise ValueError("the stars of the result are not those of the truth")


def fit_affine(source: NDArray[np.float64], target: NDArray[np.float64]) -> Matrix:
    """The affine 3x3 matrix that takes points (n, 2) nearest to others, outliers left out by and by."""
    keep = np.ones(len(source), bool)
    matrix = np.eye(3)
    for _ in range(4):
        design = np.column_stack([source[keep], np.ones(keep.sum())])
        matrix[:2] = np.linalg.lstsq(design, target[keep], rcond=None)[0].T
        misses = np.hypot(*(np.stack(sim.apply(matrix, *source.T), axis=1) - target).T)
        keep = misses < max(4 * float(np.median(misses)), 1e-6)
    return matrix


def lone_stars(truth: sim.Truth, matrix: Matrix, shape: tuple[int, int], apart: float) -> NDArray[np.intp]:
    """Indices of stars well inside a result that have no neighbour within `apart` px, brightest first."""
    x, y = sim.apply(matrix, truth.x, truth.y)
    near = cKDTree(np.stack([x, y], axis=1)).query(np.stack([x, y], axis=1), k=2)[0][:, 1]
    inside = (x > EDGE) & (y > EDGE) & (x < shape[1] - EDGE) & (y < shape[0] - EDGE)
    chosen = np.flatnonzero(inside & (near > apart))
    return chosen[np.argsort(-np.array(truth.flux[1])[chosen])]


def fit_star(plane: Image, x: float, y: float, radius: int = 7) -> tuple[float, float, float] | None:
    """Place and FWHM (of the recorded profile) by a round Gaussian fit; None when it fails."""
    ix, iy = round(x), round(y)
    box = plane[iy - radius : iy + radius + 1, ix - radius : ix + radius + 1].astype(float)
    if box.shape != (2 * radius + 1,) * 2 or not np.isfinite(box).all():
        return None
    v, u = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    level = float(np.median(box))

    def residual(p: NDArray[np.float64]) -> NDArray[np.float64]:
        model = p[0] * np.exp(-((u - p[1]) ** 2 + (v - p[2]) ** 2) / (2 * p[3] ** 2)) + p[4]
        return np.asarray((model - box).ravel())

    start = [box.max() - level, x - ix, y - iy, 1.2, level]
    solution = least_squares(residual, start)
    if not solution.success or not 0.3 < abs(solution.x[3]) < 8:
        return None
    return ix + solution.x[1], iy + solution.x[2], abs(solution.x[3]) / sim.SIGMA_OF_FWHM


def aperture(plane: Image, x: float, y: float, radius: float = 9.0) -> float:
    """Sum within a circle above the median of a ring around it; pixels on the rim count by their part."""
    ix, iy, reach = round(x), round(y), math.ceil(radius * 1.9)
    box = plane[iy - reach : iy + reach + 1, ix - reach : ix + reach + 1].astype(float)
    v, u = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    r = np.hypot(u - (x - ix), v - (y - iy))
    level = np.median(box[(r > radius * 1.3) & (r < radius * 1.9)])
    return float(((box - level) * (radius + 0.5 - r).clip(0, 1)).sum())


def star_mask(truth: sim.Truth, matrix: Matrix, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Where stars or the border are, wider around brighter stars."""
    mask = np.zeros(shape, bool)
    x, y = sim.apply(matrix, truth.x, truth.y)
    counts = np.array(truth.flux).max(0) * truth.exposure_s
    for cx, cy, light in zip(x, y, counts, strict=True):
        reach = int(5 + 2.2 * math.log10(max(light, 10)))
        y0, x0 = max(0, round(cy) - reach), max(0, round(cx) - reach)
        mask[y0 : max(0, round(cy) + reach + 1), x0 : max(0, round(cx) + reach + 1)] = True
    mask[:EDGE] = mask[-EDGE:] = True
    mask[:, :EDGE] = mask[:, -EDGE:] = True
    return mask


def flatten(plane: Image, mask: NDArray[np.bool_], mesh: int = 48) -> Image:
    """The plane without its smooth background: medians of unmasked meshes, joined by splines."""
    height, width = plane.shape
    rows, columns = height // mesh, width // mesh
    blocks = np.where(mask | ~np.isfinite(plane), np.nan, plane)[: rows * mesh, : columns * mesh]
    blocks = blocks.reshape(rows, mesh, columns, mesh).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    few = np.isfinite(blocks).sum(-1) < 200
    levels = np.full((rows, columns), np.nan)
    levels[~few] = np.nanmedian(blocks[~few], axis=-1)
    levels[few] = np.nanmedian(levels)
    levels = median_filter(levels, 3)
    surface = zoom(levels, (height / rows, width / columns), order=3, mode="nearest", grid_mode=True)
    return np.asarray(plane - surface, np.float32)


def measure(planes: Image, truth: sim.Truth, e_per_unit: float) -> Quality:
    """Measure a result (3, height, width) whose values times `e_per_unit` are electrons of one exposure."""
    matrix = find_sky(planes[1], truth)
    shape = planes.shape[1:]
    chosen = lone_stars(truth, matrix, shape, 22)
    x, y = sim.apply(matrix, truth.x, truth.y)
    counts = np.array(truth.flux) * truth.exposure_s
    peak = counts.max(0) / 8.0  # the share of the central pixel at FWHM 2.8
    unsaturated = [i for i in chosen if peak[i] < 0.6 * 65535 * truth.e_per_adu]
    bright = [i for i in unsaturated if counts[1][i] > BRIGHT_E]
    fits = [fit for i in bright if (fit := fit_star(planes[1], x[i], y[i]))]
    fwhm = float(np.median([fit[2] for fit in fits]))
    mask = star_mask(truth, matrix, shape)
    gains, noises, equal_noises, scatters = [], [], [], []
    outliers, faults, trail_sigma, trail_pixels = 0, 0, 0.0, 0
    covered = np.maximum(frames_over(truth, matrix, shape), 1)
    thinner = np.sqrt(np.median(covered) / covered)
    for channel in range(3):
        plane = np.asarray(planes[channel], np.float32) * np.float32(e_per_unit)
        ratio = np.array([aperture(plane, x[i], y[i]) / counts[channel][i] for i in bright])
        ratio = ratio[np.isfinite(ratio)]
        gain = float(np.median(ratio))
        flat = flatten(plane, mask)
        free = ~mask & np.isfinite(flat)
        sigma = spread(flat[free])
        off = free & (np.abs(flat) > 8 * sigma)
        outliers += int(off.sum())
        faults += int((off & (np.abs(flat) > 8 * sigma * thinner)).sum())
        excess, over = trails(flat, free, sigma * thinner, truth, matrix)
        trail_sigma, trail_pixels = max(trail_sigma, excess), trail_pixels + over
        gains.append(gain)
        noises.append(binned_noise(flat, free) / gain)
        smooth = smooth_to(flat, fwhm, EQUAL_FWHM)
        equal_noises.append(binned_noise(smooth, free & np.isfinite(smooth)) / gain)
        scatters.append(100 * spread(ratio) / gain)
    return Quality(
        tuple(gains), tuple(noises), tuple(equal_noises), fwhm, tuple(scatters), outliers, faults,
        trail_sigma, trail_pixels, matrix,
    )  # fmt: skip


def frames_over(truth: sim.Truth, sky_to_result: Matrix, shape: tuple[int, int], step: int = 8) -> Image:
    """How many frames of the truth cover each pixel of a result, looked at in every `step`th pixel."""
    y, x = np.mgrid[0 : shape[0] : step, 0 : shape[1] : step].astype(float)
    sx, sy = sim.apply(sim.inverse(sky_to_result), x.ravel(), y.ravel())
    count = np.zeros(sx.shape, np.float32)
    for frame in truth.frames:
        fx, fy = sim.apply(sim.inverse(frame.matrix()), sx, sy)
        count += (fx >= 0) & (fy >= 0) & (fx <= truth.width - 1) & (fy <= truth.height - 1)
    coarse = count.reshape(y.shape)
    return np.repeat(np.repeat(coarse, step, axis=0), step, axis=1)[: shape[0], : shape[1]]


def binned_noise(flat: Image, free: NDArray[np.bool_]) -> float:
    """Scatter of sums of 4x4 pixels, all of them free of stars."""
    height, width = (n // 4 * 4 for n in flat.shape)
    sums = flat[:height, :width].reshape(height // 4, 4, width // 4, 4).sum((1, 3))
    whole = free[:height, :width].reshape(height // 4, 4, width // 4, 4).all((1, 3))
    return spread(sums[whole])


def smooth_to(plane: Image, fwhm: float, wanted: float) -> Image:
    """The plane smoothed so that stars of width `fwhm` become as wide as `wanted`, by kernels (a, 1 - 2a, a).

    Such a kernel has exactly the variance 2a, which a sampled narrow Gaussian has not.
    """
    missing = max(0.0, (wanted**2 - fwhm**2) * sim.SIGMA_OF_FWHM**2)
    passes = math.ceil(missing / 0.4)
    for _ in range(passes):
        a = np.float32(missing / passes / 2)
        for axis in (0, 1):
            plane = (1 - 2 * a) * plane + a * (np.roll(plane, 1, axis) + np.roll(plane, -1, axis))
    return np.asarray(plane, np.float32)


def trails(
    flat: Image, free: NDArray[np.bool_], sigma: Image, truth: sim.Truth, matrix: Matrix
) -> tuple[float, int]:
    """What satellites left: the largest mean excess along their lines in standard errors, pixels over 5 sigma.

    `sigma` is that of each pixel, larger where fewer frames cover.
    """
    worst, pixels = 0.0, 0
    for frame in truth.frames:
        for x0, y0, x1, y1, *_ in frame.trails:
            ends = sim.apply(matrix @ frame.matrix(), [x0, x1], [y0, y1])
            length = float(np.hypot(ends[0][1] - ends[0][0], ends[1][1] - ends[1][0]))
            ux, uy = (ends[0][1] - ends[0][0]) / length, (ends[1][1] - ends[1][0]) / length
            along = np.arange(0, length)
            samples, units = {}, {}
            for offset in (*range(-3, 4), *range(-14, -8), *range(9, 15)):
                u = np.rint(ends[0][0] + along * ux - offset * uy).astype(int)
                v = np.rint(ends[1][0] + along * uy + offset * ux).astype(int)
                inside = (u >= 0) & (v >= 0) & (u < flat.shape[1]) & (v < flat.shape[0])
                u, v = u[inside], v[inside]
                samples[offset] = flat[v, u][free[v, u]]
                units[offset] = sigma[v, u][free[v, u]]
            on = np.concatenate([samples[k] for k in (-1, 0, 1)])
            off = np.concatenate([s for k, s in samples.items() if abs(k) > 6])
            if len(on) < 100:
                continue
            # resampling correlates neighbours: the scatter of the mean is that of blocks of 10 px
            blocks = on[: len(on) // 30 * 30].reshape(-1, 30).mean(1)
            error = max(spread(blocks) / math.sqrt(len(blocks)), 1e-12)
            worst = max(worst, float((on.mean() - off.mean()) / error))
            pixels += sum(int((samples[k] > 5 * units[k]).sum()) for k in range(-3, 4))
    return worst, pixels


def registration_error(places: dict[str, Matrix], reference: str, truth: sim.Truth) -> float:
    """Median over frames of the RMS distance, over the image, of where sky lands from where it should, px.

    `places` maps names of frames to the matrix from sky to the pixels of the registered frame: those of the
    reference frame when registration is perfect. Trailed frames are left out: their stars have no one place.
    """
    faults = {Path(frame.name).name: frame.faults for frame in truth.frames}
    v, u = np.mgrid[0 : truth.height : 9j, 0 : truth.width : 9j]
    home = sim.apply(places[reference], u.ravel(), v.ravel())
    errors = []
    for name, matrix in places.items():
        if name != reference and "trailed" not in faults[name]:
            x, y = sim.apply(matrix, u.ravel(), v.ravel())
            errors.append(math.sqrt(float(np.mean((x - home[0]) ** 2 + (y - home[1]) ** 2))))
    return float(np.median(errors))


def places_of(to_reference: dict[str, Matrix], truth: sim.Truth) -> dict[str, Matrix]:
    """The places of frames for which a program says how it maps them to the reference."""
    frames = {Path(frame.name).name: frame for frame in truth.frames}
    return {name: matrix @ sim.inverse(frames[name].matrix()) for name, matrix in to_reference.items()}


def place_of(plane: Image, truth: sim.Truth) -> Matrix:
    """The affine matrix from sky to a registered frame, by Gaussian fits to its bright stars."""
    matrix = find_sky(plane, truth)
    x, y = sim.apply(matrix, truth.x, truth.y)
    source, target = [], []
    for i in lone_stars(truth, matrix, plane.shape, 16)[:400]:
        fit = fit_star(plane, x[i], y[i], 5)
        if fit and math.hypot(fit[0] - x[i], fit[1] - y[i]) < 1.5:
            source.append((truth.x[i], truth.y[i]))
            target.append(fit[:2])
    return fit_affine(np.array(source), np.array(target))
