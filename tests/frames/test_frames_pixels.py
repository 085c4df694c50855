"""Pixels of every kind of FITS file are those that astropy reads; bands are cut from them exactly."""

import gzip
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astrotui.errors import FrameError
from astrotui.frames.pixels import open_frame, read_image

RNG = np.random.default_rng(7)


def image_of(dtype: str, shape: tuple[int, ...] = (23, 31)) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        data = RNG.normal(1000, 300, shape).astype(kind)
        data[..., 3, 4] = np.nan
        return data
    limits = np.iinfo(kind)
    data = RNG.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
    data[..., 0, :2] = limits.min, limits.max
    return data


def check(path: Path, truth: np.ndarray, dtype: type, rtol: float = 0.0) -> None:
    """Whole, bands, and cut-outs are the truth."""
    with open_frame(path) as reader:
        height, width = truth.shape[-2:]
        assert (reader.height, reader.width, reader.planes) == (height, width, 1 if truth.ndim == 2 else 3)
        assert reader.dtype == dtype
        for y0, y1, x0, x1 in (
            (0, height, 0, None),
            (5, 9, 0, None),
            (4, 5, 3, 11),
            (0, 0, 0, None),
            (7, 9, 2, 2),
        ):
            band = reader.read(y0, y1, x0, x1)
            wanted = truth[..., y0:y1, x0:x1]
            assert band.dtype == dtype and band.dtype.isnative
            assert band.flags.c_contiguous and band.flags.writeable
            np.testing.assert_allclose(band, wanted.astype(dtype), rtol=rtol, equal_nan=True)
        for bad in (
            (0, height + 1, 0, None),
            (-1, 2, 0, None),
            (3, 2, 0, None),
            (0, 1, 0, width + 1),
            (0, 1, 5, 4),
        ):
            with pytest.raises(ValueError, match="columns"):
                reader.read(*bad)
    whole = read_image(path)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole, truth.astype(np.float32), rtol=rtol, equal_nan=True)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]
)
@pytest.mark.parametrize("shape", [(23, 31), (3, 23, 31)], ids=["mono", "color"])
@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_plain_and_gzipped(tmp_path: Path, dtype: str, shape: tuple[int, ...], suffix: str) -> None:
    data = image_of(dtype, shape)
    path = tmp_path / f"x{suffix}"
    fits.PrimaryHDU(data).writeto(path)
    check(path, data, np.uint16 if dtype == "uint16" else np.float32, rtol=1e-6)


def test_scaled_integers_and_blank(tmp_path: Path) -> None:
    stored = image_of("int16")
    stored[2, 5] = -7
    hdu = fits.PrimaryHDU(stored)
    hdu.header["BLANK"] = -7
    hdu.writeto(tmp_path / "blank.fits")
    truth = stored.astype(np.float32)
    truth[stored == -7] = np.nan
    check(tmp_path / "blank.fits", truth, np.float32)
    hdu = fits.PrimaryHDU(stored)
    path = tmp_path / "scaled.fits"
    hdu.writeto(path)
    raw = path.read_bytes()
    cards = "".join(f"{k:8}= {v:>20}".ljust(80) for k, v in (("BSCALE", 0.25), ("BZERO", 1000.5)))
    end = raw.index(b"END" + b" " * 77)
    path.write_bytes(raw[:end] + cards.encode() + raw[end : end + 80] + raw[end + 80 + len(cards) :])
    check(path, stored * 0.25 + 1000.5, np.float32, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *(
            (kind, dtype)
            for kind in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1")
            for dtype in ("uint16", "int32")
        ),
        *(("RICE_1", dtype) for dtype in ("int16", "uint8")),
        *(("PLIO_1", dtype) for dtype in ("int16", "uint8", "int32")),  # it knows no uint16
    ],
)
def test_tile_compressed_integers(tmp_path: Path, kind: str, dtype: str) -> None:
    data = (image_of(dtype, (48, 64)).astype(np.int64) % 200).astype(dtype)
    path = tmp_path / "x.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, compression_type=kind)]).writeto(path)
    check(path, data, np.uint16 if dtype == "uint16" else np.float32)


@pytest.mark.parametrize("kind", ["RICE_1", "GZIP_1"])
def test_tile_compressed_floats_and_color(tmp_path: Path, kind: str) -> None:
    data = image_of("float32", (3, 40, 50))
    path = tmp_path / "x.fits"
    hdu = fits.CompImageHDU(data, compression_type=kind, quantize_level=64.0, tile_shape=(1, 10, 50))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    check(path, fits.getdata(path, 1), np.float32, rtol=1e-6)


def test_tile_compressed_and_gzipped(tmp_path: Path) -> None:
    data = image_of("uint16", (40, 50))
    plain = tmp_path / "x.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data)]).writeto(plain)
    path = tmp_path / "y.fits.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    check(path, data, np.uint16)


