"""Small pictures for review: every frame of a session under one stretch, at most 30 KB each, kept in a cache."""

import hashlib
import io
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrotui.config import load_settings, parse_size, places
from astrotui.errors import FrameError, OutputError
from astrotui.frames.output import write_bytes_atomic
from astrotui.imaging.stretch import StretchParameters, apply_stretch, autostretch, robust_statistics
from astrotui.imaging.types import Float32Array
from astrotui.rendering.colors import ladder
from astrotui.rendering.encode import quantized, resized
from astrotui.rendering.looks import DEFAULT_LOOK, orient
from astrotui.rendering.small import (
    SIZE,
    encode_small,
    factor_for,
    kept_small,
    prune,
    small_path,
    write_small,
)
from astrotui.rendering.source import Known, PictureSource

Pixels = NDArray[np.uint8]
MOST_BYTES = 30_000
SESSION_TARGET = 0.2
VERSION = 1  # of the code that makes previews; part of their names
_LOOKED_AT = 7
# How much the sky is blurred (sigma in pixels), and how many steps of the colour ladder are tried with it.
_EFFORTS = ((0.0, 1), (1.0, 3), (2.0, 7))
_PRUNE_EVERY = 64  # writes between two looks at the size of the cache


def frame_stretch(source: PictureSource, *, target: float = SESSION_TARGET) -> StretchParameters:
    """The automatic stretch of one raw frame, one a channel so that the filter mosaic's green cast goes."""
    floor = 0.0 if not source.is_stack else None
    return autostretch(source.samples(), target=target, floor=floor)


