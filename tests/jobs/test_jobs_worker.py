"""Workers and their work as real processes: each job once, cancelled whole, taken over, drained."""

import itertools
import os
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Job
from astrotui.config import places
from astrotui.errors import JobError
from astrotui.jobs import launch, leases, logs, queue, registry
from astrotui.jobs.child import KILL_AFTER_S
from astrotui.jobs.owner import process_start
from astrotui.jobs.records import JobRecord, now
from astrotui.jobs.supervise import TICK_S
from astrotui.jobs.transitions import MAX_DEATHS
from astrotui.jobs.wait import wait_for
from tests.jobs.job_helpers import (
    DEADLINE_S,
    FAKE_WORKER,
    Workers,
    elsewhere,
    eventually,
    lines,
    status,
)


def staged(journal: Path, output: Path, **more: Any) -> dict[str, Any]:
    """Payload of a job with two stages."""
    return {"journal": str(journal), "output": str(output), "stages": ["first", "second"], **more}


def log_of(catalog: Catalog, job_id: int) -> str:
    """The whole log of a job."""
    path = queue.show(catalog, job_id).log
    assert path is not None
    return "\n".join(logs.read_log(Path(path)))


def test_a_drain_does_every_job_and_says_so(
    catalog: Catalog, workers: Workers, journal: Path, tmp_path: Path
) -> None:
    first = queue.enqueue(catalog, "staged", staged(journal, tmp_path / "out.bin"))
    second = queue.enqueue(catalog, "quick", {"journal": str(journal)}, after=first)
    assert "no job is queued or running" in workers.drain()
    record = queue.show(catalog, first)
    assert record.status == "done" and record.finished is not None and record.error is None
    assert (record.stage, record.done, record.total, record.eta_s) == ("second", 10, 10, None)
    assert list(queue.finished_stages(catalog, first)) == ["first", "second"]
    assert queue.result(catalog, first) == {"output": str(tmp_path / "out.bin")}
    assert queue.result(catalog, second) == {"answer": 42}
    assert "finished second" in log_of(catalog, first)
    with catalog.read() as db:
        assert registry.live_workers(db) == []


def test_many_workers_run_each_job_once(catalog: Catalog, workers: Workers, journal: Path) -> None:
    jobs = [queue.enqueue(catalog, "quick", {"journal": str(journal)}) for _ in range(4)]
    queue.set_slots(catalog, 2)
    started = [workers.start("--drain") for _ in range(3)]
    for process in started:
        process.communicate(timeout=DEADLINE_S)
    assert Counter(int(line.split()[1]) for line in lines(journal)) == Counter(jobs)
    assert {queue.show(catalog, job).attempts for job in jobs} == {1}
    assert {status(catalog, job) for job in jobs} == {"done"}


def test_cancel_ends_everything_and_leaves_nothing(
    catalog: Catalog, workers: Workers, journal: Path, tmp_path: Path
) -> None:
    job = queue.enqueue(catalog, "stubborn", {"journal": str(journal), "output": str(tmp_path / "o.fits")})
    workers.start("--drain")
    eventually(lambda: queue.show(catalog, job).stage == "waiting")
    pids = [int(word) for word in lines(journal)[0].split()[1:]]
    assert (tmp_path / f".o.fits.{job}.part").exists()
    assert all(process_start(pid) for pid in pids)
    queue.cancel(catalog, job)
    eventually(lambda: status(catalog, job) == "cancelled")
    # Forks and strays included, although all ignore SIGTERM; the system takes a moment to bury them.
    eventually(lambda: not any(process_start(pid) for pid in pids))
    assert not (tmp_path / f".o.fits.{job}.part").exists()
    assert not (tmp_path / "o.fits").exists()
    assert TICK_S + KILL_AFTER_S < 0.9  # so a cancel is through within a second


