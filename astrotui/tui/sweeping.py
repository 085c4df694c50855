"""Garbage is collected in small pieces, and the old while no key is pressed: Python stops the loop 25 to 45 ms for all."""

import gc
import time

SWEEP_S = 0.1  # between two looks
_QUIET_S = 0.3  # no key for so long: then the young objects are looked at, a few ms
_LONG_S = (5.0, 30.0)  # then also those that survived once, and then all
_FEW = 500  # new objects that are not worth a look
# Python itself looks at the young after so many, a few ms, whoever makes them: a thread that reads the catalogue makes
# 100,000 objects between two looks. More than a key makes, and those that survived are left for the pauses.
_BY_ITSELF = (6_000, 1_000_000, 1_000_000)
_ROUNDS = (10, 10)  # so many looks at the younger ones before one at the older ones


class Sweeper:
    """Tells the collector what it may do once the app is complete; `look` is called every `SWEEP_S`."""

    def __init__(self) -> None:
        gc.disable()
        self._touched = time.monotonic()
        self._begun = False

    def begin(self) -> None:
        """What was made until now stays, and need never be looked through."""
        gc.freeze()
        gc.set_threshold(*_BY_ITSELF)
        gc.enable()
        self._begun = True

    def touch(self) -> None:
        """A person did something."""
        self._touched = time.monotonic()

    def look(self) -> int | None:
        """Collect what the quiet allows; the generation that was looked through, None for none."""
        if not self._begun:
            return None
        generation = self._due(time.monotonic() - self._touched)
        if generation is not None:
            gc.collect(generation)
        return generation

    def _due(self, quiet: float) -> int | None:
        young, middle, old = gc.get_count()
        if quiet >= _LONG_S[1] and old >= _ROUNDS[1]:
            return 2
        if quiet < _QUIET_S or young < _FEW:
            return None
        return 1 if quiet >= _LONG_S[0] and middle >= _ROUNDS[0] else 0
