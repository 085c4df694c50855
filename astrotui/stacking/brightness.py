"""How much light reached a frame, relative to another, from the stars that both show where they lie."""

import numpy as np

from astrotui.imaging.geometry import apply
from astrotui.imaging.register import Registration, relative_transparency
from astrotui.imaging.types import Float64Array, StarList
from astrotui.stacking.plan import PlanFrame

_NEAR_PX = 2.0


def light_ratio(
    frame: PlanFrame, base: PlanFrame, transform: Float64Array, base_transform: Float64Array
) -> float | None:
    """Transparency of a frame relative to another of the same stack, when both were laid on a third.

    The third may be of another filter, in which every star has another brightness: so the stars are paired by where
    they lie, and each is compared with itself.

    Parameters
    ----------
    transform, base_transform : (3, 3), of frame and base to the third
    """
    onto = np.linalg.inv(base_transform) @ transform
    registration = _paired(frame.stars, base.stars, onto / onto[2, 2])
    return relative_transparency(
        frame.stars,
        base.stars,
        registration,
        noise_adu=frame.noise_adu,
        fwhm_px=frame.fwhm_px,
        reference_noise_adu=base.noise_adu,
        reference_fwhm_px=base.fwhm_px,
    )


def _paired(stars: StarList, others: StarList, transform: Float64Array) -> Registration:
    """Stars that are each other's nearest after the transform."""
    from scipy.spatial import KDTree

    here, there = (np.stack([s.x, s.y], axis=1).astype(np.float64) for s in (stars, others))
    nobody = np.zeros(0, np.int64)
    if min(len(here), len(there)) == 0:
        return Registration(transform, 0, float("nan"), nobody, nobody)
    moved = apply(transform, here)
    distance, nearest = KDTree(there).query(moved, distance_upper_bound=_NEAR_PX)
    _, back = KDTree(moved).query(there)
    near = np.flatnonzero(np.isfinite(distance))
    near = near[back[nearest[near]] == near].astype(np.int64)
    return Registration(transform, len(near), float("nan"), near, nearest[near].astype(np.int64))
