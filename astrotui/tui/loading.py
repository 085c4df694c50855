"""What is loaded when the first frame is on screen: the other places and dialogs, and the sessions."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from astrotui.errors import AstrotuiError

if TYPE_CHECKING:
    from astrotui.library.session_list import SessionRecord

_LATER = "dialog message frames darks jobs stacks help pages prompt stack_form trouble where".split()


def later(module: str, name: str) -> Callable[[], Screen[Any]]:
    """A place whose module is loaded when it is first shown."""

    def make() -> Screen[Any]:
        screen: Screen[Any] = getattr(import_module(f"astrotui.tui.screens.{module}"), name)()
        return screen

    return make


def load_modules() -> None:
    """Load the modules of places and dialogs."""
    for module in _LATER:
        import_module(f"astrotui.tui.screens.{module}")


def sessions_or_none(catalog: Path) -> "list[SessionRecord] | None":
    """The sessions before the catalogue is open; what is wrong with it, opening it tells."""
    from astrotui.library.session_list import first_sessions

    try:
        return first_sessions(catalog)
    except AstrotuiError:
        return None
