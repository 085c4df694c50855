"""Unfinished files of workers that died before anybody could clear up after them."""

from typing import TYPE_CHECKING

from sqlalchemy import select

from astrotui.catalog.models import Job
from astrotui.jobs.owner import is_dead
from astrotui.jobs.transitions import owner_of, remove_parts

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog


def remove_leftovers(catalog: "Catalog") -> list[str]:
    """Remove the unfinished files of all jobs that nobody works on; returns their paths."""
    removed: list[str] = []
    with catalog.write() as db:
        for job in db.scalars(select(Job).where(Job.result.is_not(None))):
            owner = owner_of(job)
            if job.status != "running" or owner is None or is_dead(owner):
                removed += remove_parts(job)
    return removed
