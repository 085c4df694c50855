"""Many frames laid on one grid at once, by the stars that pairs of them share; and how much their lens bends lines."""

from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from astrotui.imaging.geometry import apply, fit_model
from astrotui.imaging.mapping import Lens
from astrotui.imaging.types import Float64Array

Bending = Literal["shift", "similarity", "affine", "homography"]

_ROUNDS = 8  # of Gauss-Newton; similarities need one
_FAR = 3.0  # px: a held-out star that is further off counts as so far off
_GAIN_PX = 0.05  # what a model with more unknowns must explain, and by more than so often chance's share:
_CHANCE = 2.0
_FOLDS = 4
_FREE: dict[str, list[list[int]]] = {  # the signed places (1 to 8) in a homography that each unknown moves
    "shift": [[3], [6]],
    "similarity": [[1, 5], [-2, 4], [3], [6]],
    "affine": [[1], [2], [3], [4], [5], [6]],
    "homography": [[1], [2], [3], [4], [5], [6], [7], [8]],
}


@dataclass(frozen=True, eq=False)
class Shared:
    """Stars that two frames share.

    Attributes
    ----------
    a, b : the frames
    p, q : float64 (n, 2), places in frame a and in frame b, px
    weights : float64 (n,), of squared distances
    """

    a: int
    b: int
    p: Float64Array
    q: Float64Array
    weights: Float64Array

    def __len__(self) -> int:
        return len(self.p)

    def some(self, keep: Float64Array) -> "Shared":
        """Those where `keep`, bool (n,), is true."""
        return Shared(self.a, self.b, self.p[keep], self.q[keep], self.weights[keep])

    def straight(self, lens: Lens | None) -> "Shared":
        """The same at undistorted places."""
        if lens is None:
            return self
        return Shared(self.a, self.b, lens.undistort(self.p), lens.undistort(self.q), self.weights)


@dataclass(frozen=True)
class Choice:
    """A model of how frames lie on each other, and what it leaves of stars that it did not see, px."""

    model: Bending
    lens: Lens | None
    held_out_px: float


def choose_bending(shared: Sequence[Shared], width: int, height: int, *, lens: bool = True) -> Choice:
    """Similarity, homography, or homography with a lens: the simplest that stars left out of the fit are content with.

    Each model is fitted to three quarters of the shared stars and judged by the others, four times; one with more
    unknowns is taken when it explains 0.05 px (root mean square) that the simpler one leaves, and that is no chance.
    A pair of frames that hardly moved says nothing about a lens: give pairs far apart. `lens` allows for one: all frames
    are of one camera.
    """
    shared = [one for one in shared if len(one) >= 16]
    stars = sum(len(one) for one in shared)
    best = Choice("similarity", None, _held_out(shared, "similarity", 0, width, height))
    for unknowns in (0, 1, 2) if lens else (0,):
        left = _held_out(shared, "homography", unknowns, width, height)
        sure = left < best.held_out_px * (1 - max(0.01, _CHANCE / np.sqrt(4 * max(stars, 1))))
        if sure and best.held_out_px**2 - left**2 > _GAIN_PX**2:
            bend = fit_lens(shared, unknowns, width, height) if unknowns else None
            best = Choice("homography", bend, left)
    return best


def fit_lens(shared: Sequence[Shared], unknowns: int, width: int, height: int) -> Lens | None:
    """The radial distortion (k1, or k1 and k2) under which homographies fit pairs of frames best.

    The homographies follow from the distortion (variable projection), so that it alone is sought, by Gauss-Newton
    steps with differences for slopes. None when it runs away.
    """
    k = np.zeros(unknowns)
    step = 1e-3
    for _ in range(_ROUNDS):
        here = _scatter(shared, _lens(k, width, height))
        slopes = []
        for n in range(unknowns):
            moved = k.copy()
            moved[n] += step
            slopes.append((_scatter(shared, _lens(moved, width, height)) - here) / step)
        change = np.linalg.lstsq(np.stack(slopes, axis=1), -here)[0]
        k = k + change
        if not np.isfinite(k).all() or np.abs(k).max() > 0.5 or _lens(k, width, height).limit < 1.05:
            return None
        if np.abs(change).max() < 1e-6:
            break
    return _lens(k, width, height)


