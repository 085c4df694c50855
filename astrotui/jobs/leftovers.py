"""Removes what dead workers left: their unfinished files and processes."""

from typing import TYPE_CHECKING

from sqlalchemy import select

from astrotui.catalog.models import Job
from astrotui.jobs.leases import reclaim
from astrotui.jobs.transitions import PARTS, remove_parts

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog


def remove_leftovers(catalog: "Catalog") -> list[str]:
    """Remove the unfinished files of jobs that no living worker runs; returns their paths.

    Running jobs of dead workers go back into the queue first, their processes are ended.
    """
    removed: list[str] = []
    with catalog.write() as db:
        reclaim(db, catalog.path)
        for job in db.execute(select(Job).where(Job.status != "running")).scalars():
            if job.result.get(PARTS):
                removed += remove_parts(job)
    return removed
