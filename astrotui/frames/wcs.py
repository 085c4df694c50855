"""The celestial coordinate system of a frame, as FITS cards."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
            if wcs.sip is None or not any(_bends(part) for part in (wcs.sip.a, wcs.sip.b)):
                # Solvers announce a distortion that they did not fit; programs then look for its terms.
                wcs.sip = None
                wcs.wcs.ctype = [kind.removesuffix("-SIP") for kind in wcs.wcs.ctype]
            cards = wcs.to_header(relax=True).cards
            return tuple(str(card) for card in cards if not (card.keyword == "MJDREF" and card.value == 0))
        except (OSError, ValueError, KeyError, IndexError, TypeError, fits.VerifyError, MemoryError):
            return ()  # a broken WCS is no reason to lose the frame


def _bends(terms: Any) -> bool:
    return terms is not None and bool((terms != 0).any())


def scaled_cards(cards: Sequence[str], step: int) -> tuple[str, ...]:
    """The WCS of an image for the image of which its pixels are means of `step` by `step`."""
    if step == 1 or not cards:
        return tuple(cards)
    wcs = read_wcs(cards)
    wcs.wcs.crpix = (wcs.wcs.crpix - 0.5) * step + 0.5
    if wcs.wcs.has_cd():
        wcs.wcs.cd = wcs.wcs.cd / step
    else:
        wcs.wcs.cdelt = wcs.wcs.cdelt / step
    return tuple(str(card) for card in wcs.to_header(relax=True).cards)


def read_wcs(cards: Sequence[str]) -> Any:
    """An `astropy.wcs.WCS` of cards of 80 characters."""
    from astropy.io import fits
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(fits.Header([fits.Card.fromstring(text) for text in cards]), naxis=2)


@dataclass(frozen=True)
class SkyField:
    """Where an image lies in the sky.

    Attributes
    ----------
    ra_deg, dec_deg : of its middle, J2000
    scale_arcsec : of a pixel
    rotation_deg : of what is up in the picture, from north by east; the picture is as astrotui shows it, the first
        row on top unless the file says that it counts from below
    mirrored : the picture shows east to the right of north
    width_deg, height_deg : of the field
    """

    ra_deg: float
    dec_deg: float
    scale_arcsec: float
    rotation_deg: float
    mirrored: bool
    width_deg: float
    height_deg: float


def sky_field(cards: Sequence[str], width: int, height: int, *, bottom_up: bool = False) -> SkyField:
    """The field of an image of `width` by `height` pixels with this WCS.

    Parameters
    ----------
    bottom_up : the first row is the lowest of the picture (ROWORDER)
    """
    import numpy as np

    wcs = read_wcs(cards)
    middle = ((width - 1) / 2, (height - 1) / 2)
    ra, dec = (float(value) for value in wcs.wcs_pix2world([middle], 0)[0])
    matrix = wcs.pixel_scale_matrix
    scale = float(np.sqrt(abs(np.linalg.det(matrix))))
    up = matrix[:, 1] if bottom_up else -matrix[:, 1]
    return SkyField(
        round(ra % 360, 6),
        round(dec, 6),
        round(scale * 3600, 5),
        round(float(np.degrees(np.arctan2(up[0], up[1]))), 3),
        bool((np.linalg.det(matrix) > 0) == bottom_up),
        round(width * scale, 4),
        round(height * scale, 4),
    )
