"""What every reader of pixels is, so that callers need not know the format."""

from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]  # uint16 or float32
MAX_DECODED_PIXELS = 2**28  # of formats that are decoded whole: 1 GiB as float32


class FrameReader(Protocol):
    """Pixels of one frame; a context manager, safe to share between threads.

    Attributes
    ----------
    path : the file
    width, height : pixels
    planes : 1 for mono and mosaics, 3 for color
    dtype : of what `read` gives, uint16 or float32
    """

    path: Path
    width: int
    height: int
    planes: int
    dtype: np.dtype[Any]

    def read(self, y0: int, y1: int, x0: int = 0, x1: int | None = None) -> Pixels:
        """Rows `y0` to `y1` and columns `x0` to `x1` (both ends excluded).

        Returns
        -------
        A new, writable, C-contiguous array of shape (y1 - y0, x1 - x0), or (3, y1 - y0, x1 - x0) for color.
        uint16 for 16-bit FITS with BZERO 32768 and for 8- and 16-bit TIFF, PNG and camera raw; else float32
        of physical values, missing integers NaN. Wider samples lose what float32 cannot hold.

        Raises
        ------
        FrameError
            The file is gone, truncated or damaged.
        ValueError
            The band lies outside the image.
        """

    def close(self) -> None:
        """Give the file back; a second call does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def check_band(reader: FrameReader, y0: int, y1: int, x0: int, x1: int | None) -> int:
    """The end column of a band.

    Raises
    ------
    ValueError
        The band lies outside the image.
    """
    end = reader.width if x1 is None else x1
    if not (0 <= y0 <= y1 <= reader.height and 0 <= x0 <= end <= reader.width):
        raise ValueError(f"rows {y0}:{y1}, columns {x0}:{end} of {reader.width} x {reader.height} pixels")
    return end
