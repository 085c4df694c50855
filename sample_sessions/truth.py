"""What is true of a simulated session, as plain numbers that JSON can hold."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sample_sessions.field import Float64
from sample_sessions.light import Trail


@dataclass(frozen=True)
class FrameTruth:
    """What is true of one light frame.

    `to_reference` maps FRAME (x, y, 1) to REFERENCE (x, y, 1). `fwhm_px`, `elongation`, `angle_deg`, `beta`,
    `transparency` (its mean under a cloud), `sky_e_s` and `trails` are what `expose` was given. `faults` are
    what is wrong with the frame: "cloud", "trail", "trailed", "soft", "rejected".
    """

    name: str
    to_reference: tuple[tuple[float, float, float], ...]
    fwhm_px: float
    elongation: float = 1.0
    angle_deg: float = 0.0
    beta: float | None = None
    transparency: float = 1.0
    sky_e_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    trails: tuple[Trail, ...] = ()
    faults: tuple[str, ...] = ()

    def matrix(self) -> Float64:
        """FRAME to REFERENCE as a 3x3 array."""
        return np.array(self.to_reference)


@dataclass(frozen=True)
class Truth:
    """What is true of one session: sky, camera and frames, as plain numbers for JSON."""

    width: int
    height: int
    cfa: str | None
    exposure_s: float
    e_per_adu: float
    x: tuple[float, ...]
    y: tuple[float, ...]
    flux: tuple[tuple[float, ...], ...]
    hot: tuple[tuple[int, int, float], ...]
    frames: tuple[FrameTruth, ...]

    def to_json(self) -> dict[str, Any]:
        """A document of lists, numbers and strings."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Truth":
        """The record that `to_json` wrote."""
        frames = tuple(FrameTruth(**{k: _tuples(v) for k, v in one.items()}) for one in document["frames"])
        return cls(**{**{k: _tuples(v) for k, v in document.items()}, "frames": frames})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def matrix_rows(matrix: Float64) -> tuple[tuple[float, float, float], ...]:
    """A 3x3 array as nested tuples of numbers, for `FrameTruth`."""
    return tuple((float(a), float(b), float(c)) for a, b, c in matrix)
