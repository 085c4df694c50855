"""Two indexers, a worker, readers and deciders on one catalogue: nothing is lost, nobody is turned away.

Runs for a few seconds; `ASTROTUI_SOAK=300` runs it for so many seconds.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Decision, DecisionBatch
from astrotui.library.index import index_roots
from astrotui.library.listing import list_frames, list_sessions

SECONDS = float(os.environ.get("ASTROTUI_SOAK", "6"))

COMMON = """
import json, sys, time
from pathlib import Path
from astrotui.catalog.database import Catalog
catalog = Catalog.open(Path(sys.argv[1]))
extra = sys.argv[3]
rounds = 0
until = None
def left():  # the clock starts when the libraries are loaded: all are at it at the same time
    global until
    until = until or time.time() + float(sys.argv[2])
    return time.time() < until
"""
INDEXER = """
import shutil
from astrotui.library.index import index_roots
root = Path(extra)
frame = sorted(root.rglob("*.fits"))[0]
while left():
    index_roots(catalog, [root])
    rounds += 1
    copy = frame.with_name(f"copy_{rounds}.fits")
    shutil.copy(frame, copy)
    index_roots(catalog, [root])
    copy.unlink()
"""
READER = """
from astrotui.library.listing import list_frames, list_sessions
while left():
    for session in list_sessions(catalog):
        frames = list_frames(catalog, [session.id], "status:rejected , -status:rejected")
        assert len(frames) <= session.lights + 5
    rounds += 1
"""
DECIDER = """
from astrotui.library.choose import decide
ids = json.loads(extra)
made = []
while left():
    verdict = ("rejected", "accepted")[rounds % 2]
    made.append((decide(catalog, ids, verdict, reasons={i: [f"round {rounds}"] for i in ids}).batch, verdict))
    rounds += 1
print(json.dumps(made))
"""
# Jobs that only read headers: what counts here is the traffic of leases, heartbeats and progress.
QUEUER = """
from astrotui.jobs.queue import enqueue, list_jobs
made = []
while left():
    if len(list_jobs(catalog, live_only=True)) > 4:  # a longer queue would only have to be worked off at the end
        time.sleep(0.05)
        continue
    made.append(enqueue(catalog, "index", {"roots": [extra]}, title=f"round {rounds}"))
    rounds += 1
print(json.dumps(made))
"""
END = "\nprint(rounds, file=sys.stderr)\n"


def test_nothing_is_lost(tmp_path: Path, samples: Path) -> None:
    roots = [tmp_path / name for name in ("one", "two")]
    shutil.copytree(samples / "DWARF_II", roots[0])
    shutil.copytree(samples / "DWARF3", roots[1])
    path = tmp_path / "c.sqlite"
    with Catalog.open(path) as catalog:
        index_roots(catalog, roots)
        frames = [f.id for s in list_sessions(catalog) for f in list_frames(catalog, [s.id])]
    third = len(frames) // 3

    def start(code: str, extra: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", COMMON + code + END, str(path), str(SECONDS), extra]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    people = {
        "indexer one": start(INDEXER, str(roots[0])),
        "indexer two": start(INDEXER, str(roots[1])),
        "reader one": start(READER, ""),
        "reader two": start(READER, ""),
        "decider one": start(DECIDER, json.dumps(frames[:third])),
        "decider two": start(DECIDER, json.dumps(frames[third : 2 * third])),
        "queuer": start(QUEUER, str(roots[1])),
    }
    worker = subprocess.Popen(
        [sys.executable, "-m", "astrotui.jobs.worker", "--catalog", str(path)],
        stderr=subprocess.PIPE,
        text=True,
    )
    said = {}
    for name, process in people.items():
        out, err = process.communicate(timeout=SECONDS + 240)
        assert process.returncode == 0, f"{name}: {err}"
        assert "locked" not in err
        said[name] = (out, int(err.split()[-1]))
    drained = subprocess.run(
        [sys.executable, "-m", "astrotui", "--catalog", str(path), "worker", "--drain"],
        capture_output=True,
        text=True,
        timeout=SECONDS + 240,
        check=False,
    )
    worker.terminate()
    _, worker_said = worker.communicate(timeout=60)
    assert drained.returncode == 0, drained.stderr
    assert "locked" not in worker_said and "Traceback" not in worker_said
    assert all(rounds > 0 for _, rounds in said.values()), said
    with Catalog.open(path) as catalog:
        assert catalog.integrity() == []
        from astrotui.jobs.queue import list_jobs

        jobs = {job.id: job for job in list_jobs(catalog)}
        assert {jobs[i].status for i in json.loads(said["queuer"][0])} == {"done"}
        with catalog.read() as db:
            for name, ids in (("decider one", frames[:third]), ("decider two", frames[third : 2 * third])):
                made = json.loads(said[name][0])
                for batch, verdict in made:
                    row = db.get_one(DecisionBatch, batch)
                    assert row.state == "done" and verdict in row.description
                    changes = db.query(Decision).where(Decision.batch_id == batch).all()
                    assert sorted(c.frame_id for c in changes) == sorted(ids)
        final = {f.id: f.status for s in list_sessions(catalog) for f in list_frames(catalog, [s.id])}
        for name, ids in (("decider one", frames[:third]), ("decider two", frames[third : 2 * third])):
            verdict = json.loads(said[name][0])[-1][1]
            assert {final[i] for i in ids} == {verdict}
