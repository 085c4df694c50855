"""A catalogue that one process opens twice keeps its locks, so that others' changes reach it."""

import subprocess
import sys
from pathlib import Path

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Setting

WRITE = """
import sys
from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Setting
with Catalog.open(sys.argv[1]) as catalog, catalog.write() as db:
    db.merge(Setting(key="told", value=sys.argv[2]))
"""


def test_changes_are_seen_although_the_file_was_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    with Catalog.open(path) as first:
        version = first.data_version()
        with Catalog.open(path) as second, second.read() as db:
            assert db.get(Setting, "told") is None
        for number in range(2):
            subprocess.run([sys.executable, "-c", WRITE, str(path), str(number)], check=True, timeout=60)
            assert first.data_version() != version, number
            version = first.data_version()
            with first.read() as db:
                told = db.get(Setting, "told")
            assert told is not None and told.value == str(number)
        assert (tmp_path / "catalog.sqlite-wal").exists()  # nobody took the log away
