"""The stack form: the recipe options of `astrotui stack`, one line each, defaults that give a good picture."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from astrotui.errors import AstrotuiError, UsageError
from astrotui.stacking.recipe import CHOICES, Recipe
from astrotui.text import clean, duration, plural
from astrotui.tui.queueing import enqueue
from astrotui.tui.reading import session_name
from astrotui.tui.widgets.choice import ChoiceLine
from astrotui.tui.widgets.field import FieldLine
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.tui.host import Host

_KINDS = ("dark", "flat", "bias")
_NUMBERS = {
    "low": "default of the method", "high": "default of the method", "min_score": "none left out",
    "drizzle": "off; 1 to 3", "pixfrac": "1",
}  # fmt: skip
_MEANINGS = {
    "combine": "average keeps most signal; median for few, bad frames",
    "reject": "which samples are left out: trails, planes, cosmic rays",
    "normalize": "how frames are brought to one level before rejection",
    "weight": "what makes a frame count more",
    "align": "the model that carries frames onto the reference",
    "resample": "interpolation when frames are moved",
    "frame": "the field of the result",
    "cosmetic": "fill hot and dead pixels",
    "debayer": "how color is made from one-shot-color frames",
    "dark": "auto takes what Darks (3) chose or you pinned",
    "flat": "auto takes what Darks (3) chose or you pinned",
    "bias": "auto takes what Darks (3) chose or you pinned",
    "low": "lower limit of the rejection", "high": "upper limit of the rejection",
    "min_score": "leave out frames under this score",
    "drizzle": "scale of the output, for undersampled, dithered frames", "pixfrac": "size of drizzle's drops",
    "output": "a .fits file or a folder; empty: the output folder",
}  # fmt: skip


class Lines(VerticalScroll, can_focus=False, inherit_bindings=False):
    """The lines of the form; arrow keys go from line to line instead of scrolling."""


class StackForm(ModalScreen[int | None]):
    """Choose how to stack a session and queue it; closes with the id of the job."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "queue", "Queue the stack", priority=True, id="form.queue"),
        Binding("escape", "leave", "Leave", id="form.leave"),
        Binding("down", "app.focus_next", "Next", show=False, id="form.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="form.previous"),
    ]

    def __init__(self, session_id: int) -> None:
        super().__init__()
        self.session_id = session_id
        self._queued = False

    def compose(self) -> ComposeResult:
        defaults = Recipe()
        with Vertical(classes="dialog wide", id="form"):
            yield Label("Stack", classes="dialog--title", id="heading", markup=False)
            with Lines(id="lines"):
                for name, choices in CHOICES.items():
                    yield ChoiceLine(name, choices, getattr(defaults, name))
                for kind in _KINDS:
                    yield ChoiceLine(kind, ("auto", "none"), "auto")
                for name, placeholder in _NUMBERS.items():
                    yield FieldLine(name, placeholder)
                yield FieldLine("output", "the output folder")
            yield Static(id="wrong", markup=False)
            yield Static(id="meaning", markup=False)
            yield Label("ctrl+s queue · ↑↓ line · ←→ change · esc leave", classes="dialog--keys")

    def on_mount(self) -> None:
        self.query(ChoiceLine).first().focus()
        start(self, self._describe, group="describe", exclusive=True)

    async def _describe(self) -> None:
        """Name the session, and say what would be stacked."""
        text = await cast("Host", self.app).store.read(_describe, self.session_id)
        self.query_one("#heading", Label).update(text)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        line = event.widget if isinstance(event.widget, ChoiceLine) else event.widget.parent
        if isinstance(line, ChoiceLine | FieldLine):
            self.query_one("#meaning", Static).update(
                f"{line.name_.replace('_', ' ')}: {_MEANINGS[line.name_]}"
            )

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_input_submitted(self) -> None:
        self.app.action_focus_next()  # enter alone never starts hours of work

    def action_queue(self) -> None:
        if self._queued:
            return  # a second key press is not a second stack
        try:
            options = self._options()
        except AstrotuiError as error:
            self.query_one("#wrong", Static).update(clean(error, 300))
            return
        self._queued = True
        start(self, partial(self._queue, options), group="queue-stack")

    def _options(self) -> dict[str, Any]:
        """What was chosen.

        Raises
        ------
        UsageError
            A value cannot be used.
        """
        chosen: dict[str, Any] = {line.name_: line.value for line in self.query(ChoiceLine)}
        calibration = {kind: chosen.pop(kind) for kind in _KINDS}
        for name in _NUMBERS:
            text = self.query_one(f"#field-{name}", FieldLine).value
            if not text:
                continue
            try:
                chosen[name] = float(text)
            except ValueError:
                raise UsageError(f"{name.replace('_', ' ')}: {clean(text, 30)!r} is not a number") from None
        output = self.query_one("#field-output", FieldLine).value
        return {"recipe": Recipe(**chosen), "output": Path(output) if output else None, **calibration}

    async def _queue(self, options: dict[str, Any]) -> None:
        app = cast("Host", self.app)
        settings = app.settings
        try:
            job = await app.store.write(
                _queue, self.session_id, settings.output_folder, settings.memory, options
            )
        except AstrotuiError as error:
            self._queued = False
            self.query_one("#wrong", Static).update(clean(error, 300))
            return
        self.dismiss(job)


def _describe(catalog: Any, session_id: int) -> str:
    from astrotui.library.listing import list_frames
    from astrotui.library.worth import worth

    value = worth(list_frames(catalog, [session_id]))
    name = session_name(catalog, session_id)
    return clean(
        f"Stack {name}: {value.kept} of {plural(value.frames, 'frame')}, {duration(value.integration_s)}", 74
    )


def _queue(catalog: Any, session_id: int, folder: Path, memory: str, options: dict[str, Any]) -> int:
    from astrotui.config import parse_size
    from astrotui.library.requests import request_stack

    request = request_stack(catalog, [session_id], folder=folder, memory=parse_size(memory), **options)
    target = session_name(catalog, session_id).rpartition(" ")[0] or "session"
    title = clean(f"stack {target}, {plural(len(request.frames), 'frame')}", 80)
    return enqueue(catalog, "stack", request.to_dict(), title)
