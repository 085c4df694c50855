"""A dark of another exposure: its scale is fitted to the lights, said, and refused where none suits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_sets import EXPOSURE_S, HEIGHT, WIDTH, Spec, make_set
from engine_sets import read_result as read_pixels

from astrotui.stacking.engine import run_plan
from astrotui.stacking.manifest import manifest_table, read_result, write_manifest
from astrotui.stacking.plan import Calibration, InputFile, MasterSpec, StackPlan
from sample_sessions import sky as sim
from sample_sessions.fitsfile import write_frame

TRUE_SCALE = 0.5
BY_EXPOSURE = 0.4  # what the ratio of exposures says: the dark was warmer


def scaled_plan(folder: Path, *, hot: int = 3000, glow_e_s: float = 0.0) -> tuple[StackPlan, sim.Camera]:
    """Five lights with a dark whose signal is twice theirs, but not by its exposure."""
    made = make_set(folder, Spec(seed=4, frames=5, hot=hot, trail_in=None, degrees=(0.0,)))
    camera = replace(made.camera, amp_glow_e_s=glow_e_s)
    darks = []
    for i in range(9):
        pixels = sim.dark(camera, EXPOSURE_S / TRUE_SCALE, rng=np.random.default_rng([7, i]))
        path = folder / "long" / f"dark_{i}.fits"
        write_frame(path, pixels, [("EXPTIME", EXPOSURE_S / BY_EXPOSURE, "")])
        darks.append(InputFile.of(path))
    spec = MasterSpec("dark", tuple(darks), WIDTH, HEIGHT, cfa="RGGB")
    calibration = Calibration(
        dark=spec, bias=made.calibration.bias, flat=made.calibration.flat, dark_scale=BY_EXPOSURE
    )
    return made.plan(folder / "out.fits", calibrations=(calibration,), cosmetic="off", reject="none"), camera


def residue(output: str, camera: sim.Camera) -> float:
    """What hot pixels leave in the reference's red, green and blue places, over the sky, relative to what they are."""
    pixels = read_pixels(output)[0]
    hot = [
        (x, y, e) for x, y, e in camera.hot if 20 < x < WIDTH - 20 and 20 < y < HEIGHT - 20 and 20 < e < 300
    ]
    found = []
    for x, y, e in hot:
        plane = pixels[{(0, 0): 0, (1, 1): 2}.get((y % 2, x % 2), 1)]
        around = np.median(plane[y - 6 : y + 7, x - 6 : x + 7])
        found.append((plane[y, x] - around) / (e * EXPOSURE_S / 0.8))
    return float(np.median(found))


def test_the_scale_is_fitted_to_the_lights_and_said(tmp_path: Path) -> None:
    plan, _ = scaled_plan(tmp_path)
    result = run_plan(plan, masters=tmp_path / "masters", tag="t", workers=2)
    (note,) = result.notes
    assert "fitted to" in note and "by exposure it would be 0.4" in note
    factor = float(note.partition(" times ")[2].partition(",")[0])
    assert factor == pytest.approx(TRUE_SCALE, rel=0.03)
    write_manifest(plan, result, Path(plan.manifest), "t")
    assert read_result(Path(plan.manifest)).notes == result.notes
    assert manifest_table(plan, result)["result"]["notes"] == [note]
    assert not any("glow" in warning for warning in result.warnings)


def test_a_fitted_scale_leaves_less_of_the_hot_pixels(tmp_path: Path) -> None:
    plan, camera = scaled_plan(tmp_path)
    one = replace(plan, frames=plan.frames[:1])
    fitted = run_plan(one, masters=tmp_path / "masters", tag="t", workers=2)
    as_it_is = replace(one, calibrations=(replace(plan.calibrations[0], dark_scale=None),))
    as_it_is = replace(as_it_is, output=str(tmp_path / "whole.fits"))
    whole = run_plan(as_it_is, masters=tmp_path / "masters", tag="t", workers=2)
    assert abs(residue(fitted.output, camera)) < 0.03
    assert residue(whole.output, camera) < -0.5  # twice of what is there was taken off


def test_a_dark_with_glow_is_not_scaled(tmp_path: Path) -> None:
    plan, _ = scaled_plan(tmp_path, glow_e_s=20.0)
    result = run_plan(plan, masters=tmp_path / "masters", tag="t", workers=2)
    assert "glow" in result.notes[0]
    assert result.notes[0] in result.warnings
    as_it_is = replace(plan.calibrations[0], dark_scale=None)
    other = replace(plan, calibrations=(as_it_is,), output=str(tmp_path / "whole.fits"))
    whole = run_plan(other, masters=tmp_path / "masters", tag="t", workers=2)
    np.testing.assert_array_equal(read_pixels(result.output)[0], read_pixels(whole.output)[0])


def test_without_warm_pixels_the_exposures_decide(tmp_path: Path) -> None:
    plan, _ = scaled_plan(tmp_path, hot=3)
    result = run_plan(plan, masters=tmp_path / "masters", tag="t", workers=2)
    assert "times 0.4, by exposure: only" in result.notes[0]
