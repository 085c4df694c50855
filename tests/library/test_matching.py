"""Matching in a library: factory masters, drifting sensors, calibrated lights, gaps; and its quick form."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Session
from astrotui.library.annotate import pin
from astrotui.library.calibrators import (
    DarkFinder,
    SetRecord,
    dark_gaps,
    load_sets,
    match_session,
    session_match,
)
from astrotui.library.index import index_roots
from astrotui.library.listing import list_sessions
from tests.library.conftest import WriteFrame

DWARF_3 = "DWARF_RAW_TELE_M 31_EXP_60_GAIN_60_2025-10-18-04-51-22-420"


def dwarf_3_library(write_frame: WriteFrame, root: Path) -> None:
    """Lights, and the telescope's own masters, which only their names tell about."""
    for i in range(3):
        write_frame(
            root / DWARF_3 / f"M 31_60s60_Astro_20251018-0459{i:02}401_16C.fits", IMAGETYP=None, OBJECT="M 31", EXPTIME=60.0,
            TELESCOP="DWARFIII", INSTRUME="DWARFIII", DATE_OBS=f"2025-10-18T04:59:{i:02}", **{"DET-TEMP": 16},
        )  # fmt: skip
    bare: dict[str, Any] = dict.fromkeys(
        ("IMAGETYP", "OBJECT", "EXPTIME", "GAIN", "INSTRUME", "DATE_OBS"), None
    )
    factory = root / "CALI_FRAME"
    for number, name in enumerate((
        "dark/cam_0/dark_exp_60.000000_gain_60_bin_1_18C_stack_1.fits",
        "dark/cam_1/dark_exp_60.000000_gain_60_bin_1_18C_stack_1.fits",
        "bias/cam_0/bias_gain_2_bin_1.fits", "flat/cam_0/flat_gain_2_bin_1_ir_1.fits", "flat/cam_0/flat_gain_2_bin_1_ir_2.fits",
    )):  # fmt: skip
        write_frame(factory / name, value=100 + number, **bare)


