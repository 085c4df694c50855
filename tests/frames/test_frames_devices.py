"""The grammars of names, on names that devices wrote."""

import os
from datetime import datetime
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astrotui.frames.devices import NOTHING, folders_of, parse_file_name, parse_folder_name, parse_folders
from astrotui.frames.model import FrameType
from astrotui.frames.names import FileFormat, file_format, is_frame_name, split_name

EXAMPLES = 300 * int(os.environ.get("ASTROTUI_FUZZ", "1"))
LIGHT, DARK, BIAS, FLAT = FrameType.LIGHT, FrameType.DARK, FrameType.BIAS, FrameType.FLAT

FILES = [
    ("0000.fits", {"sequence": 0}),
    (
        "raw_M51_10s_60_0048.fits",
        {"device": "DWARF", "target": "M51", "exposure_s": 10.0, "gain": 60.0, "sequence": 48},
    ),
    ("raw_M 31_10s_80_0000.fits", {"target": "M 31", "exposure_s": 10.0, "gain": 80.0, "sequence": 0}),
    (
        "IC 434_60s60_Astro_20251018-045926401_16C.fits",
        {
            "device": "DWARF 3",
            "target": "IC 434",
            "exposure_s": 60.0,
            "gain": 60.0,
            "filter": "Astro",
            "temperature_c": 16.0,
            "local_time": datetime(2025, 10, 18, 4, 59, 26, 401000),
            "rejected": False,
        },
    ),
    (
        "failed_IC 434_60s60_Duo-Band_20251018-045926401_-3C.fits",
        {"target": "IC 434", "filter": "Duo-Band", "temperature_c": -3.0, "rejected": True},
    ),
    (
        "Unknown_10s0_20260405-002247974_0C.fits",
        {"target": None, "exposure_s": 10.0, "gain": 0.0, "temperature_c": 0.0, "filter": None},
    ),
    (
        "Moon_0.0025s0_VIS_20251018-045926401_17C.fits",
        {"target": "Moon", "exposure_s": 0.0025, "gain": 0.0, "filter": "VIS"},
    ),
    (
        "raw_60s_60_0002_20251020-032310186_20C.fits",
        {
            "device": "DWARF 3",
            "target": None,
            "exposure_s": 60.0,
            "gain": 60.0,
            "sequence": 2,
            "temperature_c": 20.0,
        },
    ),
    ("stacked-16_IC 434_60s60_Astro_20251018-045926401_16C.fits", {"stack": True}),
    ("img_stacked_all.tif", {"stack": True}),
    ("startrails_10s0_20260405-002247974_26C.fits", {"stack": True}),
    ("0123456789abcdef0123456789abcdef.fits", {"stack": True}),
    (
        "dark_exp_60.000000_gain_60_bin_1_29C_stack_1.fits",
        {
            "device": "DWARF 3",
            "frame_type": DARK,
            "is_master": True,
            "exposure_s": 60.0,
            "gain": 60.0,
            "binning": "1x1",
            "temperature_c": 29.0,
        },
    ),
    ("bias_gain_2_bin_1.fits", {"frame_type": BIAS, "is_master": True, "gain": None, "binning": "1x1"}),
    (
        "flat_gain_2_bin_1_ir_0.fits",
        {"frame_type": FLAT, "is_master": True, "gain": None, "filter": "VIS", "binning": "1x1"},
    ),
    ("flat_gain_2_bin_1_ir_2.fits", {"filter": "Duo-Band"}),
    ("flat_gain_2_bin_1.fits", {"frame_type": FLAT, "filter": None}),
    (
        "Light_M 101_10.0s_IRCUT_20250704-232412.fit",
        {
            "device": "Seestar",
            "frame_type": LIGHT,
            "stack": False,
            "target": "M 101",
            "exposure_s": 10.0,
            "filter": "IRCUT",
            "local_time": datetime(2025, 7, 4, 23, 24, 12),
        },
    ),
    (
        "Light_mosaic_M 106_20.0s_IRCUT_20250704-232412.fit",
        {"target": "M 106", "mosaic": True, "exposure_s": 20.0, "stack": False},
    ),
    (
        "Stacked_210_NGC 6910_10.0s_IRCUT_20250704-232412.fit",
        {"device": "Seestar", "stack": True, "target": "NGC 6910"},
    ),
    ("DSO_Stacked_425_M 100_10.0s_20250704_070948.fit", {"stack": True, "target": "M 100"}),
    (
        "Light_M 31_30.0s_Bin1_2600MC_None_gain100_20250824-225244_-10.0C_0001.fit",
        {
            "device": "ASIAIR",
            "frame_type": LIGHT,
            "target": "M 31",
            "exposure_s": 30.0,
            "binning": "1x1",
            "filter": None,
            "gain": 100.0,
            "temperature_c": -10.0,
            "sequence": 1,
        },
    ),
    (
        "Light_M 31_30.0s_Bin2_L_gain100_20250824-225244_90deg_-10.0C_0001.fit",
        {"filter": "L", "rotator_deg": 90.0, "binning": "2x2"},
    ),
    (
        "Flat_1.0ms_Bin1_S_gain100_20240624-094304_-10.5C_0001.fit",
        {"frame_type": FLAT, "exposure_s": 0.001, "filter": "S", "target": None, "temperature_c": -10.5},
    ),
    (
        "Dark_60.0s_Bin1_L_gain100_20240624-094304_-10.5C_0012.fit",
        {"frame_type": DARK, "exposure_s": 60.0, "filter": "L", "sequence": 12},
    ),
    ("Bias_32us_Bin1_gain0_20240624-094304_-10.5C_0012.fit", {"frame_type": BIAS, "exposure_s": 0.000032}),
    (
        "MasterBias_1.0ms_-9.8C_gain100_2600.fits",
        {"frame_type": BIAS, "is_master": True, "exposure_s": 0.001, "gain": 100.0, "temperature_c": -9.8},
    ),
    (
        "2025-09-17_03-34-02_Ha_-10.00_300.00s_0012.fits",
        {"exposure_s": 300.0, "sequence": 12, "local_time": datetime(2025, 9, 17, 3, 34, 2)},
    ),
    ("pp_light_00012.fit", {"calibrated": True, "frame_type": LIGHT, "sequence": 12}),
    ("r_pp_light_stacked.fit", {"calibrated": True, "stack": True}),
    ("bkg_pp_light_00001.fit", {"calibrated": True}),
    ("CORRECTED_M31_0001.fits", {"calibrated": True}),
    ("dark_stacked.fit", {"frame_type": DARK, "is_master": True, "stack": False}),
    ("masterDark.fit", {"frame_type": DARK, "is_master": True}),
    ("DarkFlat_0001.fit", {"frame_type": FrameType.DARK_FLAT, "sequence": 1}),
    ("Light_1069.fits", {"frame_type": LIGHT, "sequence": 1069}),
    ("tres1-021.fit", {"frame_type": None, "sequence": 21}),
    ("M31.fits", {"frame_type": None, "sequence": None, "target": None}),
    ("DSC01234.ARW", {"sequence": 1234}),
    ("dark_nebula_001.fits", {"frame_type": None}),
    ("Barnard dark cloud light 7.fits", {"frame_type": LIGHT}),
]


