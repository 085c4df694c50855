"""One sky level for frames that do not all overlap the reference: from what each has in common with its neighbors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from astrotui.imaging.network import balance
from astrotui.imaging.normalize import Level
from astrotui.imaging.types import Float64Array


@dataclass(eq=False)
class Overlaps:
    """Levels of pairs of frames where they overlap.

    Attributes
    ----------
    base : the frame whose level the others get
    pairs : (a, b, level of a there, level of b there, weight)
    """

    base: int
    pairs: list[tuple[int, int, Level, Level, float]] = field(default_factory=list)

    def add(self, a: int, b: int, own: Level, other: Level, weight: float) -> None:
        """A pair that overlaps by an area of `weight`; one without valid pixels there is left out."""
        if np.isfinite(own.location).all() and np.isfinite(other.location).all():
            self.pairs.append((a, b, own, other, weight))

    def agree(
        self, kind: str, factors: Mapping[int, Float64Array]
    ) -> dict[int, tuple[Float64Array, Float64Array]]:
        """By frame, factor and offset (planes,) under which overlapping frames show one sky.

        Parameters
        ----------
        kind : of the normalization: none, add, multiply, addscale or stars
        factors : by frame (planes,); kept for none, add and stars
        """
        planes = len(next(iter(factors.values())))
        zero = np.zeros(planes)
        if kind == "none":
            return {index: (factor, zero) for index, factor in factors.items()}
        if kind in ("multiply", "addscale"):
            value = (lambda level: level.location) if kind == "multiply" else (lambda level: level.scale)
            factors = self._ratios(value, factors)
        if kind == "multiply":
            return {index: (factor, zero) for index, factor in factors.items()}
        tables = []
        for k in range(planes):
            differences = [
                (a, b, float(factors[b][k] * other.location[k] - factors[a][k] * one.location[k]), weight)
                for a, b, one, other, weight in self.pairs
                if a in factors and b in factors
            ]
            tables.append(balance(differences, self.base))
        return {
            index: (factor, np.array([table.get(index, 0.0) for table in tables]))
            for index, factor in factors.items()
        }

    def _ratios(
        self, value: Callable[[Level], Float64Array], factors: Mapping[int, Float64Array]
    ) -> dict[int, Float64Array]:
        """By frame, what multiplies it so that pairs agree in a positive value."""
        planes = len(next(iter(factors.values())))
        tables = []
        for k in range(planes):
            differences = [
                (a, b, float(np.log(value(other)[k] / value(one)[k])), weight)
                for a, b, one, other, weight in self.pairs
                if value(one)[k] > 0 and value(other)[k] > 0 and a in factors and b in factors
            ]
            tables.append(balance(differences, self.base))
        return {index: np.exp([table.get(index, 0.0) for table in tables]) for index in factors}
