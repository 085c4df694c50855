"""The celestial coordinate system of a frame, as FITS cards."""

import warnings
from pathlib import Path


def celestial_cards(path: Path, hdu: int = 0) -> tuple[str, ...]:
    """Cards of the image's celestial WCS; none when it has no usable one.

    Old forms (CROTA, PC with CDELT) come back in the standard's present form.
    """
    if path.suffix.lower() in (".tif", ".tiff", ".png"):
        return ()
    from astropy.io import fits
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers of real cameras break rules that do not matter here
        try:
            header = fits.getheader(path, hdu)
            if "CTYPE1" not in header or "CRVAL1" not in header:
                return ()
            wcs = WCS(header, naxis=2)
            if not wcs.has_celestial:
                return ()
            return tuple(str(card) for card in wcs.to_header(relax=True).cards)
        except (OSError, ValueError, KeyError, IndexError, TypeError, fits.VerifyError, MemoryError):
            return ()  # a broken WCS is no reason to lose the frame
