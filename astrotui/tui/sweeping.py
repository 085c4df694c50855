"""Garbage is collected while no key is pressed: by itself Python stops the loop for 25 to 45 ms at any moment."""

import gc
import time

SWEEP_S = 0.1  # between two looks: a read of the catalogue makes 10,000 objects in that time
_QUIET_S = 0.3  # no key for so long: then the young objects are looked at, a few ms
_LONG_S = (5.0, 30.0)  # then also those that survived once, and then all
_FEW = 1_000  # new objects that are not worth a look
_MANY = 10_000  # new objects that are looked at even between keys, before it takes long
_ROUNDS = (10, 10)  # so many looks at the younger ones before one at the older ones


class Sweeper:
    """Takes the collector's place once the app is complete; `look` is called every `SWEEP_S`."""

    def __init__(self) -> None:
        gc.disable()
        self._touched = time.monotonic()
        self._begun = False

    def begin(self) -> None:
        """What was made until now stays, and need never be looked through."""
        gc.freeze()
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
        if young > _MANY:
            return 0
        if quiet < _QUIET_S or young < _FEW:
            return None
        if quiet >= _LONG_S[1] and old >= _ROUNDS[1]:
            return 2
        return 1 if quiet >= _LONG_S[0] and middle >= _ROUNDS[0] else 0
