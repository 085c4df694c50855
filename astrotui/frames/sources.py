"""Bytes of a file at an offset, plain or gzipped, for readers that must not trust the file."""

import errno
import os
import stat
import zlib
from pathlib import Path
from typing import Protocol

from astrotui.errors import FrameError

GZIP_WALK = 256 * 1024**2  # how far into a gzipped file an image is looked for
_GZIP_RATIO = 1040  # deflate cannot do better than 1032:1
_CHUNK = 64 * 1024


class RegularFile:
    """An open descriptor of a regular file; a context manager."""

    __slots__ = ("fd", "path", "size")

    def __init__(self, path: Path | str, fd: int, size: int) -> None:
        self.path, self.fd, self.size = path, fd, size

    def __enter__(self) -> "RegularFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back; a second call does nothing."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def open_regular(path: Path | str) -> RegularFile:
    """Open a regular file for reading, without ever waiting on a FIFO or a device.

    Raises
    ------
    FrameError
        The file is missing, unreadable or not a regular file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise FrameError(path, _reason(error)) from None
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise FrameError(path, "not a regular file")
    return RegularFile(path, fd, status.st_size)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        if error.errno == errno.ENOENT:
            return "the file is gone"
        return f"cannot be read: {error.strerror or error}"
    return "the name cannot be a file's"


class Source(Protocol):
    """Bytes by offset."""

    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer only at the end of the file."""

    def available(self, offset: int, count: int) -> int:
        """How many of the `count` bytes from `offset` there are."""


class FdSource:
    """A plain file."""

    __slots__ = ("_file",)

    def __init__(self, file: RegularFile) -> None:
        self._file = file

    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer only at the end of the file."""
        if offset >= self._file.size:
            return b""
        try:
            data = os.pread(self._file.fd, count, offset)
            while len(data) < min(count, self._file.size - offset):
                more = os.pread(self._file.fd, count - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise FrameError(self._file.path, _reason(error)) from None
        return data

    def read_into(self, offset: int, into: memoryview) -> None:
        """Fill `into` from `offset` on.

        Raises
        ------
        FrameError
            The file ends before, or cannot be read.
        """
        done = 0
        try:
            while done < len(into):
                count = os.preadv(self._file.fd, [into[done:]], offset + done)
                if count == 0:
                    raise FrameError(self._file.path, f"truncated: the file ends at byte {offset + done:,}")
                done += count
        except OSError as error:
            raise FrameError(self._file.path, _reason(error)) from None

    def available(self, offset: int, count: int) -> int:
        """How many of the `count` bytes from `offset` there are."""
        return max(0, min(count, self._file.size - offset))


class GzipSource:
    """A gzipped file, decompressed forward only and no further than asked; keeps what the last read gave."""

    def __init__(self, file: RegularFile) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(31)
        self._input = 0  # bytes of the file consumed
        self._start = 0  # decompressed offset of _kept
        self._kept = b""
        self._ended = False

    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer only at the end of the data.

        `offset` must not lie before that of the read before.
        """
        if offset - self._start > GZIP_WALK:
            raise FrameError(
                self._file.path, f"no image in the first {GZIP_WALK >> 20} MiB of the gzipped file"
            )
        while not self._ended and self._start + len(self._kept) < offset:
            self._start += len(self._kept)
            self._kept = self._more(_CHUNK)
        if offset > self._start:
            self._kept = self._kept[offset - self._start :]
            self._start = offset
        parts = [self._kept]
        have = len(self._kept)
        while have < count and not self._ended:
            parts.append(self._more(min(_CHUNK, count - have)))
            have += len(parts[-1])
        self._kept = b"".join(parts)
        return self._kept[:count]

    def available(self, offset: int, count: int) -> int:
        """How many of the `count` bytes from `offset` there are.

        The gzip trailer tells; only when it does not fit is the file decompressed to see.
        """
        end = offset + count
        if end > self._file.size * _GZIP_RATIO:
            raise FrameError(
                self._file.path, f"{self._file.size:,} gzipped bytes cannot hold {count:,} of pixels"
            )
        trailer = FdSource(self._file).read(max(0, self._file.size - 4), 4)
        claimed = int.from_bytes(trailer, "little")
        if end % 2**32 <= claimed <= 16 * end:
            return count
        probe = GzipSource(self._file)
        present = 0
        while present < end and not probe._ended:
            present += len(probe._more(_CHUNK))
        return max(0, min(count, present - offset))

    def _more(self, count: int) -> bytes:
        """Between 1 and `count` further bytes; empty at the end."""
        data = b""
        try:
            while not data and not self._ended:
                feed = self._inflate.unconsumed_tail
                if self._inflate.eof:  # a further member may follow
                    feed = self._inflate.unused_data or self._feed()
                    if not feed.startswith(b"\x1f\x8b"):
                        self._ended = True
                        break
                    self._inflate = zlib.decompressobj(31)
                elif not feed:
                    feed = self._feed()
                    if not feed:
                        self._ended = True
                        break
                data = self._inflate.decompress(feed, count)
        except zlib.error:
            raise FrameError(self._file.path, "the gzipped data are damaged") from None
        return data

    def _feed(self) -> bytes:
        data = FdSource(self._file).read(self._input, _CHUNK)
        self._input += len(data)
        return data
