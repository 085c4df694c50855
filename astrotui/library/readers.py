"""Reads many headers: in this process, or in helper processes when there is enough to do.

Parsing holds the interpreter, so threads do not help; a helper is this module run as a program, which answers
batches on its standard input until that closes. So helpers end with the process that started them, however that
ends, and nothing has to be forked.
"""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC
from functools import lru_cache, partial
from itertools import islice
from operator import attrgetter
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, NamedTuple

from astrotui.errors import FrameError
from astrotui.frames.identify import content_id, read_metadata
from astrotui.frames.model import FrameMetadata
from astrotui.text import clean

BATCH = 200  # files a helper reads before it answers
MANY = 1500  # new files from which on helpers are worth their start of a tenth of a second
MOST_HELPERS = 4
_IO_THREADS = 8
_RECENT_S = 60.0

FACTS = (
    "frame_type is_master stack_count width height planes bitpix cfa cfa_phase full_scale_adu device camera target "
    "date_obs night sequence exposure_s gain offset readout_mode temperature_c binning filter focal_mm pixel_um ra_deg "
    "dec_deg rotator_deg roi_x roi_y calstat device_rejected hdu header_digest warnings content_id"
).split()
_ATTRIBUTES = attrgetter(*FACTS[:-1])  # the last is the identity
_TYPE, _DATE, _WARNINGS = (FACTS.index(name) for name in ("frame_type", "date_obs", "warnings"))


class Fresh(NamedTuple):
    """A file to read: its path below the root, size and time as they were found."""

    relative: str
    size: int
    mtime_ns: int


class ReadFile(NamedTuple):
    """What reading one file gave.

    Attributes
    ----------
    relative, size, mtime_ns : of the file as it was found
    facts : values in the order of `FACTS`; None for a file that cannot be used
    reason : why it cannot, one clean line
    settled : the file did not change meanwhile
    """

    relative: str
    size: int
    mtime_ns: int
    facts: tuple[Any, ...] | None
    reason: str | None
    settled: bool


def read_all(root: Path, files: Iterable[Fresh], total: int) -> Generator[ReadFile, None, None]:
    """Read files below `root`, in their order; `total` tells how many: helpers are started for many only."""
    batches = _batches(iter(files), BATCH)
    if total < MANY:
        local = _Local()
        for batch in batches:
            yield from local(str(root), batch)
        return
    with closing(_Helpers(min(MOST_HELPERS, len(os.sched_getaffinity(0))))) as helpers:
        yield from helpers.map(str(root), batches)


def read_one(root: str, file: Fresh) -> ReadFile:
    """Read one file; never raises."""
    name = f"{root}/{file.relative}"
    facts, reason = None, None
    try:
        facts = _facts(file.size, read_metadata(Path(name), relative=file.relative))
    except FrameError as error:
        reason = clean(error.reason, 300)
    except OSError as error:
        reason = clean(f"cannot be read: {error.strerror or error}", 300)
    try:
        now = os.stat(name)  # noqa: PTH116 - strings are faster, once a frame
        settled = (now.st_size, now.st_mtime_ns) == (file.size, file.mtime_ns)
    except OSError:
        settled = False  # it vanished while it was read
    if reason is not None and abs(time.time() - file.mtime_ns / 1e9) < _RECENT_S:
        reason += " (perhaps it is still being written)"
    return ReadFile(file.relative, file.size, file.mtime_ns, facts, reason, settled)


def _facts(size: int, metadata: FrameMetadata) -> tuple[Any, ...]:
    identity = content_id(size, metadata.date_obs, metadata.header_digest)
    facts = [*_ATTRIBUTES(metadata), identity]
    facts[_TYPE] = str(metadata.frame_type)
    facts[_DATE] = metadata.date_obs.astimezone(UTC) if metadata.date_obs is not None else None
    facts[_WARNINGS] = list(_cleaned(metadata.warnings))
    return tuple(facts)


@lru_cache(maxsize=256)
def _cleaned(warnings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(clean(warning, 300) for warning in warnings)


class _Local:
    """Reads batches in this process; on a disk that keeps it waiting, several files at a time."""

    def __init__(self) -> None:
        self._waits = False

    def __call__(self, root: str, batch: Sequence[Fresh]) -> list[ReadFile]:
        if self._waits:
            with ThreadPoolExecutor(_IO_THREADS) as pool:
                return list(pool.map(partial(read_one, root), batch))
        wall, work = time.perf_counter(), time.thread_time()
        found = [read_one(root, file) for file in batch]
        wall, work = time.perf_counter() - wall, time.thread_time() - work
        self._waits = wall > 4 * work + 0.05
        return found


class _Helpers:
    """Helper processes that read batches."""

    def __init__(self, count: int) -> None:
        self._free: SimpleQueue[_Helper] = SimpleQueue()
        self._all = [_Helper() for _ in range(count)]
        for helper in self._all:
            self._free.put(helper)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="reader")

    def map(self, root: str, batches: Iterable[list[Fresh]]) -> Iterator[ReadFile]:
        """Results in the order of `batches`; a few batches are on their way at any time."""
        waiting: deque[Future[list[ReadFile]]] = deque()
        for batch in batches:
            waiting.append(self._pool.submit(self._read, root, batch))
            if len(waiting) > 2 * len(self._all):
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _read(self, root: str, batch: list[Fresh]) -> list[ReadFile]:
        helper = self._free.get()
        try:
            return helper.read(root, batch)
        finally:
            self._free.put(helper)

    def close(self) -> None:
        for helper in self._all:
            helper.close()
        self._pool.shutdown(wait=True, cancel_futures=True)


class _Helper:
    """One helper process. Should it die, batches are read here instead."""

    def __init__(self) -> None:
        self._local = _Local()
        self._closed = False
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "astrotui.library.readers"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError:
            return  # no process to be had: this one reads

    def read(self, root: str, batch: list[Fresh]) -> list[ReadFile]:
        process = self._process
        if process is not None and process.stdin is not None and process.stdout is not None:
            try:
                pickle.dump((root, [tuple(file) for file in batch]), process.stdin, protocol=5)
                process.stdin.flush()
                return [ReadFile._make(row) for row in pickle.load(process.stdout)]
            except (OSError, EOFError, ValueError, pickle.PickleError):
                self._end()
        return [] if self._closed else self._local(root, batch)

    def close(self) -> None:
        self._closed = True
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # it writes nothing that could be left half done
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was not sent is not wanted any more
                    stream.close()


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    local = _Local()
    while True:
        try:
            root, files = pickle.load(requests)
        except EOFError:
            return
        found = local(root, [Fresh._make(row) for row in files])
        pickle.dump([tuple(one) for one in found], answers, protocol=5)
        answers.flush()


def _batches(items: Iterator[Fresh], size: int) -> Iterator[list[Fresh]]:
    while batch := list(islice(items, size)):
        yield batch


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever reads the answers decides
    _serve(sys.stdin.buffer, sys.stdout.buffer)
