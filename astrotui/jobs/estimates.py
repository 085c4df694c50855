"""Is there enough disk and memory for a job? Asked before it starts, so that it does not fail hours later."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from astrotui.errors import JobError
from astrotui.text import size

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog
    from astrotui.library.requests import StackRequest

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def check_disk(folder: Path, need_bytes: int, *, what: str = "the result") -> None:
    """Raise `JobError` when the disk of `folder` (or of where it will be made) has less than `need_bytes` free."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        raise JobError(f"{folder}: {error.strerror}") from error
    if free < need_bytes:
        raise JobError(
            f"{folder}: {what} needs {size(need_bytes)} and {size(free)} are free there;"
            f" {size(need_bytes - free)} are missing"
        )


def check_memory(need_bytes: int, *, what: str = "this job") -> None:
    """Raise `JobError` when less than `need_bytes` of memory can be had; unknown counts as enough."""
    free = free_memory()
    if free is not None and free < need_bytes:
        raise JobError(
            f"{what} needs {size(need_bytes)} of memory and {size(free)} are free;"
            f" {size(need_bytes - free)} are missing (--memory sets a smaller budget)"
        )


def check_room(catalog: "Catalog", request: "StackRequest") -> None:
    """Refuse now a stack that cannot end well: too little disk for the result, too little memory for the budget.

    Raises
    ------
    JobError
        With what is needed and what there is.
    """
    from sqlalchemy import func, select

    from astrotui.catalog.models import Session

    with catalog.read() as db:
        pixels, colored = db.execute(
            select(func.max(Session.width * Session.height), func.count(Session.cfa)).where(
                Session.id.in_(request.sessions)
            )
        ).one()
    planes = 3 if colored else 1
    # The result with its maps, the masters, and a third more for a field that grows with `union`.
    finer = request.recipe.drizzle or 1.0
    maps = 6 if request.recipe.drizzle is None else 10
    result = (4 * planes + maps) * finer**2 * (1.33 if request.recipe.frame == "union" else 1.0)
    need = int(pixels * (result + 2 + 3 * 4))
    folder = Path(request.output).parent if request.output else Path(request.folder)
    check_disk(folder, need)
    check_memory(
        min(request.memory, int(pixels * planes * 4 * len(request.frames)) + 300_000_000), what="this stack"
    )


def free_memory(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """Bytes that this process could still use without swapping; None when the system does not tell.

    The smaller of what the machine has available and what is left under the limits of the control groups
    that the process is in (containers, systemd services).
    """
    available = _meminfo(proc / "meminfo")
    left = [room for room in _group_rooms(proc, cgroups) if room is not None]
    known = [value for value in (available, *left) if value is not None]
    return min(known) if known else None


def _meminfo(path: Path) -> int | None:
    try:
        for line in path.read_text(encoding="ascii").splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                return int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        return _sysconf()
    return None


def _sysconf() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _group_rooms(proc: Path, cgroups: Path) -> list[int | None]:
    """What is left under the limit of each control group from the process's own up to the root."""
    try:
        entries = (proc / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    rooms: list[int | None] = []
    for entry in entries:
        _, _, rest = entry.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            top, names = cgroups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = cgroups / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            rooms.append(_room(top.joinpath(*parts[:depth]), *names))
    return rooms


def _room(group: Path, limit_name: str, usage_name: str, cache_name: str) -> int | None:
    try:
        limit = int((group / limit_name).read_text(encoding="ascii"))  # "max" is no number: no limit
        used = int((group / usage_name).read_text(encoding="ascii"))
        statistics = (group / "memory.stat").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    cache = 0
    for line in statistics.splitlines():
        name, _, value = line.partition(" ")
        if name == cache_name and value.isdecimal():
            cache = int(value)  # pages of files that the kernel gives up when asked
    return max(0, limit - used + cache)
