"""Small simulated sets on disk, their plans, and what is true of them, for the tests of the engine."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from astrotui.imaging.quality import measure_frame
from astrotui.stacking.plan import Calibration, InputFile, MasterSpec, PlanFrame, StackPlan
from astrotui.stacking.recipe import Recipe
from sample_sessions import sky as sim
from sample_sessions.fitsfile import write_frame

WIDTH, HEIGHT, EXPOSURE_S, E_PER_ADU, SKY_E_S = 420, 300, 20.0, 0.8, 2.0


@dataclass(frozen=True)
class Spec:
    """What a set is like; every frame `i` follows from it and the seed."""

    seed: int = 1
    frames: int = 10
    cfa: str | None = "RGGB"
    degrees: tuple[float, ...] = (0.0,)  # of frame i: degrees[i % len] plus a drift
    trail_in: int | None = 3
    hot: int = 60
    transparency: tuple[float, ...] = (1.0, 0.9, 0.8)
    calibration: int = 5
    stars: int = 100
    fwhm: float = 2.8


@dataclass(eq=False)
class SimulatedSet:
    """Files, the plan to stack them, and the truth."""

    folder: Path
    spec: Spec
    camera: sim.Camera
    sky: sim.Sky
    to_frame: list[np.ndarray]
    frames: tuple[PlanFrame, ...]
    calibration: Calibration
    trails: dict[int, tuple[float, ...]] = field(default_factory=dict)

    def plan(self, output: Path, **recipe: object) -> StackPlan:
        """A plan for all frames; keys of the plan itself are taken as such."""
        own = {k: recipe.pop(k) for k in list(recipe) if k in StackPlan.__dataclass_fields__}
        plan = StackPlan(
            name="simulated",
            frames=self.frames,
            reference=0,
            recipe=Recipe(**recipe),
            output=str(output),
            manifest=str(output.with_suffix(".json")),
            width=WIDTH,
            height=HEIGHT,
            calibrations=(self.calibration,),
            cfa=self.spec.cfa,
            full_scale_adu=65535.0,
            header={"OBJECT": "Simulated field"},
        )
        return replace(plan, **own)

    def only(self, indices: list[int]) -> "SimulatedSet":
        """The same set with some of its frames."""
        return replace(
            self,
            to_frame=[self.to_frame[i] for i in indices],
            frames=tuple(self.frames[i] for i in indices),
            trails={k: self.trails[i] for k, i in enumerate(indices) if i in self.trails},
        )


@lru_cache(maxsize=16)
def measured(path: str, cfa: str | None, size: int) -> object:
    """Measurement of a frame, once for all tests of the process."""
    from astrotui.frames.pixels import open_frame

    with open_frame(path) as reader:
        return measure_frame(reader.read(0, reader.height), cfa_phase=cfa, full_scale_adu=65535.0)


def plan_frame(
    path: Path, cfa: str | None, index: int = 0, width: int = WIDTH, height: int = HEIGHT
) -> PlanFrame:
    """A frame as a plan names it, measured."""
    found = measured(str(path), cfa, path.stat().st_size)
    return PlanFrame(
        InputFile.of(path),
        found.star_list,
        width=width,
        height=height,
        cfa=cfa,
        exposure_s=EXPOSURE_S,
        date_obs=f"2025-09-20T20:{index:02d}:00",
        background_adu=found.background_adu,
        noise_adu=found.noise_adu,
        fwhm_px=found.fwhm_px,
        fwhm_a_px=found.fwhm_a_px,
        fwhm_b_px=found.fwhm_b_px,
        score=80.0,
    )


def make_set(folder: Path, spec: Spec) -> SimulatedSet:
    """Write a set into `folder`."""
    camera = sim.Camera(
        WIDTH, HEIGHT, spec.cfa, e_per_adu=E_PER_ADU, read_noise_e=2.5, dark_e_s=0.02, dark_at_c=-5.0,
        bias_adu=500, hot=sim.random_hot(spec.seed, WIDTH, HEIGHT, spec.hot, low=5, high=500),
        vignette=0.25, seed=spec.seed,
    )  # fmt: skip
    sky = sim.random_sky(
        spec.seed,
        WIDTH,
        HEIGHT,
        spec.stars,
        faint=60,
        bright=9000,
        slope=0.4,
        margin=60,
        separation=19,
        colors=0.5,
    )
    middle = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    places, frames, trails = [], [], {}
    for i in range(spec.frames):
        rng = np.random.default_rng([spec.seed, i])
        dx, dy = rng.uniform(-9, 9, 2) if i else (0.0, 0.0)
        turn = spec.degrees[i % len(spec.degrees)] + (0.02 * i if i else 0.0)
        matrix = sim.similarity(dx, dy, turn, 1.0, middle)
        trail = None
        if i == spec.trail_in:
            trail = trails[i] = (-10.0, 40.0, WIDTH + 10.0, 230.0, 3.0, 900.0)
        raw = sim.expose(
            sky, camera, exposure_s=EXPOSURE_S, to_frame=matrix, fwhm_px=spec.fwhm,
            transparency=spec.transparency[i % len(spec.transparency)],
            sky_e_s=SKY_E_S * (1 + 0.05 * i), trail=trail, hits=sim.random_hits(rng, WIDTH, HEIGHT, 6), rng=rng,
        )  # fmt: skip
        path = folder / "lights" / f"light_{i:03d}.fits"
        write_frame(path, raw, [("EXPTIME", EXPOSURE_S, "")])
        places.append(matrix)
        frames.append(plan_frame(path, spec.cfa, i))
    return SimulatedSet(
        folder, spec, camera, sky, places, tuple(frames), _calibration(folder, spec, camera), trails
    )


def _calibration(folder: Path, spec: Spec, camera: sim.Camera) -> Calibration:
    if not spec.calibration:
        return Calibration()
    inputs: dict[str, tuple[InputFile, ...]] = {}
    for kind in ("dark", "flat", "bias"):
        paths = []
        for i in range(spec.calibration):
            rng = np.random.default_rng([spec.seed, len(kind), i])
            pixels = {
                "dark": lambda r: sim.dark(camera, EXPOSURE_S, rng=r),
                "flat": lambda r: sim.flat(camera, rng=r),
                "bias": lambda r: sim.bias(camera, rng=r),
            }[kind](rng)
            path = folder / kind / f"{kind}_{i}.fits"
            write_frame(path, pixels, [("EXPTIME", EXPOSURE_S, "")])
            paths.append(InputFile.of(path))
        inputs[kind] = tuple(paths)

    def spec_of(kind: str, subtract: MasterSpec | None = None) -> MasterSpec:
        return MasterSpec(kind, inputs[kind], WIDTH, HEIGHT, cfa=spec.cfa, subtract=subtract)  # type: ignore[arg-type]

    bias = spec_of("bias")
    return Calibration(dark=spec_of("dark"), bias=bias, flat=spec_of("flat", bias))


def read_result(path: str | Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Pixels (planes, H, W) and the maps of a result."""
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        data = np.asarray(hdus[0].data, np.float32)
        maps = {hdu.name: np.asarray(hdu.data) for hdu in hdus[1:]}
    return (data if data.ndim == 3 else data[None]), maps
