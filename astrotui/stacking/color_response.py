"""How another camera weighs colors: its red and blue against its green, compared with the reference's camera by stars.

One transparency, that of green, would leave the red and blue of its stars too bright or too faint, and rejection would
take them for outliers.
"""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from astrotui.errors import AstrotuiError
from astrotui.imaging.register import pairs_within, star_points
from astrotui.imaging.types import Float32Array, Float64Array
from astrotui.stacking.calibration import LoadedCalibration
from astrotui.stacking.placement import Candidate
from astrotui.stacking.plan import PlanFrame, StackPlan

_STARS = 80
_LEAST = 8
_NEAR_PX = 2.0
_CLEARLY = 3.0  # deviations by which a color must differ to be corrected
_SATURATED = 0.7  # of full scale, in the one pixel that is looked at


def color_responses(
    plan: StackPlan,
    candidates: Sequence[Candidate],
    base: Candidate,
    calibrations: Sequence[LoadedCalibration],
    pool: Executor,
) -> dict[int, Float64Array]:
    """For frames of other cameras than the reference's, by index: float64 (3,), light of each color over that of green.

    Cameras are told by size, pattern and full scale; where all are alike nothing is read. The best frame of each
    stands for all of its own.
    """
    if not plan.cfa:
        return {}
    groups: dict[tuple[object, ...], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[_camera(plan.frames[candidate.index])].append(candidate)
    groups.pop(_camera(plan.frames[base.index]), None)
    if not groups:
        return {}
    best = {key: max(held, key=lambda c: plan.frames[c.index].score or 0.0) for key, held in groups.items()}
    planes = dict(
        zip([base.index, *(c.index for c in best.values())],
            pool.map(lambda c: _planes(plan.frames[c.index], calibrations), [base, *best.values()]), strict=True)
    )  # fmt: skip
    found = {}
    for key, held in groups.items():
        response = _compare(plan, best[key], base, planes[best[key].index], planes[base.index])
        if response is not None:
            found.update(dict.fromkeys((candidate.index for candidate in held), response))
    return found


def _camera(frame: PlanFrame) -> tuple[object, ...]:
    return tuple(sorted((frame.width, frame.height))), frame.cfa, frame.full_scale_adu


def _planes(frame: PlanFrame, calibrations: Sequence[LoadedCalibration]) -> Float32Array | None:
    """Calibrated super-pixels (3, H/2, W/2); None when the frame cannot be read."""
    from astrotui.frames.pixels import open_frame
    from astrotui.imaging.debayer import superpixel

    loaded = calibrations[frame.calibration]
    try:
        with open_frame(frame.file.path, frame.file.hdu) as reader:
            raw = reader.read(0, frame.height)
    except AstrotuiError:
        return None  # the second pass will say so
    if raw.shape != (frame.height, frame.width) or not frame.cfa:
        return None
    if loaded.dark is not None or loaded.inverse is not None:
        mosaic = loaded.apply(raw, 0, np.arange(frame.height), np.arange(frame.width))
    else:
        mosaic = raw.astype(np.float32)
    even = np.ascontiguousarray(mosaic[: frame.height // 2 * 2, : frame.width // 2 * 2])
    return superpixel(even, frame.cfa)


def _compare(
    plan: StackPlan, one: Candidate, base: Candidate, planes: Float32Array | None, others: Float32Array | None
) -> Float64Array | None:
    """Ratios of red and blue, over that of green, of stars that both frames show; None when they cannot be told."""
    if planes is None or others is None:
        return None
    frame, reference = plan.frames[one.index], plan.frames[base.index]
    onto = np.linalg.inv(base.transform) @ one.transform
    i, j = pairs_within(onto / onto[2, 2], star_points(frame.stars), star_points(reference.stars), _NEAR_PX)
    order = np.argsort(-reference.stars.flux[j], kind="stable")[:_STARS]
    here = _colors(frame, planes, i[order], plan.full_scale_adu)
    there = _colors(reference, others, j[order], plan.full_scale_adu)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(here / there)
    logs = (logs - logs[1])[:, np.isfinite(logs).all(axis=0)]
    if logs.shape[1] < _LEAST:
        return None
    middle = np.median(logs, axis=1)
    error = 1.25 * 1.4826 * np.median(np.abs(logs - middle[:, None]), axis=1) / np.sqrt(logs.shape[1])
    middle[np.abs(middle) < _CLEARLY * error] = 0.0
    return np.asarray(np.exp(middle)) if middle.any() else None


def _colors(
    frame: PlanFrame,
    planes: Float32Array,
    stars: np.ndarray[tuple[int], np.dtype[np.int64]],
    full: float | None,
) -> Float64Array:
    """Light of some stars in R, G and B, float64 (3, n); NaN for saturated ones and at the edges."""
    from astrotui.imaging.photometry import measure_apertures

    x, y = (np.asarray(v[stars], np.float64) / 2 - 0.25 for v in (frame.stars.x, frame.stars.y))
    width = max(1.2, (frame.fwhm_px or 3.0) / 2)
    light = np.stack([measure_apertures(np.ascontiguousarray(plane), x, y, width).flux for plane in planes])
    limit = _SATURATED * (frame.full_scale_adu or full or np.inf)
    rows = np.clip(np.rint(y).astype(int), 0, planes.shape[1] - 1)
    columns = np.clip(np.rint(x).astype(int), 0, planes.shape[2] - 1)
    light[:, (planes[:, rows, columns] > limit).any(axis=0)] = np.nan
    return np.where(light > 0, light, np.nan)
