"""Plane transforms as 3x3 matrices: least-squares fits, plausibility, phase correlation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.types import Float64Array

COEFFICIENTS = {"shift": 2, "similarity": 4, "affine": 6, "homography": 8}


def apply(transform: Float64Array, points: Float64Array) -> Float64Array:
    """Points (n, 2) mapped by a 3x3 matrix."""
    mapped = points @ transform[:2, :2].T + transform[:2, 2]
    if transform[2, 0] or transform[2, 1] or transform[2, 2] != 1:
        mapped = mapped / (points @ transform[2, :2] + transform[2, 2])[:, None]
    return np.asarray(mapped)


def translation(dx: float, dy: float) -> Float64Array:
    """The matrix of a shift."""
    return np.array([[1.0, 0.0, dx], [0.0, 1.0, dy], [0.0, 0.0, 1.0]])


def fit_model(model: str, points: Float64Array, targets: Float64Array, weights: Float64Array) -> Float64Array:
    """The 3x3 matrix of a model that carries points (n, 2) onto targets (n, 2) by weighted least squares.

    `model` is shift, similarity, affine or homography; `weights` (n,) multiply squared distances. Coordinates are
    centred and scaled first, so that the equations are well conditioned.
    """
    total = weights.sum()
    center, goal = weights @ points / total, weights @ targets / total
    if model == "shift":
        return translation(*(goal - center))
    size = max(float(np.abs(points - center).max()), 1e-9)
    p, q = (points - center) / size, (targets - goal) / size
    root = np.sqrt(weights)
    inner = np.eye(3)
    if model == "similarity":
        a = np.concatenate([np.stack([p[:, 0], -p[:, 1]], axis=1), np.stack([p[:, 1], p[:, 0]], axis=1)])
        c, s = np.linalg.lstsq(a * np.tile(root, 2)[:, None], q.T.ravel() * np.tile(root, 2))[0]
        inner[:2, :2] = [[c, -s], [s, c]]
    elif model == "affine":
        a = np.column_stack([p, np.ones(len(p))]) * root[:, None]
        inner[:2] = np.linalg.lstsq(a, q * root[:, None])[0].T
    else:
        inner = _homography(p, q, root)
    to_unit = np.array([[1 / size, 0, -center[0] / size], [0, 1 / size, -center[1] / size], [0, 0, 1.0]])
    from_unit = np.array([[size, 0, goal[0]], [0, size, goal[1]], [0, 0, 1.0]])
    matrix = from_unit @ inner @ to_unit
    return np.asarray(matrix / matrix[2, 2])


def _homography(p: Float64Array, q: Float64Array, root: Float64Array) -> Float64Array:
    """Eight coefficients; the equations are divided by the denominator of the round before, so that distances on
    the target, not algebraic residuals, become least."""
    h = np.array([1.0, 0, 0, 0, 1, 0, 0, 0])
    zero, one = np.zeros(len(p)), np.ones(len(p))
    for _ in range(3):
        scale = root / (p @ h[6:] + 1)
        rows = [
            np.column_stack([p, one, zero, zero, zero, -q[:, 0] * p[:, 0], -q[:, 0] * p[:, 1]]),
            np.column_stack([zero, zero, zero, p, one, -q[:, 1] * p[:, 0], -q[:, 1] * p[:, 1]]),
        ]
        both = np.tile(scale, 2)
        h = np.linalg.lstsq(np.concatenate(rows) * both[:, None], q.T.ravel() * both)[0]
    return np.append(h, 1.0).reshape(3, 3)


def is_plausible(transform: Float64Array, shape: tuple[int, int], scale_limits: tuple[float, float]) -> bool:
    """No mirror image, a scale within limits, little shear and perspective, and the frames overlap at all."""
    if not np.isfinite(transform).all():
        return False
    linear = transform[:2, :2]
    determinant = float(np.linalg.det(linear))
    if determinant <= 0 or not scale_limits[0] <= np.sqrt(determinant) <= scale_limits[1]:
        return False
    long, short = np.linalg.svd(linear, compute_uv=False)
    if long / short > 1.1:
        return False
    height, width = shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    denominators = corners @ transform[2, :2] + transform[2, 2]
    return bool((denominators > 0.8).all() and (denominators < 1.25).all())


def common_offsets(points: Float64Array, targets: Float64Array, count: int = 200) -> list[Float64Array]:
    """Shifts that many pairs of points (n, 2) and targets (m, 2) share, most shared first, as matrices.

    Finds a drift without rotation where triangles fail: in crowded fields, or with few stars in common.
    """
    p, q = points[:count], targets[:count]
    offsets = (q[None, :, :] - p[:, None, :]).reshape(-1, 2)
    return [translation(*np.median(offsets[m], axis=0)) for m in _clusters(offsets, np.array([3.0, 3.0]))]


def common_pairs(points: Float64Array, targets: Float64Array, tolerance: float = 1.5) -> list[Float64Array]:
    """Turns and shifts that many pairs of stars agree on, most agreed first, as matrices; scale 1.

    Two stars as far apart as two of the other list (within `tolerance` px) propose a turn and a shift. Needs fewer
    common stars than triangles of neighbours do.
    """
    if min(len(points), len(targets)) < 3:
        return []
    center, goal = points.mean(axis=0), targets.mean(axis=0)
    a, b = _pair_list(points)
    c, d = _pair_list(targets)
    first, second = points[b] - points[a], targets[d] - targets[c]
    length, other = np.hypot(*first.T), np.hypot(*second.T)
    order = np.argsort(other)
    low = np.searchsorted(other[order], length - tolerance)
    high = np.searchsorted(other[order], length + tolerance)
    # Short pairs tell the angle badly: their neighbours in length would flood the vote.
    low = np.where(length < 40, high, low)
    counts = high - low
    i = np.repeat(np.arange(len(length)), counts)
    j = order[
        np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(low, counts)
    ]
    turn = np.arctan2(second[j, 1], second[j, 0]) - np.arctan2(first[i, 1], first[i, 0])
    cos, sin = np.cos(turn), np.sin(turn)
    middle = 0.5 * (points[a[i]] + points[b[i]]) - center
    goals = 0.5 * (targets[c[j]] + targets[d[j]]) - goal
    dx = goals[:, 0] - (cos * middle[:, 0] - sin * middle[:, 1])
    dy = goals[:, 1] - (sin * middle[:, 0] + cos * middle[:, 1])
    votes = np.stack([np.degrees(turn) % 360.0, dx, dy], axis=1)
    found = []
    for members in _clusters(votes, np.array([0.75, 6.0, 6.0])):
        angle = np.radians(np.median(votes[members, 0]))
        x, y = np.median(votes[members, 1:], axis=0)
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = np.eye(3)
        matrix[:2, :2] = rotation
        matrix[:2, 2] = goal + np.array([x, y]) - rotation @ center
        found.append(matrix)
    return found


def _pair_list(points: Float64Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All ordered pairs of points as two index arrays."""
    a, b = np.nonzero(~np.eye(len(points), dtype=bool))
    return a, b


