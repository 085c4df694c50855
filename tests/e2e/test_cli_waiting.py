"""A person at a terminal while a stack runs: waiting, Ctrl+C, a connection that drops, cancelling."""

import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pexpect
import pytest

from tests.e2e.conftest import Shell, heed_interrupts, workers_and_work
from tests.jobs.job_helpers import eventually

M42 = "DWARF_II"


@pytest.fixture
def indexed(shell: Shell, samples: Path) -> None:
    shell("index", samples / M42)


def terminal(*words: str | Path) -> "pexpect.spawn[str]":
    """The command in a terminal of its own."""
    command = ["-m", "astrotui", *map(str, words)]
    return pexpect.spawn(
        sys.executable,
        command,
        env={**os.environ, "TERM": "xterm"},
        timeout=180,
        encoding="utf-8",
        dimensions=(24, 100),
        preexec_fn=heed_interrupts,
    )


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.endswith(".part")]


@pytest.mark.usefixtures("indexed")
def test_ctrl_c_stops_waiting_and_not_the_job(shell: Shell, tmp_path: Path) -> None:
    person = terminal("stack", "m42", "-o", tmp_path / "out.fits")
    person.expect("measuring .*[0-9]+/[0-9]+")
    person.sendintr()
    person.expect(
        r"job (\d+) goes on; `astrotui jobs show \d+ --wait` rejoins, `astrotui jobs cancel \d+` ends it"
    )
    job = person.match.group(1)
    person.expect(pexpect.EOF)
    person.close()
    assert person.exitstatus == 130
    assert shell("jobs", "show", job, "--json").json["status"] in ("running", "done")
    rejoined = shell("jobs", "show", job, "--wait", "--json")
    assert rejoined.code == 0 and rejoined.json["status"] == "done"
    assert (tmp_path / "out.fits").exists() and not leftovers(tmp_path)


@pytest.mark.usefixtures("indexed")
def test_a_dropped_connection_does_not_stop_the_job(shell: Shell, tmp_path: Path) -> None:
    person = terminal("stack", "m42", "-o", tmp_path / "out.fits")
    person.expect("measuring .*[0-9]+/[0-9]+")
    person.close(force=True)  # the terminal is gone: everybody in it gets SIGHUP
    job = shell("jobs", "--json").json[-1]
    assert job["status"] in ("running", "done")
    ended = shell("jobs", "show", str(job["id"]), "--wait", "--json").json
    assert ended["status"] == "done" and ended["attempts"] == 1
    assert (tmp_path / "out.fits").exists() and not leftovers(tmp_path)


@pytest.mark.usefixtures("indexed")
def test_a_cancelled_stack_leaves_nothing(shell: Shell, home: Path, tmp_path: Path) -> None:
    person = terminal("stack", "m42", "-o", tmp_path / "out.fits")
    catalog = home / "data" / "astrotui" / "catalog.sqlite"
    with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as db:
        begun = "SELECT 1 FROM jobs WHERE kind = 'stack' AND status = 'running' AND stage <> ''"
        eventually(lambda: db.execute(begun).fetchall())
    for pid in workers_and_work(catalog)[1]:
        os.kill(pid, signal.SIGSTOP)  # it must not be done before it is cancelled
    job = shell("jobs", "--json").json[-1]
    assert shell("jobs", "cancel", str(job["id"])).code == 0
    person.expect("cancelled")
    person.expect(pexpect.EOF)
    person.close()
    assert person.exitstatus == 1
    assert shell("jobs", "show", str(job["id"]), "--json").json["status"] == "cancelled"
    assert list(tmp_path.glob("out*")) == [] and not leftovers(tmp_path)
    # It can be taken up again, with what was measured.
    assert shell("jobs", "retry", str(job["id"])).code == 0
    ended = shell("jobs", "show", str(job["id"]), "--wait", "--json").json
    assert ended["status"] == "done" and (tmp_path / "out.fits").exists()


def test_detached_and_paused(shell: Shell, samples: Path, tmp_path: Path) -> None:
    shell("index", samples / "DWARF3")
    assert shell("jobs", "pause").code == 0
    job = shell("stack", "m45", "-o", tmp_path / "out.fits", "--detach", "--json").json
    assert job["status"] == "queued" and job["kind"] == "stack"
    drained = shell("worker", "--drain")
    assert drained.code == 0 and "paused" in drained.out
    assert shell("jobs", "show", str(job["id"]), "--json").json["status"] == "queued"
    assert shell("jobs", "resume").code == 0
    ended = shell("jobs", "show", str(job["id"]), "--wait", "--json").json
    assert ended["status"] == "done"
    log = shell("jobs", "log", str(job["id"]))
    assert log.code == 0 and "done" in log.out
