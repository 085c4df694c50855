"""A result or a frame becomes a picture file: PNG, TIFF or JPEG, by a look."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import FrameError, OutputError, UsageError
from astrotui.frames.output import check_output, write_bytes_atomic
from astrotui.imaging.stretch import StretchParameters
from astrotui.imaging.types import Float32Array
from astrotui.rendering.develop import Development, develop
from astrotui.rendering.encode import encode, picture_format, quantized, resized
from astrotui.rendering.looks import Look, orient
from astrotui.rendering.source import Known, PictureSource, block_middles

_BAND = 256


@dataclass(frozen=True)
class RenderInfo:
    """What was written.

    Attributes
    ----------
    width, height : pixels of the picture file
    stretch : the stretch that was found and used
    notes : one line each on background, colours and what was left out
    """

    path: Path
    width: int
    height: int
    stretch: StretchParameters
    notes: tuple[str, ...]


def render_image(
    path: Path,
    look: Look,
    out: Path,
    *,
    size: int | None = None,
    depth: Literal[8, 16] | None = None,
    overwrite: bool = False,
    tag: str = "render",
    known: Known | None = None,
    announce: Callable[[RenderInfo, str], None] | None = None,
) -> RenderInfo:
    """Develop the image `path` by `look` and write the picture `out`, at once or not at all.

    Parameters
    ----------
    path : a FITS result (H x W or 3 x H x W), a raw mono or CFA frame, a TIFF or PNG
    out : its ending says PNG, TIFF or JPEG
    size : longest side in pixels; None keeps the full size (a mosaic gives half of its own)
    depth : bits a channel; None is 16 for TIFF, 8 otherwise. JPEG has 8
    tag : part of the temporary file's name, so that leftovers can be told
    known : facts of the frame that its header need not be asked for
    announce : told what will be written and the SHA-256 of the file, before it gets its name

    Raises
    ------
    FrameError : `path` cannot be read
    OutputError : `out` exists, cannot be written, or has an ending that is no picture's
    """
    kind = picture_format(out)
    if depth == 16 and kind == "JPEG":
        raise OutputError(f"{out}: JPEG holds 8 bits a channel; write PNG or TIFF for 16")
    check_picture(path, out, overwrite=overwrite)
    with PictureSource(path, known) as source, ThreadPoolExecutor(1) as pool:
        longest = max(source.width, source.height)
        smaller = size is not None and 0 < size < longest
        ahead = pool.submit(_reduced, path, known, longest // (size or 1)) if smaller else None
        made = develop(source, look)
        bits = depth or (16 if kind == "TIFF" else 8)
        linear = None if ahead is None else ahead.result()
        pixels = developed_pixels(source, made, size=size, depth=bits, linear=linear)
    data = encode(pixels, kind)
    info = RenderInfo(out, pixels.shape[1], pixels.shape[0], made.stretch, made.notes)
    if announce is not None:
        announce(info, hashlib.sha256(data).hexdigest())
    write_bytes_atomic(out, data, tag, overwrite=overwrite)
    return info


def _reduced(path: Path, known: Known | None, factor: int) -> Float32Array:
    """The picture made small, by a reader of its own: while the look is found by another."""
    with PictureSource(path, known) as source:
        return source.reduced(factor)


def check_picture(path: Path, out: Path, *, overwrite: bool = False) -> None:
    """Find out before the work whether a picture of `path` could be written at `out`; raises as `render_image`."""
    picture_format(out)
    if not path.exists():
        raise FrameError(path, "no such file")
    check_output(out, overwrite=overwrite)


def developed_pixels(
    source: PictureSource,
    made: Development,
    *,
    size: int | None = None,
    depth: int = 8,
    linear: Float32Array | None = None,
) -> NDArray[Any]:
    """The whole picture as it is shown: (h, w) or (h, w, 3), uint8 or uint16, turned the right way up.

    At full size the bands go straight to integers; a smaller picture is averaged over whole blocks first
    and then brought to `size` exactly; `linear` is these averages where they are there already.
    """
    if size is not None and size < 1:
        raise UsageError(f"--size must be at least 1 pixel, not {size}")
    longest = max(source.width, source.height)
    if size is None or size >= longest:
        shape = (source.height, source.width) + ((3,) if source.planes == 3 else ())
        pixels: NDArray[Any] = np.empty(shape, np.uint8 if depth == 8 else np.uint16)
        columns = np.arange(source.width, dtype=np.float64)
        for y in range(0, source.height, _BAND):
            last = min(y + _BAND, source.height)
            part = source.read(y, last)
            pixels[y:last] = quantized(made.show(part, np.arange(y, last, dtype=np.float64), columns), depth)
    else:
        shown = developed_small(source, made, longest // size, linear)
        scale = size / longest
        width, height = max(1, round(source.width * scale)), max(1, round(source.height * scale))
        pixels = quantized(resized(shown, width, height), depth)
    return orient(pixels, made.look, bottom_up=source.bottom_up)  # type: ignore[no-any-return]


def developed_small(
    source: PictureSource, made: Development, factor: int, linear: Float32Array | None = None
) -> Float32Array:
    """The picture averaged over `factor` x `factor` blocks and shown: float32 (C, h, w) as stored."""
    linear = source.reduced(factor) if linear is None else linear
    _, rows, columns = linear.shape
    return made.show(linear, block_middles(rows, factor), block_middles(columns, factor))
