"""The job of kind `watch`: a stack that grows while frames arrive."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from astrotui.catalog.models import Job
from astrotui.config import load_settings, parse_size, places
from astrotui.jobs.records import now
from astrotui.jobs.watch_folder import Folders
from astrotui.jobs.watch_loop import Loop, Orders
from astrotui.jobs.watch_round import Rounds

if TYPE_CHECKING:
    from astrotui.jobs.work import Work

_YIELDS = 5  # of niceness: stacks that somebody waits for go first


def run_watch(work: "Work") -> None:
    """Stack what arrives in folders, again and again.

    Payload: `folders` to look at, `sessions` that were named (none: the kind of the newest frames), `orders` of when and
    how long (`Orders`), `recipe`, other `options` of a stack, `output` or "" for a free name in `folder`.
    """
    from astrotui.library.master_cache import hold_to_cap

    payload = work.payload
    with suppress(OSError):
        os.nice(_YIELDS)
    folders = [Path(folder) for folder in payload["folders"]]
    rounds = Rounds(work, folders)
    orders = Orders(**payload["orders"])
    with work.catalog.read() as db:
        started = db.scalar(select(Job.started).where(Job.id == work.job_id))
    elapsed = (
        now() - (started or now())
    ).total_seconds()  # of earlier attempts too, but for those before a retry
    looks = Folders(folders, settle_s=min(2.0, orders.poll_s), own=rounds.own_files)
    reason = Loop(orders, looks, rounds, elapsed_s=max(0.0, elapsed)).run()
    rounds.keep(ended=reason)
    hold_to_cap(places().masters, parse_size(load_settings().masters_cap))
    work.log.info("ended: %s", reason)
