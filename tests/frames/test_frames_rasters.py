"""TIFF, PNG and camera raw: what they tell, their pixels, and files that lie."""

import contextlib
import os
import struct
import sys
import types
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from astrotui.errors import FrameError
from astrotui.frames import names
from astrotui.frames.identify import read_metadata
from astrotui.frames.model import FrameType
from astrotui.frames.pixels import open_frame, read_image

LONGER = int(os.environ.get("ASTROTUI_FUZZ", "1"))

RNG = np.random.default_rng(3)


def pixels(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if np.dtype(dtype).kind == "f":
        return RNG.normal(100, 20, shape).astype(dtype)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


def check(path: Path, truth: np.ndarray, dtype: type) -> None:
    with open_frame(path) as reader:
        assert (reader.height, reader.width) == truth.shape[-2:]
        assert reader.dtype == dtype
        band = reader.read(4, 9, 2, 17)
        assert band.dtype == dtype and band.flags.writeable
        np.testing.assert_array_equal(band, truth[..., 4:9, 2:17].astype(dtype))
    np.testing.assert_array_equal(read_image(path), truth.astype(np.float32))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"compression": "zlib", "predictor": True},
        {"tile": (16, 16)},
        {"rowsperstrip": 5},
    ],
    ids=["plain", "big-endian", "deflate", "tiles", "strips"],
)
def test_mono_tiff(tmp_path: Path, dtype: str, options: dict[str, object]) -> None:
    if options.get("predictor") and np.dtype(dtype).kind == "f":
        options = {"compression": "zlib"}  # tifffile's floating-point predictor needs imagecodecs
    data = pixels(dtype, (33, 41))
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, data, photometric="minisblack", **options)
    check(path, data, np.uint16 if dtype in ("uint8", "uint16") else np.float32)
    found = read_metadata(path)
    assert (found.width, found.height, found.planes) == (41, 33, 1)
    assert found.full_scale_adu == {"uint8": 255.0, "uint16": 65535.0, "int16": 65535.0}.get(dtype)
    assert any("gamma" in w for w in found.warnings) == (dtype == "uint8")


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_color_tiff(tmp_path: Path, planar: str, compression: str | None, dtype: str) -> None:
    data = pixels(dtype, (3, 33, 41))
    path = tmp_path / "x.tiff"
    stored = np.moveaxis(data, 0, 2) if planar == "contig" else data
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, compression=compression)
    check(path, data, np.uint16 if dtype == "uint16" else np.float32)
    assert read_metadata(path).planes == 3


def test_alpha_is_passed_over(tmp_path: Path) -> None:
    data = pixels("uint16", (33, 41, 4))
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, data, photometric="rgb", extrasamples=["unassalpha"])
    check(path, np.moveaxis(data[..., :3], 2, 0), np.uint16)


def test_lzw_through_pillow_and_its_limit(tmp_path: Path) -> None:
    data = pixels("uint16", (33, 41))
    path = tmp_path / "x.tif"
    Image.fromarray(data).save(path, compression="tiff_lzw")
    check(path, data, np.uint16)
    eight = pixels("uint8", (33, 41, 3))
    Image.fromarray(eight).save(path, compression="tiff_lzw")
    check(path, np.moveaxis(eight, 2, 0), np.uint16)


def test_exif_of_a_tiff(tmp_path: Path) -> None:
    path = tmp_path / "Darks" / "DSC_0042.tif"
    path.parent.mkdir()
    picture = Image.fromarray(pixels("uint16", (33, 41)))
    words = ImageFileDirectory_v2()
    words[0x010F], words[0x0110], words[0x0131] = "NIKON CORPORATION", "NIKON D850", "Capture NX-D"
    words[0x8769] = {0x829A: IFDRational(30), 0x8827: 800, 0x9003: "2025:03:27 22:10:05", 0x9011: "+02:00"}
    picture.save(path, tiffinfo=words)
    found = read_metadata(path, relative="Darks/DSC_0042.tif")
    assert (found.frame_type, found.exposure_s, found.gain) == (FrameType.DARK, 30.0, 800.0)
    assert (found.camera, found.sequence) == ("NIKON D850", 42)
    assert found.date_obs == datetime(2025, 3, 27, 20, 10, 5, tzinfo=UTC)
    assert found.night == date(2025, 3, 27)


def bayer(height: int, width: int) -> np.ndarray:
    data = RNG.normal(0, 8, (height, width))
    data[0::2, 0::2] += 420  # G
    data[1::2, 1::2] += 420  # G
    data[0::2, 1::2] += 300  # B
    data[1::2, 0::2] += 350  # R
    return data.clip(0).astype(np.uint16)


