"""Which function does which kind of job, by dotted name, so that nothing is imported before it is needed."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from astrotui.errors import JobError

if TYPE_CHECKING:
    from astrotui.jobs.context import Work

Handler = Callable[["Work"], dict[str, Any] | None]

HANDLERS: dict[str, str] = {
    "index": "astrotui.jobs.tasks:run_index",
    "measure": "astrotui.jobs.tasks:run_measure",
    "stack": "astrotui.jobs.tasks:run_stack",
    "render": "astrotui.jobs.tasks:run_render",
    "compose": "astrotui.jobs.compose:run_compose",
    "solve": "astrotui.jobs.solve:run_solve",
    "watch": "astrotui.jobs.watch:run_watch",
}


def find_handler(kind: str, handlers: Mapping[str, str | Handler] = HANDLERS) -> Handler:
    """The function for a kind of job; raises `JobError` when this version has none."""
    named = handlers.get(kind)
    if named is None:
        raise JobError(f"this version cannot do {kind!r} jobs; it knows {', '.join(sorted(handlers))}")
    if callable(named):
        return named
    module, _, function = named.partition(":")
    handler: Handler = getattr(import_module(module), function)
    return handler
