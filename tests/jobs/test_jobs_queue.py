"""The queue as people use it, and the rules by which jobs are claimed; no processes."""

import multiprocessing
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from sqlalchemy import update

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Job
from astrotui.errors import JobError, UsageError
from astrotui.jobs import leases, queue, registry
from astrotui.jobs.leftovers import remove_leftovers
from astrotui.jobs.owner import this_process
from astrotui.jobs.records import now
from astrotui.jobs.transitions import MAX_DEATHS
from tests.jobs.job_helpers import dead_here, elsewhere, status

DESIGN_KEYS = {
    "id", "kind", "status", "stage", "done", "total", "eta_s", "attempts", "created", "started", "finished", "error",
}  # fmt: skip


def run_out(catalog: Catalog, job_id: int) -> None:
    """Let the lease of a job have ended a second ago."""
    with catalog.write() as db:
        db.execute(update(Job).where(Job.id == job_id).values(lease_until=now() - timedelta(seconds=1)))


def test_a_job_has_the_keys_of_the_contract(catalog: Catalog) -> None:
    job = queue.enqueue(catalog, "stack", {"sessions": [1]}, title="M 51", priority=2)
    table = queue.show(catalog, job).to_dict()
    assert set(table) >= DESIGN_KEYS
    assert table["status"] == "queued" and table["title"] == "M 51" and table["priority"] == 2
    assert table["created"].endswith("Z")
    assert table["total"] is table["eta_s"] is table["started"] is table["error"] is None
    assert queue.payload(catalog, job) == {"sessions": [1]}
    assert [record.id for record in queue.list_jobs(catalog)] == [job]


def test_claiming_takes_priority_first_then_age(catalog: Catalog) -> None:
    low, high, also_low = (queue.enqueue(catalog, "quick", {}, priority=p) for p in (0, 5, 0))
    owner, order = this_process(), []
    while record := leases.claim(catalog, owner):
        order.append(record.id)
        assert record.status == "running" and record.attempts == 1 and record.started is not None
        assert leases.finish(catalog, record.id, owner)
    assert order == [high, low, also_low]


def test_priority_can_change_while_queued(catalog: Catalog) -> None:
    first, second = (queue.enqueue(catalog, "quick", {}) for _ in range(2))
    queue.set_priority(catalog, second, 1)
    record = leases.claim(catalog, this_process())
    assert record is not None and record.id == second
    with pytest.raises(JobError, match=f"job {second} is running"):
        queue.set_priority(catalog, second, 2)
    assert status(catalog, first) == "queued"


def test_one_job_at_a_time_unless_there_are_more_slots(catalog: Catalog) -> None:
    for _ in range(3):
        queue.enqueue(catalog, "quick", {})
    assert leases.claim(catalog, this_process()) is not None
    assert leases.claim(catalog, this_process()) is None
    queue.set_slots(catalog, 2)
    assert leases.claim(catalog, this_process()) is not None
    assert leases.claim(catalog, this_process()) is None
    with pytest.raises(UsageError):
        queue.set_slots(catalog, 0)


def test_folders_are_read_beside_a_stack(catalog: Catalog) -> None:
    owner = this_process()
    stack, index, again, waits = (
        queue.enqueue(catalog, kind, {}) for kind in ("stack", "index", "index", "stack")
    )
    with catalog.write() as db:
        registry.register(db, owner)
    assert [record.id for _ in range(3) if (record := leases.claim(catalog, owner))] == [stack, index]
    leases.finish(catalog, index, owner)
    assert queue.needs_worker(catalog)  # the only worker is busy, and `again` could start
    assert [record.id for _ in range(2) if (record := leases.claim(catalog, owner))] == [again]
    assert not queue.needs_worker(catalog)  # `waits` could not
    leases.finish(catalog, stack, owner)
    assert [record.id for _ in range(2) if (record := leases.claim(catalog, owner))] == [waits]


def test_a_paused_queue_gives_no_job(catalog: Catalog) -> None:
    queue.enqueue(catalog, "quick", {})
    assert not queue.is_paused(catalog)
    queue.pause(catalog)
    assert queue.is_paused(catalog)
    assert leases.claim(catalog, this_process()) is None
    queue.resume(catalog)
    assert leases.claim(catalog, this_process()) is not None


