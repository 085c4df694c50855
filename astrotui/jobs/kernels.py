"""The cache of compiled kernels: a folder for each state of their code; those that nobody uses any more are removed."""

import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from astrotui.config import places

_UNUSED_S = 30 * 86400.0
_NAME = re.compile(r"[0-9a-f]{16}")


def use() -> Path:
    """The folder for the kernels of this code, made if need be and marked as used now."""
    folder = places().kernels
    with suppress(OSError):  # then kernels are compiled anew
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    return folder


def prune() -> list[Path]:
    """Remove the folders that no process has used for 30 days; returns those that are gone."""
    folder = places().cache / "kernels"
    try:
        if folder.is_symlink():
            return []
        with os.scandir(folder) as entries:
            old = [
                Path(entry.path)
                for entry in entries
                if _NAME.fullmatch(entry.name)
                and entry.is_dir(follow_symlinks=False)
                and time.time() - entry.stat(follow_symlinks=False).st_mtime > _UNUSED_S
            ]
    except OSError:
        return []  # there is none yet, or another worker does the same just now
    in_use = (places().kernels, Path(os.environ.get("NUMBA_CACHE_DIR") or places().kernels))
    removed = []
    for path in old:
        if path not in in_use:
            shutil.rmtree(path, ignore_errors=True)
            if not path.exists():
                removed.append(path)
    return removed