@pytest.mark.parametrize(("name", "expected"), FILES, ids=[name for name, _ in FILES])
def test_file_names(name: str, expected: dict[str, object]) -> None:
    facts = parse_file_name(name)
    assert {field: getattr(facts, field) for field in expected} == expected


FOLDERS = [
    (
        "DWARF_RAW_M51_EXP_10_GAIN_60_2024-05-05-23-02-57-312",
        {
            "device": "DWARF",
            "frame_type": LIGHT,
            "target": "M51",
            "exposure_s": 10.0,
            "gain": 60.0,
            "local_time": datetime(2024, 5, 5, 23, 2, 57, 312000),
        },
    ),
    ("DWARF_RAW_M31_EXP_6_GAIN_80_2024-01-06-20-58-33-796", {"target": "M31", "exposure_s": 6.0}),
    (
        "DWARF_RAW_EXP_5_GAIN_60_2024-02-24-22-31-52-161",
        {"target": None, "exposure_s": 5.0, "gain": 60.0, "frame_type": LIGHT},
    ),
    (
        "DWARF_RAW_Moon_EXP_0.0025_GAIN_0_2024-01-16-15-02-35-270",
        {"target": "Moon", "exposure_s": 0.0025, "gain": 0.0},
    ),
    ("DWARF_RAW_M1_EXP_0.0001_GAIN_80_2024-01-16-15-02-35", {"target": "M1", "exposure_s": 0.0001}),
    (
        "DWARF_RAW_20240505230257312",
        {"frame_type": LIGHT, "target": None, "local_time": datetime(2024, 5, 5, 23, 2, 57, 312000)},
    ),
    ("DWARF_DARK_20240505230257312", {"frame_type": DARK}),
    ("DWARF_DARK", {"frame_type": DARK, "exposure_s": None}),
    ("DWARF_DARKS_EXP_15_GAIN_80_2024-05-05", {"frame_type": DARK, "exposure_s": 15.0, "gain": 80.0}),
    ("DWARF_FLATS_EXP_1_GAIN_80_2024-05-05", {"frame_type": FLAT}),
    ("DWARF_BIASES_EXP_0.0001_GAIN_80_2024-05-05", {"frame_type": BIAS}),
    (
        "exp_15_gain_100_bin_1",
        {"device": "DWARF", "frame_type": DARK, "exposure_s": 15.0, "gain": 100.0, "binning": "1x1"},
    ),
    ("exp_15_gain_80_bin_2", {"binning": "2x2"}),
    (
        "tele_exp_60_gain_60_bin_1_2025-10-20-03-20-10-952",
        {
            "device": "DWARF 3",
            "unit": "TELE",
            "frame_type": DARK,
            "exposure_s": 60.0,
            "gain": 60.0,
            "local_time": datetime(2025, 10, 20, 3, 20, 10, 952000),
        },
    ),
    ("wide_exp_10_gain_0_bin_1_astro", {"unit": "WIDE", "filter": "Astro", "gain": 0.0}),
    (
        "DWARF_RAW_TELE_IC 434_EXP_60_GAIN_60_2025-10-18-04-51-22-420",
        {"device": "DWARF 3", "unit": "TELE", "target": "IC 434", "stack": False},
    ),
    (
        "DWARF_RAW_WIDE_EXP_10_GAIN_0_2025-10-18-04-51-22-420",
        {"unit": "WIDE", "target": None, "gain": 0.0},
    ),
    (
        "DWARF_RAW_TELE_C2025R3PANSTARRS_EXP_15_GAIN_60_2025-10-18-04-51-22-420",
        {"target": "C2025R3PANSTARRS"},
    ),
    (
        "DWARF_RAW_TELE_MOSAIC_M 31_EXP_45_GAIN_60_2025-10-18-04-51-22-420",
        {"target": "M 31", "mosaic": True},
    ),
    (
        "DWARF_RAW_TELE_Unknown(1)_EXP_45_GAIN_60_2025-10-18-04-51-22-420",
        {"target": None, "exposure_s": 45.0},
    ),
    (
        "RESTACKED_DWARF_RAW_TELE_M 31_EXP_15_GAIN_60_2025-10-18-04-51-22-420",
        {"stack": True, "target": "M 31"},
    ),
    ("STARTRAILS_DWARF_RAW_WIDE_EXP_10_GAIN_0_2026-04-05-00-22-47-974", {"stack": True, "unit": "WIDE"}),
    ("cam_0", {"unit": "TELE"}),
    ("cam_1", {"unit": "WIDE"}),
    ("CALI_FRAME", {"device": "DWARF 3", "is_master": True}),
    ("Solving_Failed", {"rejected": True}),
    ("M 101_sub", {"target": "M 101"}),
    ("M 101-sub", {"target": "M 101"}),
    ("M 106_mosaic_sub", {"target": "M 106", "mosaic": True}),
    ("Darks 60s", {"frame_type": DARK, "weak_type": True}),
    ("FLATS", {"frame_type": FLAT}),
    ("Dark", {"frame_type": DARK}),
    ("DarkFlats", {"frame_type": FrameType.DARK_FLAT}),
    ("master_bias", {"frame_type": BIAS, "is_master": True}),
    ("dark_sky_site", {"frame_type": None}),
    ("2024-05-05", {"frame_type": None, "target": None}),
]


