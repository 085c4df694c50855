"""The header of a result: facts that astropy reads back, nothing private, coordinates that stay true."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from astrotui import __version__
from astrotui.errors import OutputError, PlanError
from astrotui.imaging.types import StarList
from astrotui.stacking.manifest import (
    check_manifest,
    manifest_digest,
    manifest_path,
    read_result,
    write_manifest,
)
from astrotui.stacking.plan import (
    Calibration,
    InputFile,
    MasterSpec,
    PlanFrame,
    SkippedFrame,
    StackPlan,
    load_plan,
)
from astrotui.stacking.provenance import ResultFacts, fits_text, result_header, shift_wcs
from astrotui.stacking.recipe import Recipe
from astrotui.stacking.result import FrameOutcome, StackResult


def frame(number: int, calibration: int = 0) -> PlanFrame:
    return PlanFrame(
        InputFile(f"/home/ada/sky/raw_{number:04d}.fits", 100, 5),
        StarList.empty(),
        calibration=calibration,
        exposure_s=10.0,
        date_obs=f"2025-03-27T05:{number:02d}:00+00:00",
    )


DARK = MasterSpec("dark", (InputFile("/d/1.fits", 10, 20),), 64, 48)
PLAN = StackPlan(
    name="M 51",
    frames=tuple(frame(i) for i in range(5)),
    reference=2,
    recipe=Recipe(),
    output="/out/m51.fits",
    manifest="/out/m51.json",
    width=640,
    height=360,
    calibrations=(Calibration(dark=DARK),),
    skipped=(SkippedFrame("/home/ada/sky/raw_0009.fits", "no stars"),),
    cfa="GBRG",
    planes=1,
    full_scale_adu=4095.0,
    header={
        "OBJECT": "M 51",
        "TELESCOP": "S50_153dd4e2",
        "INSTRUME": "Seestar S50",
        "FILTER": "Duo-Band",
        "FOCALLEN": 100,
        "XPIXSZ": 1.45,
        "GAIN": "60",
        "RA": 202.4696,
        "DEC": 47.1953,
        "SITELAT": 51.05,
        "SITELONG": 3.7,
        "SERIAL": "153dd4e2",
        "CCD-TEMP": float("nan"),
    },
)


def header_of(plan: StackPlan, facts: ResultFacts, reference: dict[str, object] | None = None) -> fits.Header:
    """The cards as astropy writes and reads them; a card that does not fit fails here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        header = fits.Header()
        for key, value, comment in result_header(plan, facts, reference):
            if key == "HISTORY":
                header.add_history(value)
            else:
                assert key not in header
                header[key] = (value, comment)
        return fits.Header.fromstring(header.tostring())


def test_the_header_tells_exposure_and_recipe() -> None:
    header = header_of(PLAN, ResultFacts((0, 1, 2, 4), 3, normalize="stars", reject="winsorized"))
    expected = {
        "OBJECT": "M 51",
        "EXPTIME": 10.0,
        "TOTALEXP": 40.0,
        "STACKCNT": 4,
        "NCOMBINE": 4,
        "DATE-OBS": "2025-03-27T05:00:00.000",
        "DATE-END": "2025-03-27T05:04:10.000",
        "DATE-AVG": "2025-03-27T05:01:50.000",
        "FILTER": "Duo-Band",
        "FOCALLEN": 100,
        "XPIXSZ": 1.45,
        "INSTRUME": "Seestar S50",
        "GAIN": 60.0,
        "RA": 202.4696,
        "DEC": 47.1953,
        "CALSTAT": "BD",
        "COMBINE": "average",
        "REJECT": "winsorized",
        "REJLOW": 3.0,
        "NORMALIZ": "stars",
        "WEIGHT": "depth",
        "SWCREATE": f"astrotui {__version__}",
        "SATURATE": 4095.0,
    }
    assert {key: header[key] for key in expected} == expected
    assert "BAYERPAT" not in header and "ROWORDER" not in header and "CCD-TEMP" not in header


