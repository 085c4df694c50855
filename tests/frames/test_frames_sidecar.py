"""shotsInfo.json as telescopes write it, and as they never should."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astrotui.frames.sidecar import MAX_BYTES, clear_sidecar_cache, parse_sidecar, read_sidecar

EXAMPLES = 200 * int(os.environ.get("ASTROTUI_FUZZ", "1"))
M1 = (
    b'{"DEC":22.01469444,"RA":5.575916667,"binning":"1*1","exp":"15","format":"FITS","gain":80,"ir":"PASS",'
    b'"shotsStacked":286,"shotsTaken":287,"shotsToTake":300,"target":"M1"}'
)
IC434 = (
    b'{"DEC":-2.492014,"RA":5.685828466666666,"binning":"1*1","exp":"60","format":"FITS","gain":60,"ir":"Astro",'
    b'"maxTemp":17,"minTemp":13,"shotsStacked":43,"shotsTaken":54,"shotsToTake":60,"target":"IC 434"}'
)


def test_dwarf_ii() -> None:
    found = parse_sidecar(M1)
    assert found.problem is None
    assert (found.target, found.exposure_s, found.gain, found.binning) == ("M1", 15.0, 80.0, "1x1")
    assert found.filter == "IRPASS"
    assert found.ra_deg == pytest.approx(83.63875)  # hours in the file
    assert found.dec_deg == 22.01469444
    assert (found.temperature_c, found.shots_taken) == (None, 287)


def test_dwarf_3() -> None:
    found = parse_sidecar(IC434)
    assert (found.target, found.exposure_s, found.filter, found.temperature_c) == (
        "IC 434",
        60.0,
        "Astro",
        15.0,
    )
    assert found.ra_deg == pytest.approx(
        85.28743, abs=1e-4
    )  # what the header of the same session says in degrees


def test_moon_has_a_fraction_and_no_coordinates() -> None:
    found = parse_sidecar(b'{"exp":"1/400","gain":0,"RA":0.0,"DEC":0.0,"target":"   "}')
    assert (found.exposure_s, found.gain, found.ra_deg, found.dec_deg, found.target) == (
        0.0025,
        0.0,
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not valid JSON"),
        (b'{"exp":', "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b"[" * 1500 + b"]" * 1500, "not"),
        (b"[" * 500_000, "nested too deeply"),
        (b" " * (MAX_BYTES + 1), "larger than"),
        (b'{"gain": ' + b"9" * 100_000 + b"}", "not valid JSON"),
    ],
    ids=["empty", "cut", "no-utf8", "array", "deep", "deeper", "huge", "long-number"],
)
def test_broken_ones_are_described(content: bytes, problem: str) -> None:
    found = parse_sidecar(content)
    assert problem in (found.problem or "")
    assert found.target is None


def test_byte_order_mark_and_partial_and_odd_types() -> None:
    assert parse_sidecar(b"\xef\xbb\xbf" + M1).target == "M1"
    assert parse_sidecar(b"{}").problem is None
    found = parse_sidecar(
        b'{"target": ["M1"], "exp": {"a": 1}, "gain": true, "binning": [1], "RA": "x", "ir": 3}'
    )
    assert found.problem is None
    assert (found.target, found.exposure_s, found.gain, found.binning, found.filter) == (None,) * 5
    assert parse_sidecar(b'{"gain": NaN, "exp": Infinity, "RA": 1e999, "DEC": 3}').gain is None


def test_control_characters_are_gone() -> None:
    assert parse_sidecar(json.dumps({"target": "M\x1b]0;x\x07 1\n"}).encode()).target == "M]0;x 1"


@pytest.mark.parametrize("name", ["shotsInfo.json", "shotsinfo.json", "SHOTSINFO.JSON"])
def test_any_case(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(M1)
    found = read_sidecar(tmp_path)
    assert found is not None and found.target == "M1" and found.name == name


def test_cache_sees_changes(tmp_path: Path) -> None:
    assert read_sidecar(tmp_path) is None
    path = tmp_path / "shotsInfo.json"
    path.write_bytes(M1)
    first = read_sidecar(tmp_path)
    assert first is not None and read_sidecar(tmp_path) is first
    path.write_bytes(IC434)
    os.utime(path, ns=(1, 1))
    changed = read_sidecar(tmp_path)
    assert changed is not None and changed.target == "IC 434"
    clear_sidecar_cache()
    again = read_sidecar(tmp_path)
    assert again == changed and again is not changed
    path.unlink()
    assert read_sidecar(tmp_path) is None
    assert read_sidecar(tmp_path / "missing") is None


def test_a_fifo_is_no_sidecar(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "shotsInfo.json")
    found = read_sidecar(tmp_path)
    assert found is not None and "not a regular file" in (found.problem or "")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["RA", "DEC", "exp", "gain", "binning", "ir", "target", "minTemp", "maxTemp", "shotsTaken"]
        ),
        json_values,
    )
)
def test_fuzzed_values_never_raise(table: dict[str, object]) -> None:
    found = parse_sidecar(json.dumps(table).encode())
    assert found.problem is None
    assert found.gain is None or found.gain >= 0
    assert found.ra_deg is None or 0 <= found.ra_deg < 360


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=400))
def test_fuzzed_bytes_never_raise(data: bytes) -> None:
    assert parse_sidecar(data).name == "shotsInfo.json"
