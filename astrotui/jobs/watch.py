"""The job of kind `watch`: a stack that grows while frames arrive."""

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from astrotui.jobs.records import now
from astrotui.jobs.watch_folder import Folders
from astrotui.jobs.watch_loop import Loop, Orders
from astrotui.jobs.watch_round import Rounds

if TYPE_CHECKING:
    from astrotui.jobs.work import Work

_YIELDS = 5  # of niceness: stacks that somebody waits for go first


def run_watch(work: "Work") -> None:
    """Stack what arrives in folders, again and again; payload as `watch_payload` makes it."""
    payload = work.payload
    with suppress(OSError):
        os.nice(_YIELDS)
    folders = [Path(folder) for folder in payload["folders"]]
    rounds = Rounds(work, folders)
    orders = Orders(**payload["orders"])
    rounds.keep(began=rounds.state.get("began") or now().isoformat())
    elapsed = (now() - datetime.fromisoformat(rounds.state["began"])).total_seconds()
    looks = Folders(folders, settle_s=min(2.0, orders.poll_s), own=rounds.own_files)
    reason = Loop(orders, looks, rounds, elapsed_s=max(0.0, elapsed)).run()
    rounds.keep(ended=reason)
    work.log.info("ended: %s", reason)
