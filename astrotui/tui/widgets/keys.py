"""The line at the bottom: the keys of this place, the most important ones first, as many as there is room for."""

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.screen import Screen
from textual.widget import Widget

from astrotui.tui.widgets.lines import HasPlainLines

_ALWAYS = ("app.help", "app.quit")


class KeyLine(HasPlainLines, Widget):
    """`x Reject  u Undo ... ? Help  q Quit`, made from the bindings that are shown; a click does what the key does.

    While something has to be said that matters more, that stands there instead.

    One line of text instead of Textual's footer of many small widgets: it opens faster and drops whole entries
    where a terminal is narrow.
    """

    DEFAULT_CSS = """
    KeyLine { dock: bottom; height: 1; background: $panel; color: $text-muted; }
    """
    COMPONENT_CLASSES = {"keys--key", "keys--said"}  # noqa: RUF012 - Textual declares it so

    def __init__(self) -> None:
        super().__init__()
        self._spots: list[tuple[int, int, str]] = []
        self._said = ""

    def say(self, text: str) -> None:
        """What stands here instead of the keys, until it is empty again."""
        if text != self._said:
            self._said = text
            self.refresh()

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _: Screen[object]) -> None:
        self.refresh()

    def _entries(self) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
        """What is written for a key, its label and the key: first of this place, then of everywhere."""
        here: list[tuple[str, str, str]] = []
        everywhere: list[tuple[str, str, str]] = []
        seen: set[str] = set()
        for key, active in self.screen.active_bindings.items():
            binding = active.binding
            name = binding.id or binding.action
            if not binding.show or not active.enabled or name in seen:
                continue
            seen.add(name)
            entry = (self.app.get_key_display(binding), binding.description, key)
            (everywhere if binding.id in _ALWAYS else here).append(entry)
        return here, everywhere

    def render(self) -> Text:
        if self._said:
            self._spots = []
            style = self.get_component_rich_style("keys--said", partial=True)
            return Text.assemble((f" {self._said}", style), no_wrap=True, overflow="ellipsis")
        here, everywhere = self._entries()
        width = self.size.width
        tail = sum(cell_len(f"{key} {label}") + 2 for key, label, _ in everywhere)
        key_style = self.get_component_rich_style("keys--key", partial=True)
        line = Text(" ", no_wrap=True, overflow="crop")
        self._spots = []
        for number, (written, label, key) in enumerate([*here, *everywhere]):
            room = width - line.cell_len - (tail if number < len(here) else 0)
            if cell_len(f"{written} {label}") > room:
                continue
            start = line.cell_len
            line.append(written, key_style)
            line.append(f" {label}")
            self._spots.append((start, line.cell_len, key))
            line.append("  ")
        return line

    def on_click(self, event: events.Click) -> None:
        for start, end, key in self._spots:
            if start <= event.x < end:
                self.app.simulate_key(key)
