"""What the dark library holds: sets of equal settings in one row, by temperature."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from astrotui.text import plural
from astrotui.tui.widgets.table import Column

_KINDS = ("dark", "flat", "bias")


@dataclass(frozen=True)
class Coverage:
    """Calibration sets that differ only in temperature and date."""

    kind: str
    camera: str | None
    exposure_s: float | None
    gain: float | None
    binning: str | None
    sets: tuple[Any, ...]

    @property
    def frames(self) -> int:
        """Frames of known depth."""
        return sum(held.frames or 0 for held in self.sets)

    @property
    def temperatures(self) -> str:
        """How many frames at which temperature, the coldest first."""
        by_degree: dict[int | None, int] = {}
        for held in self.sets:
            degree = None if held.temperature_c is None else round(held.temperature_c)
            by_degree[degree] = by_degree.get(degree, 0) + (held.frames or 0)
        known = sorted((degree, count) for degree, count in by_degree.items() if degree is not None)
        parts = [f"{degree}° {count or '?'}" for degree, count in known]
        if None in by_degree:
            parts.append(f"any {by_degree[None] or '?'}")
        return ", ".join(parts)

    def describe(self) -> list[str]:
        """The folders of its sets."""
        return [f"{plural(len(self.sets), 'set')}, {plural(self.frames, 'frame')}"] + [
            f"set {held.id}: {held.path}" for held in self.sets
        ]


def cover(sets: Iterable[Any]) -> list[Coverage]:
    """Sets by settings: darks by exposure first, then the other kinds."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for held in sets:
        key = (held.kind, held.camera, held.exposure_s, held.gain, held.binning)
        found.setdefault(key, []).append(held)
    rows = [
        Coverage(kind, camera, exposure, gain, binning, tuple(group))
        for (kind, camera, exposure, gain, binning), group in found.items()
    ]
    return sorted(
        rows,
        key=lambda row: (
            _KINDS.index(row.kind) if row.kind in _KINDS else len(_KINDS),
            row.camera or "",
            row.exposure_s or 0.0,
            row.gain or 0.0,
            row.binning or "",
        ),
    )


def _g(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{value:g}{unit}"


COLUMNS: list[Column[Coverage]] = [
    Column("kind", "Kind", 9, lambda c: c.kind, lambda c: c.kind),
    Column("camera", "Camera", 20, lambda c: c.camera or "–", lambda c: c.camera),
    Column("exp", "Exp", 7, lambda c: _g(c.exposure_s, "s"), lambda c: c.exposure_s, "right"),
    Column("gain", "Gain", 5, lambda c: _g(c.gain), lambda c: c.gain, "right"),
    Column("bin", "Bin", 4, lambda c: c.binning or "–", lambda c: c.binning),
    Column("frames", "Frames", 6, lambda c: str(c.frames or "?"), lambda c: c.frames, "right", True),
    Column("temp", "Frames by °C", 16, lambda c: c.temperatures, lambda c: len(c.sets), descending=True),
]
