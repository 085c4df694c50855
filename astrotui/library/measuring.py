"""Frames on their way through measuring processes: pixels read, measured, and looked at by whoever keeps pictures."""

import ctypes
import gc
import logging
import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrotui.errors import FrameError
from astrotui.text import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from astrotui.imaging.quality import FrameMeasurement

_LOG = logging.getLogger(__name__)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
# Quarantined for what the disk or a permission said, not for the file's content: tried again each time.
NOT_READ = "cannot be read: "

Keep = Callable[[Path, "NDArray[Any]", str | None], None]
"""What is done with a frame's pixels while they are at hand: its path, pixels, and pattern at (0, 0)."""


@dataclass(frozen=True)
class Task:
    """One frame to be measured: where it is, and what the catalogue knows of it."""

    frame_id: int
    path: str
    hdu: int
    size: int
    width: int | None
    height: int | None
    cfa_phase: str | None
    full_scale_adu: float | None
    content_id: str | None


@dataclass(frozen=True)
class Answer:
    """What a measuring process sends back: a measurement, a reason for quarantine, or both for an empty frame.

    `later` says why the frame was left for another time.
    """

    task: Task
    measurement: "FrameMeasurement | None"
    quarantine: str | None = None
    later: str | None = None
    sample: str | None = None  # of the file that was measured


# The dark of the session being measured, its planes by pattern, and what to do with pixels; forked children inherit it.
_shared: dict[str, Any] = {}
# Kinds of frames that were measured in this process, mono or not and with a dark or not: their kernels are here.
_compiled: set[tuple[bool, bool]] = set()


def _share(dark: "NDArray[np.float32] | None", keep: Keep | None) -> None:
    planes = _shared["planes"] if _shared.get("dark") is dark and "planes" in _shared else {}
    _shared.update(dark=dark, keep=keep, planes=planes)


def _dark_for(shape: tuple[int, ...], cfa: str | None) -> "dict[str, NDArray[np.float32] | None]":
    """The dark and its plane for frames (..., H, W), as `measure_frame` takes them; none of another size."""
    from astrotui.imaging.stars import make_plane

    dark = _shared.get("dark")
    if dark is None or dark.shape != shape[-2:]:
        return {"dark": None}
    pattern = None if len(shape) == 3 else cfa
    if pattern not in _shared["planes"]:
        _shared["planes"][pattern] = make_plane(dark, pattern)[0]
    return {"dark": dark, "dark_plane": _shared["planes"][pattern]}


def _begin(dark: "NDArray[np.float32] | None", keep: Keep | None) -> None:
    """Set up a measuring process: it lives for one session and makes the same large arrays again and again."""
    _share(dark, keep)
    gc.freeze()
    gc.disable()  # nothing here makes circles, and looking for them takes a tenth of the time
    if sys.platform == "linux":
        # Freed pages stay: getting them again, zeroed, takes a fourth of the time. Elsewhere than in glibc it is not there.
        with suppress(AttributeError, OSError):
            keep_pages = ctypes.CDLL(None).mallopt
            for parameter in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
                keep_pages(parameter, 1 << 30)


def _measure_one(task: Task) -> Answer:
    from astrotui.frames.pixels import open_frame
    from astrotui.frames.sample import sample_digest
    from astrotui.imaging.quality import measure_frame

    try:
        size = Path(task.path).stat().st_size
        if size != task.size:
            return Answer(
                task, None, later=f"changed since it was indexed: {size:,} bytes, not {task.size:,}"
            )
        with open_frame(task.path, task.hdu) as reader:
            if task.width and task.height and (reader.width, reader.height) != (task.width, task.height):
                size_now = f"{reader.width}x{reader.height}, not {task.width}x{task.height}"
                return Answer(task, None, later=f"changed since it was indexed: {size_now} pixels")
            sample = sample_digest(task.path)
            raw = reader.read(0, reader.height)
    except (FileNotFoundError, NotADirectoryError):
        return Answer(task, None, later="the file is gone")
    except FrameError as error:
        return Answer(task, None, clean(error.reason, 300))
    except OSError as error:
        return Answer(task, None, clean(f"{NOT_READ}{error.strerror or error}", 300))
    try:
        found = measure_frame(
            raw,
            cfa_phase=task.cfa_phase,
            full_scale_adu=task.full_scale_adu,
            overwrite=True,
            list_saturated=False,
            **_dark_for(raw.shape, task.cfa_phase),
        )
        if (keep := _shared.get("keep")) is not None:
            keep(Path(task.path), raw, task.cfa_phase)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - sep raises bare Exception; one odd frame must not end a night's work
        _LOG.exception("%s: not measured", clean(task.path, 400))
        return Answer(task, None, clean(f"cannot be measured: {error}", 300))
    blank = found.problem if found.problem is not None and _is_blank(raw) else None
    return Answer(task, found, blank, sample=sample)


def _is_blank(raw: "NDArray[Any]") -> bool:
    """Whether there is nothing in an image: one value throughout, or none that is valid."""
    import numpy as np

    if raw.dtype.kind in "iu":
        return bool(raw.min() == raw.max())
    finite = raw[np.isfinite(raw)]
    return finite.size == 0 or bool(finite.min() == finite.max())


def measure_all(
    tasks: Sequence[Task],
    dark: Path | None,
    keep: Keep | None,
    workers: int,
    compiling: Callable[[], None] = lambda: None,
) -> Iterator[Answer]:
    """Measure frames in as many processes as there are processors, or `workers`; answers come as they are ready.

    `compiling` is called before a first frame, whose kernels may have to be compiled.
    """
    if not tasks:
        return
    from astrotui.imaging.compiler import load_compiler

    load_compiler()
    pixels = None
    if dark is not None:
        from astrotui.frames.pixels import read_image

        try:
            pixels = read_image(dark)
        except (FrameError, OSError) as error:
            _LOG.warning("measuring without the master dark: %s", clean(error, 300))
    count = min(workers or len(os.sched_getaffinity(0)), len(tasks))
    _share(pixels, keep)
    left = deque(tasks)
    if (kind := (tasks[0].cfa_phase is None, pixels is None)) not in _compiled:
        # The first frame is measured here: it compiles the kernels once, and forked children inherit them.
        compiling()
        _compiled.add(kind)
        yield _measure_one(left.popleft())
    if count < 2 or len(tasks) < 4:
        for task in left:
            _share(pixels, keep)  # another session may have been slipped in
            yield _measure_one(task)
        return
    while left:
        running: dict[Future[Answer], Task] = {}
        try:
            with _pool(count, pixels, keep) as pool:
                while left or running:
                    while left and len(running) < 3 * count:  # bounded: star lists do not pile up
                        task = left.popleft()
                        running[pool.submit(_measure_one, task)] = task
                    for finished in wait(running, return_when=FIRST_COMPLETED).done:
                        answer = finished.result()
                        del running[finished]
                        yield answer
        except BrokenProcessPool:
            # A process was killed, by want of memory or by a frame: each suspect gets a process of its own.
            yield from (_measure_alone(task, pixels, keep) for task in running.values())


def _pool(count: int, dark: "NDArray[np.float32] | None", keep: Keep | None) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        count, mp_context=multiprocessing.get_context("fork"), initializer=_begin, initargs=(dark, keep)
    )


def _measure_alone(task: Task, dark: "NDArray[np.float32] | None", keep: Keep | None) -> Answer:
    try:
        with _pool(1, dark, keep) as pool:
            return pool.submit(_measure_one, task).result()
    except BrokenProcessPool:
        return Answer(task, None, "cannot be measured: it ends the process that tries")
