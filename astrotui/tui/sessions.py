"""Sessions as Library lists them: one by one, or summed up by target; what needs attention."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from astrotui.text import clean, exposed, plural, same_name
from astrotui.tui.remarks import remarks
from astrotui.tui.widgets.table import Cell, Column

if TYPE_CHECKING:
    from astrotui.library.session_list import SessionRecord


def attention(session: "SessionRecord") -> list[str]:
    """What a person should look at, most urgent first."""
    found = []
    if session.quarantined:
        found.append(f"{session.quarantined} quarantined")
    if session.missing:
        found.append(f"{session.missing} missing")
    if session.unmeasured:
        found.append(f"{session.unmeasured} unmeasured")
    if need := _dark_need(session):
        found.append(need)
    if session.warnings:
        found.append(plural(len(session.warnings), "warning"))
    return found


def _dark_need(session: "SessionRecord") -> str:
    if session.dark is None:
        return "no dark"
    return "" if session.dark["grade"] == "exact" else f"dark {session.dark['grade']}"


def total(sessions: "Iterable[SessionRecord]") -> str:
    """The light of the frames that a stack would take, in words."""
    held = list(sessions)
    return exposed(sum(session.integration_s for session in held), sum(session.kept for session in held))


def _g(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{value:g}{unit}"


COLUMNS: list[Column["SessionRecord"]] = [
    Column("target", "Target", 13, lambda s: s.target or "(no target)", lambda s: (s.target or "").lower() or None),
    Column("night", "Night", 10, lambda s: str(s.night or "–"), lambda s: s.night, descending=True),
    Column("exp", "Exp", 6, lambda s: _g(s.exposure_s, "s"), lambda s: s.exposure_s, "right"),
    Column("gain", "Gain", 5, lambda s: _g(s.gain), lambda s: s.gain, "right", roomy=90),
    Column("filter", "Filter", 7, lambda s: s.filter or "–", lambda s: s.filter),
    Column("frames", "Frames", 7, lambda s: f"{s.kept}/{s.lights}", lambda s: s.kept, "right", True),
    Column("total", "Total", 7, lambda s: total([s]), lambda s: s.integration_s, "right", True),
    Column(
        "attention", "Attention", 15, lambda s: Cell(", ".join(attention(s)), "warn"), lambda s: len(attention(s)),
        descending=True, listed=True,
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Target:
    """All sessions of one target, summed up; sessions without a target are one row."""

    name: str
    sessions: "tuple[SessionRecord, ...]"

    @property
    def integration_s(self) -> float:
        """Of the frames that a stack would take."""
        return sum(s.integration_s for s in self.sessions)

    @property
    def kept(self) -> int:
        """Lights that a stack would take."""
        return sum(session.kept for session in self.sessions)

    @property
    def filters(self) -> str:
        """Integration by filter, the longest first."""
        by_filter: dict[str, list[SessionRecord]] = {}
        for session in self.sessions:
            by_filter.setdefault(session.filter or "no filter", []).append(session)
        longest = sorted(by_filter.items(), key=lambda item: -sum(s.integration_s for s in item[1]))
        return ", ".join(f"{name} {total(held)}" for name, held in longest)

    @property
    def last_night(self) -> str:
        """The newest night."""
        return max((str(s.night) for s in self.sessions if s.night), default="–")

    @property
    def needs(self) -> list[str]:
        """What needs attention in its sessions, summed up."""
        found = []
        for what in ("quarantined", "missing", "unmeasured"):
            if count := sum(getattr(s, what) for s in self.sessions):
                found.append(f"{count} {what}")
        darks = Counter(_dark_need(s) for s in self.sessions)
        several = len(self.sessions) > 1
        found += [f"{need} ({count})" if several else need for need, count in darks.most_common() if need]
        if warnings := sum(len(s.warnings) for s in self.sessions):
            found.append(plural(warnings, "warning"))
        return found


def by_target(sessions: "Sequence[SessionRecord]") -> list[Target]:
    """Sessions summed up by target, in the order in which the targets come."""
    found: dict[str, list[SessionRecord]] = {}
    for session in sessions:
        found.setdefault(same_name(session.target), []).append(session)
    return [Target(held[0].target or "", tuple(held)) for held in found.values()]


TARGET_COLUMNS: list[Column[Target]] = [
    Column("target", "Target", 15, lambda t: t.name or "(no target)", lambda t: t.name.lower() or None),
    Column("sessions", "Sessions", 8, lambda t: str(len(t.sessions)), lambda t: len(t.sessions), "right", True),
    Column("night", "Last night", 10, lambda t: t.last_night, lambda t: t.last_night, descending=True),
    Column(
        "frames", "Frames", 9, lambda t: f"{t.kept}/{sum(s.lights for s in t.sessions)}", lambda t: t.kept, "right", True,
    ),
    Column("total", "Total", 8, lambda t: total(t.sessions), lambda t: t.integration_s, "right", True),
    Column(
        "attention", "Attention", 20, lambda t: Cell(", ".join(t.needs), "warn"), lambda t: len(t.needs),
        descending=True, listed=True,
    ),
]  # fmt: skip


def describe_target(target: Target) -> str:
    """What is known of a target, one fact a line."""
    lines = [
        clean(target.name or "(no target)"),
        f"{plural(len(target.sessions), 'session')}, {total(target.sessions)}",
        clean(target.filters, 120),
        "",
        *(
            clean(f"{s.night or '–'}  {s.kept}/{s.lights}  {total([s])}  {s.filter or ''}", 60)
            for s in target.sessions
        ),
    ]
    return "\n".join(lines)


def _settings(session: "SessionRecord") -> list[str]:
    """Exposure, gain, filter and temperature, as far as they are known."""
    found = [f"{session.exposure_s:g} s"] if session.exposure_s is not None else ["exposure unknown"]
    found += [f"gain {session.gain:g}"] if session.gain is not None else []
    found += [session.filter] if session.filter else []
    found += [f"{session.temperature_c:.0f} °C"] if session.temperature_c is not None else []
    return found


def fit_path(path: str, width: int, lines: int) -> str:
    """`path` in at most so many lines: its end names the session, and is what stays."""
    whole = clean(path, 2000)
    cut = whole
    while len(cut) > 1 and len(wrap(cut, width, break_on_hyphens=False)) > lines:
        whole = whole[max(1, len(whole) - width * lines + 1) if cut == whole else 1 :]
        cut = "…" + whole
    return cut


def describe(session: "SessionRecord", others: "list[SessionRecord]", room: tuple[int, int] = (0, 0)) -> str:
    """What is known of a session, one fact a line; `others` are summed up by target.

    Where there is not room for all (`room`: columns and rows, 0 for any), the folder's path loses its beginning.
    """
    name = session.target or "(no target)"
    camera = session.camera or session.device or "unknown camera"
    size = f"{session.width}x{session.height} {session.cfa or 'mono'}"
    facts = [
        clean(f"{name} · session {session.id}"),
        clean(f"{camera} {size}"),
        clean(", ".join(_settings(session))),
        f"{session.kept} of {plural(session.lights, 'light')}, {total([session])}"
        + (f", {session.rejected} rejected" if session.rejected else ""),
        f"dark: {session.dark['grade'] if session.dark else 'none'}",
    ]
    known = same_name(session.target)
    same = [other for other in others if known and same_name(other.target) == known]
    if len(same) > 1:
        whole = total(same)
        facts.insert(1, clean(f"{plural(len(same), 'session')} of it: {whole}"))
    if needs := attention(session):
        facts.append("! " + ", ".join(needs))
    warnings = [f"! {clean(text, 120)}" for text in session.warnings[:4]]
    if said := remarks(session.note, session.rating, session.tags):
        warnings.append(said)
    width, rows = room
    if not width:
        return "\n".join([*facts, *warnings, clean(session.path, 2000)])
    left = rows - sum(max(1, len(wrap(line, width))) for line in [*facts, *warnings])
    path = fit_path(session.path, width, max(left, 1))
    return "\n".join([*facts, *warnings, path] if left > 0 else [*facts, path, *warnings])
