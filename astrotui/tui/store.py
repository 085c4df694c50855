"""The catalogue off the event loop: every read and write of the app runs in a thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog

T = TypeVar("T")
_READERS = 2
_LEAVE_S = 1.0  # so long does leaving wait for reads


class Lane:
    """Functions that run in a thread, or in several, begun in the order in which they were given.

    A thread is started with the first thing that it has to do. It does not keep the program alive: a read that waits
    for a locked disk must not hold up leaving.
    """

    def __init__(self, name: str, most: int = 1) -> None:
        self._name, self._most = name, most
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self.threads: list[Thread] = []

    def submit(self, function: Callable[[], Any]) -> "Future[Any]":
        """Run `function` when its turn comes, unless its future is cancelled before."""
        future: Future[Any] = Future()
        self._tasks.put((future, function))
        if len(self.threads) < self._most:
            self.threads.append(Thread(target=self._run, name=self._name, daemon=True))
            self.threads[-1].start()
        return future

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, function = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                future.set_exception(error)

    def end(self) -> None:
        """Take nothing more than what was given before."""
        for _ in self.threads:
            self._tasks.put(None)

    def join(self, timeout: float | None) -> None:
        """Wait for the end, at most `timeout` seconds for each thread."""
        for thread in self.threads:
            thread.join(timeout)


_Task = tuple["Future[Any]", Callable[[], Any]]


class Store:
    """The catalogue of the app.

    It is opened in a thread, because loading the database layer takes longer than a frame. Functions given to
    `read` and `write` get the open catalogue and import what they need themselves.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = Lane("catalogue reader", _READERS)
        self._writer = Lane("catalogue writer")
        self._catalog: Catalog | None = None
        self._lock = Lock()
        self._opened = asyncio.Event()

    async def open(self) -> None:
        """Open the catalogue; reads wait until that has worked.

        Raises
        ------
        CatalogError
            It cannot be opened; try again.
        """
        await asyncio.wrap_future(self._reader.submit(self._open))
        self._opened.set()

    async def read(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(catalog, *arguments)` in a thread; its errors come here."""
        await self._opened.wait()
        result: T = await asyncio.wrap_future(self._reader.submit(lambda: function(self._open(), *arguments)))
        return result

    def write(self, function: Callable[..., T], *arguments: Any) -> "asyncio.Future[T]":
        """`function(catalog, *arguments)` in the writer's thread, queued before this returns.

        Changes happen in the order of their calls, also those that nobody waits for any more.
        """
        future = self._writer.submit(lambda: function(self._open(), *arguments))
        return asyncio.shield(asyncio.wrap_future(future))

    def _open(self) -> "Catalog":
        with self._lock:
            if self._catalog is None:
                from astrotui.catalog.database import Catalog

                self._catalog = Catalog.open(self.path)
            return self._catalog

    async def version(self) -> int:
        """A number that changes when anybody wrote to the catalogue."""
        return await self.read(lambda catalog: catalog.data_version())

    async def written(self) -> None:
        """Wait until every write that was asked for is committed, or has failed."""
        await asyncio.wrap_future(self._writer.submit(lambda: None))

    def close(self, *, wait: bool = True) -> None:
        """Let writes end and close the catalogue; without `wait`, leave a write that waits for a lock alone."""
        lanes = (self._writer, self._reader)
        for lane in lanes:
            lane.end()
        for lane in lanes:
            lane.join(None if wait and lane is self._writer else _LEAVE_S)
        if self._catalog is not None:
            self._catalog.close()
