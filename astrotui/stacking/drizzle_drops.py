"""How the pixels of each frame fall in a drizzle: where, with what weight, and by which limits they are judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.combine import KNOWN_NOISE_KAPPA
from astrotui.imaging.drizzle import color_planes, grid_matrix, is_aligned
from astrotui.imaging.mapping import Lens, Mapping
from astrotui.imaging.types import Float32Array, Float64Array
from astrotui.stacking.calibration import LoadedCalibration
from astrotui.stacking.framing import Field
from astrotui.stacking.noise import noise_gain
from astrotui.stacking.passone import UsedFrame
from astrotui.stacking.plan import PlanFrame, StackPlan
from astrotui.stacking.recipe import Recipe
from astrotui.stacking.tiles import FrameTask

_AROUND = (
    5  # pixels of a frame around those whose center is in a tile: half a drop, and those it is judged with
)
_SIDE_POINTS = 17  # of each side of a rectangle, looked at through a lens
_BULGE = 1.0  # px by which a side may leave the points that were looked at
_BLUR = 0.1  # of a star's peak: what differs between frames of equal seeing


@dataclass(frozen=True, eq=False)
class Drop:
    """How the pixels of one frame fall.

    Attributes
    ----------
    task : how it is read and calibrated
    place : float64 (3, 3), to the reference
    grid : float64 (3, 3), to the output grid, see `grid_matrix`; with a lens from the reference to that
    back : float64 (3, 3), from the reference
    lens : bends frame and reference; `place` and `back` then lie between undistorted pixels
    aligned : its squares lie along the grid
    colors : int64 (raw planes, 2, 2), plane of a pixel by the parities of row and column
    weight : of the frame
    variance, photon : float32 (planes,), of a normalized raw sample; see `judge_window`
    blur : by which share of its peak a star may differ by seeing
    """

    task: FrameTask
    place: Float64Array
    grid: Float64Array
    back: Float64Array
    aligned: bool
    colors: NDArray[np.int64]
    weight: float
    variance: Float32Array
    photon: Float32Array
    blur: float
    lens: Lens | None = None

    @cached_property
    def lens_numbers(self) -> Float64Array:
        """What `places_through_lens` wants."""
        lens = self.lens
        assert lens is not None
        return np.array([lens.x, lens.y, lens.radius, lens.k1, lens.k2, lens.limit], np.float64)

    def window(
        self, left: float, top: float, right: float, bottom: float
    ) -> tuple[int, int, int, int] | None:
        """Pixels (x0, y0, x1, y1) of the frame that a rectangle of the reference needs; None without any."""
        found = self._extent(left, top, right, bottom)
        if found is None:
            return None
        first_x, last_x, first_y, last_y = found
        x0, x1 = max(0, floor(first_x) - _AROUND), min(self.task.width, ceil(last_x) + _AROUND + 1)
        y0, y1 = max(0, floor(first_y) - _AROUND), min(self.task.height, ceil(last_y) + _AROUND + 1)
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None

    def _extent(
        self, left: float, top: float, right: float, bottom: float
    ) -> tuple[float, float, float, float] | None:
        """Least and greatest x, then y, of a rectangle of the reference in the frame; None where it cannot be seen."""
        if self.lens is not None:
            return self._bent_extent(left, top, right, bottom)
        xs, ys = [], []
        (a, b, c), (d, e, f), (g, h, i) = self.back.tolist()
        for X in (left, right):
            for Y in (top, bottom):
                w = g * X + h * Y + i
                if w <= 0:
                    return None  # behind the horizon of a homography
                xs.append((a * X + b * Y + c) / w)
                ys.append((d * X + e * Y + f) / w)
        return min(xs), max(xs), min(ys), max(ys)

    def _bent_extent(
        self, left: float, top: float, right: float, bottom: float
    ) -> tuple[float, float, float, float] | None:
        """As `_extent`, from points all along the sides, which a lens bends."""
        along, one = np.linspace(0.0, 1.0, _SIDE_POINTS), np.ones(_SIDE_POINTS)
        X = left + (right - left) * np.concatenate([along, along, 0 * one, one])
        Y = top + (bottom - top) * np.concatenate([0 * one, one, along, along])
        assert self.lens is not None
        ideal = self.lens.undistort(np.stack([X, Y], axis=1))
        with np.errstate(all="ignore"):
            ahead = self.back[2, :2] @ ideal.T + self.back[2, 2] > 0
            x, y = Mapping(self.place, self.lens).to_frame(X, Y)
        good = np.isfinite(x) & np.isfinite(y) & ahead
        if not good.any():
            return None
        if not good.all():  # part of it lies beyond what the lens shows: any of the frame may be needed
            return 0.0, self.task.width - 1.0, 0.0, self.task.height - 1.0
        return (
            float(x.min()) - _BULGE,
            float(x.max()) + _BULGE,
            float(y.min()) - _BULGE,
            float(y.max()) + _BULGE,
        )


def kappas(recipe: Recipe) -> tuple[float, float]:
    """Limits at which a sample goes, in its own noise: as in the plain stack's judgment by known noise."""
    if recipe.reject in ("percentile", "minmax"):  # theirs are no kappas
        low, high = Recipe().limits
    else:
        low, high = recipe.limits
    factor = 1.0 if recipe.reject == "linear" else KNOWN_NOISE_KAPPA
    return low * factor, high * factor


