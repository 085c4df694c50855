"""Small pictures of frames, kept when a frame is measured, so that a review need not read the frames again.

A small picture holds no stretch: which one a session gets is known only when all of it has been seen. It is a JPEG
of at most 30 KB whose levels are coded by

    code = 64 + k asinh((v - sky) / w),   v = sky + w sinh((code - 64) / k)

with v in ADU and one sky, w = 10 of its robust deviations, and k for each channel; they stand in the JPEG's comment
as JSON. Two levels are thus one deviation of the sky at any exposure, 120 deviations below it and the full scale
above it have room, and a cloud that dims or lights the sky shows by `sky` itself. `kept_small` gives v back, to
which the stretch of the whole session is applied.
"""

import hashlib
import io
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.config import places
from astrotui.errors import FrameError
from astrotui.imaging.cfa import CHANNELS, PATTERNS, plane_offsets
from astrotui.imaging.types import Float32Array

SIZE = 480  # pixels of the longest side, at least, where the frame has so many
MOST_BYTES = 30_000
VERSION = 1  # of the coding; part of the names
SOME = 4  # of so many rows and columns one tells the sky: some thousand pixels do
_FLOOR = 64.0  # code of the sky
_WIDTH = 10.0  # deviations of the sky
_QUALITIES = (82, 70, 55, 40, 25)


def factor_for(width: int, height: int) -> int:
    """How many pixels of a picture go to one of the small one, in each direction."""
    return max(1, max(width, height) // SIZE)


def reduce_frame(pixels: NDArray[Any], cfa: str | None) -> Float32Array:
    """The small picture of a raw frame, ADU, float32 (C, h, w); for workers, it compiles.

    Parameters
    ----------
    pixels : uint16 or float32 (H, W) mosaic or mono, or (3, H, W)
    cfa : pattern at row 0, column 0 of a mosaic; None otherwise
    """
    from astrotui.imaging.plane_kernels import cell_means

    if pixels.ndim == 3:
        return np.concatenate([reduce_frame(plane, None) for plane in pixels])
    cell = 2 if cfa in PATTERNS else 1
    height, width = pixels.shape[0] // cell, pixels.shape[1] // cell
    factor = factor_for(width, height)
    out = np.empty((cell * cell, max(1, height // factor), max(1, width // factor)), np.float32)
    cell_means(pixels, cell, min(factor, height, width), out)
    if cell == 1 or cfa is None:
        return out
    offsets = plane_offsets(cfa)
    return np.stack([np.mean([out[2 * y + x] for y, x in offsets[c]], axis=0) for c in CHANNELS])


def encode_small(linear: Float32Array) -> bytes:
    """A small picture (C, h, w) in ADU, C 1 or 3, as a JPEG of at most 30 KB; see the module's text."""
    from PIL import Image

    codes, channels = [], []
    for plane in linear:
        some = plane[::SOME, ::SOME] if plane.size > 20_000 else plane
        some = some[np.isfinite(some)]
        sky = float(np.median(some)) if some.size else 0.0
        spread = 1.4826 * float(np.median(np.abs(some - np.float32(sky)))) if some.size else 0.0
        wide = _WIDTH * max(spread, 1e-6 * max(1.0, abs(sky)))
        code = plane.copy() if some.size and np.isfinite(plane).all() else np.nan_to_num(plane, nan=sky)
        top = float(code.max())
        k = (255.0 - _FLOOR) / max(float(np.arcsinh((top - sky) / wide)), 1.0)
        code -= np.float32(sky)
        code *= np.float32(1 / wide)
        np.arcsinh(code, out=code)
        code *= np.float32(k)
        code += np.float32(_FLOOR + 0.5)
        codes.append(np.clip(code, 0, 255, out=code).astype(np.uint8))
        channels.append({"sky": sky, "w": wide, "k": k})
    comment = json.dumps({"astrotui": VERSION, "channels": channels}).encode()
    image = Image.fromarray(codes[0] if len(codes) == 1 else np.stack(codes, axis=-1))
    data = b""
    for shrink in (1, 2, 4):
        smaller = image if shrink == 1 else image.reduce(shrink)
        for quality in _QUALITIES:
            buffer = io.BytesIO()
            smaller.save(buffer, "JPEG", quality=quality, subsampling=0, comment=comment)
            data = buffer.getvalue()
            if len(data) <= MOST_BYTES:
                return data
    return data


def decode_small(data: bytes) -> Float32Array | None:
    """What `encode_small` wrote, ADU, float32 (C, h, w); None when it is something else or damaged."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            facts = json.loads(image.info["comment"])
            codes = np.asarray(image, np.float32)
        if facts["astrotui"] != VERSION:
            return None
        planes = codes[np.newaxis] if codes.ndim == 2 else np.moveaxis(codes, -1, 0)
        return np.stack(
            [
                np.float32(c["sky"]) + np.float32(c["w"]) * np.sinh((plane - _FLOOR) / np.float32(c["k"]))
                for plane, c in zip(planes, facts["channels"], strict=True)
            ]
        )
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return None


def small_path(path: Path, cfa: str | None) -> Path:
    """Where the small picture of a frame is or will be kept; changes with its pattern, size and time of change.

    Raises
    ------
    FrameError : the file is gone
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise FrameError(path, error.strerror or "cannot be read") from error
    identity = f"small {VERSION}|{cfa or ''}|{path.absolute()}|{facts.st_size}|{facts.st_mtime_ns}"
    name = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:40]
    return places().previews / name[:2] / f"{name}.jpg"


def keep_small(path: Path, pixels: NDArray[Any], cfa: str | None) -> None:
    """Keep the small picture of a frame whose pixels are at hand. A full disk is no error, nor is a frame gone."""
    try:
        place = small_path(path, cfa)
    except FrameError:
        return
    if not place.exists():
        write_small(place, encode_small(reduce_frame(pixels, cfa)))


def write_small(place: Path, data: bytes) -> None:
    """Put a file into the cache at once or not at all; it is not synced, for it can be made again."""
    part = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(place)
    except OSError:
        with suppress(OSError):
            part.unlink()


def kept_small(path: Path, cfa: str | None) -> Float32Array | None:
    """The kept small picture of a frame, ADU, float32 (C, h, w), as stored; None when there is none."""
    place = small_path(path, cfa)
    try:
        data = place.read_bytes()
        os.utime(place)  # the oldest are pruned first
    except OSError:
        return None
    return decode_small(data)


def prune(cap: int, folder: Path | None = None) -> int:
    """Delete the previews used longest ago until the rest takes 90 % of `cap` bytes; returns how many went."""
    kept: list[tuple[int, int, Path]] = []
    for found in (folder or places().previews).glob("*/*"):
        try:
            facts = found.stat()
        except OSError:
            continue  # another process pruned it
        kept.append((facts.st_mtime_ns, facts.st_size, found))
    total = sum(size for _, size, _ in kept)
    if total <= cap:
        return 0
    gone = 0
    for _, size, found in sorted(kept):
        found.unlink(missing_ok=True)
        total -= size
        gone += 1
        if total <= 0.9 * cap:
            break
    return gone
