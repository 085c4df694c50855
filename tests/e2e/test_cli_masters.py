"""How masters are combined, chosen from the shell."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from tests.e2e.conftest import Shell


def test_masters_by_median(shell: Shell, samples: Path, tmp_path: Path) -> None:
    night = samples / "NINA"
    assert shell("index", night).code == 0
    done = shell("stack", "m51", "--master", "median", "-o", tmp_path / "median.fits", "--json")
    assert done.code == 0, done.err
    result = done.json
    darks = np.stack([fits.getdata(path) for path in sorted((night / "2025-03-31" / "DARK").iterdir())])
    master = fits.getdata(result["dark"])
    # What the rejection takes moves a median by a step or so; a mean is off by the rest of its noise everywhere.
    plain = np.median(darks.astype(np.float32), axis=0)
    assert np.mean(master == plain) > 0.95 and np.mean(darks.mean(axis=0) == plain) < 0.3
    header = fits.getheader(result["output"])
    assert header["MASTERS"] == "median" and header["COMBINE"] == "average"
    listed = {m["path"]: m for m in shell("masters", "--json").json}
    assert listed[result["dark"]]["method"] == "winsorized median 3/3"
    # Means are other masters, and a manifest knows which it was made with.
    mean = shell("stack", "m51", "-o", tmp_path / "mean.fits", "--json").json
    assert all(mean[kind] not in (None, result[kind]) for kind in ("dark", "flat", "bias"))
    again = shell("stack", "--plan", result["manifest"], "-o", tmp_path / "again.fits", "--json").json
    assert again["dark"] == result["dark"]
    np.testing.assert_array_equal(fits.getdata(again["output"]), fits.getdata(result["output"]))
    wrong = shell("stack", "m51", "--master", "max")
    assert wrong.code == 2 and "mean" in wrong.err and "median" in wrong.err
    # Siril takes a median, too.
    assert shell("export", result["output"], "--to", "siril", "-o", tmp_path / "siril").code == 0
    assert "stack dark med -nonorm" in (tmp_path / "siril" / "stack.ssf").read_text()
