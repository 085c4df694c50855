"""The header parser against astropy, against the standard's corners, and against hostile files."""

import contextlib
import gzip
import io
import os
import string
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from fits_files import BLOCK, card, header_bytes, make_fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astrotui.errors import FrameError
from astrotui.frames.cards import Header
from astrotui.frames.headers import read_fits
from astrotui.text import clean

# ASTROTUI_FUZZ=100 runs a hundred times as many examples.
EXAMPLES = 60 * int(os.environ.get("ASTROTUI_FUZZ", "1"))
bounded = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

KEYS = st.text(string.ascii_uppercase + string.digits + "-_", min_size=1, max_size=8).filter(
    lambda k: (
        k not in fits.Card._commentary_keywords and not k.startswith(("NAXIS", "END", "CONTINUE", "HIERARCH"))
    )
)
TEXT = st.text(string.printable.strip() + " ", max_size=180)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False, width=64),
    TEXT,
)


def one_header(*cards: str) -> Header:
    return Header("".join(c.ljust(80) for c in cards))


@bounded
@given(st.dictionaries(KEYS, VALUES, max_size=30))
def test_values_are_those_that_astropy_wrote(values: dict[str, object]) -> None:
    header = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for key, value in values.items():
            header[key] = value
        text = header.tostring(sep="", endcard=False, padding=False)
    ours = Header(text)
    for key, value in values.items():
        expected = header[key]
        if isinstance(value, float):
            assert ours.get(key) == pytest.approx(expected, rel=1e-12)
        else:
            assert ours.get(key) == (expected.rstrip() if isinstance(expected, str) else expected)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY     = 'it''s  '           / a comment", "it's"),
        ("KEY     = '        '", ""),
        ("KEY     = ''", ""),
        ("KEY     =  1.5D+02 / double", 150.0),
        ("KEY     =                -.5e1", -5.0),
        ("KEY     = +3.276800000000E+004 /", 32768.0),
        ("KEY     =                    T / yes", True),
        ("KEY     = 12 13", None),
        ("KEY     = (1.0, 2.0)", None),
        ("KEY     = 'never closed", None),
        ("KEY     =", None),
        ("KEY     =9.", 9.0),
        ("KEY     = / only a comment", None),
        ("KEY       not a value", None),
        ("KEY     = 1e999", float("inf")),
        ("HIERARCH KEY = 'x/y' / c", "x/y"),
    ],
)
def test_card_forms(line: str, value: object) -> None:
    assert one_header(line).get("KEY") == value


def test_numbers_that_are_not_finite_are_no_numbers() -> None:
    assert one_header("KEY     = 1e999").number("KEY") is None


def test_first_of_repeated_keywords_counts_and_comments_are_kept() -> None:
    header = one_header(card("GAIN", 80, "[adu] first"), card("GAIN", 90))
    assert (header.get("GAIN"), header.comment("GAIN")) == (80, "[adu] first")


def test_long_strings_continue() -> None:
    header = one_header("KEY     = 'one &'", "CONTINUE  'two &'", "CONTINUE  'three' / c", card("NEXT", 1))
    assert header.get("KEY") == "one two three"
    assert header.get("NEXT") == 1
    assert one_header("KEY     = 'alone &'", card("NEXT", 1)).get("KEY") == "alone &"


def test_apt_writes_hierarch_keywords() -> None:
    header = one_header("HIERARCH CAMERA-DATE-OBS = '2017-12-19T18:33:43.317-0700' / exact")
    assert header.get("CAMERA-DATE-OBS") == "2017-12-19T18:33:43.317-0700"
    assert header.comment("CAMERA-DATE-OBS") == "exact"


def test_text_numbers_and_text() -> None:
    header = one_header(
        "A       = ' 9,78E-03'", "B       = '1/400'", "C       = '  '", "D       = 'x\x1b[2Jy'"
    )
    assert header.number("A") == pytest.approx(9.78e-3)
    assert header.number("Z", "B") == 0.0025
    assert header.text("C", "D") == "x[2Jy"
    assert header.text("Z") is None


