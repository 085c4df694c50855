"""Darks: coverage of the dark library, gaps worth shooting, and the candidates of the session with their reasons."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from astrotui.text import clean, duration, plural
from astrotui.tui.place import Place
from astrotui.tui.widgets.table import Column, RowTable

if TYPE_CHECKING:
    from astrotui.library.calibrators import Candidate

_GRADES = {"exact": "green", "scaled": "cyan", "near": "yellow", "refused": "red"}


@dataclass(frozen=True)
class _Held:
    """A calibration set with what it is for the session: a candidate, or just a set of the library."""

    candidate: "Candidate | None"
    set: Any

    @property
    def grade(self) -> str:
        return self.candidate.grade if self.candidate is not None else ""


def _grade(held: _Held) -> Text:
    if held.candidate is None:
        return Text("–")
    sign = "→ " if held.candidate.chosen else "  "
    return Text(sign + held.grade, style=_GRADES[held.grade])


def _temperature(held: _Held) -> str:
    return "–" if held.set.temperature_c is None else f"{held.set.temperature_c:.0f}°C"


def _exposure(held: _Held) -> str:
    return "–" if held.set.exposure_s is None else f"{held.set.exposure_s:g}s"


COLUMNS: list[Column[_Held]] = [
    Column("grade", "Fits", 9, _grade),
    Column("kind", "Kind", 9, lambda h: h.set.kind, lambda h: h.set.kind),
    Column("exp", "Exp", 7, _exposure, lambda h: h.set.exposure_s, "right"),
    Column(
        "gain",
        "Gain",
        5,
        lambda h: "–" if h.set.gain is None else f"{h.set.gain:g}",
        lambda h: h.set.gain,
        "right",
    ),
    Column("bin", "Bin", 4, lambda h: h.set.binning or "–", lambda h: h.set.binning),
    Column("temp", "Temp", 6, _temperature, lambda h: h.set.temperature_c, "right"),
    Column(
        "frames",
        "Frames",
        6,
        lambda h: "?" if h.set.frames is None else str(h.set.frames),
        lambda h: h.set.frames,
        "right",
    ),
    Column("camera", "Camera", 14, lambda h: h.set.camera or "–", lambda h: h.set.camera),
]


class DarksPlace(Place):
    """The calibration library, as seen from the session that was chosen in Library."""

    PLACE = "darks"
    CSS_PATH = "darks.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "pin", "Pin", key_display="⏎", id="darks.pin"),
        Binding("n", "pin_none", "Pin none", id="darks.none"),
        Binding("backspace,delete", "unpin", "Unpin", key_display="⌫", id="darks.unpin"),
        Binding("f", "kind", "Dark/flat/bias", id="darks.kind"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.kind = "dark"

    def body(self) -> ComposeResult:
        with Container(id="darks-place"):
            yield Static(id="head", markup=False)
            yield RowTable(
                COLUMNS, key=lambda h: h.set.id, empty="no calibration frames in the library", id="sets"
            )
            yield Static(id="reasons", markup=False)
            yield Static(id="gaps", markup=False)

    def on_mount(self) -> None:
        self.query_one("#sets").focus()

    async def load(self) -> None:
        head, rows, gaps = await self.read(_darks, self.astro.session_id, self.kind)
        self.query_one("#head", Static).update(head)
        self.query_one("#sets", RowTable).set_rows(rows)
        self.query_one("#gaps", Static).update(gaps)
        self.astro.note(plural(len(rows), "set"))

    @on(RowTable.Moved, "#sets")
    def _moved(self, event: RowTable.Moved) -> None:
        held = event.row
        text = ""
        if held is not None:
            why = "; ".join(held.candidate.reasons) if held.candidate is not None else ""
            text = f"{clean(held.set.path, 150)}\n{clean(why, 300) or 'fits'}"
        self.query_one("#reasons", Static).update(text)

    @on(RowTable.Chosen, "#sets")
    def _chosen(self, event: RowTable.Chosen) -> None:
        self.action_pin()

    def action_pin(self) -> None:
        held = self.query_one("#sets", RowTable).row
        if held is not None:
            self._pin(held.set.kind, str(held.set.id))

    def action_pin_none(self) -> None:
        self._pin(self.kind, "none")

    def action_unpin(self) -> None:
        self._pin(self.kind, "auto")

    def action_kind(self) -> None:
        kinds = ("dark", "flat", "bias")
        self.kind = kinds[(kinds.index(self.kind) + 1) % len(kinds)]
        self.action_reload()

    def _pin(self, kind: str, choice: str) -> None:
        session = self.astro.session_id
        if session is None:
            self.notify("choose a session in Library (1) first", severity="warning")
            return
        words = {"none": f"no {kind} for this session", "auto": f"the best {kind} is chosen again"}
        self.change(
            _pin,
            session,
            kind,
            choice,
            then=lambda _: self.notify(words.get(choice, f"{kind} {choice} pinned")),
        )


def _darks(catalog: Any, session_id: int | None, kind: str) -> tuple[str, list[_Held], str]:
    from astrotui.catalog.models import Session
    from astrotui.library.calibrators import dark_gaps, load_sets, session_match
    from astrotui.library.listing import list_sessions

    records = list_sessions(catalog)
    totals = {record.id: record.integration_s for record in records}
    with catalog.read() as db:
        sets = load_sets(db)
        gaps = dark_gaps([(row, totals.get(row.id, 0.0)) for row in db.query(Session)], sets)
    lines = [f"gap: {duration(g.lights_s)} of light without an exact dark: {g.advice()}" for g in gaps[:4]]
    session = next((r for r in records if r.id == session_id), None)
    if session is None:
        return (
            "the whole library; choose a session in Library (1) to see what fits it",
            [_Held(None, s) for s in sets],
            "\n".join(lines),
        )
    match = session_match(catalog, session.id)
    rows = [_Held(c, c.set) for c in match.candidates[kind]]
    chosen = match.chosen(kind)
    verdict = (
        "none, pinned"
        if kind in match.pinned_none
        else "none fits"
        if chosen is None
        else f"{chosen.grade}, set {chosen.set.id}"
    )
    name = f"{session.target or '(no target)'} {session.night or ''}"
    shot = " ".join(
        part
        for part in (
            f"{session.exposure_s:g} s" if session.exposure_s is not None else "",
            f"gain {session.gain:g}" if session.gain is not None else "",
            f"{session.temperature_c:.0f} °C" if session.temperature_c is not None else "",
        )
        if part
    )
    return clean(f"{kind} for {name} ({shot}): {verdict}", 200), rows, "\n".join(lines)


def _pin(catalog: Any, session_id: int, kind: str, choice: str) -> None:
    from astrotui.library.annotate import pin

    pin(catalog, [session_id], kind, choice)
