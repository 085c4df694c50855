"""Starting background work from screens and widgets, with one path for its errors."""

import select
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from textual.dom import DOMNode

from astrotui.config import places
from astrotui.errors import AstrotuiError

if TYPE_CHECKING:
    from textual.worker import WorkType

    from astrotui.tui.host import Host


def start(
    node: DOMNode,
    work: Callable[[], Coroutine[Any, Any, None]],
    *,
    group: str,
    exclusive: bool = False,
    unasked: bool = False,
) -> None:
    """Run `work` beside the event loop's other tasks.

    An error with a message for people becomes a dialog; any other is caught by the app, which writes it to
    its log and says where. `exclusive` ends earlier work of the same group; `unasked` is work that no key began.
    """

    async def guarded() -> None:
        try:
            await work()
        except AstrotuiError as error:
            cast("Host", node.app).complain(error, unasked=unasked)

    node.run_worker(cast("WorkType[None]", guarded), group=group, exclusive=exclusive, exit_on_error=False)


def log_unforeseen(error: BaseException) -> str:
    """Write an error that nobody foresaw into the app's log. Returns where that is, in words."""
    log = places().logs / "app.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as stream:
            traceback.print_exception(error, file=stream)
    except OSError as problem:
        return f"(The log cannot be written: {problem})"
    return f"The log has the details: {log}"


def terminal_is_gone() -> bool:
    """Whether the other side of standard input hung up; a program that ignores the signal for it sees it so."""
    poll = select.poll()
    try:
        if sys.__stdin__ is not None:
            poll.register(sys.__stdin__.fileno(), 0)
        return any(events & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, events in poll.poll(0))
    except (OSError, ValueError):
        return True
