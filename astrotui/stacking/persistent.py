"""Defects of a sensor without darks: pixels that stand out in most lights while the sky moves."""

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from astrotui.errors import AstrotuiError
from astrotui.imaging.calibrate import Defects
from astrotui.imaging.types import Float64Array
from astrotui.stacking.calibration import LoadedCalibration
from astrotui.stacking.plan import PlanFrame

_LOOKED_AT = 8
_MOVED_PX = 1.5  # a frame must have moved so far from the others to count as another view
_SHARE = 0.6


def persistent_defects(
    frames: Sequence[PlanFrame],
    transforms: Sequence[Float64Array],
    calibration: LoadedCalibration,
    pool: Executor,
) -> Defects | None:
    """Hot pixels that most of some frames share, or None when the frames cannot tell them.

    Parameters
    ----------
    frames, transforms : of one group; frame to reference
    calibration : of the group; its masters are applied first
    """
    chosen = _apart(frames, transforms)
    if len(chosen) < 3:
        return None
    futures = [pool.submit(_hot, frames[i], calibration) for i in chosen]
    votes = np.zeros((calibration.height, calibration.width), np.uint8)
    seen = 0
    for future in futures:
        found = future.result()
        if found is not None:
            votes[found] += 1
            seen += 1
    if seen < 3:
        return None
    return Defects.of(votes >= max(3, int(np.ceil(_SHARE * seen))))


def _apart(frames: Sequence[PlanFrame], transforms: Sequence[Float64Array]) -> list[int]:
    """Frames spread over the session of which no two show the sky at the same place of the sensor."""
    chosen: list[int] = []
    places: list[Float64Array] = []
    order = np.linspace(0, len(frames) - 1, min(len(frames), 3 * _LOOKED_AT)).astype(int)
    for i in np.unique(order).tolist():
        center = np.array([frames[i].width / 2, frames[i].height / 2, 1.0])
        moved = transforms[i] @ center
        place = moved[:2] / moved[2]
        if all(np.hypot(*(place - other)) >= _MOVED_PX for other in places):
            chosen.append(i)
            places.append(place)
        if len(chosen) == _LOOKED_AT:
            break
    return chosen


def _hot(
    frame: PlanFrame, calibration: LoadedCalibration
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int32]], np.ndarray[tuple[int], np.dtype[np.int32]]] | None:
    """Rows and columns of a frame's hot pixels; None when it cannot be read."""
    from astrotui.frames.pixels import open_frame
    from astrotui.imaging.hotpixels import find_hot

    try:
        with open_frame(frame.file.path, frame.file.hdu) as reader:
            raw = reader.read(0, frame.height)
    except AstrotuiError:
        return None  # the second pass will say so
    if raw.ndim != 2 or raw.shape != (calibration.height, calibration.width):
        return None
    if calibration.dark is not None or calibration.inverse is not None:
        every = (np.arange(raw.shape[0]), np.arange(raw.shape[1]))
        raw = calibration.apply(raw, 0, *every)
    return find_hot(raw, frame.cfa)
