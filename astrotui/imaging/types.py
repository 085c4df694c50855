"""Small values that image functions exchange."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class StarList:
    """Stars of one frame, brightest first.

    Attributes
    ----------
    x, y : float32 arrays of shape (n,); centroids in full-sensor pixels, the centre of the first pixel is 0
    flux : float32 array of shape (n,); aperture flux in ADU above the local sky
    """

    x: Float32Array
    y: Float32Array
    flux: Float32Array

    def __len__(self) -> int:
        return len(self.x)

    def to_bytes(self) -> bytes:
        """The list as little-endian float32, three numbers a star."""
        return np.stack([self.x, self.y, self.flux], axis=1).astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, blob: bytes) -> "StarList":
        """The list that `to_bytes` wrote."""
        table = np.frombuffer(blob, dtype="<f4").reshape(-1, 3).astype(np.float32)
        return cls(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy())

    @classmethod
    def empty(cls) -> "StarList":
        nothing = np.zeros(0, np.float32)
        return cls(nothing, nothing.copy(), nothing.copy())