def session_stretch(
    paths: Sequence[Path], *, known: Known | None = None, target: float = SESSION_TARGET
) -> StretchParameters:
    """One stretch for all frames of a session, so that clouds and dawn show as what they are.

    Of up to seven frames spread over `paths`, the one whose sky is in the middle gives the stretch; frames
    that cannot be read do not count.

    Raises
    ------
    FrameError : none of them can be read
    """
    if not paths:
        raise FrameError("session", "it has no frames to take a stretch from")
    places_ = np.unique(np.linspace(0, len(paths) - 1, min(_LOOKED_AT, len(paths))).round().astype(int))
    found: list[tuple[float, StretchParameters]] = []
    failure: FrameError | None = None
    for index in places_:
        try:
            with PictureSource(paths[int(index)], known) as source:
                samples = source.samples()
        except FrameError as error:
            failure = error
            continue
        sky = float(np.mean([robust_statistics(c[np.isfinite(c)])[0] for c in samples]))
        found.append((sky, autostretch(samples, target=target)))
    if not found:
        assert failure is not None
        raise failure
    found.sort(key=lambda pair: pair[0])
    return found[(len(found) - 1) // 2][1]


def small_frame(source: PictureSource, *, keep: bool = True) -> Float32Array:
    """The linear picture of a raw frame made small, float32 (C, h, w), as stored: the kept one if there is one.

    Otherwise it is read from the frame, averaged over whole blocks to at least `SIZE` pixels, and kept.
    """
    if keep and (linear := kept_small(source.path, source.cfa)) is not None and len(linear) == source.planes:
        return linear * np.float32(1.0 / source.full_scale)
    linear = source.reduced(factor_for(source.width, source.height))
    if keep:
        write_small(small_path(source.path, source.cfa), encode_small(linear * np.float32(source.full_scale)))
    return linear


def preview_png(
    linear: Float32Array,
    stretch: StretchParameters,
    *,
    size: int = SIZE,
    bottom_up: bool = False,
    most: int = MOST_BYTES,
) -> bytes:
    """A PNG of at most `most` bytes and `size` pixels on its longest side from a small linear picture (C,
    h, w).

    Noise is what makes a star field large: pixels near the median of their neighbours take its value, then
    colours are reduced, and at last the size, until it fits.
    """
    shown = apply_stretch(linear, stretch)
    shown = np.ascontiguousarray(shown)
    _, height, width = shown.shape
    data = b""
    scale = min(1.0, size / max(height, width))
    for _ in range(12):
        small = resized(shown, max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = orient(quantized(small, 8), DEFAULT_LOOK, bottom_up=bottom_up)
        data = _smallest(pixels, most)
        if len(data) <= most:
            return data
        scale *= 0.8
    return data


def _smallest(pixels: Pixels, most: int) -> bytes:
    """The best of ever smoother and coarser versions that fits; the coarsest if none does."""
    data = b""
    for blur, tries in _EFFORTS:
        for indices, palette in islice(ladder(_calmed(pixels, blur)), tries):
            data = _palette_png(indices, palette)
            if len(data) <= most:
                return data
    return data


def _calmed(pixels: Pixels, blur: float) -> Pixels:
    """Pixels as (h, w, 3), the noise of the sky blurred away; stars stay sharp. Nothing is done for `blur` 0."""
    rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    if blur == 0:
        return rgb
    from PIL import Image, ImageFilter

    image = Image.fromarray(np.ascontiguousarray(pixels)).filter(ImageFilter.MedianFilter(3))
    calm = np.asarray(image.filter(ImageFilter.GaussianBlur(blur))).reshape(*pixels.shape[:2], -1)
    difference = np.abs(rgb.astype(np.int16) - calm).mean(
        axis=2, keepdims=True
    )  # one colour alone is no star
    near = difference < max(3.0, 3.5 * 1.4826 * float(np.median(difference)))
    return np.where(near, calm, rgb).astype(np.uint8)


def _palette_png(indices: Pixels, palette: Pixels) -> bytes:
    from PIL import Image

    image = Image.fromarray(indices)
    image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=7)
    return buffer.getvalue()


def frame_preview(
    path: Path,
    *,
    known: Known | None = None,
    stretch: StretchParameters | None = None,
    size: int = SIZE,
    content_id: str | None = None,
    cache: bool = True,
) -> bytes:
    """The preview of a frame as PNG of at most 30 KB, from the cache if it is there.

    Parameters
    ----------
    known : facts from the catalogue, which spare a look at the header
    stretch : the session's; None gives the frame its own
    content_id : the catalogue's identity of the file; None takes path, size and time of change
    """
    place = preview_path(path, stretch, size=size, content_id=content_id)
    if cache:
        try:
            data = place.read_bytes()
            os.utime(place)  # the oldest are pruned first
            return data
        except OSError:
            pass  # not there yet, or a cache that cannot be touched: make it
    with PictureSource(path, known) as source:
        data = preview_png(
            small_frame(source, keep=False),
            stretch or frame_stretch(source),
            size=size,
            bottom_up=source.bottom_up,
        )
    if cache:
        store(place, data)
    return data


def preview_path(
    path: Path, stretch: StretchParameters | None, *, size: int = SIZE, content_id: str | None = None
) -> Path:
    """Where the preview of a frame under this stretch is or will be kept."""
    identity = content_id
    if identity is None:
        try:
            facts = path.stat()
        except OSError as error:
            raise FrameError(path, error.strerror or "cannot be read") from error
        identity = f"{path.absolute()}|{facts.st_size}|{facts.st_mtime_ns}"
    look = "own" if stretch is None else stretch.digest()
    name = hashlib.sha256(f"{VERSION}|{identity}|{look}|{size}".encode()).hexdigest()[:40]
    return places().previews / name[:2] / f"{name}.png"


_writes = 0


def store(place: Path, data: bytes) -> None:
    """Put a file into the cache and, now and then, bring the cache under its cap. A full disk is no error."""
    global _writes  # noqa: PLW0603 - how often this process has written, nothing else
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomic(place, data, str(os.getpid()), overwrite=True)
    except (OSError, OutputError):
        return  # a preview that cannot be kept is made again next time
    if _writes % _PRUNE_EVERY == 0:
        prune(parse_size(load_settings().previews_cap))
    _writes += 1
