"""The command palette: everything the app does, by name."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import App, SystemCommand
from textual.screen import Screen

from astrotui.tui.widgets.table import RowTable

if TYPE_CHECKING:
    from astrotui.tui.host import Host

_PLACES = (
    ("library", "Library", "Sessions, what needs attention (1)"),
    ("frames", "Frames", "The lights of the session: judge and choose (2)"),
    ("darks", "Darks", "Darks, flats and bias frames for the session (3)"),
    ("jobs", "Jobs", "What runs in the background (4)"),
    ("stacks", "Stacks", "Results and their pictures (5)"),
)


def commands(app: App[Any], host: "Host", screen: Screen[Any]) -> Iterator[SystemCommand]:
    """What the palette offers on `screen`: the place's own actions first."""
    own = set()  # what the place itself has under the same name
    for _, binding, enabled, tooltip in screen.active_bindings.values():
        name = binding.id or ""
        if enabled and tooltip and name.partition(".")[0] == getattr(screen, "PLACE", None):
            own.add(binding.description)
            key = app.get_key_display(binding)
            yield SystemCommand(
                f"{binding.description} ({key})", tooltip, partial(_run, app, screen, binding.action)
            )
    for mode, title, text in _PLACES:
        yield SystemCommand(f"Go to {title}", text, partial(app.switch_mode, mode))
    yield SystemCommand("Stack the session", "Choose a recipe and queue a stack", host.open_stack_form)
    if "Measure" not in own:
        yield SystemCommand("Measure the session", "Find stars, give scores", host.queue_measure)
    yield SystemCommand(
        "Add a folder",
        "Index a folder of frames and keep it in the library",
        partial(app.run_action, "app.add_folder"),
    )
    yield SystemCommand(
        "Index again", "Look for new, changed and vanished files in all folders", host.queue_index
    )
    for table in screen.query(RowTable):
        for column in table.columns:
            if column.sort is not None and column.title.strip():
                text = f"Order the rows by {column.title}; again: the other way round"
                yield SystemCommand(f"Sort by {column.title}", text, partial(table.sort_by, column.key))
    yield SystemCommand(
        "Light or dark theme",
        "Change the colors; `theme` in config.toml keeps it",
        partial(app.run_action, "app.theme"),
    )
    yield SystemCommand("Keys", "The keys of this place", partial(app.run_action, "app.help"))
    yield SystemCommand(
        "Help pages", "Read about stacking, scores, queries, ...", partial(app.run_action, "app.pages")
    )
    yield SystemCommand("Quit", "Leave; jobs go on", partial(app.run_action, "app.quit"))


def _run(app: App[Any], screen: Screen[Any], action: str) -> None:
    app.call_later(app.run_action, action, default_namespace=screen)
