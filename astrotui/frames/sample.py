"""A digest of parts of a file, for files whose headers are equal: tells whether the pixels are, too, cheaply."""

import hashlib
from pathlib import Path

from astrotui.frames.sources import FdSource, open_regular

PARTS = 16
PART_BYTES = 4096


def sample_digest(path: Path | str) -> str:
    """Digest of the size of a file and of parts spread evenly over it, its ends included: 40 hex characters.

    Reads 64 KiB of a larger file: 0.1 ms for one whose pages are in memory.

    Raises
    ------
    FrameError
        The file is gone, cannot be read or is not a regular file.
    """
    digest = hashlib.blake2b(digest_size=20)
    with open_regular(path) as file:
        source = FdSource(file)
        digest.update(file.size.to_bytes(8, "little"))
        if file.size <= PARTS * PART_BYTES:
            digest.update(source.read(0, file.size))
        else:
            for part in range(PARTS):
                digest.update(source.read((file.size - PART_BYTES) * part // (PARTS - 1), PART_BYTES))
    return digest.hexdigest()
