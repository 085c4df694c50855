"""The app: runs on a catalogue with its places and pictures, shows errors, and leaves."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import events
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from astrotui.config import Settings, load_settings
from astrotui.errors import AstrotuiError
from astrotui.tui.changes import CatalogChanges
from astrotui.tui.follow import numbered
from astrotui.tui.loading import later, load_modules, sessions_or_none
from astrotui.tui.ordering import OrderingApp
from astrotui.tui.place import Place
from astrotui.tui.screens.library import LibraryPlace
from astrotui.tui.telling import Teller
from astrotui.tui.themes import THEMES
from astrotui.tui.widgets.bar import SMALLEST
from astrotui.tui.work import log_unforeseen, start, terminal_is_gone

if TYPE_CHECKING:
    from astrotui.jobs.records import JobRecord
    from astrotui.rendering.service import PictureService
    from astrotui.tui.sweeping import Sweeper

T = TypeVar("T")
_LOOK_S = 0.5  # how often the catalogue is asked whether it changed; it sends nothing when it did not
_AFTER_TROUBLE_S = 5.0
_PATIENCE_S = 1.5  # then a person is told what is waited for


class AstroApp(OrderingApp):
    """astrotui in a terminal.

    Attributes
    ----------
    teller : says that jobs have ended
    changes : brings what others wrote to the catalogue
    """

    TITLE = "astrotui"
    CSS_PATH = ["app.tcss", "screens/library.tcss"]  # noqa: RUF012 - Textual declares it so
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "library": LibraryPlace,
        "frames": later("frames", "FramesPlace"),
        "darks": later("darks", "DarksPlace"),
        "jobs": later("jobs", "JobsPlace"),
        "stacks": later("stacks", "StacksPlace"),
    }
    DEFAULT_MODE = "library"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (SMALLEST[0], "-narrow"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (SMALLEST[1], "-tall")]  # noqa: RUF012 - Textual declares them so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "switch_mode('library')", "Library", show=False, id="go.library"),
        Binding("2", "switch_mode('frames')", "Frames", show=False, id="go.frames"),
        Binding("3", "switch_mode('darks')", "Darks", show=False, id="go.darks"),
        Binding("4", "switch_mode('jobs')", "Jobs", show=False, id="go.jobs"),
        Binding("5", "switch_mode('stacks')", "Stacks", show=False, id="go.stacks"),
        Binding("question_mark", "help", "Help", key_display="?", id="app.help", tooltip="The keys of this place"),
        Binding("f1", "pages", "Read", show=False, id="app.pages", tooltip="Help pages to read"),
        Binding("f2", "theme", "Light", show=False, id="app.theme", tooltip="Light or dark theme"),
        Binding("q", "quit", "Quit", id="app.quit", tooltip="Leave; jobs go on"),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="app.quit_always", tooltip="Leave, from anywhere"),
    ]  # fmt: skip

    def __init__(self, catalog: Path, roots: Sequence[Path] = (), settings: Settings | None = None) -> None:
        super().__init__(catalog)
        self.settings = settings or load_settings()
        self.teller = Teller(self)
        self.changes = CatalogChanges(self, self.store, self.follower, self.teller)
        self.store.on_late = self.changes.tell_late
        self.roots = tuple(roots)
        self._leaving = False
        self._known_trouble: set[str] = set()
        self.sweeper: Sweeper | None = None  # of a process that is the app's own
        for theme in THEMES:
            self.register_theme(theme)
        self.start_theme(
            self.settings.theme if self.settings.theme in self.available_themes else THEMES[0].name
        )
        if self.settings.keys:
            self.set_keymap(self.settings.keys)

    @cached_property
    def pictures(self) -> "PictureService":
        """The helper process that makes pictures, started at the first one."""
        from astrotui.rendering.service import PictureService

        return PictureService()

    def on_load(self) -> None:
        # From Python 3.12 on Textual lets tasks begin eagerly: an input line would be mounted before the screen that it
        # is on has its place in the mode, and ask for it in vain.
        asyncio.get_running_loop().set_task_factory(None)

    def on_mount(self) -> None:
        if not self.is_headless:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hung_up)
        for warning in self.settings.warnings:
            self.notify(warning, severity="warning", markup=False)
        # Loading the database layer would compete with the first frame.
        self.call_after_refresh(start, self, self._begin, group="begin")

    async def on_event(self, event: events.Event) -> None:
        if self.sweeper is not None and isinstance(event, events.InputEvent):
            self.sweeper.touch()
        # A key comes back from the widgets, also those of a place that got a dialog meanwhile, to get its meaning here.
        if not (isinstance(event, events.Key) and event.is_forwarded and self._came_too_soon(event)):
            await super().on_event(event)

    def _came_too_soon(self, event: events.Key) -> bool:
        """Whether a key met a dialog that was not there when it was meant; who presses escape has seen it."""
        from astrotui.tui.screens.dialog import Dialog

        unread = any(isinstance(top, Dialog) and not top.takes_keys for top in self.screen_stack[-1:])
        return unread and event.key != "escape"

    # --- the catalogue --------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Open the catalogue, add the roots that were named, then follow changes."""
        new = not self.store.path.exists()  # making it takes long, and so may loading, the first time
        await self.background(import_module, "astrotui.library.session_list")
        await self._patiently(self._show_first(), new)
        while True:
            try:
                await self.background(import_module, "astrotui.catalog.database")
                await self._patiently(self.store.open(), new)
                break
            except AstrotuiError as error:
                from astrotui.tui.screens.trouble import TroubleScreen

                if not await self.push_screen_wait(TroubleScreen(str(error), self.store.path)):
                    self.exit()
                    return
        if self.roots:
            self.queue_index(self.roots)
        start(self, self._load_the_rest, group="later")
        await self._follow()

    async def _show_first(self) -> None:
        """The sessions, by the standard library alone: loading the database layer takes far longer than they do."""
        place = self.screen_stack[0]
        if isinstance(place, LibraryPlace) and (
            # Not in a thread of asyncio's, whose end leaving would wait for while the catalogue is locked.
            sessions := await self.store.before_open(sessions_or_none)
        ):
            place.show_first(sessions)

    async def _load_the_rest(self) -> None:
        """Load and make the other places ahead of their keys, when the first sessions had their turn."""
        await asyncio.sleep(_LOOK_S)
        await self.background(load_modules)
        from astrotui.tui.screens.dialog import Dialog

        self.read_css(Dialog())
        for place in self.screen_stack[:1]:
            if isinstance(place, Place):
                await place.complete()
        for mode in self.MODES:
            await self.make_ahead(mode)
        if self.sweeper is not None:
            from astrotui.tui.sweeping import SWEEP_S

            self.sweeper.begin()
            self.set_interval(SWEEP_S, self.sweeper.look)

    async def _patiently(self, work: Coroutine[Any, Any, None], new: bool) -> None:
        """Do what needs the catalogue, and say what is waited for when that takes long."""
        doing = asyncio.ensure_future(work)
        done, _ = await asyncio.wait({doing}, timeout=_PATIENCE_S)
        if not done and not new:
            self.notify("another program keeps the catalogue busy; waiting for it. q leaves.", timeout=20)
        try:
            await doing
        finally:
            if not done:
                self.clear_notifications()

    async def _follow(self) -> None:
        """Look for changes again and again; an error is told once and then waited out."""
        trouble = ""
        while True:
            if not self.is_headless and terminal_is_gone():
                self._hung_up()
            try:
                await self.changes.look()
                self._known_trouble.discard(trouble)
            except AstrotuiError as error:
                trouble = str(error)
                self.complain(error, unasked=True)
                await asyncio.sleep(_AFTER_TROUBLE_S)
            await asyncio.sleep(_LOOK_S)

    # --- errors ---------------------------------------------------------------------------------------------------

    def complain(
        self, error: AstrotuiError, title: str = "This did not work", *, unasked: bool = False
    ) -> None:
        """The one way in which errors are shown: a dialog with the reason and a way out, each once at a time.

        `unasked` where it is no answer to the key that was just pressed: said once until it is over, for closing its
        dialog has the place read again, which fails again.
        """
        from astrotui.tui.screens.message import MessageScreen

        shown = [screen.message for screen in self.screen_stack if isinstance(screen, MessageScreen)]
        if unasked:
            shown += self._known_trouble
            self._known_trouble.add(str(error))
        if str(error) not in shown:
            self.push_screen(MessageScreen(title, str(error), unasked=unasked))

    def trouble_is_over(self) -> None:
        """A place could be read: what is wrong from now on is news."""
        self._known_trouble.clear()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """An error that nobody foresaw: into the log, and said with the log's place."""
        from astrotui.tui.screens.message import MessageScreen

        error = event.worker.error
        if event.state is not WorkerState.ERROR or error is None:
            return
        text = f"{type(error).__name__}: {error}\n{log_unforeseen(error)}"
        self.push_screen(MessageScreen("Something went wrong inside astrotui", text, unasked=True))

    # --- what every place has -------------------------------------------------------------------------------------

    @property
    def live(self) -> "tuple[JobRecord, ...]":
        """Jobs that run or wait, as of the last look."""
        return self.changes.live

    def show_running(self, screen: Screen[Any]) -> None:
        """How far the running job is, and what waits to be written, on a place that comes."""
        self.changes.show_running(screen)

    async def background(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(*arguments)` in a thread; for what takes long and has nothing to do with the catalogue."""
        return await asyncio.to_thread(function, *arguments)

    def open_session(self, session_id: int, place: str = "frames") -> None:
        """Go to a place with this session."""
        self.session_id = session_id
        self.switch_mode(place)

    def action_help(self) -> None:
        """Help for the present place, made from its bindings."""
        from astrotui.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    def action_pages(self) -> None:
        """Help pages to read."""
        from astrotui.tui.screens.pages import PagesScreen

        if not isinstance(self.screen, PagesScreen):
            self.push_screen(PagesScreen())

    def action_theme(self) -> None:
        """The light theme, or the dark one again."""
        self.theme = THEMES[1].name if self.current_theme.dark else THEMES[0].name

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        from astrotui.tui.commands import commands

        yield from commands(self, self, screen)

    # --- leaving --------------------------------------------------------------------------------------------------

    def action_help_quit(self) -> None:
        """Say at ctrl+c which key leaves: the one that is shown at the bottom, which the settings can change."""
        keys = [key for key, active in self.active_bindings.items() if active.binding.id == "app.quit"]
        self.notify(f"{' or '.join(keys) or 'ctrl+q'} quits; jobs go on", markup=False, timeout=4)

    async def action_quit(self) -> None:
        """Leave when everything that was decided is in the catalogue; jobs go on."""
        if self._leaving:
            self._ask_to_leave()
            return
        self._leaving = True
        start(self, self._leave, group="leave")

    async def _leave(self) -> None:
        writing = asyncio.ensure_future(self.store.written())
        done, _ = await asyncio.wait({writing}, timeout=_PATIENCE_S)
        if not done:
            self.notify(
                "waiting until your last decisions are in the catalogue; q again to leave without", timeout=30
            )
        await writing
        said = (
            "goes on; `astrotui jobs` shows it"
            if len(self.live) == 1
            else "go on; `astrotui jobs` shows them"
        )
        going = numbered([job.id for job in self.live])
        self.exit(message=f"astrotui: {going} {said}" if self.live else None)

    def _ask_to_leave(self) -> None:
        from astrotui.tui.screens.message import QuestionScreen

        text = "Another program keeps the catalogue busy, and your last decisions are not in it yet. Leave without?"
        if not isinstance(self.screen, QuestionScreen):
            self.push_screen(
                QuestionScreen("Not everything is saved", text), lambda yes: self.exit() if yes else None
            )

    def _hung_up(self) -> None:
        """The terminal is gone: commit what was decided, end the picture helper, and nothing more; jobs go on.

        Leaving in order would write to the terminal, which fails or waits.
        """
        self._end_pictures()
        self.store.close()
        os._exit(129)

    def _end_pictures(self) -> None:
        if "pictures" in vars(self):
            self.pictures.close()

    def on_unmount(self) -> None:
        self._end_pictures()
        self.store.close(wait=not self._leaving)
