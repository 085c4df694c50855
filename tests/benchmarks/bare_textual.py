"""An app of Textual's own pieces, with a second screen of six pieces of text under the key 2: what astrotui cannot beat."""

from textual.app import App, ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Label, Static


class First(Screen[None]):
    def compose(self) -> ComposeResult:
        yield Label("Stacks")


class Second(Screen[None]):
    def compose(self) -> ComposeResult:
        yield Static("places")
        with Container(), Container():
            yield Static("\n".join("x" * 100 for _ in range(30)))
            for name in "abc":
                yield Static(name)
        yield Static("keys")


class Bare(App[None]):
    MODES = {"first": First, "second": Second}  # noqa: RUF012
    DEFAULT_MODE = "first"
    BINDINGS = [("2", "switch_mode('second')")]  # noqa: RUF012


if __name__ == "__main__":
    Bare().run()
