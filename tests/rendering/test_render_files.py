"""Results and frames as picture files, looked at with other programs' readers."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from astropy.io import fits
from PIL import Image

from astrotui.errors import FrameError, OutputError, UsageError
from astrotui.rendering.encode import png16
from astrotui.rendering.looks import Look
from astrotui.rendering.render import render_image


def opened(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_the_default_look_of_a_stack_is_dark_neutral_and_unclipped(stack: Path, tmp_path: Path) -> None:
    info = render_image(stack, Look(), tmp_path / "out.png")
    pixels = opened(info.path)
    assert pixels.shape == (240, 400, 3) and (info.width, info.height) == (400, 240)
    covered = pixels[30:, 40:].reshape(-1, 3)
    assert np.median(covered, axis=0) == pytest.approx([0.15 * 255] * 3, abs=3)
    assert (covered.max(axis=1) == 0).mean() < 0.001
    assert (pixels[:30, :40] == 0).all()  # not covered
    left, right = np.median(pixels[40:, 45:90], axis=(0, 1)), np.median(pixels[40:, -45:], axis=(0, 1))
    assert np.abs(left - right).max() <= 6  # the gradient has gone
    bright = covered[covered.max(axis=1) > 180].astype(float)
    ratio = np.median(bright[:, 0] / bright[:, 1]), np.median(bright[:, 2] / bright[:, 1])
    assert ratio == pytest.approx((1, 1), abs=0.08)  # stars are white
    assert len(info.stretch.shadows) == 1
    assert any("balanced on" in note for note in info.notes)


def test_colors_need_no_help_in_a_dual_band_stack(stack: Path, tmp_path: Path) -> None:
    fits.setval(stack, "FILTER", value="Duo-Band")
    info = render_image(stack, Look(), tmp_path / "out.png")
    assert any("Duo-Band" in note for note in info.notes)
    assert len(info.stretch.shadows) == 3  # a stretch each, or the picture would be green


def test_a_raw_color_frame_is_half_size_without_a_cast(
    raw_frame: Callable[..., Path], tmp_path: Path
) -> None:
    info = render_image(raw_frame(), Look(), tmp_path / "out.png")
    pixels = opened(info.path)
    assert pixels.shape == (120, 200, 3)
    assert np.median(pixels.reshape(-1, 3), axis=0) == pytest.approx([38] * 3, abs=2)
    linked = render_image(raw_frame("b.fits"), Look(linked="on"), tmp_path / "linked.png")
    red, green, blue = np.median(opened(linked.path).reshape(-1, 3), axis=0)
    assert green > blue + 10 > red


def test_mono_stays_mono_and_rows_stand_as_the_file_says(mono: Path, tmp_path: Path) -> None:
    pixels = opened(render_image(mono, Look(), tmp_path / "top.png").path)
    assert pixels.shape == (240, 400)
    assert pixels[:20].mean() > 2 * pixels[-20:].mean()
    fits.setval(mono, "ROWORDER", value="BOTTOM-UP")
    turned = opened(render_image(mono, Look(), tmp_path / "bottom.png").path)
    np.testing.assert_array_equal(turned, pixels[::-1])


def test_formats_and_depths_agree(stack: Path, tmp_path: Path) -> None:
    eight = opened(render_image(stack, Look(), tmp_path / "a.png").path)
    wide = tifffile.imread(render_image(stack, Look(), tmp_path / "a.tif").path)
    assert wide.dtype == np.uint16 and wide.shape == eight.shape
    assert np.abs(wide / 257.0 - eight).max() <= 0.51
    deep = render_image(stack, Look(), tmp_path / "b.png", depth=16).path
    assert deep.read_bytes()[24:26] == bytes([16, 2])  # bits, RGB
    assert np.abs(opened(deep).astype(int) - (wide >> 8)).max() <= 1  # Pillow reads the upper byte
    jpeg = opened(render_image(stack, Look(), tmp_path / "a.jpg").path)
    assert np.abs(jpeg.astype(int) - eight).mean() < 5  # of noise with a scatter of 14
    assert render_image(stack, Look(), tmp_path / "c.tiff", depth=8).path.stat().st_size < 400_000


def test_a_deep_png_keeps_every_bit(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (31, 17), dtype=np.uint16)
    path = tmp_path / "deep.png"
    path.write_bytes(png16(pixels))
    np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)


@pytest.mark.parametrize("size", [399, 200, 150, 64, 1])
def test_size_is_the_longest_side(stack: Path, tmp_path: Path, size: int) -> None:
    info = render_image(stack, Look(rotate=90), tmp_path / "small.png", size=size)
    assert info.height == size
    assert info.width == max(1, round(240 * size / 400))
    assert Image.open(info.path).size == (info.width, info.height)


def test_small_and_full_size_have_the_same_sky(stack: Path, tmp_path: Path) -> None:
    full = opened(render_image(stack, Look(), tmp_path / "full.png").path)
    small = opened(render_image(stack, Look(), tmp_path / "small.png", size=130).path)
    assert np.median(full) == pytest.approx(np.median(small), abs=2)


@pytest.mark.parametrize("stretch", ["mtf", "asinh", "ghs", "zscale", "minmax", "percentile", "linear"])
def test_every_stretch_makes_a_picture(stack: Path, tmp_path: Path, stretch: str) -> None:
    look = Look.from_dict({"stretch": stretch, "contrast": 0.3, "scnr": 1.0, "saturation": 1.5, "mid": 0.4})
    pixels = opened(render_image(stack, look, tmp_path / "out.png").path)
    assert len(np.unique(pixels)) > 20
    red, green, blue = (pixels[..., c].astype(int) for c in range(3))
    assert (green <= (red + blue) / 2 + 4).mean() > 0.99  # SCNR, whatever the stretch


@pytest.mark.parametrize("background", ["none", "plane", "quadratic", "cubic", "spline"])
def test_every_background(stack: Path, tmp_path: Path, background: str) -> None:
    look = Look.from_dict({"background": background, "color": "neutral"})
    pixels = opened(render_image(stack, look, tmp_path / "out.png").path)
    tilt = np.median(pixels[40:, -45:, 1]) - np.median(pixels[40:, 45:90, 1])
    assert tilt > 25 if background == "none" else abs(tilt) <= 6


def test_pictures_come_in_too(stack: Path, tmp_path: Path) -> None:
    tiff = render_image(
        stack, Look(stretch="linear", background="none", color="none"), tmp_path / "lin.tif"
    ).path
    again = render_image(tiff, Look(), tmp_path / "again.png")
    assert np.median(opened(again.path)[30:, 40:]) == pytest.approx(38, abs=4)


def test_what_cannot_be_read_or_written_is_one_line(stack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    out.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"out\.png"):
        render_image(stack, Look(), out)
    assert out.read_bytes() == b"mine"
    render_image(stack, Look(), out, overwrite=True)
    assert out.read_bytes()[1:4] == b"PNG"
    for name, error in (("x.bmp", OutputError), ("nowhere/x.png", OutputError)):
        with pytest.raises(error) as caught:
            render_image(stack, Look(), tmp_path / name)
        assert "\n" not in str(caught.value) and name.split("/")[0] in str(caught.value)
    with pytest.raises(OutputError, match="JPEG holds 8 bits"):
        render_image(stack, Look(), tmp_path / "x.jpg", depth=16)
    with pytest.raises(UsageError, match="--size"):
        render_image(stack, Look(), tmp_path / "x.png", size=0)
    broken = tmp_path / "broken.fits"
    broken.write_bytes(stack.read_bytes()[:100_000])
    for path in (broken, tmp_path / "absent.fits", tmp_path):
        with pytest.raises(FrameError) as failed:
            render_image(path, Look(), tmp_path / "y.png")
        assert "\n" not in str(failed.value)
    assert not (tmp_path / "y.png").exists()
    assert not list(tmp_path.glob(".*part"))


@pytest.mark.parametrize("value", [np.nan, 0.0, 7.5, 1e9])
def test_pictures_of_nothing(tmp_path: Path, value: float) -> None:
    path = tmp_path / "flat.fits"
    fits.PrimaryHDU(np.full((3, 60, 90), value, np.float32), fits.Header({"NCOMBINE": 4})).writeto(path)
    info = render_image(path, Look(), tmp_path / "out.png")
    assert np.ptp(opened(info.path)) <= 2


def test_one_pixel(tmp_path: Path) -> None:
    path = tmp_path / "dot.fits"
    fits.PrimaryHDU(np.full((1, 1), 9.0, np.float32)).writeto(path)
    assert render_image(path, Look(), tmp_path / "out.png", size=10).width == 1


def test_the_same_input_gives_the_same_file(stack: Path, tmp_path: Path) -> None:
    first = render_image(stack, Look(), tmp_path / "a.png").path.read_bytes()
    assert render_image(stack, Look(), tmp_path / "b.png").path.read_bytes() == first


def test_options_of_a_look_cost_no_pixel_library() -> None:
    code = "import sys, astrotui.rendering.looks; print(sorted({'numpy', 'PIL', 'astropy', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