def _lens(k: Float64Array, width: int, height: int) -> Lens:
    return Lens.centered(width, height, *(float(v) for v in k))


def _scatter(shared: Sequence[Shared], lens: Lens) -> Float64Array:
    """Weighted distances left by a homography for each pair of frames, both axes in one row; strangers count little."""
    found = []
    for one in shared:
        bare = one.straight(lens)
        off = apply(fit_model("homography", bare.p, bare.q, bare.weights), bare.p) - bare.q
        found.append((off * (np.sqrt(bare.weights) * _trust(off))[:, None]).ravel())
    return np.concatenate(found)


def _trust(off: Float64Array) -> Float64Array:
    """Square roots of robust weights (Huber) of distances (n, 2)."""
    distance = np.hypot(off[:, 0], off[:, 1])
    limit = max(3.0 * float(np.median(distance)), 1e-6)
    return np.asarray(np.sqrt(np.minimum(1.0, limit / np.maximum(distance, 1e-12))))


def _held_out(shared: Sequence[Shared], model: Bending, unknowns: int, width: int, height: int) -> float:
    """Root mean square distance of stars that were left out of the fit, px."""
    total, count = 0.0, 0.0
    for fold in range(_FOLDS):
        left = [(one, np.arange(len(one)) % _FOLDS == fold) for one in shared]
        lens = None
        if unknowns:
            lens = fit_lens([one.some(~out) for one, out in left], unknowns, width, height)
            if lens is None:
                return float("inf")
        for one, out in left:
            bare = one.straight(lens)
            seen, judged = bare.some(~out), bare.some(out)
            matrix = fit_model(model, seen.p, seen.q, seen.weights)
            distance = np.minimum(np.hypot(*(apply(matrix, judged.p) - judged.q).T), _FAR)
            total += float((judged.weights * distance**2).sum())
            count += float(judged.weights.sum())
    return float(np.sqrt(total / count)) if count else float("inf")


def solve(
    shared: Sequence[Shared],
    start: Table[int, Float64Array],
    fixed: int,
    model: Bending,
    lens: Lens | None,
    width: int,
    height: int,
) -> dict[int, Float64Array]:
    """The matrices of all frames onto the grid of frame `fixed` under which shared stars fall together best.

    Parameters
    ----------
    shared : pairs of frames, each connected with `fixed` over others
    start : a matrix for each frame, (3, 3), undistorted pixels to undistorted pixels of `fixed`; good to some px
    model : what the matrices may be

    Returns
    -------
    dict
        By frame; weighted least squares of the distances on the grid (Gauss-Newton; distances beyond thrice the
        median count less).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import spsolve

    unit = _unit(width, height)
    back = np.linalg.inv(unit)
    basis, base = _basis(model)
    frames = [frame for frame in start if frame != fixed]
    place = {frame: n for n, frame in enumerate(frames)}
    theta = np.zeros((len(frames), basis.shape[1]))
    for frame, n in place.items():
        matrix = unit @ start[frame] @ back
        theta[n] = np.linalg.pinv(basis) @ ((matrix / matrix[2, 2]).ravel()[:8] - base)
    pairs = []
    for one in shared:
        bare = one.straight(lens)
        pairs.append((one.a, one.b, apply(unit, bare.p), apply(unit, bare.q), bare.weights))
    size = basis.shape[1]
    for _ in range(_ROUNDS if model == "homography" else 3):
        rows, columns, values = [], [], []
        right = np.zeros(len(frames) * size)
        for a, b, p, q, weights in pairs:
            sides = [(frame, points, sign) for frame, points, sign in ((a, p, 1.0), (b, q, -1.0))]
            moved = [_moved(base + basis @ theta[place[f]] if f != fixed else None, x) for f, x, _ in sides]
            off = moved[0] - moved[1]
            root = np.sqrt(weights) * _trust(off)
            blocks = [
                (
                    place[f],
                    sign * _slopes(base + basis @ theta[place[f]], x) @ basis * np.tile(root, 2)[:, None],
                )
                for f, x, sign in sides
                if f != fixed
            ]
            residual = (off * root[:, None]).T.ravel()
            for m, block in blocks:
                right[m * size : (m + 1) * size] += block.T @ residual
                for n, other in blocks:
                    product = block.T @ other
                    i, j = np.indices(product.shape)
                    rows.append((m * size + i).ravel())
                    columns.append((n * size + j).ravel())
                    values.append(product.ravel())
        total = len(frames) * size
        if not values:
            break
        normal = coo_array(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(total, total)
        ).tocsc()
        # a hair of damping: a frame with hardly a star shall not make all others undetermined
        normal = normal + coo_array((np.full(total, 1e-9), (np.arange(total),) * 2)).tocsc()
        change = np.atleast_1d(spsolve(normal, -right)).reshape(len(frames), size)
        if not np.isfinite(change).all():
            break
        theta += change
        if np.abs(change).max() < 1e-9:
            break
    found = {fixed: np.eye(3)}
    for frame, n in place.items():
        matrix = back @ np.append(base + basis @ theta[n], 1.0).reshape(3, 3) @ unit
        found[frame] = np.asarray(matrix / matrix[2, 2])
    return found


def _unit(width: int, height: int) -> Float64Array:
    """Pixels to coordinates of which a frame's corner is 1 from its middle: equations are well conditioned there."""
    size = float(np.hypot(width, height)) / 2
    return np.array(
        [[1 / size, 0, -(width - 1) / 2 / size], [0, 1 / size, -(height - 1) / 2 / size], [0, 0, 1.0]]
    )


