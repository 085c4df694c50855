"""Loading of numba without what no kernel here uses; imported by workers only."""

import sys

# Found by numba when it starts, which takes a third of a second: scipy's matrix products and foreign functions.
_UNUSED = ("scipy.linalg.cython_blas", "cffi")


def load_compiler() -> None:
    """Import numba and all that it fetches kernels from its cache with.

    It does without products of matrices and foreign functions where these cannot be imported, as they cannot here
    while it starts. To be called before other threads begin.
    """
    if "numba.np.arraymath" in sys.modules:
        return
    absent = [name for name in _UNUSED if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        from numba.core.registry import cpu_target

        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()
    finally:
        for name in absent:
            del sys.modules[name]
