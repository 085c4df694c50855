"""The first stack of a drizzle: at the frames' own scale, rejected and combined as usual, a few rows at a time.

A drizzle judges each sample by it, the way of STScI's `blot` and `driz_cr`. Only the rows that a band of the drizzle
looks at are held.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.types import Float32Array
from astrotui.stacking.framing import Field
from astrotui.stacking.tiles import BandOutput

FIRST_MARGIN = 12
"""Pixels around the result's field that the first stack has: half a drop, samples around one, interpolation."""

LEAST_SAMPLES = 3
"""With fewer, a sample that deviates cannot be told from one that the others deviate from."""


@dataclass(frozen=True, eq=False)
class Guide:
    """Rows of the first stack.

    Attributes
    ----------
    value : float32 (planes, rows, width)
    allowed : float32 (2, planes, rows, width), see `tolerances`
    x0, y0 : pixel of the reference that is its first
    """

    value: Float32Array
    allowed: Float32Array
    x0: int
    y0: int

    @classmethod
    def none(cls, planes: int) -> "Guide":
        """One that judges nothing."""
        empty = np.zeros((planes, 0, 0), np.float32)
        return cls(empty, np.stack([empty, empty]), 0, 0)


def first_field(area: Field) -> Field:
    """The field of the first stack of a drizzle of `area`."""
    m = FIRST_MARGIN
    return Field(area.x0 - m, area.y0 - m, area.width + 2 * m, area.height + 2 * m)


class FirstStack:
    """Bands of a first stack, drawn as a drizzle goes down the picture.

    Parameters
    ----------
    field : of the first stack, see `first_field`
    bands : first row within `field` and band, from the top, without gaps; their memory may be used again
    """

    def __init__(self, field: Field, bands: Iterator[tuple[int, BandOutput]]) -> None:
        self._field = field
        self._bands = bands
        self._top = field.y0  # of what is held, in rows of the reference
        self._value: Float32Array | None = None
        self._counts: NDArray[np.uint16] | None = None  # (3, planes, rows, width): found, low, high

    def guide(self, top: int, bottom: int) -> Guide:
        """What samples of reference rows `top` to `bottom` are judged by; later calls must not go back up."""
        from astrotui.imaging.drizzle_judge_kernels import tolerances

        end = self._field.y0 + self._field.height
        first = max(self._field.y0, top - FIRST_MARGIN - 1)
        last = min(end, bottom + FIRST_MARGIN + 1)
        values = [] if self._value is None else [self._value[:, first - self._top :]]
        counts = [] if self._counts is None else [self._counts[:, :, first - self._top :]]
        held = first + sum(part.shape[1] for part in values)
        while held < last:
            _, band = next(self._bands)
            values.append(band.value.copy())
            counts.append(np.stack([band.found, band.low, band.high]))
            held += band.value.shape[1]
        self._value = np.concatenate(values, axis=1)
        self._counts = np.concatenate(counts, axis=2)
        self._top = first
        # the outermost rows lack neighbors; they are only held to be neighbors themselves
        allowed = np.empty((2, *self._value.shape), np.float32)
        found, low, high = self._counts
        tolerances(self._value, found, low, high, LEAST_SAMPLES, allowed)
        return Guide(self._value, allowed, self._field.x0, self._top)
