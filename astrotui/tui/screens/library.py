"""Library: sessions, their totals, what needs attention, and a picture of the one under the cursor."""

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from astrotui.text import clean, duration, plural
from astrotui.tui.pictures import session_picture
from astrotui.tui.place import Place
from astrotui.tui.widgets.picture import Picture
from astrotui.tui.widgets.table import Column, RowTable
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.library.listing import SessionRecord


def attention(session: "SessionRecord") -> list[str]:
    """What a person should look at, most urgent first."""
    found = []
    if session.quarantined:
        found.append(f"{session.quarantined} quarantined")
    if session.missing:
        found.append(f"{session.missing} missing")
    if session.unmeasured:
        found.append(f"{session.unmeasured} unmeasured")
    if session.dark is None:
        found.append("no dark")
    elif session.dark["grade"] != "exact":
        found.append(f"dark {session.dark['grade']}")
    if session.warnings:
        found.append(plural(len(session.warnings), "warning"))
    return found


def kept(session: "SessionRecord") -> int:
    """Lights that a stack would take."""
    return session.undecided + session.accepted


def _attention_cell(session: "SessionRecord") -> Text:
    return Text(", ".join(attention(session)), style="yellow")


COLUMNS: list[Column["SessionRecord"]] = [
    Column(
        "target",
        "Target",
        14,
        lambda s: s.target or "(no target)",
        lambda s: (s.target or "").lower() or None,
    ),
    Column("night", "Night", 10, lambda s: str(s.night or "–"), lambda s: s.night, descending=True),
    Column(
        "exp",
        "Exp",
        6,
        lambda s: "–" if s.exposure_s is None else f"{s.exposure_s:g}s",
        lambda s: s.exposure_s,
        "right",
    ),
    Column("gain", "Gain", 4, lambda s: "–" if s.gain is None else f"{s.gain:g}", lambda s: s.gain, "right"),
    Column("filter", "Filter", 7, lambda s: s.filter or "–", lambda s: s.filter),
    Column("frames", "Frames", 7, lambda s: f"{kept(s)}/{s.lights}", kept, "right", True),
    Column(
        "total", "Total", 9, lambda s: duration(s.integration_s), lambda s: s.integration_s, "right", True
    ),
    Column("attention", "Attention", 14, _attention_cell, lambda s: len(attention(s)), descending=True),
]


class LibraryPlace(Place):
    """All sessions."""

    PLACE = "library"
    FILTER_SCOPE = "sessions"
    CSS_PATH = "library.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Frames", key_display="⏎", id="library.open"),
        Binding("m", "measure", "Measure", id="library.measure"),
        Binding("t", "stack", "Stack", id="library.stack"),
        Binding("d", "darks", "Darks", id="library.darks"),
        Binding("i", "index", "Index again", id="library.index"),
    ]

    def body(self) -> ComposeResult:
        with Container(id="library"):
            yield RowTable(
                COLUMNS,
                key=lambda s: s.id,
                empty="no sessions yet: `astrotui index FOLDER` in a shell, or start the app with the folder",
                id="sessions",
            )
            with Container(id="about"):
                yield Picture(id="picture")
                yield Static(id="facts", markup=False)

    async def load(self) -> None:
        records = await self.read(_sessions, self.query_text)
        table = self.query_one("#sessions", RowTable)
        table.set_rows(records)
        total = sum(record.integration_s for record in records)
        words = f"{plural(len(records), 'session')}, {duration(total)}"
        self.astro.note(f"{self.query_text} · {words}" if self.query_text else words)
        if self.astro.session_id is not None:
            table.go_to(self.astro.session_id)

    def on_mount(self) -> None:
        self.query_one("#sessions").focus()

    @on(RowTable.Moved, "#sessions")
    def _moved(self, event: RowTable.Moved) -> None:
        session = event.row
        self.astro.session_id = session.id if session is not None else None
        self.query_one("#facts", Static).update(describe(session) if session is not None else "")
        start(self, partial(self._picture, session), group="library-picture", exclusive=True)

    async def _picture(self, session: "SessionRecord | None") -> None:
        """The newest stack of the session, else its best frame under the stretch of the session."""
        request = await self.read(session_picture, session.id) if session is not None else None
        self.query_one("#picture", Picture).show(request, text="" if session is None else "no picture")

    @on(RowTable.Chosen, "#sessions")
    def _chosen(self, event: RowTable.Chosen) -> None:
        self.astro.open_session(event.row.id)

    def action_open(self) -> None:
        self.query_one("#sessions", RowTable).action_choose()

    def action_darks(self) -> None:
        if self.astro.session_id is not None:
            self.astro.open_session(self.astro.session_id, "darks")

    def action_measure(self) -> None:
        self.astro.queue_measure()

    def action_stack(self) -> None:
        self.astro.open_stack_form()

    def action_index(self) -> None:
        self.astro.queue_index()


def _sessions(catalog: Any, query: str) -> "list[SessionRecord]":
    from astrotui.library.listing import list_sessions

    return list_sessions(catalog, query)


def describe(session: "SessionRecord") -> str:
    """What is known of a session, one fact a line."""
    facts = [
        clean(f"{session.target or '(no target)'}  #{session.id}"),
        clean(
            " ".join(
                str(v)
                for v in (
                    session.camera or session.device,
                    f"{session.width}x{session.height}",
                    session.cfa or "mono",
                )
                if v
            )
        ),
        f"{kept(session)} of {plural(session.lights, 'light')}, {duration(session.integration_s)}"
        + (f", {session.rejected} rejected" if session.rejected else ""),
        f"dark: {session.dark['grade'] if session.dark else 'none'}"
        + (f", {session.temperature_c:.0f} °C" if session.temperature_c is not None else ""),
    ]
    facts += [f"! {text}" for text in attention(session)]
    facts += [f"! {clean(text, 120)}" for text in session.warnings[:4]]
    if session.note:
        facts.append(clean(session.note, 120))
    return "\n".join([*facts, clean(session.path, 200)])
