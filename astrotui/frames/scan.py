"""Finds the files of a library that may be frames, without opening more than it must."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from astrotui.errors import FrameError
from astrotui.frames.names import JUNK_FOLDERS, FileFormat, file_format, is_frame_name
from astrotui.frames.sources import FdSource, open_regular
from astrotui.frames.values import clean
from astrotui.text import plural

_PLAIN_FITS = (".fits", ".fit")  # nearly all names: the others are looked at more closely
_SYSTEM = ("/proc", "/sys", "/dev")
_KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


class FoundFile(NamedTuple):
    """A file whose name may be a frame's.

    Attributes
    ----------
    relative : its path below the root, "/" between parts
    place : its whole path, as text
    size : bytes
    mtime_ns : when it was last written
    """

    relative: str
    place: str
    size: int
    mtime_ns: int

    @property
    def path(self) -> Path:
        """Its whole path. Making one takes as long as looking at a file."""
        return Path(self.place)


@dataclass(frozen=True, slots=True)
class ScanNote:
    """Something in the tree that is not read, and why; both are safe to show.

    `unseen` is the path below the root, as it is, of what could not be looked at: frames may be there.
    """

    relative: str
    reason: str
    unseen: str | None = None


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    relative: str  # with a trailing "/" unless it is the root's ""


def scan(root: Path) -> Iterator[FoundFile | ScanNote]:
    """Walk a library root.

    Symbolic links to folders are followed once everything that is really there has been read, and each folder
    is read once, so that loops end and real paths win over links. Hidden names, sidecars, junk and pictures
    made for people are passed over in silence; what is odd or unreadable gives a note.

    Yields
    ------
    Files in the order of their names, folder by folder, and notes where they arise.
    """
    seen: set[tuple[int, int]] = set()
    unread_raw: list[str] = []
    try:
        status = root.stat()
        if not stat.S_ISDIR(status.st_mode):
            yield ScanNote("", "not a folder")
            return
    except OSError as error:
        yield ScanNote("", f"cannot be read: {error.strerror or error}", "")
        return
    seen.add((status.st_dev, status.st_ino))
    folders = [_Folder(os.fspath(root), "")]
    links: list[_Folder] = []
    while folders or links:
        if not folders:
            link = links.pop(0)
            note = _enter(link, seen)
            if note is not None:
                yield note
                continue
            folders.append(link)
        folder = folders.pop()
        inner: list[_Folder] = []
        yield from _read_folder(folder, seen, inner, links, unread_raw)
        folders.extend(reversed(inner))
    if unread_raw:
        count = plural(len(unread_raw), "camera raw file")
        yield ScanNote(clean(unread_raw[0]), f"{count} passed over: pip install 'astrotui[raw]' reads them")


def _read_folder(
    folder: _Folder,
    seen: set[tuple[int, int]],
    inner: list[_Folder],
    links: list[_Folder],
    unread_raw: list[str],
) -> Iterator[FoundFile | ScanNote]:
    try:
        with os.scandir(folder.path) as listing:
            entries = sorted(listing, key=_by_name)
    except OSError as error:
        relative = folder.relative.rstrip("/")
        yield _note(relative, f"folder cannot be read: {error.strerror or error}", relative)
        return
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            continue
        try:
            is_dir = entry.is_dir()
            if not is_dir and not (name.endswith(_PLAIN_FITS) or is_frame_name(name)):
                if file_format(name) is FileFormat.RAW:
                    unread_raw.append(folder.relative + name)
                continue
            if not name.isascii() and not _is_utf8(name):
                yield _note(folder.relative + name, "the name is not UTF-8; rename it to have it read")
                continue
            if is_dir:
                if name.lower() not in JUNK_FOLDERS:
                    child = _Folder(entry.path, f"{folder.relative}{name}/")
                    if entry.is_symlink():
                        links.append(child)
                    elif (note := _enter(child, seen, entry)) is not None:
                        yield note
                    else:
                        inner.append(child)
                continue
            status = entry.stat()
        except OSError as error:
            relative = folder.relative + name
            if entry.is_symlink():
                yield _note(relative, "a broken link")
            else:
                yield _note(relative, f"cannot be read: {error.strerror or error}", relative)
            continue
        if not stat.S_ISREG(status.st_mode):
            kind = next((word for test, word in _KINDS if test(status.st_mode)), "no file")
            yield _note(folder.relative + name, f"{kind}, not a frame")
        elif name[-4:].lower() != ".png" or _is_16_bit(entry.path):
            yield FoundFile(folder.relative + name, entry.path, status.st_size, status.st_mtime_ns)


def _by_name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _enter(
    folder: _Folder, seen: set[tuple[int, int]], entry: os.DirEntry[str] | None = None
) -> ScanNote | None:
    """Mark a folder as read; a note when it was read before or cannot be."""
    name = folder.relative.rstrip("/")
    try:
        status = os.stat(folder.path) if entry is None else entry.stat()  # noqa: PTH116
    except OSError as error:
        return _note(name, f"folder cannot be read: {error.strerror or error}", name)
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return _note(name, "a link to a folder that is read already")
    if status.st_dev in _system_devices():
        return _note(name, "a folder of the operating system, not read")
    seen.add(identity)
    return None


@cache
def _system_devices() -> frozenset[int]:
    """Devices of folders that hold no files of anybody: by way of /proc, a link leads to all of the machine."""
    found = set()
    for name in _SYSTEM:
        with suppress(OSError):
            found.add(os.stat(name).st_dev)  # noqa: PTH116
    with suppress(OSError):
        found.discard(os.stat("/").st_dev)  # noqa: PTH116 - not mounted, as in a bare container
    return frozenset(found)


def _note(relative: str, reason: str, unseen: str | None = None) -> ScanNote:
    return ScanNote(clean(relative), clean(reason), unseen)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_16_bit(path: str) -> bool:
    """Whether a PNG has 16 bits a sample; others are pictures. Unreadable ones pass, to be reported later."""
    try:
        with open_regular(path) as file:
            start = FdSource(file).read(0, 25)
    except FrameError:
        return True
    return len(start) == 25 and start.startswith(b"\x89PNG") and start[24] == 16
