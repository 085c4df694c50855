"""Stars of one frame: the plane they are sought on, detection by sep, and the shape of their light."""

import sys
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.cfa import plane_offsets
from astrotui.imaging.hotpixels import NO_DARK
from astrotui.imaging.photometry import PIXEL_FWHM2
from astrotui.imaging.types import Float32Array, Float64Array, Mask

BIN_ABOVE_PIXELS = (
    6_000_000  # mono frames larger than this are searched binned 2x2; shapes are fitted unbinned
)
DETECT_SIGMA = 5.0  # of the matched filter's output
FILTER_SIDE = 0.25  # of the matched filter (1/4, 1/2, 1/4), a star of sigma 0.85 px
DEBLEND_LEVELS = 4
ENOUGH = 600  # sources looked for in a rich field; more peaks are only counted
MESH = 64  # pixels of the plane
FWHM2_OF_SIGMA2 = 8 * np.log(2.0)
GREENS_FWHM2 = FWHM2_OF_SIGMA2 / 4  # what averaging the two greens of a cell adds, per axis
WING_STARS = 15  # bright stars whose wings decide beta
USUAL_B = 0.25  # 1 / beta where no star is bright enough to tell
COARSE_FWHM = 7.0  # stars larger than this are fitted on the plane, which samples them well enough

Layout = Literal["greens", "binned", "full"]


@dataclass(frozen=True, eq=False)
class Plane:
    """What is searched for stars.

    Attributes
    ----------
    pixels : float32 (h, w), sky subtracted; invalid pixels are 0
    filtered : float32 (h, w), the same through a matched filter of a small star
    layout : how it was made from the frame
    step : full-sensor pixels per pixel; (x, y) of the plane lies at step (x, y) + (step - 1) / 2
    noise : standard deviation of its pixels, ADU
    sky : float32, the sky that was subtracted, coarsely sampled
    """

    pixels: Float32Array
    filtered: Float32Array
    layout: Layout
    step: int
    noise: float
    sky: Float32Array

    def to_sensor(self, at: Float64Array) -> Float64Array:
        """A coordinate of the plane in full-sensor pixels."""
        return self.step * at + (self.step - 1) / 2

    def from_sensor(self, at: Float64Array) -> Float64Array:
        """A full-sensor coordinate in the plane's pixels."""
        return (at - (self.step - 1) / 2) / self.step

    def apparent_fwhm(self, fwhm_px: float) -> float:
        """How wide stars of `fwhm_px` (full-sensor pixels, before pixels integrate) look on the plane, in its pixels."""
        wide = PIXEL_FWHM2 * (4 if self.layout == "binned" else 1)
        if self.layout == "greens":
            wide += GREENS_FWHM2
        return float(np.sqrt(fwhm_px**2 + wide)) / self.step


@dataclass(frozen=True, eq=False)
class Shape:
    """The shape of a frame's stars, full-sensor pixels, before pixels integrated their light.

    Attributes
    ----------
    tensor : float64 (2, 2), its eigenvalues are the squared FWHM along the axes
    b : 1 / beta of the Moffat profile; 0 is a Gaussian
    fitted : stars that a fit succeeded on
    alike : share of them whose size is within 30 % of the median; low where there are no stars
    """

    tensor: Float64Array
    b: float
    fitted: int
    alike: float

    @property
    def axes(self) -> tuple[float, float]:
        """FWHM along the long and the short axis."""
        short, long = np.sqrt(np.maximum(np.linalg.eigvalsh(self.tensor), 1e-6))
        return float(long), float(short)

    @property
    def fwhm(self) -> float:
        long, short = self.axes
        return float(np.sqrt(long * short))

    @property
    def eccentricity(self) -> float:
        """e = sqrt(1 - (b/a)^2)."""
        long, short = self.axes
        return float(np.sqrt(max(0.0, 1 - (short / long) ** 2)))