def rejects(recipe: Recipe, frames: int) -> bool:
    """Whether a first stack is made to judge samples by."""
    return recipe.reject != "none" and frames > 2


def make_drops(
    plan: StackPlan,
    used: Sequence[UsedFrame],
    tasks: Sequence[FrameTask],
    area: Field,
    sigma: Float64Array,
    photon: Float64Array,
) -> list[Drop]:
    """The drops of all frames.

    Parameters
    ----------
    tasks : of the used frames
    area : of the result, in pixels of the reference
    sigma, photon : (planes, n), of resampled samples, as of `sample_noise`
    """
    scale, pixfrac = float(plan.recipe.drizzle or 1), plan.recipe.pixfrac
    planes = len(sigma)
    gain = noise_gain(plan.recipe, plan.cfa, planes)
    frames = [plan.frames[one.index] for one in used]
    widths = np.array([f.fwhm_px or np.nan for f in frames], np.float64)
    middle = float(np.nanmedian(widths)) if np.isfinite(widths).any() else np.nan
    drops = []
    for number, (one, task, frame) in enumerate(zip(used, tasks, frames, strict=True)):
        # what is laid on itself is bent there and back
        lens = None if np.allclose(one.transform, np.eye(3), rtol=0, atol=1e-12) else one.lens
        grid = grid_matrix(one.transform if lens is None else np.eye(3), scale, area.x0, area.y0)
        drops.append(
            Drop(
                task=task,
                place=np.ascontiguousarray(one.transform, np.float64),
                grid=np.ascontiguousarray(grid),
                back=np.asarray(np.linalg.inv(one.transform), np.float64),
                aligned=lens is None and is_aligned(grid, pixfrac, frame.width, frame.height),
                colors=_colors(frame),
                weight=one.weight,
                variance=((sigma[:, number] / gain) ** 2).astype(np.float32),
                photon=(photon[:, number] / gain**2).astype(np.float32),
                blur=_blur(float(widths[number]), middle),
                lens=lens,
            )
        )
    return drops


def _colors(frame: PlanFrame) -> NDArray[np.int64]:
    if frame.planes == 3:
        return np.stack([np.full((2, 2), k, np.int64) for k in range(3)])
    return color_planes(frame.cfa)[None]


def _blur(fwhm: float, middle: float) -> float:
    """By how much of its light a star's peak differs in a frame of this FWHM from one of the middle one."""
    if not (np.isfinite(fwhm) and np.isfinite(middle) and fwhm > 0):
        return 3 * _BLUR
    return _BLUR + abs((middle / fwhm) ** 2 - 1)


def calibrated(
    calibration: LoadedCalibration,
    plane: int,
    raw: NDArray[Any],
    raw_y: int,
    raw_x: int,
    stored: bool,
    window: tuple[int, int, int, int],
    pixels: Float32Array,
) -> None:
    """Fill `pixels` (rows, columns) with a calibrated window; defects are missing, not filled: others cover them."""
    from astrotui.imaging.calibrate_kernels import calibrate_rows, calibrate_stored_rows

    x0, y0, _, y1 = window
    rows, columns = pixels.shape
    subtract: Callable[..., None] = calibrate_stored_rows if stored else calibrate_rows
    subtract(
        raw, raw_y, raw_x, *calibration.rows(plane, y0), x0, rows, columns, pixels.reshape(-1), 0, columns
    )
    defects = calibration.defects
    if defects is None or not len(defects):
        return
    first, last = int(defects.starts[y0]), int(defects.starts[y1])
    found = defects.columns[first:last] - x0
    row = np.repeat(np.arange(rows), np.diff(defects.starts[y0 : y1 + 1]))
    inside = (found >= 0) & (found < columns)
    pixels[row[inside], found[inside]] = np.nan
