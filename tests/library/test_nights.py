"""Nights of one target as one stack, against what is true of the sky: places, light, noise; and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree
from several_nights import WIDTH, Nights, NightSpec, camera_of, make_sky, read_in, write_nights

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Session
from astrotui.errors import PlanError
from astrotui.frames.pixels import read_image
from astrotui.library.planning import make_plan
from astrotui.library.requests import request_stack
from astrotui.stacking.engine import run_plan
from astrotui.stacking.export import export_siril
from astrotui.stacking.manifest import write_manifest
from astrotui.stacking.plan import StackPlan
from astrotui.stacking.recipe import Recipe
from astrotui.stacking.result import StackResult
from sample_sessions import sky as sim

FIRST = NightSpec("first")
FLIPPED = NightSpec(  # the same telescope, after its mount went over to the other side
    "flipped",
    seed=1,
    exposure_s=20.0,
    turn=180.4,
    transparency=0.9,
    fwhm_px=2.9,
    sky_e_s=4.0,
    date="2025-06-03",
)
OTHER = NightSpec(  # another camera on a telescope of nearly the same scale
    "other", seed=2, size=(600, 380), cfa="GBRG", e_per_adu=0.5, bias_adu=600.0, gain=250, turn=37.0, scale=1.01,
    transparency=0.7, date="2025-07-01",
)  # fmt: skip


def stack(
    catalog: Catalog, folder: Path, sessions: list[int], **options: object
) -> tuple[StackPlan, StackResult, np.ndarray]:
    output = folder / "stack.fits"
    plan = make_plan(
        catalog, request_stack(catalog, sessions, output=output, folder=folder, **options), output
    )
    result = run_plan(plan, masters=folder / "masters", tag="test", workers=2)
    return plan, result, read_image(output)


def onto_stack(plan: StackPlan, made: Nights) -> sim.Float64:
    """From the sky to the pixels of the result."""
    return made.to_frame[plan.base.file.path]


def check_places(plan: StackPlan, result: StackResult, made: Nights, limit: float) -> None:
    """Every frame lies where it is, within `limit` px (root mean square over the field)."""
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(20, WIDTH - 20, 8), np.linspace(20, 360, 8)))
    wanted = np.stack(sim.apply(onto_stack(plan, made), x, y))
    for outcome in result.frames:
        assert outcome.used, outcome.reason
        found = np.array(outcome.transform).reshape(3, 3)
        off = np.stack(sim.apply(found @ made.to_frame[outcome.path], x, y)) - wanted
        assert np.sqrt((off**2).sum(axis=0).mean()) < limit, outcome.path


def lone_stars(
    plan: StackPlan, made: Nights, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices and places in the result of stars that every frame shows."""
    x, y = sim.apply(onto_stack(plan, made), made.sky.x, made.sky.y)
    inside = (x > 30) & (y > 30) & (x < shape[1] - 31) & (y < shape[0] - 31)
    for frame in plan.frames:
        u, v = sim.apply(made.to_frame[frame.file.path], made.sky.x, made.sky.y)
        inside &= (u > 25) & (v > 25) & (u < frame.width - 26) & (v < frame.height - 26)
    return np.flatnonzero(inside), x, y


def light_of_stars(plan: StackPlan, made: Nights, data: np.ndarray, base: NightSpec) -> list[np.ndarray]:
    """By plane, light in apertures over what the reference night would have recorded of it without noise."""
    chosen, x, y = lone_stars(plan, made, data.shape[-2:])
    field = sim.flat_field(camera_of(base))
    cells = sim.channel_map(base.cfa, *field.shape)
    v, u = np.mgrid[-14:15, -14:15]
    ratios = []
    for k, plane in enumerate(data):
        counts = made.sky.flux[k] * base.exposure_s * base.transparency / base.e_per_adu
        counts = counts * field[cells == k].mean()  # flats keep the mean light
        found = []
        for i in chosen:
            if not 15000 < counts[i] < 300000:
                continue
            ix, iy = round(x[i]), round(y[i])
            box = plane[iy - 14 : iy + 15, ix - 14 : ix + 15].astype(float)
            r = np.hypot(u - (x[i] - ix), v - (y[i] - iy))
            found.append(((box - np.median(box[r > 10])) * np.clip(8.5 - r, 0, 1)).sum() / counts[i])
        ratios.append(np.array(found))
    return ratios


