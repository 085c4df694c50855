"""The color filter mosaic: which color the first stored pixel has."""

from typing import TYPE_CHECKING

from astrotui.frames.cards import Keywords
from astrotui.frames.values import whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
_KEYS = ("BAYERPAT", "COLORTYP", "CFATYPE", "CFAIMAGE")


def written_pattern(header: Keywords) -> tuple[str | None, str | None]:
    """The Bayer pattern a header names, and a warning when it speaks of a mosaic that is not understood."""
    for key in _KEYS:
        word = header.text(key)
        if word and word.upper() in PATTERNS:
            return word.upper(), None
    word = header.text("BAYERPAT")
    if word and word.upper() not in ("NONE", "MONO", "N/A", "FALSE"):
        return None, f"color pattern {word[:40]!r} is not a 2x2 Bayer pattern; the frame is treated as mono"
    if header.number("XBAYROFF") is not None:
        return (
            None,
            "the header speaks of a color mosaic but not of its pattern; the frame is treated as mono",
        )
    return None, None


def phase(pattern: str, height: int, *, bottom_up: bool = False, x_offset: int = 0, y_offset: int = 0) -> str:
    """The pattern as it begins at stored row 0, column 0.

    The pattern names the colors of the picture's upper left corner. XBAYROFF and YBAYROFF say how far the
    picture begins inside it. Without ROWORDER, and with TOP-DOWN, the first stored row is the upper one, so
    nothing changes ("as stored"). With BOTTOM-UP the first stored row is the lowest of the picture: row
    `height - 1` counted from the top, which has the other row of the pattern when the height is even and the
    same when it is odd. Siril reads files by the same rule.
    """
    first = (height - 1 if bottom_up else 0) + y_offset
    step = -1 if bottom_up else 1
    rows = [pattern[0:2], pattern[2:4]]
    x = x_offset % 2
    return "".join(rows[(first + step * y) % 2][(x + column) % 2] for y in (0, 1) for column in (0, 1))


def phase_from_header(pattern: str, header: Keywords, height: int) -> str:
    """`phase` with ROWORDER, XBAYROFF and YBAYROFF of a header."""
    return phase(
        pattern,
        height,
        bottom_up=(header.text("ROWORDER") or "").upper() == "BOTTOM-UP",
        x_offset=whole(header.get("XBAYROFF")) or 0,
        y_offset=whole(header.get("YBAYROFF")) or 0,
    )


def looks_like_mosaic(crop: "NDArray[np.generic]") -> bool:
    """Whether a mono image of shape (H, W) shows the checkerboard of a Bayer mosaic.

    In a mosaic of sky the greens differ from red and blue by more than the four cells of a mono image do.
    """
    import numpy as np

    height, width = (n // 2 * 2 for n in crop.shape)
    if height < 16 or width < 16:
        return False
    cells = [np.asarray(crop[y:height:2, x:width:2], dtype=np.float64) for y in (0, 1) for x in (0, 1)]
    medians = np.array([np.median(c) for c in cells])
    spread = (
        float(np.median([np.median(np.abs(c - m)) for c, m in zip(cells, medians, strict=True)])) * 1.4826
    )
    error = max(spread, 0.5) * 1.2533 / np.sqrt(cells[0].size)
    return bool(np.ptp(medians) > 8 * error and np.ptp(medians) > 0.01 * abs(float(medians.mean())))
