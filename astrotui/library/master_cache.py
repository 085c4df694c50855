"""The cache of masters held to its size: what nobody used of late goes first, and what a job reads stays."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astrotui.stacking.masters import MasterInfo

IN_USE = timedelta(days=1)  # a job that runs now may still read what it made or found


def hold_to_cap(folder: Path, cap_bytes: int) -> int:
    """Remove masters, least recently used first, until `folder` holds at most `cap_bytes`; returns how many went.

    Those used within the last day stay, whatever the cap. A cache that cannot be written is left as it is: whoever
    makes the next master will say so.
    """
    from astrotui.stacking.masters import list_masters, prune_masters

    young = datetime.now(UTC) - IN_USE
    keep = {info.digest for info in list_masters(folder) if info.last_used > young}
    try:
        return len(prune_masters(folder, cap_bytes, keep=keep))
    except OSError:
        return 0


def prune_by_hand(
    folder: Path, cap_bytes: int, busy_since: datetime | None
) -> "tuple[list[MasterInfo], list[MasterInfo]]":
    """Remove masters, least recently used first, until `folder` holds at most `cap_bytes`.

    Parameters
    ----------
    busy_since : when the oldest job that runs began, aware. What was used since then stays: whatever a job reads, it
        made or found after it began. None when no job runs.

    Returns
    -------
    tuple
        What was removed, and what stays for the jobs although the cap is smaller.
    """
    from astrotui.stacking.masters import list_masters, prune_masters

    found = list_masters(folder)
    used = [info for info in found if busy_since is not None and info.last_used >= busy_since]
    removed = prune_masters(folder, cap_bytes, keep={info.digest for info in used})
    left = sum(info.size for info in found) - sum(info.size for info in removed)
    return removed, used if left > cap_bytes else []
