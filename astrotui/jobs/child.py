"""The work process as its supervisor holds it: start it, hear it, end it with everything it started."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astrotui.jobs import kernels
from astrotui.jobs.owner import Owner
from astrotui.jobs.processes import MARK, OWNER, end_strays, has_ended, mark, signal_group
from astrotui.jobs.spare import Spare

KILL_AFTER_S = 0.7
_CHUNK = 65536
_MOST_READS = 32  # at a time: a flood of output must not keep the supervisor from its other duties
_MOST_PENDING = 4_000_000  # a line of more than this many bytes is cut off


@dataclass(frozen=True)
class Heard:
    """What came from the work since the last time: messages, and lines of its output."""

    messages: list[dict[str, Any]]
    lines: list[str]


class Child:
    """A running work process in a process group of its own.

    Parameters
    ----------
    command : begins the work, such as `[python, -m, astrotui.jobs.work]`; job and options are appended
    owner : holder of the lease that the work may write under
    wake : a descriptor that interrupts `listen` when it becomes readable
    spare : a work process that waits for its order; taken instead of starting one
    """

    def __init__(
        self,
        command: Sequence[str],
        catalog: Path,
        job_id: int,
        attempt: int,
        owner: Owner,
        *,
        options: Sequence[str] = (),
        wake: int | None = None,
        spare: Spare | None = None,
    ) -> None:
        self._place = (catalog, job_id, attempt)
        self._selector = selectors.DefaultSelector()
        self._pending = {"messages": b"", "lines": b""}
        arguments = [str(job_id), "--catalog", str(catalog), *options]
        surroundings = _environment(owner, mark(catalog, job_id, attempt))
        self._process: subprocess.Popen[bytes] | Spare
        if spare is not None and spare.begin(arguments, surroundings):
            self._process, told, heard, self._lifeline = spare, spare.told, spare.heard, spare.lifeline
        else:
            told, heard = self._start([*command, *arguments], {**os.environ, **surroundings})
        self._pipes = {told: "messages", heard: "lines"}
        for descriptor, name in self._pipes.items():
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, name)
        if wake is not None:
            self._selector.register(wake, selectors.EVENT_READ, "wake")
        self._handle: int | None = None
        with contextlib.suppress(
            OSError, AttributeError
        ):  # only Linux has it; elsewhere the next tick sees the end
            self._handle = os.pidfd_open(self._process.pid)
            self._selector.register(self._handle, selectors.EVENT_READ, "end")

    def _start(self, command: Sequence[str], environment: dict[str, str]) -> tuple[int, int]:
        """Start a process; returns the descriptors of its messages and of its output."""
        told, tell = os.pipe()
        held, self._lifeline = os.pipe()
        heard, say = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*command, "--messages", str(tell), "--lifeline", str(held)],
                stdin=subprocess.DEVNULL,
                stdout=say,
                stderr=say,
                pass_fds=(tell, held),
                process_group=0,
                env=environment,
            )
        except BaseException:
            for descriptor in (told, heard, self._lifeline):
                os.close(descriptor)
            self._selector.close()
            raise
        finally:
            for descriptor in (tell, held, say):
                os.close(descriptor)
        return told, heard

    @property
    def pid(self) -> int:
        """Process id of the leader, and id of its group."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the leader has ended, by itself or not."""
        return self._process.returncode is not None or has_ended(self.pid)

    def listen(self, timeout_s: float) -> Heard:
        """What the work says, waiting at most `timeout_s` for it, for its end or for a wake-up."""
        heard = Heard([], [])
        for key, _ in self._selector.select(timeout_s):
            if key.data in self._pending:
                self._read(key.fd, key.data, heard)
        return heard

    def end(self, patience_s: float = KILL_AFTER_S) -> tuple[int, Heard]:
        """End the work: ask its group to, kill what is left of it, and collect it.

        Returns the exit code of the leader (negative: the signal that ended it) and what it said last.
        To be called for work that ended by itself, too: it may have left processes.
        """
        heard = Heard([], [])
        deadline = time.monotonic() + patience_s
        if not self.has_ended and patience_s > 0:
            signal_group(self.pid, signal.SIGTERM)
            signal_group(self.pid, signal.SIGCONT)  # a stopped process could not obey
        while not self.has_ended and (left := deadline - time.monotonic()) > 0:
            more = self._listen_pipes(min(left, 0.05))
            heard.messages.extend(more.messages)
            heard.lines.extend(more.lines)
        signal_group(self.pid, signal.SIGKILL)  # the leader is uncollected, so the group is still this one
        code = self._process.wait()
        end_strays(*self._place)
        for descriptor, name in self._pipes.items():
            self._read(descriptor, name, heard)
        self._close()
        return code, heard

    def _listen_pipes(self, timeout_s: float) -> Heard:
        with contextlib.ExitStack() as stack:
            for key in list(self._selector.get_map().values()):
                if key.data == "wake":  # it stays readable until its owner has read it
                    self._selector.unregister(key.fileobj)
                    stack.callback(self._selector.register, key.fileobj, key.events, key.data)
            return self.listen(timeout_s)

    def _read(self, descriptor: int, name: str, heard: Heard) -> None:
        """Take what is in a pipe; whole lines go into `heard`."""
        for _ in range(_MOST_READS):
            try:
                data = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(descriptor)
                data = b"\n" if self._pending[name] else b""
                if not data:
                    return
            *lines, rest = (self._pending[name] + data).split(b"\n")
            self._pending[name] = rest[:_MOST_PENDING]
            for line in lines:
                _sort(line, name, heard)

    def _close(self) -> None:
        self._selector.close()
        for descriptor in (*self._pipes, self._lifeline, self._handle):
            if descriptor is not None:
                os.close(descriptor)


def _sort(line: bytes, name: str, heard: Heard) -> None:
    if name == "lines":
        heard.lines.append(line.decode(errors="replace"))
        return
    with contextlib.suppress(ValueError):  # a line that a kill cut short
        message = json.loads(line)
        if isinstance(message, dict):
            heard.messages.append(message)


def _environment(owner: Owner, marked: str) -> dict[str, str]:
    """What a work process has in its environment beside what the worker has."""
    cache = os.environ.get("NUMBA_CACHE_DIR") or str(kernels.use())  # else numba writes beside the package
    return {OWNER: owner.to_json(), MARK: marked, "PYTHONUNBUFFERED": "1", "NUMBA_CACHE_DIR": cache}