def test_nothing_private_is_in_the_header_unless_asked() -> None:
    text = header_of(PLAN, ResultFacts((0, 1), 3), {"SITELAT": 1.0}).tostring()
    for secret in ("SITELAT", "SITELONG", "SERIAL", "153dd4e2", "ada", "/home"):
        assert secret not in text
    assert header_of(PLAN, ResultFacts((0, 1), 3))["TELESCOP"] == "S50"
    told = header_of(replace(PLAN, private=False), ResultFacts((0, 1), 3))
    assert told["SITELAT"] == 51.05 and told["TELESCOP"] == "S50_153dd4e2"
    assert "SERIAL" not in told


def test_rows_keep_the_order_that_the_reference_declared() -> None:
    assert header_of(PLAN, ResultFacts((0,), 3), {"ROWORDER": "TOP-DOWN"})["ROWORDER"] == "TOP-DOWN"
    assert "ROWORDER" not in header_of(PLAN, ResultFacts((0,), 3), {"ROWORDER": "sideways"})


def test_the_mosaic_pattern_stays_only_on_a_mosaic() -> None:
    assert header_of(PLAN, ResultFacts((0,), 1))["BAYERPAT"] == "GBRG"
    assert "BAYERPAT" not in header_of(replace(PLAN, cfa=None), ResultFacts((0,), 1))


def test_a_drizzle_has_smaller_pixels_and_super_pixels_larger_ones() -> None:
    assert header_of(PLAN, ResultFacts((0,), 3, scale=2.0))["XPIXSZ"] == pytest.approx(0.725)
    assert header_of(PLAN, ResultFacts((0,), 3, scale=0.5))["YPIXSZ"] == pytest.approx(2.9)


def test_calstat_claims_only_what_every_frame_got() -> None:
    plan = replace(
        PLAN,
        frames=(frame(0), frame(1, 1), frame(2, 2)),
        calibrations=(Calibration(dark=DARK, flat=DARK), Calibration(dark=DARK), Calibration()),
    )
    assert header_of(plan, ResultFacts((0,), 3))["CALSTAT"] == "BDF"
    assert header_of(plan, ResultFacts((0, 1), 3))["CALSTAT"] == "BD"
    assert "CALSTAT" not in header_of(plan, ResultFacts((0, 1, 2), 3))


def test_history_lists_inputs_within_bounds() -> None:
    plan = replace(PLAN, frames=tuple(frame(i % 60) for i in range(2500)))
    header = header_of(plan, ResultFacts(tuple(range(2500)), 3))
    lines = list(header["HISTORY"])
    assert "reference raw_0002.fits" in lines and "input raw_0007.fits" in lines
    assert "2450 more" in lines[-1]
    assert len(lines) < 60 and header["STACKCNT"] == 2500


@settings(deadline=None)
@given(st.text(max_size=100), st.text(max_size=300), st.floats() | st.integers(-(10**30), 10**30) | st.text())
def test_hostile_values_become_cards_that_fit(name: str, path: str, value: object) -> None:
    plan = replace(
        PLAN,
        header={
            "OBJECT": name,
            "INSTRUME": path,
            "GAIN": value,
            "FOCALLEN": value,
            "XPIXSZ": value,
            "RA": value,
        },
        frames=(replace(frame(0), file=InputFile(path, 1, 1), date_obs=name[:20]),),
        reference=0,
    )
    text = header_of(plan, ResultFacts((0,), 3, noise_adu=float("nan"))).tostring()
    assert all(" " <= ch <= "~" for ch in text)


def test_text_becomes_ascii_that_can_be_read() -> None:
    assert fits_text("Orión – nébuleuse") == "Orion ? nebuleuse"
    assert fits_text("\x1b]0;evil\x07 M 42\n") == "]0;evil M 42"
    assert len(fits_text("'" * 100)) == 34


# --- coordinates


