"""A camera on a tripod under a turning sky, and panels of a mosaic, for the tests of where frames lie."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from astrotui.imaging.quality import measure_frame
from astrotui.stacking.plan import InputFile, PlanFrame, StackPlan
from astrotui.stacking.recipe import Recipe
from sample_sessions import sky as sim
from sample_sessions.fitsfile import write_frame

EXPOSURE_S = 10.0
Mono = np.ndarray


def camera(width: int, height: int, seed: int = 1) -> sim.Camera:
    return sim.Camera(width, height, None, e_per_adu=1.0, read_noise_e=3.0, bias_adu=300, seed=seed)


def expose_to(
    path: Path,
    sky: sim.Sky,
    cam: sim.Camera,
    index: int,
    *,
    to_frame: np.ndarray,
    lens: sim.Lens | None = None,
    minutes: float = 0.5,
    **light: object,
) -> PlanFrame:
    """Write a frame and measure it."""
    raw = sim.expose(
        sky,
        cam,
        exposure_s=EXPOSURE_S,
        to_frame=to_frame,
        fwhm_px=2.6,
        lens=lens,
        rng=np.random.default_rng([7, index]),
        **{"sky_e_s": 8.0, **light},  # type: ignore[arg-type]
    )
    write_frame(path, raw, [("EXPTIME", EXPOSURE_S, "")])
    found = measure_frame(raw, cfa_phase=None, full_scale_adu=65535.0)
    seconds = 60 * minutes * index
    return PlanFrame(
        InputFile.of(path),
        found.star_list,
        frame_id=1000 + index,
        width=cam.width,
        height=cam.height,
        exposure_s=EXPOSURE_S,
        date_obs=f"2025-09-20T{20 + int(seconds // 3600):02d}:{int(seconds // 60) % 60:02d}:{seconds % 60:09.6f}",
        background_adu=found.background_adu,
        noise_adu=found.noise_adu,
        fwhm_px=found.fwhm_px,
        fwhm_a_px=found.fwhm_a_px,
        fwhm_b_px=found.fwhm_b_px,
        score=80.0,
    )


def plan_of(frames: list[PlanFrame], output: Path, reference: int, **recipe: object) -> StackPlan:
    own = {k: recipe.pop(k) for k in list(recipe) if k in StackPlan.__dataclass_fields__}
    plan = StackPlan(
        name="wide",
        frames=tuple(frames),
        reference=reference,
        recipe=Recipe(**recipe),  # type: ignore[arg-type]
        output=str(output),
        manifest=str(output.with_suffix(".json")),
        width=frames[reference].width,
        height=frames[reference].height,
        full_scale_adu=65535.0,
        header={"OBJECT": "Simulated field"},
    )
    return replace(plan, **own)  # type: ignore[arg-type]


def centroid(image: Mono, x: float, y: float, reach: int = 5) -> tuple[float, float]:
    """Place of a star near (x, y): iterated moments under a Gaussian window."""
    for _ in range(8):
        ix, iy = round(x), round(y)
        box = image[iy - reach : iy + reach + 1, ix - reach : ix + reach + 1].astype(float)
        v, u = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        box = box - np.median(image[iy - 9 : iy + 10, ix - 9 : ix + 10])
        w = np.exp(-((u - (x - ix)) ** 2 + (v - (y - iy)) ** 2) / (2 * 1.3**2)) * box
        x, y = x + 2 * ((u * w).sum() / w.sum() - (x - ix)), y + 2 * ((v * w).sum() / w.sum() - (y - iy))
    return x, y


def lone(sky: sim.Sky, x: np.ndarray, y: np.ndarray, faintest: float, apart: float = 14.0) -> np.ndarray:
    """Stars brighter than `faintest` e-/s without a neighbor, at places (x, y)."""
    near = np.hypot(x[:, None] - x, y[:, None] - y) + 1e9 * np.eye(len(x))
    return np.flatnonzero((near.min(axis=1) > apart) & (sky.flux[1] > faintest))
