"""What is known of frames as devices and programs write them: their own headers, in their own folders."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from fits_files import make_fits

from astrotui.errors import FrameError
from astrotui.frames.identify import clear_sidecar_cache, content_id, is_frame_name, read_metadata
from astrotui.frames.model import FrameMetadata, FrameType

LIGHT, DARK, BIAS, FLAT, STACK = (
    FrameType.LIGHT,
    FrameType.DARK,
    FrameType.BIAS,
    FrameType.FLAT,
    FrameType.STACK,
)

DWARF_II = {
    "DATE-OBS": "2023-06-10T21:38:19.442",
    "DATE": "2023-06-10T21:38:35.938",
    "EXP": 15.0,
    "GAIN": 110,
    "BINNING": "2*2",
    "RA": (0.0, "[h]"),
    "DEC": 0.0,
    "OBJECT": "        ",
    "BAYERPAT": "GBRG",
    "TELESCOP": "DWARFII",
    "INSTRUME": "DWARFII",
    "ORIGIN": "DWARFLAB",
}
DWARF_3 = {
    "DATE-OBS": ("2025-10-18T04:59:26.401", "UTC, end of exposure"),
    "EXPTIME": 60.0,
    "GAIN": 60,
    "XBINNING": 1,
    "YBINNING": 1,
    "FILTER": "Astro",
    "CAMERA": "TELE",
    "XPIXSZ": 2.0,
    "FOCALLEN": 150.0,
    "DET-TEMP": 16,
    "RA": (85.28743, "[DEGREES]"),
    "DEC": -2.492014,
    "OBJECT": "IC 434",
    "BAYERPAT": "RGGB",
    "TELESCOP": "DWARFIII",
    "INSTRUME": "DWARFIII",
    "RESTACK": 0,
    "ORIGIN": "DWARFLAB",
}
SEESTAR = {
    "CREATOR": "ZWO Seestar S50",
    "FOCALLEN": 250,
    "PROGRAM": "4.70",
    "XBINNING": 1,
    "YBINNING": 1,
    "XPIXSZ": 2.90000009536743,
    "IMAGETYP": "Light",
    "EXPOSURE": 0.00999999977648258,
    "EXPTIME": 0.00999999977648258,
    "CCD-TEMP": 23.375,
    "RA": 192.995835,
    "DEC": 40.978611,
    "SITELONG": -0.620833,
    "SITELAT": 44.7417,
    "DATE-OBS": "2025-04-09T20:54:22.790113",
    "FILTER": "LP",
    "INSTRUME": "Seestar S50",
    "BAYERPAT": "GRBG",
    "GAIN": 80,
    "TELESCOP": "S50_153dd4e2",
    "OBJECT": "M 94",
    "TOTALEXP": 0.00999999977648258,
}
NINA = {
    "IMAGETYP": "LIGHT",
    "EXPOSURE": 300.0,
    "EXPTIME": 300.0,
    "DATE-LOC": "2025-09-16T21:34:02.6477108",
    "DATE-OBS": "2025-09-17T03:34:02.6477108",
    "XBINNING": 1,
    "YBINNING": 1,
    "GAIN": 100,
    "OFFSET": 50,
    "EGAIN": 0.24,
    "XPIXSZ": 3.76,
    "INSTRUME": "ZWO ASI2600MC Pro",
    "SET-TEMP": -10.0,
    "CCD-TEMP": -9.8,
    "BAYERPAT": "RGGB",
    "TELESCOP": "Redcat",
    "FOCALLEN": 250.0,
    "RA": 299.9,
    "DEC": 22.72,
    "OBJCTRA": "19 59 36",
    "OBJCTDEC": "+22 43 16",
    "ROTATOR": 12.5,
    "OBJECT": "M 27",
    "FILTER": "Ha",
    "READOUTM": "High Gain Mode",
    "ROWORDER": "TOP-DOWN",
    "SWCREATE": "N.I.N.A. 3.2.0.1036 (x64)",
}


def frame(root: Path, relative: str, cards: dict[str, object], **options: object) -> FrameMetadata:
    path = make_fits(root / relative, cards, **options)  # type: ignore[arg-type]
    return read_metadata(path, relative=relative)


def told(found: FrameMetadata, expected: dict[str, object]) -> dict[str, object]:
    return {field: getattr(found, field) for field in expected}


def test_dwarf_ii_header_alone(tmp_path: Path) -> None:
    expected = {
        "frame_type": LIGHT,
        "device": "DWARF II",
        "camera": "DWARF II",
        "exposure_s": 15.0,
        "gain": 110.0,
        "binning": "2x2",
        "cfa": "GBRG",
        "cfa_phase": "GBRG",
        "target": None,
        "ra_deg": None,
        "date_obs": datetime(2023, 6, 10, 21, 38, 19, 442000, UTC),
        "night": date(2023, 6, 10),
        "full_scale_adu": 4095.0,
        "focal_mm": 100.0,
        "pixel_um": 2.9,
        "temperature_c": None,
        "filter": None,
        "warnings": (),
    }
    assert told(frame(tmp_path, "x/0003.fits", DWARF_II), expected) == expected


def test_dwarf_ii_session_with_its_sidecar(tmp_path: Path) -> None:
    folder = "DWARF_II/Astronomy/DWARF_RAW_M51_EXP_10_GAIN_60_2024-05-05-23-02-57-312"
    cards = DWARF_II | {"EXP": 10.0, "GAIN": 60, "RA": (13.49, "[h]"), "DEC": 47.2, "OBJECT": "M51"}
    (tmp_path / folder).mkdir(parents=True)
    sidecar = {
        "RA": 13.42784111,
        "DEC": 49.13032222,
        "binning": "2*2",
        "exp": "10",
        "gain": 60,
        "ir": "CUT",
        "target": "M51",
    }
    (tmp_path / folder / "shotsinfo.json").write_text(json.dumps(sidecar))
    found = frame(tmp_path, f"{folder}/raw_M51_10s_60_0048.fits", cards)
    expected = {
        "target": "M51",
        "filter": "IRCUT",
        "sequence": 48,
        "ra_deg": pytest.approx(202.35),
        "dec_deg": 47.2,
        "warnings": (),
    }
    assert told(found, expected) == expected


def test_sources_that_disagree_are_reported_and_the_header_counts(tmp_path: Path) -> None:
    folder = "DWARF_RAW_EXP_5_GAIN_60_2024-02-24-22-31-52-161"
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "shotsInfo.json").write_text('{"exp":"15","gain":100,"target":""}')
    found = frame(tmp_path, f"{folder}/0000.fits", DWARF_II | {"EXP": 15.0, "GAIN": 100})
    assert (found.exposure_s, found.gain) == (15.0, 100.0)
    assert found.warnings == (
        "exposure: header says 15 s, folder name says 5 s; the header counts",
        "gain: header says 100, folder name says 60; the header counts",
    )
    bare = {k: v for k, v in DWARF_II.items() if k not in ("EXP", "GAIN")}
    found = frame(tmp_path, f"{folder}/0001.fits", bare)
    assert (found.exposure_s, found.gain) == (15.0, 100.0)  # the sidecar's
    assert (
        "exposure: shotsInfo.json says 15 s, folder name says 5 s; the shotsInfo.json counts"
        in found.warnings
    )


def test_the_oldest_case_lights_sidecar_and_dark_library(tmp_path: Path) -> None:
    (tmp_path / "shotsinfo.json").write_text(
        '{"exp":"10","gain":60,"target":"M51","RA":13.42784111,"DEC":49.13032222}'
    )
    found = frame(tmp_path, "raw_M51_10s_60_0048.fits", {}, width=1920, height=1080)
    expected = {"frame_type": LIGHT, "target": "M51", "exposure_s": 10.0, "gain": 60.0, "sequence": 48}
    assert told(found, expected) == expected
    assert found.ra_deg == pytest.approx(201.41761665)
    dark = frame(tmp_path, "DWARF_DARK/exp_15_gain_100_bin_1/0000.fits", {})
    expected = {
        "frame_type": DARK,
        "exposure_s": 15.0,
        "gain": 100.0,
        "binning": "1x1",
        "sequence": 0,
        "is_master": False,
        "stack_count": 1,
        "date_obs": None,
        "night": None,
        "temperature_c": None,
        "target": None,
        "warnings": (),
    }
    assert told(dark, expected) == expected


def test_size_tells_the_model_where_names_do_not(tmp_path: Path) -> None:
    dark = "DWARF_DARK/exp_15_gain_100_bin_1"
    assert frame(tmp_path, f"{dark}/0000.fits", {}, width=3840, height=2160).camera == "DWARF II"
    assert frame(tmp_path, f"{dark}/0001.fits", {}, width=3856, height=2180).camera == "DWARF 3 TELE"
    binned = frame(tmp_path, "DWARF_DARK/exp_15_gain_100_bin_2/0000.fits", {}, width=1920, height=1080)
    assert (binned.camera, binned.binning) == ("DWARF II", "2x2")
    master = "CALI_FRAME/dark/cam_0/dark_exp_60.000000_gain_60_bin_1_29C_stack_1.fits"
    assert frame(tmp_path, master, {}, width=1920, height=1080).camera == "DWARF mini TELE"
    wide = master.replace("cam_0", "cam_1")
    assert frame(tmp_path, wide, {}, width=1920, height=1080).camera == "DWARF 3 WIDE"
    seestar = "Light_M 94_10.0s_LP_20250409-225435.fit"
    assert frame(tmp_path, seestar, {}, width=1920, height=1080).device == "Seestar"
    unknown = frame(tmp_path, f"{dark}/0002.fits", {})
    assert (unknown.device, unknown.camera) == ("DWARF", None)


@pytest.mark.parametrize(
    ("cards", "device"),
    [
        ({"SWCREATE": "SharpCap 4.0"}, "SharpCap"),
        ({"SWCREATE": "MaxIm DL Version 5.12"}, "MaxIm DL"),
        ({"CREATOR": "Sequence Generator Pro v3"}, "SGP"),
        ({"SWCREATE": "Astro Photography Tool - APT v.3.50"}, "APT"),
        ({"SWCREATE": "KStars 3.6"}, "Ekos"),
        ({"PROGRAM": "Siril 1.2"}, "Siril"),
        ({"SOFTWARE": "Astro Pixel Processor by Aries Productions"}, "Astro Pixel Processor"),
        ({"TELESCOP": "Vespera", "ORIGIN": "Vaonis"}, "Vespera"),
        ({"OBSERVAT": "Indiana University", "TELESCOP": "Voyager mount"}, None),
    ],
)
def test_programs(tmp_path: Path, cards: dict[str, object], device: str | None) -> None:
    assert frame(tmp_path, "x.fits", cards).device == device


def test_a_root_may_be_the_dark_folder_itself(tmp_path: Path) -> None:
    path = make_fits(tmp_path / "DWARF_DARK/exp_15_gain_100_bin_1/0000.fits")
    found = read_metadata(path, relative="0000.fits")
    assert (found.frame_type, found.exposure_s, found.gain) == (DARK, 15.0, 100.0)


def test_dwarf_3(tmp_path: Path) -> None:
    relative = (
        "Astronomy/DWARF_RAW_TELE_IC 434_EXP_60_GAIN_60_2025-10-18-04-51-22-420/"
        "IC 434_60s60_Astro_20251018-045926401_16C.fits"
    )
    found = frame(tmp_path, relative, DWARF_3)
    expected = {
        "frame_type": LIGHT,
        "device": "DWARF 3",
        "camera": "DWARF 3 TELE",
        "target": "IC 434",
        "exposure_s": 60.0,
        "gain": 60.0,
        "filter": "Astro",
        "temperature_c": 16.0,
        "binning": "1x1",
        "ra_deg": 85.28743,
        "dec_deg": -2.492014,
        "date_obs": datetime(2025, 10, 18, 4, 58, 26, 401000, UTC),  # the header has the end
        "night": date(2025, 10, 17),
        "device_rejected": False,
        "full_scale_adu": 65535.0,
        "warnings": (),
    }
    assert told(found, expected) == expected


def test_dwarf_names_of_other_firmware_are_one_camera(tmp_path: Path) -> None:
    new = DWARF_3 | {"TELESCOP": "DWARF 3", "INSTRUME": "DWARF 3"}
    assert (
        frame(tmp_path, "a.fits", new).camera == frame(tmp_path, "b.fits", DWARF_3).camera == "DWARF 3 TELE"
    )
    assert frame(tmp_path, "c.fits", DWARF_3 | {"CAMERA": "WIDE"}).camera == "DWARF 3 WIDE"
    mini = DWARF_3 | {"TELESCOP": "DWARF mini", "INSTRUME": "DWARF mini"}
    assert frame(tmp_path, "d.fits", mini).device == "DWARF mini"


def test_failed_frames_are_the_devices_rejects(tmp_path: Path) -> None:
    name = "failed_IC 434_60s60_Astro_20251018-045926401_16C.fits"
    assert frame(tmp_path, name, DWARF_3).device_rejected
    assert frame(tmp_path, f"Solving_Failed/{name.removeprefix('failed_')}", DWARF_3).device_rejected


def test_dwarf_stacks_are_no_lights(tmp_path: Path) -> None:
    cards = DWARF_3 | {"EXPTIME": 2580.0}
    folder = "DWARF_RAW_TELE_IC 434_EXP_60_GAIN_60_2025-10-18-04-51-22-420"
    found = frame(
        tmp_path, f"{folder}/stacked-16_IC 434_60s60_Astro_20251018-045926401_16C.fits", cards, planes=3
    )
    assert (found.frame_type, found.cfa, found.planes, found.exposure_s) == (STACK, None, 3, 2580.0)
    assert (found.stack_count, found.warnings) == (None, ())
    for relative in (
        "RESTACKED/RESTACKED_DWARF_RAW_TELE_M 31_EXP_15_GAIN_60_2025-10-18-04-51-22-420/0000.fits",
        "STARTRAILS/STARTRAILS_DWARF_RAW_WIDE_EXP_10_GAIN_0_2026-04-05-00-22-47-974/"
        "startrails_10s0_20260405-002247974_26C.fits",
        f"{folder}/0123456789abcdef0123456789abcdef.fits",
    ):
        assert frame(tmp_path, relative, DWARF_3).frame_type is STACK


def test_mosaic_panel_uses_the_sidecar_above_it(tmp_path: Path) -> None:
    outer = "DWARF_RAW_TELE_MOSAIC_M 31_EXP_45_GAIN_60_2025-10-18-04-51-22-420"
    panel = "DWARF_RAW_TELE_Unknown(1)_EXP_45_GAIN_60_2025-10-18-04-51-22-420"
    relative = f"{outer}/{panel}/Unknown_45s60_Astro_20251018-045926401_16C.fits"
    (tmp_path / outer).mkdir()
    (tmp_path / outer / "shotsInfo.json").write_text(
        '{"ir":"Astro","minTemp":10,"maxTemp":12,"mosaicInfo":{}}'
    )
    found = frame(tmp_path, relative, {"EXPTIME": 45.0})
    assert (found.target, found.exposure_s, found.filter, found.temperature_c) == (
        "M 31",
        45.0,
        "Astro",
        16.0,
    )


def test_dwarf_3_calibration(tmp_path: Path) -> None:
    raw = frame(
        tmp_path,
        "DWARF_DARK/tele_exp_60_gain_60_bin_1_2025-10-20-03-20-10-952/raw_60s_60_0002_20251020-032310186_20C.fits",
        DWARF_3 | {"OBJECT": "", "FILTER": "", "RA": 0.0, "DEC": 0.0, "DET-TEMP": 20},
    )
    expected = {
        "frame_type": DARK,
        "is_master": False,
        "camera": "DWARF 3 TELE",
        "gain": 60.0,
        "exposure_s": 60.0,
        "temperature_c": 20.0,
        "filter": None,
        "ra_deg": None,
        "sequence": 2,
    }
    assert told(raw, expected) == expected
    master = frame(
        tmp_path,
        "CALI_FRAME/dark/cam_0/dark_exp_60.000000_gain_60_bin_1_29C_stack_1.fits",
        {},
        width=3856,
        height=2180,
    )
    expected = {
        "frame_type": DARK,
        "is_master": True,
        "stack_count": None,
        "device": "DWARF 3",
        "camera": "DWARF 3 TELE",
        "gain": 60.0,
        "exposure_s": 60.0,
        "temperature_c": 29.0,
        "binning": "1x1",
        "warnings": (),
    }
    assert told(master, expected) == expected


@pytest.mark.parametrize(
    ("relative", "kind", "camera", "band"),
    [
        ("CALI_FRAME/bias/cam_0/bias_gain_2_bin_1.fits", BIAS, "DWARF 3 TELE", None),
        ("CALI_FRAME/flat/cam_0/flat_gain_2_bin_1_ir_1.fits", FLAT, "DWARF 3 TELE", "Astro"),
        ("CALI_FRAME/flat/cam_1/flat_gain_2_bin_1.fits", FLAT, "DWARF 3 WIDE", None),
    ],
)
def test_index_in_factory_masters_is_no_gain(
    tmp_path: Path, relative: str, kind: FrameType, camera: str, band: str | None
) -> None:
    found = frame(tmp_path, relative, {})
    assert (found.frame_type, found.is_master, found.gain) == (kind, True, None)
    assert (found.camera, found.filter) == (camera, band)


def test_seestar(tmp_path: Path) -> None:
    found = frame(
        tmp_path, "MyWorks/M 94_sub/Light_M 94_0.01s_LP_20250409-225435.fit", SEESTAR, width=18, height=32
    )
    expected = {
        "frame_type": LIGHT,
        "device": "Seestar S50",
        "camera": "Seestar S50",
        "exposure_s": 0.01,
        "pixel_um": 2.9,
        "filter": "LP",
        "cfa": "GRBG",
        "ra_deg": 192.995835,
        "date_obs": datetime(2025, 4, 9, 20, 54, 22, 790113, UTC),
        "night": date(2025, 4, 9),
        "warnings": (),
    }
    assert told(found, expected) == expected
    words = str(found)
    assert "153dd4e2" not in words and "44.74" not in words and "-0.62" not in words


@pytest.mark.parametrize(
    ("name", "changes", "options"),
    [
        ("Stacked_210_NGC 6910_10.0s_IRCUT_20250704-232412.fit", {"STACKCNT": 210}, {"planes": 3}),
        ("DSO_Stacked_425_M 100_10.0s_20250704_070948.fit", {}, {}),
        ("Video_Stacked_M 101_10.0s_20250704_070948.fit", {}, {}),
        ("CrowdSky_M 101_10.0s_20250704_070948.fit", {}, {}),
        ("whatever.fit", {"STACKCNT": 12}, {}),
        ("whatever.fit", {"TOTALEXP": 3600.0}, {}),
        ("whatever.fit", {}, {"planes": 3}),
    ],
)
def test_seestar_stacks_call_themselves_light(
    tmp_path: Path, name: str, changes: dict[str, object], options: dict[str, object]
) -> None:
    found = frame(tmp_path, f"MyWorks/x/{name}", SEESTAR | changes, **options)
    assert found.frame_type is STACK
    assert found.stack_count == changes.get("STACKCNT")


@pytest.mark.parametrize(
    ("telescope", "instrument", "device"),
    [
        ("S30 Pro_10d57b1d", "imx585", "Seestar S30 Pro"),
        ("S30_10d57b1d", "Seestar S30", "Seestar S30"),
        ("Seestar S50", "Seestar S50", "Seestar S50"),
    ],
)
def test_seestar_models(tmp_path: Path, telescope: str, instrument: str, device: str) -> None:
    cards = {k: v for k, v in SEESTAR.items() if k != "CREATOR"}
    found = frame(tmp_path, "x.fit", cards | {"TELESCOP": telescope, "INSTRUME": instrument})
    assert (found.device, found.camera) == (device, instrument)


def test_nina(tmp_path: Path) -> None:
    found = frame(tmp_path, "M 27/2025-09-16/LIGHT/2025-09-16_21-34-02_Ha_-9.80_300.00s_0012.fits", NINA)
    expected = {
        "frame_type": LIGHT,
        "device": "N.I.N.A.",
        "camera": "ZWO ASI2600MC Pro",
        "date_obs": datetime(2025, 9, 17, 3, 34, 2, 647710, UTC),
        "night": date(2025, 9, 16),
        "gain": 100.0,
        "offset": 50.0,
        "temperature_c": -9.8,
        "readout_mode": "High Gain Mode",
        "rotator_deg": 12.5,
        "sequence": 12,
        "ra_deg": 299.9,
        "warnings": (),
    }
    assert told(found, expected) == expected
    dark = frame(
        tmp_path, "DARK/x.fits", NINA | {"IMAGETYP": "DARK", "FILTER": "Dark", "GAIN": -1, "OFFSET": -1}
    )
    assert (dark.frame_type, dark.filter, dark.gain, dark.offset, dark.target) == (
        DARK,
        None,
        None,
        None,
        None,
    )


def test_nina_1_9_calls_darks_light(tmp_path: Path) -> None:
    found = frame(tmp_path, "DARK/Dark_0001.fits", NINA)
    assert found.frame_type is LIGHT
    assert "type: header says light, file name says dark; the header counts" in found.warnings


def test_asiair(tmp_path: Path) -> None:
    cards = {
        "CREATOR": "ZWO ASIAIR Plus",
        "INSTRUME": "ZWO ASI2600MC Pro",
        "DATE-OBS": "2025-08-24T20:52:13.98",
        "EXPTIME": 30.0,
    }
    relative = "Autorun/Light/M 31/Light_M 31_30.0s_Bin1_2600MC_None_gain100_20250824-225244_-10.0C_0001.fit"
    found = frame(tmp_path, relative, cards)
    expected = {
        "device": "ASIAIR",
        "target": "M 31",
        "gain": 100.0,
        "binning": "1x1",
        "temperature_c": -10.0,
        "night": date(2025, 8, 24),
        "sequence": 1,
    }
    assert told(found, expected) == expected
    master = frame(
        tmp_path, "MasterBias_1.0ms_-9.8C_gain100_2600.fits", {"IMAGETYP": "Bias", "STACKCNT": 100}
    )
    assert (master.frame_type, master.is_master, master.stack_count, master.exposure_s) == (
        BIAS,
        True,
        100,
        0.001,
    )


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"EXPOSURE": 10000, "CREATOR": "Stellina"}, {"exposure_s": 10.0, "device": "Stellina"}),
        (
            {"CAMTEMP": 272.15, "FLENGTH": 0.56, "ORIGIN": "MicroObservatory"},
            {"temperature_c": -1.0, "focal_mm": 560.0},
        ),
        ({"EXPTIME": "9,5", "GAIN": "120"}, {"exposure_s": 9.5, "gain": 120.0}),
        ({"EXPTIME": "1/400"}, {"exposure_s": 0.0025}),
        ({"EXPTIME": -1, "CCD-TEMP": -999, "FOCALLEN": 0}, {"exposure_s": None, "temperature_c": None, "focal_mm": None}),
        ({"GAIN": 1.39}, {"gain": None}),
        ({"GAIN": 180.0}, {"gain": 180.0}),
        ({"EGAIN": 0.78}, {"gain": None}),
        ({"ISOSPEED": 800}, {"gain": 800.0}),
        ({"SET-TEMP": -10.0}, {"temperature_c": -10.0}),
        ({"SET-TEMP": -10.0, "CCD-TEMP": -9.0}, {"temperature_c": -9.0}),
        ({"PIXSIZE1": 3.75, "XBINNING": 2, "YBINNING": 2}, {"pixel_um": 7.5, "binning": "2x2"}),
        ({"XPIXSZ": 13.6, "XBINNING": 2, "YBINNING": 2}, {"pixel_um": 13.6}),
        ({"BINNING": "2*2"}, {"binning": "2x2"}),
        ({"BINNING": ""}, {"binning": None}),
        ({"FILTER": "N/A"}, {"filter": None}),
        ({"FILT-1": "Ha 7nm"}, {"filter": "Ha 7nm"}),
        ({"OBJECT": "Unknown"}, {"target": None}),
        ({"OBJECT": "M\x1b[31m 1\x07"}, {"target": "M[31m 1"}),
        ({"RA": "20 57 04.40", "DEC": "+31 39 39.6"}, {"ra_deg": pytest.approx(314.26833), "dec_deg": pytest.approx(31.661)}),
        ({"OBJCTRA": "19 59 41.99", "OBJCTDEC": "-00 43 19.4"}, {"dec_deg": pytest.approx(-0.722056, abs=1e-5)}),
        ({"RA": 12.5, "DEC": 41.0}, {"ra_deg": 12.5}),  # degrees, whatever the magnitude
        ({"RA": (12.5, "[h] right ascension"), "DEC": 41.0}, {"ra_deg": 187.5}),
        ({"RA": 400.0, "DEC": 41.0}, {"ra_deg": None, "dec_deg": None}),
        ({"RA": 0.0, "DEC": 0.0}, {"ra_deg": None}),
        ({"CALSTAT": "BDF"}, {"calstat": "BDF"}),
        ({"XORGSUBF": 12, "YORGSUBF": 0}, {"roi_x": 12, "roi_y": 0}),
        ({"SATURATE": 62000}, {"full_scale_adu": 62000.0}),
        ({"SWCREATE": "astrotui 0.1.0", "IMAGETYP": "Light"}, {"frame_type": STACK}),
        ({"SWCREATE": "astrotui 0.1.0", "IMAGETYP": "Master Dark"}, {"frame_type": DARK, "is_master": True}),
        ({"SWCREATE": "astrotui 0.1.0", "INSTRUME": "DWARF 3"}, {"frame_type": STACK}),
        ({"IMAGETYP": "Master Light"}, {"frame_type": STACK}),
        ({}, {"frame_type": LIGHT, "exposure_s": None, "gain": None, "binning": None, "device": None, "night": None}),
    ],
)  # fmt: skip
def test_header_fields(tmp_path: Path, cards: dict[str, object], expected: dict[str, object]) -> None:
    assert told(frame(tmp_path, "x.fits", cards), expected) == expected


@pytest.mark.parametrize(
    ("key", "word", "kind", "master"),
    [
        ("IMAGETYP", "Light Frame", LIGHT, False),
        ("IMAGETYP", "OBJECT", LIGHT, False),
        ("IMAGETYP", "SNAPSHOT", LIGHT, False),
        ("IMAGETYP", "Dark Frame", DARK, False),
        ("IMAGETYP", "Bias Frame", BIAS, False),
        ("IMAGETYP", "zero", BIAS, False),
        ("IMAGETYP", "Flat Field", FLAT, False),
        ("IMAGETYP", "DARKFLAT", FrameType.DARK_FLAT, False),
        ("IMAGETYP", "Dark Flat", FrameType.DARK_FLAT, False),
        ("IMAGETYP", "Master Flat", FLAT, True),
        ("IMAGETYP", "masterDark", DARK, True),
        ("FRAME", "Light", LIGHT, False),
        ("FRAMETYP", "Flat", FLAT, False),
        ("OBSTYPE", "BIAS", BIAS, False),
        ("CALFRAME", "dark", DARK, False),
        ("PICTTYPE", 3, DARK, False),
        ("PICTTYPE", 4, FLAT, False),
    ],
)
def test_types_in_headers(tmp_path: Path, key: str, word: object, kind: FrameType, master: bool) -> None:
    found = frame(tmp_path, "x.fits", {key: word})
    assert (found.frame_type, found.is_master) == (kind, master)


@pytest.mark.parametrize(
    ("relative", "kind"),
    [
        ("Darks/x_0001.fits", DARK),
        ("calibration/Bias/2024/x.fits", BIAS),
        ("Flats/Lights/x.fits", LIGHT),
        ("M31/Dark_001.fits", DARK),
        ("DWARF_BIASES_EXP_0.0001_GAIN_80_2024-05-05/0000.fits", BIAS),
        ("dark_sky_site/x.fits", LIGHT),
        ("DWARF_DARK_20240106205833796/0000.fits", DARK),
        ("DWARF_RAW_20240106205833796/0000.fits", LIGHT),
        ("DWARF_GOTO_20240106205833796/0000.fits", LIGHT),
        (
            "Autorun/Dark-Flat/DarkFlat_1.0ms_Bin1_S_gain100_20240624-094304_-10.5C_0001.fit",
            FrameType.DARK_FLAT,
        ),
        ("cal/MasterOffset.fit", BIAS),
    ],
)
def test_types_in_names(tmp_path: Path, relative: str, kind: FrameType) -> None:
    assert frame(tmp_path, relative, {}).frame_type is kind


def test_type_that_disagrees_is_reported(tmp_path: Path) -> None:
    found = frame(tmp_path, "flattest.fit", {"IMAGETYP": "BIAS"})
    assert found.frame_type is BIAS
    assert found.warnings == ("type: header says bias, file name says flat; the header counts",)
    assert frame(tmp_path, "darkhorse_1.fit", {"IMAGETYP": "Light"}).warnings == ()


@pytest.mark.parametrize(
    ("cards", "start"),
    [
        ({"DATE-OBS": "2025-03-27T05:45:00"}, datetime(2025, 3, 27, 5, 45, tzinfo=UTC)),
        ({"DATE-OBS": "2025-03-27T05:45:00.734"}, datetime(2025, 3, 27, 5, 45, 0, 734000, UTC)),
        ({"DATE-OBS": "2025-04-09T20:54:22.790113"}, datetime(2025, 4, 9, 20, 54, 22, 790113, UTC)),
        ({"DATE-OBS": "2025-09-17T03:34:02.6477108"}, datetime(2025, 9, 17, 3, 34, 2, 647710, UTC)),
        ({"DATE-OBS": "2017-12-19T18:33:43.317-0700"}, datetime(2017, 12, 20, 1, 33, 43, 317000, UTC)),
        ({"DATE-OBS": "2017-12-19T18:33:43Z"}, datetime(2017, 12, 19, 18, 33, 43, tzinfo=UTC)),
        ({"DATE-OBS": "26/10/92", "TIME-OBS": "15:04:08"}, datetime(1992, 10, 26, 15, 4, 8, tzinfo=UTC)),
        ({"DATE": "04/07/18", "TIME-OBS": "01:02:03.5"}, datetime(2018, 7, 4, 1, 2, 3, 500000, UTC)),
        ({"DATE-OBS": "2012-06-17", "UT": "01:32:40"}, datetime(2012, 6, 17, 1, 32, 40, tzinfo=UTC)),
        ({"DATE-OBS": "2012-06-17"}, None),
        ({"DATE-OBS": "26/10/92"}, None),
        ({"DATE-OBS": ""}, None),
        ({"DATE-OBS": "2012-13-45T99:99:99"}, None),
        ({"DATE-OBS": "2016-12-31T23:59:60"}, datetime(2017, 1, 1, tzinfo=UTC)),
        ({"DATE": "2025-03-27T05:45:00"}, None),
        ({"MJD-OBS": 56095.5}, datetime(2012, 6, 17, 12, tzinfo=UTC)),
        ({"JD": 2456096.0}, datetime(2012, 6, 17, 12, tzinfo=UTC)),
        ({"DATE-OBS": ("2025-03-27T05:45:00", "end of exposure"), "EXPTIME": 60}, datetime(2025, 3, 27, 5, 44, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_dates(tmp_path: Path, cards: dict[str, object], start: datetime | None) -> None:
    assert frame(tmp_path, "x.fits", cards).date_obs == start


@pytest.mark.parametrize(
    ("relative", "cards", "night"),
    [
        ("x.fits", {"DATE-OBS": "2025-03-27T11:59:00"}, date(2025, 3, 26)),
        ("x.fits", {"DATE-OBS": "2025-03-27T12:01:00"}, date(2025, 3, 27)),
        # California: 10 pm and 5 am of one local night are two dates in UTC, and on both sides of its noon.
        ("x.fits", {"DATE-OBS": "2025-03-27T05:00:00", "SITELONG": "-120 30 00"}, date(2025, 3, 26)),
        ("x.fits", {"DATE-OBS": "2025-03-27T12:30:00", "SITELONG": "-120 30 00"}, date(2025, 3, 26)),
        ("x.fits", {"DATE-OBS": "2025-03-27T12:30:00", "SITELONG": 239.5}, date(2025, 3, 26)),
        # Japan: 8 pm local is 11:00 UTC.
        ("x.fits", {"DATE-OBS": "2025-03-27T11:00:00", "LONG-OBS": 139.7}, date(2025, 3, 27)),
        ("x.fits", {"DATE-OBS": "2025-03-27T11:00:00", "DATE-LOC": "2025-03-27T20:00:00"}, date(2025, 3, 27)),
        ("M1_20250327-200011.fits", {"DATE-OBS": "2025-03-27T11:00:00", "EXPTIME": 10}, date(2025, 3, 27)),
        ("M1_20250327-201003.fits", {"DATE-OBS": "2025-03-27T11:00:00", "EXPTIME": 600}, date(2025, 3, 27)),
        # A stamp that is no local time of this exposure is passed over.
        ("M1_20200101-000000.fits", {"DATE-OBS": "2025-03-27T11:00:00"}, date(2025, 3, 26)),
        # A DWARF's header and folder run by one clock.
        ("DWARF_RAW_M94_EXP_10_GAIN_80_2025-03-27-05-45-00-734/0.fits", {"DATE-OBS": "2025-03-27T06:45:00"}, date(2025, 3, 26)),
        # Here the folder's clock is ahead of the header's UTC.
        ("DWARF_RAW_M94_EXP_10_GAIN_80_2025-03-27-20-00-00-734/0.fits", {"DATE-OBS": "2025-03-27T11:01:00"}, date(2025, 3, 27)),
        # Without a date in the header the stamps tell the night, and nothing tells the time in UTC.
        ("DWARF_RAW_M94_EXP_10_GAIN_80_2025-03-27-05-45-00-734/0.fits", {}, date(2025, 3, 26)),
    ],
)  # fmt: skip
def test_nights(tmp_path: Path, relative: str, cards: dict[str, object], night: date) -> None:
    found = frame(tmp_path, relative, cards)
    assert found.night == night
    assert ("DATE-OBS" in cards) == (found.date_obs is not None)


@pytest.mark.parametrize(
    ("cards", "height", "phase"),
    [
        ({}, 16, "RGGB"),
        ({"ROWORDER": "TOP-DOWN"}, 16, "RGGB"),
        ({"ROWORDER": "BOTTOM-UP"}, 16, "GBRG"),
        ({"ROWORDER": "BOTTOM-UP"}, 17, "RGGB"),
        ({"XBAYROFF": 1}, 16, "GRBG"),
        ({"YBAYROFF": 1}, 16, "GBRG"),
        ({"XBAYROFF": 1, "YBAYROFF": 1}, 16, "BGGR"),
        ({"XBAYROFF": 2, "YBAYROFF": -1}, 16, "GBRG"),
        ({"XBAYROFF": 1, "ROWORDER": "BOTTOM-UP"}, 16, "BGGR"),
    ],
)
def test_mosaic_phase(tmp_path: Path, cards: dict[str, object], height: int, phase: str) -> None:
    found = frame(tmp_path, "x.fits", {"BAYERPAT": "RGGB"} | cards, height=height)
    assert (found.cfa, found.cfa_phase) == ("RGGB", phase)


def test_other_mosaics_are_reported(tmp_path: Path) -> None:
    xtrans = frame(tmp_path, "x.fits", {"BAYERPAT": "GGRGGBGGBGGRBRGRBGGGBGGRGGRGGBRBGBRG"})
    assert xtrans.cfa is None and "not a 2x2 Bayer pattern" in xtrans.warnings[0]
    celestron = frame(tmp_path, "y.fits", {"COLORTYP": 2, "XBAYROFF": 1, "YBAYROFF": 0})
    assert celestron.cfa is None and "not of its pattern" in celestron.warnings[0]


@pytest.mark.parametrize(
    ("bitpix", "bzero", "full"),
    [(16, 32768, 65535.0), (16, None, 32767.0), (8, None, 255.0), (32, None, None), (-32, None, None)],
)
def test_full_scale(tmp_path: Path, bitpix: int, bzero: int | None, full: float | None) -> None:
    found = frame(tmp_path, "x.fits", {}, bitpix=bitpix, bzero=bzero)
    assert (found.full_scale_adu, found.bitpix) == (full, bitpix)


def test_calibrated_by_name_and_sidecar_problems(tmp_path: Path) -> None:
    for name in ("pp_light_00001.fit", "proc_light_00001.fit", "CORRECTED_light_00001.fit"):
        assert frame(tmp_path, name, {"EQUINOX": 9.87654321e107}).calstat == "BDF"
    folder = tmp_path / "DWARF_RAW_M1_EXP_15_GAIN_80_2025-03-27-05-45-00-734"
    folder.mkdir()
    (folder / "shotsInfo.json").write_text("{")
    clear_sidecar_cache()
    found = frame(tmp_path, f"{folder.name}/raw_M1_15s_80_0001.fits", DWARF_II | {"EXP": 15.0, "GAIN": 80})
    assert found.warnings == ("shotsInfo.json is not valid JSON and is not read",)


def test_sidecar_of_one_device_says_nothing_of_another(tmp_path: Path) -> None:
    (tmp_path / "shotsInfo.json").write_text('{"exp":"15","gain":80,"target":"M1"}')
    assert frame(tmp_path, "x.fits", NINA).warnings == ()


def test_content_id() -> None:
    when = datetime(2025, 3, 27, 5, 45, tzinfo=UTC)
    first = content_id(100, when, "ab")
    assert len(first) == 40 and int(first, 16) >= 0
    assert first == content_id(100, when, "ab")
    assert (
        len({first, content_id(101, when, "ab"), content_id(100, None, "ab"), content_id(100, when, "ac")})
        == 4
    )


def test_names_that_are_no_frames(tmp_path: Path) -> None:
    assert is_frame_name("x.fit") and not is_frame_name("x.txt")
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(FrameError, match="not a format"):
        read_metadata(tmp_path / "x.txt")


REAL = [
    (
        "seestar_m94/M 94_sub",
        11,
        {"device": "Seestar S50", "target": "M 94", "exposure_s": 10.0, "gain": 80.0, "cfa": "GRBG", "binning": "1x1",
         "filter": "IRCUT", "night": date(2025, 4, 9), "width": 1080, "height": 1920, "frame_type": LIGHT,
         "full_scale_adu": 65535.0, "focal_mm": 250.0, "pixel_um": 2.9, "warnings": ()},
    ),
    (
        "dwarf2_m94/DWARF_II/Astronomy/DWARF_RAW_M94_EXP_10_GAIN_80_2025-03-27-05-45-00-734",
        6,
        {"device": "DWARF II", "target": "M94", "exposure_s": 10.0, "gain": 80.0, "cfa": "GBRG", "binning": "2x2",
         "night": date(2025, 3, 26), "width": 1920, "frame_type": LIGHT, "ra_deg": pytest.approx(193.0708, abs=1e-3),
         "warnings": ()},
    ),
    (
        "als_m27",
        6,
        {"device": "Ekos", "camera": "ZWO CCD ASI224MC", "target": None, "exposure_s": 6.0, "gain": 180.0,
         "cfa": "RGGB", "night": date(2018, 9, 7), "frame_type": LIGHT, "pixel_um": 3.75, "warnings": (),
         "ra_deg": pytest.approx(299.925, abs=1e-3)},
    ),
    (
        "oscaar_tres1/lights",
        24,
        {"device": "MaxIm DL", "target": None, "exposure_s": 60.0, "gain": None, "cfa": None, "binning": "2x2",
         "night": date(2012, 6, 16), "frame_type": LIGHT, "filter": "Filter 2", "pixel_um": 13.6, "focal_mm": None,
         "warnings": ()},
    ),
    (
        "oscaar_tres1/darks",
        10,
        {"exposure_s": 60.0, "frame_type": DARK, "binning": "2x2", "night": date(2012, 6, 16), "warnings": ()},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("folder", "count", "expected"), REAL, ids=[folder for folder, _, _ in REAL])
def test_real_sets(real_frames: Path, folder: str, count: int, expected: dict[str, object]) -> None:
    files = sorted(p for p in (real_frames / folder).iterdir() if is_frame_name(p.name))
    assert len(files) == count
    for path in files:
        found = read_metadata(path, relative=str(path.relative_to(real_frames)))
        assert told(found, expected) == expected


def test_real_odd_files_are_frames_or_refused_in_one_line(real_frames: Path) -> None:
    refused = {}
    for path in sorted((real_frames / "odd").rglob("*.f*")):
        if path.is_file():
            try:
                read_metadata(path, relative=str(path.relative_to(real_frames)))
            except FrameError as error:
                refused[path.name] = error.reason
    assert refused.pop("iter_c.fit") == "not a FITS file"
    assert set(refused.values()) == {"no image in the file"}
    assert len(refused) == 7