def test_bad_jobs_fail_with_one_line_and_never_block_the_queue(
    catalog: Catalog, workers: Workers, journal: Path, tmp_path: Path
) -> None:
    kinds = ("crash", "refuse", "stumble", "full", "missing", "unheard-of")
    given = {kind: {"journal": str(journal), "output": str(tmp_path / f"{kind}.fits")} for kind in kinds}
    jobs = {kind: queue.enqueue(catalog, kind, given[kind], priority=1) for kind in kinds}
    good = queue.enqueue(catalog, "quick", {"journal": str(journal)})
    with catalog.write() as db:  # it died often already
        db.execute(update(Job).where(Job.id == jobs["crash"]).values(deaths=MAX_DEATHS - 2))
    workers.drain()
    assert status(catalog, good) == "done"
    records = {kind: queue.show(catalog, job) for kind, job in jobs.items()}
    assert {record.status for record in records.values()} == {"failed"}
    assert {kind: record.attempts for kind, record in records.items()} == {
        **dict.fromkeys(kinds, 1),
        "crash": 2,
    }
    errors = {kind: record.error or "" for kind, record in records.items()}
    assert "SIGKILL" in errors["crash"] and "10 times" in errors["crash"]
    assert errors["refuse"] == "m51.fits: there is nothing to stack"
    assert errors["stumble"].startswith("unexpected ValueError: shapes (3, 4) and (5,) do not match")
    assert "Traceback" in log_of(catalog, jobs["stumble"])
    assert "disk is full" in errors["full"] and "full.fits" in errors["full"]
    assert "no_such_module" in errors["missing"]
    assert "'unheard-of'" in errors["unheard-of"]
    assert not any("\n" in error for error in errors.values())
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_a_worker_that_is_asked_to_end_gives_its_job_back(
    catalog: Catalog, workers: Workers, journal: Path, tmp_path: Path
) -> None:
    job = queue.enqueue(catalog, "stubborn", {"journal": str(journal), "output": str(tmp_path / "o.fits")})
    worker = workers.start()
    eventually(lambda: queue.show(catalog, job).stage == "waiting")
    pids = [int(word) for word in lines(journal)[0].split()[1:]]
    worker.send_signal(signal.SIGHUP)  # is no reason to end
    worker.send_signal(signal.SIGTERM)
    said, _ = worker.communicate(timeout=DEADLINE_S)
    assert worker.returncode == 0 and "asked to end" in said
    record = queue.show(catalog, job)
    assert record.status == "queued" and record.error is None
    eventually(lambda: not any(process_start(pid) for pid in pids))
    assert not (tmp_path / f".o.fits.{job}.part").exists()


def test_the_work_dies_with_its_supervisor(
    catalog: Catalog, workers: Workers, journal: Path, tmp_path: Path
) -> None:
    job = queue.enqueue(catalog, "stubborn", {"journal": str(journal), "output": str(tmp_path / "o.fits")})
    worker = workers.start()
    eventually(lambda: queue.show(catalog, job).stage == "waiting")
    leader, child, stray, forked = (int(word) for word in lines(journal)[0].split()[1:])
    worker.kill()
    worker.wait()
    eventually(lambda: not any(process_start(pid) for pid in (leader, child, forked)))
    queue.cancel(catalog, job)  # nobody is there: this command itself ends the rest
    assert status(catalog, job) == "cancelled"
    eventually(lambda: not process_start(stray))
    assert not (tmp_path / f".o.fits.{job}.part").exists()


def test_the_lease_of_a_worker_elsewhere_is_taken_over_when_it_ends(
    catalog: Catalog, workers: Workers, journal: Path, tmp_path: Path
) -> None:
    far = elsewhere(pid=1, start="0")
    job = queue.enqueue(catalog, "staged", staged(journal, tmp_path / "out.bin"))
    leases.claim(catalog, far, lease_s=leases.LONGEST_LEASE_S)
    leases.finish_stage(catalog, job, far, "first", 1.0)
    waiting = workers.start("--drain", "--lease", "1", "--heartbeat", "0.2")
    eventually(lambda: _is_registered(catalog))
    assert status(catalog, job) == "running" and lines(journal) == []
    with catalog.write() as db:
        db.execute(update(Job).values(lease_until=now() - timedelta(seconds=1)))
    said, _ = waiting.communicate(timeout=DEADLINE_S)
    assert "no job is queued or running" in said
    assert status(catalog, job) == "done"
    assert f"kept {job} first" in lines(journal) and f"begin {job} first" not in lines(journal)