def test_dwarf_tiff_is_tested_for_a_mosaic(tmp_path: Path) -> None:
    folder = tmp_path / "DWARF_RAW_M51_EXP_10_GAIN_60_2024-05-05-23-02-57-312"
    folder.mkdir()
    name = "raw_M51_10s_60_0001.tiff"
    tifffile.imwrite(folder / name, bayer(1080, 1920), photometric="minisblack")
    # 1920x1080 is binned 2x2 on a DWARF II and unbinned on a mini; the sidecar tells.
    (folder / "shotsInfo.json").write_text(
        '{"binning":"2*2","exp":"10","gain":60,"target":"M51","format":"TIFF"}'
    )
    tifffile.imwrite(folder / "raw_M51_10s_60_0002.tiff", bayer(2160, 3840), photometric="minisblack")
    found = read_metadata(folder / "raw_M51_10s_60_0002.tiff")
    assert (found.device, found.cfa, found.cfa_phase, found.exposure_s) == ("DWARF II", "GBRG", "GBRG", 10.0)
    assert any("GBRG is the DWARF II's" in w for w in found.warnings)
    flat = RNG.normal(400, 8, (2160, 3840)).astype(np.uint16)
    tifffile.imwrite(folder / "raw_M51_10s_60_0003.tiff", flat, photometric="minisblack")
    assert read_metadata(folder / "raw_M51_10s_60_0003.tiff").cfa is None


def test_our_own_pictures_are_no_lights(tmp_path: Path) -> None:
    data = pixels("uint16", (33, 41))
    tifffile.imwrite(tmp_path / "x.tif", data, photometric="minisblack", software="astrotui 0.1.0")
    assert read_metadata(tmp_path / "x.tif").frame_type is FrameType.STACK
    words = PngInfo()
    words.add_text("Software", "astrotui 0.1.0")
    Image.fromarray(data).save(tmp_path / "x.png", pnginfo=words)
    assert read_metadata(tmp_path / "x.png").frame_type is FrameType.STACK


def test_png_16_bit(tmp_path: Path) -> None:
    data = pixels("uint16", (33, 41))
    path = tmp_path / "x.png"
    Image.fromarray(data).save(path)
    check(path, data, np.uint16)
    found = read_metadata(path)
    assert (found.frame_type, found.bitpix, found.full_scale_adu) == (FrameType.LIGHT, 16, 65535.0)


def png(width: int, height: int, bits: int, color: int, body: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (png(4, 4, 8, 0), "a PNG of 8 bits is a picture"),
        (png(4, 4, 16, 2), "16-bit color PNG cannot be read without losing depth"),
        (png(2**30, 2**30, 16, 0), "claims 1073741824 x 1073741824 pixels"),
        (png(0, 4, 16, 0), "claims 0 x 4"),
        (b"", "empty"),
        (b"\x89PNG", "not a PNG"),
        (b"x" * 100, "not a PNG"),
    ],
    ids=["8-bit", "color", "bomb", "flat", "empty", "short", "noise"],
)
def test_png_that_is_no_frame(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(FrameError, match=reason):
        read_metadata(path)
    with pytest.raises(FrameError):
        open_frame(path)


def test_png_whose_pixels_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png(2000, 2000, 16, 0, b"\0\0\0"))
    with open_frame(path) as reader, pytest.raises(FrameError, match="cannot be decoded"):
        reader.read(0, 2)


def tiff_claiming(width: int, height: int) -> bytes:
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 16),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
    ]
    entries += [(278, 4, height), (279, 4, min(2 * width * height, 2**32 - 1))]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + body + struct.pack("<I", 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff_claiming(60_000, 60_000), "claims 60000 x 60000"),
        (tiff_claiming(1000, 1000), "truncated"),
        (b"", "not a usable TIFF|empty"),
        (b"II*\0" + b"\xff" * 20, "not a usable TIFF"),
        (b"hello", "not a usable TIFF"),
    ],
    ids=["bomb", "truncated", "empty", "noise", "text"],
)
def test_tiff_that_is_no_frame(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(content)
    with pytest.raises(FrameError, match=reason):
        read_metadata(path)
    with pytest.raises(FrameError):
        open_frame(path)


@settings(
    max_examples=60 * LONGER, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 700), st.binary(min_size=1, max_size=60), st.sampled_from([".tif", ".png"]))