def test_extensions_and_trailing_axes(tmp_path: Path) -> None:
    first, second = image_of("float32"), image_of("int16", (12, 14))
    path = tmp_path / "x.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(first), fits.ImageHDU(second)]).writeto(path)
    check(path, first, np.float32)
    with open_frame(path, 2) as reader:
        np.testing.assert_array_equal(reader.read(0, 12), second.astype(np.float32))
    path = tmp_path / "y.fits"
    fits.PrimaryHDU(second[np.newaxis]).writeto(path)
    check(path, second, np.float32)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_band_of_a_wide_image(tmp_path: Path, data: st.DataObject) -> None:
    """Wide rows are read piecewise, others whole."""
    path = tmp_path / "x.fits"
    if not path.exists():
        fits.PrimaryHDU(np.arange(5 * 40_000, dtype=np.uint16).reshape(5, 40_000)).writeto(path)
    truth = np.arange(5 * 40_000, dtype=np.uint16).reshape(5, 40_000)
    y0 = data.draw(st.integers(0, 5))
    y1 = data.draw(st.integers(y0, 5))
    x0 = data.draw(st.integers(0, 40_000))
    x1 = data.draw(st.integers(x0, 40_000))
    with open_frame(path) as reader:
        np.testing.assert_array_equal(reader.read(y0, y1, x0, x1), truth[y0:y1, x0:x1])


def test_threads_share_a_reader(tmp_path: Path) -> None:
    data = image_of("uint16", (200, 300))
    fits.PrimaryHDU(data).writeto(tmp_path / "x.fits")
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data)]).writeto(tmp_path / "y.fits.fz")
    (tmp_path / "z.fits.gz").write_bytes(gzip.compress((tmp_path / "x.fits").read_bytes()))
    for name in ("x.fits", "y.fits.fz", "z.fits.gz"):
        with open_frame(tmp_path / name) as reader, ThreadPoolExecutor(4) as pool:
            barrier = threading.Barrier(4)

            def part(quarter: int, reader=reader, barrier=barrier) -> np.ndarray:
                barrier.wait()
                return np.concatenate([reader.read(y, y + 1) for y in range(quarter * 50, quarter * 50 + 50)])

            np.testing.assert_array_equal(np.concatenate(list(pool.map(part, range(4)))), data)


def test_many_readers_give_their_descriptors_back(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    fits.PrimaryHDU(image_of("uint16")).writeto(path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        with open_frame(path) as reader:
            reader.read(0, 2)
        reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.read(0, 2)
    bad = tmp_path / "bad.fits"
    bad.write_bytes(path.read_bytes()[:3000])
    for _ in range(10):
        with pytest.raises(FrameError):
            open_frame(bad)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    fits.PrimaryHDU(image_of("uint16", (100, 100))).writeto(path)
    with open_frame(path) as reader:
        os.truncate(path, 10_000)
        reader.read(0, 30)
        with pytest.raises(FrameError, match="truncated"):
            reader.read(90, 100)


def test_damaged_tiles_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    hdu = fits.CompImageHDU(image_of("int16", (60, 60)), compression_type="GZIP_1")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    raw = bytearray(path.read_bytes())
    raw[-3000:-200] = bytes(2800)
    path.write_bytes(raw)
    with open_frame(path) as reader, pytest.raises(FrameError, match="damaged"):
        reader.read(0, 60)


def test_gzip_cut_short(tmp_path: Path) -> None:
    plain = tmp_path / "x.fits"
    fits.PrimaryHDU(image_of("uint16", (100, 100))).writeto(plain)
    packed = gzip.compress(plain.read_bytes())
    path = tmp_path / "y.fits.gz"
    # The trailer claims that everything is there.
    path.write_bytes(packed[: len(packed) // 2] + packed[-4:])
    with open_frame(path) as reader, pytest.raises(FrameError):
        reader.read(0, 100)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 9000), st.binary(min_size=1, max_size=300))
def test_fuzzed_tiles_raise_frame_errors_only(tmp_path: Path, at: int, noise: bytes) -> None:
    source = tmp_path / "x.fits"
    if not source.exists():
        data = np.arange(3600, dtype=np.int16).reshape(60, 60)
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data)]).writeto(source)
    raw = bytearray(source.read_bytes())
    raw[at : at + len(noise)] = noise
    path = tmp_path / "y.fits"
    path.write_bytes(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with open_frame(path) as reader:
                reader.read(0, reader.height)
        except FrameError as error:
            assert "\n" not in error.reason


def test_real_frames_agree_with_astropy(real_frames: Path) -> None:
    compared = 0
    for path in sorted(real_frames.rglob("*.f*")):
        if not path.is_file() or (
            path.stat().st_size > 2_000_000 and not path.name.endswith(("0000.fits", "435.fit"))
        ):
            continue
        try:
            image = read_image(path)
        except FrameError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path) as hdus:
                truth = next(h.data for h in hdus if h.data is not None and h.is_image and h.data.ndim >= 2)
        np.testing.assert_allclose(image, truth.astype(np.float32), rtol=2e-7, equal_nan=True)
        compared += 1
    assert compared > 60
