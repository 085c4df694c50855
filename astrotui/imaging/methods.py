"""How samples of a pixel can be combined and which of them be rejected: the choices, and the limits they have unasked.

Imports nothing, for the processes that only name them.
"""

from typing import Literal

Method = Literal["average", "median"]
MasterMethod = Literal["mean", "median"]  # of the samples of a master that the rejection keeps
Rejection = Literal["auto", "none", "sigma", "winsorized", "linear", "percentile", "minmax"]

DEFAULT_LIMITS: dict[str, tuple[float, float]] = {
    "auto": (3.0, 3.0),
    "none": (0.0, 0.0),
    "sigma": (3.0, 3.0),
    "winsorized": (3.0, 3.0),
    "linear": (5.0, 5.0),
    "percentile": (0.2, 0.1),
    "minmax": (3, 3),
}
"""Low and high limit by rejection: kappas of the clips, fractions of the median, or counts of samples."""
