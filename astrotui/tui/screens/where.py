"""Where files are: full paths to read, to copy, and to fetch from another machine."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
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


class WhereScreen(Dialog[None]):
    """Paths by what they are. The first goes to the clipboard (OSC 52, which also works over SSH)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,y,q", "dismiss", "Close", id="where.close"),
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
            yield Label(
                "The first path is in the clipboard if the terminal allows it. esc closes.",
                classes="dialog--hint",
            )

    def on_mount(self) -> None:
        self._write()
        if self.paths:
            self.app.copy_to_clipboard(next(iter(self.paths.values())))
        if self.picture is not None:
            start(self, self._make_picture, group="where", exclusive=True)

    def _write(self) -> None:
        lines = [f"{name}\n  {clean(path, 2000)}" for name, path in self.paths.items()]
        self.query_one("#paths", Static).update("\n".join(lines))

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
