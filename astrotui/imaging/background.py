"""The glow of the sky as a smooth surface: fitted to star-free tiles away from the target, then removed."""

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import UsageError
from astrotui.imaging.stretch import as_planes
from astrotui.imaging.types import Float32Array, Float64Array, Mask

Model = Literal["auto", "plane", "quadratic", "cubic", "spline"]
Mode = Literal["subtract", "divide"]
MODELS: tuple[Model, ...] = ("auto", "plane", "quadratic", "cubic", "spline")

_DEGREES = {"plane": 1, "quadratic": 2, "cubic": 3}
_TILES = 32  # along the longest side
_TILE_SAMPLES = 24  # pixels along each side of a tile
_NODES = 24  # of the grid on which a spline is kept
_HIGH, _LOW = 1.5, 4.0  # one-sided clipping of tiles: what is too bright is target, sky is never too dark
_ENOUGH_SKY = 0.6  # of the tiles must be sky by the plane, or what looks curved is the target
_ENOUGH_GAIN = 0.7  # a quadratic surface must bring the scatter under this share of the plane's


@dataclass(frozen=True, eq=False)
class Tiles:
    """Robust sky levels on a grid of tiles.

    Attributes
    ----------
    x, y : float64 arrays (n,); centers in pixels
    level : float64 array (C, n); NaN where a tile holds too few valid pixels
    shape : rows and columns of the grid, n = rows * columns
    """

    x: Float64Array
    y: Float64Array
    level: Float64Array
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class BackgroundModel:
    """A smooth surface for each channel, in coordinates of the image that it was fitted to.

    Attributes
    ----------
    kind : `plane`, `quadratic`, `cubic` or `spline`
    width, height : size of that image
    coefficients : float64 array (C, ny, nx): of y^i x^j on [-1, 1], or a spline's values on a grid of nodes
    level : mean sky of each channel, put back after removal so that the picture keeps its place
    target_fraction : share of the usable tiles that was set aside as target
    """

    kind: str
    width: int
    height: int
    coefficients: Float64Array
    level: tuple[float, ...]
    target_fraction: float

    def evaluate(self, y: Float64Array, x: Float64Array) -> Float32Array:
        """The surface at rows `y` (n,) and columns `x` (m,) in pixels, as float32 (C, n, m)."""
        rows, columns = self._basis(y, self.height, 1), self._basis(x, self.width, 2)
        return cast(Float32Array, (rows @ self.coefficients @ columns.T).astype(np.float32))

    def remove(
        self,
        image: Float32Array,
        *,
        y: Float64Array | None = None,
        x: Float64Array | None = None,
        mode: Mode = "subtract",
    ) -> Float32Array:
        """`image` (H, W) or (C, H, W) without the surface, its mean level kept.

        `y` and `x` are the pixel coordinates of the image's rows and columns in the image of the fit; by
        default it is that image itself. `divide` is for shading (vignetting), `subtract` for light that was
        added.
        """
        planes = as_planes(image)
        rows = np.arange(planes.shape[1], dtype=np.float64) if y is None else y
        columns = np.arange(planes.shape[2], dtype=np.float64) if x is None else x
        out = np.empty(planes.shape, np.float32)
        level = np.asarray(self.level, np.float32)[:, np.newaxis, np.newaxis]
        for start in range(0, len(rows), 128):
            band = slice(start, start + 128)
            surface = self.evaluate(rows[band], columns)
            if mode == "subtract":
                out[:, band] = planes[:, band] - (surface - level)
            else:
                out[:, band] = planes[:, band] * (level / np.where(surface > 0, surface, np.nan))
        return out.reshape(image.shape)

    def _basis(self, positions: Float64Array, size: int, axis: int) -> Float64Array:
        scaled = 2.0 * np.asarray(positions, np.float64) / max(size - 1, 1) - 1.0
        terms = self.coefficients.shape[axis]
        if self.kind != "spline":
            return scaled[:, np.newaxis] ** np.arange(terms)
        place = np.clip((scaled + 1.0) / 2.0, 0.0, 1.0) * (terms - 1)
        left = np.minimum(place.astype(np.int64), terms - 2)
        weight = place - left
        basis = np.zeros((len(scaled), terms))
        rows = np.arange(len(scaled))
        basis[rows, left] = 1.0 - weight
        basis[rows, left + 1] = weight
        return basis


