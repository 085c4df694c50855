"""The help pages that come with astrotui, to read in the app."""

from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.strip import Strip
from textual.widgets import Label

from astrotui.tui.screens.dialog import Dialog
from astrotui.tui.themes import THEMES
from astrotui.tui.widgets.page import Page
from astrotui.tui.widgets.table import Column, RowTable
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.tui.host import Host


# Rich's own are made for a dark terminal: code is a black box, numbers and tables are a bright cyan.
_BLUE = THEMES[1].primary
_LIGHT = {
    f"markdown.{name}": _BLUE for name in ("item.number", "list", "link", "table.border", "table.header")
}
_LIGHT |= {f"markdown.{name}": f"bold {_BLUE}" for name in ("code", "code_block", "h2", "h3", "h4")}


class PagesScreen(Dialog[None]):
    """Topics at the left, the page at the right."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f1", "dismiss", "Close", id="pages.close"),
        Binding("enter", "page", "Into the page", show=False, id="pages.page"),
    ]

    def compose(self) -> ComposeResult:
        columns: list[Column[str]] = [Column("topic", "Topic", 12, str)]
        with Vertical(classes="dialog pages"):
            with Horizontal():
                yield RowTable(columns, key=str, id="topics")
                yield Page()
            yield Label("↑↓ topic · tab to the page and back · esc closes", classes="dialog--hint")

    def on_mount(self) -> None:
        table = self.query_one("#topics", RowTable)
        table.set_rows(topics())
        table.focus()

    @on(RowTable.Moved, "#topics")
    def _moved(self, event: RowTable.Moved) -> None:
        if event.row is not None:
            self._read(event.row)

    @on(RowTable.Chosen, "#topics")
    def _chosen(self, event: RowTable.Chosen) -> None:
        self.action_page()

    def action_page(self) -> None:
        """Let the arrow keys scroll the page."""
        self.query_one("#page").focus()

    def _read(self, topic: str) -> None:
        page = self.query_one("#page", Page)
        dark = self.app.current_theme.dark

        async def work() -> None:
            page.show(await cast("Host", self.app).background(lay_out, topic, page.size.width - 2, dark))

        start(self, work, group="page", exclusive=True)


def topics() -> list[str]:
    """Names of the help pages, the tour of the app first."""
    folder = resources.files("astrotui") / "docs"
    names = sorted(entry.name.removesuffix(".md") for entry in folder.iterdir() if entry.name.endswith(".md"))
    return sorted(names, key=lambda name: name != "app")


def lay_out(topic: str, width: int, dark: bool = True) -> list[Strip]:
    """A page as lines of at most `width` cells; takes a while, so for a thread."""
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    text = (resources.files("astrotui") / "docs" / f"{topic}.md").read_text(encoding="utf-8")
    console = Console(
        width=max(width, 20), force_terminal=True, color_system="truecolor", legacy_windows=False,
        theme=None if dark else Theme(_LIGHT),
    )  # fmt: skip
    page = Markdown(text, code_theme="ansi_dark" if dark else "ansi_light", hyperlinks=False)
    lines: Sequence[list[Segment]] = console.render_lines(page, pad=False)
    return [Strip(cast(Any, line)) for line in lines]
