"""Islands of a mosaic: frames that share stars with each other and with no frame of the reference's; a plan for each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from astrotui.errors import FrameError
from astrotui.stacking.plan import StackPlan
from astrotui.text import clean, plural


@dataclass(frozen=True)
class Island:
    """One island.

    Attributes
    ----------
    frames : places in the plan
    reference : place of the frame that the island is laid on by itself; for the first island the plan's own
    """

    frames: tuple[int, ...]
    reference: int


def left_alone(plan: StackPlan, islands: Sequence[Island]) -> str | None:
    """A line about islands that are not stacked, with the commands that do it; None for one island.

    Parameters
    ----------
    islands : the reference's first
    """
    if len(islands) < 2:
        return None
    numbers = " ".join(str(number) for number in plan.sessions)
    again = f"astrotui stack {numbers} {plan.recipe.options}".rstrip() if numbers else ""
    texts = []
    for island in islands[1:]:
        frame = plan.frames[island.reference]
        name = clean(frame.file.path.rpartition("/")[2], 60)
        option = f"--reference {frame.frame_id}" if frame.frame_id is not None else f"reference {name}"
        command = f"`{again} {option}`" if again and frame.frame_id is not None else option
        texts.append(f"{plural(len(island.frames), 'frame')} with {command}")
    return f"{_counted(islands)}. The reference's was stacked; stack the others by themselves: {'; '.join(texts)}"


def told_of(islands: Sequence[Island], outputs: Sequence[Path]) -> str:
    """A line about islands that get files of their own."""
    names = ", ".join(clean(path.name, 100) for path in outputs)
    others = "the other is" if len(outputs) == 1 else "the others are"
    return f"{_counted(islands)}: this is the reference's, {others} {names}"


def _counted(islands: Sequence[Island]) -> str:
    sizes = ", ".join(plural(len(island.frames), "frame") for island in islands)
    return f"{len(islands)} islands without common stars: {sizes}"


def stands_alone(plan: StackPlan) -> bool:
    """Whether an island is a picture of its own: of a mosaic, not of what misses the field that was asked for."""
    return plan.recipe.frame == "union" and plan.recipe.align != "comet"


def island_plan(plan: StackPlan, island: Island, output: Path, wcs: Sequence[str]) -> StackPlan:
    """The plan that stacks an island like the rest, on its own reference.

    Parameters
    ----------
    output : of the result; the manifest lies beside it
    wcs : cards of the island's reference, if it has any
    """
    frames = [replace(plan.frames[index], transform=None) for index in island.frames]
    groups = sorted({frame.calibration for frame in frames})
    frames = [replace(frame, calibration=groups.index(frame.calibration)) for frame in frames]
    base = plan.frames[island.reference]
    inside = {frame.session_id for frame in frames}
    return replace(
        plan,
        frames=tuple(frames),
        reference=island.frames.index(island.reference),
        anchor=None,
        output=str(output),
        manifest=str(output.with_suffix(".json")),
        width=base.width,
        height=base.height,
        cfa=base.cfa,
        planes=base.planes,
        full_scale_adu=base.full_scale_adu or plan.full_scale_adu,
        calibrations=tuple(plan.calibrations[group] for group in groups),
        sessions=tuple(number for number in plan.sessions if number in inside) or plan.sessions,
        header={**plan.header, **_pointing(base.file.path)},
        wcs=tuple(wcs),
        skipped=(),
        warnings=(),
        reused={},
    )


def _pointing(path: str) -> dict[str, float | None]:
    """Where a frame says that it points."""
    from astrotui.frames.identify import read_metadata

    try:
        facts = read_metadata(Path(path))
    except FrameError:
        return {"RA": None, "DEC": None}
    return {"RA": facts.ra_deg, "DEC": facts.dec_deg}


def names_beside(output: Path) -> Iterator[Path]:
    """Names for the other islands beside a result, those that are free: `m31-2.fits`, `m31-3.fits`, ..."""
    for number in count(2):
        path = output.with_name(f"{output.stem}-{number}{output.suffix}")
        if not path.exists() and not path.with_suffix(".json").exists():
            yield path
