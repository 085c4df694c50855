"""Frames as they are listed, made up, for tests of what is derived from them."""

from dataclasses import MISSING, fields
from typing import Any

from astrotui.library.listing import FrameRecord

_PLAIN = {"path": "/night/1.fits", "width": 640, "height": 480, "status": "undecided", "note": ""}


def record(frame_id: int, **values: Any) -> FrameRecord:
    """A frame with these values; what is not said is empty or unknown."""
    made: dict[str, Any] = {"id": frame_id, **_PLAIN, **values}
    for field in fields(FrameRecord):
        if field.name not in made and field.default is MISSING and field.default_factory is MISSING:
            made[field.name] = () if "tuple" in str(field.type) else None
    return FrameRecord(**made)
