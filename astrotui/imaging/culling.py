"""Which frames to reject, and why: robust and one-sided within a session, absolute in small ones; numpy only."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from astrotui.imaging.types import Float64Array, Mask

SMALL_SESSION = 8  # under so many frames deviations are not trusted
ASK_AGAIN = 0.4  # a preset that rejects more than this should be confirmed


@dataclass(frozen=True)
class Preset:
    """Thresholds of a way to cull; presets differ in nothing else.

    Attributes
    ----------
    z : robust deviations from the session's median, on the bad side
    clouded, few : least light and stars, as shares of the best frame (small sessions)
    soft, glow : largest FWHM and sky noise, as multiples of the best frame (small sessions)
    trailed : largest eccentricity (small sessions)
    off_target : largest distance from the session's centre, as a share of the frame's width or height
    streaks : whether a satellite's trail is a reason
    """

    name: str
    z: float
    clouded: float
    few: float
    soft: float
    glow: float
    trailed: float
    off_target: float
    streaks: bool


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("gentle", 4.5, 0.4, 0.25, 2.0, 2.0, 0.87, 0.5, False),
        Preset("balanced", 3.0, 0.6, 0.4, 1.5, 1.5, 0.8, 0.35, False),
        Preset("strict", 2.0, 0.75, 0.6, 1.25, 1.25, 0.7, 0.2, True),
    )
}


@dataclass(frozen=True)
class FrameFacts:
    """What culling looks at in one frame; None is unknown and never a reason.

    Attributes
    ----------
    problem : why nothing good can be said of the frame; itself the reason
    dx_px, dy_px : shift of the frame's centre onto the reference
    aligned : False when the frame could not be aligned, None when that was not tried
    device_rejected : the telescope itself discarded the frame
    """

    problem: str | None = None
    stars: int | None = None
    fwhm_px: float | None = None
    eccentricity: float | None = None
    background_adu: float | None = None
    noise_adu: float | None = None
    transparency: float | None = None
    streak: bool | None = None
    dx_px: float | None = None
    dy_px: float | None = None
    width: int = 0
    height: int = 0
    aligned: bool | None = None
    device_rejected: bool = False


def judge(frames: Sequence[FrameFacts], preset: Preset) -> list[list[str]]:
    """For each frame of one session the reasons to reject it; an empty list keeps it.

    Every measure has one bad side: a frame sharper or darker than the others is never at fault. Deviations are
    z = (x - median) / (1.4826 MAD), the spread never taken smaller than a few percent, so that an even session
    loses nothing. Sessions under 8 frames are held against their best frame instead.
    """
    reasons: list[list[str]] = [[] for _ in frames]

    def add(name: str, bad: Mask) -> None:
        for at in np.flatnonzero(bad):
            if name not in reasons[at]:
                reasons[at].append(name)

    usable = np.array([f.problem is None for f in frames], bool)
    for name, measure, high_is_bad, floor, limit in _MEASURES:
        values = np.array([_number(measure(f)) if f.problem is None else np.nan for f in frames])
        if usable.sum() < SMALL_SESSION:
            add(name, limit(values, preset))
        else:
            add(name, _deviation(values, high_is_bad, floor) > preset.z)
    add("off target", _off_target(frames, preset.off_target))
    for frame, why in zip(frames, reasons, strict=True):
        if preset.streaks and frame.streak:
            why.append("streak")
        if frame.problem is not None:
            why.append(frame.problem)
        elif frame.aligned is False:
            why.append("not aligned")
        if frame.device_rejected:
            why.append("rejected by the device")
    return reasons


def kind_of(reason: str) -> str:
    """The kind of a reason, by which frames are counted: `only 2 stars` is few stars, `saturated: 93%` saturated."""
    kind = reason.split(":", 1)[0]
    if kind.startswith("only ") and kind.endswith((" star", " stars")):
        return "few stars"
    if kind.startswith("only ") and kind.endswith(" pixels"):
        return "too small"
    return {"nothing in it looks like a star": "without anything like a star"}.get(kind, kind)


def counts(reasons: Iterable[Sequence[str]]) -> dict[str, int]:
    """How many frames there are for each kind of reason, commonest first; a frame counts for each of its kinds."""
    found = Counter(kind for why in reasons for kind in {kind_of(reason) for reason in why})
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def summary(reasons: Iterable[Sequence[str]]) -> str:
    """`18 trailed, 17 soft, 11 clouded`, commonest first; a frame counts for each of its reasons."""
    return ", ".join(f"{count:,} {kind}" for kind, count in counts(reasons).items())


def _deviation(values: Float64Array, high_is_bad: bool, floor: Callable[[float], float]) -> Float64Array:
    """Robust deviations towards the bad side, (n,); 0 where a value is unknown."""
    known = values[np.isfinite(values)]
    if known.size < SMALL_SESSION:
        return np.zeros(len(values))
    middle = float(np.median(known))
    spread = max(1.4826 * float(np.median(np.abs(known - middle))), floor(middle), 1e-12)
    z = (values - middle) / spread
    return np.nan_to_num(z if high_is_bad else -z, nan=0.0)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _under(values: Float64Array, share: float) -> Mask:
    """Which values are under a share of the best."""
    best = np.nanmax(values, initial=-np.inf)
    return np.asarray(values < share * best) if best > 0 else np.zeros(len(values), bool)


def _over(values: Float64Array, multiple: float) -> Mask:
    """Which values are over a multiple of the best, which is the least."""
    best = np.nanmin(values, initial=np.inf)
    return np.asarray(values > multiple * best) if np.isfinite(best) else np.zeros(len(values), bool)


def _off_target(frames: Sequence[FrameFacts], limit: float) -> Mask:
    """Frames far from where the session points, unless several share the place: those are a mosaic's panel.

    A meridian flip turns a frame about its centre and moves that little.
    """
    places = np.array(
        [
            (_number(f.dx_px) / max(f.width, 1), _number(f.dy_px) / max(f.height, 1))
            if f.width
            else (np.nan,) * 2
            for f in frames
        ]
    ).reshape(-1, 2)
    known = np.isfinite(places).all(axis=1)
    far = np.zeros(len(frames), bool)
    if known.sum() < 3:
        return far
    distance = np.abs(places - np.median(places[known], axis=0)).max(axis=1)
    for at in np.flatnonzero(known & (np.nan_to_num(distance) > limit)):
        beside = np.abs(places - places[at]).max(axis=1) < 0.1
        far[at] = np.count_nonzero(beside & known) < max(3, 0.1 * known.sum())
    return far


# Name, value, whether high is bad, the least spread around a median, and the rule for small sessions.
_MEASURES: tuple[
    tuple[
        str,
        Callable[[FrameFacts], float | None],
        bool,
        Callable[[float], float],
        Callable[[Float64Array, Preset], Mask],
    ],
    ...,
] = (
    ("trailed", lambda f: f.eccentricity, True, lambda m: 0.05, lambda v, p: np.asarray(v > p.trailed)),
    ("soft", lambda f: f.fwhm_px, True, lambda m: 0.04 * m, lambda v, p: _over(v, p.soft)),
    ("clouded", lambda f: f.transparency, False, lambda m: 0.03 * m, lambda v, p: _under(v, p.clouded)),
    ("sky glow", lambda f: f.background_adu, True, lambda m: 0.04 * m, lambda v, p: np.zeros(len(v), bool)),
    ("sky glow", lambda f: f.noise_adu, True, lambda m: 0.04 * m, lambda v, p: _over(v, p.glow)),
    ("few stars", lambda f: f.stars, False, lambda m: 0.08 * m, lambda v, p: _under(v, p.few)),
)
