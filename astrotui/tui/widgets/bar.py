"""The line that names the five places and marks the present one."""

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import events
from textual.widget import Widget

from astrotui.tui.widgets.lines import HasPlainLines

SMALLEST = (60, 15)  # columns and rows of a terminal in which the places can be read
PLACES = (("1", "library"), ("2", "frames"), ("3", "darks"), ("4", "jobs"), ("5", "stacks"))


class PlaceBar(HasPlainLines, Widget):
    """`1 Library  2 Frames ...` with what runs beside Jobs and a note at the right; a click goes there.

    In a terminal that is too small for the places it is all that is shown, and says so.
    """

    DEFAULT_CSS = """
    PlaceBar { dock: top; height: 1; background: $panel; color: $text; }
    """
    COMPONENT_CLASSES = {"bar--running"}  # noqa: RUF012 - Textual declares it so

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place
        self._note = ""
        self._progress = ""

    def set_note(self, note: str) -> None:
        """What stands at the right end."""
        if note != self._note:
            self._note = note
            self.refresh()

    def set_running(self, running: str) -> None:
        """What stands beside Jobs: how far the running job is."""
        if running != self._progress:
            self._progress = running
            self.refresh()

    def _labels(self) -> list[tuple[str, str]]:
        """Names of the places and what is written for them."""
        return [
            (name, f" {key} {name.capitalize()} " + (self._progress if name == "jobs" else ""))
            for key, name in PLACES
        ]

    @property
    def too_small(self) -> bool:
        """Whether nothing else can be read in this terminal."""
        return self.app.size.width < SMALLEST[0] or self.app.size.height < SMALLEST[1]

    def render(self) -> Text:
        if self.too_small:
            least = f"{SMALLEST[0]}x{SMALLEST[1]}"
            return Text(f"This terminal is too small for astrotui: {least} is the least (q quits).")
        line = Text(no_wrap=True, overflow="crop")
        for name, label in self._labels():
            running = self._progress if name == "jobs" else ""
            line.append(
                label.removesuffix(running) if running else label,
                "bold reverse" if name == self.place else "",
            )
            if running:
                line.append(running, self.get_component_rich_style("bar--running", partial=True))
        room = self.size.width - line.cell_len - 2
        if self._note and room > 3:
            note = self._note
            if cell_len(note) > room:
                note = set_cell_size(note, room - 1) + "…"
            line.append(" " * (room + 1 - cell_len(note)) + note)
        return line

    def on_click(self, event: events.Click) -> None:
        if self.too_small:
            return
        left = 0
        for name, label in self._labels():
            if left <= event.x < left + cell_len(label):
                self.app.switch_mode(name)
                return
            left += cell_len(label)
