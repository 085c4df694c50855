"""Results on disk: written beside their target under another name, flushed, then renamed, never half there."""

import errno
import os
import re
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from astrotui.errors import OutputError
from astrotui.text import clean, size

# Leftovers are known by the kinds of files that are results; other programs' `.part` files are none of ours.
_PART = re.compile(
    r"\..+\.(?:fits?|fts|fz|gz|tiff?|png|jpe?g|webp|json|html?|csv|txt|ssf|lst|npy)\.(?P<tag>[A-Za-z0-9_-]{1,64})\.part",
    re.DOTALL | re.IGNORECASE,
)
_TAG = re.compile(r"[A-Za-z0-9_-]{1,64}")
# File systems without hard links answer with one of these.
_NO_LINKS = frozenset(
    (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)
)


def check_output(path: Path, overwrite: bool = False) -> None:
    """Find out early whether a result can be written at `path`.

    Raises
    ------
    OutputError
        The file exists (and `overwrite` is False), is a folder or no regular file, or its folder is missing or
        cannot be written.
    """
    shown = clean(path, 500)
    try:
        status = path.lstat()
    except FileNotFoundError:
        status = None
    except (OSError, ValueError) as error:
        raise OutputError(f"{shown}: cannot be written: {_reason(error)}") from None
    if status is not None:
        if path.is_dir():
            raise OutputError(f"{shown}: is a folder; name a file in it")
        if not overwrite:
            raise OutputError(f"{shown}: exists already; it is never written over without being asked")
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            raise OutputError(f"{shown}: is no regular file")
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"{shown}: its folder does not exist")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{shown}: its folder cannot be written")


def part_path(path: Path, tag: str) -> Path:
    """Where a result lies while it is being written: `.NAME.<tag>.part` beside it.

    `tag` names the writer, a job or a process, in letters, digits, `-` and `_`.
    """
    if not _TAG.fullmatch(tag):
        raise ValueError(f"{tag!r} cannot be part of a file name")
    return path.with_name(f".{path.name}.{tag}.part")


class PartFile:
    """A file that is being written beside its target and takes its place when it is whole.

    Parameters
    ----------
    path : the target
    tag : names the writer
    overwrite : take the place of a file at `path`; else such a file is left alone, whoever makes it and when
    expected_bytes : if the disk has less room than this, nothing is begun

    Raises
    ------
    OutputError
        The result cannot be written there.
    """

    def __init__(self, path: Path, tag: str, overwrite: bool = False, expected_bytes: int = 0) -> None:
        check_output(path, overwrite)
        self.path = path
        self.part = part_path(path, tag)
        self._overwrite = overwrite
        self._fd = -1
        self._lock = threading.Lock()
        self._check_room(expected_bytes)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            # A leftover under this very name is this writer's own, from before it was killed.
            self._fd = os.open(self.part, flags, 0o666)
        except OSError as error:
            raise self._failed(error) from None

    def write_at(self, data: bytes | memoryview, offset: int) -> None:
        """Write bytes at an offset; threads may do so at the same time.

        Raises
        ------
        OutputError
            The disk is full or fails; the part is removed.
        """
        view = memoryview(data)
        if self._fd < 0:
            raise ValueError(f"{self.path}: is not being written any more")
        try:
            while view:
                done = os.pwrite(self._fd, view, offset)
                view = view[done:]
                offset += done
        except OSError as error:
            self.abort()
            raise self._failed(error) from None

    def commit(self, size: int) -> None:
        """Cut or extend the file to `size` bytes, flush it and give it its name.

        Raises
        ------
        OutputError
            The disk fails, or the target came into being meanwhile; the part is removed.
        """
        if self._fd < 0:
            raise ValueError(f"{self.path}: is not being written any more")
        try:
            os.ftruncate(self._fd, size)
            os.fsync(self._fd)
            _publish(self.part, self.path, self._overwrite)
        except OSError as error:
            self.abort()
            raise self._failed(error) from None
        except OutputError:
            self.abort()
            raise
        self._close()

    def abort(self) -> None:
        """Leave nothing behind; does nothing once committed, and may be called twice."""
        if self._close():
            with suppress(OSError):
                self.part.unlink(missing_ok=True)

    def _close(self) -> bool:
        with self._lock:
            fd, self._fd = self._fd, -1
        if fd < 0:
            return False
        with suppress(OSError):  # everything was flushed before, or is thrown away
            os.close(fd)
        return True

    def _check_room(self, expected: int) -> None:
        try:
            room = os.statvfs(self.path.parent)
        except OSError:
            return  # then the writing will tell
        free = room.f_bavail * room.f_frsize
        if room.f_blocks and free < expected:
            raise OutputError(
                f"{clean(self.path, 500)}: {size(expected)} are needed and {size(free)} are free there"
            )

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"{clean(self.path, 500)}: cannot be written: {_reason(error)}")


def write_bytes_atomic(path: Path, data: bytes, tag: str, overwrite: bool = False) -> None:
    """Write a small result whole: `path` has all of `data` or is as it was.

    Raises
    ------
    OutputError
        See `check_output`; also when the disk is full.
    """
    part = PartFile(path, tag, overwrite, len(data))
    try:
        part.write_at(data, 0)
        part.commit(len(data))
    except BaseException:
        part.abort()
        raise


def remove_leftovers(folder: Path, alive: Callable[[str], bool]) -> list[Path]:
    """Remove what interrupted writers left in `folder`.

    Parameters
    ----------
    alive : told the tag of a leftover, whether its writer still runs; such files stay

    Returns
    -------
    The removed files.
    """
    removed: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            candidates = [
                (Path(entry.path), match["tag"])
                for entry in entries
                if (match := _PART.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False)
            ]
    except OSError:
        return removed  # a folder that is gone has no leftovers
    for path, tag in candidates:
        if alive(tag):
            continue
        with suppress(OSError):  # another process may clean up at the same time
            path.unlink()
            removed.append(path)
    return removed


def _publish(part: Path, path: Path, overwrite: bool) -> None:
    """Give a finished file its name, without a moment at which an existing file could be lost."""
    if overwrite:
        part.replace(path)
    else:
        try:
            path.hardlink_to(part)
        except FileExistsError:
            raise OutputError(f"{clean(path, 500)}: came into being meanwhile; it is left alone") from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _claim(path)
            part.replace(path)
        else:
            part.unlink()
    _flush_folder(path.parent)


def _claim(path: Path) -> None:
    """Make an empty file under the name, so that where links are missing the name is ours to replace."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
    except FileExistsError:
        raise OutputError(f"{clean(path, 500)}: came into being meanwhile; it is left alone") from None


def _flush_folder(folder: Path) -> None:
    """Make the new name last. Some network file systems cannot; the file itself is flushed already."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up"}.get(
            error.errno or 0, error.strerror or str(error)
        )
    return "the name cannot be a file's"
