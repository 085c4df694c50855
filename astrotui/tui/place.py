"""What the five places have in common: the bar of places, the filter line, loading in the background, errors."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Input

from astrotui.tui.widgets.bar import PlaceBar
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.tui.app import AstroApp

T = TypeVar("T")


class Place(Screen[None]):
    """A screen that is one of the five places.

    A subclass yields its widgets in `body`, reads the catalogue in `load` (called in a worker whenever the place is
    shown or the catalogue changed) and shows what it got.
    """

    PLACE: ClassVar[str] = ""
    FILTER_SCOPE: ClassVar[str | None] = None  # "sessions" or "frames" where the filter line makes sense
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", id="place.filter"),
        Binding("escape", "back", "Back", show=False, id="place.back"),
        Binding("r", "reload", "Reload", show=False, id="place.reload"),
    ]

    query_text = ""

    @property
    def astro(self) -> "AstroApp":
        """The app, with its store and the place's shared state."""
        return cast("AstroApp", self.app)

    def body(self) -> ComposeResult:
        """The widgets of the place."""
        yield from ()

    async def load(self) -> None:
        """Read what the place shows."""

    def compose(self) -> ComposeResult:
        yield PlaceBar(self.PLACE)
        yield from self.body()
        if self.FILTER_SCOPE is not None:
            line = Input(
                placeholder="filter: target:m51 score:>60 -status:rejected  (enter, esc to leave)",
                id="filter",
            )
            line.display = False
            yield line
        yield Footer(show_command_palette=False)

    def on_screen_resume(self) -> None:
        self.action_reload()

    def catalog_changed(self) -> None:
        """Somebody wrote to the catalogue."""
        self.action_reload()

    def action_reload(self) -> None:
        """Read the place again."""
        start(self, self.load, group=f"load-{self.PLACE}", exclusive=True)

    async def read(self, function: Callable[..., T], *arguments: Any) -> T:
        """`function(catalog, *arguments)` in a thread."""
        return await self.astro.store.run(function, *arguments)

    def change(
        self, function: Callable[..., Any], *arguments: Any, then: Callable[[Any], None] | None = None
    ) -> None:
        """Write in a thread, one change after the other, then read the place again."""

        async def work() -> None:
            result = await self.astro.write(function, *arguments)
            if then is not None:
                then(result)
            await self.load()

        start(self, work, group="change")

    # --- the filter line ------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Open the filter line."""
        if self.FILTER_SCOPE is None:
            return
        line = self.query_one("#filter", Input)
        line.display = True
        line.value = self.query_text
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "filter":
            self.query_text = event.value.strip()
            event.input.display = False
            self.focus_main()
            self.action_reload()

    def focus_main(self) -> None:
        """Give the keyboard to the main widget of the place."""
        self.focus_next("RowTable")

    def action_back(self) -> None:
        """Leave the filter line, then the filter, then the place."""
        if self.FILTER_SCOPE is not None:
            line = self.query_one("#filter", Input)
            if line.display:
                line.display = False
                self.focus_main()
                return
            if self.query_text:
                self.query_text = ""
                self.action_reload()
                return
        if self.PLACE != "library":
            self.app.switch_mode("library")
