"""What a command costs: wall time, peak memory of its whole process tree, bytes written."""

import os
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

MARK = "STACK_BENCHMARK_RUN"
PROC = Path("/proc")


@dataclass(frozen=True)
class Cost:
    """Wall seconds, peak of the summed PSS in bytes, bytes written, exit code, last lines of output."""

    wall_s: float
    peak_pss: int
    written: int
    code: int
    tail: str


class Tree:
    """The processes of one run, known by a variable in their environment, even when their parent is gone.

    Make it before the run starts: processes that are there already are not looked at.
    """

    def __init__(self, mark: str) -> None:
        self.mark = f"{MARK}={mark}".encode()
        self.peak = 0
        self.seen: dict[int, _Writes] = {}
        self._looks = 0
        self._foreign = {int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()}

    def poll(self) -> None:
        """Look once at every process of the run."""
        total = 0
        self._looks += 1
        for entry in PROC.iterdir():
            if not entry.name.isdigit():
                continue
            pid = int(entry.name)
            if pid in self._foreign:
                continue
            try:
                if pid not in self.seen and self.mark not in (entry / "environ").read_bytes():
                    continue  # look again: a process that is just being started has no environment yet
                total += _field((entry / "smaps_rollup").read_text(), "Pss:") * 1024
                io = (entry / "io").read_text()
                parent = _field((entry / "status").read_text(), "PPid:")
            except (OSError, ValueError):  # it ended between two reads, or is another user's
                continue
            if pid in self.seen:
                parent = self.seen[pid].parent  # the first: an orphan is another's later
            self.seen[pid] = _Writes(parent, self._looks, _field(io, "write_bytes:"), _field(io, "wchar:"))
        self.peak = max(self.peak, total)

    def written(self) -> tuple[int, int]:
        """Bytes sent to the disk, and bytes of system calls.

        The kernel adds what an ended child wrote to the parent that waited for it: that is taken off again, or each
        process between the writer and the command would count it once more.
        """
        disk = calls = 0
        for pid, own in self.seen.items():
            ended = [c for c in self.seen.values() if c.parent == pid and c.look < own.look]
            disk += max(0, own.disk - sum(child.disk for child in ended))
            calls += max(0, own.calls - sum(child.calls for child in ended))
        return disk, calls


@dataclass(frozen=True)
class _Writes:
    """What a process had written when it was last looked at."""

    parent: int
    look: int
    disk: int
    calls: int


def _field(text: str, name: str) -> int:
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise ValueError(name)


def measure(
    commands: list[list[str]], folder: Path, environment: dict[str, str] | None = None, every_s: float = 0.1
) -> Cost:
    """Run commands one after the other and measure them together; stops at the first that fails.

    Memory is the highest sum of PSS over all processes of a command (mapped files count). Bytes written are those
    sent to the disk as last seen before a process ended, or, where the folder is in memory, those of its system
    calls. Looking more often than `every_s` would cost the run itself: the kernel walks every page to sum PSS.
    """
    log = folder / "output.log"
    mark = uuid.uuid4().hex
    code, peak, written = 0, 0, 0
    began = time.perf_counter()
    with log.open("wb") as output:
        for command in commands:
            tree = Tree(mark)
            surroundings = {**os.environ, **(environment or {}), MARK: mark}
            process = subprocess.Popen(
                command, cwd=folder, env=surroundings, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            while process.poll() is None:
                tree.poll()
                time.sleep(every_s)
            code = process.returncode
            peak = max(peak, tree.peak)
            disk, calls = tree.written()
            written += disk or calls
            if code:
                break
    wall = time.perf_counter() - began
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
    return Cost(wall, peak, written, code, tail)


def warm(folder: Path) -> None:
    """Read every file below a folder, so that no run pays for the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 24):
                    pass
