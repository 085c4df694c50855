"""A session as N.I.N.A. writes it: M 51 through a mono camera, with darks, flats and bias frames."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from sample_sessions import scenes
from sample_sessions.fitsfile import Cards
from sample_sessions.parts import NOTE, SEED, File, after, draw_dark, frame_rng, light_file, session_truth
from sample_sessions.sky import Camera, Frame, Truth, bias, flat, random_hot, similarity

MONO = Camera(
    448, 300, None, e_per_adu=0.77, read_noise_e=3.3, dark_e_s=0.004, dark_at_c=-10.0, bias_adu=500,
    bias_pattern_adu=1.2, hot=random_hot(SEED + 2, 448, 300, 110, low=0.6, high=60), vignette=0.38, dust=6,
    dust_radius=0.045, dust_depth=0.15, seed=SEED + 2,
)  # fmt: skip


M51 = "NINA/2025-04-02/M 51"


def _nina(kind: str, began: datetime, exposure_s: float, *, light: bool) -> Cards:
    cards: Cards = [
        ("IMAGETYP", kind, "Type of exposure"),
        ("EXPOSURE", exposure_s, "[s] Exposure duration"),
        ("EXPTIME", exposure_s, "[s] Exposure duration"),
        ("DATE-LOC", f"{began + timedelta(hours=2):%Y-%m-%dT%H:%M:%S.%f}0", "Time of observation (local)"),
        ("DATE-OBS", f"{began:%Y-%m-%dT%H:%M:%S.%f}0", "Time of observation (UTC)"),
        ("XBINNING", 1, "X axis binning factor"),
        ("YBINNING", 1, "Y axis binning factor"),
        ("GAIN", 0, "Sensor gain"),
        ("OFFSET", 50, "Sensor gain offset"),
        ("EGAIN", MONO.e_per_adu, "[e-/ADU] Electrons per A/D unit"),
        ("XPIXSZ", 3.76, "[um] Pixel X axis size"),
        ("YPIXSZ", 3.76, "[um] Pixel Y axis size"),
        ("INSTRUME", "ZWO ASI2600MM Pro", "Imaging instrument name"),
        ("SET-TEMP", -10.0, "[degC] CCD temperature setpoint"),
        ("CCD-TEMP", -10.0, "[degC] CCD temperature"),
        ("TELESCOP", "Newton 150/480", "Name of telescope"),
        ("FOCALLEN", 480.0, "[mm] Focal length"),
        ("FOCRATIO", 3.2, "Focal ratio"),
    ]
    if kind in ("LIGHT", "FLAT"):
        cards.append(("FILTER", "L", "Active filter name"))
    if light:
        cards += [
            ("RA", 202.469575, "[deg] RA of telescope"),
            ("DEC", 47.195258, "[deg] Declination of telescope"),
            ("PIERSIDE", "West", "Telescope pointing state"),
            ("OBJECT", "M 51", "Name of the object of interest"),
            ("OBJCTRA", "13 29 53", "[H M S] RA of imaged object"),
            ("OBJCTDEC", "+47 11 43", "[D M S] Declination of imaged object"),
            ("OBJCTROT", 0.0, "[deg] planned rotation of imaged object"),
        ]
    cards += [
        ("ROWORDER", "TOP-DOWN", "FITS Image Orientation"),
        ("EQUINOX", 2000.0, "Equinox of celestial coordinate system"),
        ("SWCREATE", "N.I.N.A. 3.1.2.9001 (x64)", "Software that created this file"),
    ]
    return cards


def mono_lights() -> tuple[list[File], Truth]:
    """Ten dithered lights of M 51 through a luminance filter; the eighth is soft, the sensor has dust."""
    sky = scenes.galaxy(7, MONO.width, MONO.height)
    rng = np.random.default_rng([SEED, 300])
    start = datetime(2025, 4, 2, 21, 12, 44, 318000)
    files = []
    for i in range(10):
        began = after(start, 68.4 * i)
        shift = rng.uniform(-11, 11, 2)
        soft = i == 7
        path = f"{M51}/LIGHT/{_nina_name(began, 'L_', 60.0, i)}"
        files.append(
            light_file(
                path,
                sky,
                MONO,
                _nina("LIGHT", began, 60.0, light=True),
                compress=True,
                exposure_s=60.0,
                to_frame=similarity(shift[0], shift[1], rng.normal(0, 0.01)),
                fwhm_px=round(float(rng.uniform(2.5, 2.8)) * (1.55 if soft else 1.0), 3),
                beta=3.5,
                transparency=round(1 - 0.004 * i, 4),
                sky_e_s=1.9 - 0.02 * i,
                gradient=(0.04, 0.05),
                faults=("soft",) if soft else (),
            )
        )
    return files, session_truth(sky, MONO, 60.0, files)


def _nina_name(began: datetime, label: str, exposure_s: float, number: int) -> str:
    local = began + timedelta(hours=2)
    return f"{local:%Y-%m-%d_%H-%M-%S}_{label}-10.00_{exposure_s:.2f}s_{number:04d}.fits.fz"


def mono_calibration() -> list[File]:
    """Eight darks, eight flats and eight bias frames of the mono camera."""
    files = []
    for i in range(8):
        for kind, folder, first, exposure, step, label in (
            ("DARK", "NINA/2025-03-31/DARK", datetime(2025, 3, 31, 19, 2, 10, 104000), 60.0, 62.1, ""),
            ("BIAS", "NINA/2025-03-31/BIAS", datetime(2025, 3, 31, 18, 55, 40, 51000), 0.001, 1.3, ""),
            ("FLAT", "NINA/2025-04-02/FLAT", datetime(2025, 4, 2, 18, 21, 5, 733000), 0.85, 3.2, "L_"),
        ):
            began = after(first, step * i)
            path = f"{folder}/{_nina_name(began, label, exposure, i)}"
            cards = (*_nina(kind, began, exposure, light=False), NOTE)
            files.append(File(path, _calibration(kind, path, exposure), cards, compress=True))
    return files


def _calibration(kind: str, path: str, exposure_s: float) -> Callable[[], Frame]:
    if kind == "FLAT":
        return lambda: flat(MONO, 0.46, exposure_s=exposure_s, rng=frame_rng(path))
    if kind == "BIAS":
        return lambda: bias(MONO, rng=frame_rng(path))
    return draw_dark(path, MONO, exposure_s, MONO.dark_at_c)
