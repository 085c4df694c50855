"""Pictures for a page that holds them itself: frames under their session's stretch, a result, all of bounded size."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from astrotui.errors import AstrotuiError
from astrotui.rendering.develop import develop
from astrotui.rendering.looks import DEFAULT_LOOK
from astrotui.rendering.previews import frame_preview, session_stretch
from astrotui.rendering.render import developed_pixels
from astrotui.rendering.source import Known, PictureSource

RESULT_SIZE = 1400  # pixels of the longest side
RESULT_BYTES = 500_000
_QUALITIES = (88, 80, 70, 55, 40)


@dataclass(frozen=True)
class Wanted:
    """A frame that gets a picture: its number, file, and identity in the catalogue."""

    id: int
    path: Path


def frame_pictures(
    wanted: Sequence[Wanted], others: Sequence[Path], *, known: Known
) -> tuple[dict[int, bytes], list[str]]:
    """PNG of at most 30 KB of each frame that can be read, under one stretch; and what could not be shown.

    Parameters
    ----------
    others : frames of the whole session, which give the stretch
    """
    if not wanted:
        return {}, []
    try:
        stretch = session_stretch(others, known=known)
    except AstrotuiError as error:
        return {}, [str(error)]
    made: dict[int, bytes] = {}
    problems: list[str] = []
    for one in wanted:
        try:
            made[one.id] = frame_preview(one.path, known=known, stretch=stretch)
        except AstrotuiError as error:
            problems.append(str(error))
    return made, problems


def result_picture(result: Path) -> bytes:
    """A JPEG of at most 500 KB of a result, developed by the default look, 1400 pixels wide or high.

    Raises
    ------
    FrameError : it cannot be read
    """
    from PIL import Image

    with PictureSource(result) as source:
        pixels = developed_pixels(source, develop(source, DEFAULT_LOOK), size=RESULT_SIZE)
    image = Image.fromarray(pixels)
    data = b""
    for shrink in (1, 2):
        smaller = image if shrink == 1 else image.reduce(shrink)
        for quality in _QUALITIES:
            buffer = io.BytesIO()
            smaller.save(buffer, "JPEG", quality=quality, optimize=True)
            data = buffer.getvalue()
            if len(data) <= RESULT_BYTES:
                return data
    return data