def test_a_worker_that_hangs_is_replaced_and_its_work_ended(
    catalog: Catalog, workers: Workers, journal: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = queue.enqueue(catalog, "gate", {"journal": str(journal), "gate": str(gate)})
    hung = workers.start("--drain", "--lease", "1", "--heartbeat", "0.2")
    eventually(lambda: lines(journal))
    first = int(lines(journal)[0].split()[2])
    eventually(lambda: _stopped_between_transactions(hung, catalog))
    other = workers.start("--drain", "--lease", "30")
    eventually(lambda: len(lines(journal)) == 2)
    assert not process_start(first)  # ended before the second one began
    hung.send_signal(signal.SIGCONT)
    eventually(lambda: "another worker has the job" in log_of(catalog, job))
    gate.touch()
    for process in (hung, other):
        process.communicate(timeout=DEADLINE_S)
    record = queue.show(catalog, job)
    assert record.status == "done" and record.attempts == 2 and queue.result(catalog, job) == {"passed": 2}


def test_a_worker_that_lost_its_lease_stops_without_touching_the_job(
    catalog: Catalog, workers: Workers, journal: Path, tmp_path: Path
) -> None:
    job = queue.enqueue(catalog, "stubborn", {"journal": str(journal), "output": str(tmp_path / "o.fits")})
    workers.start()
    eventually(lambda: queue.show(catalog, job).stage == "waiting")
    leader = int(lines(journal)[0].split()[1])
    far = elsewhere(pid=1, start="0")
    with catalog.write() as db:
        values = {"owner": far.token, "owner_host": far.host, "lease_until": now() + timedelta(seconds=100)}
        db.execute(update(Job).where(Job.id == job).values(values))
    eventually(lambda: not process_start(leader))
    assert leases.look(catalog, job, far) == leases.HeartbeatAnswer(lost=False, cancel=False)
    assert (tmp_path / f".o.fits.{job}.part").exists()  # it may be the new owner's by now


def test_a_drain_of_a_paused_queue_ends_and_says_so(
    catalog: Catalog, workers: Workers, journal: Path
) -> None:
    job = queue.enqueue(catalog, "quick", {"journal": str(journal)})
    queue.pause(catalog)
    assert "the queue is paused; 1 job not started" in workers.drain()
    assert status(catalog, job) == "queued"
    queue.resume(catalog)
    workers.drain()
    assert status(catalog, job) == "done"


def test_an_idle_worker_takes_what_comes(catalog: Catalog, workers: Workers, journal: Path) -> None:
    worker = workers.start()
    eventually(lambda: _is_registered(catalog))
    job = queue.enqueue(catalog, "quick", {"journal": str(journal)})
    eventually(lambda: status(catalog, job) == "done")
    assert worker.poll() is None
    worker.terminate()
    worker.communicate(timeout=DEADLINE_S)
    assert worker.returncode == 0


def test_launching_twice_starts_one_worker(catalog: Catalog, journal: Path, tmp_path: Path) -> None:
    assert launch.ensure_worker(catalog, command=FAKE_WORKER) is None  # nothing to do
    job = queue.enqueue(catalog, "staged", staged(journal, tmp_path / "out.bin", pause_s=0.02))
    pids = {launch.start_worker(catalog.path, command=FAKE_WORKER) for _ in range(3)}
    pids.add(launch.ensure_worker(catalog.path, command=FAKE_WORKER) or 0)
    eventually(lambda: status(catalog, job) == "running")
    assert launch.ensure_worker(catalog, command=FAKE_WORKER) is None
    ended = wait_for(catalog, job)
    assert ended.status == "done" and ended.attempts == 1
    eventually(lambda: not any(pid and process_start(pid) for pid in pids))
    said = logs.worker_log(catalog.path).read_text()
    assert "another worker serves the queue" in said and "no job is queued or running" in said


def test_a_second_worker_reads_folders_while_the_first_is_busy(
    catalog: Catalog, journal: Path, tmp_path: Path
) -> None:
    busy = queue.enqueue(catalog, "gate", {"journal": str(journal), "gate": str(tmp_path / "open")})
    first = launch.ensure_worker(catalog, command=FAKE_WORKER)
    eventually(lambda: status(catalog, busy) == "running")
    index = queue.enqueue(catalog, "index", {"journal": str(journal)})
    second = launch.ensure_worker(catalog, command=FAKE_WORKER)
    assert second is not None and second != first
    assert wait_for(catalog, index).status == "done" and status(catalog, busy) == "running"
    eventually(lambda: not process_start(second))  # it leaves the rest to the first
    assert "other workers serve the queue" in logs.worker_log(catalog.path).read_text()
    (tmp_path / "open").touch()
    assert wait_for(catalog, busy).status == "done"


def test_a_launched_worker_has_a_session_of_its_own(catalog: Catalog, journal: Path, tmp_path: Path) -> None:
    job = queue.enqueue(catalog, "staged", staged(journal, tmp_path / "out.bin", pause_s=0.02))
    pid = launch.ensure_worker(catalog, command=FAKE_WORKER)
    assert pid is not None and os.getsid(pid) == pid != os.getsid(0)
    assert wait_for(catalog, job).status == "done"


def test_a_worker_that_cannot_start_is_an_error(catalog: Catalog) -> None:
    queue.enqueue(catalog, "quick", {})
    with pytest.raises(JobError, match="the worker cannot be started"):
        launch.ensure_worker(catalog, command=("/no/such/python",))


def test_waiting_reports_changes_and_has_a_dead_worker_replaced(
    catalog: Catalog, workers: Workers, journal: Path, tmp_path: Path
) -> None:
    job = queue.enqueue(catalog, "staged", staged(journal, tmp_path / "out.bin", pause_s=0.03))
    first = workers.start("--drain")
    seen: list[JobRecord] = []
    replaced: list[subprocess.Popen[str]] = []

    def update_seen(record: JobRecord) -> None:
        if record.stage == "first" and not replaced and first.poll() is None:
            first.kill()
        seen.append(record)

    def replace() -> None:
        # A slow machine may ask before the first worker has begun, and again before its successor has.
        if first.poll() is not None and all(worker.poll() is not None for worker in replaced):
            replaced.append(workers.start("--drain"))

    ended = wait_for(catalog, job, update_seen, 0.02, ensure=replace)
    assert ended.status == "done" and ended == seen[-1]
    assert seen[0].status == "queued" and len(seen) == len({id(record) for record in seen})
    assert all(one != other for one, other in itertools.pairwise(seen))
    assert len(replaced) == 1 and ended.attempts == 2
    with pytest.raises(JobError, match="no job 99"):
        wait_for(catalog, 99)


def test_the_log_is_private_and_the_work_polite(
    catalog: Catalog, workers: Workers, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    job = queue.enqueue(catalog, "chatter", {"journal": str(journal)})
    workers.drain()
    text = log_of(catalog, job)
    for private in ("51.4778", "0 5.3", "153dd4e2", "12345678", "\x1b"):
        assert private not in text
    assert "GAIN=80" in text and "exposure=10" in text and "from a child" in text
    kernels, nice = lines(journal)[0].rsplit(" ", 1)
    assert kernels == str(places().kernels) and int(nice) >= 10


def test_progress_is_written_at_most_four_times_a_second(
    catalog: Catalog, workers: Workers, journal: Path, tmp_path: Path
) -> None:
    given = staged(journal, tmp_path / "out.bin", pause_s=0.05)
    job = queue.enqueue(catalog, "staged", given)
    workers.start("--drain")
    stamps: list[float] = []

    def note(record: JobRecord) -> None:
        if record.status == "running" and record.stage:
            stamps.append(time.monotonic())

    wait_for(catalog, job, note, 0.005)
    assert 2 <= len(stamps) <= 4 * (stamps[-1] - stamps[0]) + 2  # one more at the end, one for the first


def test_the_supervisor_loads_no_pixel_library() -> None:
    heavy = (
        "astropy",
        "ccdproc",
        "astroalign",
        "numba",
        "scipy",
        "sep",
        "skimage",
        "cv2",
        "textual",
        "numpy",
    )
    code = (
        "import sys, astrotui.jobs.worker, astrotui.jobs.launch, astrotui.jobs.queue, astrotui.jobs.wait,"
        " astrotui.jobs.environment, astrotui.jobs.estimates, astrotui.jobs.executors, astrotui.catalog.database;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    said = subprocess.run(
        [launch.WORKER[0], "-c", code], capture_output=True, text=True, check=True, timeout=DEADLINE_S
    )
    assert said.stdout.strip() == "[]"


def _stopped_between_transactions(process: "subprocess.Popen[str]", catalog: Catalog) -> bool:
    """Stop a process; one that holds the catalogue's lock just now goes on, because nobody could write."""
    process.send_signal(signal.SIGSTOP)
    with closing(sqlite3.connect(catalog.path, timeout=0.1, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            return False
    return True


def _is_registered(catalog: Catalog) -> bool:
    with catalog.read() as db:
        return bool(registry.live_workers(db))
