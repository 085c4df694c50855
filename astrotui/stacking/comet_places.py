"""Where a comet is, as people write it: two places in two frames; checked before anything is queued."""

import math
from collections.abc import Mapping, Sequence

from astrotui.errors import UsageError
from astrotui.text import clean

Place = tuple[float, float, int]
"""x and y in pixels of a frame, and the frame's id in the catalogue."""


def parse_places(texts: Sequence[str]) -> tuple[Place, ...]:
    """Places as people write them, `X,Y@FRAME`.

    Raises
    ------
    UsageError
        One is not of this form.
    """
    found = []
    for text in texts:
        place, at, frame = text.partition("@")
        x, comma, y = place.partition(",")
        try:
            if not (at and comma):
                raise ValueError(text)
            found.append((float(x), float(y), int(frame)))
        except ValueError:
            raise UsageError(
                f"--comet {clean(text, 40)!r}: write X,Y@FRAME, the pixel and the frame's id, like 812,430@1043"
            ) from None
    return tuple(found)


def check_places(align: str, places: Sequence[Place]) -> None:
    """Refuse places that do not tell a motion, or that nobody asked for.

    Raises
    ------
    UsageError
    """
    if align != "comet":
        if places:
            raise UsageError(
                "--comet tells where the comet is for --align comet: add that, or leave --comet out"
            )
        return
    if len(places) != 2:
        raise UsageError(
            f"--align comet needs the comet's place in two frames, not in {len(places)}: "
            "--comet X,Y@FRAME twice, once in an early frame and once in a late one"
        )
    if places[0][2] == places[1][2]:
        raise UsageError(f"both --comet places are in frame {places[0][2]}: a motion needs two frames")
    for x, y, frame in places:
        if not (math.isfinite(x) and math.isfinite(y)):
            raise UsageError(f"--comet {x:g},{y:g}@{frame} is not a place")


def check_frames(places: Sequence[Place], sizes: Mapping[int, tuple[int | None, int | None]]) -> None:
    """Refuse places in frames that are not stacked, or outside of them.

    Parameters
    ----------
    sizes : width and height by frame id; None where unknown

    Raises
    ------
    UsageError
    """
    for x, y, frame in places:
        named = f"--comet {x:g},{y:g}@{frame}"
        if frame not in sizes:
            raise UsageError(f"{named}: that frame is not among those to be stacked")
        width, height = sizes[frame]
        if width and height and not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise UsageError(
                f"{named}: that place is outside of the frame, which has {width}x{height} pixels"
            )
