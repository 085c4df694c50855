"""Raw frames opened for reading in bands: within the limit of open files, each failure naming its frame."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from astrotui.errors import AstrotuiError, FrameError
from astrotui.frames.pixels import FrameReader, open_frame
from astrotui.stacking.plan import InputFile

_DECODED_WHOLE = (".gz", ".tif", ".tiff", ".png", ".dng", ".cr2", ".nef", ".arw")
_SPARE_FILES = 64  # left to everything else


class LostFrameError(AstrotuiError):
    """A frame that was usable when the stack began is not any more."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index
        self.reason = reason

    def __reduce__(self) -> tuple[type["LostFrameError"], tuple[int, str]]:
        return type(self), (self.index, self.reason)  # it crosses process borders


class FrameSources:
    """Readers of the frames of a stack.

    As many as the limit of open files allows stay open; the others are opened for each read. Formats that are
    decoded whole are never kept: they would fill the memory.
    """

    def __init__(self, files: Sequence[InputFile]) -> None:
        self._files = files
        self._kept: dict[int, FrameReader] = {}
        self._lock = threading.Lock()
        self._room = _allowed_files() - _SPARE_FILES

    def read(self, index: int, y0: int, y1: int, x0: int = 0, x1: int | None = None) -> NDArray[Any]:
        """Pixels of frame `index`, see `FrameReader.read`.

        Raises
        ------
        LostFrameError
            The frame is gone, truncated or damaged.
        """
        try:
            with self._reader(index) as reader:
                return reader.read(y0, y1, x0, x1)
        except FrameError as error:
            raise LostFrameError(index, error.reason) from error
        except ValueError as error:
            raise LostFrameError(index, f"has changed its size: {error}") from error

    def stores_unsigned(self, index: int) -> bool:
        """Whether rows of frame `index` can be read by `read_stored`.

        Raises
        ------
        LostFrameError
            The frame is gone or damaged.
        """
        try:
            with self._reader(index) as reader:
                return bool(getattr(reader, "stores_unsigned", False))
        except FrameError as error:
            raise LostFrameError(index, error.reason) from error

    def read_stored(self, index: int, y0: int, y1: int, into: NDArray[Any]) -> None:
        """Rows of frame `index` as they are stored, into an array (y1 - y0, width).

        Raises
        ------
        LostFrameError
            The frame is gone, truncated or damaged.
        """
        try:
            with self._reader(index) as reader:
                reader.read_stored(y0, y1, into)  # type: ignore[attr-defined]  # plain FITS only
        except FrameError as error:
            raise LostFrameError(index, error.reason) from error
        except ValueError as error:
            raise LostFrameError(index, f"has changed its size: {error}") from error

    @contextmanager
    def _reader(self, index: int) -> Iterator[FrameReader]:
        kept = self._kept.get(index)
        if kept is not None:
            yield kept
            return
        file = self._files[index]
        reader = open_frame(file.path, file.hdu)
        if is_decoded_whole(file.path):
            with reader:
                yield reader
            return
        with self._lock:
            keep = index not in self._kept and len(self._kept) < self._room
            if keep:
                self._kept[index] = reader
        if keep:
            yield reader
        else:
            with reader:
                yield reader

    def close(self) -> None:
        """Give all files back."""
        with self._lock:
            for reader in self._kept.values():
                reader.close()
            self._kept.clear()


def is_decoded_whole(path: str) -> bool:
    """Formats without a way to single rows."""
    return Path(path).suffix.lower() in _DECODED_WHOLE


def _allowed_files() -> int:
    """How many files may be open, after asking for as many as are allowed without being root."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            return int(soft)
    return 4096 if soft == resource.RLIM_INFINITY else int(soft)
