"""What frames of one night share is found once: equal to finding it for each, and blind to what differs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fits_files import make_fits
from test_frames_identify import DWARF_3, DWARF_II, SEESTAR

from astrotui.frames import identify
from astrotui.frames.cards import KeywordTable
from astrotui.frames.devices import NOTHING, parse_file_name
from astrotui.frames.stored import Stored
from astrotui.frames.values import Value

HEADERS: list[dict[str, Any]] = [
    {},
    DWARF_II,
    DWARF_3,
    SEESTAR,
    {"SWCREATE": "N.I.N.A. 3.2", "IMAGETYP": "DARK", "EXPOSURE": 60.0, "GAIN": 100, "ROTATOR": 12.5, "OBJECT": "M 31"},
    {"FRAME": "Flat", "BAYERPAT": "RGGB", "ROWORDER": "BOTTOM-UP", "EXPTIME": 1.5, "FILTER": "Ha", "TELESCOP": "APO"},
    {"IMAGETYP": "Light Frame", "STACKCNT": 20, "CALSTAT": "BDF", "EXPTIME": 30.0, "SATURATE": 60000.0},
]  # fmt: skip
NAMES = (
    "raw_M51_10s_60_0048.fits",
    "flattest_1.fits",
    "x_0001.fits",
    "failed_IC 434_60s60_Astro_20251018-045926401_16C.fits",
)


class Asked(KeywordTable):
    """Keywords that note what they were asked for."""

    def __init__(self, values: dict[str, Value]) -> None:
        super().__init__(values)
        self.keys: set[str] = set()

    def get(self, key: str) -> Value:
        self.keys.add(key)
        return super().get(key)

    def text(self, *keys: str) -> str | None:
        self.keys |= set(keys)
        return super().text(*keys)

    def number(self, *keys: str) -> float | None:
        self.keys |= set(keys)
        return super().number(*keys)


@pytest.mark.parametrize("values", HEADERS, ids=lambda values: str(len(values)))
@pytest.mark.parametrize("name", NAMES)
def test_it_depends_on_the_deciding_keywords_alone(values: dict[str, Any], name: str) -> None:
    plain = {key: value[0] if isinstance(value, tuple) else value for key, value in values.items()}
    asked = Asked(plain)
    stored = Stored(asked, 1920, 1080, 1, 16, "0" * 40, 65535.0)
    identify._find_shared(Path("/nowhere", name), stored, asked, parse_file_name(name), NOTHING, None)
    assert asked.keys
    assert asked.keys <= identify._DECIDING


@pytest.mark.parametrize("values", HEADERS, ids=lambda values: str(len(values)))
def test_remembered_or_not_the_frame_is_the_same(tmp_path: Path, values: dict[str, Any]) -> None:
    found = {}
    for turn in ("first", "second"):
        for i, name in enumerate(NAMES):
            path = make_fits(tmp_path / f"{i}" / name, {**values, "CCD-TEMP": -5.0 - i})
            if turn == "first":
                identify._FOUND.clear()
            metadata = identify.read_metadata(path, relative=f"{i}/{name}")
            if turn == "first":
                found[name] = metadata
            else:
                assert metadata == found[name]
    assert identify._FOUND


def test_a_changed_sidecar_is_seen(tmp_path: Path) -> None:
    path = make_fits(tmp_path / "0001.fits", {})
    first = identify.read_metadata(path, relative="0001.fits")
    (tmp_path / "shotsInfo.json").write_text('{"exp": "15", "gain": 80, "target": "M 31"}')
    second = identify.read_metadata(path, relative="0001.fits")
    assert (first.exposure_s, second.exposure_s, second.target) == (None, 15.0, "M 31")
    (tmp_path / "shotsInfo.json").write_text('{"exp": "15", "gain": 80, "target": "M 33"}')
    third = identify.read_metadata(path, relative="0001.fits")
    assert replace(third, target="M 31") == second


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify, "_KEPT", 5)
    for i in range(12):
        found = identify.read_metadata(make_fits(tmp_path / f"{i}.fits", {"GAIN": i}))
        assert found.gain == i
        assert len(identify._FOUND) <= 5
