"""The picture helper as a process: answers, errors, superseded requests, its death and its parent's."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from astrotui.config import places
from astrotui.errors import AstrotuiError
from astrotui.rendering.cells import CellPicture
from astrotui.rendering.looks import CHOICES, Look, orient
from astrotui.rendering.service import (
    Exported,
    ExportRequest,
    PictureService,
    SupersededError,
    View,
    ViewRequest,
)
from astrotui.rendering.views import Recent, stored_part, window_of

WAIT_S = 60.0  # an answer takes 0.1 s; this only ends a test that hangs


@pytest.fixture
def service() -> Iterator[PictureService]:
    made = PictureService()
    yield made
    made.close()


def ask(service: PictureService, request: ViewRequest, slot: str = "main") -> View:
    answer = service.submit(request, slot=slot).result(WAIT_S)
    assert isinstance(answer, View)
    return answer


def grid(cells: CellPicture) -> np.ndarray:
    indices = np.frombuffer(cells.pixels, np.uint8).reshape(2 * cells.rows, cells.columns)
    return np.array(cells.palette, float)[indices]


def test_a_developed_stack_in_cells_with_levels(service: PictureService, stack: Path) -> None:
    view = ask(service, ViewRequest(str(stack), 60, 20, look=Look(), histogram=True))
    assert (view.width, view.height) == (400, 240) and view.window == (0, 0, 400, 240)
    assert (view.cells.columns, view.cells.rows) == (60, 18)
    pixels = grid(view.cells)
    assert np.median(pixels, axis=(0, 1)) == pytest.approx([38] * 3, abs=10)
    assert pixels[:4, :5].max() == 0  # the corner that nothing covered
    assert pixels[17:19, 28:32].mean() > 2 * np.median(pixels)  # the nebula
    assert len(view.histogram) == len(view.statistics) == 3 and len(view.histogram[0]) == 128
    green = view.statistics[1]
    assert green.median == pytest.approx(360, abs=8) and green.low < 340 and 1000 < green.high < 2500
    assert any("balanced" in note for note in view.notes)
    darker = ask(service, ViewRequest(str(stack), 60, 20, look=Look(target=0.05)))
    assert np.median(grid(darker.cells)) < 0.6 * np.median(pixels)


def test_zoom_and_pan(service: PictureService, stack: Path) -> None:
    look = Look()
    view = ask(service, ViewRequest(str(stack), 50, 15, look=look, zoom=8, center_x=0.5, center_y=0.5))
    x, y, width, height = view.window
    assert (width, height) == (50, 30) and view.scale == 1.0  # a pixel a half cell
    assert x + width / 2 == pytest.approx(200, abs=1) and y + height / 2 == pytest.approx(120, abs=1)
    corner = ask(service, ViewRequest(str(stack), 50, 15, look=look, zoom=8, center_x=0.0, center_y=0.0))
    assert corner.window[:2] == (0, 0) and grid(corner.cells)[:, :40].max() == 0  # uncovered
    close = ask(service, ViewRequest(str(stack), 50, 15, look=look, zoom=16))
    assert (close.cells.columns, close.cells.rows) == (50, 15)


def test_frames_of_a_session_share_a_stretch(service: PictureService, raw_frame: Callable[..., Path]) -> None:
    clear, cloud = raw_frame("clear.fits"), raw_frame("cloud.fits", transparency=0.2, sky=520.0)

    def shown(path: Path, session: tuple[str, ...], name: str) -> float:
        request = ViewRequest(
            str(path),
            40,
            12,
            session=name,
            session_paths=session,
            cfa_phase="GRBG",
            full_scale_adu=4095.0,
            hdu=0,
        )
        return float(np.median(grid(ask(service, request).cells)))

    both = (str(clear), str(cloud))
    assert shown(clear, both, "night") == pytest.approx(51, abs=6)
    assert shown(cloud, both, "night") > 100
    assert shown(cloud, (), "") == pytest.approx(51, abs=6)
    kept = list((places().previews / "stretches").glob("*.json"))
    assert len(kept) == 1
    zoomed = ViewRequest(str(clear), 40, 12, zoom=3, histogram=True, cfa_phase="GRBG", hdu=0)
    view = ask(service, zoomed)
    assert view.window[2] < 200 and sum(view.histogram[0]) > 1000


def test_the_promised_png_is_written(
    service: PictureService, stack: Path, raw_frame: Callable[..., Path]
) -> None:
    frame = ask(service, ViewRequest(str(raw_frame()), 40, 12, png=True))
    result = ask(service, ViewRequest(str(stack), 40, 12, look=Look(), png=True))
    assert frame.png and result.png
    # Files are written when nothing is waited for; a request after that is answered after they are there.
    paths = [Path(frame.png), Path(result.png)]
    for _ in range(200):
        if all(path.exists() for path in paths):
            break
        select.select([], [], [], 0.1)
    assert max(Image.open(paths[0]).size) == 200
    assert Image.open(paths[1]).size == (400, 240)


def test_exports(service: PictureService, stack: Path, tmp_path: Path) -> None:
    request = ExportRequest(str(stack), str(tmp_path / "out.png"), Look(), size=100)
    done = asyncio.run(service.export(request))
    assert isinstance(done, Exported) and (done.width, done.height) == (100, 60)
    assert Image.open(done.path).size == (100, 60)
    with pytest.raises(AstrotuiError, match=r"out\.png"):
        asyncio.run(service.export(request))


def test_errors_come_back_as_one_line_and_the_helper_lives_on(service: PictureService, stack: Path) -> None:
    view = ask(service, ViewRequest(str(stack), 10, 5, look=Look()))
    helper = service.pid
    garbage = stack.with_name("garbage.fits")
    garbage.write_bytes(b"\x1b[2J" * 1000)
    for request, words in (
        (ViewRequest("/nowhere/x\n.fits", 10, 5), "No such file"),
        (ViewRequest(str(garbage), 10, 5), "garbage.fits"),
        (ViewRequest(str(stack), 0, 5), "cells"),
        (ViewRequest(str(stack), 10, 5, zoom=0.1), "zoom"),
    ):
        with pytest.raises(AstrotuiError, match=words) as caught:
            ask(service, request)
        assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert ask(service, ViewRequest(str(stack), 10, 5, look=Look())).cells == view.cells
    assert service.pid == helper


def test_a_helper_killed_in_the_middle_is_replaced(service: PictureService, stack: Path) -> None:
    request = ViewRequest(str(stack), 30, 10, look=Look())
    before = ask(service, request)
    old = service.pid
    assert old is not None
    os.kill(old, signal.SIGSTOP)  # it holds the request and does not answer
    waiting = service.submit(request, slot="main")
    os.kill(old, signal.SIGKILL)
    assert waiting.result(WAIT_S) == before
    assert service.pid not in (None, old)


def test_of_a_slot_only_the_newest_is_answered(service: PictureService, stack: Path) -> None:
    ask(service, ViewRequest(str(stack), 10, 5, look=Look()))
    helper = service.pid
    assert helper is not None
    os.kill(helper, signal.SIGSTOP)
    try:
        sizes = [service.submit(ViewRequest(str(stack), 10 + n, 5, look=Look()), slot="a") for n in range(5)]
        other = service.submit(ViewRequest(str(stack), 7, 5, look=Look()), slot="b")
    finally:
        os.kill(helper, signal.SIGCONT)
    newest = sizes[-1].result(WAIT_S)
    assert isinstance(newest, View) and newest.cells.columns == 14
    assert isinstance(other.result(WAIT_S), View)
    for old in sizes[:-1]:
        with pytest.raises(SupersededError):
            old.result(WAIT_S)


def test_the_urgent_goes_first(stack: Path) -> None:
    service = PictureService()
    try:
        ask(service, ViewRequest(str(stack), 10, 5, look=Look()))
        helper = service.pid
        assert helper is not None
        order: list[str] = []
        os.kill(helper, signal.SIGSTOP)
        try:
            waiting = [
                service.submit(ViewRequest(str(stack), 10, 5, look=Look()), slot=slot, priority=priority)
                for slot, priority in (("held", 9), ("later", 0), ("soon", 1), ("now", 5))
            ]
            for name, future in zip(("held", "later", "soon", "now"), waiting, strict=True):
                future.add_done_callback(lambda _, name=name: order.append(name))
        finally:
            os.kill(helper, signal.SIGCONT)
        for future in waiting:
            future.result(WAIT_S)
        assert order == ["held", "now", "soon", "later"]
    finally:
        service.close()


def test_a_picture_that_kills_twice_is_given_up(stack: Path) -> None:
    service = PictureService(command=(sys.executable, "-c", "import sys; sys.stdin.readline()"))
    try:
        with pytest.raises(AstrotuiError, match=r"stack\.fits: the picture helper died; see .*pictures\.log"):
            ask(service, ViewRequest(str(stack), 10, 5))
    finally:
        service.close()


def test_a_picture_that_takes_too_long_is_given_up(stack: Path) -> None:
    service = PictureService(command=(sys.executable, "-c", "import time; time.sleep(600)"), timeout_s=0.2)
    try:
        with pytest.raises(AstrotuiError, match=r"longer than 0\.2 s"):
            ask(service, ViewRequest(str(stack), 10, 5))
    finally:
        service.close()


def test_a_helper_that_cannot_start_or_talks_nonsense(stack: Path) -> None:
    for command, words in (
        (("/nowhere/python",), "cannot be started"),
        ((sys.executable, "-c", "input(); print('hello')"), "nonsense"),
        ((sys.executable, "-c", 'input(); print(\'{"bytes": 0, "answer": {}}\')'), "nonsense"),
    ):
        service = PictureService(command=command)
        try:
            with pytest.raises(AstrotuiError, match=words):
                ask(service, ViewRequest(str(stack), 10, 5))
        finally:
            service.close()


def test_close_ends_everything_at_once(stack: Path) -> None:
    service = PictureService()
    ask(service, ViewRequest(str(stack), 10, 5, look=Look()))
    helper = service.pid
    assert helper is not None
    os.kill(helper, signal.SIGSTOP)
    waiting = [service.submit(ViewRequest(str(stack), 10, 5), slot=slot) for slot in "ab"]
    service.close()
    for future in waiting:
        with pytest.raises(SupersededError):
            future.result(WAIT_S)
    with pytest.raises(ProcessLookupError):
        os.kill(helper, 0)
    with pytest.raises(SupersededError):
        service.submit(ViewRequest(str(stack), 10, 5), slot="a").result(WAIT_S)
    PictureService().close()  # nothing was started


def test_a_reader_that_went_away_harms_nobody(service: PictureService, stack: Path) -> None:
    async def hurry() -> View:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.view(ViewRequest(str(stack), 9, 5, look=Look()), slot="a"), 0.0)
        return await service.view(ViewRequest(str(stack), 12, 5, look=Look()), slot="b")

    assert asyncio.run(hurry()).cells.columns == 12


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="watching a process by descriptor is Linux's")
def test_the_helper_ends_with_its_parent(stack: Path) -> None:
    code = (
        "import sys; from astrotui.rendering.service import *; s = PictureService();"
        f"s.submit(ViewRequest({str(stack)!r}, 10, 5), slot='a').result(60);"
        "print(s.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        helper = int(parent.stdout.readline())
        watch = os.pidfd_open(helper)
        try:
            parent.kill()
            assert select.select([watch], [], [], WAIT_S)[0], "the helper outlived its parent"
        finally:
            os.close(watch)


def test_the_client_loads_no_pixel_library() -> None:
    heavy = {
        "numpy",
        "PIL",
        "astropy",
        "numba",
        "scipy",
        "sep",
        "tifffile",
        "astroalign",
        "ccdproc",
        "skimage",
    }
    code = f"import sys, astrotui.rendering.service; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("flip", CHOICES["flip"])
@pytest.mark.parametrize("rotate", CHOICES["rotate"])
@pytest.mark.parametrize("bottom_up", [False, True])
def test_a_part_is_found_whichever_way_the_picture_is_turned(flip: str, rotate: int, bottom_up: bool) -> None:
    look = Look.from_dict({"flip": flip, "rotate": rotate})
    pixels = np.arange(30 * 50).reshape(30, 50)
    shown = orient(pixels, look, bottom_up=bottom_up)
    request = ViewRequest("", 8, 3, zoom=3, center_x=0.3, center_y=0.8)
    window = window_of(request, shown.shape[1], shown.shape[0])
    part = stored_part(window, 50, 30, look, bottom_up=bottom_up)
    wanted = shown[window.y : window.y + window.height, window.x : window.x + window.width]
    cut = pixels[part.y : part.y + part.height, part.x : part.x + part.width]
    np.testing.assert_array_equal(orient(cut, look, bottom_up=bottom_up), wanted)


def test_recent_forgets_what_was_used_longest_ago() -> None:
    recent: Recent[str] = Recent(2)
    for key in "abacb":
        recent.get(key, lambda key=key: key)
    made: list[str] = []
    recent.get("a", lambda: made.append("a") or "a")
    recent.get("b", lambda: made.append("b") or "b")
    assert made == ["a"]