def test_real_odd_files_agree_with_astropy(real_frames: Path) -> None:
    files = [p for p in real_frames.rglob("*") if p.is_file() and ".f" in p.name]
    compared = 0
    for path in files:
        try:
            image = read_fits(path)
        except FrameError as error:
            assert error.reason == clean(error.reason)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path) as hdus:
                hdu = hdus[image.hdu]
                shape = (image.height, image.width) if image.planes == 1 else (3, image.height, image.width)
                assert tuple(n for n in hdu.shape if n != 1) == tuple(n for n in shape if n != 1)
                for key in (
                    "EXPTIME",
                    "GAIN",
                    "DATE-OBS",
                    "OBJECT",
                    "INSTRUME",
                    "CCD-TEMP",
                    "RA",
                    "BAYERPAT",
                ):
                    if key in hdu.header:
                        theirs = hdu.header[key]
                        assert image.header.get(key) == (
                            theirs.rstrip() if isinstance(theirs, str) else theirs
                        )
                        compared += 1
    assert compared > 200


def reason_of(path: Path) -> str:
    with pytest.raises(FrameError) as caught:
        read_fits(path)
    assert str(path) == caught.value.path
    return caught.value.reason


def lines_of(**changes: object) -> list[str]:
    values: dict[str, object] = {"SIMPLE": True, "BITPIX": 16, "NAXIS": 2, "NAXIS1": 10, "NAXIS2": 10}
    values.update(changes)
    return [card(k, v) for k, v in values.items()]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a FITS file"),
        (bytes(5000), "not a FITS file"),
        (header_bytes(lines_of())[:300], "truncated: the file ends inside its header"),
        (header_bytes(lines_of()) + bytes(150), "truncated: 150 of 200 bytes of pixels"),
        (header_bytes(lines_of(NAXIS1=60000, NAXIS2=60000)), "the header claims 60000 x 60000 pixels"),
        (
            header_bytes(lines_of(NAXIS1=10**17, NAXIS2=10**17)),
            "the header claims 100000000000000000 x 100000000000000000 pixels",
        ),
        (header_bytes(lines_of(NAXIS1=-5)), "the header does not say the size of the image"),
        (header_bytes(lines_of(NAXIS=10**9)), "the header does not say the size of the image"),
        (header_bytes(lines_of(NAXIS="many")), "the header does not say the size of the image"),
        (header_bytes(lines_of(BITPIX=7)), "BITPIX is 7"),
        (header_bytes(lines_of(BITPIX=True)), "BITPIX is True"),
        (
            header_bytes(lines_of(NAXIS=3, NAXIS3=7)),
            "an array of 10 x 10 x 7 is neither a mono nor a color image",
        ),
        (header_bytes(lines_of(NAXIS=0)), "no image in the file"),
        (header_bytes(lines_of(NAXIS=1)) + bytes(BLOCK), "no image in the file"),
        (b"\x1f\x8b" + bytes(50), "the gzipped data are damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_unusable_files_give_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.fits"
    path.write_bytes(content)
    assert reason_of(path) == reason


def test_endless_header_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    with path.open("wb") as file:
        file.write(card("SIMPLE", True).encode())
        file.write(card("OBJECT", "x").encode() * 40_000)
    assert "no END in 18,432 cards" in reason_of(path)


def test_many_extensions_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    empty = header_bytes([card("XTENSION", "IMAGE"), card("BITPIX", 8), card("NAXIS", 0)])
    path.write_bytes(header_bytes([card("SIMPLE", True), card("BITPIX", 8), card("NAXIS", 0)]) + empty * 500)
    assert reason_of(path) == "no image in the file"


def test_fifo_and_folder_and_missing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.fits")
    assert reason_of(tmp_path / "x.fits") == "not a regular file"
    (tmp_path / "y.fits").mkdir()
    assert reason_of(tmp_path / "y.fits") == "not a regular file"
    assert reason_of(tmp_path / "z.fits") == "the file is gone"
    assert reason_of(Path("/dev/zero")) == "not a regular file"


def test_image_in_an_extension_inherits_the_primary(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    primary = fits.PrimaryHDU()
    primary.header["GAIN"] = 100
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(5000))])
    image = fits.ImageHDU(np.zeros((7, 9), np.float32))
    image.header["EXPTIME"] = 3.5
    fits.HDUList([primary, table, image]).writeto(path)
    found = read_fits(path)
    assert (found.hdu, found.width, found.height, found.bitpix) == (2, 9, 7, -32)
    assert (found.header.get("GAIN"), found.header.get("EXPTIME")) == (100, 3.5)
    with path.open("rb") as file:
        file.seek(found.offset)
        assert len(file.read()) >= found.data_bytes == 7 * 9 * 4
    assert read_fits(path, 2).hdu == 2
    with pytest.raises(FrameError, match="no image in HDU 3"):
        read_fits(path, 3)


