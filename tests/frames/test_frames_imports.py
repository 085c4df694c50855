"""Identifying plain FITS frames loads no numerical library; reading pixels loads numpy alone."""

import subprocess
import sys

import pytest

HEAVY = ("astropy", "scipy", "tifffile", "PIL", "rawpy", "numba", "sep")


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("astrotui.frames.scan, astrotui.frames.identify", ("numpy", *HEAVY)),
        ("astrotui.frames.pixels, astrotui.frames.output", HEAVY),
    ],
)
def test_imports_stay_light(modules: str, forbidden: tuple[str, ...]) -> None:
    code = f"import sys, {modules}; print([m for m in {forbidden!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
