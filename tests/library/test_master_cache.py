"""The cache of masters is held to its size, and never loses what a job may be reading."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits

from astrotui.library.master_cache import hold_to_cap, prune_by_hand
from astrotui.stacking.masters import ensure_master, list_masters
from astrotui.stacking.plan import InputFile, MasterSpec
from tests.library.conftest import WriteFrame


def made(folder: Path, cache: Path, exposure: float, write_frame: WriteFrame) -> Path:
    paths = [
        write_frame(folder / f"{exposure:g}_{i}.fits", IMAGETYP="Dark", EXPTIME=exposure) for i in range(2)
    ]
    inputs = tuple(InputFile.of(path) for path in paths)
    return ensure_master(MasterSpec(kind="dark", inputs=inputs, width=24, height=16), cache)


def test_what_was_not_used_of_late_goes_first(tmp_path: Path, write_frame: WriteFrame) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    masters = [made(tmp_path / "darks", cache, exposure, write_frame) for exposure in (1.0, 2.0, 3.0)]
    for days, path in zip((30, 20, 0), masters, strict=True):
        used = time.time() - days * 86400
        os.utime(path, (used, used))
    size = sum(info.size for info in list_masters(cache)) // 3
    assert hold_to_cap(cache, 10 * size) == 0
    assert hold_to_cap(cache, 2 * size) == 1
    assert [path.exists() for path in masters] == [False, True, True]
    assert hold_to_cap(cache, 0) == 1
    assert [path.exists() for path in masters] == [False, False, True]  # perhaps a job reads it
    assert fits.getdata(masters[2]).dtype.kind == "f"
    assert np.isfinite(fits.getdata(masters[2])).all()


def test_pruning_by_hand_leaves_what_a_running_job_used(tmp_path: Path, write_frame: WriteFrame) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    masters = [made(tmp_path / "darks", cache, exposure, write_frame) for exposure in (1.0, 2.0)]
    used = time.time() - 3600
    os.utime(masters[0], (used, used))
    began = datetime.now(UTC) - timedelta(minutes=30)
    removed, stay = prune_by_hand(cache, 0, began)
    assert ([info.path for info in removed], [info.path for info in stay]) == ([masters[0]], [masters[1]])
    assert prune_by_hand(cache, 10**9, began) == ([], [])  # nobody asked for its room
    removed, stay = prune_by_hand(cache, 0, None)
    assert [info.path for info in removed] == [masters[1]] and not stay