@pytest.mark.parametrize("kind", ["RICE_1", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1"])
def test_compressed_images_are_found(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.fits.fz"
    data = np.arange(64 * 48, dtype=np.int16).reshape(48, 64) % 100
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, compression_type=kind)]).writeto(path)
    found = read_fits(path)
    assert (found.hdu, found.width, found.height, found.bitpix, found.compressed) == (1, 64, 48, 16, True)


def test_compressed_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.zeros((20, 20), np.int16))]).writeto(path)
    raw = path.read_bytes()
    for key, value, reason in (
        (b"ZNAXIS2 ", 40_000, "needs 40000 tiles"),
        (b"ZNAXIS2 ", 2**40, "claims 20 x"),
        (b"ZTILE1  ", 0, "ZTILE1 is 0"),
    ):
        place = raw.index(key)
        path.write_bytes(raw[:place] + card(key.decode().strip(), value).encode() + raw[place + 80 :])
        assert reason in reason_of(path)
    place = raw.index(b"ZCMPTYPE")
    path.write_bytes(raw[:place] + card("ZCMPTYPE", "MAGIC_9").encode() + raw[place + 80 :])
    assert "MAGIC_9" in reason_of(path)


def gzipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as file:
        file.write(data)
    return out.getvalue()


def test_gzip_is_read_no_further_than_needed(tmp_path: Path) -> None:
    plain = make_fits(tmp_path / "a.fits", {"EXPTIME": 10.0})
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzipped(plain.read_bytes()))
    found, same = read_fits(path), read_fits(plain)
    assert found.gzipped and found.header.get("EXPTIME") == 10.0
    assert found.digest == same.digest
    # Two members behind one another are one file.
    data = plain.read_bytes()
    path.write_bytes(gzipped(data[:3000]) + gzipped(data[3000:]))
    assert read_fits(path).digest == same.digest


def test_gzip_bomb_and_truncation(tmp_path: Path) -> None:
    path = tmp_path / "a.fits.gz"
    header = header_bytes(lines_of(NAXIS1=40_000, NAXIS2=40_000))
    path.write_bytes(gzipped(header + bytes(10_000)))
    assert "cannot hold" in reason_of(path)
    whole = make_fits(tmp_path / "b.fits", width=300, height=300).read_bytes()
    path.write_bytes(gzipped(whole[:60_000]))
    assert reason_of(path) == "truncated: 57,120 of 180,000 bytes of pixels"
    packed = gzipped(np.random.default_rng(1).bytes(10) + whole)
    path.write_bytes(packed[: len(packed) // 2])
    assert reason_of(path)


def test_digest_tells_equal_headers_with_other_pixels_apart(tmp_path: Path) -> None:
    """DWARF II darks have no date and equal headers."""
    first, second = make_fits(tmp_path / "a.fits"), make_fits(tmp_path / "b.fits")
    assert read_fits(first).digest == read_fits(second).digest
    data = bytearray(second.read_bytes())
    data[BLOCK + 7] ^= 1
    second.write_bytes(data)
    assert read_fits(first).digest != read_fits(second).digest
    assert len(read_fits(first).digest) == 40


@bounded
@given(st.binary(max_size=6000), st.integers(0, 6000), st.booleans())
def test_fuzzed_files_raise_frame_errors_only(tmp_path: Path, noise: bytes, at: int, pack: bool) -> None:
    whole = bytearray(make_fits(tmp_path / "f.fits", {"OBJECT": "M31", "EXPTIME": 3.0}).read_bytes())
    whole[at : at + len(noise)] = noise
    path = tmp_path / "f.fits"
    path.write_bytes(gzipped(bytes(whole)) if pack else bytes(whole))
    with contextlib.suppress(FrameError):
        image = read_fits(path)
        for key in image.header.keywords():
            assert (
                image.header.text(key) == clean(image.header.text(key) or "")
                or image.header.text(key) is None
            )


@bounded
@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=80), max_size=40))
def test_fuzzed_cards_never_raise(lines: list[str]) -> None:
    header = one_header(*[line.ljust(80)[:80] for line in lines])
    for key in header.keywords():
        header.get(key)
        header.comment(key)
        header.text(key)
        header.number(key)