def _clusters(values: Float64Array, size: Float64Array, limit: int = 5) -> list[NDArray[np.intp]]:
    """Indices of the fullest groups of `values` (n, d): boxes of two cells of `size` a side, fullest first."""
    if len(values) == 0:
        return []
    cells = np.floor(values / size).astype(np.int64)
    cells -= cells.min(axis=0)
    spans = cells.max(axis=0) + 2
    strides = np.concatenate([np.cumprod(spans[:0:-1])[::-1], [1]]).astype(np.int64)
    keys, inverse, counts = np.unique(cells @ strides, return_inverse=True, return_counts=True)
    steps = [int(np.dot(strides, corner)) for corner in np.ndindex(*(2,) * values.shape[1])]
    total = np.zeros(len(keys), np.int64)
    for step in steps:
        at = np.minimum(np.searchsorted(keys, keys + step), len(keys) - 1)
        total += np.where(keys[at] == keys + step, counts[at], 0)
    best = np.argsort(-total, kind="stable")[:limit]
    return [np.flatnonzero(np.isin(keys[inverse], keys[k] + np.array(steps))) for k in best]


def phase_shift(frame: NDArray[Any], reference: NDArray[Any]) -> tuple[float, float] | None:
    """The shift (dx, dy) that carries `frame` (H, W) onto `reference`, by phase correlation; None if unclear.

    The peak of the correlation must stand out by 8 standard deviations. Good to about half a pixel.
    """
    from scipy import fft

    if frame.shape != reference.shape or min(frame.shape) < 16:
        return None
    height, width = frame.shape
    window = np.hanning(height)[:, None] * np.hanning(width)
    spectra = []
    for image in (frame, reference):
        clean = np.nan_to_num(np.asarray(image, np.float64))
        clean = np.clip(clean - np.median(clean), *np.percentile(clean - np.median(clean), (1, 99.9)))
        spectra.append(fft.rfft2(clean * window))
    cross = spectra[1] * np.conj(spectra[0])
    surface = fft.irfft2(cross / np.maximum(np.abs(cross), 1e-12), s=frame.shape)
    top = int(np.argmax(surface))
    if surface.flat[top] < surface.mean() + 8 * surface.std():
        return None
    y, x = divmod(top, width)
    dy, dx = (at - size if at > size // 2 else at for at, size in ((y, height), (x, width)))
    return float(dx), float(dy)