def wcs_header(sip: bool = False, pc: bool = False) -> fits.Header:
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = ("RA---TAN-SIP", "DEC--TAN-SIP") if sip else ("RA---TAN", "DEC--TAN")
    header["CRVAL1"], header["CRVAL2"] = 202.4696, 47.1953
    header["CRPIX1"], header["CRPIX2"] = 320.5, 180.25
    if pc:
        header["CDELT1"], header["CDELT2"] = -8e-4, 8e-4
        header["PC1_1"], header["PC1_2"], header["PC2_1"], header["PC2_2"] = 0.8, -0.6, 0.6, 0.8
    else:
        header["CD1_1"], header["CD1_2"], header["CD2_1"], header["CD2_2"] = -8e-4, 1e-4, 1e-4, 8e-4
    if sip:
        for name in "AB":
            header[f"{name}_ORDER"] = 3
        header["A_2_0"], header["A_1_1"], header["A_0_3"] = 3e-6, -1e-6, 2e-9
        header["B_0_2"], header["B_2_1"] = -2e-6, 4e-9
    header["RADESYS"], header["EQUINOX"] = "ICRS", 2000.0
    return header


def cards_of(header: fits.Header) -> list[str]:
    return [str(card) for card in header.cards]


@pytest.mark.parametrize(("sip", "pc"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize(
    ("dx", "dy", "scale"), [(0, 0, 1), (37, -12, 1), (-8.5, 4.25, 1), (10, 20, 2), (3, 4, 0.5)]
)
def test_a_point_of_the_sky_stays_where_it_was(
    sip: bool, pc: bool, dx: float, dy: float, scale: float
) -> None:
    original = wcs_header(sip, pc)
    moved = fits.Header()
    for key, value, comment in shift_wcs(cards_of(original), dx, dy, scale):
        moved[key] = (value, comment)
    x, y = np.meshgrid(np.linspace(0, 639, 7), np.linspace(0, 359, 5))
    ra, dec = WCS(original).all_pix2world(x, y, 0)
    there_x, there_y = scale * (x - dx + 0.5) - 0.5, scale * (y - dy + 0.5) - 0.5
    new_ra, new_dec = WCS(moved).all_pix2world(there_x, there_y, 0)
    np.testing.assert_allclose(new_ra, ra, rtol=0, atol=1e-9)
    np.testing.assert_allclose(new_dec, dec, rtol=0, atol=1e-9)


def test_a_header_without_scale_cards_is_scaled_too() -> None:
    header = wcs_header()
    for key in ("CD1_1", "CD1_2", "CD2_1", "CD2_2", "CRPIX1"):
        del header[key]
    moved = {key: value for key, value, _ in shift_wcs(cards_of(header), 1, 0, 2)}
    assert moved["CDELT1"] == 0.5 and moved["CDELT2"] == 0.5
    assert moved["CRPIX1"] == 2 * (0 - 1 - 0.5) + 0.5


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_a_color_result_has_the_coordinates_of_its_reference() -> None:
    plan = replace(PLAN, wcs=tuple(cards_of(wcs_header())))
    header = header_of(plan, ResultFacts((0,), 3, dx=100, dy=50))
    image = fits.PrimaryHDU(np.zeros((3, 4, 5), np.float32), header)
    sky = WCS(image.header).celestial.pixel_to_world_values(219.5, 129.25)
    assert np.allclose(sky, (202.4696, 47.1953), atol=1e-9)
    assert header["WCSAXES"] == 2 and "RA" in header


def test_what_is_no_celestial_wcs_is_left_out() -> None:
    assert shift_wcs([], 1, 1) == []
    assert shift_wcs(["SIMPLE  =                    T".ljust(80)], 1, 1) == []
    spectral = wcs_header()
    spectral["CTYPE1"] = "WAVE"
    assert shift_wcs(cards_of(spectral), 1, 1) == []
    siril = wcs_header()
    siril["EQUINOX"] = 9.87654321e107
    siril["SITELAT"] = 51.0
    moved = {key for key, _, _ in shift_wcs(cards_of(siril), 1, 1)}
    assert "EQUINOX" not in moved and "SITELAT" not in moved


def test_a_broken_wcs_card_is_no_obstacle() -> None:
    cards = [*cards_of(wcs_header()), "LONPOLE = not a number at all".ljust(80)]
    assert "CRPIX1" in {key for key, _, _ in shift_wcs(cards, 1, 1)}


# --- manifest


def result(output: Path) -> StackResult:
    return StackResult(
        output=str(output),
        manifest=str(manifest_path(output)),
        frames_used=4,
        frames_skipped=PLAN.skipped,
        reference=PLAN.frames[2].file.path,
        integration_s=40.0,
        rejected_fraction=0.004,
        noise_adu=float("nan"),
        fwhm_px=2.9,
        width=640,
        height=360,
        planes=3,
        seconds=1.5,
        frames=(
            FrameOutcome(
                "/home/ada/sky/raw_0000.fits", True, "", 1.0, (1.0, 0, 3, 0, 1, 4, 0, 0, 1), (1.1,), (-7.0,)
            ),
            FrameOutcome("/home/ada/sky/raw_0003.fits", False, "clouds"),
        ),
    )


def test_a_manifest_reruns_its_stack(tmp_path: Path) -> None:
    output = tmp_path / "m51.fits"
    path = manifest_path(output)
    digest = write_manifest(PLAN, result(output), path, "17")
    assert path.name == "m51.json"
    assert digest == manifest_digest(path)
    assert [p.name for p in tmp_path.iterdir()] == ["m51.json"]
    again = load_plan(path)
    assert read_result(path) == replace(result(output), noise_adu=None)
    table = json.loads(path.read_text())
    assert again.recipe == PLAN.recipe and len(again.frames) == 5
    assert table["digest"] == PLAN.digest()
    assert table["astrotui"] == __version__
    assert table["result"]["frames_used"] == 4 and table["result"]["noise_adu"] is None
    assert [row["used"] for row in table["frames"]] == [True, False]
    assert table["frames"][0]["transform"][5] == 4
    assert {"python", "numpy", "numba"} <= table["versions"].keys()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"result": {}, "frames": []}', '{"result": 3}'])
def test_a_result_is_read_from_manifests_only(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m51.json"
    path.write_text(text)
    with pytest.raises(PlanError, match=r"m51\.json: not a manifest"):
        read_result(path)
    with pytest.raises(PlanError, match="cannot be read"):
        read_result(tmp_path / "nowhere.json")


def test_a_rerun_replaces_its_own_manifest_and_no_other_file(tmp_path: Path) -> None:
    output = tmp_path / "m51.fits"
    path = manifest_path(output)
    write_manifest(PLAN, result(output), path, "17")
    write_manifest(replace(PLAN, band_rows=32), result(output), path, "18")
    assert load_plan(path).band_rows == 32
    other = tmp_path / "notes.json"
    for text in ('{"mine": 1}', "not json", '{"astrotui": "0.1.0"}', "[]"):
        other.write_text(text)
        with pytest.raises(OutputError, match=r"notes\.json"):
            write_manifest(PLAN, result(tmp_path / "notes.fits"), other, "19")
        assert other.read_text() == text
    with pytest.raises(OutputError):
        check_manifest(path, tmp_path / "m52.fits")
    check_manifest(tmp_path / "new.json", tmp_path / "new.fits")


def test_a_manifest_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    output = tmp_path / "nowhere" / "m51.fits"
    with pytest.raises(OutputError, match="folder does not exist"):
        write_manifest(PLAN, result(output), manifest_path(output), "17")
    with pytest.raises(PlanError, match="cannot be read"):
        manifest_digest(manifest_path(output))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("m51.fits", "m51.json"),
        ("m 51.v2.fit", "m 51.v2.json"),
        ("m51.fits.gz", "m51.json"),
        ("m51", "m51.json"),
    ],
)
def test_the_manifest_is_named_after_the_result(output: str, name: str) -> None:
    assert manifest_path(Path("/out") / output) == Path("/out") / name
