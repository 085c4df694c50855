"""When a watch looks, when it makes a new picture, and when it ends."""

import math
import time
from collections.abc import Callable, Set
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from astrotui.jobs.watch_folder import Look
from astrotui.text import duration, plural

FIRST_FRAMES = 3  # make the first picture
_LOOK_SHARE = 0.1  # of the time may go into looking, where folders are large or disks are slow


@dataclass(frozen=True)
class Orders:
    """How a watch was asked to go on.

    Attributes
    ----------
    idle_s : it ends when nothing new came for so long
    for_s : it ends after so long; None: never
    frames : it ends when so many are in the picture; None: never
    every_frames : new frames that make a new picture
    every_s : seconds between two pictures, at least; never less than the last picture took, but for the first
    poll_s : seconds between two looks at the folders
    """

    idle_s: float = 1800.0
    for_s: float | None = None
    frames: int | None = None
    every_frames: int = 1
    every_s: float = 10.0
    poll_s: float = 2.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


class Looks(Protocol):
    """Sees what changed; see `watch_folder.Folders`."""

    def look(self) -> Look: ...

    def told(self, look: Look) -> None: ...


class Maker(Protocol):
    """Does the work of a round."""

    def index(self) -> bool:
        """Tell the catalogue what is in the folders; False when that could not be done now."""

    def frames(self, writing: Set[str]) -> frozenset[int]:
        """The frames that would be stacked now, those that are being written left out."""

    def make(self, writing: Set[str]) -> int | None:
        """Make the picture of those frames, unless it is made already; how many are in it, None for no picture."""

    def rest(self, look: Look) -> None:
        """Say that nothing is to be done."""


class Loop:
    """Looks, and makes a picture when there is reason to.

    Parameters
    ----------
    elapsed_s : how long earlier attempts at the job have watched
    """

    def __init__(
        self,
        orders: Orders,
        looks: Looks,
        maker: Maker,
        *,
        elapsed_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._orders = orders
        self._looks = looks
        self._maker = maker
        self._clock = clock
        self._wait = wait
        self._begun_at = clock() - elapsed_s
        self._news_at = clock()
        self._next_at = -math.inf
        self._pictured: frozenset[int] = frozenset()
        self._shown = 0
        self._rounds = 0

    def run(self) -> str:
        """Watch until there is no reason to go on; returns that reason, for people."""
        while True:
            began = self._clock()
            look = self._looks.look()
            if look.news:
                self._news_at = self._clock()
            reason = self._end(look)
            made_s = 0.0
            if reason is not None or self._clock() >= self._next_at:
                made_s = self._round(look, last=reason is not None)
            if reason is None:
                reason = self._enough()
            self._maker.rest(look)
            if reason is not None:
                return reason
            looked_s = self._clock() - began - made_s
            self._wait(max(self._orders.poll_s, looked_s / _LOOK_SHARE))

    def _end(self, look: Look) -> str | None:
        orders, at = self._orders, self._clock()
        if orders.for_s is not None and at - self._begun_at >= orders.for_s:
            return f"{duration(orders.for_s)} are over"
        idle = at - self._news_at
        # What is being written is awaited, but not for ever.
        if idle >= orders.idle_s and (not look.writing or idle >= 2 * orders.idle_s):
            return f"nothing new came for {duration(orders.idle_s)}"
        return None

    def _enough(self) -> str | None:
        wanted = self._orders.frames
        if wanted is not None and self._shown >= wanted:
            return f"{plural(self._shown, 'frame')} are in the picture"
        return None

    def _round(self, look: Look, *, last: bool) -> float:
        """Index what is new, and make a picture when other frames are to be in it: new ones, or by a decision.

        Returns the seconds that indexing and making took.
        """
        began = self._clock()
        enough = 1 if last or not self._pictured else self._orders.every_frames
        if look.fresh >= enough:
            if self._maker.index():
                self._looks.told(look)
            else:
                self._next_at = self._clock() + self._orders.every_s
        indexed_s = self._clock() - began
        wanted = self._maker.frames(look.writing)
        if len(wanted) < (1 if last else FIRST_FRAMES) or (wanted == self._pictured and not last):
            return indexed_s
        began = self._clock()
        made = self._maker.make(look.writing)
        self._pictured = wanted
        self._shown = made or self._shown
        # A picture of many frames takes long: half of the time is left to the telescope and to other work.
        made_s = self._clock() - began
        # The first one tells little of that: it compiles.
        self._next_at = self._clock() + max(self._orders.every_s, made_s if self._rounds else 0.0)
        self._rounds += 1
        return indexed_s + made_s
