"""One damaged calibration frame, or a whole damaged set, never stops a stack."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits

from astrotui.stacking.masters import ensure_master
from astrotui.stacking.plan import Calibration, InputFile, MasterSpec
from astrotui.stacking.usable import usable_calibrations


def make_set(folder: Path, kind: str, n: int = 3) -> MasterSpec:
    folder.mkdir()
    files = []
    for i in range(n):
        path = folder / f"{i}.fits"
        fits.PrimaryHDU(np.full((20, 30), 1000 + i, np.uint16)).writeto(path)
        files.append(InputFile.of(path))
    return MasterSpec(kind, tuple(files), 30, 20)  # type: ignore[arg-type]


def test_sound_calibrations_stay_as_they_are(tmp_path: Path) -> None:
    sound = (
        Calibration(dark=make_set(tmp_path / "d", "dark"), flat=make_set(tmp_path / "f", "flat")),
        Calibration(),
    )
    assert usable_calibrations(sound, tmp_path / "cache") == (sound, ())


def test_a_damaged_frame_goes_and_is_named_once(tmp_path: Path) -> None:
    dark = make_set(tmp_path / "d", "dark")
    Path(dark.inputs[1].path).unlink()
    planned = (Calibration(dark=dark), Calibration(dark=dark))
    kept, warnings = usable_calibrations(planned, tmp_path / "cache")
    assert len(warnings) == 1 and "1.fits" in warnings[0] and "vanished" in warnings[0]
    assert kept[0] == kept[1]
    assert kept[0].dark is not None and len(kept[0].dark.inputs) == 2
    assert ensure_master(kept[0].dark, tmp_path / "cache").exists()


def test_a_master_that_cannot_be_made_goes_with_what_hangs_on_it(tmp_path: Path) -> None:
    bias, dark, flat = (make_set(tmp_path / kind, kind) for kind in ("bias", "dark", "flat"))
    for file in bias.inputs:
        Path(file.path).write_bytes(b"")
    planned = Calibration(dark=dark, bias=bias, flat=replace(flat, subtract=bias), dark_scale=0.5)
    (kept,), warnings = usable_calibrations((planned,), tmp_path / "cache")
    assert (kept.dark, kept.bias, kept.flat, kept.dark_scale) == (dark, None, None, None)
    assert any(line.startswith("no bias is used") for line in warnings)
    assert any(line.startswith("no flat is used") for line in warnings)
    assert any("scale the dark" in line for line in warnings)


def test_a_cached_master_needs_its_frames_no_more(tmp_path: Path) -> None:
    dark = make_set(tmp_path / "d", "dark")
    ensure_master(dark, tmp_path / "cache")
    for file in dark.inputs:
        Path(file.path).unlink()
    planned = (Calibration(dark=dark),)
    assert usable_calibrations(planned, tmp_path / "cache") == (planned, ())
