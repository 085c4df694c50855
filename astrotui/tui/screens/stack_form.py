"""The stack form: sessions and the recipe options of `astrotui stack`, one line each, defaults that give a good picture."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from astrotui.errors import AstrotuiError
from astrotui.text import clean
from astrotui.tui import stacking
from astrotui.tui.screens.dialog import FormDialog
from astrotui.tui.widgets.form import Form, Line
from astrotui.tui.widgets.words import Words
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.stacking.comet_places import Place
    from astrotui.tui.host import Host


class StackForm(FormDialog[tuple[int, ...] | None]):
    """Choose how to stack and queue it; closes with the ids of the jobs.

    Parameters
    ----------
    sessions : ids; with one, the others of its target are offered too
    reference : id of a frame that is offered as the reference
    comet : where a comet is in two frames; the form begins with a stack on it
    names : what frames are called in Frames, by id
    """

    HELP_NAME = "the stack form"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "queue", "Queue the stack", priority=True, id="stack_form.queue"),
        Binding("escape", "leave", "Leave", id="stack_form.leave"),
    ]

    def __init__(
        self,
        sessions: Sequence[int],
        reference: int | None = None,
        comet: "Sequence[Place]" = (),
        names: Mapping[int, str] | None = None,
    ) -> None:
        super().__init__()
        self.sessions = tuple(sessions)
        self.reference = reference
        self.comet = comet
        self.names = names or {}
        self.facts: stacking.Facts | None = None
        self._queued = False
        self._refused: list[str] | None = None  # the values with which it could not be queued
        self._wrong = ""  # why
        self._foretold: list[tuple[str, bool]] = []  # how a drizzle will cover, and whether that is good
        self._foretold_of: list[str] = []  # the values that it is about

    @property
    def host(self) -> "Host":
        """The app."""
        return cast("Host", self.app)

    def compose(self) -> ComposeResult:
        settings = self.host.settings
        with Vertical(classes="dialog wide", id="stack-form"):
            yield Words(id="heading", classes="dialog--title")
            lines = stacking.form_lines(
                str(settings.memory), settings.output_folder, self.reference, self.names
            )
            if self.comet:
                stacking.follow_comet(lines, self.comet, self.names)
            yield Form(lines, id="form")
            yield Words(id="meaning")
            yield Words(id="wrong")
            yield Words(id="warnings")
            yield Static(
                "ctrl+s queue · ↑↓ line · ←→ or type · ? help · esc",
                classes="dialog--keys",
                markup=False,
            )

    def on_mount(self) -> None:
        self._say("#wrong", "")
        self._say("#warnings", "")
        self.form.focus()
        start(self, self._read, group="describe", exclusive=True)

    @property
    def form(self) -> Form:
        """The lines."""
        return self.query_one("#form", Form)

    async def _read(self) -> None:
        """Name what would be stacked, and offer what fits."""
        facts = await self.host.store.read(stacking.read_facts, self.sessions)
        self.facts = facts
        for kind in stacking.KINDS:
            self.form[kind].choices = ("auto", "none", *(name for name in facts.sets[kind] if name != "auto"))
        sessions = self.form["sessions"]
        sessions.choices, sessions.value = tuple(facts.sessions), next(iter(facts.sessions))
        self.form.refresh()
        self._show(self.form.lines[self.form.cursor])

    @on(Form.Moved, "#form")
    def _moved(self, event: Form.Moved) -> None:
        low, high = stacking.limits(self.form["reject"].value)
        self.form["low"].free, self.form["high"].free = low, high
        if self._refused is not None and self._refused != self._values():
            self._refused, self._wrong = None, ""  # what was said was about other values
            self._say("#wrong", "")
        self.form.refresh()
        if self.form["drizzle"].value == "off":
            self._foretold, self._foretold_of = [], []
        self._show(event.line)
        if self.form["drizzle"].value != "off" and self._values() != self._foretold_of:
            self._foretold_of = self._values()
            start(self, self._foretell, group="foretell", exclusive=True)

    async def _foretell(self) -> None:
        """Say how evenly a drizzle will cover, before it is queued."""
        values, folder, told = self._foretold_of, self.host.settings.output_folder, []
        with suppress(AstrotuiError):  # a value is not typed to its end
            options = stacking.options_of(self.form.lines, str(self.host.settings.memory))
            told = await self.host.store.read(stacking.foretell_drizzle, self._chosen(), folder, options)
        if values == self._foretold_of:
            self._foretold = told
            self._show(self.form.lines[self.form.cursor])

    def _show(self, line: Line) -> None:
        """The heading for the chosen sessions, and what the present line means."""
        meaning = line.meaning
        if self.facts is not None:
            chosen = self.form["sessions"].value
            self.query_one("#heading", Words).update(f"Stack {self.facts.headings[chosen]}")
            warnings = [
                f"! {text}"
                for kind, text in self.facts.warnings[chosen]
                if (not kind or self._is_default(kind)) and text != self._wrong
            ]
            warnings += [f"! {clean(text, 320)}" for text, good in self._foretold if not good]
            self._say("#warnings", "\n".join(warnings))
            if line.name in stacking.KINDS:
                known = self.facts.sets[line.name]
                said = "none is used, on purpose" if line.value == "none" else f"the set or file {line.value}"
                meaning = known.get(line.value, said)
        said = clean(f"{line.label}: {meaning}", 300)
        if line.name in ("drizzle", "pixfrac") and (good := [text for text, good in self._foretold if good]):
            said = "\n".join(clean(text, 300) for text in good)
        self.query_one("#meaning", Words).update(said)

    def _is_default(self, name: str) -> bool:
        """Whether a line is as it was, so that what is said of it still holds."""
        lines = ("split", "mix_filters") if name == "split" else (name,)
        return all(self.form[each].value == self.form[each].choices[0] for each in lines)

    def _say(self, where: str, text: str) -> None:
        """Lines that take room only while there is something to say."""
        said = self.query_one(where, Words)
        said.update(self.form.words(text))
        said.display = bool(text)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_queue(self) -> None:
        if self._queued:
            return  # a second key press is not a second stack
        try:
            options = stacking.options_of(self.form.lines, str(self.host.settings.memory))
        except AstrotuiError as error:
            self._complain(error)
            return
        self._queued = True
        start(self, partial(self._queue, options), group="queue-stack")

    def _values(self) -> list[str]:
        return [line.value for line in self.form.lines]

    def _complain(self, error: AstrotuiError) -> None:
        self._refused, self._wrong = self._values(), clean(error, 300)
        self._say("#wrong", self._wrong)
        self._show(self.form.lines[self.form.cursor])  # what is said already is said once

    def _chosen(self) -> tuple[int, ...]:
        """The sessions that are stacked."""
        return self.sessions if self.facts is None else self.facts.sessions[self.form["sessions"].value]

    async def _queue(self, options: dict[str, Any]) -> None:
        sessions = self._chosen()
        try:
            jobs = await self.host.store.write(
                stacking.queue_stack, sessions, self.host.settings.output_folder, options
            )
        except AstrotuiError as error:
            self._queued = False
            self._complain(error)
            return
        self.close_with(jobs)
