"""Filters, late nights and plate solving through the shell."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

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
