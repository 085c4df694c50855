"""Nights of one target through cameras of nearly one pixel scale, on disk with their darks and flats, and their truth."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Session
from astrotui.library.index import index_roots
from astrotui.library.measure import measure_sessions
from sample_sessions import sky as sim
from sample_sessions.fitsfile import write_frame

WIDTH, HEIGHT = 560, 420  # of the sky's own grid
MIDDLE = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)


@dataclass(frozen=True)
class NightSpec:
    """One session: its camera, how it looked at the sky, and what the air was like."""

    name: str
    seed: int = 1
    size: tuple[int, int] = (WIDTH, HEIGHT)
    cfa: str | None = "RGGB"
    e_per_adu: float = 0.8
    bias_adu: float = 300.0
    gain: int = 100
    exposure_s: float = 10.0
    turn: float = 0.0
    scale: float = 1.0
    mirrored: bool = False
    transparency: float = 1.0
    fwhm_px: float = 2.6
    sky_e_s: float = 3.0
    lights: int = 5
    warm_c: tuple[float, ...] = (10.0,)  # of the sensor, light after light
    dark_c: tuple[float, ...] = (10.0,)  # of each set of darks
    date: str = "2025-06-01"
    filter: str | None = None
    target: str = "M 13"
    pointing: tuple[float, float] | None = None
    calibrated: bool = True
    vignette: float = 0.2
    response: tuple[float, float, float] = (1.0, 1.0, 1.0)  # of the camera to red, green and blue light
    band: int | None = None  # which light of the sky's R, G, B a mono camera's filter lets through


@dataclass(eq=False)
class Nights:
    """What was written: by path of a light, the matrix from the sky to it; and the cameras."""

    folder: Path
    sky: sim.Sky
    to_frame: dict[str, sim.Float64] = field(default_factory=dict)
    cameras: dict[str, sim.Camera] = field(default_factory=dict)


def make_sky(seed: int = 4, stars: int = 80) -> sim.Sky:
    """A field that is well separated, so that the light of each star can be summed."""
    return sim.random_sky(
        seed, WIDTH, HEIGHT, stars, faint=120, bright=9000, slope=0.5, margin=60, separation=24, colors=0.5
    )


def camera_of(night: NightSpec) -> sim.Camera:
    """Its sensor: hot pixels and flat of its own."""
    width, height = night.size
    return sim.Camera(
        width, height, night.cfa, e_per_adu=night.e_per_adu, read_noise_e=2.5, dark_e_s=0.5, dark_at_c=10.0,
        bias_adu=night.bias_adu, hot=sim.random_hot(night.seed, width, height, 150, low=20, high=400),
        vignette=night.vignette, seed=night.seed,
    )  # fmt: skip


def write_nights(folder: Path, sky: sim.Sky, *nights: NightSpec) -> Nights:
    """Write sessions, each in a folder of its own with its darks and flats beside its lights."""
    made = Nights(folder, sky)
    for night in nights:
        made.cameras[night.name] = camera_of(night)
        _lights(made, night)
        if night.calibrated:
            _calibration(folder / night.name, night, made.cameras[night.name])
    return made


def _cards(
    night: NightSpec, kind: str, exposure: float, celsius: float, stamp: str
) -> list[tuple[str, object, str]]:
    cards: list[tuple[str, object, str]] = [
        ("IMAGETYP", kind, ""), ("INSTRUME", f"Camera {night.seed}", ""), ("EXPTIME", exposure, ""),
        ("GAIN", night.gain, ""), ("DATE-OBS", f"{night.date}T{stamp}", ""), ("CCD-TEMP", celsius, ""),
    ]  # fmt: skip
    if kind == "Light":
        cards.append(("OBJECT", night.target, ""))
        if night.pointing:
            cards += [("RA", night.pointing[0], "[deg]"), ("DEC", night.pointing[1], "[deg]")]
    if night.filter and kind in ("Light", "Flat"):
        cards.append(("FILTER", night.filter, ""))
    if night.cfa:
        cards.append(("BAYERPAT", night.cfa, ""))
    return cards


def _lights(made: Nights, night: NightSpec) -> None:
    width, height = night.size
    camera = made.cameras[night.name]
    sky = made.sky
    if night.response != (1.0, 1.0, 1.0):
        sky = replace(sky, flux=sky.flux * np.array(night.response, np.float32)[:, None])
    if night.band is not None:
        sky = replace(sky, flux=np.repeat(sky.flux[night.band : night.band + 1], 3, axis=0))
    for number in range(night.lights):
        rng = np.random.default_rng([night.seed, 7, number])
        dx, dy = rng.uniform(-7, 7, 2)
        own = ((width - 1) / 2, (height - 1) / 2)
        matrix = sim.similarity(
            own[0] - MIDDLE[0] + dx, own[1] - MIDDLE[1] + dy, night.turn, night.scale, MIDDLE
        )
        if night.mirrored:
            matrix = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]]) @ matrix
        celsius = night.warm_c[number % len(night.warm_c)]
        pixels = sim.expose(
            sky, camera, exposure_s=night.exposure_s, to_frame=matrix, fwhm_px=night.fwhm_px * night.scale,
            transparency=night.transparency, sky_e_s=night.sky_e_s, temperature_c=celsius, rng=rng,
        )  # fmt: skip
        path = made.folder / night.name / "lights" / f"{night.name}_{number:03}.fits"
        stamp = f"22:{number:02}:00"
        write_frame(path, pixels, _cards(night, "Light", night.exposure_s, celsius, stamp))
        made.to_frame[str(path)] = matrix


def _calibration(folder: Path, night: NightSpec, camera: sim.Camera) -> None:
    for celsius in night.dark_c:
        for number in range(6):
            rng = np.random.default_rng([night.seed, 8, number, round(celsius)])
            pixels = sim.dark(camera, night.exposure_s, temperature_c=celsius, rng=rng)
            cards = _cards(night, "Dark", night.exposure_s, celsius, f"12:{number:02}:00")
            write_frame(folder / f"darks_{celsius:.0f}" / f"dark_{number}.fits", pixels, cards)
    for number in range(6):
        rng = np.random.default_rng([night.seed, 9, number])
        flat_cards = _cards(night, "Flat", 1.0, 10.0, f"13:{number:02}:00")
        write_frame(folder / "flats" / f"flat_{number}.fits", sim.flat(camera, rng=rng), flat_cards)
        bias_cards = _cards(night, "Bias", 0.0, 10.0, f"14:{number:02}:00")
        write_frame(folder / "bias" / f"bias_{number}.fits", sim.bias(camera, rng=rng), bias_cards)


def read_in(catalog: Catalog, made: Nights, *names: str) -> dict[str, int]:
    """Index and measure; ids of the sessions by their names."""
    index_roots(catalog, [made.folder])
    with catalog.read() as db:
        ids = {row.folder.split("/")[0]: row.id for row in db.query(Session).all()}
    measure_sessions(catalog, [ids[name] for name in names or ids], workers=1)
    return ids
