"""Where files are: full paths to read, to copy, and to fetch from another machine."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Label, Static

from astrotui.rendering.service import SupersededError, ViewRequest
from astrotui.text import clean
from astrotui.tui.screens.dialog import Dialog
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.tui.host import Host

_CELLS = (60, 20)


def plain_lines(title: str, paths: Mapping[str, str]) -> str:
    """What is written outside of the app: each path on a line of its own, as it is."""
    lines = [f"# {name}\n{clean(path, 10_000)}" for name, path in paths.items()]
    return "\n".join([clean(title, 200), "", *lines, "", "enter goes back to astrotui "])


class WhereScreen(Dialog[None]):
    """Paths by what they are. The first goes to the clipboard (OSC 52, which also works over SSH)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Close", id="where.close"),
        Binding(
            "y",
            "plain",
            "Unbroken",
            id="where.plain",
            tooltip="Each path on one line, to copy with the mouse",
        ),
        *(Binding(str(n), f"copy({n})", f"Copy {n}", show=False, id=f"where.copy_{n}") for n in range(1, 10)),
    ]

    def __init__(self, title: str, paths: Mapping[str, str], picture: ViewRequest | None = None) -> None:
        super().__init__()
        self.heading = title
        self.paths = dict(paths)
        self.picture = picture

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog wide"):
            yield Label(clean(self.heading, 100), classes="dialog--title")
            yield Static(id="paths", markup=False)
            yield Static(
                "In the clipboard, if the terminal allows it: the first one; 1 to 9 put another there.\n"
                "y shows them unbroken, to copy with the mouse · esc closes",
                classes="dialog--hint",
            )

    def on_mount(self) -> None:
        self._write()
        if self.paths:
            self.app.copy_to_clipboard(next(iter(self.paths.values())))
        if self.picture is not None:
            start(self, self._make_picture, group="where", exclusive=True)

    def _write(self) -> None:
        lines = [f"{n} {name}\n  {clean(path, 2000)}" for n, (name, path) in enumerate(self.paths.items(), 1)]
        self.query_one("#paths", Static).update("\n".join(lines))

    def action_copy(self, number: int) -> None:
        """Put a path into the terminal's clipboard."""
        if number <= len(self.paths):
            name, path = list(self.paths.items())[number - 1]
            self.app.copy_to_clipboard(path)
            self.notify(f"{name}: copied, if the terminal allows it", markup=False, timeout=3)

    def action_plain(self) -> None:
        """Leave the app's screen for a moment: what the terminal breaks by itself, it copies as one line."""
        try:
            with self.app.suspend():
                sys.stdout.write(plain_lines(self.heading, self.paths))
                sys.stdout.flush()
                sys.stdin.readline()
        except SuspendNotSupported:
            self.notify("not possible in this terminal; 1 to 9 copy a path", severity="warning")

    async def _make_picture(self) -> None:
        """Have the helper write the picture as a PNG, and say where."""
        assert self.picture is not None
        request = replace(self.picture, columns=_CELLS[0], rows=_CELLS[1], png=True)
        try:
            view = await cast("Host", self.app).pictures.view(request, slot="where")
        except SupersededError:
            return  # closed meanwhile
        if view.png is not None:
            self.paths["picture, small, as PNG"] = view.png
            self._write()