def test_a_job_waits_for_the_one_it_comes_after(catalog: Catalog) -> None:
    owner = this_process()
    queue.set_slots(catalog, 2)
    first = queue.enqueue(catalog, "measure", {})
    second = queue.enqueue(catalog, "stack", {}, after=first, priority=9)
    record = leases.claim(catalog, owner)
    assert record is not None and record.id == first
    assert leases.claim(catalog, owner) is None
    leases.finish(catalog, first, owner)
    record = leases.claim(catalog, owner)
    assert record is not None and record.id == second and record.after == first
    with pytest.raises(JobError, match="no job 99"):
        queue.enqueue(catalog, "stack", {}, after=99)


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_jobs_that_wait_in_vain_fail_with_the_reason(catalog: Catalog, how: str) -> None:
    owner = this_process()
    first = queue.enqueue(catalog, "measure", {})
    second = queue.enqueue(catalog, "stack", {}, after=first)
    third = queue.enqueue(catalog, "render", {}, after=second)
    if how == "failed":
        leases.claim(catalog, owner)
        leases.fail(catalog, first, owner, "no stars")
    else:
        queue.cancel(catalog, first)
    assert status(catalog, first) == how
    assert queue.show(catalog, second).error == f"job {first}, which it waits for, " + (
        "failed" if how == "failed" else "was cancelled"
    )
    assert status(catalog, third) == "failed"
    late = queue.enqueue(catalog, "stack", {}, after=first)
    assert leases.claim(catalog, owner) is None
    assert status(catalog, late) == "failed"


