"""The app's side of the picture helper: one process, started at the first picture, that loads the pixel
libraries.

This module loads none of them. Requests may come from any thread or event loop and never block it; each
names a slot (a place on the screen), and of a slot only the newest request is answered.
"""

import asyncio
import itertools
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from astrotui.config import places
from astrotui.errors import AstrotuiError
from astrotui.rendering.protocol import (
    Answer,
    Exported,
    ExportRequest,
    Request,
    View,
    ViewRequest,
    answer_from_message,
    read_message,
    request_to_dict,
    write_message,
)

__all__ = ["ExportRequest", "Exported", "PictureService", "SupersededError", "View", "ViewRequest"]

_COMMAND = (sys.executable, "-m", "astrotui.rendering.server")
_TRIES = 2  # a picture that kills its helper twice is the culprit
_LOG_CAP = 1_000_000


class SupersededError(AstrotuiError):
    """A newer request took this one's slot, or the service was closed; nobody waits for this picture any more."""


@dataclass(eq=False)
class _Waiting:
    request: Request
    slot: str
    priority: int
    number: int
    timeout_s: float
    answer: "Future[Answer]" = field(default_factory=Future)
    tries: int = 0

    def fail(self, error: Exception) -> None:
        try:
            self.answer.set_exception(error)
        except InvalidStateError:
            pass  # superseded or cancelled before: somebody has been told already

    def succeed(self, answer: Answer) -> None:
        try:
            self.answer.set_result(answer)
        except InvalidStateError:
            pass  # superseded or cancelled before


class PictureService:
    """Asks the helper process for pictures.

    Parameters
    ----------
    timeout_s : a picture that takes longer fails, and the helper is started anew
    command : what to run, for tests
    log : file for the helper's stderr; by default `pictures.log` among the logs
    """

    def __init__(
        self, *, timeout_s: float = 60.0, command: Sequence[str] = _COMMAND, log: Path | None = None
    ) -> None:
        self._timeout_s = timeout_s
        self._command = tuple(command)
        self._log = log
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._waiting: dict[str, _Waiting] = {}
        self._active: _Waiting | None = None
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Process id of the helper while it runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def submit(
        self, request: Request, *, slot: str, priority: int = 0, timeout_s: float | None = None
    ) -> "Future[Answer]":
        """Ask for a picture; an older request of the same slot fails with `SupersededError`.

        Among waiting slots the larger `priority` goes first, then the older request. The future fails with
        an `AstrotuiError` of one line when the picture cannot be made.
        """
        with self._lock:
            waiting = _Waiting(request, slot, priority, next(self._numbers), timeout_s or self._timeout_s)
            if self._closed:
                waiting.fail(SupersededError("the picture service is closed"))
                return waiting.answer
            dropped = [self._waiting.pop(slot, None)]
            if self._active is not None and self._active.slot == slot:
                dropped.append(self._active)
            self._waiting[slot] = waiting
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
                self._thread.start()
            self._wake.notify()
        for old in dropped:
            if old is not None:
                old.fail(SupersededError(f"a newer picture was asked for in {slot}"))
        return waiting.answer

    async def view(self, request: ViewRequest, *, slot: str, priority: int = 0) -> View:
        """`submit` for an event loop."""
        answer = await asyncio.wrap_future(self.submit(request, slot=slot, priority=priority))
        assert isinstance(answer, View)
        return answer

    async def export(self, request: ExportRequest, *, slot: str = "export") -> Exported:
        """Write a picture file; for an event loop."""
        answer = await asyncio.wrap_future(self.submit(request, slot=slot, timeout_s=600.0))
        assert isinstance(answer, Exported)
        return answer

    def close(self) -> None:
        """End the helper and fail what waits; at once, whatever it is doing. The service cannot be used again."""
        with self._lock:
            self._closed = True
            left = [*self._waiting.values(), *([self._active] if self._active else [])]
            self._waiting.clear()
            self._wake.notify()
            process = self._process
        for waiting in left:
            waiting.fail(SupersededError("the picture service is closed"))
        if process is not None:
            process.kill()  # the thread sees the end of its pipe and clears up
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5.0)

    def _run(self) -> None:
        """The service's thread: one request at a time, so that the newest of each slot is chosen as late as can be."""
        while True:
            with self._lock:
                while not self._waiting and not self._closed:
                    self._wake.wait()
                if self._closed:
                    break
                chosen = min(self._waiting.values(), key=lambda w: (-w.priority, w.number))
                del self._waiting[chosen.slot]
                self._active = chosen
            if not chosen.answer.done():  # whoever asked may have gone away meanwhile
                self._serve(chosen)
            with self._lock:
                self._active = None
        if self._process is not None:
            _end(self._process)

    def _serve(self, waiting: _Waiting) -> None:
        """Get one answer, with a new helper if the old one dies of it."""
        while waiting.tries < _TRIES and not self._closed:
            waiting.tries += 1
            try:
                waiting.succeed(self._exchange(waiting))
                return
            except _HelperGoneError as gone:
                self._drop_helper()
                if gone.final or waiting.tries == _TRIES:
                    waiting.fail(AstrotuiError(f"{_name(waiting.request)}: {gone}; see {self._log_path()}"))
            except AstrotuiError as error:
                waiting.fail(error)
                return
            except OSError as error:
                self._drop_helper()
                waiting.fail(AstrotuiError(f"the picture helper cannot be started: {error}"))
                return
        waiting.fail(SupersededError("the picture service is closed"))

    def _exchange(self, waiting: _Waiting) -> Answer:
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        deadline = time.monotonic() + waiting.timeout_s
        try:
            write_message(process.stdin, {"request": request_to_dict(waiting.request)})  # type: ignore[arg-type]
        except (BrokenPipeError, ConnectionResetError):
            raise _HelperGoneError("the picture helper died") from None
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise _HelperGoneError(f"the picture took longer than {waiting.timeout_s:g} s", final=True)
        try:
            message = read_message(_stream(process.stdout))
        except (ValueError, KeyError, TypeError) as error:
            raise _HelperGoneError(f"the picture helper answered nonsense: {error}", final=True) from None
        if message is None:
            raise _HelperGoneError("the picture helper died")
        table, blob = message
        if "error" in table:
            raise AstrotuiError(str(table["error"]))
        return answer_from_message(table["answer"], blob)

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._drop_helper()
        log = self._log_path()
        log.parent.mkdir(parents=True, exist_ok=True)
        mode = "wb" if log.exists() and log.stat().st_size > _LOG_CAP else "ab"
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with log.open(mode) as stream:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=environment,
                start_new_session=True,  # the terminal's signals are for the app
            )
        with self._lock:
            self._process = process
            closed = self._closed
        if closed:
            process.kill()
        return process

    def _drop_helper(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _log_path(self) -> Path:
        return self._log or places().logs / "pictures.log"


class _HelperGoneError(Exception):
    """The helper process died or was given up; `final` when trying again would be no use."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


def _stream(pipe: Any) -> BinaryIO:
    return pipe  # type: ignore[no-any-return]


def _name(request: Request) -> str:
    return Path(request.path).name


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the helper: it holds nothing that could be lost, since files are written whole or not at all."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass  # unsent bytes for a process that is gone