@pytest.mark.parametrize(("name", "expected"), FOLDERS, ids=[name for name, _ in FOLDERS])
def test_folder_names(name: str, expected: dict[str, object]) -> None:
    facts = parse_folder_name(name)
    assert {field: getattr(facts, field) for field in expected} == expected


def test_nearest_folder_counts_and_a_grammar_beats_a_word() -> None:
    facts = parse_folders(("DWARF_DARK", "exp_15_gain_100_bin_1"))
    assert (facts.frame_type, facts.exposure_s, facts.gain) == (DARK, 15.0, 100.0)
    facts = parse_folders(("Flats", "Lights"))
    assert facts.frame_type is LIGHT
    facts = parse_folders(("CALI_FRAME", "dark", "cam_1"))
    assert (facts.device, facts.unit, facts.frame_type, facts.is_master) == ("DWARF 3", "WIDE", DARK, True)
    facts = parse_folders(("DWARF_RAW_M51_EXP_10_GAIN_60_2024-05-05-23-02-57-312", "light pollution"))
    assert (facts.frame_type, facts.target, facts.weak_type) == (LIGHT, "M51", False)


def test_folders_above_the_root_count_only_with_a_telescopes_own_name() -> None:
    path = PurePosixPath("/home/me/dark/library/M31/x.fits")
    assert folders_of(path, "M31/x.fits") == ("M31",)
    assert folders_of(path, "x.fits") == ("M31",)
    path = PurePosixPath("/mnt/DWARF_DARK/exp_15_gain_100_bin_1/0000.fits")
    assert folders_of(path, "0000.fits") == ("DWARF_DARK", "exp_15_gain_100_bin_1")
    assert folders_of(path, None) == ("DWARF_DARK", "exp_15_gain_100_bin_1")
    path = PurePosixPath("/data/darks/60s/x.fits")
    assert folders_of(path, "60s/x.fits") == ("darks", "60s")


