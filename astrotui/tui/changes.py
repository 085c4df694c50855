"""What changes in the catalogue while the app is open, brought to the place that is shown."""

from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.screen import Screen

from astrotui.tui.follow import Follower, late_words
from astrotui.tui.place import Place
from astrotui.tui.store import Store
from astrotui.tui.telling import Teller
from astrotui.tui.widgets.bar import PlaceBar
from astrotui.tui.widgets.keys import KeyLine

if TYPE_CHECKING:
    from astrotui.jobs.records import JobRecord


class CatalogChanges:
    """Asks whether anybody wrote to the catalogue, and says so to the place, its lines, and the teller.

    Attributes
    ----------
    live : jobs that run or wait, as of the last look
    """

    def __init__(self, app: App[Any], store: Store, follower: Follower, teller: Teller) -> None:
        self.live: tuple[JobRecord, ...] = ()
        self._app, self._store, self._follower, self._teller = app, store, follower, teller
        self._progress = ""
        self._seen: int | None = None
        self._told = False

    async def look(self) -> None:
        """Ask once; where nothing changed, nothing is sent to the terminal."""
        version = await self._store.version()
        if self._seen is None:
            self._seen = version  # the queue is looked at the next time: the first sessions go first
        elif version != self._seen or not self._told:
            changed, self._seen, self._told = version != self._seen, version, True
            await self._bring(reload=changed)
        self._teller.tell()

    async def _bring(self, *, reload: bool) -> None:
        news = await self._store.read(self._follower.look)
        self._progress, self.live = news.running, news.live
        screen = self._app.screen_stack[0] if self._app.screen_stack else None
        if isinstance(screen, Place):
            self.show_running(screen)
            if reload:
                screen.catalog_changed()
        self._teller.hear(news)

    def show_running(self, screen: Screen[Any]) -> None:
        """How far the running job is, beside the name of its place; what waits to be written, at the bottom."""
        for bar in screen.query(PlaceBar):
            bar.set_running(self._progress)
        for line in screen.query(KeyLine):
            line.say(late_words(self._store.late))

    def tell_late(self) -> None:
        """Say that writes wait, or that they no longer do."""
        for screen in self._app.screen_stack[:1]:
            self.show_running(screen)
        if self._store.late and len(self._app.screen_stack) > 1:  # a dialog hides the line
            self._app.notify(late_words(self._store.late), severity="warning", timeout=3)
