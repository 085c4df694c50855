"""Shown pixels as bytes of a picture file: PNG of 8 or 16 bits, TIFF, JPEG."""

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import OutputError
from astrotui.imaging.types import Float32Array

ENDINGS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".jpg": "JPEG", ".jpeg": "JPEG"}

_RUNS = zlib.Z_RLE


def picture_format(path: Path) -> str:
    """PNG, TIFF or JPEG by the ending of `path`.

    Raises
    ------
    OutputError : another ending
    """
    kind = ENDINGS.get(path.suffix.lower())
    if kind is None:
        raise OutputError(
            f"{path}: a picture is written as {', '.join(ENDINGS)}, not {path.suffix or 'without ending'!r}"
        )
    return kind


def quantized(shown: Float32Array, depth: int) -> NDArray[Any]:
    """Planes (C, h, w) on [0, 1] as (h, w) or (h, w, 3) integers of `depth` bits, rounded."""
    top, kind = (255, np.uint8) if depth == 8 else (65535, np.uint16)
    pixels = (shown * np.float32(top) + np.float32(0.5)).astype(kind)
    return pixels[0] if len(pixels) == 1 else np.ascontiguousarray(np.moveaxis(pixels, 0, -1))


def encode(pixels: NDArray[Any], kind: str, *, quality: int = 95) -> bytes:
    """`pixels` (h, w) or (h, w, 3), uint8 or uint16, as the bytes of a PNG, TIFF or JPEG (8 bits) file."""
    pixels = np.ascontiguousarray(pixels)
    if kind == "TIFF":
        return _tiff(pixels)
    if kind == "PNG" and pixels.dtype == np.uint16:
        return png16(pixels)
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    if kind == "JPEG":
        image.save(buffer, "JPEG", quality=quality, subsampling=0, optimize=True)
    else:
        # Skies are noise: there are no repetitions to look for but runs of one value, and looking takes as long again.
        image.save(buffer, "PNG", compress_type=_RUNS)
    return buffer.getvalue()


def _tiff(pixels: NDArray[Any]) -> bytes:
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        pixels,
        photometric="rgb" if pixels.ndim == 3 else "minisblack",
        compression="zlib",
        software="astrotui",
        metadata=None,
    )
    return buffer.getvalue()


def png16(pixels: NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits a channel, which Pillow cannot write in colour.

    Rows are stored as differences from the row above (filter type 2), which compresses smooth skies well.
    """
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    raw = pixels.astype(">u2").reshape(height, width * channels).view(np.uint8)
    lines = np.empty((height, 1 + raw.shape[1]), np.uint8)
    lines[:, 0] = 2
    lines[0, 1:] = raw[0]
    np.subtract(raw[1:], raw[:-1], out=lines[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 16, 0 if channels == 1 else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, body)
        for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 4)), (b"IEND", b""))
    )


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def resized(shown: Float32Array, width: int, height: int) -> Float32Array:
    """Planes (C, h, w) on [0, 1] at another size (Lanczos, kept within [0, 1])."""
    if shown.shape[1:] == (height, width):
        return shown
    from PIL import Image

    def one(plane: Float32Array) -> Float32Array:
        return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.LANCZOS))

    with ThreadPoolExecutor(len(shown)) as pool:  # Pillow lets go of the interpreter
        planes = list(pool.map(one, shown))
    return cast(Float32Array, np.clip(np.stack(planes), 0.0, 1.0).astype(np.float32))