def test_fuzzed_rasters_raise_frame_errors_only(tmp_path: Path, at: int, noise: bytes, suffix: str) -> None:
    source = tmp_path / f"source{suffix}"
    if not source.exists():
        if suffix == ".tif":
            tifffile.imwrite(source, pixels("uint16", (16, 16)), photometric="minisblack")
        else:
            Image.fromarray(pixels("uint16", (16, 16))).save(source)
    raw = bytearray(source.read_bytes())
    raw[at : at + len(noise)] = noise
    path = tmp_path / f"x{suffix}"
    path.write_bytes(raw)
    with contextlib.suppress(FrameError):
        read_metadata(path)
        with open_frame(path) as reader:
            reader.read(0, reader.height)


class FakeRaw:
    """What rawpy gives for a camera of 14 bits with black levels that differ by color."""

    def __init__(self) -> None:
        self.raw_image_visible = np.full((6, 8), 600, np.uint16)
        self.raw_image_visible[0, 1] = 3
        self.raw_colors_visible = np.tile(np.array([[0, 1], [3, 2]], np.uint8), (3, 4))
        self.raw_pattern = np.array([[0, 1], [3, 2]], np.uint8)
        self.color_desc = b"RGBG"
        self.black_level_per_channel = [512, 514, 512, 514]
        self.white_level = 16383
        self.sizes = types.SimpleNamespace(width=8, height=6)
        self.other = types.SimpleNamespace(
            shutter_speed=30.000001, iso_speed=1600.0, timestamp=datetime(2025, 3, 27, 22, 10, 5)
        )
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def rawpy_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    module = types.ModuleType("rawpy")
    module.opened = []  # type: ignore[attr-defined]

    def imread(path: str) -> FakeRaw:
        if b"damaged" in Path(path).read_bytes():
            raise RuntimeError("LibRaw: unsupported\nfile format")
        module.opened.append(FakeRaw())
        return module.opened[-1]

    module.imread = imread  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rawpy", module)
    monkeypatch.setattr("astrotui.frames.names.find_spec", lambda name: module)
    names.raw_supported.cache_clear()
    yield module
    names.raw_supported.cache_clear()


def test_camera_raw(tmp_path: Path, rawpy_module: types.ModuleType) -> None:
    path = tmp_path / "IMG_0007.CR3"
    path.write_bytes(b"not a TIFF inside")
    found = read_metadata(path)
    assert (found.width, found.height, found.cfa, found.cfa_phase) == (8, 6, "RGGB", "RGGB")
    assert (found.exposure_s, found.gain, found.sequence) == (30.0, 1600.0, 7)
    assert found.full_scale_adu == 16381.0
    assert (found.date_obs, found.night) == (
        None,
        date(2025, 3, 27),
    )  # its clock is local, of an unknown zone
    with open_frame(path) as reader:
        mosaic = reader.read(0, 2)
    # The levels of the greens are 2 higher: they are taken down to the others', and never below zero.
    np.testing.assert_array_equal(mosaic[:, :4], [[600, 1, 600, 598], [598, 600, 598, 600]])
    assert mosaic.dtype == np.uint16
    assert all(raw.closed for raw in rawpy_module.opened)


def test_damaged_camera_raw(tmp_path: Path, rawpy_module: types.ModuleType) -> None:
    path = tmp_path / "x.dng"
    path.write_bytes(b"damaged")
    with pytest.raises(FrameError, match="not a usable camera raw file: LibRaw: unsupported file format"):
        read_metadata(path)


def test_camera_raw_that_ends_early(
    tmp_path: Path, rawpy_module: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LibRawIOError(Exception):
        pass

    def unpack(self: FakeRaw) -> np.ndarray:
        raise LibRawIOError(b"Input/output error")

    path = tmp_path / "x.dng"
    path.write_bytes(b"raw")
    monkeypatch.setattr(
        FakeRaw, "raw_colors_visible", property(unpack, lambda self, value: None), raising=False
    )
    with open_frame(path) as reader, pytest.raises(FrameError, match="raw file: Input/output error"):
        reader.read(0, 2)


def test_camera_raw_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astrotui.frames.names.find_spec", lambda name: None)
    names.raw_supported.cache_clear()
    path = tmp_path / "x.dng"
    path.write_bytes(b"raw")
    assert not names.is_frame_name("x.dng")
    with pytest.raises(FrameError, match=r"pip install 'astrotui\[raw\]'"):
        read_metadata(path)
    names.raw_supported.cache_clear()
