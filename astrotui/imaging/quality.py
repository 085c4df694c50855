"""Judging a frame: its stars, their sharpness, the sky behind them and what spoils it, as plain numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.cfa import plane_offsets
from astrotui.imaging.hotpixels import NO_DARK, HotPixels, fill_hot, find_hot, native, pixel_noise
from astrotui.imaging.photometry import (
    PIXEL_FWHM2,
    Apertures,
    growth,
    measure_apertures,
    share_within,
    wide_radius,
)
from astrotui.imaging.stars import (
    USUAL_B,
    Plane,
    Shape,
    detect,
    make_plane,
    measure_shape,
    refine_places,
    saturated_stars,
    subtract_sky,
)
from astrotui.imaging.streaks import find_streaks
from astrotui.imaging.types import Float32Array, Float64Array, Mask, StarList
from astrotui.text import plural

MEASURE_VERSION = 3
LISTED = 400  # stars in the list
CONSIDERED = 500  # detections that are looked at closely for it
TELLING = 200  # of the brightest detections that may tell how far light reaches
ENOUGH_UNSATURATED = 30  # with so many, saturated stars are left out of the list
NEAR_FULL = 0.95  # of the full scale: converters and pixels stop being linear a little before it
LEAST_ALIKE = 0.45  # share of the bright sources that have one size, if they are stars
LEAST_CONTRAST = (
    0.8  # of a star's centre over its half-flux radius: 1.9 for a Gaussian, 1 for a disc, 0 for a ring
)
RING_FWHM = 4.0  # px; smaller rings cannot be told from stars
SMALLEST_FWHM = 0.75  # px; less is no light through a telescope
LARGEST_FWHM = 40.0  # px; beyond this no fit is to be trusted
STEEPEST_B = 0.4  # 1 / beta; where a fit says more, faint stars' wings were lost in its noise
SMALLEST = 32  # pixels a side; less is no frame


@dataclass(frozen=True, eq=False)
class FrameMeasurement:
    """Facts about one frame: lengths in full-sensor pixels, levels and fluxes in ADU.

    Attributes
    ----------
    problem : why nothing good can be said of the frame, for people; None when it can be used
    stars : how many were detected
    fwhm_px : FWHM of the stars' light before pixels integrate it, the geometric mean of both axes
    fwhm_a_px, fwhm_b_px : along the long and the short axis
    hfr_px : radius that holds half of a star's light
    eccentricity : sqrt(1 - (b/a)^2) of the common shape of the bright unsaturated stars
    background_adu : median level of the raw sky
    gradient_adu : how much the sky differs between its brightest and darkest parts
    noise_adu : standard deviation of one full-size pixel of sky
    saturated_fraction : pixels at the full scale, of those measured
    streak : a satellite or aircraft crossed the frame
    star_list : up to 400 brightest, for registration and photometry
    """

    problem: str | None
    stars: int
    fwhm_px: float | None
    fwhm_a_px: float | None
    fwhm_b_px: float | None
    hfr_px: float | None
    eccentricity: float | None
    background_adu: float | None
    gradient_adu: float | None
    noise_adu: float | None
    saturated_fraction: float | None
    streak: bool | None
    star_list: StarList


def measure_frame(
    raw: NDArray[Any],
    *,
    cfa_phase: str | None,
    full_scale_adu: float | None,
    dark: Float32Array | None = None,
    dark_plane: Float32Array | None = None,
    overwrite: bool = False,
    list_saturated: bool = False,
) -> FrameMeasurement:
    """Measure one light frame; never raises for what the pixels hold.

    Parameters
    ----------
    raw : (H, W) mosaic or mono, or (3, H, W) colour, of which the green plane is measured
    cfa_phase : pattern at row 0, column 0 of a mosaic; None for mono and colour
    full_scale_adu : level at which the camera saturates; when None it is the limit of uint16, or a level that many
        pixels share exactly
    dark : master dark (H, W) to subtract first
    dark_plane : what `stars.make_plane` makes of the dark for this pattern, which spares making it for each frame
    overwrite : `raw` may be changed (its hot pixels are filled), which spares a copy
    list_saturated : the star list has saturated stars too, however many others there are: the brightest of a field
        are those that catalogues of the sky know best

    Raises
    ------
    ValueError : not two-dimensional pixels, an unknown pattern, or a dark of another size
    """
    interpolated = raw.ndim == 3
    mosaic = None if interpolated else cfa_phase
    image = native(raw[1] if interpolated else raw)
    if image.ndim != 2 or raw.ndim not in (2, 3):
        raise ValueError(f"a frame has 2 dimensions, or 3 planes of 2, not shape {raw.shape}")
    if dark is not None and dark.shape != image.shape:
        raise ValueError(f"the dark's shape {dark.shape} is not the frame's {image.shape}")
    if min(image.shape) < SMALLEST:
        return _hopeless(f"only {image.shape[1]}x{image.shape[0]} pixels")
    low, high, at_high = _extremes(image)
    if not np.isfinite(low) or not np.isfinite(high):
        return _hopeless("no valid pixels")
    if low == high:
        return _hopeless("black frame" if low <= 0 else "every pixel has the same value", background=low)
    origin = plane_offsets(mosaic)["G"][0] if mosaic else (0, 0)
    saturation = NEAR_FULL * _full_scale(image, full_scale_adu, high, at_high)
    level = float(np.nanmedian(image[origin[0] :: 16, origin[1] :: 16]))
    if not np.isfinite(level):
        return _hopeless("hardly any valid pixels")
    below = NO_DARK if dark is None else np.ascontiguousarray(dark, np.float32)
    noise = pixel_noise(image, origin, 4 if interpolated else 2, dark=below)
    hot = find_hot(image, mosaic, noise_adu=noise)
    image = fill_hot(image, hot, mosaic, dark=below, overwrite=overwrite and not interpolated)
    data, layout, step, saturated = make_plane(image, mosaic, full=saturation)
    if dark is not None:
        data -= make_plane(below, mosaic)[0] if dark_plane is None else dark_plane
    if saturated > 0.3:
        return _hopeless(f"saturated: {saturated:.0%} of it", background=level, saturated=saturated)
    if not noise > 0:
        return _hopeless("black frame" if level <= 0 else "no noise", background=level, saturated=saturated)
    # Averages of two or four pixels have less noise, unless interpolation had made them alike.
    plane_noise = noise / {"full": 1.0, "greens": np.sqrt(2.0), "binned": 2.0}[layout]
    if interpolated:
        plane_noise = pixel_noise(data, lag=4)
    plane = subtract_sky(data, plane_noise, layout, step, valid=image.dtype == np.uint16 and dark is None)
    frame = _Frame(image, below, plane, -1 if mosaic is None else sum(origin) % 2, hot)
    return _judge(frame, saturation, level, noise, saturated, list_saturated)


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame on its way: its pixels with hot ones filled, the dark to take off, and the plane that is searched.

    `parity` is (row + column) % 2 of a mosaic's greens, -1 for mono.
    """

    image: NDArray[Any]
    dark: Float32Array
    plane: Plane
    parity: int
    hot: HotPixels

    @property
    def hot_places(self) -> NDArray[np.int64]:
        """Rows and columns of the hot pixels as one sorted index."""
        return np.asarray(self.hot[0].astype(np.int64) * self.image.shape[1] + self.hot[1])


