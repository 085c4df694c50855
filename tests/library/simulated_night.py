"""Simulated nights on disk with their truth, for tests of measuring, scoring and culling."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sample_sessions import sky as sim
from sample_sessions.fitsfile import write_frame

WIDTH, HEIGHT, EXPOSURE_S = 640, 420, 10.0


@dataclass(frozen=True)
class Light:
    """How one light was taken."""

    dx: float = 0.0
    dy: float = 0.0
    turn: float = 0.0
    fwhm_px: float = 2.6
    elongation: float = 1.0
    transparency: float = 1.0
    sky_e_s: float = 3.0


@dataclass(frozen=True)
class Night:
    """A sky and a camera, from which lights are written one after the other.

    Without `pattern` the sensor is as even as calibration leaves one.
    """

    folder: Path
    seed: int = 1
    cfa: str | None = "RGGB"
    stars: int = 150
    pattern: bool = True
    camera: sim.Camera = field(init=False)
    sky: sim.Sky = field(init=False)

    def __post_init__(self) -> None:
        hot = sim.random_hot(self.seed, WIDTH, HEIGHT, 80)
        object.__setattr__(
            self,
            "camera",
            sim.Camera(
                WIDTH,
                HEIGHT,
                self.cfa,
                e_per_adu=0.8,
                bias_adu=300,
                hot=hot,
                seed=self.seed,
                bias_pattern_adu=float(self.pattern),
                prnu=0.005 * self.pattern,
            ),
        )
        sky = sim.random_sky(
            self.seed, WIDTH, HEIGHT, self.stars, faint=150, bright=20000, margin=60, separation=14
        )
        object.__setattr__(self, "sky", sky)

    def to_frame(self, light: Light) -> sim.Float64:
        """The matrix from the sky to the frame."""
        return sim.similarity(light.dx, light.dy, light.turn, 1.0, ((WIDTH - 1) / 2, (HEIGHT - 1) / 2))

    def pixels(self, number: int, light: Light) -> sim.Frame:
        """The raw pixels of a light."""
        return sim.expose(
            self.sky, self.camera, exposure_s=EXPOSURE_S, to_frame=self.to_frame(light), fwhm_px=light.fwhm_px,
            elongation=light.elongation, transparency=light.transparency, sky_e_s=light.sky_e_s,
            rng=np.random.default_rng([self.seed, number]),
        )  # fmt: skip

    def path(self, number: int) -> Path:
        """Where light `number` lies."""
        return self.folder / f"light_{number:03}.fits"

    def write(self, number: int, pixels: NDArray[np.uint16], *, compress: bool = False) -> Path:
        """Write any pixels as light `number` of the session."""
        cards = [
            ("IMAGETYP", "Light", ""), ("OBJECT", "M 13", ""), ("INSTRUME", "Simulated", ""), ("EXPTIME", EXPOSURE_S, ""),
            ("GAIN", 100, ""), ("DATE-OBS", f"2025-06-01T22:{number // 2:02}:{number % 2 * 30:02}", ""),
        ]  # fmt: skip
        if self.cfa:
            cards.append(("BAYERPAT", self.cfa, ""))
        path = self.path(number)
        write_frame(path, pixels, cards, compress=compress)
        return path

    def take(self, lights: Sequence[Light], first: int = 0) -> list[Path]:
        """Write lights as numbers `first` and on."""
        return [self.write(first + i, self.pixels(first + i, light)) for i, light in enumerate(lights)]

    def shift_to(self, reference: Light, light: Light) -> tuple[float, float, float]:
        """(dx, dy, rotation in degrees) that carries a light onto the reference at its centre."""
        matrix = self.to_frame(reference) @ sim.inverse(self.to_frame(light))
        center = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2, 1.0])
        dx, dy = (matrix @ center - center)[:2]
        return float(dx), float(dy), float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def dithered(count: int, seed: int = 3) -> list[Light]:
    """Good lights, each a few pixels beside the others."""
    rng = np.random.default_rng(seed)
    return [Light(*rng.uniform(-8, 8, 2)) for _ in range(count)]
