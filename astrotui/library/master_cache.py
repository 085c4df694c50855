"""The cache of masters held to its size: what nobody used of late goes first."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

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