def warm_up() -> None:
    """Compile every kernel that measuring needs, or load it from the cache, before child processes start."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    image = rng.normal(300, 5, (96, 96))
    for cx, cy in ((30.2, 40.1), (60.5, 25.3), (50.0, 70.8)):
        image += 3000 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 3)
    for frame in (image.astype(np.uint16), image.astype(np.float32)):
        measure_frame(frame, cfa_phase="RGGB", full_scale_adu=65535)
        measure_frame(frame, cfa_phase=None, full_scale_adu=65535)
    tall = np.tile(image, (8, 8))
    measure_frame(tall.astype(np.uint16), cfa_phase=None, full_scale_adu=65535)


def _judge(
    frame: _Frame, saturation: float, level: float, noise: float, saturated: float, list_saturated: bool
) -> FrameMeasurement:
    image, plane, parity, dark = frame.image, frame.plane, frame.parity, frame.dark
    found, total = detect(plane)
    inside = plane.sky[1:-1, 1:-1] if min(plane.sky.shape) > 4 else plane.sky
    lowest, highest = np.percentile(inside, (2, 98))
    sky = {
        "background_adu": level,
        "gradient_adu": float(highest - lowest),
        "noise_adu": noise,
        "saturated_fraction": saturated,
    }
    if len(found) == 0:
        streak = bool(find_streaks(plane.pixels, plane.noise))
        nothing = StarList.empty()
        return FrameMeasurement(
            "no stars", 0, None, None, None, None, None, **sky, streak=streak, star_list=nothing
        )
    close = found[:CONSIDERED]
    x, y = (plane.to_sensor(close[name].astype(np.float64)) for name in ("x", "y"))
    # sep's second moments are of the filtered light, but cut at the threshold: a first guess.
    guess = plane.step * 2.6 * float(np.median(np.sqrt(close["a"] * close["b"])[:60]))
    full = saturated_stars(image, x, y, guess, saturation)
    places = frame.hot_places
    shape = measure_shape(image, plane, parity, x[~full], y[~full], guess, places, dark=dark)
    fwhm = guess if shape is None else shape.fwhm
    if shape is not None:
        x, y = refine_places(image, plane, parity, x, y, shape, saturation, places, dark=dark)
    # Apertures and radii cannot leave pixels out as fits do: they see the filled ones.
    listed, good = _list_stars(frame, x, y, full, fwhm, noise, shape, list_saturated)
    sharp = good & ~full
    hfr, contrast = _half_flux_radius(frame, x[sharp], y[sharp], fwhm)
    streak = bool(find_streaks(plane.pixels, plane.noise))
    return FrameMeasurement(
        _problem(shape, len(listed), hfr, contrast),
        int(np.count_nonzero(good)) + total - len(close),
        None if shape is None else shape.fwhm,
        None if shape is None else shape.axes[0],
        None if shape is None else shape.axes[1],
        hfr,
        None if shape is None else shape.eccentricity,
        **sky,
        streak=streak,
        star_list=listed,
    )


def _list_stars(
    frame: _Frame,
    x: Float64Array,
    y: Float64Array,
    saturated: Mask,
    fwhm: float,
    noise: float,
    shape: Shape | None,
    list_saturated: bool,
) -> tuple[StarList, Mask]:
    """The star list, and which of the sources at sensor places (n,) are stars.

    Fluxes are those in small apertures, raised by what stars of this frame have outside of these.
    """
    light = measure_apertures(frame.image, x, y, fwhm, frame.parity, dark=frame.dark)
    pixels = np.pi * light.radius**2 * (2.0 if frame.parity >= 0 else 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = light.flux / (noise * np.sqrt(pixels))
        concentration = light.core / light.flux
        sure = concentration[(snr > 15) & ~saturated][:150]
        sure = sure if sure.size else concentration[np.isfinite(concentration)]
        usual = float(np.median(sure)) if sure.size else np.nan
        tolerance = 1 + 3 / np.maximum(snr, 1e-3)
        # Sharper than a star: a cosmic ray or hot pixel. Flatter: a galaxy, a knot of a nebula, a ghost.
        starlike = (concentration < 1.45 * usual * tolerance) & (concentration * tolerance > 0.6 * usual)
    good = np.isfinite(light.flux) & (snr > 3) & (starlike | saturated)
    if np.count_nonzero(good & ~saturated) >= ENOUGH_UNSATURATED and not list_saturated:
        chosen = good & ~saturated
    else:
        chosen = good
    order = np.flatnonzero(chosen)
    order = order[np.argsort(-light.flux[order], kind="stable")][:LISTED]
    flux = light.flux
    if shape is not None:
        flux = flux * _growth(frame, x, y, good & ~saturated, light, shape, noise)
    stars = StarList(*(a[order].astype(np.float32) for a in (x, y, flux)))
    return stars, good


def _growth(
    frame: _Frame,
    x: Float64Array,
    y: Float64Array,
    usable: Mask,
    light: Apertures,
    shape: Shape,
    noise: float,
) -> float:
    """By how much the light of this frame's stars exceeds that in their apertures."""
    wide = wide_radius(shape.fwhm)
    # How wide the wings are a frame's few bright stars tell badly: those of usual seeing, drawn out by a trail.
    round_axes, b = (shape.fwhm, shape.fwhm), min(shape.b, STEEPEST_B)
    usual, core_usual = (share_within(round_axes, USUAL_B, r) for r in (wide, light.radius))
    kept, core_kept = (
        share_within(shape.axes, b, r) / share_within(round_axes, b, r) for r in (wide, light.radius)
    )
    some = np.flatnonzero(usable)[:TELLING]
    near = (x[some, None] - x) ** 2 + (y[some, None] - y) ** 2 < (wide + 1.5 * shape.fwhm) ** 2
    lone = some[np.count_nonzero(near, axis=1) == 1]  # itself
    alone = Apertures(light.flux[lone], light.core[lone], light.radius)
    found = growth(
        frame.image, x[lone], y[lone], alone, shape.fwhm, frame.parity, noise_adu=noise,
        model=usual * kept / (core_usual * core_kept),
        dark=frame.dark,
    )  # fmt: skip
    return found / kept  # the ends of a long trail lie beyond that


