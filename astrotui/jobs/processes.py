"""The processes of a piece of work: marked, tied to the life of their supervisor, ended without a rest.

Every process of a job carries a mark in its environment, so that whoever takes the job up again finds and
ends what an earlier attempt left behind, forks included. The first process holds one end of a pipe whose
other end is its supervisor's; when the supervisor dies, the kernel kills the whole process group.
"""

import fcntl
import hashlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "ASTROTUI_WORK"
SPARE = "spare"  # mark of a process that was made before its job was known; see `hold_mark`
OWNER = "ASTROTUI_OWNER"  # the lease that the work writes under
_PROC = Path("/proc")
_F_SETSIG = 10  # Linux; the fcntl module has no name for it before Python 3.13


def mark(catalog: Path, job_id: int, attempt: int) -> str:
    """The value of `MARK` in the environment of the processes of one attempt at one job."""
    return f"{job_id}:{attempt}:{os.path.realpath(catalog)}"


def end_strays(catalog: Path, job_id: int, last_attempt: int, patience_s: float = 5.0) -> int:
    """Kill what is left of the attempts up to `last_attempt` at a job, and wait until it is gone.

    Returns the number of processes that were found. Where the system does not show the environment of
    processes, none is found, and the pipe to the supervisor alone has to end them.
    """
    found = list(marked(catalog, job_id, last_attempt))
    deadline = time.monotonic() + patience_s
    for _pid, handle in found:
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    for _pid, handle in found:
        select.select([handle], [], [], max(0.0, deadline - time.monotonic()))  # readable when it has ended
        os.close(handle)
    return len(found)


def marked(catalog: Path, job_id: int, last_attempt: int) -> Iterator[tuple[int, int]]:
    """Process id and handle of each living process that is marked as work on the job."""
    if not hasattr(os, "pidfd_open") or not _PROC.is_dir():
        return
    where = os.path.realpath(catalog)
    for folder in _PROC.iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            handle = os.pidfd_open(int(folder.name))
        except OSError:
            continue
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            environment = b""  # another user's, or gone
        if _is_of(environment, where, job_id, last_attempt) or (
            f"{MARK}={SPARE}".encode() in environment.split(b"\0")
            and any(_is_of(held, _short(where), job_id, last_attempt) for held in _held_marks(folder))
        ):
            yield int(folder.name), handle
        else:
            os.close(handle)


def hold_mark(marked_as: str) -> None:
    """Mark this process, and the forks it will have, after it began: by a file in memory that bears the mark.

    The environment that the system shows is that of the process's begin.
    """
    job, attempt, where = marked_as.split(":", 2)
    os.memfd_create(f"{MARK}={job}:{attempt}:{_short(where)}")  # stays open as long as the process lives


def _short(where: str) -> str:
    """A path as part of a short name."""
    return hashlib.sha256(os.fsencode(where)).hexdigest()[:32]


def _held_marks(process: Path) -> Iterator[bytes]:
    """What `hold_mark` left with a process, in the form of an environment."""
    try:
        handles = list((process / "fd").iterdir())
    except OSError:
        return  # another user's, or gone
    for handle in handles:
        with suppress(OSError):
            name = os.fsencode(handle.readlink())
            if name.startswith(b"/memfd:" + MARK.encode()):
                yield name.removeprefix(b"/memfd:").removesuffix(b" (deleted)")


def _is_of(environment: bytes, where: str, job_id: int, last_attempt: int) -> bool:
    prefix = f"{MARK}=".encode()
    for entry in environment.split(b"\0"):
        if entry.startswith(prefix):
            job, _, rest = os.fsdecode(entry.removeprefix(prefix)).partition(":")
            attempt, _, path = rest.partition(":")
            return (
                path == where and job == str(job_id) and attempt.isdecimal() and int(attempt) <= last_attempt
            )
    return False


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group; one that has no members left is fine."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
        return


def has_ended(pid: int) -> bool:
    """Whether a child process has ended; it stays uncollected, so that its group id is not used again."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def tie_to_supervisor(lifeline: int) -> None:
    """Let this process group die when the other end of the pipe `lifeline` is closed.

    To be called by the leader of the group, first of all. On Linux the kernel itself sends SIGKILL to the
    group (asynchronous I/O with a chosen signal): it needs no thread, so forks stay safe, and it works while
    compiled code holds the interpreter. Elsewhere a thread waits for the end of the pipe.
    """
    group = os.getpgrp()
    try:
        fcntl.fcntl(lifeline, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -group)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    except (OSError, AttributeError):
        threading.Thread(target=_die_with, args=(lifeline, group), daemon=True, name="lifeline").start()
        return
    if select.select([lifeline], [], [], 0)[0]:  # nothing is ever written: readable means closed
        os.killpg(group, signal.SIGKILL)


def _die_with(lifeline: int, group: int) -> None:
    os.read(lifeline, 1)
    os.killpg(group, signal.SIGKILL)
