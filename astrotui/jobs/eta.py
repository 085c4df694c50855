"""When will it be finished: an estimate from the rate of the stage that runs, or none at all."""

import math
from collections.abc import Mapping

FIRST_SHARE = 0.03  # of a stage has to be done before its rate is believed
FIRST_SECONDS = 1.0
SMOOTHING_S = 10.0


class Eta:
    """Estimates the seconds until a job is finished.

    The rate of the current stage is an average whose memory fades with `SMOOTHING_S` (or a tenth of the
    stage's age, if longer). Stages to come are estimated from the shares that `expect` announced, which
    come from the handler or from the last job of the kind; a stage that nobody announced counts alone.
    Times are seconds of a monotonic clock.
    """

    def __init__(self, shares: Mapping[str, float] | None = None) -> None:
        self._shares = _usable(shares)
        self._finished: set[str] = set()
        self._stage = ""
        self._begun = 0.0
        self._first = 0
        self._last = (0.0, 0)
        self._sums = (0.0, 0.0)  # fading sums of steps and of seconds
        self._total: int | None = None

    def expect(self, shares: Mapping[str, float]) -> None:
        """Announce the stages of the job, each with its share of the time in any unit."""
        self._shares = _usable(shares)

    def finished(self, stage: str) -> None:
        """A stage is finished, now or in an earlier attempt."""
        self._finished.add(stage)

    def update(self, at: float, stage: str, done: int, total: int | None) -> None:
        """Take note of progress."""
        if stage != self._stage or done < self._last[1]:
            self._stage = stage
            self._begun = at
            self._first = done
            self._last = (at, done)
            self._sums = (0.0, 0.0)
        self._total = total
        before, count = self._last
        if done == count or at <= before:
            return  # time without a step counts when the next step is taken
        memory = max(SMOOTHING_S, 0.1 * (at - self._begun))
        fade = math.exp(-(at - before) / memory)
        steps, seconds = self._sums
        self._sums = (steps * fade + done - count, seconds * fade + at - before)
        self._last = (at, done)

    def remaining(self, at: float) -> float | None:
        """Seconds left at the time `at`, None while it cannot be said."""
        before, done = self._last
        steps, seconds = self._sums
        if not self._total or steps <= 0:
            return None
        span = self._total - self._first
        if done - self._first < FIRST_SHARE * span or at - self._begun < FIRST_SECONDS:
            return None
        waited = at - before
        step_s = (seconds + max(0.0, waited - seconds / steps)) / steps  # a stall makes the estimate longer
        here = max(0.0, (self._total - done) * step_s - min(waited, step_s))
        share = self._shares.get(self._stage)
        if not share:
            return here
        whole = (before - self._begun) * self._total / max(1, done - self._first) if span else 0.0
        names = list(self._shares)
        later = sum(
            self._shares[name] for name in names[names.index(self._stage) + 1 :] if name not in self._finished
        )
        return here + later * whole / share


def _usable(shares: Mapping[str, float] | None) -> dict[str, float]:
    return {name: share for name, share in (shares or {}).items() if share > 0}
