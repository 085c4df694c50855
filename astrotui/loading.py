"""How Python's garbage collector treats programs that load large libraries and end soon."""

import atexit
import gc

# Collected after so many new objects instead of 700: nothing of what libraries are made of is garbage, and looking
# through it again and again is a fourth of their loading. What is kept for longer are some megabytes.
_THRESHOLDS = (50_000, 20, 100)


def collect_rarely() -> None:
    """To be called by programs before they load libraries; a library must not decide this for others.

    At the end nothing is looked through once more before all memory is given back.
    """
    gc.set_threshold(*_THRESHOLDS)
    atexit.register(gc.freeze)
