"""A work process made ahead: while the worker opens the catalogue and claims a job, it loads what jobs need.

It is a fork of the worker from before it opened anything, so that it has the worker's libraries without reading
them again. It waits for one order, does that job like any work process, and never a second one.
"""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from astrotui.jobs import kernels
from astrotui.jobs.processes import MARK, SPARE, hold_mark, tie_to_supervisor

_LONGEST = 1 << 20  # bytes of an order

# What each kind of job imports sooner or later: compiled libraries above all.
_LOADS: dict[str, tuple[str, ...]] = {
    "index": ("astrotui.jobs.tasks", "astrotui.library.index"),
    "measure": (
        "astrotui.jobs.tasks",
        "astrotui.library.measure",
        "astrotui.imaging.quality",
        "sep",
        "numba",
    ),
    "stack": (
        "astrotui.jobs.tasks",
        "astrotui.library.measure",
        "astrotui.library.planning",
        "astrotui.stacking.usable",
        "astrotui.imaging.master_kernels",
        "sep",
    ),
}


class Spare:
    """The worker's side of a work process that waits for its order.

    Attributes
    ----------
    pid : of the process, which leads a group of its own
    told, heard : descriptors of what it says: messages, and lines of output
    lifeline : descriptor whose closing ends it
    returncode : None until `wait` collected it
    """

    def __init__(self, pid: int, order: int, told: int, heard: int, lifeline: int) -> None:
        self.pid = pid
        self.told = told
        self.heard = heard
        self.lifeline = lifeline
        self.returncode: int | None = None
        self._order = order

    def begin(self, arguments: Sequence[str], environment: dict[str, str]) -> bool:
        """Give it its order: the arguments of `jobs.work` and what to add to its environment; False if it is gone."""
        line = json.dumps({"arguments": list(arguments), "environment": environment}).encode() + b"\n"
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._order, rest) :]
        except OSError:
            return False
        finally:
            os.close(self._order)
        return True

    def wait(self) -> int:
        """Collect it once it has ended; the exit code, negative for the signal that ended it."""
        if self.returncode is None:
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def make_spare(kind: str) -> Spare | None:
    """Fork a work process that loads what jobs of `kind` need; None where that cannot be done safely.

    To be called by a worker before it starts threads, opens files or takes signals. The environment has to have
    the mark `SPARE` since the process began: only so are its children found should it die.
    """
    if not sys.platform.startswith("linux") or os.environ.get(MARK) != SPARE:
        return None
    pipes = [os.pipe() for _ in range(4)]
    (order, give), (told, tell), (heard, say), (held, lifeline) = pipes
    try:
        pid = os.fork()
    except OSError:
        for descriptor in (d for pipe in pipes for d in pipe):
            os.close(descriptor)
        return None
    if pid == 0:
        for descriptor in (give, told, heard, lifeline):
            os.close(descriptor)
        code = 1
        try:
            code = _wait_and_work(kind, order, tell, say, held)
        finally:
            os._exit(code)  # never back into the worker's code
    for descriptor in (order, tell, say, held):
        os.close(descriptor)
    with suppress(OSError):  # the fork does it, too: whoever is first
        os.setpgid(pid, pid)
    return Spare(pid, give, told, heard, lifeline)


def _wait_and_work(kind: str, order: int, tell: int, say: int, held: int) -> int:
    """The life of the fork: load, wait, work; returns its exit code."""
    with suppress(OSError):
        os.setpgid(0, 0)
    tie_to_supervisor(held)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, standard in ((nothing, 0), (say, 1), (say, 2)):
        os.dup2(descriptor, standard)
    for descriptor in (nothing, say):
        os.close(descriptor)
    os.environ.setdefault("NUMBA_CACHE_DIR", str(kernels.use()))
    for name in _LOADS.get(kind, _LOADS["index"]):
        import_module(name)
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST:
        part = os.read(order, 65536)
        if not part:
            return 0  # there was nothing to do
        line += part
    os.close(order)
    told = json.loads(line)
    os.environ.update(told["environment"])
    hold_mark(os.environ[MARK])
    from astrotui.jobs.work import run_and_say

    return run_and_say([*told["arguments"], "--messages", str(tell), "--lifeline", str(held)])
