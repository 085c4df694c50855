"""The noise that weights and measured frames promise of a stack, against that of the stack."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Measurement, Session
from astrotui.frames.pixels import read_image
from astrotui.imaging.scoring import frame_weights, predicted_noise
from astrotui.library.index import index_roots
from astrotui.library.measure import measure_sessions
from astrotui.library.planning import make_plan
from astrotui.library.requests import request_stack
from astrotui.stacking.engine import run_plan
from astrotui.stacking.noise import summed_gain
from sample_sessions import sky as sim
from tests.library.simulated_night import HEIGHT, WIDTH, Light, Night


def night_of_clouds(seed: int) -> list[Light]:
    """Clouds come and go, the seeing changes, the Moon rises."""
    rng = np.random.default_rng(seed)
    return [
        Light(
            dx=float(rng.uniform(-6, 6)), dy=float(rng.uniform(-6, 6)), fwhm_px=float(rng.uniform(2.2, 4.0)),
            transparency=float(rng.uniform(0.4, 1.0)), sky_e_s=3.0 + i,
        )
        for i in range(14)
    ]  # fmt: skip


def binned_noise(plane: np.ndarray, stars: np.ndarray, side: int) -> float:
    """Standard deviation of a pixel of the sky, from means of `side` by `side` pixels away from stars and rims."""
    height, width = (n // side for n in plane.shape)
    blocks = plane[: side * height, : side * width].reshape(height, side, width, side).mean(axis=(1, 3))
    y, x = np.mgrid[:height, :width]
    places = np.stack([side * x.ravel() + (side - 1) / 2, side * y.ravel() + (side - 1) / 2], axis=1)
    far = KDTree(stars).query(places)[0].reshape(blocks.shape)
    rim = 28 // side
    inner = (x > rim) & (y > rim) & (x < width - rim - 1) & (y < height - rim - 1)
    values = blocks[inner & (far > 25)]
    for _ in range(5):
        values = values[np.abs(values - values.mean()) < 4 * values.std()]
    assert values.size > 1500
    return side * float(values.std())


@pytest.mark.parametrize(("cfa", "seed"), [(None, 1), (None, 2), ("RGGB", 3), ("RGGB", 4)])
def test_the_noise_of_a_stack_is_as_predicted(
    catalog: Catalog, tmp_path: Path, cfa: str | None, seed: int
) -> None:
    night = Night(tmp_path / "night", seed=seed, cfa=cfa, stars=70, pattern=False)
    lights = night_of_clouds(seed)
    night.take(lights)
    index_roots(catalog, [night.folder])
    measure_sessions(catalog, [1])
    output = tmp_path / "stack.fits"
    plan = make_plan(catalog, request_stack(catalog, [1], output=output, folder=tmp_path), output)
    result = run_plan(plan, masters=tmp_path / "masters", tag="test", workers=2)
    assert result.frames_used == len(lights) and result.predicted_noise_adu is not None
    reference = lights[plan.reference]
    x, y = sim.apply(night.to_frame(reference), night.sky.x, night.sky.y)
    stack = read_image(output)
    green = stack[1] if stack.ndim == 3 else stack
    # Of a mosaic every second pixel is green, and 4x4 of its cells are 8x8 pixels.
    cell = 2 if cfa else 1
    measured = binned_noise(green, np.stack([x, y], axis=1), 4 * cell)
    assert result.predicted_noise_adu * np.sqrt(cell) == pytest.approx(measured, rel=0.05)
    # And the same from the catalogue's numbers alone, as a choice of frames is judged before anything is stacked.
    with catalog.read() as db:
        rows = list(db.scalars(select(Measurement)))
        held = db.scalars(select(Session.reference_id)).one()
    clear = np.array([row.transparency for row in rows])
    noise = np.array([row.noise_adu for row in rows])
    assert clear[[row.frame_id for row in rows].index(held)] == 1.0
    weights = frame_weights(
        "depth", noise_adu=noise, fwhm_px=[row.fwhm_px for row in rows], transparency=clear, stars=clear
    )
    promised = predicted_noise(weights, 1 / clear, noise) * np.sqrt(cell)
    promised *= clear[plan.reference]  # fluxes of the stack are those of its reference
    promised *= summed_gain(plan.recipe, plan.cfa)
    assert promised == pytest.approx(measured, rel=0.05)
    assert (result.width, result.height) == (WIDTH, HEIGHT)
