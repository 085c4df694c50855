"""A work process made ahead of its job: it does one job, is found by its mark, and does not outlive its worker."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astrotui.catalog.database import Catalog
from astrotui.jobs import launch, logs, queue
from astrotui.jobs.owner import process_start
from astrotui.jobs.processes import MARK, SPARE, marked
from astrotui.jobs.spare import make_spare
from astrotui.jobs.wait import wait_for
from tests.jobs.job_helpers import eventually

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux shows what marks a fork"
)

# A worker's beginnings: a spare, a mark held by it while it works, and what is left when the worker is killed.
HOLDER = """
import os, sys, time
from astrotui.jobs import spare
from astrotui.jobs.processes import MARK
kind = sys.argv[1]
spare._LOADS[kind] = ()
import astrotui.jobs.work as work
def stay(arguments):
    os.fork()  # both stay: strays of the attempt
    print("at work", flush=True)
    time.sleep(600)
work.run_and_say = stay
held = spare.make_spare(kind)
assert held.begin(["7"], {MARK: sys.argv[2]})
os.read(held.heard, 7)
print(held.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def real_launch() -> None:
    launch._prepared.clear()


def test_a_prepared_worker_does_the_job_in_its_fork(
    catalog: Catalog, tmp_path: Path, real_launch: None
) -> None:
    (tmp_path / "frames").mkdir()
    fits.PrimaryHDU(np.zeros((8, 8), np.uint16)).writeto(tmp_path / "frames" / "light_1.fits")
    launch.prepare_worker("index")
    prepared = launch._prepared[0]
    job = queue.enqueue(catalog, "index", {"roots": [str(tmp_path / "frames")]})
    assert launch.ensure_worker(catalog) == prepared.pid
    ended = wait_for(catalog, job, ensure=lambda: launch.ensure_worker(catalog))
    assert (ended.status, ended.attempts) == ("done", 1), ended.error
    eventually(lambda: prepared.poll() is not None)
    assert "no job is queued or running" in logs.worker_log(catalog.path).read_text()


def test_a_prepared_worker_that_is_not_wanted_ends(real_launch: None) -> None:
    launch.prepare_worker("stack")
    prepared = launch._prepared.pop()
    assert prepared.stdin is not None
    prepared.stdin.close()
    assert prepared.wait(60) == 0


def test_a_worker_that_died_before_the_word_is_replaced(catalog: Catalog, real_launch: None) -> None:
    launch.prepare_worker("index")
    launch._prepared[0].kill()
    launch._prepared[0].wait()
    job = queue.enqueue(catalog, "index", {"roots": []})
    ensured = launch.ensure_worker(catalog)
    assert ensured is not None
    assert wait_for(catalog, job, ensure=lambda: launch.ensure_worker(catalog)).is_final


def test_the_mark_of_a_fork_is_found_and_dies_with_the_worker(tmp_path: Path) -> None:
    where = tmp_path / "catalog.sqlite"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, "quick", f"7:2:{where}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, MARK: SPARE},
    )
    try:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())

        def found(job: int, attempt: int) -> list[int]:
            pids = []
            for one, handle in marked(where, job, attempt):
                os.close(handle)
                pids.append(one)
            return pids

        eventually(lambda: len(found(7, 2)) == 2)
        assert pid in found(7, 3) and not found(7, 1) and not found(8, 2)
        assert os.getpgid(pid) == pid
        holder.send_signal(signal.SIGKILL)
        eventually(lambda: not found(7, 2))
        eventually(lambda: not process_start(pid))
    finally:
        holder.kill()
        holder.communicate()


def test_without_the_mark_no_fork_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MARK, raising=False)
    assert make_spare("index") is None
