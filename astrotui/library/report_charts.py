"""Charts of a session's numbers over the night as SVG, in a bounded number of points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from astrotui.library.listing import FrameRecord
from astrotui.library.report_html import Markup, tag
from astrotui.library.worth import KEPT

WIDTH, HEIGHT = 520, 174
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 30, 22
MOST_POINTS = 400  # frames that are drawn one by one; of more, the extremes of each column are
_TITLED = 400  # points that say what they are when the mouse is over them


@dataclass(frozen=True)
class Metric:
    """What a chart shows: its name with the unit, the attribute of a frame's record, and whether zero is in it."""

    name: str
    attribute: str
    digits: int
    from_zero: bool = False


METRICS = (
    Metric("score", "score", 0, True),
    Metric("FWHM (px)", "fwhm_px", 2),
    Metric("stars", "stars", 0, True),
    Metric("transparency", "transparency", 2, True),
    Metric("background (ADU)", "background_adu", 0),
    Metric("eccentricity", "eccentricity", 2),
)


@dataclass(frozen=True)
class _Point:
    x: float
    y: float
    kept: bool
    title: str


def chart(frames: Sequence[FrameRecord], metric: Metric) -> Markup | None:
    """One metric over the time of the frames (over their order where a time is unknown); None without two values.

    Kept frames are dots, others rings; the dashed line is the median of the kept ones.
    """
    measured = [
        (place, f, float(value))
        for place, f in enumerate(frames)
        if (value := getattr(f, metric.attribute)) is not None and math.isfinite(value)
    ]
    if len(measured) < 2:
        return None
    dated = all(f.date is not None for _, f, _ in measured)
    # A night has gaps; over time they show, over the order of frames they would not.
    along = [f.date.timestamp() if dated and f.date else float(place) for place, f, _ in measured]
    values = [value for _, _, value in measured]
    low, high, step = _ticks(
        min(values) if not metric.from_zero else min(0.0, *values), max(values), metric.digits
    )
    first, last = min(along), max(along)
    across = (WIDTH - LEFT - RIGHT) / ((last - first) or 1.0)
    down = (HEIGHT - TOP - BOTTOM) / (high - low)
    few = len(measured) <= _TITLED
    points = [
        _Point(
            LEFT + (at - first) * across + (0 if last > first else (WIDTH - LEFT - RIGHT) / 2),
            HEIGHT - BOTTOM - (value - low) * down,
            frame.status in KEPT,
            _told(frame, value, metric) if few else "",
        )
        for at, (_, frame, value) in zip(along, measured, strict=True)
    ]
    drawn = _thinned(points)
    kept = [value for _, frame, value in measured if frame.status in KEPT]
    parts: list[Markup] = [tag("text", metric.name, x=4, y=15, class_="name")]
    if len(drawn) < len(points):
        note = f"extremes of {len(points):,} frames"
        parts.append(tag("text", note, x=WIDTH - RIGHT, y=15, text_anchor="end"))
    level = low
    while level <= high + step / 2:
        y = f"{HEIGHT - BOTTOM - (level - low) * down:.1f}"
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(
            tag("text", _number(level, step), x=LEFT - 6, y=f"{float(y) + 4:.1f}", text_anchor="end")
        )
        level += step
    if kept:
        y = f"{HEIGHT - BOTTOM - (median(kept) - low) * down:.1f}"
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="middle"))
    parts += _time_labels(first, last, dated)
    radius = 3.0 if few else 1.6
    for point in drawn:
        title = tag("title", point.title) if point.title else None
        kind = "kept" if point.kept else "out"
        place = {"cx": f"{point.x:.1f}", "cy": f"{point.y:.1f}", "r": radius if point.kept else radius + 0.6}
        ring = tag("circle", **place, class_=kind)
        parts.append(ring if title is None else tag("g", title, ring))
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{metric.name} over the session",
    )


def _told(frame: FrameRecord, value: float, metric: Metric) -> str:
    when = f" {frame.date.astimezone(UTC):%H:%M:%S}" if frame.date else ""
    why = f", {frame.status}: {'; '.join(frame.reasons)}" if frame.status not in KEPT else ""
    return f"{frame.path.rpartition('/')[2]}{when}, {metric.name} {value:.{metric.digits}f}{why}"


def _thinned(points: list[_Point]) -> list[_Point]:
    """At most some hundred points: of each column the highest and lowest, kept and left out apart."""
    if len(points) <= MOST_POINTS:
        return points
    columns = MOST_POINTS // 2
    chosen: dict[tuple[int, bool, bool], _Point] = {}
    for point in points:
        column = int((point.x - LEFT) / (WIDTH - LEFT - RIGHT) * (columns - 1))
        for upper in (True, False):
            key = (column, point.kept, upper)
            held = chosen.get(key)
            if held is None or (point.y < held.y if upper else point.y > held.y):
                chosen[key] = point
    return list({id(point): point for point in chosen.values()}.values())


def _ticks(low: float, high: float, digits: int) -> tuple[float, float, float]:
    """Round limits around the values, and the distance of two lines between them."""
    span = high - low or max(abs(high) * 0.1, 10.0**-digits)
    raw = span / 4
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= raw * 0.999)
    bottom, top = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return bottom, top if top > bottom else bottom + step, step


def _number(value: float, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += step * 10**digits % 1 > 1e-6  # steps of 2.5
    return f"{value:,.{digits}f}" if abs(value) > step / 1000 else "0"


def _time_labels(first: float, last: float, dated: bool) -> list[Markup]:
    labels = []
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        at = first + share * (last - first)
        x = LEFT + share * (WIDTH - LEFT - RIGHT)
        shown = f"{datetime.fromtimestamp(at, UTC):%H:%M}" if dated else f"{at + 1:,.0f}"
        if share == 1.0:
            shown += " UTC" if dated else " frames"
        labels.append(tag("text", shown, x=f"{x:.0f}", y=HEIGHT - 6, text_anchor=anchor))
    return labels
