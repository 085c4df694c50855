"""What one run of indexing did, in counts."""

from dataclasses import dataclass, field


@dataclass
class IndexReport:
    """Counts of one run of `index`.

    `frames` counts what the roots hold now, quarantined and missing files excluded; `writing` files changed while they
    were read and are left for the next run; `duplicates` are files of the whole library whose content another one has;
    `stacks` are results that were found at a new place; `unread` tells of roots that could not be looked at, such as disks
    that are not mounted (their frames stay as they were); `notes` of folders and files, those roots included.
    """

    roots: list[str] = field(default_factory=list)
    frames: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    moved: int = 0
    returned: int = 0
    missing: int = 0
    writing: int = 0
    quarantined: int = 0
    sessions: int = 0
    calibration_sets: int = 0
    duplicates: int = 0
    stacks: int = 0
    unread: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
