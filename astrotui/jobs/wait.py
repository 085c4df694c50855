"""Waiting for a job in a terminal: cheap polling, and a new worker should the old one die."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from astrotui.jobs.queue import needs_worker, show
from astrotui.jobs.records import JobRecord

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog

_CHECK_S = 2.0


def wait_for(
    catalog: "Catalog",
    job_id: int,
    on_update: Callable[[JobRecord], None] = lambda record: None,
    poll: float = 0.1,
    *,
    ensure: Callable[[], object] | None = None,
) -> JobRecord:
    """Wait until a job is done, failed or cancelled; returns it as it is then.

    Parameters
    ----------
    on_update : called with the job at once and whenever it changed
    poll : seconds between looks at the catalogue's change counter
    ensure : called, every two seconds at most, when jobs wait and no living worker serves them; usually
        `lambda: launch.ensure_worker(catalog)`

    Raises
    ------
    JobError
        There is no such job.
    KeyboardInterrupt
        Passed on to the caller; the job goes on.
    """
    seen: int | None = None
    last: JobRecord | None = None
    check_at = time.monotonic() + _CHECK_S
    while True:
        version = catalog.data_version()
        if version != seen:
            seen = version
            record = show(catalog, job_id)
            if record != last:
                last = record
                on_update(record)
            if record.is_final:
                return record
        if ensure is not None and time.monotonic() >= check_at:
            check_at = time.monotonic() + _CHECK_S
            if needs_worker(catalog):
                ensure()
        time.sleep(poll)
