"""A simulated sky and camera with known truth; the one module to import, numpy only.

Pixels: x along the rows, y down the rows as stored, the centre of the first pixel is (0, 0). Reference
coordinates are those of the sky; every exposure has a 3x3 matrix `to_frame` that takes (x, y, 1) of the
reference to (x, y, 1) of the frame. Its inverse (frame to reference) is what a registration should find.
"""

from collections.abc import Sequence

import numpy as np

from sample_sessions.camera import (
    Camera,
    Frame,
    bias,
    bias_pattern,
    channel_map,
    dark,
    dark_rate,
    flat,
    flat_field,
    random_hot,
    read_out,
)
from sample_sessions.field import Float32, Float64, Glow, Sky, apply, inverse, random_sky, similarity
from sample_sessions.light import (
    SIGMA_OF_FWHM,
    Hits,
    Trail,
    glow_light,
    random_hits,
    recorded_fwhm,
    star_light,
    trail_light,
)
from sample_sessions.optics import Lens, turned_sky
from sample_sessions.truth import FrameTruth, Truth, matrix_rows

__all__ = [
    "SIGMA_OF_FWHM",
    "Camera",
    "Float32",
    "Float64",
    "Frame",
    "FrameTruth",
    "Glow",
    "Hits",
    "Lens",
    "Sky",
    "Trail",
    "Truth",
    "apply",
    "bias",
    "bias_pattern",
    "channel_map",
    "dark",
    "dark_rate",
    "expose",
    "flat",
    "flat_field",
    "glow_light",
    "inverse",
    "matrix_rows",
    "random_hits",
    "random_hot",
    "random_sky",
    "read_out",
    "recorded_fwhm",
    "similarity",
    "star_light",
    "trail_light",
    "turned_sky",
]


def expose(
    sky: Sky,
    camera: Camera,
    *,
    exposure_s: float,
    to_frame: Float64 | None = None,
    fwhm_px: float = 2.8,
    elongation: float = 1.0,
    angle_deg: float = 0.0,
    beta: float | None = None,
    transparency: float | Float32 = 1.0,
    sky_e_s: float | Sequence[float] = 2.0,
    gradient: tuple[float, float] = (0.0, 0.0),
    trail: Trail | Sequence[Trail] | None = None,
    hits: Hits | None = None,
    temperature_c: float | None = None,
    lens: Lens | None = None,
    rng: np.random.Generator,
) -> Frame:
    """One raw light frame, uint16 (height, width).

    Parameters
    ----------
    sky, camera : what is seen, by what
    exposure_s : seconds
    to_frame : 3x3, reference (x, y, 1) to frame (x, y, 1); None for the identity. See `similarity`
    fwhm_px : FWHM of the light before pixels integrate it (the geometric mean of both axes of an elongated
        star); a fit to the recorded pixels reads `recorded_fwhm(fwhm_px)`, 2.88 for 2.8
    elongation : long over short axis, at least 1
    angle_deg : of the long axis, from x towards y
    beta : exponent of a Moffat profile; None for a Gaussian
    transparency : what passes of the light of stars and glow, a number or a map (height, width)
    sky_e_s : sky background, electrons per second and pixel, a number or R, G, B
    gradient : relative change of the sky background across the frame in x and in y
    trail : (x0, y0, x1, y1, width_px, peak_e) in frame coordinates, or several; electrons per exposure
    hits : cosmic rays, see `random_hits`
    temperature_c : of the sensor; None for `camera.dark_at_c`
    lens : bends what `to_frame` gives: reference and frame are then those of a lens without distortion
    rng : of this frame's noise. Photon and read noise are drawn as one normal deviate a pixel (exact in mean
        and variance), so that a rounding difference in one pixel never shifts the noise of the next
    """
    height, width = camera.height, camera.width
    matrix = np.eye(3) if to_frame is None else to_frame
    stars = star_light(
        sky,
        matrix,
        width,
        height,
        camera.cfa,
        fwhm_px=fwhm_px,
        elongation=elongation,
        angle_deg=angle_deg,
        beta=beta,
        lens=lens,
    )
    if sky.glow is not None:
        stars += glow_light(sky, matrix, width, height, camera.cfa, lens=lens)
    stars *= np.asarray(transparency, np.float32)
    levels = np.broadcast_to(np.asarray(sky_e_s, np.float32), 3)
    background = levels[channel_map(camera.cfa, height, width)]
    if gradient != (0.0, 0.0):
        y, x = np.ogrid[:height, :width]
        slope = gradient[0] * (x / (width - 1) - 0.5) + gradient[1] * (y / (height - 1) - 0.5)
        background = background * (1 + slope).astype(np.float32)
    electrons = (stars + background) * flat_field(camera)
    electrons *= np.float32(exposure_s)
    if trail is not None:
        for one in [trail] if isinstance(trail[0], float | int) else trail:
            electrons += trail_light(one, width, height)  # type: ignore[arg-type]
    if hits is not None:
        np.add.at(electrons, (hits[0], hits[1]), hits[2])
    return read_out(camera, electrons, exposure_s, temperature_c, rng)
