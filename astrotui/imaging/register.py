"""Where one frame lies on another: star lists matched by triangles, then refined by least squares."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import AstrotuiError
from astrotui.imaging.geometry import (
    COEFFICIENTS,
    apply,
    common_offsets,
    common_pairs,
    fit_model,
    is_plausible,
    phase_shift,
    translation,
)
from astrotui.imaging.photometry import aperture_noise, flux_ratio
from astrotui.imaging.triangles import match_triangles
from astrotui.imaging.types import Float64Array, StarList
from astrotui.text import plural

Model = Literal["similarity", "shift", "affine", "homography"]
CONTROL_POINTS = 50  # brightest stars given to the triangle matching; more make a failure cost seconds
PAIRED = (60, 100)  # brightest stars whose pairs are compared
RADII = (6.0, 2.0, 1.0)  # px, within which all stars are matched, one after the other
LEAST = 5  # matched stars; fewer are believed only when nearly all there are
FIXED_PX = 0.25  # a transform that moves no corner further than this is suspected of matching hot pixels
LONG_SPAN_S = 300.0


class RegistrationError(AstrotuiError):
    """A frame cannot be placed on its reference; the message says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Registration:
    """Where a frame lies on its reference.

    Attributes
    ----------
    transform : float64 (3, 3), frame (x, y, 1) to reference (x, y, 1)
    matched : number of star pairs that the transform was fitted to
    rms_px : root mean square of their distances after it, weighted as in the fit, reference pixels
    frame_index, reference_index : int64 (matched,), the pairs as places in the two star lists
    model : what was fitted
    warning : something to doubt, for people; None when there is nothing
    """

    transform: Float64Array
    matched: int
    rms_px: float
    frame_index: NDArray[np.int64]
    reference_index: NDArray[np.int64]
    model: Model = "similarity"
    warning: str | None = None

    @property
    def rotation_deg(self) -> float:
        """Angle by which the frame turns onto the reference, x towards y."""
        return float(np.degrees(np.arctan2(self.transform[1, 0], self.transform[0, 0])))

    @property
    def scale(self) -> float:
        return float(np.sqrt(abs(np.linalg.det(self.transform[:2, :2]))))

    def shift_at_center(self, shape: tuple[int, int]) -> tuple[float, float]:
        """(dx, dy) that carries the centre of a frame of (H, W) onto the reference, px."""
        center = np.array([[(shape[1] - 1) / 2, (shape[0] - 1) / 2]])
        dx, dy = (apply(self.transform, center) - center)[0]
        return float(dx), float(dy)


def match_stars(
    frame: StarList,
    reference: StarList,
    *,
    model: Model = "similarity",
    shape: tuple[int, int],
    seed: int = 0,
    span_s: float | None = None,
    scale_limits: tuple[float, float] = (0.5, 2.0),
    hint: Float64Array | None = None,
    images: tuple[NDArray[Any], NDArray[Any]] | None = None,
    quick: bool = False,
) -> Registration:
    """The transform that lays `frame` on `reference`.

    Triangles of the brightest stars are matched (astroalign, any rotation), then the pairs within 6, 2 and 1 px
    give the model by weighted least squares. Where triangles fail, more and fewer stars, the middle of the field, the
    commonest offset of all pairs and at last the pictures themselves are tried. Stars that stay where they are
    on the sensor while others move are hot pixels, and are left out.

    Parameters
    ----------
    frame, reference : star lists, brightest first
    model : what to fit; one with too many unknowns for the stars gives way to a similarity, with a warning
    shape : (H, W) of the frame
    seed : of the random choices, so that the same lists give the same answer
    span_s : seconds between the exposures, to doubt an exact-zero shift over a long time
    scale_limits : of plausible changes of scale
    hint : a transform to try first, such as that of the frame before
    images : both pictures (h, w), star-bright on dark, to correlate when the stars are of no use
    quick : try only the hint and shifts, upright and upside down: a fiftieth of the time where nothing matches

    Raises
    ------
    RegistrationError : no transform is believable
    """
    if min(len(frame), len(reference)) < 3 and images is None:
        fewer = "the frame" if len(frame) <= len(reference) else "the reference"
        raise RegistrationError(f"{fewer} has only {plural(min(len(frame), len(reference)), 'star')}")
    points, targets = star_points(frame), star_points(reference)
    if len(points) >= 3 and np.array_equal(points, targets):
        everyone = np.arange(len(points))
        return Registration(np.eye(3), len(points), 0.0, everyone, everyone, model)
    best = None
    if min(len(points), len(targets)) >= 3:
        best = _search(points, targets, frame, model, shape, seed, scale_limits, hint, quick)
    if best is not None and _stands_still(best.transform, shape):
        best = _without_fixed(best, frame, reference, model, shape, seed, scale_limits, span_s)
    if best is None and images is not None:
        best = _by_picture(images, points, targets, frame, shape)
    if best is None:
        raise RegistrationError(
            f"its {plural(len(frame), 'star')} do not match the reference's {len(reference)}"
        )
    return best


