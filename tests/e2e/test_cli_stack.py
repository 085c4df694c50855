"""From raw frames to a picture through the shell, and what bad input does on the way."""

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from astropy.io import fits
from PIL import Image

from tests.e2e.conftest import Shell

STACK_KEYS = (
    "id job_id status output manifest preview sessions frames_used frames_skipped reference dark flat bias integration_s "
    "rejected_fraction noise_adu fwhm_px seconds stages"
).split()
M42 = "DWARF_II/Astronomy/DWARF_RAW_M42_EXP_10_GAIN_60_2025-01-25-21-13-52-418"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_main_job(shell: Shell, samples: Path, tmp_path: Path) -> None:
    assert shell("index", samples).code == 0
    done = shell("stack", "m42", "-o", tmp_path / "stacked_image.fits", "--json")
    assert done.code == 0, done.err
    result = done.json
    assert all(key in result for key in STACK_KEYS)
    assert result["status"] == "done" and result["frames_used"] >= 14
    assert result["dark"] is not None and result["integration_s"] == 10.0 * result["frames_used"]
    assert Path(result["output"]) == tmp_path / "stacked_image.fits"
    with fits.open(result["output"]) as hdus:
        header, data = hdus[0].header, hdus[0].data
        assert data.shape == (3, 336, 576) and header["BITPIX"] == -32
        assert header["STACKCNT"] == result["frames_used"] and "BAYERPAT" not in header
        assert np.isfinite(data).mean() > 0.95
    assert shell("stacks", "--json").json[0]["output"] == result["output"]
    # The same name again: refused before any work, and nothing changes.
    before = contents(tmp_path)
    again = shell("stack", "m42", "-o", tmp_path / "stacked_image.fits")
    assert again.code == 1 and "exists" in again.err and again.err.count("\n") == 1
    assert contents(tmp_path) == before
    # The manifest runs the same stack again: the same pixels.
    rerun = shell("stack", "--plan", result["manifest"], "-o", tmp_path / "again.fits", "--json")
    assert rerun.code == 0, rerun.err
    np.testing.assert_array_equal(fits.getdata(tmp_path / "again.fits"), data)
    picture = shell("render", tmp_path / "stacked_image.fits", "-o", tmp_path / "picture.png")
    assert picture.code == 0, picture.err
    pixels = np.asarray(Image.open(tmp_path / "picture.png"))
    assert pixels.shape[:2] == (336, 576) and 10 < np.median(pixels) < 90
    # Nothing was left beside the results, and no raw frame was touched.
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".part")]


def test_equal_stacks_are_equal_to_the_byte(shell: Shell, samples: Path, tmp_path: Path) -> None:
    assert shell("index", samples / "NINA").code == 0
    first = shell("stack", "m51", "-o", tmp_path / "first.fits", "--json").json
    others = (
        ("stack", "--plan", first["manifest"], "-o", tmp_path / "again.fits"),
        ("stack", "m51", "--memory", "400MB", "-o", tmp_path / "small.fits"),
        ("stack", "m51", "--workers", "1", "-o", tmp_path / "alone.fits"),
    )
    stored = Path(first["output"]).read_bytes()
    for words in others:
        result = shell(*words, "--json").json
        assert result["content_digest"] == first["content_digest"], words
        assert Path(result["output"]).read_bytes() == stored, words
    # Also under its own name, where the first is gone.
    for path in (first["output"], first["manifest"], first["preview"]):
        shutil.move(path, tmp_path / ("old_" + Path(path).name))
    assert shell("stack", "--plan", tmp_path / "old_first.json").code == 0
    assert Path(first["output"]).read_bytes() == stored


