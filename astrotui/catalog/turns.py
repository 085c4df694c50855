"""Writers take turns: they queue for a lock in the kernel instead of asking SQLite again and again.

SQLite's own waiting sleeps up to 0.1 s between two tries and can miss every gap that busy writers leave: a
decision made beside two indexers waited for seconds. The queue is a courtesy only. SQLite's lock alone keeps
writers apart, so whoever waited long enough, or cannot queue, goes on to that.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUEUE_SECONDS = 10.0


def lock_file(path: Path) -> Path:
    """The file that is locked for the catalogue at `path`.

    It is never removed: that would let two processes lock two files of one name.
    """
    return path.with_name(f"{path.name}.lock")


def open_lock(path: Path) -> int:
    """A descriptor of the catalogue's lock file; no program that is started inherits it."""
    return os.open(lock_file(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


@contextmanager
def turn(path: Path, seconds: float | None = None) -> Iterator[bool]:
    """Wait for this writer's turn, `QUEUE_SECONDS` at most; yields whether it came."""
    try:
        handle = open_lock(path)
    except OSError:
        handle = -1  # SQLite will say what is wrong with the folder, if it matters
    if handle < 0 or not _take(handle, QUEUE_SECONDS if seconds is None else seconds):
        yield False
        return
    try:
        yield True
    finally:
        _release(handle)


def _take(handle: int, seconds: float) -> bool:
    """Lock `handle`, or give it up and close it when its turn comes too late."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        pass
    waiter = _Waiter(handle)
    waiter.start()
    try:
        waiter.taken.wait(seconds)
    except BaseException:  # an interrupt from the keyboard, say
        if waiter.leave_queue():
            _release(handle)
        raise
    return waiter.leave_queue()


def _release(handle: int) -> None:
    # A process forked meanwhile holds the descriptor too: closing it here would not unlock.
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


class _Waiter(threading.Thread):
    """Blocks in the queue for one writer: a thread can be left behind, a blocked call cannot."""

    def __init__(self, handle: int) -> None:
        super().__init__(name="catalog-turn", daemon=True)
        self.handle = handle
        self.taken = threading.Event()
        self._left = False
        self._guard = threading.Lock()

    def run(self) -> None:
        fcntl.flock(self.handle, fcntl.LOCK_EX)
        with self._guard:
            self.taken.set()
            if self._left:
                _release(self.handle)

    def leave_queue(self) -> bool:
        """Whether the lock was taken; if not, it will be let go at once."""
        with self._guard:
            self._left = not self.taken.is_set()
            return not self._left
