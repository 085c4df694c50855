"""Small pictures of frames: kept while measuring, small on disk, true enough for a stretch of the whole session."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from astrotui.frames.pixels import read_image
from astrotui.imaging.stretch import apply_stretch
from astrotui.rendering.previews import session_stretch, small_frame
from astrotui.rendering.protocol import ViewRequest
from astrotui.rendering.small import (
    MOST_BYTES,
    decode_small,
    encode_small,
    keep_small,
    kept_small,
    prune,
    reduce_frame,
    small_path,
)
from astrotui.rendering.source import Known, PictureSource
from astrotui.rendering.views import Gallery
from sample_sessions.fitsfile import write_frame
from sample_sessions.sky import Camera, expose, random_sky

WIDTH, HEIGHT = 2000, 1400


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _frame(seed: int, cfa: str | None = "RGGB", **light: float) -> NDArray[np.uint16]:
    sky = random_sky(3, WIDTH, HEIGHT, 800, faint=60)
    camera = Camera(WIDTH, HEIGHT, cfa=cfa)
    return expose(sky, camera, exposure_s=10, rng=np.random.default_rng(seed), **light)  # type: ignore[arg-type]


@pytest.mark.parametrize("cfa", ["RGGB", "GBRG", None])
def test_it_holds_what_the_frame_shows_when_reduced(tmp_path: Path, cfa: str | None) -> None:
    raw = _frame(1, cfa)
    path = tmp_path / "a.fits"
    write_frame(path, raw, [])
    reduced = reduce_frame(raw, cfa)
    with PictureSource(path, Known(cfa or "", 65535.0, 0)) as source:
        before = small_frame(source, keep=False) * 65535
        np.testing.assert_allclose(reduced, before, rtol=1e-5)
    data = encode_small(reduced)
    assert len(data) <= MOST_BYTES
    again = decode_small(data)
    assert again is not None
    assert again.shape == reduced.shape
    for plane, kept in zip(reduced, again, strict=True):
        spread = 1.4826 * np.median(np.abs(plane - np.median(plane)))
        assert abs(np.median(kept) - np.median(plane)) < 0.1 * spread
        bright = plane > np.median(plane) + 100 * spread
        assert bright.sum() > 20
        # A JPEG rounds single pixels; stars stay about as bright together.
        assert kept[bright].sum() == pytest.approx(plane[bright].sum(), rel=0.2)


def test_noise_without_end_and_nothing_at_all_fit_too() -> None:
    rng = np.random.default_rng(1)
    for image in (
        rng.lognormal(0, 3, (3, 600, 700)),
        np.zeros((1, 200, 300)),
        np.full((1, 200, 300), np.nan),
        np.where(rng.random((1, 300, 300)) < 0.3, np.nan, 500.0),
    ):
        data = encode_small(image.astype(np.float32))
        assert len(data) <= MOST_BYTES
        again = decode_small(data)
        assert again is not None
        assert np.isfinite(again).all()


def test_a_cloud_shows_under_the_stretch_of_the_session(tmp_path: Path) -> None:
    paths = []
    for number, (seed, light) in enumerate([(1, {}), (2, {}), (3, {"sky_e_s": 60.0}), (4, {})]):
        raw = _frame(seed, **light)
        paths.append(tmp_path / f"{number}.fits")
        write_frame(paths[-1], raw, [])
        keep_small(paths[-1], raw, "RGGB")
    known = Known("RGGB", 65535.0, 0)
    stretch = session_stretch(paths, known=known)
    levels = []
    for path in paths:
        with PictureSource(path, known) as source:
            shown = apply_stretch(small_frame(source), stretch)
            direct = apply_stretch(small_frame(source, keep=False), stretch)
        levels.append(float(np.median(shown)))
        assert np.median(shown) == pytest.approx(np.median(direct), abs=0.01)
    assert max(levels[0], levels[1], levels[3]) < 0.3
    assert levels[2] > 0.5


def test_a_kept_one_is_used_until_the_frame_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    write_frame(path, _frame(1), [])
    assert kept_small(path, "RGGB") is None
    keep_small(path, read_image(path), "RGGB")
    place = small_path(path, "RGGB")
    assert place.stat().st_size <= MOST_BYTES
    assert kept_small(path, "RGGB") is not None
    assert kept_small(path, "BGGR") is None
    place.write_bytes(b"no picture")
    assert kept_small(path, "RGGB") is None
    path.unlink()
    write_frame(path, _frame(2)[:-2], [])
    assert small_path(path, "RGGB") != place
    assert prune(0, place.parent.parent) >= 1
    assert not place.exists()


def test_pictures_of_the_frames_beside_are_made_while_nobody_asks(tmp_path: Path) -> None:
    folder = tmp_path / "LIGHT"
    folder.mkdir()
    for number in range(9):
        write_frame(folder / f"{number}.fits", _frame(1, None)[:300, :400], [("IMAGETYP", "Light", "")])
    (folder / "5.fits").write_bytes(b"no picture")
    gallery = Gallery()
    view = gallery.view(ViewRequest(str(folder / "4.fits"), 40, 12))
    assert view.width == 400

    def kept() -> list[int]:
        return [n for n in range(9) if kept_small(folder / f"{n}.fits", None) is not None]

    assert kept() == [4]
    gallery.do_later()
    gallery.do_later()
    assert kept() == [3, 4]  # the nearest first, and what cannot be read is passed over
    while gallery.later:
        gallery.do_later()
    assert kept() == [1, 2, 3, 4, 6, 7]


def test_pictures_come_in_the_order_of_the_table_when_it_is_told(tmp_path: Path) -> None:
    for number in range(5):
        write_frame(tmp_path / f"{number}.fits", _frame(1, None)[:300, :400], [("IMAGETYP", "Light", "")])
    gallery = Gallery()
    around = tuple(str(tmp_path / f"{n}.fits") for n in (0, 4))
    gallery.view(ViewRequest(str(tmp_path / "2.fits"), 40, 12, beside=around))
    gallery.do_later()
    assert kept_small(tmp_path / "0.fits", None) is not None
    assert kept_small(tmp_path / "4.fits", None) is None
    while gallery.later:
        gallery.do_later()
    assert [n for n in range(5) if kept_small(tmp_path / f"{n}.fits", None) is not None] == [0, 2, 4]
