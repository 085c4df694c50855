"""Reads many headers: in this process, or in helper processes when there is enough to do.

Parsing holds the interpreter, so threads do not help; a helper is this module run as a program, which answers
batches on its standard input until that closes. So helpers end with the process that started them, however that
ends, and nothing has to be forked.
"""

import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC
from functools import lru_cache, partial
from itertools import islice
from operator import attrgetter
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any, NamedTuple

from astrotui.errors import FrameError
from astrotui.frames.identify import content_id, read_metadata
from astrotui.frames.model import FrameMetadata
from astrotui.text import clean

BATCH = 200  # files a helper reads before it answers
AHEAD = 8  # batches that a helper has before it: as many as it reads while two transactions are written
MANY = 1500  # new files from which on helpers are worth their start of a tenth of a second
MOST_HELPERS = 4
_IO_THREADS = 8
_PIPE_BYTES = 1 << 20  # of an answer, 70 kB are usual
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
        wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_THREAD)
        found = [read_one(root, file) for file in batch]
        wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_THREAD)
        work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        # A busy machine keeps it waiting, too, but does not have it ask for that.
        gave_way = after.ru_nvcsw - before.ru_nvcsw
        self._waits = wall > 4 * work + 0.05 and 2 * gave_way > len(batch)
        return found


class _Helpers:
    """Helper processes that read batches."""

    def __init__(self, count: int) -> None:
        self._all = [_Helper() for _ in range(count)]

    def map(self, root: str, batches: Iterable[list[Fresh]]) -> Iterator[ReadFile]:
        """Results in the order of `batches`; enough are on their way that nobody waits while others are written."""
        waiting: deque[_Helper] = deque()
        for batch in batches:
            helper = min(self._all, key=_Helper.waiting)
            helper.send(root, batch)
            waiting.append(helper)
            if len(waiting) >= AHEAD * len(self._all):
                yield from waiting.popleft().receive(root)
        while waiting:
            yield from waiting.popleft().receive(root)

    def close(self) -> None:
        for helper in self._all:
            helper.close()


class _Helper:
    """One helper process. Should it die, batches are read here instead.

    A thread takes its answers as they come, as bytes: a helper never waits for the one who asked it, who never
    waits for the interpreter's lock.
    """

    def __init__(self) -> None:
        self._local = _Local()
        self._asked: deque[list[Fresh]] = deque()
        self._answers: SimpleQueue[bytes | None] = SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "astrotui.library.readers"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pipesize=_PIPE_BYTES,
            )  # fmt: skip
        except OSError:
            return  # no process to be had: this one reads
        assert process.stdin is not None and process.stdout is not None
        self._process, self._requests = process, process.stdin
        self._thread = Thread(target=self._collect, args=(process.stdout,), name="reader", daemon=True)
        self._thread.start()

    def waiting(self) -> int:
        """Batches that it was sent and that nobody received yet."""
        return len(self._asked)

    def send(self, root: str, batch: list[Fresh]) -> None:
        """Have a batch read."""
        self._asked.append(batch)
        if self._process is not None:
            try:
                _put(self._requests, (root, [tuple(file) for file in batch]))
            except OSError:
                self.close()

    def receive(self, root: str) -> list[ReadFile]:
        """What the oldest batch that was sent gave."""
        batch = self._asked.popleft()
        answer = self._answers.get() if self._process is not None else None
        if answer is None:
            self.close()
            return self._local(root, batch)
        return [ReadFile._make(row) for row in pickle.loads(answer)]

    def _collect(self, answers: IO[bytes]) -> None:
        with answers, suppress(OSError):
            while answer := _get(answers):
                self._answers.put(answer)
        self._answers.put(None)

    def close(self) -> None:
        """End the process; what it was sent and did not answer is read here."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # it writes nothing that could be left half done
        process.wait()
        self._thread.join()
        with suppress(OSError):  # what was not sent is not wanted any more
            self._requests.close()


def _put(stream: IO[bytes], value: Any) -> None:
    """Send a value, its length first."""
    data = pickle.dumps(value, protocol=5)
    stream.write(len(data).to_bytes(8, "big") + data)
    stream.flush()


def _get(stream: IO[bytes]) -> bytes:
    """A value as it was sent; nothing at the end of the stream."""
    length = int.from_bytes(stream.read(8), "big")
    data = stream.read(length)
    return data if len(data) == length else b""


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    local = _Local()
    while request := _get(requests):
        root, files = pickle.loads(request)
        _put(answers, [tuple(one) for one in local(root, [Fresh._make(row) for row in files])])


def _batches(items: Iterator[Fresh], size: int) -> Iterator[list[Fresh]]:
    while batch := list(islice(items, size)):
        yield batch


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever reads the answers decides
    _serve(sys.stdin.buffer, sys.stdout.buffer)
