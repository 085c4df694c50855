"""A form of one line a value: choices changed with the arrow keys, or typed; one widget, so that it opens at once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from astrotui.text import clean
from astrotui.tui.widgets.lines import DrawsLines

_LABEL = 12  # cells for the name of a line, at least


@dataclass
class Line:
    """One value.

    Attributes
    ----------
    name : as in the shell's option, with `_`
    meaning : one sentence, shown while the keyboard is here
    choices : what the arrow keys go through; the first one is the default
    free : what stands there while nothing is typed; None where nothing can be typed
    value : the choice, or what was typed
    meant : by choice, what it is called outside of the form, where that is not the same
    """

    name: str
    meaning: str
    choices: tuple[str, ...] = ()
    free: str | None = None
    value: str = ""
    meant: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.value and self.choices:
            self.value = self.choices[0]

    @property
    def label(self) -> str:
        """The name as it is shown."""
        return self.name.replace("_", " ")

    def step(self, by: int) -> None:
        """Take the next choice."""
        if self.choices:
            at = self.choices.index(self.value) + by if self.value in self.choices else 0
            self.value = self.choices[at % len(self.choices)]

    def type(self, text: str) -> None:
        """Add typed text; it takes the place of a choice."""
        if self.free is not None:
            self.value = (text if self.value in self.choices else self.value + text)[:1000]

    def erase(self, *, all_of_it: bool = False) -> None:
        """Take back the last typed character; without any the default holds again."""
        if self.free is not None and self.value not in self.choices:
            self.value = "" if all_of_it else self.value[:-1]
            if not self.value and self.choices:
                self.value = self.choices[0]

    def pieces(self) -> list[tuple[str, str | None]]:
        """What is written, and the choice that a click on it takes."""
        pieces: list[tuple[str, str | None]] = [
            (f"‹{choice}›" if choice == self.value else f" {choice} ", choice) for choice in self.choices
        ]
        if self.free is not None and self.value not in self.choices:
            pieces.append((f" {self.value}" if self.value else f" {self.free}", None))
        elif self.free:
            pieces.append((f" {self.free}", None))
        return pieces


class Form(DrawsLines, ScrollView, can_focus=True, inherit_bindings=False):
    """Lines with a cursor; draws those that can be seen."""

    DEFAULT_CSS = """
    Form { height: auto; background: $panel; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"form--here", "form--dim", "form--value"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,shift+tab", "move(-1)", "Line up", show=False, id="form.up"),
        Binding("down,tab,enter", "move(1)", "Line down", show=False, id="form.down"),
        Binding("pageup", "move(-8)", "Page up", show=False, id="form.page_up"),
        Binding("pagedown", "move(8)", "Page down", show=False, id="form.page_down"),
        Binding("right", "step(1)", "Next value", show=False, id="form.next_value"),
        Binding("left", "step(-1)", "Previous value", show=False, id="form.previous_value"),
        Binding("backspace", "erase(False)", "Take back a character", show=False, id="form.erase"),
        Binding("ctrl+u", "erase(True)", "Empty the line", show=False, id="form.empty"),
    ]

    class Moved(Message):
        """The keyboard is on another line, or the line has another value."""

        def __init__(self, form: "Form", line: Line) -> None:
            super().__init__()
            self.form = form
            self.line = line

        @property
        def control(self) -> "Form":
            return self.form

    def __init__(self, lines: Sequence[Line], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines = list(lines)
        self.cursor = 0
        self.label = max(_LABEL, *(len(line.label) + 1 for line in self.lines))
        self.virtual_size = Size(0, len(self.lines))

    def __getitem__(self, name: str) -> Line:
        return next(line for line in self.lines if line.name == name)

    def take(self, lines: Sequence[Line]) -> None:
        """Other lines in the place of these; the cursor stays where it is, as far as it can."""
        self.lines = list(lines)
        self.cursor = min(self.cursor, len(self.lines) - 1)
        self.label = max(_LABEL, *(len(line.label) + 1 for line in self.lines))
        self.virtual_size = Size(0, len(self.lines))
        self.refresh(layout=True)

    def words(self, text: str) -> str:
        """A message about options of the shell in the words of the lines: `split ‹filter›` for `--split filter`."""
        lines = {line.label: line for line in self.lines}

        def said(found: re.Match[str]) -> str:
            line = lines.get("output" if found[1] == "-o" else found[1][2:].replace("-", " "))
            if line is None:
                return found[0]
            if found[2] and found[2][1:] in line.choices:
                return f"{line.label} ‹{found[2][1:]}›"
            on = " ‹yes›" if line.choices == ("no", "yes") else ""  # a switch in the shell
            return f"{line.label}{on}{found[2] or ''}"

        return re.sub(r"(?<![\w-])(--[a-z][a-z-]*|-o)\b( [\w.]*\w)?", said, text)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.lines)

    # --- keys and mouse -----------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        self._go(self.cursor + by)

    def _go(self, place: int) -> None:
        self.cursor = max(0, min(place, len(self.lines) - 1))
        self._keep_in_sight()
        self._tell()

    def on_resize(self) -> None:
        self._keep_in_sight()

    def _keep_in_sight(self) -> None:
        room, top = max(self.size.height, 1), self.scroll_offset.y
        # One more line than the cursor's is kept in sight, so that it is seen that there are more.
        low, high = max(self.cursor - 1, 0), min(self.cursor + 1, len(self.lines) - 1)
        if low < top or high >= top + room:
            self.scroll_to(y=low if low < top else high - room + 1, animate=False, force=True, immediate=True)

    def _tell(self) -> None:
        self.refresh()
        self.post_message(self.Moved(self, self.lines[self.cursor]))

    def action_step(self, by: int) -> None:
        self.lines[self.cursor].step(by)
        self._tell()

    def action_erase(self, all_of_it: bool) -> None:
        self.lines[self.cursor].erase(all_of_it=all_of_it)
        self._tell()

    def on_key(self, event: events.Key) -> None:
        if not event.is_printable or event.character is None:
            return
        line = self.lines[self.cursor]
        moves = {"h": -1, "l": 1, " ": 1}
        if line.free is not None:
            line.type(event.character)
        elif event.character in moves:
            line.step(moves[event.character])
        elif event.character in "jk":
            self.action_move(1 if event.character == "j" else -1)
        else:
            return
        event.stop()
        self._tell()

    def on_paste(self, event: events.Paste) -> None:
        self.lines[self.cursor].type(
            clean(event.text.strip().splitlines()[0] if event.text.strip() else "", 1000)
        )
        self._tell()

    def on_focus(self) -> None:
        self._tell()

    def on_click(self, event: events.Click) -> None:
        place = event.y + self.scroll_offset.y
        if place >= len(self.lines):
            return
        left = self.label + 1
        for text, choice in self.lines[place].pieces():
            if choice is not None and left <= event.x < left + cell_len(text):
                self.lines[place].value = choice
            left += cell_len(text)
        self._go(place)

    # --- drawing ------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width, place = self.size.width, y + self.scroll_offset.y
        style = self.rich_style
        if place >= len(self.lines):
            return Strip.blank(width, style)
        line, here = self.lines[place], place == self.cursor
        if here and self.has_focus:
            style = style + self.get_component_rich_style("form--here")
        dim = style if here else style + Style(color=self.get_component_rich_style("form--dim").color)
        strong = style + self.get_component_rich_style("form--value", partial=True)
        segments = [Segment(f" {line.label:<{self.label}}", style)]
        room = max(width - self.label - 3, 8)
        for whole, choice in line.pieces():
            chosen = choice == line.value or (choice is None and line.value not in ("", *line.choices))
            # Of what is typed the end is shown.
            text = f" …{whole[2 - room :]}" if choice is None and len(whole) > room else whole
            segments.append(Segment(text, strong if chosen else dim))
            if choice is None and chosen and here:
                segments.append(Segment("▏", strong))
        return Strip(self._window(segments, line, width)).adjust_cell_length(width, style)

    def _window(self, segments: list[Segment], line: Line, width: int) -> list[Segment]:
        """Leave out choices at the left where the chosen one would not be seen."""
        while sum(s.cell_length for s in segments) > width and len(segments) > 2:
            if segments[1].text.strip("‹› ▏") == line.value:
                break
            del segments[1]
        return segments
