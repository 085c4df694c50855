"""What the five places have in common: the bar of places, the filter line, loading in the background, errors."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input, Static

from astrotui.errors import AstrotuiError, QueryError
from astrotui.text import clean
from astrotui.tui.ahead import QuickScreen
from astrotui.tui.widgets.bar import PlaceBar
from astrotui.tui.widgets.keys import KeyLine
from astrotui.tui.widgets.picture import Picture
from astrotui.tui.widgets.table import RowTable
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.tui.editing import Kind
    from astrotui.tui.host import Host

T = TypeVar("T")
_REST = 8.0  # between reloads that nobody asked for, in times of what the last one took
_REST_S = (0.3, 5.0)


class Place(QuickScreen, Screen[None]):
    """A screen that is one of the five places.

    A subclass yields its widgets in `body`, reads the catalogue in `load` (called in a worker whenever the place is
    shown or the catalogue changed) and shows what it got.
    """

    PLACE: ClassVar[str] = ""
    FILTER_SCOPE: ClassVar[Literal["sessions", "frames"] | None] = None  # where the filter line makes sense
    FILTER_EXAMPLE: ClassVar[str] = ""
    # Kept apart from BINDINGS because the keys of a place itself come first in the line at the bottom.
    SHARED: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", id="place.filter", tooltip="Show only what matches a query"),
        Binding("escape", "back", "Back", show=False, id="place.back", tooltip="Out of the filter, the picture, the place"),
        Binding("r", "reload", "Reload", show=False, id="place.reload", tooltip="Read the catalogue again now"),
    ]  # fmt: skip

    query_text = ""

    def __init__(self) -> None:
        super().__init__()
        # Known before the first layout, so that styles are worked out once.
        size, app = self.app.size, self.app
        self.add_class(
            _range_of(size.width, app.HORIZONTAL_BREAKPOINTS),
            _range_of(size.height, app.VERTICAL_BREAKPOINTS),
        )
        self._next = 0.0
        self._soon: Timer | None = None

    @property
    def astro(self) -> "Host":
        """The app, with its store and the place's shared state."""
        return cast("Host", self.app)

    def body(self) -> ComposeResult:
        """The widgets of the place."""
        yield from ()

    def made(self) -> None:
        """Called once, when the widgets are there."""

    def note(self, text: str) -> None:
        """What stands at the right end of the bar of this place, also when another one is shown meanwhile."""
        self.query_one(PlaceBar).set_note(text)

    async def load(self) -> None:
        """Read what the place shows."""

    def compose(self) -> ComposeResult:
        yield PlaceBar(self.PLACE)
        yield from self.body()
        yield KeyLine()

    def on_mount(self) -> None:
        # A place that is made while the app ends, or is about to, may have lost its widgets.
        if self.app.is_running and self.app.return_code is None:
            self.made()

    # --- reading the catalogue ------------------------------------------------------------------------------------

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        super().on_screen_resume(event)
        if self.is_current:  # not while it is only made ahead of its key
            self.astro.show_running(self)
            for picture in self.query(Picture):
                picture.come()
            self._reload(unasked=True)

    def catalog_changed(self) -> None:
        """Somebody wrote to the catalogue: read it again soon, but never so often that it is felt."""
        if self._soon is None:
            self._soon = self.set_timer(max(self._next - time.monotonic(), 0.01), self._reload_now)

    def _reload_now(self) -> None:
        self._soon = None
        if self.app.screen_stack and self.app.screen_stack[0] is self:
            self._reload(unasked=True)

    def action_reload(self) -> None:
        """Read the place again."""
        self._reload()

    def _reload(self, *, unasked: bool = False) -> None:
        start(self, self._load, group=f"load-{self.PLACE}", exclusive=True, unasked=unasked)

    async def _load(self) -> None:
        begun = time.monotonic()
        await self.load()
        self.astro.trouble_is_over()
        now = time.monotonic()
        self._next = now + min(max(_REST * (now - begun), _REST_S[0]), _REST_S[1])

    async def read(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(catalog, *arguments)` in a thread."""
        return await self.astro.store.read(function, *arguments)

    def change(
        self, function: Callable[..., Any], *arguments: Any, then: Callable[[Any], None] | None = None
    ) -> None:
        """Write to the catalogue, queued at once and in the order of the keys; then read the place again."""
        writing = self.astro.store.write(function, *arguments)

        async def work() -> None:
            result = await writing
            if then is not None:
                then(result)
            await self.load()

        start(self, work, group="change")

    def edit(self, kind: "Kind", heading: str, records: Sequence[Any]) -> None:
        """Correct names, types, notes, ratings and tags of records; then read the place again."""
        from astrotui.tui.editing import known_of
        from astrotui.tui.screens.edit_form import EditForm

        def closed(said: str | None) -> None:
            if said is not None:
                self.notify(said, markup=False, timeout=4)
                self.action_reload()

        if records:
            self.app.push_screen(EditForm(known_of(kind, heading, records)), closed)

    # --- the filter line ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not (action == "filter" and self.FILTER_SCOPE is None)

    async def complete(self) -> None:
        """Make the filter line; no first frame waits for it."""
        if self.FILTER_SCOPE is None or self.query("#filter"):
            return
        line = Input(placeholder=f"{self.FILTER_EXAMPLE}   (enter, esc to leave)", id="filter")
        wrong = Static(id="filter-wrong", markup=False)
        line.display = wrong.display = False
        await self.mount(line, wrong, before=self.query_one(KeyLine))

    @property
    def filtering(self) -> bool:
        """Whether the filter line is open."""
        return any(line.display for line in self.query("#filter"))

    async def action_filter(self) -> None:
        """Open the filter line."""
        await self.complete()
        for line in self.query("#filter").results(Input):
            line.display = True
            line.value = self.query_text
            line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "filter":
            start(self, self._filter, group="filter", exclusive=True)

    async def _filter(self) -> None:
        """Use the query, or say under the line what is wrong with it."""
        text = self.query_one("#filter", Input).value.strip()
        wrong = self.query_one("#filter-wrong", Static)
        try:
            await self.read(_check_query, text, self.FILTER_SCOPE)
        except QueryError as error:
            wrong.update(clean(error, 300))
            wrong.display = True
            return
        self.query_text = text
        self._close_filter()
        self.action_reload()

    def _close_filter(self) -> None:
        self.query_one("#filter", Input).display = False
        self.query_one("#filter-wrong", Static).display = False
        self.focus_main()

    def focus_main(self) -> None:
        """Give the keyboard to the main widget of the place."""
        self.query(RowTable).first().focus()

    def action_back(self) -> None:
        """Leave the filter line, then the filter, then the place."""
        if self.FILTER_SCOPE is not None:
            if self.filtering:
                self._close_filter()
                return
            if self.query_text:
                self.query_text = ""
                self.action_reload()
                return
        if self.PLACE != "library":
            self.app.switch_mode("library")


def _range_of(extent: int, breakpoints: "list[tuple[int, str]] | None") -> str:
    """The class of a screen of this width or height."""
    return max((least, name) for least, name in breakpoints or [(0, "-any")] if least <= extent)[1]


def _check_query(catalog: Any, text: str, scope: Literal["sessions", "frames"]) -> None:
    from astrotui.catalog.query import parse
    from astrotui.catalog.saved import saved_texts

    with catalog.read() as db:
        saved = saved_texts(db, scope)
    try:
        parse(text, scope, saved=saved)
    except QueryError:
        raise
    except AstrotuiError as error:
        raise QueryError(str(error)) from error
