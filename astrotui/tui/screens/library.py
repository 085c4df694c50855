"""Library: sessions, their totals, what needs attention, and a picture of the one under the cursor."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.timer import Timer

from astrotui.config import parse_size
from astrotui.text import clean, plural
from astrotui.tui import queueing
from astrotui.tui.follow import working
from astrotui.tui.pictures import session_picture
from astrotui.tui.place import Place
from astrotui.tui.sessions import (
    COLUMNS,
    TARGET_COLUMNS,
    Target,
    attention,
    by_target,
    describe,
    describe_target,
    total,
)
from astrotui.tui.widgets.picture import DEBOUNCE_S, Picture
from astrotui.tui.widgets.table import Column, RowTable
from astrotui.tui.widgets.words import Words
from astrotui.tui.work import start

if TYPE_CHECKING:
    from astrotui.library.session_list import SessionRecord


class LibraryPlace(Place):
    """All sessions."""

    PLACE = "library"
    FILTER_SCOPE = "sessions"
    FILTER_EXAMPLE = "target:m51 exp:10 date:2025-01..2025-03 dark:none"
    CSS_PATH = "library.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Frames", key_display="⏎", id="library.open", tooltip="Open the session's frames"),
        Binding("m", "measure", "Measure", id="library.measure", tooltip="Measure the session: stars, FWHM, scores"),
        Binding("t", "stack", "Stack", id="library.stack", tooltip="Stack the session, or all that are marked"),
        Binding("space", "mark", "Mark", show=False, key_display="space", id="library.mark", tooltip="Mark to stack several"),
        Binding("v", "targets", "Targets", id="library.targets", tooltip="Targets with their totals, or sessions again"),
        *Place.SHARED,
        Binding("d", "darks", "Darks", id="library.darks", tooltip="Darks, flats and bias frames that fit the session"),
        Binding("f", "folder", "Add folder", id="library.folder", tooltip="Add a folder of frames to the library"),
        Binding("i", "index", "Index", id="library.index", tooltip="Look again for new and changed files in all folders"),
        Binding("e", "edit", "Edit", id="library.edit", tooltip="Name, correct the type or filter, note, rate, tag"),
        Binding("exclamation_mark", "attention", "Attention", show=False, key_display="!", id="library.attention",
                tooltip="Only sessions that need attention, or all again"),
        Binding("w", "watch", "Watch", show=False, id="library.watch",
                tooltip="Stack live while the session's frames arrive"),
        Binding("P", "solve", "Plate solve", show=False, id="library.solve",
                tooltip="Find where it lies in the sky, by a plate solver"),
        Binding("y", "where", "Path", show=False, id="library.where", tooltip="Where the session's folder is"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.only_attention = False
        self.marked: set[int] = set()
        self.by_target = False
        self._resting: Timer | None = None

    def body(self) -> ComposeResult:
        with Container(id="library", classes="place"):
            empty = ""
            mark: Column[SessionRecord] = Column("mark", " ", 1, lambda s: "●" if s.id in self.marked else "")
            yield RowTable([mark, *COLUMNS], key=lambda s: s.id, empty=empty, id="sessions")
            with Container(id="about"):
                yield Picture(id="picture")
                yield Words(id="facts")

    def made(self) -> None:
        self.table.at_once = self._follow
        self.table.focus()

    def _follow(self, session: "SessionRecord | None") -> None:
        """Have the other places and dialogs be about a session as soon as the cursor is on it."""
        if not self.by_target:
            self.astro.session_id = session.id if session is not None else None

    def _follow_target(self, target: "Target | None") -> None:
        if self.by_target:
            self.astro.session_id = target.sessions[0].id if target is not None else None

    @property
    def table(self) -> "RowTable[SessionRecord]":
        """The table of sessions."""
        return self.query_one("#sessions", RowTable)

    async def complete(self) -> None:
        await super().complete()
        if not self.query("#targets"):
            targets = RowTable(TARGET_COLUMNS, key=lambda t: t.name, empty=self.table.empty, id="targets")
            targets.display = False
            targets.at_once = self._follow_target
            await self.query_one("#library").mount(targets, after=self.table)
            self._list_targets()

    @property
    def targets(self) -> "RowTable[Target]":
        """The table of targets; it is there when it was asked for, at the latest."""
        return self.query_one("#targets", RowTable)

    def _list_targets(self) -> None:
        for targets in self.query("#targets").results(RowTable):
            targets.empty = self.table.empty
            targets.set_rows(by_target(self.table.rows))

    def focus_main(self) -> None:
        (self.targets if self.by_target else self.table).focus()

    def show_first(self, sessions: "Sequence[SessionRecord]") -> None:
        """Show sessions that are known before the catalogue is open."""
        if not self.table.loaded:
            self.table.set_rows(sessions)
            self._note()

    def catalog_changed(self) -> None:
        if not self.table.rows and self.table.loaded:  # the reading may be a while off; this is known now
            self.table.empty = self._nothing()
            self.table.set_rows([])
        super().catalog_changed()

    def _nothing(self) -> str:
        """What stands where no session is."""
        if self.query_text or self.only_attention:
            return "no session matches: esc takes the filter away"
        if reading := working(self.astro.live, "index"):
            return f"{reading}; sessions will appear here"
        return "no sessions yet: f adds a folder of frames, and with it all folders in it"

    async def load(self) -> None:
        records = await self.read(_sessions, self.query_text)
        if self.only_attention:
            records = [record for record in records if attention(record)]
        self.table.empty = self._nothing()
        self.table.set_rows(records)
        self._list_targets()
        self._note()

    def _note(self) -> None:
        """Totals of what is listed, and what it was narrowed to."""
        records = self.table.rows
        marked = [] if self.by_target else [record for record in records if record.id in self.marked]
        light = total(marked or records)
        words = f"{len(marked)} marked, {light}" if marked else f"{plural(len(records), 'session')}, {light}"
        limits = [self.query_text] * bool(self.query_text) + ["!"] * self.only_attention
        self.note(" · ".join([*limits, words]))

    @on(RowTable.Moved, "#targets")
    def _moved_target(self, event: RowTable.Moved) -> None:
        if self.by_target and event.row is not None:
            self._about(event.row.sessions[0], describe_target(event.row))

    @on(RowTable.Moved, "#sessions")
    def _moved(self, event: RowTable.Moved) -> None:
        if not self.by_target:
            self._about_session(event.row)

    def _about_session(self, session: "SessionRecord | None") -> None:
        room = self.query_one("#facts", Words).content_size
        self._about(session, describe(session, self.table.rows, room) if session is not None else "")

    def on_resize(self) -> None:
        if not self.by_target and self.table.row is not None:
            self.call_after_refresh(self._about_session, self.table.row)

    def _about(self, session: "SessionRecord | None", facts: str) -> None:
        """The session that the other places are about, its facts and, when the cursor rests, its picture."""
        self.astro.session_id = session.id if session is not None else None
        self.query_one("#facts", Words).update(facts)
        # A cursor that runs through the table asks the catalogue once, when it rests.
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(
            DEBOUNCE_S,
            partial(
                start, self, partial(self._picture, session), group="picture", exclusive=True, unasked=True
            ),
        )

    async def _picture(self, session: "SessionRecord | None") -> None:
        """The newest stack of the session, else its best frame."""
        request = await self.read(session_picture, session.id) if session is not None else None
        self.query_one("#picture", Picture).show(
            request, text="" if session is None else "no picture", now=True
        )

    @on(RowTable.Chosen, "#targets")
    def _chosen_target(self, event: RowTable.Chosen) -> None:
        """The sessions of a target."""
        self._turn_lists()
        self.table.go_to(event.row.sessions[0].id)

    @on(RowTable.Chosen, "#sessions")
    def _chosen(self, event: RowTable.Chosen) -> None:
        self.astro.open_session(event.row.id)

    def action_open(self) -> None:
        (self.targets if self.by_target else self.table).choose()

    def action_mark(self) -> None:
        """Mark the session under the cursor, or take its mark away."""
        if self.by_target:
            self.notify("marks are for sessions: v lists them; t here stacks all of the target", timeout=4)
        elif self.table.row is not None:
            self._mark(self.marked ^ {self.table.row.id})
            self.table.action_move(1)

    def _mark(self, sessions: set[int]) -> None:
        self.marked = sessions
        self.table.refresh()
        self._note()

    async def action_targets(self) -> None:
        """Targets with their totals, or sessions again; the cursor stays on what it was about."""
        await self.complete()
        self._turn_lists()

    def _turn_lists(self) -> None:
        here, there = self.table.row, self.targets.row
        self.by_target = not self.by_target
        self.table.display, self.targets.display = not self.by_target, self.by_target
        self.focus_main()
        self._note()
        if self.by_target and here is not None:
            self.targets.go_to(here.target or "")
            if self.targets.row is not None:
                self._about(self.targets.row.sessions[0], describe_target(self.targets.row))
        elif not self.by_target:
            if there is not None and here is not None and (here.target or "") != there.name:
                self.table.go_to(there.sessions[0].id)
            self._about_session(self.table.row)

    def action_darks(self) -> None:
        if self.astro.session_id is not None:
            self.astro.open_session(self.astro.session_id, "darks")

    def action_attention(self) -> None:
        self.only_attention = not self.only_attention
        self.action_reload()

    def action_where(self) -> None:
        from astrotui.tui.screens.where import WhereScreen

        if (session := self._session) is not None:
            self.app.push_screen(WhereScreen("This session", {"folder": session.path}))

    def _chosen_sessions(self) -> "list[SessionRecord]":
        """The sessions that are marked, else the one under the cursor; those of the target where targets are listed."""
        if self.by_target:
            return list(self.targets.row.sessions) if self.targets.row is not None else []
        marked = [s for s in self.table.rows if s.id in self.marked]
        return marked or ([self.table.row] if self.table.row is not None else [])

    @property
    def _session(self) -> "SessionRecord | None":
        """The session under the cursor, of a target its first one."""
        if self.by_target:
            return self.targets.row.sessions[0] if self.targets.row is not None else None
        return self.table.row

    def action_edit(self) -> None:
        """Correct or annotate the session, or all that are marked."""
        if chosen := self._chosen_sessions():
            name = f"{chosen[0].target or '(no target)'} {chosen[0].night or ''}".strip()
            self.edit(
                "sessions", f"Edit {name if len(chosen) == 1 else plural(len(chosen), 'session')}", chosen
            )

    def action_watch(self) -> None:
        """Ask, then stack live what arrives in the session's folder."""
        from astrotui.tui.screens.message import QuestionScreen

        session, settings = self._session, self.astro.settings
        if session is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.astro.queue(
                    queueing.watch, session.id, settings.output_folder, parse_size(settings.memory),
                    then=lambda job: self.notify(f"job {job} watches; 4 shows it, 5 its picture", timeout=5),
                )  # fmt: skip

        text = (
            f"Stack {clean(session.target or 'this session', 40)} live? New frames in {clean(session.path, 200)} join the "
            "picture as they come; the first one is made of three. It ends when nothing came for 30 minutes, or by x in "
            "Jobs (4), and goes on when you quit. `astrotui watch` has more choices."
        )
        self.app.push_screen(QuestionScreen("Watch", text), answered)

    def action_solve(self) -> None:
        """Ask the plate solver that is installed."""
        if chosen := [session.id for session in self._chosen_sessions()]:
            self.astro.queue(
                queueing.solve, chosen, (), then=lambda job: self.notify(f"job {job} solves; 4 shows it", timeout=3)
            )  # fmt: skip

    def action_measure(self) -> None:
        self.astro.queue_measure()

    def action_stack(self) -> None:
        """Stack the target under the cursor, or the session, or all that are marked, whose marks go when that is queued."""
        chosen = tuple(sorted(session.id for session in self._chosen_sessions()))
        self.astro.open_stack_form(chosen, then=lambda: self._mark(self.marked - set(chosen)))

    def action_index(self) -> None:
        self.astro.queue_index()

    def action_folder(self) -> None:
        self.astro.action_add_folder()

    def action_back(self) -> None:
        """Out of the filter line; then marks, the filter, the targets go."""
        if self.filtering:
            super().action_back()
        elif self.marked and not self.by_target:
            self._mark(set())
        elif self.only_attention and not self.query_text:
            self.action_attention()
        elif self.by_target and not self.query_text:
            self._turn_lists()
        else:
            super().action_back()


def _sessions(catalog: Any, query: str) -> "list[SessionRecord]":
    from astrotui.library.listing import list_sessions

    return list_sessions(catalog, query)
