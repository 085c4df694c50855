"""An app whose places are made ahead of their keys, and whose stylesheets are parsed once.

Textual 8.2 (pinned exactly) parses all stylesheets anew for every screen that is first shown, makes a mode's screen
when it is first switched to, works out the styles of a screen again whenever it comes back, and then waits 50 ms: a
tenth of a second and more in which no key is heard.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from textual import events
from textual.app import App
from textual.geometry import Size
from textual.screen import Screen
from textual.theme import Theme
from textual.timer import Timer
from textual.widget import Widget

from astrotui.tui.widgets.lines import HasPlainLines

_BEHIND_S = 0.1
_MOST_WAITING = 12  # pieces of output; Textual's queue holds 30
_REST_S = 0.05  # between the pieces of work that nobody waits for; keys go first


if TYPE_CHECKING:
    Base = Screen[Any]
else:
    Base = object  # the first base that is a widget gives a screen its default styles: it must be Textual's


class QuickScreen(HasPlainLines, Base):
    """Mixed into a screen: it is laid out and painted once when it comes, where Textual does both two or three times."""

    _coming = False
    _away = False  # made ahead, or left for another place; that it comes is a message, which may still be on its way

    async def complete(self) -> None:
        """Make what no first frame needs; called ahead of the keys that want it, and by them."""

    def on_screen_suspend(self) -> None:
        self._away = not self.is_current

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Runs before Textual's own handler, which works out styles, layout and picture."""
        if self.is_current:
            self._away = False
        event.refresh_styles = False  # they are known since it was made, or since the theme changed
        self._coming = True

    def _screen_resized(self, size: Size) -> None:
        if size != self._size or not self._nodes:
            super()._screen_resized(size)

    def _compositor_refresh(self) -> None:
        if not self._coming:
            super()._compositor_refresh()

    def _on_timer_update(self) -> None:
        if self._away and self.is_current:
            self._update_timer.pause()  # the message that it comes has it painted; before, it would be painted twice
            return
        if self._coming and self.is_current:
            if self._layout_required:
                self._refresh_layout()
                self._layout_required = False
            self._coming, self._repaint_required = False, True
        super()._on_timer_update()


class AheadApp(App[None]):
    """Spares the event loop what Textual would do twice, and does early what can be done early."""

    _colors: dict[str, str] | None = None
    _variables: tuple[Theme, dict[str, str]] | None = None
    _styled = False
    _waiting: Timer | None = None

    def delay_update(self, delay: float = 0.0) -> None:
        """Nothing is waited for: a place that was made ahead has its layout, and there is nothing to mask."""

    def refresh_css(self, animate: bool = True) -> None:
        """Parse the stylesheets again only for other colors; a screen that was away takes the present ones."""
        colors = self.get_css_variables()
        if colors != self._colors:
            self._colors = colors
            super().refresh_css(animate)
            return
        if not self._styled:
            self._styled = True
            self.stylesheet.update(
                self, animate=animate
            )  # all widgets take their colors from the app's own styles
        for screen in self.screen_stack if self._current_mode in self._screen_stacks else ():
            if 0 <= screen._css_update_count < self._css_update_count:
                self.stylesheet.update(screen, animate=animate)
            screen._css_update_count = self._css_update_count

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Paint, unless the terminal has not taken what was painted before: then once, when it has.

        Textual waits for a terminal that takes nothing, and no key is heard as long as it does.
        """
        if not self._is_behind():
            super()._display(screen, renderable)
            return
        if self._waiting is None:
            self._waiting = self.set_timer(_BEHIND_S, self._catch_up)
        self.post_display_hook()

    def _is_behind(self) -> bool:
        writer = getattr(self._driver, "_writer_thread", None)
        return writer is not None and writer._queue.qsize() > _MOST_WAITING

    def _catch_up(self) -> None:
        self._waiting = None
        if self._is_behind():
            self._waiting = self.set_timer(_BEHIND_S, self._catch_up)
        else:
            self.screen.refresh()

    def get_css_variables(self) -> dict[str, str]:
        """Asked for four times before the first frame, and worked out once for a theme."""
        theme = self.current_theme
        if self._variables is None or self._variables[0] is not theme:
            self._variables = (theme, super().get_css_variables())
        return self._variables[1]

    def get_theme(self, theme_name: str) -> Theme | None:
        """Asked for with each line that is painted, for which Textual makes two dictionaries of all themes."""
        return self._registered_themes.get(theme_name) or super().get_theme(theme_name)

    def start_theme(self, name: str) -> None:
        """The theme to begin with: its colors are in force before anything is parsed."""
        self.theme = name
        self._colors = self.get_css_variables()
        self.stylesheet.set_variables(self._colors)

    def read_css(self, screen: Screen[Any]) -> None:
        """Read and parse the stylesheets of a screen before it is shown; there is nothing yet that would take them."""
        for path in screen.css_path:
            if not self.stylesheet.has_source(str(path)):
                self.stylesheet.read(path)
                self.stylesheet.parse()

    async def make_ahead(self, mode: str) -> None:
        """Make a mode's screen before anybody goes there, in pieces with room for keys in between."""
        if mode in self._screen_stacks or not self.is_running:
            return
        make = self._modes[mode]
        assert callable(make)
        screen = make()
        self.read_css(screen)
        await asyncio.sleep(_REST_S)
        if mode in self._screen_stacks or not self.is_running:
            return  # somebody went there meanwhile, or left
        self._modes[mode] = lambda: screen
        if isinstance(screen, QuickScreen):
            screen._away = True
        await self._init_mode(mode)
        screen._css_update_count = self._css_update_count
        if isinstance(screen, QuickScreen):
            await asyncio.sleep(_REST_S)
            await screen.complete()
        for widget in list(screen.walk_children(Widget)):
            if screen.is_current or not self.is_running:
                return
            if widget.is_attached and widget.region:
                widget.render_lines(widget.region.reset_offset)  # Textual keeps the lines until they change
                await asyncio.sleep(_REST_S)