def _basis(model: Bending) -> tuple[Float64Array, Float64Array]:
    """Columns by which a model's unknowns move the first eight numbers of a matrix, and the matrix at none."""
    basis = np.zeros((8, len(_FREE[model])))
    for column, places in enumerate(_FREE[model]):
        for signed in places:
            basis[abs(signed) - 1, column] = np.sign(signed)
    base = np.zeros(8)
    if model == "shift":
        base[[0, 4]] = 1.0
    return basis, base


def _moved(h: Float64Array | None, points: Float64Array) -> Float64Array:
    return points if h is None else apply(np.append(h, 1.0).reshape(3, 3), points)


def _slopes(h: Float64Array, points: Float64Array) -> Float64Array:
    """Derivatives of moved points by the eight numbers, (2 n, 8): all x, then all y."""
    x, y = points[:, 0], points[:, 1]
    w = h[6] * x + h[7] * y + 1
    X, Y = (h[0] * x + h[1] * y + h[2]) / w, (h[3] * x + h[4] * y + h[5]) / w
    zero, one = np.zeros_like(x), np.ones_like(x)
    across = np.stack([x, y, one, zero, zero, zero, -X * x, -X * y], axis=1) / w[:, None]
    down = np.stack([zero, zero, zero, x, y, one, -Y * x, -Y * y], axis=1) / w[:, None]
    return np.concatenate([across, down])


def balance(differences: Sequence[tuple[int, int, float, float]], fixed: int) -> dict[int, float]:
    """Values of frames whose differences are known for some pairs, by weighted least squares; that of `fixed` is 0.

    Parameters
    ----------
    differences : (a, b, value of a - value of b, weight) for each pair

    Returns
    -------
    dict
        By frame; frames that no chain of pairs connects with `fixed` get what is least.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import spsolve

    names = sorted({f for a, b, _, _ in differences for f in (a, b)} - {fixed})
    if not names:
        return {fixed: 0.0}
    place = {frame: n for n, frame in enumerate(names)}
    rows, columns, values = [], [], []
    right = np.zeros(len(names))
    for a, b, difference, weight in differences:
        for frame, sign in ((a, 1.0), (b, -1.0)):
            if frame == fixed:
                continue
            right[place[frame]] += sign * weight * difference
            for other, sign_b in ((a, 1.0), (b, -1.0)):
                if other != fixed:
                    rows.append(place[frame])
                    columns.append(place[other])
                    values.append(weight * sign * sign_b)
    total = len(names)
    largest = max(weight for _, _, _, weight in differences)
    normal = coo_array((values, (rows, columns)), shape=(total, total)).tocsc()
    normal = normal + coo_array((np.full(total, 1e-12 * largest), (np.arange(total),) * 2)).tocsc()
    found = np.atleast_1d(spsolve(normal, right))
    return {fixed: 0.0, **{frame: float(found[n]) for frame, n in place.items()}}
