"""What TIFF, PNG and camera raw files tell of themselves, under FITS keywords."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrotui.errors import FrameError
from astrotui.frames.cards import KeywordTable
from astrotui.frames.model import GAMMA
from astrotui.frames.names import FileFormat
from astrotui.frames.sources import FdSource, RegularFile, open_regular
from astrotui.frames.stored import Stored
from astrotui.frames.values import Value, clean, number, rounded

if TYPE_CHECKING:
    from astrotui.frames.raster_pixels import TiffLayout

_DIGEST_BYTES = 64 * 1024


def read_stored(path: Path, kind: FileFormat) -> Stored:
    """Read size, samples and keywords of a TIFF, PNG or camera raw file.

    Raises
    ------
    FrameError
        The file cannot be used as a frame.
    """
    reader = {FileFormat.TIFF: _read_tiff, FileFormat.PNG: _read_png, FileFormat.RAW: _read_raw}[kind]
    return reader(path)


def _digest(file: RegularFile) -> str:
    """Digest of a file's first and last 64 KiB: such files have no header that tells them apart."""
    source = FdSource(file)
    digest = hashlib.blake2b(source.read(0, _DIGEST_BYTES), digest_size=20)
    digest.update(source.read(max(_DIGEST_BYTES, file.size - _DIGEST_BYTES), _DIGEST_BYTES))
    return digest.hexdigest()


def _digest_of(path: Path) -> str:
    with open_regular(path) as file:
        if file.size == 0:
            raise FrameError(path, "the file is empty")
        return _digest(file)


def _read_tiff(path: Path) -> Stored:
    from astrotui.frames.raster_pixels import tiff_layout

    digest = _digest_of(path)
    layout = tiff_layout(path)
    warnings: tuple[str, ...] = ()
    if layout.bits == 8 and layout.kind != "f":
        warnings = (GAMMA + "an 8-bit TIFF",)
    elif layout.profile:
        warnings = (GAMMA + "the TIFF carries a color profile",)
    full = None if layout.kind == "f" or layout.bits > 16 else float(2**layout.bits - 1)
    return Stored(
        header=KeywordTable(_exif_keywords(layout.tags)),
        width=layout.width,
        height=layout.height,
        planes=layout.planes,
        bitpix=-layout.bits if layout.kind == "f" else layout.bits,
        digest=digest,
        full_scale_adu=full,
        warnings=warnings,
        mosaic_test=_mosaic_test(path, layout),
    )


def _mosaic_test(path: Path, layout: "TiffLayout") -> Callable[[], bool] | None:
    """A test on a few rows from the middle; None when the whole image had to be decoded for them."""
    if layout.offset is None:
        return None

    def test() -> bool:
        from astrotui.frames.mosaic import looks_like_mosaic
        from astrotui.frames.pixels import open_frame

        top = max(0, layout.height // 2 - 128) // 2 * 2
        with open_frame(path) as frame:
            return looks_like_mosaic(frame.read(top, min(layout.height, top + 256)))

    return test


def _exif_keywords(tags: dict[str, Any]) -> dict[str, Value]:
    """FITS keywords from EXIF and TIFF tags by name. EXIF times are local; without an offset they are no
    DATE-OBS and only tell the night."""
    words: dict[str, Value] = {}
    exposure, iso, focal = (
        _rational(tags.get(k)) for k in ("ExposureTime", "ISOSpeedRatings", "FocalLength")
    )
    if exposure:
        words["EXPTIME"] = rounded(exposure)
    if iso:
        words["ISOSPEED"] = iso
    if focal:
        words["FOCALLEN"] = focal
    maker, model = clean(tags.get("Make") or "", 60), clean(tags.get("Model") or "", 60)
    if model:
        words["INSTRUME"] = model if not maker or model.startswith(maker.split()[0]) else f"{maker} {model}"
    if software := clean(tags.get("Software") or "", 80):
        words["SWCREATE"] = software
    taken = clean(tags.get("DateTimeOriginal") or "", 40)
    if len(taken) == 19 and taken[4] == taken[7] == ":":
        local = f"{taken[:10].replace(':', '-')}T{taken[11:]}"
        words["DATE-LOC"] = local
        if offset := clean(tags.get("OffsetTimeOriginal") or "", 10):
            words["DATE-OBS"] = local + offset
    return words


def _rational(value: Any) -> float | None:
    if isinstance(value, tuple | list) and len(value) >= 2 and number(value[1]):
        return (number(value[0]) or 0.0) / (number(value[1]) or 1.0)
    return number(value[0] if isinstance(value, tuple | list) and value else value)


def _read_png(path: Path) -> Stored:
    from astrotui.frames.png import read_png_header

    with open_regular(path) as file:
        size, bits, color, words = read_png_header(path, FdSource(file))
        digest = _digest(file)
    if bits != 16:
        raise FrameError(path, f"a PNG of {bits} bits is a picture, not a frame; 16 bits are needed")
    if color != 0:
        raise FrameError(
            path, "16-bit color PNG cannot be read without losing depth; save it as TIFF or FITS"
        )
    return Stored(
        header=KeywordTable(words),
        width=size[0],
        height=size[1],
        planes=1,
        bitpix=16,
        digest=digest,
        full_scale_adu=65535.0,
    )


def _read_raw(path: Path) -> Stored:
    from astrotui.frames.raw_pixels import raw_layout

    digest = _digest_of(path)
    layout = raw_layout(path)
    tags = _raw_tags(path)
    words = _exif_keywords(tags)
    for key, value in layout.words.items():
        words.setdefault(key, value)
    if layout.pattern:
        words["BAYERPAT"] = layout.pattern
    return Stored(
        header=KeywordTable(words),
        width=layout.width,
        height=layout.height,
        planes=1,
        bitpix=16,
        digest=digest,
        full_scale_adu=layout.white,
    )


def _raw_tags(path: Path) -> dict[str, Any]:
    """EXIF of the raw formats that are TIFF inside (DNG, CR2, NEF, ARW, ...); empty for others."""
    import tifffile

    from astrotui.frames.raster_pixels import page_tags

    try:
        with tifffile.TiffFile(path) as tiff:
            return page_tags(tiff.pages.first)
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        return {}  # no TIFF inside: LibRaw has told what there is
