"""The catalogue off the event loop: every read and write of the app runs in a thread."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog

T = TypeVar("T")
_READERS = 2
_LEAVE_S = 0.5  # so long does leaving wait for reads
_LATE_S = 0.7  # a write that has waited for so long is told
_LOOK_S = 0.3  # between looks at writes that are under way


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
    `read` and `write` get the open catalogue and import what they need themselves. A write waits for another program's
    lock until it gets its own, or until the store is closed.

    Attributes
    ----------
    late : writes that wait, while another program keeps the catalogue busy
    on_late : called when `late` has changed
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.late = 0
        self.on_late: Callable[[], None] = lambda: None
        self._under_way: dict[asyncio.Future[Any], float] = {}  # since when, the oldest first
        self._closing = False
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

    async def before_open(self, function: Callable[..., T]) -> T:
        """`function(path)` in a thread, without waiting for the catalogue to be open."""
        result: T = await asyncio.wrap_future(self._reader.submit(lambda: function(self.path)))
        return result

    async def read(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(catalog, *arguments)` in a thread; its errors come here."""
        await self._opened.wait()
        result: T = await asyncio.wrap_future(self._reader.submit(lambda: function(self._open(), *arguments)))
        return result

    def write(self, function: Callable[..., T], *arguments: Any) -> "asyncio.Future[T]":
        """`function(catalog, *arguments)` in the writer's thread, queued before this returns.

        Changes happen in the order of their calls, also those that nobody waits for any more.
        """
        future = asyncio.wrap_future(self._writer.submit(lambda: function(self._open(), *arguments)))
        self._under_way[future] = time.monotonic()
        future.add_done_callback(self._written)
        if len(self._under_way) == 1:
            asyncio.get_running_loop().call_later(_LATE_S, self._look)
        elif self.late:
            self._set_late(len(self._under_way))
        return asyncio.shield(future)

    def _written(self, future: "asyncio.Future[Any]") -> None:
        del self._under_way[future]
        if self.late:
            self._set_late(len(self._under_way))

    def _look(self) -> None:
        """Whether the oldest write waits for somebody else's lock."""
        if self._under_way and not self._closing:
            since = next(iter(self._under_way.values()))
            waits = self._catalog is not None and self._catalog.waits_to_write
            if time.monotonic() - since >= _LATE_S - 0.1:
                self._set_late(len(self._under_way) if waits else 0)
            asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _set_late(self, count: int) -> None:
        if count != self.late:
            self.late = count
            self.on_late()

    def _waits_on(self) -> bool:
        """The patience of the catalogue: without end for what a person did."""
        return current_thread() in self._writer.threads and not self._closing

    def _open(self) -> "Catalog":
        with self._lock:
            if self._catalog is None:
                from astrotui.catalog.database import Catalog

                catalog = Catalog.open(self.path)
                catalog.patience = self._waits_on
                self._catalog = catalog
            return self._catalog

    async def version(self) -> int:
        """A number that changes when anybody wrote to the catalogue."""
        return await self.read(lambda catalog: catalog.data_version())

    async def written(self) -> None:
        """Wait until every write that was asked for is committed, or has failed."""
        await asyncio.wrap_future(self._writer.submit(lambda: None))

    def close(self, *, wait: bool = True) -> None:
        """Let writes end and close the catalogue; without `wait`, leave a write that waits for a lock alone."""
        self._closing = True
        lanes = (self._writer, self._reader)
        for lane in lanes:
            lane.end()
        for lane in lanes:
            lane.join(None if wait and lane is self._writer else _LEAVE_S)
        if self._catalog is not None:
            self._catalog.close()
