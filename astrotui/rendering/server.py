"""The picture helper process: reads requests on stdin, answers on stdout, ends when its parent does."""

import logging
import os
import queue
import sys
import threading
import warnings
from typing import Any

from astrotui.errors import AstrotuiError
from astrotui.rendering.protocol import (
    ViewRequest,
    answer_to_message,
    read_message,
    request_from_dict,
    write_message,
)
from astrotui.text import clean

_IDLE_S = 0.25  # without a request, before files are written that nobody waits for
_LOG = logging.getLogger(__name__)


def main() -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not speak into the protocol
    warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")  # stderr is the log file
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    from astrotui.rendering.views import Gallery  # loads the pixel libraries, while the listener is up

    gallery = Gallery()
    while True:
        try:
            request = requests.get(timeout=_IDLE_S if gallery.later else None)
        except queue.Empty:
            _write_later(gallery)
            continue
        table, blob = _answer(gallery, request)
        try:
            write_message(answers, table, blob)
        except BrokenPipeError:
            os._exit(0)


def _write_later(gallery: Any) -> None:
    try:
        gallery.do_later()
    except Exception:  # noqa: BLE001 - nobody waits for this file; a picture asked for again tries again
        _LOG.exception("a preview was not written")


def _listen(requests: "queue.SimpleQueue[dict[str, Any]]") -> None:
    """Pass requests on; when the parent has gone, end at once, even in the middle of a picture."""
    stream = sys.stdin.buffer
    while (message := read_message(stream)) is not None:
        requests.put(message[0]["request"])
    os._exit(0)


def _answer(gallery: Any, table: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    try:
        request = request_from_dict(table)
        answer = gallery.view(request) if isinstance(request, ViewRequest) else gallery.export(request)
        message, blob = answer_to_message(answer)
    except AstrotuiError as error:
        return {"error": clean(error, 400)}, b""
    except MemoryError:
        return {"error": f"{clean(table.get('path'))}: not enough memory for this picture"}, b""
    except Exception as error:  # noqa: BLE001 - one bad picture must not end the helper
        _LOG.exception("a request failed: %s", clean(table.get("path")))
        return {"error": clean(f"{table.get('path')}: {type(error).__name__}: {error}", 400)}, b""
    return {"answer": message}, blob


if __name__ == "__main__":
    main()
