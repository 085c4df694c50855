"""SIGKILL of the worker, of its work, or of both in the middle of a real stack: it is taken up and finished.

Two moments are tried; `ASTROTUI_KILLS=100` tries so many.
"""

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from astropy.io import fits

from tests.e2e.conftest import Shell, workers_and_work

KILLS = int(os.environ.get("ASTROTUI_KILLS", "2"))


def test_a_killed_stack_is_finished(shell: Shell, samples: Path, home: Path, tmp_path: Path) -> None:
    dice = random.Random(20)
    shell("index", samples / "NINA")
    catalog = home / "data" / "astrotui" / "catalog.sqlite"
    assert catalog.exists()
    assert shell("stack", "m51", "-o", tmp_path / "whole.fits").code == 0
    truth = fits.getdata(tmp_path / "whole.fits")
    kills = 0
    while kills < KILLS:
        out = tmp_path / f"out{kills}.fits"
        job = shell("stack", "m51", "-o", out, "--detach", "--json").json["id"]
        for _ in range(min(3, KILLS - kills)):
            deadline = time.monotonic() + 60
            while not workers_and_work(catalog)[1] and time.monotonic() < deadline:
                if shell("jobs", "show", str(job), "--json").json["status"] != "running":
                    break
            time.sleep(dice.uniform(0, 3))  # the moment is what is tried, not something waited for
            workers, work = workers_and_work(catalog)
            victims = {"worker": workers, "work": work, "both": workers + work}[
                dice.choice(["worker", "work", "both"])
            ]
            for pid in victims:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            kills += 1
            shell("jobs", "resume")  # whoever looks starts a worker when none is alive
        ended = shell("jobs", "show", str(job), "--wait", "--json")
        assert ended.code == 0, ended.err
        assert ended.json["status"] == "done"
        np.testing.assert_array_equal(fits.getdata(out), truth)
        assert not [p for p in tmp_path.iterdir() if p.name.endswith(".part")]
        assert len(shell("stacks", "--json").json) == job - 1  # job 1 read the folder
    assert shell("doctor", "--json").json["catalog"]["integrity"] == "ok"
    assert shell("worker", "--drain").code == 0


def test_a_result_whose_manifest_was_not_written_is_made_again(
    shell: Shell, samples: Path, home: Path, tmp_path: Path
) -> None:
    shell("index", samples / "DWARF3")
    job = shell("stack", "m45", "-o", tmp_path / "out.fits", "--detach", "--json").json["id"]
    assert shell("jobs", "show", str(job), "--wait").code == 0
    truth = fits.getdata(tmp_path / "out.fits")
    # As after a kill between the two names: the result stands, and nothing says that it is finished.
    (tmp_path / "out.json").unlink()
    (tmp_path / "out.png").unlink()
    with closing(sqlite3.connect(home / "data" / "astrotui" / "catalog.sqlite")) as db, db:
        db.execute("DELETE FROM stacks")
        db.execute("UPDATE jobs SET status = 'queued', finished = NULL, stages = '{}' WHERE id = ?", (job,))
    assert shell("worker", "--drain").code == 0
    ended = shell("jobs", "show", str(job), "--json").json
    assert (ended["status"], ended["attempts"], ended["error"]) == ("done", 2, None)
    np.testing.assert_array_equal(fits.getdata(tmp_path / "out.fits"), truth)
    assert (tmp_path / "out.json").exists() and len(shell("stacks", "--json").json) == 1
