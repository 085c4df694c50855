"""Where a job's pieces run: in threads of this process, or on a Dask cluster that mounts the same library."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

from astrotui.errors import JobError

CONNECT_S = 10.0


@contextmanager
def executor(workers: int = 0, cluster: str | None = None) -> Iterator[Executor]:
    """An executor that is shut down at the end; what has not started by then is dropped.

    Parameters
    ----------
    workers : threads here; 0 means as many as there are processors this process may use
    cluster : address of a Dask scheduler such as `tcp://host:8786`; None for threads here

    Raises
    ------
    JobError
        The cluster extra is not installed, or no scheduler answers at the address.
    """
    if cluster is None:
        pool = ThreadPoolExecutor(workers or processors(), thread_name_prefix="work")
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    try:
        from distributed import Client
    except ImportError:
        raise JobError("--cluster needs the cluster extra: pip install 'astrotui[cluster]'") from None
    try:
        client = Client(cluster, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise JobError(f"{cluster}: no Dask scheduler answers there ({type(error).__name__})") from error
    try:
        # pure=False: two equal calls are two calls, because they may write files.
        with client.get_executor(pure=False) as remote:
            yield remote
    finally:
        client.close()


def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
