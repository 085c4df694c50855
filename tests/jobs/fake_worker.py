"""A worker for tests: the real one, with the work of `fake_work` and times that a test chooses."""

import argparse
import sys
from pathlib import Path

from astrotui.jobs.supervise import Times
from astrotui.jobs.worker import run_worker

FAKE_WORK = (sys.executable, str(Path(__file__).with_name("fake_work.py")))


def main() -> int:
    """Serve the queue; the last line of the output says why it ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("--drain", action="store_true")
    parser.add_argument("--launched", action="store_true")
    parser.add_argument("--lease", type=float, default=15.0)
    parser.add_argument("--heartbeat", type=float, default=3.0)
    options = parser.parse_args()
    reason = run_worker(
        options.catalog,
        drain=options.drain,
        launched=options.launched,
        work_command=FAKE_WORK,
        times=Times(lease_s=options.lease, heartbeat_s=options.heartbeat),
    )
    print(reason, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