@pytest.mark.parametrize(
    ("name", "is_frame"),
    [
        ("a.fits", True),
        ("A.FIT", True),
        ("a.Fts", True),
        ("a.fits.gz", True),
        ("a.fits.fz", True),
        ("a.fz", True),
        ("a.TIFF", True),
        ("a.png", True),
        ("stacked-16.png", False),
        ("stacked-16_M31_10s60.png", False),
        ("img_reference.png", False),
        ("img_stacked_counter.png", False),
        ("stacked_thumbnail.jpg", False),
        ("._a.fits", False),
        (".a.fits.12.part", False),
        (".fits", False),
        ("fits", False),
        ("notes.txt.gz", False),
        ("shotsInfo.json", False),
        ("a.fits.part", False),
    ],
)
def test_frame_names(name: str, is_frame: bool) -> None:
    assert is_frame_name(name) is is_frame


def test_formats_and_stems() -> None:
    assert split_name("Light.FITS.gz") == ("Light", "fits")
    assert file_format("x.dng") is FileFormat.RAW
    assert file_format("x.fit.fz") is FileFormat.FITS
    assert file_format("x.gz") is None


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.one_of(
        st.text(max_size=300),
        st.from_regex(
            r"(failed_)?raw_[A-Za-z0-9 _.]{0,40}s_[0-9]{1,9}_[0-9]{1,9}(_.{0,30})?\.fits", fullmatch=True
        ),
        st.from_regex(
            r"DWARF_RAW_(TELE_)?.{0,40}_EXP_[0-9.]{1,9}_GAIN_[0-9]{1,30}_[0-9-]{0,40}", fullmatch=True
        ),
        st.from_regex(
            r"[A-Za-z]{1,6}_.{0,30}_[0-9.]{1,9}(s|ms)_Bin[0-9]_.{0,40}C_[0-9]{1,6}\.fit", fullmatch=True
        ),
    )
)
def test_fuzzed_names_never_raise(name: str) -> None:
    for facts in (parse_file_name(name), parse_folder_name(name), parse_folders((name, "x", name))):
        assert facts is not NOTHING
        assert facts.exposure_s is None or facts.exposure_s >= 0
        assert facts.target is None or (facts.target.isprintable() and 0 < len(facts.target) <= 80)


def test_long_names_take_no_time() -> None:
    name = "DWARF_RAW_" + "_EXP_1_GAIN_1" * 20_000
    assert parse_folder_name(name).exposure_s in (None, 1.0)
    assert parse_file_name("a_" * 200_000 + ".fits").target is None
