"""Which files are frames, by their names alone, and the parts of a name that matter."""

import re
from enum import StrEnum
from functools import cache
from importlib.util import find_spec


class FileFormat(StrEnum):
    """How a frame is stored."""

    FITS = "FITS"
    TIFF = "TIFF"
    PNG = "PNG"
    RAW = "camera raw"


_FITS = frozenset({"fits", "fit", "fts"})
_BY_SUFFIX = {
    **dict.fromkeys(_FITS, FileFormat.FITS),
    **dict.fromkeys(("tif", "tiff"), FileFormat.TIFF),
    "png": FileFormat.PNG,
    **dict.fromkeys(
        "dng cr2 cr3 nef nrw arw srf sr2 raf rw2 orf pef srw".split(),
        FileFormat.RAW,
    ),
}

# Folders that operating systems, NAS boxes and telescopes keep beside frames. Compared in lower case.
JUNK_FOLDERS = frozenset(
    {
        "system volume information",
        "$recycle.bin",
        "#recycle",
        "@eadir",
        "thumbnail",
        "thumbnails",
        "lost+found",
        "__macosx",
    }
)

# Pictures that telescopes write for people: never frames, though a few are 16-bit PNG.
_PICTURE = re.compile(r"(?:stacked|img_|thumb|preview|.*_thn\.|.*_thumbnail\.)", re.IGNORECASE)


@cache
def raw_supported() -> bool:
    """Whether the `raw` extra is installed, so that camera raw files can be read."""
    return find_spec("rawpy") is not None


def split_name(name: str) -> tuple[str, str]:
    """Stem and lower-case extension of a file name, compression suffixes of FITS taken off.

    `Light.FITS.gz` -> ("Light", "fits"), `a.fit.fz` -> ("a", "fit"), `b.fz` -> ("b", "fits").
    """
    stem, _, suffix = name.rpartition(".")
    suffix = suffix.lower()
    if suffix in ("gz", "fz"):
        inner, _, before = stem.rpartition(".")
        if before.lower() in _FITS:
            return inner, before.lower()
        if suffix == "fz":
            return stem, "fits"
    return stem, suffix


def file_format(name: str) -> FileFormat | None:
    """The format that a name's extension stands for, None when it is no frame's."""
    stem, suffix = split_name(name)
    return _BY_SUFFIX.get(suffix) if stem else None


def is_frame_name(name: str) -> bool:
    """Whether a file of this name may be a frame.

    Hidden files, leftovers of interrupted writes, pictures that telescopes make for people, and camera raw
    files without the `raw` extra are not.
    """
    if name.startswith("."):
        return False
    found = file_format(name)
    if found is None or found is FileFormat.FITS:
        return found is not None
    if found is FileFormat.PNG:
        return not _PICTURE.match(name)
    return found is not FileFormat.RAW or raw_supported()