def test_lights_that_are_not_linear_take_nothing_unless_a_person_pins_it(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    pixels = np.arange(24 * 16, dtype=np.uint8).reshape(16, 24)
    (tmp_path / "night").mkdir()
    tifffile.imwrite(tmp_path / "night" / "M 1_10s.tif", pixels)
    tifffile.imwrite(tmp_path / "night" / "M 1_10s_2.tif", pixels[::-1])
    for number in range(3):
        write_frame(
            tmp_path / "darks" / f"dark_{number}.fits", IMAGETYP="Dark", value=100 + number, INSTRUME=None
        )
    index_roots(catalog, [tmp_path])
    (session,) = list_sessions(catalog)
    assert session.dark is None and any("gamma" in warning for warning in session.warnings)
    (dark,) = session_match(catalog, session.id).candidates["dark"]
    assert (dark.grade, dark.chosen) == ("refused", False)
    assert dark.reasons[0].startswith("the lights are probably gamma-encoded")
    with catalog.read() as db:
        lights = [(row, 100.0) for row in db.scalars(select(Session))]
        assert dark_gaps(lights, load_sets(db)) == []
    pin(catalog, [session.id], "dark", str(dark.set.id))
    (dark,) = session_match(catalog, session.id).candidates["dark"]
    assert dark.chosen and dark.reasons[0] == "pinned by you"
    (session,) = list_sessions(catalog)
    assert session.dark is not None and session.dark["id"] == dark.set.id


def test_a_dwarf_3_takes_its_factory_dark_only(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    dwarf_3_library(write_frame, tmp_path)
    index_roots(catalog, [tmp_path])
    match = session_match(catalog, 1)
    dark = match.chosen("dark")
    assert dark is not None and dark.grade == "exact" and "cam_0" in dark.set.path
    assert dark.set.frames is None and "unknown depth" in "; ".join(dark.reasons)
    (wide,) = [c for c in match.candidates["dark"] if "cam_1" in c.set.path]
    assert wide.grade == "refused" and "WIDE" in wide.reasons[0]
    for kind in ("bias", "flat"):
        assert match.chosen(kind) is None
        for candidate in match.candidates[kind]:
            assert candidate.grade == "refused" and candidate.set.gain is None
            assert "index, not the gain" in "; ".join(candidate.reasons)
    bias = match.candidates["bias"][0].set.id
    pin(catalog, [1], "bias", str(bias))
    chosen = session_match(catalog, 1).chosen("bias")
    assert chosen is not None and chosen.set.id == bias


def test_a_refused_bias_scales_no_dark_unless_pinned(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    dwarf_3_library(write_frame, tmp_path)
    index_roots(catalog, [tmp_path])
    with catalog.read() as db:
        session, sets = db.get_one(Session, 1), load_sets(db)
    session.exposure_s = 45.0
    dark = match_session(session, sets).chosen("dark")
    assert dark is not None and dark.grade == "near"
    pin(catalog, [1], "bias", str(next(s.id for s in sets if s.kind == "bias")))
    with catalog.read() as db:
        from astrotui.library.calibrators import load_pins

        pins = load_pins(db, [1])[1]
    dark = match_session(session, sets, pins).chosen("dark")
    assert dark is not None and dark.grade == "scaled"


def test_a_drifting_sensor_takes_the_nearest_of_several_darks(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    for i in range(10):
        write_frame(tmp_path / "M1" / f"{i}.fits", DATE_OBS=f"2025-01-02T22:0{i}:00", CCD_TEMP=17.0 + 1.5 * i)
    for degrees in (18, 29):
        for i in range(6):
            write_frame(
                tmp_path / "darks" / f"{degrees}_{i}.fits", IMAGETYP="Dark", CCD_TEMP=degrees + i / 10,
                DATE_OBS=f"2025-01-0{i + 1}T12:00:00",
            )  # fmt: skip
    index_roots(catalog, [tmp_path])
    dark = session_match(catalog, 1).chosen("dark")
    assert dark is not None
    assert "the lights drift from 17 to 30 °C: each frame takes the nearest of 2 darks" in dark.reasons
    for path in (tmp_path / "darks").glob("29_*"):
        path.unlink()
    index_roots(catalog, [tmp_path])
    dark = session_match(catalog, 1).chosen("dark")
    assert dark is not None and "WARNING: the lights drift from 17 to 30 °C, up to 12" in dark.reasons[-1]


def test_calibrated_lights_take_nothing(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    write_frame(tmp_path / "M1" / "a.fits", CALSTAT="BD")
    for i in range(5):
        write_frame(tmp_path / "darks" / f"{i}.fits", IMAGETYP="Dark", DATE_OBS=f"2025-01-02T2{i}:00:00")
        write_frame(tmp_path / "flats" / f"{i}.fits", IMAGETYP="Flat", DATE_OBS=f"2025-01-02T2{i}:00:00")
    index_roots(catalog, [tmp_path])
    (session,) = list_sessions(catalog)
    assert session.warnings == ("already calibrated: bias, dark",) and session.dark is None
    match = session_match(catalog, 1)
    assert match.chosen("dark") is None and match.done == {"bias", "dark"}
    assert match.chosen("flat") is not None
    with catalog.read() as db:
        assert dark_gaps([(db.get_one(Session, 1), 600.0)], load_sets(db)) == []


def test_gaps_say_what_to_shoot(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    for number, (exposure, degrees) in enumerate([(10.0, -10.0), (10.0, 20.0), (60.0, -10.0), (60.0, -11.0)]):
        write_frame(
            tmp_path / f"M{number}" / "a.fits", EXPTIME=exposure, CCD_TEMP=degrees, DATE_OBS=f"2025-01-0{number + 1}T22:00:00"
        )  # fmt: skip
    for i in range(5):
        write_frame(
            tmp_path / "darks" / f"{i}.fits",
            IMAGETYP="Dark",
            CCD_TEMP=-10.0,
            DATE_OBS=f"2025-01-02T2{i}:00:00",
        )
    index_roots(catalog, [tmp_path])
    with catalog.read() as db:
        sessions = [(row, 100.0) for row in db.query(Session).order_by(Session.id)]
        gaps = dark_gaps(sessions, load_sets(db))
        nothing = dark_gaps([(row, 0.0) for row, _ in sessions], load_sets(db))
    assert [gap.advice() for gap in gaps] == [
        "shoot 20 x 60 s, gain 60, at about -10 °C with the Cam", "shoot 20 x 10 s, gain 60, at about 20 °C with the Cam",
    ]  # fmt: skip
    assert (gaps[0].sessions, gaps[0].lights_s, nothing) == (2, 200.0, [])


def test_the_quick_search_finds_what_the_full_ranking_chooses() -> None:
    dice = random.Random(7)

    def some(*values: Any) -> Any:
        return dice.choice(values)

    def settings() -> dict[str, Any]:
        return {
            "camera": some("Cam", "CAM", "Other", None), "exposure_s": some(10.0, 10.1, 15.0, 60.0, None),
            "gain": some(60.0, 100.0, None),
            "offset": some(None, 10.0, 50.0), "readout_mode": some(None, "a", "b"), "binning": some("1x1", "2x2", None),
            "filter": None, "temperature_c": some(None, -10.0, 5.0, 20.0), "width": some(100, 200), "height": 50,
            "cfa_phase": some("RGGB", "RGGB", None), "focal_mm": None, "rotator_deg": None, "roi_x": some(None, 0), "roi_y": 0,
        }  # fmt: skip

    start = datetime(2025, 1, 1, tzinfo=UTC)
    agreed = 0
    for _ in range(60):
        sets = [
            SetRecord(
                id=number, kind=some("dark", "dark", "dark", "bias", "flat"), path="/x", frames=some(None, 3, 20), calstat="",
                date=some(None, start + timedelta(days=dice.randrange(900))), is_master=some(True, False), warnings=(),
                device=some(None, "DWARF 3"), **settings(),
            )
            for number in range(25)
        ]  # fmt: skip
        finder = DarkFinder(sets)
        for _ in range(10):
            session = Session(first_date=some(None, start), warnings=[], **settings())
            chosen = match_session(session, sets).chosen("dark")
            best = finder.best(session)
            assert (best and (best.set.id, best.grade)) == (chosen and (chosen.set.id, chosen.grade))
            agreed += chosen is not None
    assert agreed > 100
