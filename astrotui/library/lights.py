"""Lights of the catalogue with their measurements, and which of them can go into one stack."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.models import Frame, Measurement, Root
from astrotui.library.requests import StackRequest
from astrotui.library.together import kind_of
from astrotui.stacking.plan import SkippedFrame


@dataclass(frozen=True)
class Light:
    """A frame of the catalogue that was asked for."""

    frame: Frame
    path: Path
    measurement: Measurement | None

    @property
    def score(self) -> float:
        """Its score; 0 before it is measured."""
        return (self.measurement.score or 0.0) if self.measurement else 0.0

    @property
    def shape(self) -> tuple[int | None, int | None, str | None, int | None]:
        """Width, height, pattern and planes."""
        return self.frame.width, self.frame.height, self.frame.cfa_phase, self.frame.planes


def load_lights(db: DbSession, frame_ids: Sequence[int]) -> list[Light]:
    """Lights by their ids, in that order; ids that are not there are left out."""
    lights: list[Light] = []
    for start in range(0, len(frame_ids), 500):
        rows = db.execute(
            select(Frame, Root.path, Measurement)
            .join(Root, Frame.root_id == Root.id)
            .outerjoin(Measurement, Measurement.frame_id == Frame.id)
            .where(Frame.id.in_(frame_ids[start : start + 500]))
        )
        lights += [Light(frame, Path(root) / frame.path, measured) for frame, root, measured in rows]
    order = {frame_id: place for place, frame_id in enumerate(frame_ids)}
    return sorted(lights, key=lambda light: order[light.frame.id])


def select_lights(lights: Sequence[Light], request: StackRequest) -> tuple[list[Light], list[SkippedFrame]]:
    """Frames that can be stacked together, and the others with their reasons.

    Sessions may come from cameras of different sizes and patterns; within a session all frames are of one shape.
    """
    usable: list[Light] = []
    skipped: list[SkippedFrame] = []
    fit = [light for light in lights if not _unfit(light, request)]
    by_session = defaultdict(list)
    for light in fit:
        by_session[light.frame.session_id].append(light.shape)
    most = {session: Counter(shapes).most_common(1)[0][0] for session, shapes in by_session.items()}
    kind = _kind(fit, request)
    contents: set[str] = set()
    for light in lights:
        frame = light.frame
        reason = _unfit(light, request)
        if reason is None:
            reason = _unlike(light, most[frame.session_id]) or _other_kind(light, kind)
        if reason is None and frame.content_id in contents:
            reason = "the same exposure is already in this stack (a duplicate file)"
        if reason is None:
            contents.add(frame.content_id or str(frame.id))
            usable.append(light)
        else:
            skipped.append(SkippedFrame(str(light.path), reason))
    return usable, skipped


def _kind(fit: Sequence[Light], request: StackRequest) -> str | None:
    """Of the reference that was asked for, else of most frames."""
    kinds = {light.frame.id: kind_of(light.frame.planes, light.frame.cfa_phase) for light in fit}
    if request.reference in kinds:
        return kinds[request.reference]
    common = Counter(kinds.values()).most_common(1)
    return common[0][0] if common else None


def _unlike(light: Light, most: tuple[int | None, int | None, str | None, int | None]) -> str | None:
    shape = light.shape
    if shape[:2] != most[:2]:
        return f"another size: {shape[0]}x{shape[1]}, the others have {most[0]}x{most[1]}"
    if shape != most:
        return f"another color pattern: {shape[2] or 'mono'}, the others have {most[2] or 'mono'}"
    return None


def _other_kind(light: Light, kind: str | None) -> str | None:
    own = kind_of(light.frame.planes, light.frame.cfa_phase)
    return (
        None
        if kind is None or own == kind
        else f"it is {own}, the others are {kind}: they cannot be one stack"
    )


def _unfit(light: Light, request: StackRequest) -> str | None:
    frame, measured = light.frame, light.measurement
    if frame.missing:
        return "the file is gone"
    if frame.quarantine is not None:
        return frame.quarantine
    if measured is None:
        return "not measured" if light.path.exists() else "the file is gone"
    # An unaligned pair may align with another reference, so that problem is judged again when stacking.
    if (
        measured.problem
        and not measured.problem.startswith("cannot be aligned")
        and request.recipe.align != "none"
    ):
        return measured.problem
    if request.recipe.min_score is not None and (measured.score or 0.0) < request.recipe.min_score:
        return f"score {measured.score or 0.0:.0f} is under {request.recipe.min_score:g}"
    return None
