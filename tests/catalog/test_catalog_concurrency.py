"""Several processes on one catalogue: nothing is lost, nobody is locked out, readers see whole states."""

import multiprocessing
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

from catalog_rows import frame, root, session
from sqlalchemy import func, insert, select, update

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Decision, DecisionBatch, Frame, Measurement, Root
from astrotui.catalog.summaries import session_totals

# Transactions of each process; more for a longer run.
ROUNDS = int(os.environ.get("ASTROTUI_CATALOG_ROUNDS", "40"))
SPAWN = multiprocessing.get_context("spawn")
BATCH = 50
DECIDED = 10


def index(path: Path, worker: int) -> None:
    """Adds frames in batches, as indexing does."""
    with Catalog.open(path) as catalog:
        for number in range(ROUNDS):
            with catalog.write(durable=False) as db:
                rows = [_row(worker, number * BATCH + count) for count in range(BATCH)]
                db.execute(insert(Frame), rows)


def measure(path: Path) -> None:
    """Measures what is unmeasured, reading and writing in one transaction."""
    with Catalog.open(path) as catalog:
        for _ in range(ROUNDS):
            with catalog.write(durable=False) as db:
                ids = db.scalars(select(Frame.id).where(~Frame.measured).limit(BATCH)).all()
                now = datetime.now(UTC)
                rows = [{"frame_id": one, "version": 1, "measured": now, "stars": 1} for one in ids]
                if rows:
                    db.execute(insert(Measurement), rows)


def decide(path: Path, first: int) -> None:
    """Changes its own frames one by one, each with a row that tells of it."""
    with Catalog.open(path) as catalog:
        for number in range(ROUNDS):
            with catalog.write() as db:
                row = db.get_one(Frame, first + number % DECIDED)
                batch = DecisionBatch(made=datetime.now(UTC), by="person", description="test")
                db.add(batch)
                db.flush()
                after = "accepted" if row.decision != "accepted" else "rejected"
                db.add(Decision(batch_id=batch.id, frame_id=row.id, before=row.decision, after=after))
                db.execute(update(Frame).where(Frame.id == row.id).values(decision=after))


def watch(path: Path, stop: Event, answer: Connection) -> None:
    """Reads totals until told to stop; every state must hold whole batches."""
    torn = reads = 0
    with Catalog.open(path) as catalog:
        while not stop.is_set():
            with catalog.read() as db:
                lights = db.execute(select(session_totals())).mappings().one()["lights"]
                frames = db.scalar(select(func.count()).select_from(Frame))
            torn += lights != frames or (lights - 2 * DECIDED) % BATCH != 0
            reads += 1
    answer.send((torn, reads))


def test_indexers_a_measurer_deciders_and_readers(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    with Catalog.open(path) as catalog, catalog.write() as db:
        db.add(root(id=1))
        db.flush()
        db.add(session(1, id=1))
        db.flush()
        db.add_all(frame(number, id=number) for number in range(1, 2 * DECIDED + 1))
    stop = SPAWN.Event()
    answer, sender = SPAWN.Pipe(duplex=False)
    watcher = SPAWN.Process(target=watch, args=(path, stop, sender))
    writers = [
        SPAWN.Process(target=index, args=(path, 1)),
        SPAWN.Process(target=index, args=(path, 2)),
        SPAWN.Process(target=measure, args=(path,)),
        SPAWN.Process(target=decide, args=(path, 1)),
        SPAWN.Process(target=decide, args=(path, 1 + DECIDED)),
    ]
    for process in (watcher, *writers):
        process.start()
    for process in writers:
        process.join()
    stop.set()
    torn, reads = answer.recv()
    watcher.join()
    assert [process.exitcode for process in (watcher, *writers)] == [0] * 6
    assert (torn, reads > 0) == (0, True)
    with Catalog.open(path) as catalog:
        assert catalog.integrity() == []
        with catalog.read() as db:
            assert db.scalar(select(func.count()).select_from(Frame)) == 2 * DECIDED + 2 * ROUNDS * BATCH
            assert db.scalar(select(func.count()).select_from(DecisionBatch)) == 2 * ROUNDS
            measured = db.scalar(select(func.count()).select_from(Measurement))
            assert measured == db.scalar(select(func.count()).where(Frame.measured))
            # Every decision began where the one before it on that frame had ended: none was lost.
            for one in range(1, 2 * DECIDED + 1):
                steps = db.execute(
                    select(Decision.before, Decision.after)
                    .where(Decision.frame_id == one)
                    .order_by(Decision.id)
                ).all()
                states = ["undecided", *(after for _, after in steps)]
                assert [before for before, _ in steps] == states[:-1]
                assert db.get_one(Frame, one).decision == states[-1]


COMMITTER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Root
catalog = Catalog(Path(sys.argv[1]))
for number in range(100_000):
    with catalog.write() as db:
        db.add(Root(path=f"/{sys.argv[2]}/{number}", added=datetime.now(UTC)))
    print(number, flush=True)
"""


def test_what_was_committed_outlives_a_kill_at_any_moment(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.sqlite")
    for life in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", COMMITTER, catalog.path, str(life)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(20 + 7 * life):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)  # wherever it is by now
        told = [line for line in process.stdout.read().splitlines() if line]
        process.wait()
        process.stdout.close()
        last = int(told[-1]) if told else 19 + 7 * life
        assert catalog.integrity() == []
        with catalog.read() as db:
            kept = db.scalar(select(func.count()).where(Root.path.startswith(f"/{life}/")))
        assert kept in (last + 1, last + 2)  # the last one may have been on disk and not told of yet


def _row(worker: int, number: int) -> dict[str, object]:
    return {
        "root_id": 1, "session_id": 1, "path": f"{worker}/{number}", "size": 1, "mtime_ns": 1, "missing": False,
        "decision": "undecided", "warnings": [], "reasons": [], "tags": [],
    }  # fmt: skip
