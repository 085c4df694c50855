"""Work for tests: handlers that take their time, stop, crash or misbehave on request.

Run as the work command of a supervisor: `python fake_work.py JOB_ID --catalog PATH ...`.
"""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from astrotui.errors import JobError
from astrotui.jobs.context import Work
from astrotui.jobs.work import main

CONTENT = b"0123456789abcdef" * 4096


def note(journal: str | Path, *words: object) -> None:
    """Append a line to the journal, whole even when several processes write."""
    with Path(journal).open("ab", buffering=0) as stream:
        stream.write((" ".join(map(str, words)) + "\n").encode())


def staged(work: Work) -> dict[str, Any]:
    """Several stages, each kept; then a result that is written in pieces and gets its name at the end.

    The journal tells what was done. A lock shows whether two processes ever work at the same time.
    """
    given = work.payload
    journal, output, pause = given["journal"], Path(given["output"]), float(given.get("pause_s", 0.0))
    lock = os.open(f"{journal}.lock", os.O_CREAT | os.O_RDWR)  # held until the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note(journal, "OVERLAP", work.job_id, work.attempt)
        raise
    stages = list(given["stages"])
    if work.plan_digest is None:
        work.set_plan(Path(f"{journal}.plan"), os.urandom(8).hex())
    note(journal, "plan", work.job_id, work.plan_digest)
    work.expect(dict.fromkeys(stages, 1.0))
    for stage in stages:
        if stage in work.stages_done:
            note(journal, "kept", work.job_id, stage)
            continue
        note(journal, "begin", work.job_id, stage)
        for step in range(10):
            work.progress(stage, step, 10)
            time.sleep(pause)
        work.progress(stage, 10, 10)
        work.finished_stage(stage)
        note(journal, "finished", work.job_id, stage)
    if output.exists():
        note(journal, "there", work.job_id)
        return {"output": str(output)}
    part = work.note_part(output)
    note(journal, "part", part)
    with part.open("wb") as stream:
        for start in range(0, len(CONTENT), 8192):
            stream.write(CONTENT[start : start + 8192])
            stream.flush()
            time.sleep(pause)
        os.fsync(stream.fileno())
    work.ensure_owned()
    part.replace(output)
    note(journal, "published", work.job_id)
    return {"output": str(output)}


def quick(work: Work) -> dict[str, Any]:
    """Leaves a line."""
    note(work.payload["journal"], "ran", work.job_id, os.getpid())
    return {"answer": 42}


def gate(work: Work) -> dict[str, Any]:
    """Waits until a file appears."""
    work.progress("waiting", 0, 1)
    note(work.payload["journal"], "waits", work.job_id, os.getpid())
    while not Path(work.payload["gate"]).exists():
        time.sleep(0.02)
    return {"passed": work.attempt}


def stubborn(work: Work) -> None:
    """Begins a file, starts processes that do not want to end, and never ends by itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    part = work.note_part(Path(work.payload["output"]))
    part.write_bytes(CONTENT)
    sleeper = [sys.executable, "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
    child = subprocess.Popen(sleeper)
    stray = subprocess.Popen(sleeper, start_new_session=True)  # left the group
    forked = os.fork()
    if forked == 0:
        while True:
            signal.pause()
    note(work.payload["journal"], "pids", os.getpid(), child.pid, stray.pid, forked)
    work.progress("waiting", 1, 10)
    while True:
        signal.pause()


def crash(work: Work) -> None:
    """Is killed, as by a system that is out of memory."""
    note(work.payload["journal"], "crash", work.job_id, work.attempt)
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(work: Work) -> None:
    """Fails with a message for people."""
    raise JobError("m51.fits: there is nothing to stack")


def stumble(work: Work) -> None:
    """Fails with a mistake of the program."""
    raise ValueError("shapes (3, 4) and (5,)\ndo not match")


def fill_disk(work: Work) -> None:
    """Fails as a full disk makes it, with an unfinished file."""
    part = work.note_part(Path(work.payload["output"]))
    part.write_bytes(CONTENT)
    raise OSError(errno.ENOSPC, "No space left on device", str(part))


def chatter(work: Work) -> None:
    """Says things that do not belong in a log."""
    print("SITELAT = 51.4778 SITELONG='-0 0 5.3' GAIN=80", flush=True)
    work.log.info("TELESCOP S50_153dd4e2, serial number: 12345678, exposure=10\x1b[31m")
    subprocess.run(["/bin/echo", "from a child: lat=51.4778"], check=True)
    note(work.payload["journal"], os.environ["NUMBA_CACHE_DIR"], os.getpriority(os.PRIO_PROCESS, 0))


HANDLERS = {
    "staged": staged,
    "quick": quick,
    "index": quick,
    "gate": gate,
    "stubborn": stubborn,
    "crash": crash,
    "refuse": refuse,
    "stumble": stumble,
    "full": fill_disk,
    "chatter": chatter,
    "missing": "no_such_module:run",
}

if __name__ == "__main__":
    sys.exit(main(handlers=HANDLERS))
