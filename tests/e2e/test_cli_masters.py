"""How masters are combined, chosen from the shell."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Job
from astrotui.config import catalog_path
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


def test_pruning_spares_what_a_running_job_may_read(shell: Shell, samples: Path, tmp_path: Path) -> None:
    assert shell("index", samples / "NINA").code == 0
    result = shell("stack", "m51", "-o", tmp_path / "one.fits", "--json").json
    now = datetime.now(UTC)
    with Catalog.open(catalog_path()) as catalog, catalog.write() as db:
        job = Job(
            kind="stack", title="another", payload={}, result={}, status="running", created=now, owner="elsewhere:1:0:x",
            started=now - timedelta(hours=1), lease_until=now + timedelta(hours=1),
        )  # fmt: skip
        db.add(job)
        db.flush()
        number = job.id
    pruned = shell("masters", "prune", "--cap", "0")
    assert pruned.code == 0 and "0 masters removed" in pruned.out and f"job {number} runs" in pruned.err
    assert Path(result["dark"]).exists()
    with Catalog.open(catalog_path()) as catalog, catalog.write() as db:
        db.get(Job, number).status = "done"
    assert shell("masters", "prune", "--cap", "0", "--json").json["in_use"] == 0
    assert not Path(result["dark"]).exists()
