"""A library on a disk that cannot be written: indexing and correcting it need nothing there, and change nothing."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.library.conftest import WriteFrame

# Mounts the library read-only where only this process and its children see it, and checks that it is.
MOUNTED = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 77
touch "$1/x" 2>/dev/null && exit 77
exec "$2" -c "$3" "$1" "$4"
"""
WORK = """
import sys
from pathlib import Path
from astrotui.catalog.database import Catalog
from astrotui.library.annotate import Notes, annotate, find_things
from astrotui.library.corrections import correct
from astrotui.library.index import index_roots
from astrotui.library.listing import list_sessions

root = Path(sys.argv[1])
with Catalog.open(sys.argv[2]) as catalog:
    assert index_roots(catalog, [root]).new == 6
    annotate(catalog, find_things(catalog, ["1"]), Notes("kept in the catalogue"))
    correct(catalog, [1], {"target": "M 42"})
    assert index_roots(catalog, [root], again=True).new == 0
    assert {s.note for s in list_sessions(catalog)} == {"kept in the catalogue", ""}
    assert catalog.integrity() == []
"""


def everything(root: Path) -> list[tuple[str, int, int, int, str]]:
    """All that can be told of a tree: names, modes, times and contents."""
    found = []
    for path in sorted([root, *root.rglob("*")]):
        status = path.stat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found.append((str(path), status.st_mode, status.st_mtime_ns, status.st_ctime_ns, content))
    return found


def test_a_read_only_mount_is_enough(tmp_path: Path, write_frame: WriteFrame) -> None:
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("mounting needs root and unshare")
    root = tmp_path / "root"
    for i in range(4):
        write_frame(root / "M1" / f"{i}.fits", DATE_OBS=f"2025-01-02T22:0{i}:00")
    write_frame(root / "darks" / "0.fits", IMAGETYP="Dark")
    (root / "M1" / "broken.fits").write_bytes(b"SIMPLE  =")
    (root / "M1" / "shotsInfo.json").write_text("{}")
    before = everything(root)
    words = [
        "unshare",
        "-m",
        "sh",
        "-c",
        MOUNTED,
        "sh",
        str(root),
        sys.executable,
        WORK,
        str(tmp_path / "c.sqlite"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip(f"this machine does not let us mount: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    assert everything(root) == before
