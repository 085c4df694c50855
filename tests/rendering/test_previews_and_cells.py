"""Small pictures: one stretch for a session, 30 KB a preview, 3 KB of a terminal's line, a cache with a cap."""

import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from astrotui.config import places
from astrotui.errors import AstrotuiError, FrameError
from astrotui.rendering.cells import CellPicture
from astrotui.rendering.colors import reduced
from astrotui.rendering.halfblocks import fit, make_cells
from astrotui.rendering.previews import frame_preview, preview_path, preview_png, prune, session_stretch
from astrotui.rendering.source import Known, PictureSource, block_means, superpixel

KNOWN = Known(cfa_phase="GRBG", full_scale_adu=4095.0, hdu=0)


def star_field(width: int, height: int, seed: int, stars: int = 900) -> np.ndarray:
    """A shown colour star field as a telescope's: noise, gradient, stars of all colours. float32 (3, h, w)."""
    rng = np.random.default_rng(seed)
    x = np.arange(width)
    image = 0.13 + 0.05 * x / width + rng.normal(0, 0.035, (3, height, width))
    box_y, box_x = np.mgrid[-4:5, -4:5]
    for _ in range(stars):
        row, column = rng.integers(5, height - 5), rng.integers(5, width - 5)
        color = rng.uniform(0.6, 1.0, 3)[:, None, None]
        image[:, row - 4 : row + 5, column - 4 : column + 5] += (
            color * rng.uniform(0.1, 1) * np.exp(-(box_x**2 + box_y**2) / rng.uniform(1.5, 5))
        )
    return np.clip(image, 0, 1).astype(np.float32)