def test_bad_frames_do_not_stop_a_stack(shell: Shell, samples: Path, tmp_path: Path) -> None:
    night = tmp_path / "night"
    shutil.copytree(samples / M42, night)
    frames = sorted(night.glob("raw_*.fits"))
    frames[1].write_bytes(frames[1].read_bytes()[:5000])  # truncated
    with fits.open(frames[2], mode="update") as hdus:  # black
        hdus[0].data[:] = 0
    cut = fits.getdata(frames[3])[:200]
    fits.writeto(frames[3], cut, fits.getheader(frames[3]), overwrite=True)  # of another size
    (night / "shotsInfo.json").write_text('{"exp": "10", "gain')  # a broken sidecar
    before = contents(night)
    for path in night.iterdir():
        path.chmod(0o444)
    night.chmod(0o555)  # a read-only library
    try:
        index = shell("index", night, "--json")
        assert index.code == 0 and index.json["quarantined"] == 1
        done = shell("stack", night, "-o", tmp_path / "out.fits", "--json")
        assert done.code == 0, done.err
        result = done.json
        reasons = {Path(s["path"]).name: s["reason"] for s in result["frames_skipped"]}
        assert frames[2].name in reasons and frames[3].name in reasons
        assert "size" in reasons[frames[3].name]
        assert result["frames_used"] >= 11
        listed = {Path(f["path"]).name: f for f in shell("frames", night, "--json").json}
        assert listed[frames[2].name]["score"] == 0 and listed[frames[2].name]["reasons"]
    finally:
        night.chmod(0o755)
    assert contents(night) == before


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [
        ("taken.fits", 1, "exists"),
        ("no/such/folder/out.fits", 1, "folder"),
        ("out.png", 2, "FITS"),
    ],
)
def test_outputs_that_cannot_be(
    shell: Shell, samples: Path, tmp_path: Path, output: str, code: int, message: str
) -> None:
    (tmp_path / "taken.fits").write_bytes(b"mine")
    shell("index", samples / "DWARF3")
    done = shell("stack", "m45", "-o", tmp_path / output)
    assert done.code == code and message in done.err and done.err.count("\n") == 1
    assert (tmp_path / "taken.fits").read_bytes() == b"mine"
    assert [job["kind"] for job in shell("jobs", "--json").json] == ["index"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(shell: Shell, samples: Path, tmp_path: Path) -> None:
    shell("index", samples / "DWARF3")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    done = shell("stack", "m45", "-o", locked / "out.fits")
    assert done.code == 1 and "locked" in done.err and done.err.count("\n") == 1


def test_the_seed_program_s_case(shell: Shell, samples: Path, tmp_path: Path) -> None:
    """A folder of raw_M51_15s_60_*.fits, `shotsinfo.json` in small letters, darks at another gain: refused, said."""
    root = tmp_path / "Astronomy"
    night = root / "DWARF_RAW_M51_EXP_15_GAIN_60_2024-05-05-23-02-57-312"
    night.mkdir(parents=True)
    for number, frame in enumerate(sorted((samples / M42).glob("raw_*.fits"))[:6]):
        data, header = fits.getdata(frame, header=True)
        header["EXP"], header["OBJECT"] = 15.0, "M51"
        fits.writeto(night / f"raw_M51_15s_60_{number:04}.fits", data, header)
    sidecar = {
        "exp": "15",
        "gain": 60,
        "binning": "1*1",
        "target": "M51",
        "RA": 13.42784111,
        "DEC": 49.13032222,
    }
    (night / "shotsinfo.json").write_text(json.dumps(sidecar))
    for gain in (100, 110):
        folder = root / "DWARF_DARK" / f"exp_15_gain_{gain}_bin_1"
        folder.mkdir(parents=True)
        for number, frame in enumerate(
            sorted((samples / "DWARF_II/Astronomy/DWARF_DARK").rglob("*.fits"))[:2]
        ):
            data, header = fits.getdata(frame, header=True)
            for key in ("EXP", "GAIN"):
                header.remove(key, ignore_missing=True)
            fits.writeto(folder / f"{number:04}.fits", data, header)
    assert shell("index", root, "--json").json["frames"] == 10
    session = shell("sessions", "m51", "--json").json[0]
    assert (session["exposure_s"], session["gain"], session["dark"]) == (15.0, 60.0, None)
    darks = shell("darks", str(session["id"]), "--json").json
    assert [d["grade"] for d in darks] == ["refused", "refused"] and darks[0]["gain"] == 100
    assert "gain 100, the lights have 60" in " ".join(darks[0]["reasons"])
    done = shell("stack", night, "-o", tmp_path / "stacked_image.fits", "--json")
    assert done.code == 0, done.err
    assert done.json["dark"] is None and done.json["frames_used"] == 6
    forced = shell("stack", night, "--dark", str(darks[0]["id"]), "-o", tmp_path / "forced.fits", "--json")
    assert forced.code == 0 and forced.json["dark"] is not None


def test_queued_without_a_worker(shell: Shell, samples: Path, tmp_path: Path) -> None:
    shell("index", samples / "DWARF3")
    job = shell("stack", "m45", "-o", tmp_path / "out.fits", "--no-start", "--json").json
    assert job["status"] == "queued"
    assert shell("jobs", "show", str(job["id"]), "--json").json["status"] == "queued"
    assert shell("worker", "--drain").code == 0
    assert shell("jobs", "show", str(job["id"]), "--json").json["status"] == "done"
    assert (tmp_path / "out.fits").exists()
    used = shell("stacks", "--json").json[0]
    assert used["frames_used"] == 3 and used["job_id"] == job["id"]


def test_exports(shell: Shell, samples: Path, tmp_path: Path) -> None:
    shell("index", samples / "NINA")
    result = shell("stack", "m51", "-o", tmp_path / "m51.fits", "--json").json
    stack = str(result["id"])
    data = fits.getdata(result["output"])
    assert shell("export", stack, "--to", "fits", "-o", tmp_path / "copy.fits").code == 0
    assert (tmp_path / "copy.fits").read_bytes() == Path(result["output"]).read_bytes()
    assert shell("export", stack, "--to", "tiff", "-o", tmp_path / "m51.tif").code == 0
    linear = tifffile.imread(tmp_path / "m51.tif")
    assert linear.dtype == np.float32 and linear.shape == data.shape
    good = np.isfinite(data)
    assert np.ptp(linear[good] / data[good]) < 1e-6
    assert shell("export", stack, "--to", "csv", "-o", tmp_path / "m51.csv").code == 0
    rows = list(csv.DictReader((tmp_path / "m51.csv").read_text().splitlines()))
    assert len(rows) == 10 and {row["used"] for row in rows} == {"1"}
    assert shell("export", result["output"], "--to", "jpeg", "-o", tmp_path / "m51.jpg").code == 0
    folder = tmp_path / "siril"
    assert shell("export", stack, "--to", "siril", "-o", folder).code == 0
    assert len(list((folder / "lights").iterdir())) == 10 and len(list((folder / "dark").iterdir())) == 8
    assert all(link.resolve().is_file() for link in (folder / "flat").iterdir())
    assert (
        "preprocess light -dark=../dark_stacked -flat=../flat_stacked" in (folder / "stack.ssf").read_text()
    )
    again = shell("export", stack, "--to", "siril", "-o", folder)
    assert again.code == 1 and "exists" in again.err
    if shutil.which("siril-cli"):
        done = subprocess.run(
            ["siril-cli", "-d", folder, "-s", folder / "stack.ssf"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (folder / "result.fits").exists(), done.stdout[-2000:]
