"""How much light reached a frame, relative to another, from the stars that both show where they lie."""

import numpy as np

from astrotui.imaging.register import Registration, pairs_within, relative_transparency, star_points
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
    return ratio_of_pairs(frame, base, _paired(frame.stars, base.stars, onto / onto[2, 2]))


def ratio_of_pairs(frame: PlanFrame, base: PlanFrame, pairs: Registration) -> float | None:
    """Transparency of a frame relative to another, from stars that are paired; None when these cannot tell."""
    return relative_transparency(
        frame.stars,
        base.stars,
        pairs,
        noise_adu=frame.noise_adu,
        fwhm_px=frame.fwhm_px,
        reference_noise_adu=base.noise_adu,
        reference_fwhm_px=base.fwhm_px,
    )


def _paired(stars: StarList, others: StarList, transform: Float64Array) -> Registration:
    """Stars that are each other's nearest after the transform."""
    i, j = pairs_within(transform, star_points(stars), star_points(others), _NEAR_PX)
    return Registration(transform, len(i), float("nan"), i, j)
