"""The line that names the five places and marks the present one."""

from rich.text import Text
from textual import events
from textual.widget import Widget

PLACES = (("1", "library"), ("2", "frames"), ("3", "darks"), ("4", "jobs"), ("5", "stacks"))


class PlaceBar(Widget):
    """`1 Library  2 Frames ...` with a note at the right; a click goes there."""

    DEFAULT_CSS = """
    PlaceBar { dock: top; height: 1; background: $panel; color: $text; }
    """

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place
        self._note = ""

    def set_note(self, note: str) -> None:
        """What stands at the right end: running jobs, say."""
        if note != self._note:
            self._note = note
            self.refresh()

    def render(self) -> Text:
        line = Text()
        for key, name in PLACES:
            style = "bold reverse" if name == self.place else ""
            line.append(f" {key} {name.capitalize()} ", style)
        room = self.size.width - line.cell_len - len(self._note) - 1
        if self._note and room > 0:
            line.append(" " * room + self._note)
        line.no_wrap = True
        return line

    def on_click(self, event: events.Click) -> None:
        left = 0
        for key, name in PLACES:
            width = len(f" {key} {name.capitalize()} ")
            if left <= event.x < left + width:
                self.app.switch_mode(name)
                return
            left += width
