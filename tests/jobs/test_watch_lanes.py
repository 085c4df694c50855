"""A watch runs beside the stacks, and the queue goes on while it waits for the sky."""

from pathlib import Path

from astrotui.catalog.database import Catalog
from astrotui.jobs import leases, queue, registry
from astrotui.jobs.owner import this_process


def claimed(catalog: Catalog) -> list[str]:
    """The kinds of all jobs that may start now, in the order in which they are taken."""
    kinds = []
    while (record := leases.claim(catalog, this_process())) is not None:
        kinds.append(record.kind)
    return kinds


def test_a_watch_holds_up_nothing(catalog: Catalog) -> None:
    for kind in ("watch", "stack", "stack", "index", "render", "watch", "watch"):
        queue.enqueue(catalog, kind, {})
    # One stack a slot, one short job, and two watches: two telescopes.
    assert sorted(claimed(catalog)) == ["index", "stack", "watch", "watch"]
    with catalog.read() as db:
        assert registry.most_workers(db) == 1 + 1 + 2


def test_a_watch_asks_for_a_worker_of_its_own(catalog: Catalog) -> None:
    owner = this_process()
    queue.enqueue(catalog, "stack", {})
    with catalog.write() as db:
        assert registry.register(db, owner, most=registry.most_workers(db))
    assert leases.claim(catalog, owner) is not None
    assert not queue.needs_worker(catalog)
    watch = queue.enqueue(catalog, "watch", {})
    assert queue.needs_worker(catalog)
    queue.cancel(catalog, watch)
    assert not queue.needs_worker(catalog)


def test_two_watches_of_one_result_are_refused(catalog: Catalog, tmp_path: Path) -> None:
    import pytest

    from astrotui.errors import JobError

    queue.enqueue(catalog, "watch", {"output": str(tmp_path / "m42.fits")})
    with pytest.raises(JobError, match="job 1 is going to write this file"):
        queue.enqueue(catalog, "stack", {"output": str(tmp_path / "m42.fits")})
