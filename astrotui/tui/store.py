"""The catalogue off the event loop: every read and write of the app runs in a thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from astrotui.catalog.database import Catalog

T = TypeVar("T")


class Store:
    """The catalogue of the app.

    It is opened at the first use, in a thread, because loading the database layer takes longer than a frame.
    Functions given to `run` get the open catalogue and import what they need themselves.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="catalogue")
        self._catalog: Catalog | None = None
        self._lock = Lock()

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(catalog, *arguments)` in a thread; its errors come here."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, function, *arguments)

    def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(self._open(), *arguments)

    def _open(self) -> "Catalog":
        with self._lock:
            if self._catalog is None:
                from astrotui.catalog.database import Catalog

                self._catalog = Catalog.open(self.path)
            return self._catalog

    async def version(self) -> int:
        """A number that changes when anybody else wrote to the catalogue."""
        return await self.run(lambda catalog: catalog.data_version())

    def close(self) -> None:
        """Let running reads end and close the catalogue."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._catalog is not None:
            self._catalog.close()