def binned_noise(plane: np.ndarray, stars: np.ndarray, side: int) -> float:
    """Noise of a pixel of the sky, from means of `side` by `side` pixels away from stars and rims."""
    height, width = (n // side for n in plane.shape)
    blocks = plane[: side * height, : side * width].reshape(height, side, width, side).mean(axis=(1, 3))
    y, x = np.mgrid[:height, :width]
    places = np.stack([side * x.ravel() + (side - 1) / 2, side * y.ravel() + (side - 1) / 2], axis=1)
    far = KDTree(stars).query(places)[0].reshape(blocks.shape)
    values = blocks[np.isfinite(blocks) & (far > 20)]
    for _ in range(5):
        values = values[np.abs(values - values.mean()) < 4 * values.std()]
    assert values.size > 700
    return side * float(values.std())


def test_three_nights_are_one_stack(catalog: Catalog, tmp_path: Path) -> None:
    nights = (FIRST, FLIPPED, OTHER)
    made = write_nights(tmp_path / "target", make_sky(), *nights)
    ids = read_in(catalog, made)
    plan, result, data = stack(catalog, tmp_path, list(ids.values()))
    assert result.frames_used == sum(night.lights for night in nights)
    write_manifest(plan, result, Path(plan.manifest), "test")
    with pytest.raises(PlanError, match="several cameras"):
        export_siril(Path(plan.manifest), tmp_path / "siril")
    assert not (tmp_path / "siril").exists()
    # Each night has the darks, flats and pattern of its own camera.
    for frame in plan.frames:
        calibration = plan.calibrations[frame.calibration]
        folder = Path(frame.file.path).parents[1]
        assert calibration.dark is not None and calibration.flat is not None
        for master in (calibration.dark, calibration.flat):
            assert all(Path(one.path).is_relative_to(folder) for one in master.inputs)
            assert (master.width, master.height) == (frame.width, frame.height)
        assert frame.cfa == next(n.cfa for n in nights if n.name == folder.name)
    check_places(plan, result, made, 0.06)
    base = next(n for n in nights if n.name == Path(plan.base.file.path).parents[1].name)
    for ratios in light_of_stars(plan, made, data, base):
        assert len(ratios) >= 5
        assert abs(np.median(ratios) - 1) < 0.02
        assert 1.4826 * np.median(np.abs(ratios - np.median(ratios))) < 0.02


def test_a_camera_that_weighs_colors_otherwise(catalog: Catalog, tmp_path: Path) -> None:
    other = replace(OTHER, response=(1.35, 1.0, 0.7), lights=4, transparency=1.0, fwhm_px=3.0)
    made = write_nights(tmp_path / "target", make_sky(), replace(FIRST, lights=4), other)
    ids = read_in(catalog, made)
    with catalog.read() as db:
        first = db.query(Session).filter(Session.id == ids["first"]).one().reference_id
    plan, result, data = stack(catalog, tmp_path, list(ids.values()), reference=first)
    assert result.frames_used == 8
    for outcome in result.frames:
        assert outcome.factor is not None
        red, green, blue = outcome.factor
        wanted = (1.0, 1.0) if "first" in outcome.path else (1 / 1.35, 1 / 0.7)
        assert (red / green, blue / green) == pytest.approx(wanted, rel=0.03)
    for ratios in light_of_stars(plan, made, data, FIRST):
        assert abs(np.median(ratios) - 1) < 0.02
        assert 1.4826 * np.median(np.abs(ratios - np.median(ratios))) < 0.025


def test_noise_of_several_nights_is_as_predicted(catalog: Catalog, tmp_path: Path) -> None:
    nights = (
        replace(night, vignette=0.0) for night in (FIRST, FLIPPED, OTHER)
    )  # noise that is even over the field
    made = write_nights(tmp_path / "target", make_sky(stars=40), *nights)
    ids = read_in(catalog, made)
    plan, result, data = stack(catalog, tmp_path, list(ids.values()), recipe=Recipe(frame="intersection"))
    x, y = sim.apply(onto_stack(plan, made), made.sky.x, made.sky.y)
    assert result.predicted_noise_adu is not None
    # the brightest star tells where in the reference the intersection begins
    brightest = np.unravel_index(np.nanargmax(data[1]), data[1].shape)
    star = np.argmax(np.where((x > 0) & (x < plan.width) & (y > 0) & (y < plan.height), made.sky.flux[1], 0))
    stars = np.stack([x - x[star] + brightest[1], y - y[star] + brightest[0]], axis=1)
    measured = binned_noise(data[1], stars, 8)
    assert result.predicted_noise_adu * np.sqrt(2) == pytest.approx(measured, rel=0.05)


def test_a_mirrored_night_is_turned_over(catalog: Catalog, tmp_path: Path) -> None:
    other = replace(OTHER, mirrored=True, turn=90.0, scale=1.0, cfa="RGGB")
    made = write_nights(tmp_path / "target", make_sky(), FIRST, other)
    ids = read_in(catalog, made)
    plan, result, data = stack(catalog, tmp_path, list(ids.values()))
    assert result.frames_used == FIRST.lights + other.lights
    check_places(plan, result, made, 0.06)
    base = FIRST if "first" in plan.base.file.path else other
    assert all(abs(np.median(r) - 1) < 0.02 for r in light_of_stars(plan, made, data, base))


def test_pixels_of_another_scale_are_told(catalog: Catalog, tmp_path: Path) -> None:
    other = replace(OTHER, scale=1.3, turn=3.0, lights=3)
    made = write_nights(tmp_path / "target", make_sky(), FIRST, other)
    ids = read_in(catalog, made)
    _, result, _ = stack(catalog, tmp_path, list(ids.values()))
    reasons = {one.reason for one in result.frames_skipped}
    assert result.frames_used == FIRST.lights and len(result.frames_skipped) == 3
    assert all("0.769 times as large" in reason and "2%" in reason for reason in reasons)


def test_each_frame_of_a_drifting_sensor_has_the_nearest_dark(catalog: Catalog, tmp_path: Path) -> None:
    night = replace(FIRST, warm_c=(10.0, 13.0, 16.0), dark_c=(10.0, 13.0, 16.0), lights=6)
    made = write_nights(tmp_path / "target", make_sky(), night)
    ids = read_in(catalog, made)
    plan, result, _ = stack(catalog, tmp_path, list(ids.values()))
    assert len(plan.calibrations) == 3
    for number, frame in enumerate(sorted(plan.frames, key=lambda f: f.file.path)):
        calibration = plan.calibrations[frame.calibration]
        wanted = f"darks_{night.warm_c[number % 3]:.0f}"
        assert calibration.dark is not None and Path(calibration.dark.inputs[0].path).parent.name == wanted
        assert any(wanted in text for text in calibration.reasons)
    assert result.frames_used == 6


def test_mono_and_color_are_refused(catalog: Catalog, tmp_path: Path) -> None:
    mono = replace(OTHER, cfa=None, lights=2, calibrated=False)
    made = write_nights(tmp_path / "target", make_sky(), replace(FIRST, lights=2, calibrated=False), mono)
    ids = read_in(catalog, made)
    with pytest.raises(PlanError, match=r"mono \(session 2\).* cannot be one stack") as error:
        request_stack(catalog, list(ids.values()), folder=tmp_path)
    assert "\n" not in str(error.value)


def test_mixed_up_filters_are_refused_unless_wished_for(catalog: Catalog, tmp_path: Path) -> None:
    plain = replace(FIRST, cfa=None, lights=2, calibrated=False)
    made = write_nights(
        tmp_path / "target", make_sky(), replace(plain, filter="L"), replace(plain, name="red", filter="Ha 7nm"),
        replace(plain, name="more", filter="Lum"),
    )  # fmt: skip
    ids = read_in(catalog, made)
    with pytest.raises(PlanError, match=r"filters are mixed up.*--split filter"):
        request_stack(catalog, list(ids.values()), folder=tmp_path)
    assert request_stack(catalog, [ids["first"], ids["more"]], folder=tmp_path).frames
    assert request_stack(catalog, list(ids.values()), folder=tmp_path, mix_filters=True).frames


def test_fields_without_common_sky_are_refused(catalog: Catalog, tmp_path: Path) -> None:
    plain = replace(FIRST, lights=2, calibrated=False, pointing=(250.4, 36.5))
    far = replace(plain, name="far", target="M 51", pointing=(202.5, 47.2))
    made = write_nights(tmp_path / "target", make_sky(), plain, far)
    ids = read_in(catalog, made)
    with pytest.raises(PlanError, match=r"\(M 51\) and .*\(M 13\) lie 36\.. degrees apart"):
        request_stack(catalog, list(ids.values()), folder=tmp_path)
