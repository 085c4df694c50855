"""Frames that real telescopes wrote: read rightly, aligned plausibly, and quieter when stacked."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import mad_std

from tests.e2e.conftest import Shell


def noise(plane: np.ndarray) -> float:
    """Pixel noise from differences of neighbors two apart, so that gradients do not count."""
    middle = plane[plane.shape[0] // 4 : -plane.shape[0] // 4, plane.shape[1] // 4 : -plane.shape[1] // 4]
    return float(mad_std(middle[:, 4:] - middle[:, :-4], ignore_nan=True) / np.sqrt(2))


@pytest.mark.parametrize(
    ("folder", "lights", "facts", "stars"),
    [
        (
            "seestar_m94",
            11,
            {
                "target": "M 94",
                "exposure_s": 10.0,
                "gain": 80.0,
                "cfa": "GRBG",
                "width": 1080,
                "night": "2025-04-09",
            },
            20,
        ),
        (
            "dwarf2_m94",
            6,
            {
                "target": "M94",
                "exposure_s": 10.0,
                "gain": 80.0,
                "cfa": "GBRG",
                "width": 1920,
                "binning": "2x2",
            },
            20,
        ),
        ("als_m27", 6, {"target": None, "exposure_s": 6.0, "gain": 180.0, "cfa": "RGGB", "width": 1304}, 100),
        (
            "oscaar_tres1",
            24,
            {
                "target": None,
                "exposure_s": 60.0,
                "cfa": None,
                "width": 1092,
                "binning": "2x2",
                "filter": "Filter 2",
            },
            300,
        ),
    ],
)
def test_real_sets(
    shell: Shell,
    real_frames: Path,
    tmp_path: Path,
    folder: str,
    lights: int,
    facts: dict[str, object],
    stars: int,
) -> None:
    assert shell("index", real_frames / folder, "--json").json["quarantined"] == 0
    (session,) = shell("sessions", "--json").json
    assert session["lights"] == lights
    assert {key: session[key] for key in facts} == facts
    done = shell("stack", str(session["id"]), "-o", tmp_path / "out.fits", "--json")
    assert done.code == 0, done.err
    result = done.json
    assert result["frames_used"] >= lights - 1
    assert (result["dark"] is not None) == (folder == "oscaar_tres1")
    frames = shell("frames", str(session["id"]), "--json").json
    assert np.median([f["stars"] for f in frames]) >= stars
    shifts = np.array([(f["dx_px"], f["dy_px"]) for f in frames])
    if folder == "oscaar_tres1":  # it drifts by over 100 pixels, evenly: hot pixels would say 0
        assert np.ptp(shifts, axis=0).max() > 100
        assert np.all(np.diff(shifts[:, 1]) > 0)
    with fits.open(result["output"]) as hdus:
        data = np.asarray(hdus[0].data, np.float32)
    green = data[1] if data.ndim == 3 else data
    raw = fits.getdata(frames[0]["path"]).astype(np.float32)
    single = raw if session["cfa"] is None else raw[1::2, 1::2] if session["cfa"][3] == "G" else raw[::2, ::2]
    assert noise(green) < 0.75 * noise(single) / np.sqrt(result["frames_used"]) * 2


def test_odd_files_never_raise(shell: Shell, real_frames: Path) -> None:
    index = shell("index", real_frames / "odd", "--json")
    assert index.code == 0 and index.json["frames"] > 40 and index.json["quarantined"] >= 5
    measured = shell("measure", "--json")
    assert measured.code == 0, measured.err
    assert "Traceback" not in measured.err
    for session in shell("sessions", "--json").json:
        for frame in shell("frames", str(session["id"]), "--json").json:
            assert frame["score"] is not None or frame["status"] == "quarantined", frame
