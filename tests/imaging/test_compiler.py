"""The compiler is loaded without what kernels do not use, and what that is stays usable."""

import subprocess
import sys

_SCRIPT = """
import sys
from astrotui.imaging.compiler import load_compiler
load_compiler()
load_compiler()  # once is enough
assert "numba.np.arraymath" in sys.modules and "scipy.linalg" not in sys.modules and "cffi" not in sys.modules
import numpy as np
from astrotui.imaging.quality import measure_frame
sky = np.random.default_rng(0).normal(500, 10, (64, 64)).astype(np.uint16)
assert measure_frame(sky, cfa_phase=None, full_scale_adu=65535).problem is not None
import scipy.linalg
assert scipy.linalg.inv(np.diag([2.0, 4.0]))[1, 1] == 0.25
"""


def test_numba_starts_without_scipy_which_can_be_used_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