def measure_tiles(image: Float32Array, tiles: int = _TILES) -> Tiles:
    """Sky levels of `image` (H, W) or (C, H, W) on a grid with `tiles` tiles along its longest side.

    A tile's level is the median of up to 24 x 24 of its pixels after clipping three times at 2.5 sigma, with sigma
    from the pixels below the median, where no stars are.
    """
    planes = as_planes(image)
    _, height, width = planes.shape
    size = max(4, -(-max(height, width) // tiles))
    ny, nx = max(1, round(height / size)), max(1, round(width / size))
    rows, columns = _sample_places(height, ny, size), _sample_places(width, nx, size)
    level = np.empty((len(planes), ny * nx))
    for channel, plane in enumerate(planes):
        values = plane[rows[:, np.newaxis, :, np.newaxis], columns[np.newaxis, :, np.newaxis, :]]
        level[channel] = _clipped_medians(values.reshape(ny * nx, -1))
    middle_y, middle_x = (np.arange(ny) + 0.5) * height / ny - 0.5, (np.arange(nx) + 0.5) * width / nx - 0.5
    y, x = np.meshgrid(middle_y, middle_x, indexing="ij")
    return Tiles(x.ravel(), y.ravel(), level, (ny, nx))


def _sample_places(length: int, parts: int, size: int) -> NDArray[np.int64]:
    """Evenly spread pixels in each of `parts` equal parts of a side, (parts, n)."""
    count = min(_TILE_SAMPLES, max(1, size))
    steps = (np.arange(parts)[:, np.newaxis] + (np.arange(count) + 0.5) / count) * length / parts
    return np.minimum(steps.astype(np.int64), length - 1)


def _clipped_medians(values: Float32Array) -> Float64Array:
    """The clipped median of each row of (n, k); NaN where under 30 % of a row are finite."""
    ordered = np.sort(values, axis=1)  # NaN comes last
    n, k = ordered.shape
    row = np.arange(n)
    first = np.zeros(n, np.int64)
    last = np.isfinite(ordered).sum(axis=1)
    enough = last >= max(1, 0.3 * k)
    for _ in range(3):
        count = np.maximum(last - first, 1)
        median = ordered[row, first + count // 2]
        sigma = median - ordered[row, first + (0.1587 * count).astype(np.int64)]
        low, high = median - 2.5 * sigma, median + 2.5 * sigma
        first = (ordered < low[:, np.newaxis]).sum(axis=1)
        last = (ordered <= high[:, np.newaxis]).sum(axis=1)
    count = np.maximum(last - first, 1)
    found = 0.5 * (ordered[row, first + count // 2] + ordered[row, first + (count - 1) // 2])
    return np.where(enough, found, np.nan).astype(np.float64)


def fit_background(image: Float32Array, model: Model = "auto", *, tiles: int = _TILES) -> BackgroundModel:
    """Fit a smooth surface to the sky of `image`.

    Tiles brighter than the surface by 1.5 sigma, and the neighbors of much brighter ones, are the target and
    are left out; the surface is fitted again until they no longer change, from the plane upwards, so that a
    galaxy does not bend it. For `cubic` and `spline`, which may follow a lamp beyond the edge, only bright
    areas that are not brightest at the edge are target. All channels share the tiles.

    Parameters
    ----------
    image : float array (H, W) or (C, H, W); NaN pixels do not count
    model : `plane`, `quadratic`, `cubic`, a thin-plate `spline`, or `auto`: a plane unless a quadratic
    surface
        follows the tiles clearly better and most of the picture is sky
    tiles : number of tiles along the longest side

    Raises
    ------
    UsageError : the name of the model is not known
    ValueError : too few tiles hold sky
    """
    if model not in MODELS:
        raise UsageError(f"--background {model!r} is not known; choose {', '.join(MODELS)}")
    planes = as_planes(image)
    _, height, width = planes.shape
    measured = measure_tiles(image, tiles)
    x = 2.0 * measured.x / max(width - 1, 1) - 1.0
    y = 2.0 * measured.y / max(height - 1, 1) - 1.0
    brightness = measured.level.mean(axis=0)
    usable = cast(Mask, np.isfinite(brightness))
    degree = _DEGREES.get(model, 2)
    if usable.sum() < 3 * (degree + 1) ** 2:
        raise ValueError(f"only {int(usable.sum())} tiles of the picture hold sky")
    good, scatter = usable, float("inf")
    chosen = 1
    for power in range(1, degree + 1):
        kept, spread = _separate_target(
            x, y, brightness, good if power > 1 else usable, degree=power, shape=measured.shape
        )
        if (
            model == "auto"
            and power == 2
            and (spread > _ENOUGH_GAIN * scatter or good.sum() < _ENOUGH_SKY * usable.sum())
        ):
            break
        good, scatter, chosen = kept, spread, power
    if model in ("cubic", "spline"):
        good = usable & ~_inside(~good, brightness, measured.shape)
    if model == "spline":
        coefficients = np.stack([_spline_nodes(x[good], y[good], level[good]) for level in measured.level])
    else:
        design = _terms(x[good], y[good], chosen)
        coefficients = np.zeros((len(planes), chosen + 1, chosen + 1))
        for channel, level in enumerate(measured.level):
            solution = np.linalg.lstsq(design, level[good], rcond=None)[0]
            for value, (i, j) in zip(solution, _powers(chosen), strict=True):
                coefficients[channel, i, j] = value
    return BackgroundModel(
        kind="spline" if model == "spline" else {v: k for k, v in _DEGREES.items()}[chosen],
        width=width,
        height=height,
        coefficients=coefficients,
        level=tuple(float(np.median(level[good])) for level in measured.level),
        target_fraction=1.0 - float(good.sum()) / float(usable.sum()),
    )


def _powers(degree: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]


def _terms(x: Float64Array, y: Float64Array, degree: int) -> Float64Array:
    return np.stack([y**i * x**j for i, j in _powers(degree)], axis=1)


def _separate_target(
    x: Float64Array,
    y: Float64Array,
    values: Float64Array,
    start: Mask,
    *,
    degree: int,
    shape: tuple[int, int],
) -> tuple[Mask, float]:
    """Tiles of sky, and the scatter of their levels about the surface of `degree` (robust, in ADU).

    The scatter is judged from tiles below the surface, where no target can be. No more than 60 % are left
    out.
    """
    design = _terms(np.where(np.isfinite(values), x, 0.0), y, degree)
    finite = np.isfinite(values)
    good = start.copy()
    if degree == 1:  # begin with the darker three quarters, or a large target tilts the first plane
        good &= np.nan_to_num(values, nan=np.inf) <= np.nanquantile(values, 0.75)
        if np.linalg.matrix_rank(design[good]) < design.shape[1]:
            good = start.copy()
    spread = 0.0
    for _ in range(12):
        solution = np.linalg.lstsq(design[good], values[good], rcond=None)[0]
        residual = np.where(finite, values - design @ solution, np.inf)
        below = residual[good & (residual < 0)]
        spread = 1.4826 * float(np.median(np.abs(below))) if below.size else 0.0
        if spread == 0.0:
            break
        bright = residual > 5.0 * spread
        kept = finite & (residual < _HIGH * spread) & (residual > -_LOW * spread) & ~_grown(bright, shape)
        if kept.sum() < max(0.4 * finite.sum(), 3 * design.shape[1]) or np.array_equal(kept, good):
            break
        good = kept
    return good, spread


def _grown(mask: Mask, shape: tuple[int, int]) -> Mask:
    """`mask` (flat, of a grid of `shape`) with the eight neighbors of each tile that is set."""
    padded = np.pad(mask.reshape(shape), 1)
    rows, columns = shape
    grown = np.zeros(shape, bool)
    for dy in range(3):
        for dx in range(3):
            grown |= padded[dy : dy + rows, dx : dx + columns]
    return grown.ravel()


def _inside(mask: Mask, brightness: Float64Array, shape: tuple[int, int]) -> Mask:
    """The solid regions of `mask` not brightest at the edge of the grid, and what is set beside them."""
    from scipy.ndimage import binary_opening, label, maximum_position

    solid = binary_opening(mask.reshape(shape))  # tiles that noise alone has set are no bridge
    names, count = label(solid)
    inside = np.zeros(shape, bool)
    peaks = maximum_position(np.nan_to_num(brightness).reshape(shape), names, range(1, count + 1))
    for name, (row, column) in enumerate(peaks, start=1):
        if 0 < row < shape[0] - 1 and 0 < column < shape[1] - 1:
            inside |= names == name
    return mask & _grown(inside.ravel(), shape)


def _spline_nodes(x: Float64Array, y: Float64Array, values: Float64Array) -> Float64Array:
    """A smoothing thin-plate spline through the tiles, on a grid of nodes over [-1, 1]."""
    from scipy.interpolate import RBFInterpolator

    if len(x) > 600:  # the solution costs n^3, and a sky needs no more
        keep = np.linspace(0, len(x) - 1, 600).astype(int)
        x, y, values = x[keep], y[keep], values[keep]
    spline = RBFInterpolator(
        np.stack([y, x], axis=1), values, kernel="thin_plate_spline", smoothing=0.02 * len(x), degree=1
    )
    nodes = np.linspace(-1.0, 1.0, _NODES)
    grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    return cast(Float64Array, spline(grid).reshape(_NODES, _NODES))
