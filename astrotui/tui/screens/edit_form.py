"""The edit form: names, types, notes, ratings and tags of sessions, frames and stacks."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from astrotui.errors import AstrotuiError
from astrotui.text import clean
from astrotui.tui import editing
from astrotui.tui.screens.dialog import FormDialog
from astrotui.tui.widgets.form import Form
from astrotui.tui.widgets.words import Words
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.tui.host import Host


class EditForm(FormDialog[str | None]):
    """Writes what was changed; closes with what is said of it, or None."""

    HELP_NAME = "the edit form"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "write", "Write", priority=True, id="edit_form.write"),
        Binding("escape", "leave", "Leave", id="edit_form.leave"),
    ]

    def __init__(self, known: editing.Known) -> None:
        super().__init__()
        self.known = known
        self._writing = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide", id="edit-form"):
            yield Static(clean(self.known.heading, 80), classes="dialog--title", markup=False)
            yield Form(editing.edit_lines(self.known), id="form")
            yield Words(id="meaning")
            yield Words(id="wrong")
            keys = "ctrl+s write · ↑↓ line · ←→ or type · ? help · esc leave"
            yield Static(keys, classes="dialog--keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(Form).focus()

    @on(Form.Moved, "#form")
    def _moved(self, event: Form.Moved) -> None:
        self.query_one("#meaning", Words).update(f"{event.line.label}: {event.line.meaning}")

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_write(self) -> None:
        if self._writing:
            return
        try:
            changes = editing.changes_of(self.known, self.query_one(Form).lines)
        except AstrotuiError as error:
            self._complain(error)
            return
        self._writing = True
        start(self, partial(self._write, changes), group="edit")

    def _complain(self, error: AstrotuiError) -> None:
        self.query_one("#wrong", Words).update(self.query_one(Form).words(clean(error, 300)))

    async def _write(self, changes: editing.Changes) -> None:
        try:
            said = await cast("Host", self.app).store.write(editing.apply, self.known, changes)
        except AstrotuiError as error:
            self._writing = False
            self._complain(error)
            return
        self.close_with(said)
