"""Samples of files: equal for equal files, different wherever a part that is looked at differs."""

import os
from pathlib import Path

import pytest

from astrotui.errors import FrameError
from astrotui.frames.sample import PART_BYTES, PARTS, sample_digest


@pytest.mark.parametrize("size", [0, 1, PARTS * PART_BYTES, PARTS * PART_BYTES + 1, 3_000_000])
def test_ends_and_middle_count(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.fits"
    content = bytearray(os.urandom(size))
    path.write_bytes(content)
    first = sample_digest(path)
    assert sample_digest(path) == first and len(first) == 40
    spacing = max(1, size // PARTS)
    for at in {0, size // 2, size - 1} & set(range(size)):
        other = bytearray(content)
        for i in range(at, min(size, at + spacing)):  # a stretch as long as two parts are apart is met by one
            other[i] ^= 1
        path.write_bytes(other)
        assert sample_digest(path) != first
    path.write_bytes(content + b"\0")
    assert sample_digest(path) != first


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match="is gone"):
        sample_digest(tmp_path / "nothing.fits")
    os.mkfifo(tmp_path / "pipe.fits")
    with pytest.raises(FrameError, match="not a regular file"):
        sample_digest(tmp_path / "pipe.fits")
