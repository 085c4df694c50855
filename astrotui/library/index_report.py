"""What one run of indexing did, in counts."""

from dataclasses import dataclass, field

from astrotui.text import plural

_MOST = 20  # files or notes that people are told of


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

    def summary(self) -> str:
        """One line for people: what the roots hold, and what changed."""
        counts = (
            (self.new, "new"), (self.changed, "changed"), (self.moved, "moved"), (self.returned, "back"),
            (self.missing, "vanished"), (self.writing, "still being written, left for the next run"),
            (self.unchanged, "unchanged"),
        )  # fmt: skip
        changes = ", ".join(f"{count:,} {word}" for count, word in counts if count)
        broken = f" and {plural(self.quarantined, 'unusable file')}" if self.quarantined else ""
        return f"{plural(self.frames, 'frame')}{broken} in {', '.join(self.roots)}: {changes or 'no change'}"

    def doubts(self) -> list[str]:
        """Lines for people: files that cannot be used and why, then the notes but those of roots that were not read."""
        lines = []
        if self.quarantined:
            lines.append(f"{plural(self.quarantined, 'file')} quarantined, that is, not usable and left out:")
            lines += [f"  {problem['path']}: {problem['reason']}" for problem in self.problems[:_MOST]]
        if (more := len(self.problems) - _MOST) > 0:
            lines.append(f"  and {more:,} more; `astrotui index --json ROOT` lists all")
        notes = [text for text in self.notes if text not in self.unread]
        lines += notes[:_MOST]
        if (more := len(notes) - _MOST) > 0:
            lines.append(f"and {more:,} more notes; `astrotui index --json ROOT` lists all")
        return lines
