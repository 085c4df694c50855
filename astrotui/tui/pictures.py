"""Which picture stands for a session, a frame or a stack."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from astrotui.rendering.looks import Look
from astrotui.rendering.service import ViewRequest

if TYPE_CHECKING:
    from astrotui.library.listing import FrameRecord

_SAMPLE = 9  # frames from which the stretch of a session is found


def frame_picture(frame: "FrameRecord", session: "Sequence[FrameRecord]") -> ViewRequest | None:
    """A frame under the one stretch of its session, so that clouds show; None when its file is gone."""
    if frame.status == "missing":
        return None
    usable = sorted(f.path for f in session if f.status not in ("missing", "quarantined"))
    step = max(1, len(usable) // _SAMPLE)
    sample = tuple(usable[::step][:_SAMPLE])
    return ViewRequest(
        frame.path, 0, 0, session=f"{frame.session_id}:{len(usable)}" if sample else "", session_paths=sample
    )


def session_picture(catalog: Any, session_id: int) -> ViewRequest | None:
    """The newest stack of a session, else its best frame."""
    from astrotui.library.listing import list_frames
    from astrotui.library.stacks import list_stacks

    for stack in list_stacks(catalog):
        if stack["sessions"] == [session_id] and stack["status"] == "done":
            return stack_picture(stack)
    frames = list_frames(catalog, [session_id])
    usable = [f for f in frames if f.status in ("undecided", "accepted")]
    best = max(usable, key=lambda f: f.score or 0.0, default=None)
    return None if best is None else frame_picture(best, frames)


def stack_picture(stack: dict[str, Any], look: Look | None = None) -> ViewRequest:
    """A result under a look."""
    return ViewRequest(stack["output"], 0, 0, look=look or Look())
