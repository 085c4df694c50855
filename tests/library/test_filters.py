"""Mono sets: one stack of each filter, all on one frame, which compose need not move."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from several_nights import NightSpec, make_sky, read_in, write_nights
from test_nights import light_of_stars

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame
from astrotui.errors import UsageError
from astrotui.frames.pixels import read_image
from astrotui.library.planning import check_request, make_plan
from astrotui.library.reference import measured_sessions
from astrotui.library.requests import request_stack
from astrotui.library.splitting import split_by_filter
from astrotui.stacking.compose import compose
from astrotui.stacking.engine import run_plan
from astrotui.stacking.recipe import Recipe
from sample_sessions import sky as sim

LUM = NightSpec("lum", cfa=None, filter="L", band=1, lights=4, calibrated=False, vignette=0.0)
RED = replace(LUM, name="red", filter="Red", band=0, turn=12.0, seed=3, transparency=0.6, fwhm_px=2.9)
HALPHA = replace(LUM, name="ha", filter="Ha", band=0, turn=182.0, seed=5, transparency=0.25, exposure_s=20.0)


def test_stacks_of_filters_lie_on_each_other(catalog: Catalog, tmp_path: Path) -> None:
    sky = make_sky(stars=110)
    made = write_nights(tmp_path / "target", sky, LUM, RED, HALPHA)
    ids = read_in(catalog, made)
    requests = split_by_filter(catalog, list(ids.values()), output=None, folder=tmp_path)
    assert {name: set(r.sessions) for name, r in requests.items()} == {
        "L": {ids["lum"]}, "Red": {ids["red"]}, "Ha": {ids["ha"]},
    }  # fmt: skip
    paths, nights = {}, {"L": LUM, "Red": RED, "Ha": HALPHA}
    anchors = set()
    for name, request in requests.items():
        check_request(catalog, request)
        assert set(measured_sessions(catalog, request)) == set(ids.values())
        paths[name] = tmp_path / f"{name}.fits"
        plan = make_plan(catalog, request, paths[name])
        result = run_plan(plan, masters=tmp_path / "masters", tag="test", workers=2)
        assert result.frames_used == nights[name].lights
        assert result.reference == plan.base.file.path
        anchors.add(plan.base.file.path)
        data = read_image(paths[name])
        assert data.shape == (plan.base.height, plan.base.width)
        # Its light is that of its own filter: the level is that of its own best frame.
        seen = replace(made, sky=replace(sky, flux=np.repeat(sky.flux[nights[name].band][None], 3, axis=0)))
        own = replace(nights[name], cfa="RGGB")  # of the helper: which cells the flat's mean is of
        ratios = light_of_stars(plan, seen, data[None], own)[0]
        assert len(ratios) >= 4 and abs(np.median(ratios) - 1) < 0.02
    assert len(anchors) == 1
    composed = compose("rgb", [paths["Ha"], paths["Red"], paths["L"]], tmp_path / "color.fits")
    for channel in composed.channels:
        assert np.hypot(channel.dx_px, channel.dy_px) < 0.06 and abs(channel.rotation_deg) < 0.01
    # Nothing was resampled: each plane is its stack but for level and scale.
    color, red = read_image(tmp_path / "color.fits"), read_image(paths["Ha"])
    valid = np.isfinite(color[0]) & np.isfinite(red)
    assert np.corrcoef(color[0][valid], red[valid])[0, 1] > 0.99999


def test_a_reference_outside_of_the_stack(catalog: Catalog, tmp_path: Path) -> None:
    made = write_nights(tmp_path / "target", make_sky(stars=110), LUM, RED)
    ids = read_in(catalog, made)
    with catalog.read() as db:
        lum = db.query(Frame).filter(Frame.session_id == ids["lum"]).order_by(Frame.path).first()
    assert lum is not None
    request = request_stack(catalog, [ids["red"]], folder=tmp_path, reference=lum.id)
    check_request(catalog, request)
    plan = make_plan(catalog, request, tmp_path / "red.fits")
    result = run_plan(plan, masters=tmp_path / "masters", tag="test", workers=2)
    assert (
        plan.anchor is not None and result.frames_used == RED.lights and result.reference.endswith(lum.path)
    )
    for outcome in result.frames:
        x, y = sim.apply(
            np.array(outcome.transform).reshape(3, 3) @ made.to_frame[outcome.path], 200.0, 150.0
        )
        wanted = sim.apply(made.to_frame[result.reference], 200.0, 150.0)
        assert np.hypot(x - wanted[0], y - wanted[1]) < 0.1
    wrong = replace(request, reference=99999)
    with pytest.raises(UsageError, match="no light has that number"):
        check_request(catalog, wrong)


def test_split_writes_into_a_folder(catalog: Catalog, tmp_path: Path) -> None:
    made = write_nights(tmp_path / "target", make_sky(), replace(LUM, lights=2), replace(RED, lights=2))
    ids = read_in(catalog, made)
    with pytest.raises(UsageError, match="must name a folder"):
        split_by_filter(catalog, list(ids.values()), output=tmp_path / "one.fits", folder=tmp_path)
    place = tmp_path / "results"
    found = split_by_filter(catalog, list(ids.values()), output=place, folder=tmp_path)
    assert len({request.output for request in found.values()}) == 2
    assert all(Path(request.output).parent == place for request in found.values())


@pytest.mark.parametrize(
    ("name", "debayer"), [("LP", "bilinear"), ("Duo-Band", "bilinear"), ("IRCUT", "auto")]
)
def test_colors_of_a_dual_band_filter_are_kept_apart(
    catalog: Catalog, tmp_path: Path, name: str, debayer: str
) -> None:
    made = write_nights(tmp_path / "target", make_sky(), replace(LUM, cfa="RGGB", filter=name, lights=2))
    read_in(catalog, made)
    plan = make_plan(catalog, request_stack(catalog, [1], folder=tmp_path), tmp_path / "stack.fits")
    assert plan.recipe.debayer == debayer
    asked = request_stack(catalog, [1], folder=tmp_path, recipe=Recipe(debayer="malvar"))
    assert make_plan(catalog, asked, tmp_path / "stack.fits").recipe.debayer == "malvar"
