"""A report as one page of HTML that needs nothing but itself."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from astrotui import __version__
from astrotui.library.calibrators import Candidate
from astrotui.library.listing import FrameRecord
from astrotui.library.report import Picked, Privacy, Report, SessionStory
from astrotui.library.report_charts import METRICS, chart
from astrotui.library.report_html import Markup, facts, joined, page, table, tag
from astrotui.library.report_parts import fixed, image, light, seconds, tiles
from astrotui.library.report_result import stack_section
from astrotui.library.worth import KEPT, signed
from astrotui.text import plural

MOST_ROWS = 1000  # of frames, in the whole page
MOST_STEPS = 100
_OPEN = 60  # tables of so many rows are shown at once
_CANDIDATES = 6
_GRADES = {"exact": "good", "scaled": "", "near": "warn", "refused": "bad"}
_STATUS = {"accepted": "good", "rejected": "bad", "missing": "bad", "quarantined": "bad"}


def write_page(
    report: Report, pictures: Mapping[int, bytes], results: Mapping[int, bytes], *, now: datetime
) -> str:
    """The page.

    Parameters
    ----------
    pictures : PNG or JPEG of frames by their ids; a frame without one is left out of the pictures
    results : PNG or JPEG of stacks by their ids
    now : when the report was made
    """
    many = len(report.sessions) > 1
    kept = sum(s.worth.kept for s in report.sessions)
    total = sum(s.worth.integration_s for s in report.sessions)
    sentence = f"{plural(len(report.sessions), 'session')}, {plural(kept, 'frame')} kept, {light(total)}"
    rows = max(20, MOST_ROWS // len(report.sessions))
    body: list[Markup] = [tag("h1", report.title), tag("p", sentence, class_="dim")]
    if many:
        body.append(_contents(report))
    body += [stack_section(story, results.get(story.stack["id"]), report.privacy) for story in report.stacks]
    body += [_session(story, report, pictures, rows) for story in report.sessions]
    made = f"Made by astrotui {__version__}, {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC. Times are UTC."
    hidden = " Folders, site coordinates and serial numbers are left out." if report.privacy.on else ""
    body.append(tag("footer", made + hidden))
    return page(f"{report.title} - astrotui report", tag("main", *body))


def _contents(report: Report) -> Markup:
    rows: list[tuple[object, ...]] = [
        (
            tag("a", f"{s.session.target or 'unknown'}", href=f"#session-{s.session.id}"),
            s.session.night, s.session.filter, seconds(s.session.exposure_s), s.worth.kept, s.worth.frames,
            light(s.worth.integration_s),
        )
        for s in report.sessions
    ]  # fmt: skip
    heads = ("Session", "Night", "Filter", "Exposure", "Kept", "Frames", "Integration")
    return table(heads, rows, right=frozenset((3, 4, 5, 6)))


# --- a session -----------------------------------------------------------------------------------------------------


def _session(story: SessionStory, report: Report, pictures: Mapping[int, bytes], rows: int) -> Markup:
    session, privacy = story.session, report.privacy
    heading = ", ".join(
        str(part)
        for part in (session.target or "unknown target", session.night, session.filter)
        if part is not None
    )
    weights: dict[str, float] = {}
    for stack in report.stacks:
        if session.id in stack.stack["sessions"]:
            weights.update(stack.weights or {})
    where = privacy.text(session.path) or Path(session.path).name
    parts: list[object] = [
        tag("h2", heading),
        tag("p", where, class_="dim"),
        tiles(_worth_tiles(story)),
        *(tag("p", privacy.text(w), class_="warn") for w in session.warnings[:20]),
        tag("p", session.note) if session.note else None,
        _settings(story, privacy),
        *_charts(story),
        _pictures(story.picked, pictures),
        _calibration(story, privacy),
        _decisions(story, privacy),
        _frames(story, weights, privacy, rows),
    ]
    return tag("section", *(part for part in parts if part is not None), id=f"session-{session.id}")


def _worth_tiles(story: SessionStory) -> list[tuple[str, str]]:
    held = story.worth
    found = [
        (f"{held.kept:,}", f"of {plural(held.frames, 'frame')} kept"),
        (light(held.integration_s), "integration"),
    ]
    if held.depth_mag is not None:
        found.append((light(held.effective_integration_s), "worth of the best frame"))
        found.append((f"{signed(held.depth_mag)} mag", "deeper than one best frame"))
    if held.against_all_mag is not None:
        found.append((f"{signed(held.against_all_mag)} mag", "against all frames"))
    if held.fwhm_px is not None:
        found.append((f"{held.fwhm_px:.2f} px", "median FWHM of the kept"))
    return found


def _settings(story: SessionStory, privacy: Privacy) -> Markup:
    s = story.session
    dates = [f.date.astimezone(UTC) for f in story.frames if f.date]
    counts = [(s.accepted, "accepted"), (s.undecided, "undecided"), (s.rejected, "rejected")]
    counts += [(s.missing, "missing"), (s.quarantined, "quarantined")]
    return facts(
        [
            ("Telescope", privacy.name(s.device)),
            ("Camera", privacy.name(s.camera)),
            ("Exposure", seconds(s.exposure_s)),
            ("Gain", None if s.gain is None else f"{s.gain:g}"),
            ("Binning", s.binning),
            ("Sensor", f"{s.width} x {s.height} pixels, {s.cfa or 'mono'}"),
            ("Temperature", fixed(s.temperature_c, 1, " °C, median")),
            ("Time", f"{min(dates):%Y-%m-%d %H:%M} to {max(dates):%H:%M} UTC" if dates else None),
            ("Frames", ", ".join(f"{count:,} {name}" for count, name in counts if count)),
            ("Reference", privacy.path(story.reference)),
            ("Rating", "★" * s.rating if s.rating else None),
            ("Tags", ", ".join(s.tags)),
        ]
    )


def _charts(story: SessionStory) -> list[Markup]:
    if story.measured == 0:
        say = (
            f"Not measured yet: there are no scores, stars or charts. {_measure(story)} measures it, "
            "and a new report has them."
        )
        return [tag("p", say, class_="warn")]
    drawn = [made for metric in METRICS if (made := chart(story.frames, metric)) is not None]
    note = "Dots are kept frames, rings those left out; the dashed line is the median of the kept."
    if story.worth.unmeasured:
        note += f" {plural(story.worth.unmeasured, 'frame')} of them not measured yet."
    if not drawn:
        return []
    return [
        tag("h3", "Over the night"),
        tag("p", note, class_="dim"),
        tag("div", *(tag("figure", svg) for svg in drawn), class_="charts"),
    ]


def _measure(story: SessionStory) -> str:
    return f"`astrotui measure {story.session.id}`"


def _pictures(picked: Sequence[Picked], pictures: Mapping[int, bytes]) -> Markup | None:
    shown = [
        tag(
            "figure",
            image(pictures[p.frame.id], p.caption),
            tag("figcaption", f"{Path(p.frame.path).name}: {p.caption}{_score(p.frame)}"),
        )
        for p in picked
        if p.frame.id in pictures
    ]
    if not shown:
        return None
    note = tag("p", "All under one stretch, so that clouds and dawn show.", class_="dim")
    return joined([tag("h3", "Frames"), note, tag("div", *shown, class_="frames")])


def _score(frame: FrameRecord) -> str:
    return "" if frame.score is None else f" (score {frame.score:.0f})"


def _calibration(story: SessionStory, privacy: Privacy) -> Markup:
    parts: list[object] = [tag("h3", "Calibration")]
    rows: list[tuple[object, ...]] = []
    said: list[tuple[str, object]] = []
    for kind in ("dark", "flat", "bias"):
        candidates = story.match.candidates.get(kind, ())
        chosen = story.match.chosen(kind)
        if kind in story.match.done:
            said.append((kind, "already applied to these lights"))
        elif kind in story.pinned:
            said.append((kind, f"{privacy.text(story.pinned[kind])}, pinned by a person"))
        elif kind in story.match.pinned_none:
            said.append((kind, "none, as a person decided"))
        elif chosen is None:
            said.append((kind, "none in the library" if not candidates else "none fits"))
        else:
            how = "pinned by a person" if chosen.pinned else f"chosen, {chosen.grade}"
            why = "; ".join(r for r in chosen.reasons if r != "pinned by you") or "all settings agree"
            said.append((kind, f"set {chosen.set.id}, {_depth(chosen)}: {how}: {privacy.text(why)}"))
        rows += [_candidate(kind, c, privacy) for c in candidates[:_CANDIDATES]]
        if len(candidates) > _CANDIDATES:
            rows.append((kind, "", f"and {len(candidates) - _CANDIDATES:,} more", "", "", "", ""))
    parts.append(facts(said))
    if rows:
        heads = ("Kind", "Set", "Grade", "Exposure", "Temperature", "Frames", "Why")
        listed = table(heads, rows, right=frozenset((1, 3, 4, 5)))
        parts.append(tag("details", tag("summary", "All candidates, ranked"), listed))
    return joined(parts)


def _candidate(kind: str, c: Candidate, privacy: Privacy) -> tuple[object, ...]:
    why = privacy.text("; ".join(c.reasons)) or "fits"
    return (
        tag("b", kind) if c.chosen else kind, c.set.id,
        tag("span", f"{'→ ' if c.chosen else ''}{c.grade}", class_=_GRADES[c.grade]), seconds(c.set.exposure_s),
        fixed(c.set.temperature_c, 1, " °C"), "?" if c.set.frames is None else c.set.frames, why,
    )  # fmt: skip


def _depth(c: Candidate) -> str:
    if c.set.is_master:
        return "a master" if c.set.frames is None else f"a master of {plural(c.set.frames, 'frame')}"
    return plural(c.set.frames or 0, "frame")


def _decisions(story: SessionStory, privacy: Privacy) -> Markup:
    heading = tag("h3", "Decisions")
    if not story.steps:
        return joined([heading, tag("p", "Nobody has decided anything: all frames are kept.", class_="dim")])
    shown = story.steps[-MOST_STEPS:]
    rows: list[tuple[object, ...]] = [
        (s.step, f"{s.when.astimezone(UTC):%Y-%m-%d %H:%M}", s.by, s.frames, s.state, privacy.text(s.why))
        for s in shown
    ]
    listed = table(("Step", "When", "Who", "Frames", "State", "What"), rows, right=frozenset((0, 3)))
    more = len(story.steps) - len(shown)
    note = tag("p", f"The last {len(shown)} of {len(story.steps):,} steps.", class_="dim") if more else None
    return joined([heading, note, listed])


def _frames(story: SessionStory, weights: Mapping[str, float], privacy: Privacy, most: int) -> Markup:
    frames, note = _listed(story.frames, most)
    with_weight = bool(weights)
    rows: list[tuple[object, ...]] = []
    for f in frames:
        stands = story.stands.get(f.id)
        why = "; ".join(f.reasons)
        if stands is not None and f.status in ("accepted", "rejected"):
            why = f"{why} (by {stands.by})" if why else f"{stands.why} (by {stands.by})"
        weight = (fixed(weights.get(f.path), 2) or "–",) if with_weight else ()
        rows.append(
            (
                Path(f.path).name, f"{f.date.astimezone(UTC):%H:%M:%S}" if f.date else "", fixed(f.score, 0),
                "" if f.stars is None else f.stars, fixed(f.fwhm_px, 2), fixed(f.eccentricity, 2),
                fixed(f.background_adu, 0), fixed(f.transparency, 2), *weight,
                tag("span", f.status, class_=_STATUS.get(f.status)), privacy.text(why),
            )
        )  # fmt: skip
    heads = ["File", "UTC", "Score", "Stars", "FWHM", "Ecc.", "Sky ADU", "Transp."]
    heads += ["Weight"] if with_weight else []
    listed = table((*heads, "Status", "Why"), rows, right=frozenset(range(2, 8 + with_weight)))
    summary = tag("summary", f"{plural(len(frames), 'frame')} in the order of time")
    parts = [tag("h3", "All frames" if not note else "Frames in numbers")]
    if note:
        parts.append(tag("p", note, class_="dim"))
    parts.append(tag("details", summary, listed, open=len(frames) <= _OPEN))
    return joined(parts)


def _listed(frames: Sequence[FrameRecord], most: int) -> tuple[list[FrameRecord], str]:
    """The frames of the table; of too many the worst that were left out and the best of the others, and a note."""
    if len(frames) <= most:
        return list(frames), ""
    out = sorted((f for f in frames if f.status not in KEPT), key=lambda f: f.score or 0.0)[: most // 2]
    best = sorted((f for f in frames if f.status in KEPT), key=lambda f: -(f.score or 0.0))[: most - len(out)]
    chosen = {f.id for f in (*out, *best)}
    note = (
        f"{len(chosen):,} of {len(frames):,} frames are listed: "
        f"{len(out):,} that were left out, the worst first, and the best {len(best):,} of the others."
    )
    return [f for f in frames if f.id in chosen], note
