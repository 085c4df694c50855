"""One line of a form for a number or a path, its name before it."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Label

from astrotui.tui.widgets.choice import LABEL


class FieldLine(Horizontal):
    """`low        [default]`"""

    DEFAULT_CSS = """
    FieldLine { height: 1; padding: 0 1; }
    FieldLine Input { width: 1fr; background: transparent; border: none; padding: 0; height: 1; }
    FieldLine:focus-within { background: $primary 40%; }
    """

    def __init__(self, name: str, placeholder: str, value: str = "") -> None:
        super().__init__(id=f"field-{name}")
        self.name_ = name
        self._placeholder = placeholder
        self._value = value

    def compose(self) -> ComposeResult:
        yield Label(f"{self.name_.replace('_', ' '):<{LABEL}}")
        yield Input(self._value, placeholder=self._placeholder, compact=True, select_on_focus=False)

    @property
    def value(self) -> str:
        """What was typed."""
        return self.query_one(Input).value.strip()
