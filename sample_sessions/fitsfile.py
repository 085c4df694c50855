"""Raw frames as FITS files whose bytes depend on nothing but their content."""

from pathlib import Path

import numpy as np

from sample_sessions.sky import Frame

Cards = list[tuple[str, object, str]]

BLOCK = 2880


def write_frame(path: Path, pixels: Frame, cards: Cards, *, compress: bool = False) -> None:
    """Write an unsigned 16-bit image: plain (BZERO 32768) or Rice-compressed in a table, row by row.

    Parameters
    ----------
    path : where; folders above are made
    pixels : uint16 (height, width)
    cards : header cards (key, value, comment) after the mandatory ones
    compress : write a tile-compressed image, as cameras' programs do in files named .fits.fz
    """
    from astropy.io import fits

    path.parent.mkdir(parents=True, exist_ok=True)
    if compress:
        header = fits.Header([fits.Card(*card) for card in cards])
        hdu = fits.CompImageHDU(
            pixels, header, compression_type="RICE_1", tile_shape=(1, pixels.shape[1]), uint=True
        )
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)
        return
    header = fits.Header(
        [
            ("SIMPLE", True, "conforms to FITS"),
            ("BITPIX", 16, "16-bit integers"),
            ("NAXIS", 2, ""),
            ("NAXIS1", pixels.shape[1], ""),
            ("NAXIS2", pixels.shape[0], ""),
            ("BZERO", 32768, "pixels are unsigned"),
            ("BSCALE", 1, ""),
        ]
    )
    for card in cards:
        header.append(fits.Card(*card), end=True)
    signed = (pixels ^ np.uint16(0x8000)).astype(">u2").tobytes()
    path.write_bytes(header.tostring().encode("ascii") + signed + bytes(-len(signed) % BLOCK))


def read_frame(path: Path) -> Frame:
    """The pixels of a file that `write_frame` wrote, uint16 (height, width)."""
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        hdu = hdus[1] if len(hdus) > 1 else hdus[0]
        return np.asarray(hdu.data).astype(np.uint16)
