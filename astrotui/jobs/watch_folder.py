"""What changed in folders since the last look, by the size and time of their files; files in flux are told apart."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from astrotui.frames.scan import FoundFile, scan

_OLD_S = 10.0  # a file that nobody has touched for so long is not being written, whoever sees it first
Facts = tuple[int, int]
"""Size and time of the last change, in nanoseconds."""


@dataclass(frozen=True)
class Look:
    """What a look at the folders saw.

    Attributes
    ----------
    settled : files that nobody writes any more, with their facts
    writing : files that changed a moment ago
    fresh : how many settled files the catalogue has not been told of, as they are now, or that are gone
    news : something came, settled or went since the look before
    absent : folders that are not there
    """

    settled: Mapping[str, Facts]
    writing: frozenset[str]
    fresh: int
    news: bool
    absent: tuple[Path, ...]


class Folders:
    """Looks at folders again and again.

    A file is settled when its size and time have been the same for `settle_s`. Events of the file system are not
    used: network disks have none.

    Parameters
    ----------
    own : paths that are this watch's own results
    clock : seconds that only grow; `now` those of the files' times
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        settle_s: float = 2.0,
        own: Callable[[], frozenset[str]] = frozenset,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folders = folders
        self._settle_s = settle_s
        self._own = own
        self._clock = clock
        self._now = now
        self._since: dict[str, tuple[Facts, float]] = {}  # when a file was first seen as it is
        self._told: Mapping[str, Facts] = {}
        self._last: Mapping[str, Facts] = {}

    def look(self) -> Look:
        """See what is there now."""
        at, now_ns, own = self._clock(), int(self._now() * 1e9), self._own()
        since: dict[str, tuple[Facts, float]] = {}
        absent = []
        for folder in self._folders:
            if not folder.is_dir():
                # A disk that is away has lost nothing.
                absent.append(folder)
                held = f"{folder}/"
                since |= {path: known for path, known in self._since.items() if path.startswith(held)}
                continue
            for found in scan(folder):
                if not isinstance(found, FoundFile) or found.place in own:
                    continue
                facts = (found.size, found.mtime_ns)
                known = self._since.get(found.place)
                if known is not None and known[0] == facts:
                    since[found.place] = known
                elif now_ns - found.mtime_ns > (self._settle_s + _OLD_S) * 1e9:
                    since[found.place] = (facts, at - self._settle_s)
                else:
                    since[found.place] = (facts, at)
        news = self._since.keys() != since.keys()
        self._since = since
        settled = {path: facts for path, (facts, seen) in since.items() if at - seen >= self._settle_s}
        writing = frozenset(path for path in since if path not in settled)
        fresh = sum(self._told.get(path) != facts for path, facts in settled.items())
        fresh += sum(path not in since for path in self._told)
        news = news or settled != self._last
        self._last = settled
        return Look(settled, writing, fresh, news, tuple(absent))

    def told(self, look: Look) -> None:
        """The catalogue knows now what was settled at `look`."""
        self._told = look.settled