def _search(
    points: Float64Array,
    targets: Float64Array,
    frame: StarList,
    model: Model,
    shape: tuple[int, int],
    seed: int,
    scale_limits: tuple[float, float],
    hint: Float64Array | None = None,
    quick: bool = False,
) -> Registration | None:
    """The first believable transform of those that the ways of guessing propose."""
    weights = star_weights(frame)
    guesses = _quick_guesses(points, targets, hint) if quick else _guesses(points, targets, model, seed, hint)
    for guess in guesses:
        if not is_plausible(guess, shape, scale_limits):
            continue
        found = _refine(guess, points, targets, weights, model, shape)
        if found is not None and is_plausible(found.transform, shape, scale_limits):
            return found
    return None


def _guesses(
    points: Float64Array, targets: Float64Array, model: Model, seed: int, hint: Float64Array | None
) -> Iterator[Float64Array]:
    if hint is not None:
        yield hint
    if model == "shift":
        yield from common_offsets(points, targets)
    if (guess := match_triangles(points, targets, CONTROL_POINTS, seed)) is not None:
        yield guess
    for count in PAIRED:
        yield from common_pairs(points[:count], targets[:count])
        if max(len(points), len(targets)) <= count:
            break
    yield from common_offsets(points, targets)
    if (guess := match_triangles(_central(points), _central(targets), CONTROL_POINTS // 2, seed)) is not None:
        yield guess


def _quick_guesses(
    points: Float64Array, targets: Float64Array, hint: Float64Array | None
) -> Iterator[Float64Array]:
    if hint is not None:
        yield hint
    for turn in (np.eye(3), np.diag([-1.0, -1.0, 1.0])):
        for shift in common_offsets(apply(turn, points), targets):
            yield shift @ turn


def _central(points: Float64Array) -> Float64Array:
    """The points in the middle half of the field, where distortion is least."""
    low, high = np.percentile(points, 25, axis=0), np.percentile(points, 75, axis=0)
    inside = ((points >= low) & (points <= high)).all(axis=1)
    return np.asarray(points[inside])


def _refine(
    guess: Float64Array,
    points: Float64Array,
    targets: Float64Array,
    weights: Float64Array,
    model: Model,
    shape: tuple[int, int],
) -> Registration | None:
    """Match all stars within shrinking radii and fit the model to them; None when it is not believable."""
    transform, warning = guess, None
    chosen: Model = model
    pairs = pairs_within(transform, points, targets, RADII[0])
    # A richer model is fitted within the widest radius too: what a similarity leaves may be more than the next.
    again = RADII[:1] if model in ("affine", "homography") else ()
    for number, radius in enumerate((RADII[0], *again, *RADII[1:], RADII[-1])):
        i, j = pairs_within(transform, points, targets, radius)
        if len(i) < 3:
            return None
        if number and len(i) < 2 * COEFFICIENTS[chosen] and chosen in ("affine", "homography"):
            chosen = "similarity"
            warning = f"only {len(i)} common stars: fitted a similarity instead of the {model}"
        # The first matches are coarse and may hold strangers: few unknowns are safer.
        now: Model = "similarity" if number == 0 and chosen != "shift" else chosen
        transform = fit_model(now, points[i], targets[j], weights[i])
        pairs = i, j
    i, j = pairs_within(transform, points, targets, RADII[-1])
    if len(i) >= 3:
        pairs = i, j
        transform = fit_model(chosen, points[i], targets[j], weights[i])
    i, j = pairs
    if not _believable(transform, points, targets, len(i), shape, COEFFICIENTS[chosen]):
        return None
    distance = np.hypot(*(apply(transform, points[i]) - targets[j]).T)
    rms = float(np.sqrt(np.average(distance**2, weights=weights[i])))
    return Registration(transform, len(i), rms, i, j, chosen, warning)


def pairs_within(
    transform: Float64Array, points: Float64Array, targets: Float64Array, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stars that are each other's nearest within `radius` after the transform."""
    from astrotui.imaging.nearest_kernels import mutual_nearest

    there, back = np.empty(len(points), np.int64), np.empty(len(targets), np.int64)
    order = np.argsort(targets[:, 1], kind="stable")
    mutual_nearest(apply(transform, points), targets, order, float(radius), there, back)
    near = np.flatnonzero(there >= 0)
    near = near[back[there[near]] == near]
    return near.astype(np.int64), there[near]


def _believable(
    transform: Float64Array,
    points: Float64Array,
    targets: Float64Array,
    matched: int,
    shape: tuple[int, int],
    coefficients: int,
) -> bool:
    """Whether so many pairs can hardly be chance.

    Of the stars that fall onto the reference's field each finds a stranger within 1 px with the probability
    n pi / area. Two stars determine a transform and agree with it by construction; the others must be more than
    chance would give one time in a thousand, over all pairs of pairs that could have proposed one.
    """
    moved = apply(transform, points)
    low, high = targets.min(axis=0) - 10, targets.max(axis=0) + 10
    common = int(np.count_nonzero(((moved >= low) & (moved <= high)).all(axis=1)))
    area = max(float(np.prod(high - low)), 0.02 * shape[0] * shape[1])
    expected = max(common, matched) * min(1.0, len(targets) * np.pi * RADII[-1] ** 2 / area)
    built_in = 1 if coefficients == 2 else 2
    if matched <= built_in or (matched < LEAST and matched < 0.8 * common):
        return False
    n, m = (min(len(stars), PAIRED[0]) for stars in (points, targets))
    trials = max(1.0, 2 * (n * n / 2) * (m * m / 2) * 3 / 400)  # pairs as long as another within 1.5 px
    return trials * _chance(matched - built_in, expected) < 1e-3


def _chance(least: int, expected: float) -> float:
    """Probability of `least` or more events where `expected` are expected (Poisson)."""
    term = np.exp(-expected)
    below = 0.0
    for k in range(least):
        below += term
        term *= expected / (k + 1)
    # For rare events 1 - below would round to nothing: sum the tail itself.
    tail, k = 0.0, least
    while term > 1e-30 and k < least + 200:
        tail += term
        k += 1
        term *= expected / k
    return float(max(tail, 0.0)) if below > 0.5 else float(1 - below)


def _stands_still(transform: Float64Array, shape: tuple[int, int]) -> bool:
    height, width = shape
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    return bool(np.abs(apply(transform, corners) - corners).max() < FIXED_PX)


def _without_fixed(
    still: Registration,
    frame: StarList,
    reference: StarList,
    model: Model,
    shape: tuple[int, int],
    seed: int,
    scale_limits: tuple[float, float],
    span_s: float | None,
) -> Registration:
    """The transform of the stars that do move, when there are any; else `still`, doubted when that is odd."""
    left = np.setdiff1d(np.arange(len(frame)), still.frame_index)
    right = np.setdiff1d(np.arange(len(reference)), still.reference_index)
    if min(len(left), len(right)) >= LEAST:
        some = StarList(frame.x[left], frame.y[left], frame.flux[left])
        others = StarList(reference.x[right], reference.y[right], reference.flux[right])
        moving = _search(star_points(some), star_points(others), some, model, shape, seed, scale_limits)
        if moving is not None and not _stands_still(moving.transform, shape):
            return replace(
                moving,
                frame_index=left[moving.frame_index],
                reference_index=right[moving.reference_index],
                warning=f"{plural(still.matched, 'point')} that did not move left out: hot pixels",
            )
    dx, dy = still.shift_at_center(shape)
    if span_s is not None and abs(span_s) >= LONG_SPAN_S and np.hypot(dx, dy) < 0.02:
        minutes = abs(span_s) / 60
        return replace(still, warning=f"no shift at all in {minutes:.0f} min: are these hot pixels?")
    return still


def _by_picture(
    images: tuple[NDArray[Any], NDArray[Any]],
    points: Float64Array,
    targets: Float64Array,
    frame: StarList,
    shape: tuple[int, int],
) -> Registration | None:
    """A shift from the pictures' phase correlation, refined with stars when there are any."""
    found = phase_shift(*images)
    if found is None:
        return None
    scale = shape[1] / images[0].shape[1]
    guess = translation(found[0] * scale, found[1] * scale)
    if min(len(points), len(targets)) >= 3:
        better = _refine(guess, points, targets, star_weights(frame), "shift", shape)
        if better is not None:
            return better
    nobody = np.zeros(0, np.int64)
    return Registration(
        guess, 0, float("nan"), nobody, nobody, "shift", "aligned by the picture, without stars"
    )


def round_to_integer_shift(registration: Registration, shape: tuple[int, int]) -> Float64Array:
    """The transform as a shift by whole pixels, as it is at the frame's centre; float64 (3, 3)."""
    dx, dy = registration.shift_at_center(shape)
    return translation(float(np.rint(dx)), float(np.rint(dy)))


def relative_transparency(
    frame: StarList,
    reference: StarList,
    registration: Registration,
    *,
    noise_adu: float | None = None,
    fwhm_px: float | None = None,
    reference_noise_adu: float | None = None,
    reference_fwhm_px: float | None = None,
    least: int = 3,
) -> float | None:
    """How much of the stars' light reached the frame, relative to the reference.

    A robust mean of the flux ratios of matched stars with SNR > 30 in the reference; with fewer than 8 of those, of
    the 8 brightest over SNR 10. None when fewer than `least` are left. Both frames' noise and FWHM give each
    star its error; without them the brightest half of the pairs is taken.
    """
    i, j = registration.frame_index, registration.reference_index
    flux, there = frame.flux[i].astype(np.float64), reference.flux[j].astype(np.float64)
    positive = (flux > 0) & (there > 0)
    flux, there = flux[positive], there[positive]
    order = np.argsort(-there, kind="stable")
    flux, there = flux[order], there[order]
    error = None
    if reference_noise_adu and reference_fwhm_px:
        snr = there / aperture_noise(reference_noise_adu, reference_fwhm_px)
        count = int(np.count_nonzero(snr > 30))
        if count < 8:
            count = min(8, int(np.count_nonzero(snr > 10)))
        flux, there, snr = flux[:count], there[:count], snr[:count]
        own = aperture_noise(noise_adu or reference_noise_adu, fwhm_px or reference_fwhm_px)
        error = np.hypot(1 / snr, own / flux)
    else:
        count = max(min(8, len(there)), len(there) // 2)
        flux, there = flux[:count], there[:count]
    return flux_ratio(flux, there, error) if len(flux) >= least else None


def star_points(stars: StarList) -> Float64Array:
    return np.stack([stars.x, stars.y], axis=1).astype(np.float64)


def star_weights(stars: StarList) -> Float64Array:
    """Weights of the squared distances: 1 / variance of a place up to a factor.

    Against the sky's noise the variance goes as flux^-2; for bright stars air and optics set a floor, which is
    reached at about eight times the flux of the faintest in the list.
    """
    if len(stars) == 0:
        return np.zeros(0)
    light = np.maximum(stars.flux.astype(np.float64), 1e-9)
    turn = 8.0 * float(np.percentile(light, 5))
    return np.asarray(1.0 / (1.0 + (turn / light) ** 2))
