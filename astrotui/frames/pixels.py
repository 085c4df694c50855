"""Opens a frame's pixels and reads bands of rows from them, whatever the format."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import FrameError
from astrotui.frames.bands import MAX_DECODED_PIXELS, FrameReader
from astrotui.frames.fits_pixels import open_fits
from astrotui.frames.names import FileFormat, file_format
from astrotui.frames.raster_pixels import open_png, open_tiff
from astrotui.frames.raw_pixels import open_raw

__all__ = ["FrameReader", "open_frame", "read_image"]


def open_frame(path: Path | str, hdu: int = 0) -> FrameReader:
    """Open a frame.

    Parameters
    ----------
    path : FITS (also gzipped, tile-compressed, multi-extension), TIFF, 16-bit PNG, or camera raw with the
        `raw` extra
    hdu : HDU of the image in a FITS file; 0 is the first that holds an image

    Raises
    ------
    FrameError
        The file cannot be used; what its header claims is checked before anything is allocated.
    """
    found = file_format(Path(path).name)
    if found is FileFormat.FITS:
        return open_fits(path, hdu)
    if found is FileFormat.TIFF:
        return open_tiff(path)
    if found is FileFormat.PNG:
        return open_png(path)
    if found is FileFormat.RAW:
        return open_raw(path)
    raise FrameError(path, "not a format that holds frames")


def read_image(path: Path | str, hdu: int = 0) -> NDArray[np.float32]:
    """A whole frame as float32, shape (H, W) or (3, H, W).

    Raises
    ------
    FrameError
        The file cannot be used, or is too large to be read at once.
    """
    with open_frame(path, hdu) as frame:
        if frame.width * frame.height * frame.planes > MAX_DECODED_PIXELS:
            raise FrameError(path, f"{frame.width} x {frame.height} pixels are too many to read at once")
        return frame.read(0, frame.height).astype(np.float32, copy=False)
