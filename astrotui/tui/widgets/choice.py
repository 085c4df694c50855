"""One line of a form: a name and one of several values, changed with the arrow keys."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widget import Widget

LABEL = 10  # cells for the name of a line of a form


class ChoiceLine(Widget, can_focus=True):
    """`reject   ‹auto›  none  sigma ...`"""

    DEFAULT_CSS = """
    ChoiceLine { height: 1; padding: 0 1; }
    ChoiceLine:focus { background: $primary 40%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l,space", "step(1)", "Next value", show=False, id="choice.next"),
        Binding("left,h", "step(-1)", "Previous value", show=False, id="choice.previous"),
    ]

    def __init__(self, name: str, choices: Sequence[str], value: str) -> None:
        super().__init__(id=f"choice-{name}")
        self.name_ = name
        self.choices = list(choices)
        self.value = value

    def action_step(self, step: int) -> None:
        self.value = self.choices[(self.choices.index(self.value) + step) % len(self.choices)]
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        left = LABEL
        for choice in self.choices:
            if left <= event.x - 1 < left + len(choice) + 2:
                self.value = choice
                self.refresh()
            left += len(choice) + 2

    def render(self) -> Text:
        line = Text(f"{self.name_:<{LABEL}}", no_wrap=True, overflow="crop")
        for choice in self.choices:
            line.append(
                f"‹{choice}›" if choice == self.value else f" {choice} ",
                "bold" if choice == self.value else "dim",
            )
        return line
