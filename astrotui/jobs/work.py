"""Entry of the work process: runs the handler of one job and tells its supervisor how it ended.

    python -m astrotui.jobs.work JOB_ID --catalog PATH [--cluster ADDRESS] [--nice N]

The supervisor passes the lease it holds in the environment and two inherited pipes by number: one for
messages to it, one that this process group does not outlive.
"""

import argparse
import errno
import faulthandler
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from astrotui.errors import AstrotuiError
from astrotui.jobs.context import LeaseLostError, Messages, Work
from astrotui.jobs.handlers import HANDLERS, Handler, find_handler
from astrotui.jobs.processes import OWNER, tie_to_supervisor
from astrotui.loading import collect_rarely

__all__ = ["Work", "main"]

EXIT_FAILED = 1
EXIT_UNUSABLE = 3


def main(argv: Sequence[str] | None = None, handlers: Mapping[str, str | Handler] = HANDLERS) -> int:
    """Run one job; returns the exit code of the process."""
    options = _options(argv)
    if options.lifeline is not None:
        tie_to_supervisor(options.lifeline)
    faulthandler.enable()
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("astrotui").setLevel(logging.INFO)
    logging.captureWarnings(True)
    if options.nice:
        _be_nice(options.nice)
    return _run(options, Messages(options.messages), handlers)


def _run(options: argparse.Namespace, messages: Messages, handlers: Mapping[str, str | Handler]) -> int:
    from astrotui.catalog.database import Catalog
    from astrotui.jobs.leases import work_order
    from astrotui.jobs.owner import Owner

    owner = Owner.from_json(os.environ.get(OWNER, ""))
    try:
        catalog = Catalog.open(options.catalog, create=False)
    except AstrotuiError as error:
        messages.send(type="unusable", error=str(error))
        return EXIT_UNUSABLE
    try:
        order = work_order(catalog, options.job, owner)
        if order is None:
            raise LeaseLostError(f"job {options.job} is not this worker's")
        work = Work(catalog, order, owner, messages, cluster=options.cluster)
        given = find_handler(order.kind, handlers)(work)
        if given is not None:
            work.set_result(given)
    except LeaseLostError as error:
        messages.send(type="lost", error=str(error))
        return EXIT_FAILED
    except (AstrotuiError, OSError, MemoryError) as error:
        logging.getLogger("astrotui.jobs").error("%s", explain(error))
        messages.send(type="failed", error=explain(error))
        return EXIT_FAILED
    except Exception as error:
        logging.getLogger("astrotui.jobs").exception("%s", explain(error))
        messages.send(type="failed", error=explain(error))
        return EXIT_FAILED
    finally:
        catalog.close()
    messages.send(type="done")
    return 0


def explain(error: BaseException) -> str:
    """One line for people: what went wrong, naming the file where there is one."""
    if isinstance(error, AstrotuiError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory; a smaller memory budget or fewer workers need less"
    if isinstance(error, OSError):
        where = error.filename or "a file"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"{where}: the disk is full; nothing half-written was left there"
        return f"{where}: {error.strerror or error}"
    text = " ".join(str(error).split())
    return f"unexpected {type(error).__name__}: {text[:300]} (details are in the log)"


def _be_nice(level: int) -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), level))
    except OSError as error:
        logging.getLogger("astrotui.jobs").warning("cannot lower the priority: %s", error)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="astrotui-work", description="Do one job for its supervisor.")
    parser.add_argument("job", type=int)
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("--cluster")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--messages", type=int, help="descriptor of the pipe to the supervisor")
    parser.add_argument("--lifeline", type=int, help="descriptor of the pipe that closes with the supervisor")
    return parser.parse_args(argv)


def run_and_say(argv: Sequence[str] | None = None) -> int:
    """As `main`, for a process that ends at once then: all that was written and said is out.

    Taking the interpreter and its libraries down in order takes a third of a second, for which somebody waits.
    """
    try:
        code = main(argv)
    except SystemExit as leave:  # of the parser
        code = leave.code if isinstance(leave.code, int) else EXIT_FAILED
    except BaseException:
        logging.getLogger("astrotui.jobs").exception("the work ended before it began")
        code = EXIT_FAILED
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    collect_rarely()
    os._exit(run_and_say())