def as_textual_sends(picture: CellPicture) -> bytes:
    """The bytes that Textual writes for these cells."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=300)
    lines = []
    for row in range(picture.rows):
        segments = [
            Segment(
                run.text,
                Style.parse("rgb({},{},{})".format(*run.upper))
                + Style.parse("on rgb({},{},{})".format(*run.lower)),
            )
            for run in picture.runs(row)
        ]
        lines.append(Strip(segments).render(console))
    return "\n".join(lines).encode()


def test_one_stretch_shows_the_cloud(raw_frame: Callable[..., Path]) -> None:
    clear = [raw_frame(f"clear{i}.fits") for i in range(4)]
    cloud = raw_frame("cloud.fits", transparency=0.2, sky=520.0)
    stretch = session_stretch([*clear, cloud], known=KNOWN)

    def brightness(path: Path, shared: bool) -> float:
        data = frame_preview(path, known=KNOWN, stretch=stretch if shared else None, cache=False)
        return float(np.median(np.asarray(Image.open(io.BytesIO(data)).convert("L"))))

    assert brightness(clear[0], True) == pytest.approx(0.2 * 255, abs=6)
    assert brightness(cloud, True) > 2 * brightness(clear[0], True)
    assert brightness(cloud, False) == pytest.approx(brightness(clear[0], False), abs=6)


def test_a_session_with_unreadable_frames(raw_frame: Callable[..., Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.fits"
    broken.write_bytes(b"SIMPLE  = nothing")
    good = raw_frame()
    assert session_stretch([broken, good], known=KNOWN) == session_stretch([good], known=KNOWN)
    with pytest.raises(FrameError, match="broken"):
        session_stretch([broken], known=KNOWN)
    with pytest.raises(FrameError):
        session_stretch([])


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("count", [100, 3000])
def test_a_preview_takes_at_most_30_kb(seed: int, count: int) -> None:
    from astrotui.imaging.stretch import linear_stretch

    field = star_field(960, 540, seed, count)
    data = preview_png(field, linear_stretch(), size=480)
    assert len(data) <= 30_000
    image = Image.open(io.BytesIO(data))
    assert max(image.size) >= 300
    pixels = np.asarray(image.convert("L"), float)
    assert pixels.max() > 170  # the stars are still there
    assert np.median(pixels) == pytest.approx(255 * np.median(field), abs=6)


def test_pure_noise_still_fits() -> None:
    from astrotui.imaging.stretch import linear_stretch

    noise = np.random.default_rng(0).random((3, 600, 900), np.float32)
    assert len(preview_png(noise, linear_stretch())) <= 30_000


def test_previews_are_kept_under_their_stretch_and_identity(raw_frame: Callable[..., Path]) -> None:
    frame = raw_frame()
    stretch = session_stretch([frame], known=KNOWN)
    made = frame_preview(frame, known=KNOWN, stretch=stretch, content_id="abc")
    kept = preview_path(frame, stretch, content_id="abc")
    assert kept.read_bytes() == made and kept.is_relative_to(places().previews)
    kept.write_bytes(b"kept")
    assert frame_preview(frame, known=KNOWN, stretch=stretch, content_id="abc") == b"kept"
    assert frame_preview(frame, known=KNOWN, stretch=None, content_id="abc") != b"kept"
    assert frame_preview(frame, known=KNOWN, stretch=stretch, content_id="other") == made
    assert preview_path(frame, None) != preview_path(frame, None, size=200)
    with pytest.raises(FrameError, match="gone"):
        preview_path(frame.with_name("gone.fits"), None)


def test_a_cache_that_cannot_be_written_is_no_error(raw_frame: Callable[..., Path]) -> None:
    places().cache.mkdir(parents=True, exist_ok=True)
    places().previews.write_text("a file where the folder should be")
    assert frame_preview(raw_frame(), known=KNOWN)[1:4] == b"PNG"


def test_the_oldest_previews_go_first(tmp_path: Path) -> None:
    for index in range(10):
        place = tmp_path / f"{index:02d}" / "x.png"
        place.parent.mkdir()
        place.write_bytes(bytes(1000))
        os.utime(place, (1000 + index, 1000 + index))
    assert prune(20_000, tmp_path) == 0
    assert prune(5_000, tmp_path) == 6
    assert sorted(p.parent.name for p in tmp_path.glob("*/*")) == ["06", "07", "08", "09"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stars", [60, 900, 5000])
def test_sixty_by_twenty_cells_cost_at_most_3_kb(seed: int, stars: int) -> None:
    picture = make_cells(star_field(240, 160, seed, stars), 60, 20)
    assert (picture.columns, picture.rows) == (60, 20)
    assert len(zlib.compress(as_textual_sends(picture), 6)) <= 3000
    bright = max(max(color) for color in picture.palette)
    assert bright > 150


def test_cells_are_bounded_even_for_noise() -> None:
    noise = np.random.default_rng(0).random((3, 160, 240), np.float32)
    assert len(zlib.compress(as_textual_sends(make_cells(noise, 60, 20)), 6)) <= 3000


def test_cells_of_real_frames(real_frames: Path) -> None:
    for pattern in ("seestar_m94/*/*.fit", "als_m27/*.fits", "oscaar_tres1/lights/*.fit"):
        path = sorted(real_frames.glob(pattern))[0]
        with PictureSource(path) as source:
            from astrotui.imaging.stretch import apply_stretch
            from astrotui.rendering.previews import frame_stretch, small_frame

            shown = apply_stretch(small_frame(source), frame_stretch(source))
        picture = make_cells(shown, 60, 20)
        assert len(zlib.compress(as_textual_sends(picture), 6)) <= 3000
        assert len(frame_preview(path, cache=False)) <= 30_000


def test_a_star_of_one_pixel_is_not_lost_and_noise_is() -> None:
    rng = np.random.default_rng(3)
    shown = np.clip(rng.normal(0.2, 0.03, (1, 320, 480)), 0, 1).astype(np.float32)
    shown[0, 100:102, 200:202] = 1.0
    picture = make_cells(shown, 60, 20)
    grid = np.array(picture.palette)[np.frombuffer(picture.pixels, np.uint8)].reshape(40, 60, 3)
    assert grid[12, 25].min() > 150  # rows of 8 pixels, columns of 8
    rest = np.delete(grid.reshape(-1, 3), 12 * 60 + 25, axis=0)
    assert np.ptp(rest, axis=0).max() <= 12


def test_cells_keep_the_shape_of_the_picture() -> None:
    assert fit(400, 240, 60, 20) == (60, 36)
    assert fit(240, 400, 60, 20) == (24, 40)
    assert fit(1000, 1, 60, 20) == (60, 1)
    picture = make_cells(np.full((3, 3, 500), 0.5, np.float32), 60, 20)
    assert (picture.columns, picture.rows) == (60, 1)
    tiny = make_cells(np.full((1, 2, 2), 0.5, np.float32), 60, 20)  # zoomed in beyond the pixels
    assert (tiny.columns, tiny.rows) == (40, 20)


def test_cells_survive_their_bytes_and_draw_themselves() -> None:
    picture = CellPicture(3, 1, ((255, 0, 0), (0, 0, 9)), bytes([0, 0, 1, 1, 1, 1]))
    assert CellPicture.from_bytes(picture.to_bytes()) == picture
    runs = list(picture.runs(0))
    assert [(r.count, r.text) for r in runs] == [(2, "▀▀"), (1, " ")]
    assert picture.ansi() == "\x1b[38;2;255;0;0;48;2;0;0;9m▀▀\x1b[0m\x1b[48;2;0;0;9m \x1b[0m"
    for wrong in (b"", b"nonsense at all", picture.to_bytes()[:-1], picture.to_bytes()[:-1] + b"\7"):
        with pytest.raises(AstrotuiError):
            CellPicture.from_bytes(wrong)


def test_a_grid_of_colors_is_near_and_small() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    indices, palette = reduced(pixels, 8, 24)
    assert len(palette) <= 256
    gray = pixels @ np.array([0.299, 0.587, 0.114])
    shown = palette[indices] @ np.array([0.299, 0.587, 0.114])
    assert np.median(np.abs(gray - shown)) <= 6


def test_block_means_and_superpixels() -> None:
    image = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    assert block_means(image, 2).tolist() == [[[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]]
    image[0, 0, 0] = np.nan
    image[0, 2:, 2:4] = np.nan
    means = block_means(image, 2)[0]
    assert means[0, 0] == pytest.approx((1 + 6 + 7) / 3) and np.isnan(means[1, 1])
    assert block_means(image[:, :, :5], 3).shape == (1, 1, 1)
    mosaic = np.array([[1, 2, 1, 2], [3, 5, 3, 5], [1, 2, 1, 2]], np.uint16)
    assert superpixel(mosaic, "GRBG")[:, 0, 0].tolist() == [2, 3, 3]
    assert superpixel(mosaic, "RGGB").shape == (3, 1, 2)


def test_overview_and_parts_agree(stack: Path) -> None:
    with PictureSource(stack) as source:
        assert source.is_stack and source.full_scale == 4095 and source.planes == 3
        overview = source.overview(pixels=20_000, samples=5_000)
        assert overview.factor == 3
        np.testing.assert_allclose(overview.reduced, source.reduced(3), rtol=1e-6)
        whole = source.read(0, 240)
        rows, columns = overview.sample_y.astype(int), overview.sample_x.astype(int)
        np.testing.assert_array_equal(overview.samples, whole[:, rows][:, :, columns])
        assert overview.high == pytest.approx(np.nanmax(whole, axis=(1, 2)))
        part = source.reduced(2, 10, 50, 20, 60)
        np.testing.assert_allclose(part, block_means(whole[:, 10:50, 20:60], 2), rtol=1e-5)
