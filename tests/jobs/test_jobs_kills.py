"""SIGKILL of supervisor, work, or both, at random moments: nothing is lost, repeated, doubled or left behind.

`ASTROTUI_KILLS` sets how many kills there are (5 unless set), `ASTROTUI_KILL_SEED` repeats a run.
"""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from astrotui.catalog.database import Catalog
from astrotui.jobs import queue
from astrotui.jobs.processes import end_strays, marked
from tests.jobs.fake_work import CONTENT
from tests.jobs.job_helpers import Workers, eventually, lines

KILLS = int(os.environ.get("ASTROTUI_KILLS", "5"))
SEED = int(os.environ.get("ASTROTUI_KILL_SEED", random.SystemRandom().randrange(10**6)))
MOST_PER_JOB = 4
STAGES = ["measuring", "masters", "planning", "stacking"]


def test_killed_at_random_moments(catalog: Catalog, workers: Workers, journal: Path, tmp_path: Path) -> None:
    print(f"ASTROTUI_KILL_SEED={SEED}")  # shown when it fails
    chance = random.Random(SEED)
    jobs: list[int] = []
    outputs: dict[int, Path] = {}
    killed: Counter[str] = Counter()
    worker = workers.start("--drain")
    while killed.total() < KILLS:
        output = tmp_path / f"out{len(jobs)}.bin"
        given = {"journal": str(journal), "output": str(output), "stages": STAGES, "pause_s": 0.01}
        job = queue.enqueue(catalog, "staged", given)
        jobs.append(job)
        outputs[job] = output
        for _ in range(min(MOST_PER_JOB, KILLS - killed.total())):
            # Asked again and again: a worker that found the queue empty may be seen alive while it ends.
            while (
                eventually(lambda job=job, worker=worker: _begun(catalog, job) or _ended(worker)) == "ended"
            ):
                worker = workers.start("--drain")
            time.sleep(chance.uniform(0.0, 1.5))  # the random moment
            if queue.show(catalog, job).is_final:
                break
            what = chance.choice(["supervisor", "work", "both"])
            work = [pid for pid, _ in _work(catalog, job)]
            if what != "supervisor":
                for pid in work:
                    _kill(pid)
            if what != "work":
                worker.kill()
                worker.wait()
            killed[what] += 1
            assert not output.exists() or output.read_bytes() == CONTENT
    print(dict(killed), "kills,", len(jobs), "jobs")
    workers.drain()
    _check(catalog, jobs, outputs, lines(journal))
    assert sorted(path.name for path in tmp_path.glob(".*.part")) == []
    assert not any(end_strays(catalog.path, job, 10**6) for job in jobs)
    assert catalog.integrity() == []


def _check(catalog: Catalog, jobs: list[int], outputs: dict[int, Path], said: list[str]) -> None:
    assert not [line for line in said if line.startswith("OVERLAP")]
    for job in jobs:
        record = queue.show(catalog, job)
        assert record.status == "done", record
        assert outputs[job].read_bytes() == CONTENT
        assert list(queue.finished_stages(catalog, job)) == STAGES
        mine = [line.split() for line in said if line.split()[1] == str(job)]
        for stage in STAGES:
            first = mine.index(["finished", str(job), stage])
            assert ["begin", str(job), stage] not in mine[first:], f"{stage} of job {job} was repeated"
        assert len({words[2] for words in mine if words[0] == "plan"}) == 1, "every attempt has the same plan"
        assert sum(words[0] == "published" for words in mine) <= 1


def _begun(catalog: Catalog, job: int) -> str:
    record = queue.show(catalog, job)
    return "begun" if record.is_final or (record.status == "running" and _work(catalog, job)) else ""


def _ended(worker: subprocess.Popen[str]) -> str:
    return "ended" if worker.poll() is not None else ""


def _work(catalog: Catalog, job: int) -> list[tuple[int, int]]:
    found = list(marked(catalog.path, job, 10**6))
    for _, handle in found:
        os.close(handle)
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended by itself just now
