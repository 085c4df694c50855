"""Who holds a job: the identity of one process on one machine, and whether it still lives."""

import json
import os
import socket
import subprocess
import uuid
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from astrotui.errors import JobError

_PROC = Path("/proc")


@dataclass(frozen=True)
class Owner:
    """A process that takes jobs.

    Attributes
    ----------
    token : unique for every worker that ever ran; what a lease is held by
    host : name of the machine
    boot : the machine, its boot and its process namespace, as `machine/boot/namespace`
    pid : process id, meaningful within `boot` only
    start : start time of the process in the system's own words, because process ids are used again
    """

    token: str
    host: str
    boot: str
    pid: int
    start: str

    def to_json(self) -> str:
        """One line that `from_json` reads back."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Owner":
        """The owner that `to_json` wrote; raises `JobError` when the text is something else."""
        try:
            table = json.loads(text)
            token, host, boot, start = (str(table[key]) for key in ("token", "host", "boot", "start"))
            return cls(token, host, boot, int(table["pid"]), start)
        except (ValueError, KeyError, TypeError) as error:
            raise JobError(f"not the identity of a worker: {text[:80]!r}") from error


def this_process() -> Owner:
    """A new identity for the process that calls."""
    pid = os.getpid()
    return Owner(uuid.uuid4().hex, socket.gethostname(), boot_identity(), pid, process_start(pid) or "")


def is_dead(owner: Owner) -> bool:
    """True only when it is certain that the owner's process has ended.

    A process of another machine, or of another container on this one, cannot be seen from here: it counts
    as living until its lease runs out. A machine that has booted again since has no old processes.
    """
    here = boot_identity().split("/")
    there = owner.boot.split("/")
    if owner.host != socket.gethostname() or len(there) != len(here) or there[0] != here[0]:
        return False
    if there[1] != here[1]:
        return True
    if there[2] != here[2]:
        return False
    start = process_start(owner.pid)
    return start is None or (owner.start != "" and start not in ("", owner.start))


def is_alive(owner: Owner) -> bool:
    """Whether the owner may still be at work; see `is_dead`."""
    return not is_dead(owner)


def same_machine(owner: Owner) -> bool:
    """Whether the owner's processes can be seen, and ended, from here."""
    return owner.host == socket.gethostname() and owner.boot == boot_identity()


@cache
def boot_identity() -> str:
    """`machine/boot/namespace` of this process; parts that the system does not tell are empty."""
    machine = _line(Path("/etc/machine-id"))
    boot = _line(_PROC / "sys/kernel/random/boot_id") or _say("sysctl", "-n", "kern.boottime").replace(
        "/", "-"
    )
    try:
        namespace = (_PROC / "self/ns/pid").readlink().name
    except OSError:
        namespace = ""
    return f"{machine}/{boot}/{namespace}"


def process_start(pid: int) -> str | None:
    """When a process started, in clock ticks or in the words of `ps`; None: there is none, "": unknown.

    A process that has ended and only waits to be collected by its parent (a zombie) is no process.
    """
    if (_PROC / "self/stat").exists():
        try:
            text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        except OSError:
            return ""
        words = text[text.rfind(")") + 2 :].split()  # the name in parentheses may hold spaces and parentheses
        return None if words[0] in "ZX" else words[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    return _say("ps", "-o", "lstart=", "-p", str(pid))


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip().replace("/", "-")
    except OSError:
        return ""


def _say(*command: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
