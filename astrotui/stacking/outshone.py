"""What is odd about the weights of a stack: one frame beside which the others count for nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from astrotui.text import clean, plural

_BRIGHTER = 1.5  # times as much light as in the others is no clear air any more


def outshone(paths: Sequence[str], weights: ArrayLike, light: ArrayLike) -> str | None:
    """A line when most frames count for nothing: that is one odd frame rather than many bad ones.

    Parameters
    ----------
    paths : of the frames
    weights : 0 for those that are left out
    light : how bright their stars are
    """
    kept = np.asarray(weights, np.float64)
    out = kept <= 0
    if 2 * int(out.sum()) <= len(kept) or out.all():
        return None
    best = int(np.argmax(kept))
    stars = np.asarray(light, np.float64)
    ratio = float(stars[best] / np.median(stars[out]))
    why = f", whose stars are {ratio:.3g} times as bright as theirs" if ratio > _BRIGHTER else ""
    return (
        f"{int(out.sum())} of {plural(len(kept), 'frame')} count under 2 % beside "
        f"{clean(paths[best].rpartition('/')[2], 60)}{why}: look at that frame, and reject it if it is another exposure "
        "or filter; --weight none counts all alike"
    )
