"""The cache of compiled kernels: what is marked as used, and what goes."""

import os
import shutil
import time
from pathlib import Path

import pytest

from astrotui.catalog.database import Catalog
from astrotui.config import places
from astrotui.jobs import kernels, queue
from tests.jobs.job_helpers import Workers

DAY_S = 86400.0
OLD, OTHER = "0123456789abcdef", "fedcba9876543210"


def folder(name: str, days: float) -> Path:
    """A folder of kernels that was used so many days ago."""
    made = places().cache / "kernels" / name
    (made / "imaging").mkdir(parents=True)
    (made / "imaging" / "clip.nbi").write_bytes(b"code")
    used(made, days)
    return made


def used(path: Path, days: float) -> None:
    at = time.time() - days * DAY_S
    os.utime(path, (at, at), follow_symlinks=False)


def test_what_was_not_used_for_thirty_days_goes() -> None:
    old, young = folder(OLD, 31), folder(OTHER, 29)
    assert kernels.prune() == [old]
    assert not old.exists() and (young / "imaging" / "clip.nbi").exists()


def test_what_is_used_stays_however_old(monkeypatch: pytest.MonkeyPatch) -> None:
    current = folder(places().kernels.name, 400)
    chosen = folder(OLD, 400)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(chosen))
    assert kernels.prune() == [] and current.exists() and chosen.exists()


def test_using_them_marks_them() -> None:
    assert kernels.use() == places().kernels and places().kernels.is_dir()
    made = folder("x", 0).parent / OLD
    shutil.copytree(places().kernels, made)
    used(places().kernels, 31)
    kernels.use()
    assert time.time() - places().kernels.stat().st_mtime < DAY_S


def test_only_their_own_folders_go_and_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_bytes(b"mine")
    old = folder(OLD, 0)
    (old / "link").symlink_to(outside)
    used(old, 31)
    link = old.parent / OTHER
    link.symlink_to(outside)
    named, file = folder("my notes", 31), old.parent / "0000000000000000"
    file.write_bytes(b"")
    for path in (link, outside, file):
        used(path, 31)
    assert kernels.prune() == [old]
    assert not old.exists() and link.is_symlink() and named.exists() and file.exists()
    assert (outside / "mine").read_bytes() == b"mine"


def test_a_cache_that_lies_elsewhere_is_left_alone(tmp_path: Path) -> None:
    old = folder(OLD, 31)
    root = old.parent
    root.rename(tmp_path / "moved")
    root.symlink_to(tmp_path / "moved")
    assert kernels.prune() == [] and (tmp_path / "moved" / OLD).exists()


def test_what_cannot_be_removed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernels.prune() == []  # there is no cache yet
    old = folder(OLD, 31)
    monkeypatch.setattr("os.rmdir", lambda *a, **k: (_ for _ in ()).throw(PermissionError(13, "no")))
    assert kernels.prune() == [] and old.exists()


def test_a_worker_sweeps_when_it_starts_and_its_work_marks(
    catalog: Catalog, workers: Workers, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    old, current = folder(OLD, 31), folder(places().kernels.name, 31)
    queue.enqueue(catalog, "chatter", {"journal": str(journal)})
    workers.drain()
    assert not old.exists() and time.time() - current.stat().st_mtime < DAY_S