def _half_flux_radius(
    frame: _Frame, x: Float64Array, y: Float64Array, fwhm: float
) -> tuple[float | None, float]:
    """The median half-flux radius of stars at places (n,) of the frame, without what the pixels add, and how much
    brighter their centres are than their surroundings at that radius."""
    from astrotui.imaging.measure_kernels import half_flux_radii

    count = int(np.clip(60 * (6 / max(fwhm, 1.0)) ** 2, 15, 60))
    radius, peaked = np.empty(len(x[:count])), np.empty(len(x[:count]))
    grid = 5 if fwhm < 5 else 3
    reach = max(3.0 * fwhm, 4.0)
    half_flux_radii(frame.image, frame.dark, frame.parity, x[:count], y[:count], reach, grid, radius, peaked)
    if not np.isfinite(radius).any():
        return None, np.inf
    contrast = float(np.nanmedian(peaked)) if np.isfinite(peaked).any() else np.inf
    # A pixel widens the light twice, by integrating it and by standing for its whole square here; a Gaussian's
    # half-flux radius is half its FWHM.
    hfr = float(np.sqrt(max(float(np.nanmedian(radius)) ** 2 - PIXEL_FWHM2 / 2, 0.04)))
    return hfr, contrast


def _problem(shape: Shape | None, listed: int, hfr: float | None, contrast: float) -> str | None:
    if shape is None:
        return "nothing in it looks like a star"
    if shape.fwhm < SMALLEST_FWHM:
        return "only hot pixels"
    # Where a fit settled on a piece of a ring, the light reaches much further than it says.
    astray = shape.fwhm > LARGEST_FWHM or (hfr is not None and hfr > 0.95 * shape.fwhm)
    hollow = shape.fwhm > RING_FWHM and contrast < LEAST_CONTRAST and (hfr or 0.0) < 1.5 * shape.fwhm
    if shape.fitted >= 6 and shape.alike < LEAST_ALIKE and not hollow:
        return "nothing in it looks like a star"
    if astray or hollow:
        return "out of focus: stars are rings"
    if listed < 3:
        return "no stars" if listed == 0 else f"only {plural(listed, 'star')}"
    return None


def _extremes(image: NDArray[Any]) -> tuple[float, float, int]:
    """The least and the greatest finite value, and how many pixels have the latter."""
    if image.dtype == np.uint16:
        from astrotui.imaging.plane_kernels import extremes

        low, high, count = extremes(image)
        return float(low), float(high), int(count)
    finite = image[np.isfinite(image)]
    if not finite.size:
        return np.nan, np.nan, 0
    high = finite.max()
    return float(finite.min()), float(high), int(np.count_nonzero(finite == high))


def _full_scale(image: NDArray[Any], stated: float | None, high: float, at_high: int) -> float:
    """The level of saturation: as stated, unless many pixels share a lower highest value exactly."""
    level = stated if stated else (65535.0 if image.dtype == np.uint16 else np.inf)
    if high < level and at_high >= 12:
        middle = float(np.median(image[::8, ::8]))
        if high > 4 * max(middle, 1.0):
            return high
    return level


def _hopeless(
    problem: str, *, background: float | None = None, saturated: float | None = None
) -> FrameMeasurement:
    return FrameMeasurement(
        problem, 0, None, None, None, None, None, background, None, None, saturated, None, StarList.empty()
    )
