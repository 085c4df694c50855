"""A job outlives its terminal: a real pseudo-terminal is torn down under the command that started it."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from astrotui.catalog.database import Catalog
from astrotui.jobs import queue
from astrotui.jobs.owner import process_start
from astrotui.jobs.wait import wait_for
from tests.e2e.conftest import heed_interrupts
from tests.jobs.job_helpers import FAKE_WORKER, eventually, lines, status

COMMAND = """
import subprocess, sys
from pathlib import Path
from astrotui.catalog.database import Catalog
from astrotui.jobs import launch, queue
from astrotui.jobs.wait import wait_for

path, journal, gate, *worker = sys.argv[1:]
plain = subprocess.Popen(["sleep", "600"])
with Catalog.open(path) as catalog:
    job = queue.enqueue(catalog, "gate", {"journal": journal, "gate": gate})
    pid = launch.ensure_worker(catalog, command=worker)
    print(f"started {job} {pid} {plain.pid}", flush=True)
    wait_for(catalog, job)
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalogue."""
    with Catalog.open(tmp_path / "catalog.sqlite") as opened:
        yield opened


def test_a_job_outlives_its_terminal(catalog: Catalog, tmp_path: Path) -> None:
    journal, gate = tmp_path / "journal.txt", tmp_path / "gate"
    terminal = pexpect.spawn(
        sys.executable,
        ["-c", COMMAND, str(catalog.path), str(journal), str(gate), *FAKE_WORKER],
        timeout=60,
        encoding="utf-8",
        preexec_fn=heed_interrupts,
    )
    try:
        terminal.expect(r"started (\d+) (\d+) (\d+)")
        job, worker, plain = (int(word) for word in terminal.match.groups())
        eventually(lambda: lines(journal))
        work = int(lines(journal)[0].split()[2])
        os.close(terminal.child_fd)  # the line drops; the kernel hangs up on everyone at this terminal
        _, code = os.waitpid(terminal.pid, 0)
        assert os.WIFSIGNALED(code) and os.WTERMSIG(code) == signal.SIGHUP
        eventually(lambda: not process_start(plain))  # an ordinary child is gone
        for pid in (worker, work):
            assert process_start(pid)
            os.kill(pid, signal.SIGHUP)  # and once more, by hand
        assert status(catalog, job) == "running"
        gate.touch()
        record = wait_for(catalog, job)
    finally:
        gate.touch()
        terminal.closed = True
    assert record.status == "done" and record.attempts == 1
    eventually(lambda: not process_start(worker))  # nothing is left to do, so it ended


def test_ctrl_c_ends_the_waiting_and_not_the_job(catalog: Catalog, tmp_path: Path) -> None:
    journal, gate = tmp_path / "journal.txt", tmp_path / "gate"
    terminal = pexpect.spawn(
        sys.executable,
        ["-c", COMMAND, str(catalog.path), str(journal), str(gate), *FAKE_WORKER],
        timeout=60,
        encoding="utf-8",
        preexec_fn=heed_interrupts,
    )
    try:
        terminal.expect(r"started (\d+) (\d+) (\d+)")
        job = int(terminal.match.group(1))
        eventually(lambda: lines(journal))
        terminal.sendintr()
        terminal.expect("KeyboardInterrupt")
        terminal.expect(pexpect.EOF)
        assert queue.show(catalog, job).status == "running"
        gate.touch()
        assert wait_for(catalog, job).attempts == 1
    finally:
        gate.touch()
        terminal.close(force=True)
    assert status(catalog, job) == "done"