def test_processes_that_race_for_jobs_get_each_once(catalog: Catalog, tmp_path: Path) -> None:
    jobs = [queue.enqueue(catalog, "quick", {}) for _ in range(30)]
    queue.set_slots(catalog, len(jobs))
    context = multiprocessing.get_context("fork")
    begin = context.Barrier(5)
    racers = [
        context.Process(target=_race, args=(catalog, begin, tmp_path / f"{number}.txt"))
        for number in range(5)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    taken = [int(line) for path in tmp_path.glob("*.txt") for line in path.read_text().split()]
    assert sorted(taken) == jobs
    assert {record.attempts for record in queue.list_jobs(catalog)} == {1}
    assert {record.status for record in queue.list_jobs(catalog)} == {"done"}


def _race(catalog: Catalog, begin: Barrier, told: Path) -> None:
    owner = this_process()
    begin.wait(60)
    with told.open("w") as stream:
        while record := leases.claim(catalog, owner):
            stream.write(f"{record.id}\n")
            assert leases.finish(catalog, record.id, owner)


def test_only_the_owner_changes_a_job(catalog: Catalog, tmp_path: Path) -> None:
    owner, other = this_process(), this_process()
    job = queue.enqueue(catalog, "quick", {})
    leases.claim(catalog, owner)
    assert leases.heartbeat(catalog, job, owner) == leases.HeartbeatAnswer(lost=False, cancel=False)
    assert leases.heartbeat(catalog, job, other).lost
    assert leases.look(catalog, job, other).lost
    refused = [
        leases.progress(catalog, job, other, "a", done=1),
        leases.finish_stage(catalog, job, other, "a", 1.0),
        leases.note_part(catalog, job, other, tmp_path / f".x.{job}.part"),
        leases.set_plan(catalog, job, other, tmp_path, "0"),
        leases.set_result(catalog, job, other, {"x": 1}),
        leases.finish(catalog, job, other),
        leases.fail(catalog, job, other, "x"),
        leases.died(catalog, job, other, "x"),
        leases.release(catalog, job, other),
    ]
    assert not any(refused)
    assert leases.work_order(catalog, job, other) is None
    record = queue.show(catalog, job)
    assert record.status == "running" and record.stage is None and queue.result(catalog, job) == {}
    assert leases.progress(catalog, job, owner, "a", done=3, total=7, eta_s=1.5)
    record = queue.show(catalog, job)
    assert (record.stage, record.done, record.total, record.eta_s) == ("a", 3, 7, 1.5)


def test_a_dead_worker_here_loses_its_job_at_once(catalog: Catalog) -> None:
    gone = dead_here()
    job = queue.enqueue(catalog, "quick", {})
    assert leases.claim(catalog, gone) is not None
    record = leases.claim(catalog, this_process())
    assert record is not None and record.id == job and record.attempts == 2


def test_a_worker_elsewhere_keeps_its_job_until_the_lease_ends(catalog: Catalog) -> None:
    far, here = elsewhere(pid=1, start="0"), this_process()
    job = queue.enqueue(catalog, "quick", {})
    leases.claim(catalog, far)
    assert leases.claim(catalog, here) is None
    run_out(catalog, job)
    assert leases.heartbeat(catalog, job, far) == leases.HeartbeatAnswer(lost=False, cancel=False)
    assert leases.claim(catalog, here) is None  # it came back in time
    run_out(catalog, job)
    record = leases.claim(catalog, here)
    assert record is not None and record.id == job
    assert leases.heartbeat(catalog, job, far).lost
    assert not leases.finish(catalog, job, far)
    assert leases.finish(catalog, job, here)


def test_a_lease_from_before_the_clock_was_set_back_does_not_block(catalog: Catalog) -> None:
    job = queue.enqueue(catalog, "quick", {})
    leases.claim(catalog, elsewhere(pid=1, start="0"), lease_s=3 * 3600)
    record = leases.claim(catalog, this_process())
    assert record is not None and record.id == job


def test_ten_deaths_in_a_row_fail_a_job_and_a_finished_stage_forgives(catalog: Catalog) -> None:
    owner = this_process()
    job = queue.enqueue(catalog, "crash", {})
    for death in range(MAX_DEATHS - 1):
        leases.claim(catalog, owner)
        leases.died(catalog, job, owner, f"death {death}")
        assert queue.show(catalog, job).error == f"death {death}"
    leases.claim(catalog, owner)
    leases.finish_stage(catalog, job, owner, "measuring", 2.0)
    leases.died(catalog, job, owner, "after a stage")
    for _ in range(MAX_DEATHS - 2):
        leases.claim(catalog, owner)
        leases.died(catalog, job, owner, "again")
    assert status(catalog, job) == "queued"
    leases.claim(catalog, owner)
    leases.died(catalog, job, owner, "killed")
    record = queue.show(catalog, job)
    assert record.status == "failed" and record.attempts == 2 * MAX_DEATHS - 1
    assert record.error == "ended 10 times in a row without finishing a stage; the last time: killed"
    assert queue.finished_stages(catalog, job) == {"measuring": 2.0}


def test_a_release_is_no_death(catalog: Catalog) -> None:
    owner = this_process()
    job = queue.enqueue(catalog, "quick", {})
    for _ in range(2 * MAX_DEATHS):
        assert leases.claim(catalog, owner) is not None
        assert leases.release(catalog, job, owner)
    assert queue.show(catalog, job).error is None
    assert status(catalog, job) == "queued"


def test_a_job_that_dies_often_lets_others_go_first(catalog: Catalog) -> None:
    owner = this_process()
    bad = queue.enqueue(catalog, "crash", {})
    good = queue.enqueue(catalog, "quick", {})
    taken = []
    for _ in range(leases.PATIENT_DEATHS + 1):
        record = leases.claim(catalog, owner)
        assert record is not None
        taken.append(record.id)
        leases.died(catalog, record.id, owner, "killed")
    assert taken == [bad] * leases.PATIENT_DEATHS + [good]


def test_cancel_ends_queued_jobs_and_those_of_dead_workers_at_once(catalog: Catalog, tmp_path: Path) -> None:
    gone = dead_here()
    queued = queue.enqueue(catalog, "quick", {})
    assert queue.cancel(catalog, queued).status == "cancelled"
    with pytest.raises(JobError, match="it is cancelled"):
        queue.cancel(catalog, queued)
    job = queue.enqueue(catalog, "quick", {})
    leases.claim(catalog, gone)
    part = tmp_path / f".out.fits.{job}.part"
    leases.note_part(catalog, job, gone, part)
    part.write_bytes(b"half")
    record = queue.cancel(catalog, job)
    assert record.status == "cancelled" and record.finished is not None
    assert not part.exists()


def test_cancel_of_a_running_job_is_a_wish_that_its_worker_sees(catalog: Catalog) -> None:
    owner = this_process()
    job = queue.enqueue(catalog, "quick", {})
    leases.claim(catalog, owner)
    before = catalog.data_version()
    assert queue.cancel(catalog, job).status == "running"
    assert catalog.data_version() != before
    assert leases.look(catalog, job, owner).cancel
    assert leases.heartbeat(catalog, job, owner).cancel
    leases.died(catalog, job, owner, "ended")
    assert status(catalog, job) == "cancelled"


def test_retry_keeps_payload_plan_and_stages(catalog: Catalog, tmp_path: Path) -> None:
    owner = this_process()
    job = queue.enqueue(catalog, "stack", {"sessions": [3]})
    leases.claim(catalog, owner)
    with pytest.raises(JobError, match=f"job {job} is running"):
        queue.retry(catalog, job)
    leases.set_plan(catalog, job, owner, tmp_path / "plan.json", "abc")
    leases.finish_stage(catalog, job, owner, "masters", 4.0)
    queue.cancel(catalog, job)
    leases.died(catalog, job, owner, "ended")
    record = queue.retry(catalog, job)
    assert record.status == "queued" and record.error is None and record.finished is None
    leases.claim(catalog, owner)
    order = leases.work_order(catalog, job, owner)
    assert order is not None
    assert order.payload == {"sessions": [3]} and order.stages == {"masters": 4.0}
    assert order.plan_path == str(tmp_path / "plan.json") and order.plan_digest == "abc"
    assert not leases.look(catalog, job, owner).cancel
    leases.finish(catalog, job, owner)
    with pytest.raises(JobError, match="is done"):
        queue.retry(catalog, job)


def test_unfinished_files_go_with_the_next_attempt_and_nothing_else_does(
    catalog: Catalog, tmp_path: Path
) -> None:
    gone, owner = dead_here(), this_process()
    job = queue.enqueue(catalog, "quick", {})
    leases.claim(catalog, gone)
    part, raw = tmp_path / f".m51.fits.{job}.part", tmp_path / "light_001.fits"
    for path in (part, raw):
        path.write_bytes(b"x")
        leases.note_part(catalog, job, gone, path)
    record = leases.claim(catalog, owner)
    assert record is not None and part.exists()
    assert leases.clean_up(catalog, record, owner) == [str(part)]
    assert not part.exists() and raw.exists()
    assert queue.result(catalog, job) == {}
    assert leases.clean_up(catalog, record, owner) == []


def test_leftovers_of_dead_workers_are_removed_and_those_of_living_ones_stay(
    catalog: Catalog, tmp_path: Path
) -> None:
    queue.set_slots(catalog, 2)
    here, gone = this_process(), dead_here()
    jobs = [queue.enqueue(catalog, "quick", {}) for _ in range(3)]
    for job, owner in zip(jobs, (here, gone), strict=False):
        leases.claim(catalog, owner)
        leases.note_part(catalog, job, owner, tmp_path / f".x.{job}.part")
        (tmp_path / f".x.{job}.part").touch()
    assert remove_leftovers(catalog) == [str(tmp_path / f".x.{jobs[1]}.part")]
    assert [path.name for path in tmp_path.glob(".x.*")] == [f".x.{jobs[0]}.part"]
    assert [record.status for record in queue.list_jobs(catalog)] == ["running", "queued", "queued"]
    assert remove_leftovers(catalog) == []


def test_whose_unfinished_file_is_it(catalog: Catalog) -> None:
    job = queue.enqueue(catalog, "quick", {})
    assert not leases.is_tag_alive(catalog, str(job))
    leases.claim(catalog, this_process())
    assert leases.is_tag_alive(catalog, str(job))
    assert not leases.is_tag_alive(catalog, "9999")
    assert not leases.is_tag_alive(catalog, "../x")


def test_an_unknown_job_is_an_error_that_names_it(catalog: Catalog) -> None:
    for act in (queue.show, queue.cancel, queue.retry, queue.payload, queue.result, queue.finished_stages):
        with pytest.raises(JobError, match="no job 7"):
            act(catalog, 7)


def test_workers_are_registered_once_and_forgotten_when_dead(catalog: Catalog) -> None:
    first, second, gone = this_process(), this_process(), dead_here()
    with catalog.write() as db:
        assert registry.register(db, gone, most=1)
        assert registry.register(db, first, most=1)  # the dead one does not count
        assert not registry.register(db, second, most=1)
        assert registry.register(db, second)
        assert {owner.token for owner in registry.live_workers(db)} == {first.token, second.token}
        registry.unregister(db, first)
        assert [owner.token for owner in registry.live_workers(db)] == [second.token]


def test_a_silent_worker_serves_nobody(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    with catalog.write() as db:
        registry.register(db, elsewhere())
        assert len(registry.live_workers(db)) == 1
        later = now() + timedelta(seconds=registry.STALE_S + 1)
        monkeypatch.setattr(registry, "now", lambda: later)
        assert registry.live_workers(db) == []


def test_when_a_worker_is_needed(catalog: Catalog) -> None:
    assert not queue.needs_worker(catalog)
    job = queue.enqueue(catalog, "quick", {})
    assert queue.needs_worker(catalog)
    queue.pause(catalog)
    assert not queue.needs_worker(catalog)
    queue.resume(catalog)
    owner = this_process()
    with catalog.write() as db:
        registry.register(db, owner)
    assert not queue.needs_worker(catalog)
    leases.claim(catalog, owner)
    with catalog.write() as db:
        registry.unregister(db, owner)
    assert not queue.needs_worker(catalog)  # it runs
    leases.release(catalog, job, owner)
    leases.claim(catalog, dead_here())
    queue.pause(catalog)
    assert queue.needs_worker(catalog)  # left by a dead worker: someone has to tell


def test_two_jobs_for_one_file_are_refused(catalog: Catalog) -> None:
    first = queue.enqueue(catalog, "stack", {"output": "/data/m51.fits"})
    with pytest.raises(JobError, match=rf"/data/m51\.fits: job {first} is going to write this file"):
        queue.enqueue(catalog, "render", {"output": "/data/m51.fits"})
    queue.enqueue(catalog, "stack", {"output": ""})  # the worker will choose a free name
    queue.enqueue(catalog, "stack", {"output": ""})
    queue.cancel(catalog, first)
    assert queue.enqueue(catalog, "stack", {"output": "/data/m51.fits"}) > first
