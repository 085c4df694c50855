"""Darks: coverage of the dark library, gaps worth shooting, and the candidates of the session with their reasons."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from astrotui.errors import AstrotuiError, UsageError
from astrotui.text import clean, duration, plural
from astrotui.tui import coverage
from astrotui.tui.place import Place
from astrotui.tui.screens.where import WhereScreen
from astrotui.tui.widgets.table import Cell, Column, RowTable, Tone
from astrotui.tui.widgets.words import Words

if TYPE_CHECKING:
    from astrotui.catalog.models import Session
    from astrotui.library.calibrators import Candidate, Match

_GRADES: dict[str, Tone] = {"exact": "good", "scaled": "info", "near": "warn", "refused": "bad"}
_ORDER = ("exact", "scaled", "near", "refused")
_KINDS = ("dark", "flat", "bias")
_MOST_GAPS = 3


@dataclass(frozen=True)
class _Held:
    """A calibration set with what it is for the session: a candidate, or just a set of the library."""

    candidate: "Candidate | None"
    set: Any

    @property
    def grade(self) -> str:
        return self.candidate.grade if self.candidate is not None else ""


def _grade(held: _Held) -> Cell:
    if held.candidate is None:
        return Cell("–")
    sign = "⚑" if held.candidate.pinned else "→" if held.candidate.chosen else " "
    return Cell(f"{sign} {held.grade}", _GRADES[held.grade])


def _g(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{value:g}{unit}"


def _temperature(held: _Held) -> str:
    return "–" if held.set.temperature_c is None else f"{held.set.temperature_c:.0f}°C"


COLUMNS: list[Column[_Held]] = [
    Column("grade", "Fits", 9, _grade, lambda h: _ORDER.index(h.grade) if h.grade else None),
    Column("id", "Set", 4, lambda h: str(h.set.id), lambda h: h.set.id, "right"),
    Column("kind", "Kind", 9, lambda h: h.set.kind, lambda h: h.set.kind),
    Column("exp", "Exp", 7, lambda h: _g(h.set.exposure_s, "s"), lambda h: h.set.exposure_s, "right"),
    Column("gain", "Gain", 5, lambda h: _g(h.set.gain), lambda h: h.set.gain, "right"),
    Column("bin", "Bin", 4, lambda h: h.set.binning or "–", lambda h: h.set.binning),
    Column("temp", "Temp", 6, _temperature, lambda h: h.set.temperature_c, "right"),
    Column("frames", "Frames", 7, lambda h: _g(h.set.frames) if h.set.frames else "?", lambda h: h.set.frames, "right"),
    Column("camera", "Camera", 14, lambda h: h.set.camera or "–", lambda h: h.set.camera),
]  # fmt: skip


class DarksPlace(Place):
    """The calibration library, as seen from the session that was chosen in Library."""

    PLACE = "darks"
    CSS_PATH = "darks.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "pin", "Pin", key_display="⏎", id="darks.pin", tooltip="Use this set for the session"),
        Binding("n", "pin_none", "None", id="darks.none", tooltip="Use none for the session, on purpose"),
        Binding("backspace,delete", "unpin", "Unpin", key_display="⌫", id="darks.unpin", tooltip="Let the best be chosen"),
        Binding("f", "kind", "Kind", id="darks.kind", tooltip="Darks, then flats, then bias frames"),
        Binding("w", "whole", "All sets", id="darks.whole", tooltip="What the whole library holds, or sets for the session"),
        Binding("t", "stack", "Stack", id="darks.stack", tooltip="Stack the session: choose a recipe, queue it"),
        *Place.SHARED,
        Binding("y", "where", "Path", show=False, id="darks.where", tooltip="Where the set is"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.kind = "dark"
        self._gaps = _Gaps()
        self.whole = False  # the whole library instead of what is there for the session

    def body(self) -> ComposeResult:
        with Container(id="darks-place", classes="place"):
            yield Words(id="head")
            empty = "no darks yet: f in Library (1) adds their folder, then they are matched by themselves"
            yield RowTable(COLUMNS, key=lambda h: h.set.id, empty=empty, id="sets")
            yield RowTable(coverage.COLUMNS, key=lambda c: c.sets[0].id, empty=empty, id="coverage")
            yield Words(id="reasons")
            yield Words(id="gaps")

    def made(self) -> None:
        self.query_one("#coverage").display = False
        self.query_one("#sets").focus()

    def focus_main(self) -> None:
        self.query_one("#coverage" if self._covers else "#sets").focus()

    @property
    def _covers(self) -> bool:
        """Whether the whole library is shown, not what there is for a session."""
        return self.whole or self.astro.session_id is None

    async def load(self) -> None:
        sets, held = self.query_one("#sets", RowTable), self.query_one("#coverage", RowTable)
        if self._covers:
            rows = await self.read(_all_sets)
            head = f"the whole library: {plural(len(rows), 'set')} of darks, flats and bias frames"
            held.set_rows(coverage.cover(rows))
        else:
            head, rows = await self.read(_darks, self.astro.session_id, self.kind)
            sets.set_rows(rows)
        self.query_one("#head", Words).update(head)
        if held.display != self._covers:
            sets.display, held.display = not self._covers, self._covers
            self.focus_main()
            self._tell(
                held.row.describe() if self._covers and held.row is not None else self._facts(sets.row)
            )
        self.note(plural(len(rows), "set"))
        about = None if self._covers else self.astro.session_id
        self.query_one("#gaps", Words).update(await self.read(self._gaps.read, about))

    def _tell(self, lines: list[str]) -> None:
        self.query_one("#reasons", Words).update("\n".join(clean(line, 400) for line in lines))

    @on(RowTable.Moved, "#coverage")
    def _moved_coverage(self, event: RowTable.Moved) -> None:
        if self._covers:
            self._tell(event.row.describe() if event.row is not None else [])

    @on(RowTable.Moved, "#sets")
    def _moved(self, event: RowTable.Moved) -> None:
        if not self._covers:
            self._tell(self._facts(event.row))

    def _facts(self, held: "_Held | None") -> list[str]:
        """Why a set fits or not, and where it is."""
        if held is None:
            return []
        why = [] if held.candidate is None else ["; ".join(held.candidate.reasons) or "fits"]
        if held.candidate is not None and held.candidate.pinned and held.grade == "refused":
            why = [f"! pinned by you although it does not fit: {why[0]}"]
        return [*why, *(f"! {warning}" for warning in held.set.warnings[:2]), held.set.path]

    @on(RowTable.Chosen, "#sets")
    def _chosen(self, event: RowTable.Chosen) -> None:
        self.action_pin()

    def action_pin(self) -> None:
        held = self.query_one("#sets", RowTable).row
        if self._covers:
            self.notify("w lists the sets for the session; there enter pins one", timeout=3)
        elif held is not None and held.set.kind in _KINDS:
            self._pin(held.set.kind, str(held.set.id), held)

    def action_pin_none(self) -> None:
        self._pin(self.kind, "none")

    def action_unpin(self) -> None:
        self._pin(self.kind, "auto")

    def action_kind(self) -> None:
        self.kind = _KINDS[(_KINDS.index(self.kind) + 1) % len(_KINDS)]
        self.whole = False
        self.action_reload()

    def action_whole(self) -> None:
        self.whole = not self.whole
        self.action_reload()

    def action_stack(self) -> None:
        self.astro.open_stack_form()

    def action_where(self) -> None:
        if self._covers:
            row = self.query_one("#coverage", RowTable).row
            if row is not None:
                paths = {f"{row.kind} set {held.id}": held.path for held in row.sets}
                self.app.push_screen(WhereScreen("Sets of equal settings", paths))
        elif (held := self.query_one("#sets", RowTable).row) is not None:
            self.app.push_screen(WhereScreen(f"{held.set.kind} set {held.set.id}", {"files": held.set.path}))

    def action_back(self) -> None:
        if self.whole:
            self.action_whole()
        else:
            super().action_back()

    def _pin(self, kind: str, choice: str, held: "_Held | None" = None) -> None:
        session = self.astro.session_id
        if session is None:
            self.notify("choose a session in Library (1) first", severity="warning")
            return
        words = {"none": f"no {kind} for this session", "auto": f"the best {kind} is chosen again"}
        said = words.get(choice, f"{kind} set {choice} is pinned for this session")
        if held is not None and held.candidate is not None and held.grade == "refused":
            said += f", although it does not fit: {clean('; '.join(held.candidate.reasons), 160)}"
            self.change(
                _pin, session, kind, choice,
                then=lambda _: self.notify(said, severity="warning", timeout=10, markup=False),
            )  # fmt: skip
        else:
            self.change(_pin, session, kind, choice, then=lambda _: self.notify(said, timeout=3))


class _Gaps:
    """Darks worth shooting. Found anew only when sets, sessions or their integration changed: it takes a while."""

    def __init__(self) -> None:
        self._seen: Any = None
        self._text = ""

    def read(self, catalog: Any, session_id: int | None = None) -> str:
        """What the library lacks for a session, or for all; up to four lines. For a thread."""
        from sqlalchemy import select

        from astrotui.catalog.models import Session
        from astrotui.catalog.summaries import session_totals
        from astrotui.library.calibrators import Shot, dark_gaps, load_sets

        with catalog.read() as db:
            sets = load_sets(db, "dark")
            totals = session_totals()
            light = {
                row.session_id: float(row.integration_s)
                for row in db.execute(select(totals.c.session_id, totals.c.integration_s))
            }
            wanted = (
                select(Session) if session_id is None else select(Session).where(Session.id == session_id)
            )
            sessions = list(db.scalars(wanted))
        seen = (sets, light, [Shot.of(session) for session in sessions])
        if seen != self._seen:
            gaps = dark_gaps([(row, light.get(row.id, 0.0)) for row in sessions], sets)
            lines = [
                f"{clean(g.advice(), 100)} · for {duration(g.lights_s)} of light" for g in gaps[:_MOST_GAPS]
            ]
            more = f", {_MOST_GAPS} of {len(gaps)}" if len(gaps) > _MOST_GAPS else ""
            if session_id is not None:
                lines = [f"worth shooting for this session: {text}" for text in lines] or [
                    "no dark need be shot for this session; w shows the whole library"
                ]
            elif gaps:
                lines.insert(0, f"worth shooting, as no exact dark is there{more}:")
            self._seen, self._text = seen, "\n".join(lines)
        return self._text


def _all_sets(catalog: Any) -> list[Any]:
    from astrotui.library.calibrators import load_sets

    with catalog.read() as db:
        return list(load_sets(db))


def _darks(catalog: Any, session_id: int, kind: str) -> tuple[str, list[_Held]]:
    """What stands above the table, and its rows."""
    from astrotui.catalog.models import Session
    from astrotui.library.calibrators import load_pins, load_sets, match_session

    with catalog.read() as db:
        session = db.get(Session, session_id)
        if session is None:
            return "this session is gone; choose another in Library (1)", []
        match = match_session(session, load_sets(db), load_pins(db, [session_id]).get(session_id))
    return _head(session, match, kind), [_Held(c, c.set) for c in match.candidates[kind]]


def _head(session: "Session", match: "Match", kind: str) -> str:
    """Which one is used for the session."""
    chosen = match.chosen(kind)
    if kind in match.pinned_none:
        verdict = "none, as you said"
    elif chosen is None:
        verdict = "none fits"
    else:
        verdict = f"set {chosen.set.id}, {'pinned by you' if chosen.pinned else chosen.grade}"
    settings = [_g(session.exposure_s, " s")] if session.exposure_s is not None else []
    settings += [f"gain {session.gain:g}"] if session.gain is not None else []
    settings += [f"{session.temperature_c:.0f} °C"] if session.temperature_c is not None else []
    name = f"{session.target or f'session {session.id} without a target'} {session.night or ''}".strip()
    known = ", ".join(settings) or "exposure and gain unknown"
    return clean(f"{kind} for {name} ({known}): {verdict}", 200)


def _pin(catalog: Any, session_id: int, kind: str, choice: str) -> None:
    from astrotui.library.annotate import pin

    try:
        pin(catalog, [session_id], kind, choice)
    except AstrotuiError as error:
        # Nothing was pinned, so there is no pin to take away.
        raise UsageError(str(error).partition("; `astrotui set")[0]) from error
