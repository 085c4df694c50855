"""An app whose places are made ahead of their keys, and whose stylesheets are parsed once.

Textual 8.2 (pinned exactly) parses all stylesheets anew for every screen that is first shown, makes a mode's screen
when it is first switched to, works out the styles of a screen again whenever it comes back, and then waits 50 ms: a
tenth of a second and more in which no key is heard.
"""

import asyncio
from typing import Any

from rich.console import RenderableType
from textual import events
from textual.app import App
from textual.screen import Screen
from textual.timer import Timer

_BEHIND_S = 0.1
_MOST_WAITING = 12  # pieces of output; Textual's queue holds 30
_REST_S = 0.05  # between the pieces of work that nobody waits for; keys go first


def keep_styles(event: events.ScreenResume) -> None:
    """For `on_screen_resume` of a screen: what it looks like is known since it was made, or since the theme changed.

    The handlers of a subclass run before Textual's own, which asks the event.
    """
    event.refresh_styles = False


class AheadApp(App[None]):
    """Spares the event loop what Textual would do twice, and does early what can be done early."""

    _colors: dict[str, str] | None = None
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

    def start_theme(self, name: str) -> None:
        """The theme to begin with: its colors are in force before anything is parsed."""
        self.theme = name
        self._colors = self.get_css_variables()
        self.stylesheet.set_variables(self._colors)

    async def make_ahead(self, mode: str) -> None:
        """Make a mode's screen before anybody goes there, in pieces with room for keys in between."""
        if mode in self._screen_stacks or not self.is_running:
            return
        make = self._modes[mode]
        assert callable(make)
        screen = make()
        for path in screen.css_path:
            if not self.stylesheet.has_source(str(path)):
                self.stylesheet.read(path)
                self.stylesheet.parse()
        await asyncio.sleep(_REST_S)
        if mode in self._screen_stacks or not self.is_running:
            return  # somebody went there meanwhile, or left
        self._modes[mode] = lambda: screen
        await self._init_mode(mode)
        screen._css_update_count = self._css_update_count
        await asyncio.sleep(_REST_S)