def make_plane(
    image: NDArray[Any], cfa: str | None, *, full: float = np.inf
) -> tuple[Float32Array, Layout, int, float]:
    """The plane of a native image (H, W) to search, hot pixels filled before, with its layout and step.

    The last is the share of its pixels that reach the level `full`. A dark's plane, taken off a frame's, leaves
    what the dark would leave.
    """
    from astrotui.imaging.plane_kernels import mean_of_four, mean_of_halves, mean_of_two, whole

    height, width = image.shape
    if not cfa and image.size <= BIN_ABOVE_PIXELS:
        plane = np.empty(image.shape, np.float32)
        return plane, "full", 1, whole(image, full, plane) / plane.size
    plane = np.empty((height // 2, width // 2), np.float32)
    if cfa:
        one, two = plane_offsets(cfa)["G"]
        if image.dtype == np.uint16 and width % 2 == 0 and sys.byteorder == "little":
            # Two pixels at a time; of a row of pixels the compiler would take them one by one.
            greens = (one[0], 16 * one[1], two[0], 16 * two[1])
            return (
                plane,
                "greens",
                2,
                mean_of_halves(image.view(np.uint32), *greens, full, plane) / plane.size,
            )
        return plane, "greens", 2, mean_of_two(image, *one, *two, full, plane) / plane.size
    return plane, "binned", 2, mean_of_four(image, full, plane) / plane.size


def subtract_sky(
    plane: Float32Array, noise: float, layout: Layout, step: int, *, valid: bool = False
) -> Plane:
    """The plane without its sky; `plane` itself is changed.

    sep's mesh background is made from a sixteenth of a large plane: the sky is smooth.

    Parameters
    ----------
    valid : no pixel is NaN or infinite, which is not looked at then
    """
    import sep

    from astrotui.imaging.plane_kernels import sample_pairs, subtract_and_filter

    factor = 4 if plane.size > 500_000 else 1
    small = plane
    if factor > 1:
        small = np.empty((plane.shape[0] // factor, plane.shape[1] // factor), np.float32)
        sample_pairs(plane, factor, small)
    mask = None
    if not valid and not np.isfinite(small).all():
        mask = ~np.isfinite(small)
        small = np.where(mask, np.float32(0), small)
    mesh = max(8, min(MESH // factor, min(small.shape) // 3))
    back = sep.Background(small, mask=mask, bw=mesh, bh=mesh).back(dtype=np.float32)
    sky = np.ascontiguousarray(back[:: max(1, mesh // 4), :: max(1, mesh // 4)])
    filtered = np.empty_like(plane)
    subtract_and_filter(plane, back, factor, FILTER_SIDE, filtered)
    return Plane(plane, filtered, layout, step, noise, sky)


def detect(plane: Plane) -> tuple[NDArray[Any], int]:
    """Sources on the plane, brightest first, as sep's structured array in the plane's pixels, and how many there are.

    The threshold applies to the matched filter's output, so that faint stars of few pixels count; moments and
    fluxes are those of the filtered plane. In a rich field all peaks are counted, but only some hundreds of the
    brightest are given to sep, which takes its time for each. Where a field overflows its buffers (the Moon,
    daylight, the densest Milky Way) the threshold is raised.
    """
    import sep

    from astrotui.imaging.plane_kernels import find_peaks

    gain = (1 - 2 * FILTER_SIDE) ** 2 + 2 * FILTER_SIDE**2
    sep.set_extract_pixstack(700_000)
    threshold = DETECT_SIGMA * gain * plane.noise
    values = np.empty(200_000, np.float32)
    peaks = find_peaks(plane.filtered, threshold, values)
    if peaks > 2 * ENOUGH:
        values = values[:peaks]
        # Half of the level: those wanted must have an area above it.
        least = float(np.partition(values, len(values) - ENOUGH)[len(values) - ENOUGH])
        threshold = max(threshold, 0.5 * least)
    for _ in range(8):
        try:
            found = sep.extract(
                plane.filtered,
                threshold,
                minarea=3,
                filter_kernel=None,
                deblend_nthresh=DEBLEND_LEVELS,
                deblend_cont=0.01,
                clean=False,
            )
            break
        except Exception as error:  # sep raises bare Exception
            if "pixel buffer" not in str(error) and "deblending overflow" not in str(error):
                raise
            threshold *= 2
    else:
        found = np.empty(0, dtype=[("x", "f8"), ("y", "f8"), ("a", "f8"), ("b", "f8"), ("flux", "f8")])
        return found, 0
    # Cut by the frame's edge (2) or without a shape (8); blends (1) stay.
    usable = (
        ((found["flag"] & 0b1010) == 0) & (found["flux"] > 0) & np.isfinite(found["a"]) & (found["b"] > 0)
    )
    found = found[usable]
    found = np.asarray(found[np.argsort(-found["flux"], kind="stable")])
    return found, max(len(found), peaks if peaks > 2 * ENOUGH else 0)


def saturated_stars(
    image: NDArray[Any], x: Float64Array, y: Float64Array, fwhm: float, saturation: float
) -> Mask:
    """Which stars at places (n,) of `image` have a pixel at `saturation` within one `fwhm` (at least 2 px)."""
    from astrotui.imaging.measure_kernels import highest_near

    peak = np.empty(len(x))
    highest_near(image, x, y, max(2, round(fwhm)), peak)
    return np.asarray(peak >= saturation)


def measure_shape(
    image: NDArray[Any],
    plane: Plane,
    parity: int,
    x: Float64Array,
    y: Float64Array,
    guess_fwhm: float,
    hot: NDArray[np.int64],
    limit: int = 60,
    *,
    dark: Float32Array = NO_DARK,
) -> Shape | None:
    """The common shape of unsaturated stars at places (n,) in full-sensor pixels, brightest first.

    Moffat profiles are fitted to the recorded pixels (of a mosaic: to its greens where they lie), first with free
    wings to the brightest, then with their median to `limit` stars. The median of the shapes as tensors is
    taken, not that of eccentricities: noise makes every round star a little elongated, each in its own direction.
    """
    from astrotui.imaging.measure_fits import NO_TABLE, PARAMETERS, fit_stars, profile_table

    coarse = guess_fwhm > COARSE_FWHM and plane.step > 1
    source, unit = (plane.pixels, plane.step) if coarse else (image, 1)
    at_x, at_y = ((c[:limit] - (unit - 1) / 2) / unit for c in (x, y))
    start = np.zeros(PARAMETERS)
    start[7] = USUAL_B
    fwhm = guess_fwhm
    for count, free in ((WING_STARS, PARAMETERS), (limit, PARAMETERS - 1)):
        start[4] = start[6] = 4 * np.log(2.0) / (fwhm / unit) ** 2
        radius = min(max(2.0 * fwhm / unit, 3.5 if coarse else 4.5), 24.0)
        fits = np.empty((min(count, len(at_x)), PARAMETERS))
        residual = np.empty(len(fits))
        fit_stars(
            source,
            NO_DARK if coarse else dark,
            -1 if coarse else parity,
            at_x[: len(fits)],
            at_y[: len(fits)],
            start,
            free,
            NO_TABLE if free == PARAMETERS else profile_table(start[7]),
            radius,
            np.inf,
            np.empty(0, np.int64) if coarse else hot,
            not coarse,
            25,
            fits,
            residual,
        )
        fits = fits[np.isfinite(residual)]
        shapes = _tensors(fits, unit)
        agreeing = _agree(shapes)
        if not agreeing.any():
            return None
        fwhm = float(np.median(np.sqrt(_size(shapes[agreeing]))))
        bright = agreeing & (fits[:, 0] > 8 * plane.noise)
        if free == PARAMETERS and bright.sum() >= 3:
            start[7] = float(np.median(fits[bright, 7]))
    middle = np.median(shapes[agreeing], axis=0)
    tensor = np.array([[middle[0], middle[1]], [middle[1], middle[2]]])
    if coarse:
        wide = PIXEL_FWHM2 * (4 if plane.layout == "binned" else 1)
        tensor -= np.eye(2) * (wide + (GREENS_FWHM2 if plane.layout == "greens" else 0))
    sizes = np.sqrt(_size(shapes))
    alike = float(np.mean(np.abs(np.log(sizes / np.median(sizes))) < np.log(1.3)))
    return Shape(tensor, float(start[7]), len(shapes), alike)


def refine_places(
    image: NDArray[Any],
    plane: Plane,
    parity: int,
    x: Float64Array,
    y: Float64Array,
    shape: Shape,
    saturation: float,
    hot: NDArray[np.int64],
    *,
    dark: Float32Array = NO_DARK,
) -> tuple[Float64Array, Float64Array]:
    """Places of stars (n,) in full-sensor pixels, by fitting the frame's own star profile to the recorded pixels.

    Windowed centroids on a plane of half size err by up to a pixel where stars are as small as its pixels; the
    fit reaches the limit that noise sets at any FWHM. Large stars, which the plane samples well, keep windowed
    centroids (sep's winpos), as do stars where the fit fails.
    """
    import sep

    from astrotui.imaging.measure_fits import PARAMETERS, fit_stars, profile_table

    apparent = plane.apparent_fwhm(shape.fwhm)
    plane_x, plane_y = plane.from_sensor(x), plane.from_sensor(y)
    if shape.fwhm > COARSE_FWHM:
        sigma = np.full(len(x), apparent / np.sqrt(FWHM2_OF_SIGMA2))
        to_x, to_y, flag = sep.winpos(plane.pixels, plane_x, plane_y, sigma)
        strayed = (flag != 0) | ~(np.hypot(to_x - plane_x, to_y - plane_y) < apparent)
        return np.where(strayed, x, plane.to_sensor(to_x)), np.where(strayed, y, plane.to_sensor(to_y))
    start = np.zeros(PARAMETERS)
    half = np.expm1(max(shape.b, 1e-6) * np.log(2.0)) / max(shape.b, 1e-6)
    form = 4 * half * np.linalg.inv(shape.tensor)
    start[4:] = form[0, 0], form[0, 1], form[1, 1], shape.b
    fits, residual = np.empty((len(x), PARAMETERS)), np.empty(len(x))
    fit_stars(
        image,
        dark,
        parity,
        x,
        y,
        start,
        4,
        profile_table(shape.b),
        max(1.3 * shape.fwhm, 3.0),
        saturation,
        hot,
        True,
        12,
        fits,
        residual,
    )
    moved = np.hypot(fits[:, 2] - x, fits[:, 3] - y)
    strayed = ~(moved < max(shape.fwhm, 2.0))
    return np.where(strayed, x, fits[:, 2]), np.where(strayed, y, fits[:, 3])


def _tensors(p: Float64Array, unit: int) -> Float64Array:
    """Squared-FWHM tensors (n, 3) as xx, xy, yy of fitted profiles, full-sensor pixels."""
    b = np.maximum(p[:, 7], 1e-6)
    half = np.expm1(b * np.log(2.0)) / b
    factor = 4 * half * unit**2 / (p[:, 4] * p[:, 6] - p[:, 5] ** 2)
    return np.stack([factor * p[:, 6], -factor * p[:, 5], factor * p[:, 4]], axis=1)


def _size(shapes: Float64Array) -> Float64Array:
    return np.asarray(np.sqrt(np.maximum(shapes[:, 0] * shapes[:, 2] - shapes[:, 1] ** 2, 0)))


def _agree(shapes: Float64Array) -> Mask:
    """Which shapes are within 3.5 robust deviations (at least 15 %) of the median size."""
    if len(shapes) == 0:
        return np.zeros(0, bool)
    logs = np.log(np.maximum(_size(shapes), 1e-9)) / 2
    middle = np.median(logs)
    spread = 1.4826 * np.median(np.abs(logs - middle))
    return np.asarray(np.abs(logs - middle) <= np.clip(3.5 * spread, 0.15, 0.7))
