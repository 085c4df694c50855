"""Filters, late nights and plate solving through the shell."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from tests.e2e.conftest import Shell
from tests.library.several_nights import NightSpec, make_sky, write_nights

LUM = NightSpec(
    "lum",
    cfa=None,
    filter="L",
    band=1,
    lights=3,
    calibrated=False,
    vignette=0.0,
    target="M 51",
    pointing=(202.47, 47.2),
)
RED = replace(LUM, name="red", filter="Red", band=0, turn=12.0, seed=3, transparency=0.6)


def test_one_stack_of_each_filter(shell: Shell, tmp_path: Path) -> None:
    sky = make_sky(stars=110)
    write_nights(tmp_path / "lib", sky, LUM, RED)
    assert shell("index", tmp_path / "lib").code == 0
    mixed = shell("stack", "m51")
    assert mixed.code == 1 and mixed.err.count("\n") == 1
    assert (
        "filters are mixed up: filter L (session 1) and filter Red (session 2)" in mixed.err
        and "--split filter" in mixed.err
    )
    place = tmp_path / "out"
    place.mkdir()
    wrong = shell("stack", "m51", "--split", "filter", "-o", tmp_path / "one.fits")
    assert wrong.code == 2 and "must name a folder" in wrong.err
    done = shell("stack", "m51", "--split", "filter", "-o", place, "--json")
    assert done.code == 0, done.err
    lum, red = done.json
    assert lum["reference"] == red["reference"] and lum["frames_used"] == red["frames_used"] == 3
    assert lum["reused"]["registrations"] == 0
    sizes = {fits.getdata(one["output"]).shape for one in done.json}
    assert len(sizes) == 1
    composed = shell(
        "compose", "hoo", str(red["id"]), str(lum["id"]), "-o", tmp_path / "color.fits", "--json"
    )
    assert composed.code == 0, composed.err

    # A night that comes late: the reference stays, and what is known is used again.
    write_nights(tmp_path / "lib", sky, replace(LUM, name="late", turn=180.0, date="2025-06-05", seed=6))
    assert shell("index", tmp_path / "lib").code == 0
    again = shell("stack", "target:m51 filter:L", "--json")
    assert again.code == 0, again.err
    assert again.json["reused"]["measurements"] == 3 and again.json["frames_used"] == 6
    text = shell("stack", "target:m51 filter:L")
    assert "reused   6 measurements" in text.out and "registrations" in text.out


STAND_IN = f"""#!{sys.executable}
import sys
from astropy.io import fits
words = sys.argv
width, height = (int(words[words.index(name) + 1]) for name in ("--width", "--height"))
header = fits.Header()
for key, value in dict(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=202.47, CRVAL2=47.2, CRPIX1=width / 2, CRPIX2=height / 2,
                       CD1_1=-0.0007, CD1_2=0.0, CD2_1=0.0, CD2_2=0.0007).items():
    header[key] = value
