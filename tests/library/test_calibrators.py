"""Matching darks, bias frames and flats: grades, reasons, pins."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from astrotui.catalog.database import Catalog
from astrotui.errors import UsageError
from astrotui.library.annotate import pin
from astrotui.library.calibrators import SetRecord, Shot, judge_dark, judge_flat, load_sets, session_match
from astrotui.library.index import index_roots
from tests.library.conftest import WriteFrame

SETTINGS: dict[str, Any] = {
    "exposure_s": 10.0, "gain": 60.0, "offset": None, "readout_mode": None, "binning": "1x1", "filter": None,
    "temperature_c": 15.0, "width": 3840, "height": 2160, "cfa_phase": "GBRG", "focal_mm": None, "rotator_deg": None,
    "roi_x": None, "roi_y": None,
}  # fmt: skip
LIGHT = Shot(camera="DWARFII", **SETTINGS)
DARK = SetRecord(
    id=1, kind="dark", path="/d", camera="DWARF II", date=None, frames=20, is_master=False, calstat="", warnings=(),
    **SETTINGS,
)  # fmt: skip


def grade(light: Shot = LIGHT, bias: bool = False, **changes: object) -> tuple[str, str]:
    found = judge_dark(light, replace(DARK, **changes), bias=bias)  # type: ignore[arg-type]
    return found.grade, "; ".join(found.reasons)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "exact"),
        ({"exposure_s": 10.15}, "exact"),
        ({"exposure_s": 10.5}, "near"),
        ({"gain": 100.0}, "refused"),
        ({"binning": "2x2"}, "refused"),
        ({"camera": "DWARF 3"}, "refused"),
        ({"width": 1920, "height": 1080}, "refused"),
        ({"cfa_phase": "RGGB"}, "refused"),
        ({"temperature_c": None}, "exact"),
        ({"temperature_c": 30.0}, "exact"),
        ({"gain": None}, "exact"),
        ({"exposure_s": None}, "near"),
        ({"camera": None}, "exact"),
        ({"camera": None, "exposure_s": None}, "refused"),
        ({"warnings": ("probably gamma-encoded, not linear: an 8-bit TIFF",)}, "refused"),
    ],
)
def test_grades(changes: dict[str, object], expected: str) -> None:
    assert grade(**changes)[0] == expected


def test_a_dark_is_scaled_only_with_a_bias_and_within_reason() -> None:
    assert grade(exposure_s=15.0)[0] == "near"
    assert grade(exposure_s=15.0, bias=True)[0] == "scaled"
    assert grade(exposure_s=60.0, bias=True)[0] == "near"
    assert "WARNING" in grade(exposure_s=15.0)[1]


def test_reasons_name_what_differs() -> None:
    assert "gain 100, the lights have 60" in grade(gain=100.0)[1]
    assert "temperature unknown" in grade(temperature_c=None)[1]
    assert "WARNING: 15 °C apart" in grade(temperature_c=30.0)[1]
    assert "only 3 frames" in grade(frames=3)[1]


def test_offset_and_readout_mode_count_when_both_are_known() -> None:
    light = replace(LIGHT, offset=50.0, readout_mode="High gain")
    assert grade(light, offset=50.0, readout_mode="High gain")[0] == "exact"
    assert grade(light, offset=10.0)[0] == "refused"
    assert grade(light, readout_mode="Low noise")[0] == "refused"
    assert grade(light)[0] == "exact"


def test_flats_need_the_same_optics() -> None:
    light = replace(LIGHT, filter="Ha", focal_mm=500.0, rotator_deg=359.5)
    flat = replace(DARK, kind="flat", filter="ha", focal_mm=505.0, rotator_deg=0.5, gain=0.0, exposure_s=1.0)
    assert judge_flat(light, flat).grade == "exact"
    assert judge_flat(light, replace(flat, filter="OIII")).grade == "refused"
    assert judge_flat(light, replace(flat, focal_mm=400.0)).grade == "refused"
    assert judge_flat(light, replace(flat, rotator_deg=90.0)).grade == "refused"


@pytest.mark.parametrize(
    ("median", "said"),
    [
        (None, ""),
        (2000.0, ""),
        (400.0, "WARNING: the flat's median is 10% of full scale"),
        (3900.0, "WARNING: the flat's median is 95% of full scale"),
        (4095.0, "WARNING: the flat is clipped"),
    ],
)
def test_flats_are_judged_by_their_level(median: float | None, said: str) -> None:
    flat = replace(DARK, kind="flat", median_adu=median, full_scale_adu=4095.0)
    found = judge_flat(LIGHT, flat)
    assert found.grade == "exact"
    assert (said in "; ".join(found.reasons)) if said else not found.reasons


def test_the_level_of_flats_is_read_once_and_anew_when_they_change(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    root = tmp_path / "root"
    write_frame(root / "lights" / "0.fits", EXPTIME=10.0)
    for i in range(2):
        write_frame(root / "flats" / f"{i}.fits", value=200, IMAGETYP="FLAT", EXPTIME=1.0)
    index_roots(catalog, [root])

    def level() -> float:
        with catalog.read() as db:
            (flat,) = (held for held in load_sets(db) if held.kind == "flat")
        assert flat.median_adu is not None
        return flat.median_adu

    assert level() == pytest.approx(200, abs=5)
    (found,) = session_match(catalog, 1).candidates["flat"]
    assert "of full scale" in "; ".join(found.reasons)
    for i in range(2):
        path = root / "flats" / f"{i}.fits"
        path.unlink()
        write_frame(path, value=30000, IMAGETYP="FLAT", EXPTIME=1.5)
    index_roots(catalog, [root])
    assert level() == pytest.approx(30000, abs=5)
    (found,) = session_match(catalog, 1).candidates["flat"]
    assert "of full scale" not in "; ".join(found.reasons)


def test_the_seed_s_library_is_refused_with_its_reason(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    """Lights at gain 60, darks at 100 and 110: the closest is shown, and refused."""
    root = tmp_path / "Astronomy"
    lights = root / "DWARF_RAW_M51_EXP_15_GAIN_60_2024-05-05-23-02-57-312"
    for i in range(2):
        write_frame(lights / f"raw_M51_15s_60_{i:04}.fits", IMAGETYP=None, OBJECT="M51", EXPTIME=15.0)
    (lights / "shotsinfo.json").write_text(
        '{"exp":"15","gain":60,"binning":"1*1","target":"M51","RA":13.4,"DEC":47.2}'
    )
    for gain in (100, 110):
        for i in range(2):
            write_frame(
                root / "DWARF_DARK" / f"exp_15_gain_{gain}_bin_1" / f"{i:04}.fits", IMAGETYP=None, OBJECT=None, GAIN=None,
                EXPTIME=None, DATE_OBS=None,
            )  # fmt: skip
    index_roots(catalog, [root])
    match = session_match(catalog, 1)
    assert match.chosen("dark") is None
    first, second = match.candidates["dark"]
    assert (first.set.gain, second.set.gain) == (100, 110)
    assert all("gain" in " ".join(c.reasons) and c.grade == "refused" for c in (first, second))
    pin(catalog, [1], "dark", str(second.set.id))
    chosen = session_match(catalog, 1).chosen("dark")
    assert chosen is not None and chosen.set.id == second.set.id and "pinned by you" in chosen.reasons
    pin(catalog, [1], "dark", "auto")
    assert session_match(catalog, 1).chosen("dark") is None
    with pytest.raises(UsageError, match="no such dark set"):
        pin(catalog, [1], "dark", "999")
