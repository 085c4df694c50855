"""All choices of a look beside the picture, which follows each of them."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from astrotui.errors import AstrotuiError
from astrotui.rendering.looks import CHOICES, Look
from astrotui.text import clean
from astrotui.tui.screens.dialog import FormDialog
from astrotui.tui.widgets.form import Form, Line
from astrotui.tui.widgets.words import Words

_MEANINGS = {
    "stretch": "how faint light is lifted", "linked": "one stretch for all colors, or one a color",
    "target": "level of the sky, 0 to 1", "shadows": "black point, in noise under the sky",
    "local": "how much ghs works around the sky", "black": "level that becomes black",
    "mid": "level that becomes middle gray", "white": "level that becomes white",
    "contrast": "an S-curve, 0 to 1", "saturation": "0 gray, 1 as it is",
    "scnr": "share of green excess taken out", "background": "surface taken from the sky",
    "background_mode": "subtract light, or divide shading", "color": "balance on stars, or on the sky",
    "flip": "mirror", "rotate": "turn clockwise",
}  # fmt: skip


def look_lines(look: Look) -> list[Line]:
    """A line for each choice; what is not chosen stands at its default."""
    lines = []
    for field in fields(Look):
        value, default = getattr(look, field.name), getattr(Look(), field.name)
        if field.name in CHOICES:
            choices = tuple(str(choice) for choice in CHOICES[field.name])
            lines.append(Line(field.name, _MEANINGS.get(field.name, ""), choices, None, str(value)))
        else:
            free = "auto" if default is None else f"{default:g}"
            typed = "" if value == default else f"{value:g}"
            lines.append(Line(field.name, _MEANINGS.get(field.name, ""), free=free, value=typed))
    return lines


def look_of(lines: list[Line]) -> Look:
    """The look that was chosen.

    Raises
    ------
    AstrotuiError
        A value cannot be used.
    """
    table: dict[str, Any] = {}
    for line in lines:
        if line.name == "rotate":
            table[line.name] = int(line.value)
        elif line.choices:
            table[line.name] = line.value
        elif line.value not in ("", "-", "."):
            try:
                table[line.name] = float(line.value)
            except ValueError:
                raise AstrotuiError(f"{line.label}: {clean(line.value, 30)!r} is not a number") from None
    return Look.from_dict(table)


class LookForm(FormDialog[None]):
    """Changes the look of the picture behind it, key by key."""

    HELP_NAME = "the look"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+s", "dismiss", "Close", id="look_form.close"),
        Binding("ctrl+r", "reset", "Back to the defaults", id="look_form.reset"),
    ]

    def __init__(self, look: Look, changed: Callable[[Look], None]) -> None:
        super().__init__()
        self.look = look
        self.changed = changed

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="look-form"):
            yield Static("Look", classes="dialog--title", markup=False)
            yield Form(look_lines(self.look), id="form")
            yield Words(id="meaning")
            yield Static("←→ or type · ctrl+r defaults · esc", classes="dialog--keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(Form).focus()

    def action_reset(self) -> None:
        form = self.query_one(Form)
        form.lines = look_lines(Look())
        form.action_move(0)

    @on(Form.Moved, "#form")
    def _moved(self, event: Form.Moved) -> None:
        said = f"{event.line.label}: {event.line.meaning}"
        try:
            look = look_of(event.form.lines)
        except AstrotuiError as error:
            said = event.form.words(clean(error, 200))
        else:
            if look != self.look:
                self.look = look
                self.changed(look)
        self.query_one("#meaning", Words).update(said)
