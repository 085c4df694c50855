"""The header of a PNG file, before its pixels are touched."""

import struct
from pathlib import Path

from astrotui.errors import FrameError
from astrotui.frames.bands import MAX_DECODED_PIXELS
from astrotui.frames.sources import FdSource
from astrotui.frames.values import Value, clean

_PNG_CHUNKS = 64


def read_png_header(path: Path, source: FdSource) -> tuple[tuple[int, int], int, int, dict[str, Value]]:
    """(width, height), bits a sample, color type and text of a PNG, from the chunks before its pixels.

    Raises
    ------
    FrameError
        The file is not PNG or claims an absurd size.
    """
    start = source.read(0, 33)
    if len(start) < 33 or not start.startswith(b"\x89PNG\r\n\x1a\n") or start[12:16] != b"IHDR":
        raise FrameError(path, "the file is empty" if not start else "not a PNG file")
    width, height, bits, color = struct.unpack(">IIBB", start[16:26])
    if width == 0 or height == 0 or width * height > MAX_DECODED_PIXELS:
        raise FrameError(path, f"the header claims {width} x {height} pixels")
    words: dict[str, Value] = {}
    at = 33
    for _ in range(_PNG_CHUNKS):
        head = source.read(at, 8)
        if len(head) < 8 or head[4:] == b"IDAT":
            break
        length = int.from_bytes(head[:4], "big")
        if head[4:] == b"tEXt" and length < 4096:
            key, _, text = source.read(at + 8, length).partition(b"\0")
            if key == b"Software":
                words["SWCREATE"] = clean(text.decode("latin-1"), 80)
        at += 12 + length
    return (width, height), bits, color, words
