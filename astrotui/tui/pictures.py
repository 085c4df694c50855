"""Which picture stands for a session, a frame or a stack."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astrotui.library.listing import FrameRecord
    from astrotui.rendering.looks import Look
    from astrotui.rendering.service import ViewRequest
    from astrotui.tui.reading import SessionFacts


def frame_picture(
    frame: "FrameRecord",
    sample: Sequence[str],
    facts: "SessionFacts | None" = None,
    beside: Sequence["FrameRecord"] = (),
) -> "ViewRequest | None":
    """A frame under the one stretch of its session, which is found from the files `sample`, so that clouds show.

    Pictures of the frames `beside` it, nearest first, are made while nobody asks for one. None when its file is gone.
    """
    from astrotui.rendering.service import ViewRequest

    if frame.status == "missing":
        return None
    name = f"{frame.session_id}:{len(sample)}:{sample[-1]}" if sample else ""
    phase, full_scale = (facts.cfa_phase, facts.full_scale_adu) if facts is not None else (None, None)
    return ViewRequest(
        frame.path, 0, 0, session=name, session_paths=tuple(sample), cfa_phase=phase, full_scale_adu=full_scale,
        beside=tuple(other.path for other in beside if other.status != "missing"),
    )  # fmt: skip


def session_picture(catalog: Any, session_id: int) -> "ViewRequest | None":
    """The newest stack of a session, else its best frame."""
    from astrotui.library.stacks import list_stacks
    from astrotui.tui.reading import best_frame

    for stack in list_stacks(catalog):
        if stack["sessions"] == [session_id] and stack["status"] == "done":
            return stack_picture(stack)
    return best_frame(catalog, session_id)


def stack_picture(stack: dict[str, Any], look: "Look | None" = None) -> "ViewRequest":
    """A result under a look."""
    from astrotui.rendering.looks import Look
    from astrotui.rendering.service import ViewRequest

    return ViewRequest(stack["output"], 0, 0, look=look or Look())