fits.PrimaryHDU(header=header).writeto(words[words.index("--wcs") + 1])
"""


def test_a_session_and_its_stack_are_solved(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    write_nights(tmp_path / "lib", make_sky(), replace(LUM, target="Unknown"))
    assert shell("index", tmp_path / "lib").code == 0
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    missing = shell("solve", "1")
    assert (
        missing.code == 1 and "no plate solver is installed" in missing.err and missing.err.count("\n") == 1
    )
    program = tmp_path / "bin" / "solve-field"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    made = shell("stack", "1", "-o", tmp_path / "stack.fits", "--json")
    assert made.code == 0 and made.json["wcs"] is None
    before = (tmp_path / "stack.fits").read_bytes()
    stack = shell("solve", f"stack:{made.json['id']}")
    assert stack.code == 0 and "named M 51" in stack.out and "13h29.9m +47d12m" in stack.out
    assert (tmp_path / "stack.fits").read_bytes() == before
    assert shell("stacks", "--json").json[0]["wcs"]["objects"] == ["M 51"]
    assert shell("export", str(made.json["id"]), "--to", "fits", "-o", tmp_path / "copy.fits").code == 0
    assert fits.getheader(tmp_path / "copy.fits")["CRVAL1"] == 202.47
    found = shell("solve", "target:none", "--json")
    assert found.code == 0, found.err
    assert found.json[0]["solved"] and found.json[0]["named"] == "M 51"
    assert shell("sessions", "m51", "--json").json[0]["lights"] == 3
    # A stack that is made now has the coordinates in its file.
    later = shell("stack", "m51", "-o", tmp_path / "later.fits", "--json")
    assert later.code == 0 and fits.getheader(tmp_path / "later.fits")["CRVAL2"] == 47.2
    assert np.isfinite(fits.getdata(tmp_path / "later.fits")).mean() > 0.8
    assert not list((home / "cache").rglob("astrotui-solve-*"))


def test_islands_of_a_mosaic_are_stacked_each_on_its_own_reference(shell: Shell, tmp_path: Path) -> None:
    far = replace(LUM, name="far", seed=8, target="M 51", lights=5)
    write_nights(tmp_path / "lib", make_sky(), replace(LUM, lights=4))
    write_nights(tmp_path / "lib", make_sky(seed=23), far)
    assert shell("index", tmp_path / "lib").code == 0
    told = shell("stack", "m51", "--frame", "union", "-o", tmp_path / "m51.fits")
    assert told.code == 0, told.err
    assert "2 islands without common stars: 5 frames, 4 frames" in told.err and "m51-2.fits" in told.err
    assert "island 2:" in told.out and str(tmp_path / "m51-2.fits") in told.out
    other, main = shell("stacks", "--json").json
    assert main["output"] == str(tmp_path / "m51.fits") and main["frames_used"] == 5
    assert main["islands"] == [{"id": other["id"], "output": str(tmp_path / "m51-2.fits"), "frames_used": 4}]
    assert (main["island_of"], other["island_of"], other["islands"]) == (None, main["id"], [])
    assert other["job_id"] == main["job_id"] and len(main["sessions"]) == 2 and len(other["sessions"]) == 1
    for name in ("m51-2.fits", "m51-2.json", "m51-2.png", "m51.json", "m51.png"):
        assert (tmp_path / name).is_file()
    assert shell("stacks", "--json").json[0]["reused"]["measurements"] == 4
    # Once more: the larger island keeps its reference, and the smaller one what was found for it.
    again = shell("stack", "m51", "--frame", "union", "-o", tmp_path / "again.fits", "--json")
    assert again.code == 0 and again.json["reference"] == main["reference"]
    assert [Path(one["output"]).name for one in again.json["islands"]] == ["again-2.fits"]
    assert shell("stacks", "--json").json[0]["reused"]["registrations"] == 3
    # Without a union the field is that of the reference, and nothing else is made.
    plain = shell("stack", "m51", "-o", tmp_path / "plain.fits", "--json")
    assert plain.code == 0 and plain.json["islands"] == [] and not (tmp_path / "plain-2.fits").exists()
    assert any("with `astrotui stack 1 2 --reference" in text for text in plain.json["warnings"])


def test_a_light_that_is_named_as_a_dark_is_refused(shell: Shell, tmp_path: Path) -> None:
    made = write_nights(tmp_path / "lib", make_sky(), LUM)
    assert shell("index", tmp_path / "lib").code == 0
    light = min(made.to_frame)
    wrong = shell("stack", "m51", "--dark", light, "-o", tmp_path / "s.fits")
    assert wrong.code == 2 and wrong.err.count("\n") == 1
    assert "its header says that it is a light, no dark" in wrong.err
    with fits.open(light) as hdus:
        header, pixels = hdus[0].header, hdus[0].data
    del header["IMAGETYP"]
    fits.writeto(tmp_path / "x.fits", np.full_like(pixels, 10), header)
    odd = shell("stack", "m51", "--dark", tmp_path / "x.fits", "-o", tmp_path / "s.fits", "--json")
    assert odd.code == 0, odd.err
    assert any(
        text.endswith("nothing there says that it is a dark; it is used as one")
        for text in odd.json["warnings"]
    )


def test_a_result_tells_of_the_coordinates_that_it_carries(shell: Shell, tmp_path: Path) -> None:
    made = write_nights(tmp_path / "lib", make_sky(), LUM)
    for path in made.to_frame:
        with fits.open(path, mode="update") as hdus:
            hdus[0].header.update(
                CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=202.47, CRVAL2=47.2, CRPIX1=280.5, CRPIX2=210.5,
                CD1_1=-0.0005, CD1_2=0.0, CD2_1=0.0, CD2_2=0.0005,
            )  # fmt: skip
    assert shell("index", tmp_path / "lib").code == 0
    found = shell("stack", "m51", "--drizzle", "2", "-o", tmp_path / "s.fits", "--json").json["wcs"]
    assert found["scale_arcsec"] == pytest.approx(0.9, abs=1e-3) and found["objects"] == ["M 51"]
    assert (found["ra_deg"], found["dec_deg"]) == pytest.approx((202.47, 47.2), abs=1e-4)
    assert found["solver"] is None and not any(card.startswith("DATE") for card in found["cards"])
    header = fits.getheader(tmp_path / "s.fits")
    assert WCS(header).proj_plane_pixel_scales()[1].value == pytest.approx(0.00025)
