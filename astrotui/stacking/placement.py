"""What is known of where the frames of a stack lie."""

from dataclasses import dataclass, field

from astrotui.imaging.mapping import Lens
from astrotui.imaging.register import Registration
from astrotui.imaging.types import Float64Array
from astrotui.stacking.islands import Island
from astrotui.stacking.linking import Link
from astrotui.stacking.sampling import FrameSample


@dataclass(eq=False)
class Candidate:
    """A frame whose place is known.

    `light` is its transparency relative to the reference where that was found over other frames.
    """

    index: int
    registration: Registration
    transform: Float64Array
    sample: FrameSample
    note: str = ""
    light: float | None = None


@dataclass(eq=False)
class Placement:
    """Where frames lie.

    Attributes
    ----------
    candidates : in the plan's order
    lens : of all frames; the transforms then lie between undistorted pixels
    links : frames with common stars, where not all share their stars with the reference
    islands : the reference's first, where there are others
    notes, warnings : for people
    """

    candidates: list[Candidate]
    lens: Lens | None = None
    links: list[Link] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    islands: tuple[Island, ...] = ()
