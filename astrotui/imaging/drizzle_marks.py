"""What the compiled parts of a drizzle share: how they are compiled, and what is said of a sample."""

import numpy as np
from numba import njit

# no fast-math at all: the place of a drop must not depend on the code around it
KERNEL = njit(nogil=True, cache=True, error_model="numpy", boundscheck=False)
INNER = njit(  # type: ignore[call-overload]  # its stub does not know the last two
    nogil=True,
    error_model="numpy",
    boundscheck=False,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)

GOOD, MISSING = 0, 2
LOW, HIGH = -1, 1  # beyond the limits
DOUBTFUL_LOW, DOUBTFUL_HIGH = -3, 3  # beyond those that hold next to a sample that goes
CROWDED_LOW, CROWDED_HIGH = -4, 4  # goes with many others around it, see `reject_crowds`
REACH = 2
"""Pixels around a rejected sample within which its frame is trusted less; also in the plain stack."""

CROWD_REACH, CROWD = 5, 10
"""Where a frame has so many rejected samples within so many pixels, none of it is trusted, see `reject_crowds`."""

ZERO = np.float32(0)
