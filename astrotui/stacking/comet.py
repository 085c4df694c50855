"""Stacks that follow a comet: from its places in two frames, in a straight line and evenly, so that stars trail and go."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from astrotui.errors import AstrotuiError, PlanError
from astrotui.imaging.geometry import apply, translation
from astrotui.imaging.mapping import Lens
from astrotui.imaging.types import Float64Array
from astrotui.stacking.comet_places import check_frames

if TYPE_CHECKING:
    from astrotui.stacking.placement import Placement
    from astrotui.stacking.plan import PlanFrame, StackPlan

_REACH = 24  # px around a marked place that are looked at
_WINDOW = 3.0  # sigma of the weights of the centroid, px
_OFF = 10.0  # px by which a mark may miss the comet's middle
_CLEAR = 8.0  # noise of a pixel over which a comet must stand to correct its mark


@dataclass(frozen=True, eq=False)
class Motion:
    """Where the comet is at a time, in (undistorted) reference pixels: start + speed * seconds."""

    start: Float64Array
    speed: Float64Array

    def at(self, seconds: float) -> Float64Array:
        return self.start + self.speed * seconds


def follow(plan: "StackPlan", placement: "Placement", skip: Callable[[int, str], None]) -> None:
    """Lay the frames of a placement so that the comet, not the stars, falls on one place: that in the reference.

    Parameters
    ----------
    skip : called with the index of a frame that has no time, and the reason

    Raises
    ------
    PlanError
        A marked frame is not among those that were placed, or the two were taken at one time.
    """
    check_frames(
        plan.recipe.comet, {f.frame_id: (f.width, f.height) for f in plan.frames if f.frame_id is not None}
    )
    known = {plan.frames[c.index].frame_id: c for c in placement.candidates}
    marks = []
    for x, y, frame_id in plan.recipe.comet:
        candidate = known.get(frame_id)
        if candidate is None:
            raise PlanError(
                f"--comet {x:g},{y:g}@{frame_id}: that frame cannot be used: mark the comet in another one"
            )
        frame = plan.frames[candidate.index]
        seconds = middle(frame)
        if seconds is None:
            raise PlanError(f"--comet {x:g},{y:g}@{frame_id}: that frame does not tell when it was taken")
        found = centered(frame, x, y)
        if found is None:
            placement.warnings.append(
                f"--comet {x:g},{y:g}@{frame_id}: nothing stands out within {_OFF:g} px of it, so it is taken as it is; "
                "where it misses, the comet is blurred"
            )
            found = x, y
        if np.hypot(found[0] - x, found[1] - y) > 0.05:
            placement.notes.append(
                f"the comet's middle in frame {frame_id} is {found[0]:.1f},{found[1]:.1f}, marked {x:g},{y:g}"
            )
        marks.append((seconds, onto(candidate.transform, placement.lens, found)))
    (early, a), (late, b) = marks
    if abs(late - early) < 1e-3:
        raise PlanError("the two --comet frames were taken at one time: they tell no motion")
    speed = (b - a) / (late - early)
    motion = Motion(a - speed * early, speed)
    home_time = middle(plan.base)
    home = motion.at(early if home_time is None else home_time)
    kept = []
    for candidate in placement.candidates:
        seconds = middle(plan.frames[candidate.index])
        if seconds is None:
            skip(candidate.index, "does not tell when it was taken: where its comet is is not known")
            continue
        shift = translation(*(home - motion.at(seconds)))
        kept.append(replace(candidate, transform=shift @ candidate.transform))
    placement.candidates[:] = kept
    placement.notes.append(
        f"follows a comet that moves {np.hypot(*speed) * 3600:.1f} px an hour: stars trail, and rejection takes them"
    )


def onto(transform: Float64Array, lens: Lens | None, place: tuple[float, float]) -> Float64Array:
    """A place of a frame in (undistorted) reference pixels."""
    points = np.array([place], np.float64)
    return np.asarray(apply(transform, points if lens is None else lens.undistort(points))[0])


def middle(frame: "PlanFrame") -> float | None:
    """Seconds since 1970 at the middle of an exposure."""
    try:
        began = datetime.fromisoformat(frame.date_obs or "")
    except ValueError:
        return None
    return (began - datetime(1970, 1, 1, tzinfo=began.tzinfo)).total_seconds() + 0.5 * (
        frame.exposure_s or 0.0
    )


def centered(frame: "PlanFrame", x: float, y: float) -> tuple[float, float] | None:
    """The middle of the comet that was marked at (x, y); None where nothing stands out.

    A centroid under a Gaussian window that follows it, as SExtractor's windowed positions.
    """
    from astrotui.frames.pixels import open_frame

    left, top = max(0, round(x) - _REACH), max(0, round(y) - _REACH)
    right, bottom = min(frame.width, round(x) + _REACH + 1), min(frame.height, round(y) + _REACH + 1)
    try:
        with open_frame(frame.file.path, frame.file.hdu) as reader:
            raw = np.asarray(reader.read(top, bottom, left, right), np.float64)
    except AstrotuiError:
        return None
    image = raw[1] if raw.ndim == 3 else raw
    half = 0.0
    if frame.cfa and min(image.shape) > 2:  # four neighbors hold all colors: no pattern is left
        image = (image[:-1, :-1] + image[:-1, 1:] + image[1:, :-1] + image[1:, 1:]) / 4
        half = 0.5
    image = image - np.median(image)
    noise = 1.4826 * float(np.median(np.abs(image)))
    mark = np.array([x - left - half, y - top - half])
    found = _climb(image, noise, mark, mark)
    if found is None:  # too far for the window: from the brightest place within reach
        found = _climb(image, noise, _brightest(image, mark), mark)
    return None if found is None else (float(found[0]) + left + half, float(found[1]) + top + half)


def _climb(image: Float64Array, noise: float, start: Float64Array, mark: Float64Array) -> Float64Array | None:
    """The centroid under the window that began at `start`; None where it is lost, or further from the mark than one errs."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    place = start.copy()
    for _ in range(40):
        weight = np.exp(-((columns - place[0]) ** 2 + (rows - place[1]) ** 2) / (2 * _WINDOW**2))
        light = weight * image
        total = float(light.sum())
        if total <= _CLEAR * noise * float(np.sqrt((weight**2).sum())):
            return None
        step = np.array([(light * (columns - place[0])).sum(), (light * (rows - place[1])).sum()]) / total
        place += 2 * step
        if np.hypot(*(place - mark)) > _OFF:
            return None
        if np.hypot(*step) < 1e-3:
            break
    return place


def _brightest(image: Float64Array, mark: Float64Array) -> Float64Array:
    """The pixel within reach of a mark whose surroundings are brightest."""
    from scipy.ndimage import gaussian_filter

    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    smooth = np.asarray(gaussian_filter(image, _WINDOW / 2), np.float64)
    smooth[np.hypot(columns - mark[0], rows - mark[1]) > _OFF] = -np.inf
    row, column = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    return np.array([column, row], np.float64)
