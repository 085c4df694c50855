"""The stack form: the recipe options of `astrotui stack`, one line each, defaults that give a good picture."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from astrotui.errors import AstrotuiError
from astrotui.stacking.recipe import CHOICES, Recipe
from astrotui.text import clean, plural
from astrotui.tui.widgets.choice import ChoiceLine
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.tui.app import AstroApp

_NUMBERS = ("low", "high", "min_score", "drizzle", "pixfrac")


class StackForm(ModalScreen[int | None]):
    """Choose how to stack a session and queue it; closes with the id of the job."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "queue", "Queue the stack", priority=True, id="form.queue"),
        Binding("escape", "leave", "Leave", id="form.leave"),
        Binding("down", "app.focus_next", "Next", show=False, id="form.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="form.previous"),
    ]

    def __init__(self, session_id: int, title: str) -> None:
        super().__init__()
        self.session_id = session_id
        self.heading = title

    def compose(self) -> ComposeResult:
        defaults = Recipe()
        with VerticalScroll(classes="dialog wide", id="form"):
            yield Label(clean(f"Stack {self.heading}"), classes="dialog--title")
            for name, choices in CHOICES.items():
                yield ChoiceLine(name, choices, getattr(defaults, name))
            for kind in ("dark", "flat", "bias"):
                yield ChoiceLine(kind, ("auto", "none"), "auto")
            for name in _NUMBERS:
                value = getattr(defaults, name)
                yield Input(
                    "" if value is None else f"{value:g}", placeholder=f"{name.replace('_', ' ')} (default)", id=f"n-{name}",
                    compact=True, classes="line",
                )  # fmt: skip
            yield Input(
                placeholder="output file (default: the output folder)",
                id="output",
                compact=True,
                classes="line",
            )
            yield Static(id="wrong", markup=False)
            yield Label("↑↓ line · ←→ change · ctrl+s queue the stack · esc leave", classes="dialog--hint")

    def on_mount(self) -> None:
        self.query(ChoiceLine).first().focus()

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_input_submitted(self) -> None:
        self.action_queue()

    def action_queue(self) -> None:
        try:
            options = self._options()
        except AstrotuiError as error:
            self.query_one("#wrong", Static).update(clean(error, 300))
            return
        start(self, partial(self._queue, options), group="queue-stack", exclusive=True)

    def _options(self) -> dict[str, Any]:
        """What was chosen.

        Raises
        ------
        UsageError
            A value cannot be used.
        """
        from astrotui.errors import UsageError

        chosen: dict[str, Any] = {line.name_: line.value for line in self.query(ChoiceLine)}
        calibration = {kind: chosen.pop(kind) for kind in ("dark", "flat", "bias")}
        for name in _NUMBERS:
            text = self.query_one(f"#n-{name}", Input).value.strip()
            if not text:
                continue
            try:
                chosen[name] = float(text)
            except ValueError:
                raise UsageError(f"{name.replace('_', ' ')}: {clean(text, 30)!r} is not a number") from None
        output = self.query_one("#output", Input).value.strip()
        return {"recipe": Recipe(**chosen), "output": Path(output) if output else None, **calibration}

    async def _queue(self, options: dict[str, Any]) -> None:
        app = cast("AstroApp", self.app)
        settings = app.settings
        try:
            job = await app.write(_queue, self.session_id, settings.output_folder, settings.memory, options)
        except AstrotuiError as error:
            self.query_one("#wrong", Static).update(clean(error, 300))
            return
        self.dismiss(job)


def _queue(catalog: Any, session_id: int, folder: Path, memory: str, options: dict[str, Any]) -> int:
    from astrotui.config import parse_size
    from astrotui.jobs.launch import ensure_worker
    from astrotui.jobs.queue import enqueue
    from astrotui.library.requests import request_stack

    request = request_stack(catalog, [session_id], folder=folder, memory=parse_size(memory), **options)
    job = enqueue(catalog, "stack", request.to_dict(), title=f"stack {plural(len(request.frames), 'frame')}")
    ensure_worker(catalog)
    return job
