"""The app: wires places, store and pictures together; everything else lives in screens and widgets."""

import asyncio
import contextlib
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from astrotui.config import Settings, load_settings, places
from astrotui.errors import AstrotuiError
from astrotui.rendering.service import PictureService
from astrotui.tui.place import Place
from astrotui.tui.screens.darks import DarksPlace
from astrotui.tui.screens.frames import FramesPlace
from astrotui.tui.screens.help import HelpScreen
from astrotui.tui.screens.jobs import JobsPlace
from astrotui.tui.screens.library import LibraryPlace
from astrotui.tui.screens.message import MessageScreen
from astrotui.tui.screens.stack_form import StackForm
from astrotui.tui.screens.stacks import StacksPlace
from astrotui.tui.store import Store
from astrotui.tui.themes import THEMES
from astrotui.tui.widgets.bar import PlaceBar
from astrotui.tui.work import start

T = TypeVar("T")
_LOOK_S = 0.5  # how often the catalogue is asked whether it changed; it sends nothing when it did not


class AstroApp(App[None]):
    """astrotui in a terminal.

    Attributes
    ----------
    store : the catalogue, off the event loop
    pictures : the helper process that makes pictures
    session_id : the session that Frames, Darks and the stack form are about
    """

    TITLE = "astrotui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "library": LibraryPlace,
        "frames": FramesPlace,
        "darks": DarksPlace,
        "jobs": JobsPlace,
        "stacks": StacksPlace,
    }
    DEFAULT_MODE = "library"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual declares it an instance's
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "switch_mode('library')", "Library", show=False, id="go.library"),
        Binding("2", "switch_mode('frames')", "Frames", show=False, id="go.frames"),
        Binding("3", "switch_mode('darks')", "Darks", show=False, id="go.darks"),
        Binding("4", "switch_mode('jobs')", "Jobs", show=False, id="go.jobs"),
        Binding("5", "switch_mode('stacks')", "Stacks", show=False, id="go.stacks"),
        Binding("question_mark", "help", "Help", key_display="?", id="app.help"),
        Binding("q", "quit", "Quit", id="app.quit"),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="app.quit_always"),
    ]

    def __init__(self, catalog: Path, roots: Sequence[Path] = (), settings: Settings | None = None) -> None:
        super().__init__()
        self.settings = settings or load_settings()
        self.store = Store(catalog)
        self.pictures = PictureService()
        self.roots = tuple(roots)
        self.session_id: int | None = None
        self._writing = asyncio.Lock()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.settings.theme if self.settings.theme in self.available_themes else THEMES[0].name
        if self.settings.keys:
            self.set_keymap(self.settings.keys)

    async def on_mount(self) -> None:
        for warning in self.settings.warnings:
            self.notify(warning, severity="warning")
        start(self, self._begin, group="begin")

    async def _begin(self) -> None:
        """Open the catalogue, add the roots that were named, then follow changes."""
        seen = await self.store.version()
        if self.roots:
            await self.write(_queue_index, self.roots)
        while True:
            await asyncio.sleep(_LOOK_S)
            version = await self.store.version()
            if version != seen:
                seen = version
                self._changed()

    def _changed(self) -> None:
        screen = self.screen_stack[0] if self.screen_stack else None
        if isinstance(screen, Place):
            screen.catalog_changed()

    async def write(self, function: Callable[..., T], *arguments: Any) -> T:
        """A change of the catalogue in a thread; changes happen in the order of their keys."""
        async with self._writing:
            return await self.store.run(function, *arguments)

    def complain(self, error: AstrotuiError, title: str = "This did not work") -> None:
        """The one way in which errors are shown: a dialog with the reason and a way out."""
        self.push_screen(MessageScreen(title, str(error)))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """An error that nobody foresaw: into the log, and said with the log's place."""
        error = event.worker.error
        if event.state is not WorkerState.ERROR or error is None:
            return
        log = places().logs / "app.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as stream:
            traceback.print_exception(error, file=stream)
        text = f"{type(error).__name__}: {error}\nThe log has the details: {log}"
        self.push_screen(MessageScreen("Something went wrong inside astrotui", text))

    def note(self, text: str) -> None:
        """What stands at the right end of the bar of places."""
        for bar in self.screen.query(PlaceBar):
            bar.set_note(text)

    def open_session(self, session_id: int, place: str = "frames") -> None:
        """Go to a place with this session."""
        self.session_id = session_id
        self.switch_mode(place)

    # --- work that several places start ---------------------------------------------------------------------------

    def queue_measure(self) -> None:
        """Queue the measurement of the present session."""
        if self.session_id is not None:
            self._queue("measure", {"sessions": [self.session_id]}, f"measure session {self.session_id}", 5)

    def queue_index(self) -> None:
        """Queue another look at all roots."""

        async def work() -> None:
            job = await self.write(_queue_index, ())
            self.notify(f"job {job} reads what changed")

        start(self, work, group="queue")

    def _queue(self, kind: str, payload: dict[str, Any], title: str, priority: int = 0) -> None:
        async def work() -> None:
            job = await self.write(_enqueue, kind, payload, title, priority)
            self.notify(f"job {job}: {title}; 4 shows it")

        start(self, work, group="queue")

    def open_stack_form(self) -> None:
        """Ask how to stack the present session."""
        if self.session_id is None:
            self.notify("choose a session in Library (1) first", severity="warning")
            return

        def queued(job: int | None) -> None:
            if job is not None:
                self.notify(f"job {job} stacks; it goes on when you quit")
                self.switch_mode("jobs")

        self.push_screen(StackForm(self.session_id, f"session {self.session_id}"), queued)

    def action_help(self) -> None:
        """Help for the present place, made from its bindings."""
        self.push_screen(HelpScreen(self.screen))

    async def action_quit(self) -> None:
        """Leave; jobs go on."""
        self.exit()

    async def on_unmount(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.pictures.close()
            self.store.close()


def _queue_index(catalog: Any, roots: Sequence[Path]) -> int:
    from astrotui.library.roots import list_roots
    from astrotui.text import plural

    places = list(roots) or list(list_roots(catalog))
    if not places:
        raise AstrotuiError("no folder is known yet; start the app with one: astrotui FOLDER")
    payload = {"roots": [str(place.expanduser().absolute()) for place in places]}
    return _enqueue(catalog, "index", payload, f"index {plural(len(places), 'folder')}", 10)


def _enqueue(catalog: Any, kind: str, payload: dict[str, Any], title: str, priority: int) -> int:
    from astrotui.jobs.launch import ensure_worker
    from astrotui.jobs.queue import enqueue

    job = enqueue(catalog, kind, payload, title=title, priority=priority)
    ensure_worker(catalog)
    return job


def run_app(catalog: Path, roots: Sequence[Path] = ()) -> None:
    """Open the app on a catalogue; `roots` are indexed in the background."""
    AstroApp(catalog, roots).run()
