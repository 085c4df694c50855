"""Library: sessions, their totals, what needs attention, and a picture of the one under the cursor."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.timer import Timer
from textual.widgets import Static

from astrotui.text import clean, duration, plural
from astrotui.tui.pictures import session_picture
from astrotui.tui.place import Place
from astrotui.tui.reading import DarkMemo, unjudged
from astrotui.tui.screens.where import WhereScreen
from astrotui.tui.widgets.picture import DEBOUNCE_S, Picture
from astrotui.tui.widgets.table import Cell, Column, RowTable
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.library.listing import SessionRecord


_UNJUDGED = {"id": None, "grade": "…"}  # stands for a dark until the dark library was looked through


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
    elif session.dark["grade"] not in ("exact", "…"):
        found.append(f"dark {session.dark['grade']}")
    if session.warnings:
        found.append(plural(len(session.warnings), "warning"))
    return found


def kept(session: "SessionRecord") -> int:
    """Lights that a stack would take."""
    return session.undecided + session.accepted


def _g(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{value:g}{unit}"


COLUMNS: list[Column["SessionRecord"]] = [
    Column("target", "Target", 13, lambda s: s.target or "(no target)", lambda s: (s.target or "").lower() or None),
    Column("night", "Night", 10, lambda s: str(s.night or "–"), lambda s: s.night, descending=True),
    Column("exp", "Exp", 6, lambda s: _g(s.exposure_s, "s"), lambda s: s.exposure_s, "right"),
    Column("gain", "Gain", 5, lambda s: _g(s.gain), lambda s: s.gain, "right"),
    Column("filter", "Filter", 7, lambda s: s.filter or "–", lambda s: s.filter),
    Column("frames", "Frames", 7, lambda s: f"{kept(s)}/{s.lights}", kept, "right", True),
    Column("total", "Total", 7, lambda s: duration(s.integration_s), lambda s: s.integration_s, "right", True),
    Column(
        "attention", "Attention", 17, lambda s: Cell(", ".join(attention(s)), "warn"), lambda s: len(attention(s)),
        descending=True,
    ),
]  # fmt: skip


class LibraryPlace(Place):
    """All sessions."""

    PLACE = "library"
    FILTER_SCOPE = "sessions"
    FILTER_EXAMPLE = "target:m51 exp:10 date:2025-01..2025-03 dark:none"
    CSS_PATH = "library.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Frames", key_display="⏎", id="library.open", tooltip="Open the session's frames"),
        Binding("m", "measure", "Measure", id="library.measure", tooltip="Measure the session: stars, FWHM, scores"),
        Binding("t", "stack", "Stack", id="library.stack", tooltip="Stack the session: choose a recipe, queue it"),
        Binding("d", "darks", "Darks", id="library.darks", tooltip="Darks, flats and bias frames that fit the session"),
        *Place.SHARED,
        Binding("f", "folder", "Add folder", id="library.folder", tooltip="Add a folder of frames to the library"),
        Binding("i", "index", "Index", id="library.index", tooltip="Look again for new and changed files in all folders"),
        Binding("exclamation_mark", "attention", "Attention", show=False, key_display="!", id="library.attention",
                tooltip="Only sessions that need attention, or all again"),
        Binding("y", "where", "Path", show=False, id="library.where", tooltip="Where the session's folder is"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.only_attention = False
        self._darks = DarkMemo()
        self._resting: Timer | None = None

    def body(self) -> ComposeResult:
        with Container(id="library", classes="place"):
            empty = "no sessions: f adds a folder of frames, esc takes a filter away"
            yield RowTable(COLUMNS, key=lambda s: s.id, empty=empty, id="sessions")
            with Container(id="about"):
                yield Picture(id="picture")
                yield Static(id="facts", markup=False)

    def on_mount(self) -> None:
        self.table.focus()

    @property
    def table(self) -> "RowTable[SessionRecord]":
        """The table of sessions."""
        return self.query_one("#sessions", RowTable)

    async def load(self) -> None:
        if not self.table.loaded and not self.query_text:
            # The first look must not wait until hundreds of sessions are judged against the dark library.
            self._show(await self.read(_sessions, "", unjudged), judged=False)
        self._show(await self.read(_sessions, self.query_text, self._darks), judged=True)

    def _show(self, records: "list[SessionRecord]", *, judged: bool) -> None:
        if not judged:
            records = [replace(record, dark=_UNJUDGED) for record in records]
        if self.only_attention:
            records = [record for record in records if attention(record)]
        self.table.set_rows(records)
        total = sum(record.integration_s for record in records)
        words = f"{plural(len(records), 'session')}, {duration(total)}"
        limits = [self.query_text] * bool(self.query_text) + ["!"] * self.only_attention
        self.astro.note(" · ".join([*limits, words]))

    @on(RowTable.Moved, "#sessions")
    def _moved(self, event: RowTable.Moved) -> None:
        session = event.row
        self.astro.session_id = session.id if session is not None else None
        self.query_one("#facts", Static).update(
            describe(session, self.table.rows) if session is not None else ""
        )
        # A cursor that runs through the table asks the catalogue once, when it rests.
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(
            DEBOUNCE_S, partial(start, self, partial(self._picture, session), group="picture", exclusive=True)
        )

    async def _picture(self, session: "SessionRecord | None") -> None:
        """The newest stack of the session, else its best frame."""
        request = await self.read(session_picture, session.id) if session is not None else None
        self.query_one("#picture", Picture).show(
            request, text="" if session is None else "no picture", now=True
        )

    @on(RowTable.Chosen, "#sessions")
    def _chosen(self, event: RowTable.Chosen) -> None:
        self.astro.open_session(event.row.id)

    def action_open(self) -> None:
        self.table.choose()

    def action_darks(self) -> None:
        if self.astro.session_id is not None:
            self.astro.open_session(self.astro.session_id, "darks")

    def action_attention(self) -> None:
        self.only_attention = not self.only_attention
        self.action_reload()

    def action_where(self) -> None:
        if (session := self.table.row) is not None:
            self.app.push_screen(WhereScreen("This session", {"folder": session.path}))

    def action_measure(self) -> None:
        self.astro.queue_measure()

    def action_stack(self) -> None:
        self.astro.open_stack_form()

    def action_index(self) -> None:
        self.astro.queue_index()

    def action_folder(self) -> None:
        self.astro.action_add_folder()

    def action_back(self) -> None:
        if self.only_attention and not self.query_text and not self.query_one("#filter").display:
            self.action_attention()
        else:
            super().action_back()


def _sessions(catalog: Any, query: str, darks: "Callable[[Any], dict[int, Any]]") -> "list[SessionRecord]":
    from astrotui.library.listing import list_sessions

    return list_sessions(catalog, query, darks=darks)


def describe(session: "SessionRecord", others: "list[SessionRecord]") -> str:
    """What is known of a session, one fact a line; `others` are summed up by target."""
    name = session.target or "(no target)"
    camera = session.camera or session.device or "unknown camera"
    size = f"{session.width}x{session.height} {session.cfa or 'mono'}"
    facts = [
        clean(f"{name} · session {session.id}"),
        clean(f"{camera} {size}"),
        f"{kept(session)} of {plural(session.lights, 'light')}, {duration(session.integration_s)}"
        + (f", {session.rejected} rejected" if session.rejected else ""),
        f"dark: {session.dark['grade'] if session.dark else 'none'}"
        + (f", lights at {session.temperature_c:.0f} °C" if session.temperature_c is not None else ""),
    ]
    same = [other for other in others if session.target and other.target == session.target]
    if len(same) > 1:
        total = duration(sum(other.integration_s for other in same))
        facts.insert(1, clean(f"{plural(len(same), 'session')} of it: {total}"))
    if needs := attention(session):
        facts.append("! " + ", ".join(needs))
    facts += [f"! {clean(text, 120)}" for text in session.warnings[:4]]
    if session.note:
        facts.append(clean(session.note, 120))
    return "\n".join([*facts, clean(session.path, 200)])
