"""The export form: which file to write from a result, and where."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from astrotui.errors import AstrotuiError
from astrotui.text import clean
from astrotui.tui.exporting import FORMATS, free_name, parse_longest
from astrotui.tui.provenance import Stack
from astrotui.tui.screens.dialog import FormDialog
from astrotui.tui.widgets.form import Form, Line
from astrotui.tui.widgets.words import Words


@dataclass(frozen=True)
class Export:
    """What was chosen; `size` is the longest side of a picture in pixels, None for all of them."""

    kind: str
    out: Path
    size: int | None


class ExportForm(FormDialog[Export | None]):
    """Closes with what to write, or None."""

    HELP_NAME = "the export form"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "write", "Write", priority=True, id="export_form.write"),
        Binding("escape", "leave", "Leave", id="export_form.leave"),
    ]

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide", id="export-form"):
            name = f"Export stack {self.stack['id']}, {self.stack['target'] or '(no target)'}"
            yield Static(clean(name, 80), classes="dialog--title", markup=False)
            yield Form(
                [
                    Line("to", "", tuple(FORMATS)),
                    Line("size", "longest side of a picture in pixels", free="full size"),
                    Line("file", "where it is written; a file that exists is never replaced", free=""),
                ],
                id="form",
            )
            yield Words(id="meaning")
            yield Words(id="wrong")
            yield Static(
                "ctrl+s write · ↑↓ line · ←→ change, or type · esc leave",
                classes="dialog--keys",
                markup=False,
            )

    def on_mount(self) -> None:
        self.query_one(Form).focus()

    @on(Form.Moved, "#form")
    def _moved(self, event: Form.Moved) -> None:
        form = event.form
        kind = form["to"].value
        form["file"].free = str(free_name(Path(self.stack["output"]), kind))
        form["size"].free = "full size" if FORMATS[kind][1] else "(pictures only)"
        form.refresh()
        meaning = FORMATS[kind][2] if event.line.name == "to" else event.line.meaning
        self.query_one("#meaning", Words).update(f"{event.line.name}: {meaning}")

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_write(self) -> None:
        form = self.query_one(Form)
        kind = form["to"].value
        try:
            size = parse_longest(form["size"].value)
            out = (
                Path(form["file"].value or free_name(Path(self.stack["output"]), kind))
                .expanduser()
                .absolute()
            )
            if out.is_dir() and kind != "siril":
                out = out / free_name(Path(self.stack["output"]), kind).name
            if out.exists():
                raise AstrotuiError(f"{out} exists; choose another name")
        except AstrotuiError as error:
            self.query_one("#wrong", Words).update(clean(error, 300))
            return
        self.dismiss(Export(kind, out, size))
