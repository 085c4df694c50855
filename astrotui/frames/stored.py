"""What the formats have in common: size, samples and keywords of a stored image."""

from collections.abc import Callable
from dataclasses import dataclass

from astrotui.frames.cards import Keywords


@dataclass(frozen=True, slots=True)
class Stored:
    """An image as its file describes it.

    Attributes
    ----------
    header : keywords by their FITS names
    bitpix : FITS BITPIX or its equivalent
    digest : 40 hex characters of the header and the first pixels
    full_scale_adu : the highest value a sample can have, None when samples do not tell
    mosaic_test : looks at pixels to say whether a mono image is a color mosaic; only for formats whose files
        never name a pattern
    """

    header: Keywords
    width: int
    height: int
    planes: int
    bitpix: int
    digest: str
    full_scale_adu: float | None
    hdu: int = 0
    warnings: tuple[str, ...] = ()
    mosaic_test: Callable[[], bool] | None = None
