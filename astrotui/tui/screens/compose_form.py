"""The compose form: one color image of marked stacks, or the lines of a dual-band one."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from astrotui.errors import AstrotuiError
from astrotui.text import clean
from astrotui.tui import composing
from astrotui.tui.provenance import Stack
from astrotui.tui.screens.dialog import FormDialog
from astrotui.tui.widgets.form import Form
from astrotui.tui.widgets.words import Words
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.tui.host import Host


class ComposeForm(FormDialog[int | None]):
    """Queues the composition; closes with the id of the job.

    Parameters
    ----------
    stacks : results that can be used
    letters : what each can be by its filter, by id
    """

    HELP_NAME = "the compose form"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "queue", "Compose", priority=True, id="compose_form.queue"),
        Binding("escape", "leave", "Leave", id="compose_form.leave"),
    ]

    def __init__(self, stacks: Sequence[Stack], letters: Mapping[int, str | None]) -> None:
        super().__init__()
        self.stacks = list(stacks)
        self.letters = letters
        self.palette = composing.guess(self.stacks, letters)
        self._queued = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide", id="compose-form"):
            yield Static("Compose one color image", classes="dialog--title", markup=False)
            yield Form(composing.compose_lines(self.palette, self.stacks, self.letters), id="form")
            yield Words(id="meaning")
            yield Words(id="wrong")
            keys = "ctrl+s compose · ↑↓ line · ←→ or type · ? help · esc leave"
            yield Static(keys, classes="dialog--keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(Form).focus()

    @on(Form.Moved, "#form")
    def _moved(self, event: Form.Moved) -> None:
        form = event.form
        if form["palette"].value != self.palette:
            self.palette = form["palette"].value
            form.take(composing.compose_lines(self.palette, self.stacks, self.letters))
        line = form.lines[form.cursor]
        said = f"{line.label}: {line.meaning}"
        stack = next((s for s in self.stacks if str(s["id"]) == line.value), None)
        if stack is not None and line.name not in ("palette", "output"):
            said += f"; {composing.name_of(stack, self.letters.get(stack['id']))}"
        self.query_one("#meaning", Words).update(said)
        self.query_one("#wrong", Words).update("")

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_queue(self) -> None:
        if self._queued:
            return
        try:
            payload = composing.payload_of(self.query_one(Form).lines, self.stacks)
        except AstrotuiError as error:
            self._complain(error)
            return
        self._queued = True
        start(self, partial(self._queue, payload), group="queue-composition")

    def _complain(self, error: AstrotuiError) -> None:
        self.query_one("#wrong", Words).update(self.query_one(Form).words(clean(error, 300)))

    async def _queue(self, payload: dict[str, Any]) -> None:
        try:
            job = await cast("Host", self.app).store.write(composing.queue_composition, payload)
        except AstrotuiError as error:
            self._queued = False
            self._complain(error)
            return
        self.close_with(job)
