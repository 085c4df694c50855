"""The list of sessions without the database layer: the same records, and what it does not load."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from astrotui.catalog.database import Catalog
from astrotui.errors import CatalogError
from astrotui.library.annotate import pin
from astrotui.library.index import index_roots
from astrotui.library.listing import chosen_darks, list_sessions
from astrotui.library.session_list import first_sessions


def test_it_lists_what_the_database_layer_lists(catalog: Catalog, samples: Path) -> None:
    index_roots(catalog, [samples])
    with catalog.write() as db:
        connection = db.connection()
        connection.exec_driver_sql(
            "UPDATE sessions SET note = 'clear', rating = 4, tags = '[\"keep\"]' WHERE id = 1"
        )
        connection.exec_driver_sql("UPDATE frames SET decision = 'rejected' WHERE id % 5 = 0")
    found = first_sessions(catalog.path)
    assert found == list_sessions(catalog)
    assert found is not None and len(found) > 2
    assert {record.dark["grade"] for record in found if record.dark} >= {"exact"}
    assert [record.tags for record in found if record.id == 1] == [("keep",)]
    assert all(record.date is not None and record.date.utcoffset() is not None for record in found)


def test_a_pin_counts(catalog: Catalog, samples: Path) -> None:
    index_roots(catalog, [samples])
    with catalog.read() as db:
        dark = chosen_darks(db)
    session_id = next(iter(dark))
    pin(catalog, [session_id], "dark", "none")
    found = first_sessions(catalog.path)
    assert found is not None
    assert next(record for record in found if record.id == session_id).dark is None


def test_there_is_none_without_a_catalogue_of_this_version(catalog: Catalog, tmp_path: Path) -> None:
    assert first_sessions(tmp_path / "nothing.sqlite") is None
    assert not (tmp_path / "nothing.sqlite").exists()
    (tmp_path / "empty.sqlite").touch()
    assert first_sessions(tmp_path / "empty.sqlite") is None
    assert first_sessions(catalog.path) == []
    raw = sqlite3.connect(catalog.path)
    raw.execute("UPDATE alembic_version SET version_num = '0001'")
    raw.commit()
    raw.close()
    assert first_sessions(catalog.path) is None
    (tmp_path / "damaged.sqlite").write_bytes(b"no catalogue" * 1000)
    with pytest.raises(CatalogError, match="is not a catalogue"):
        first_sessions(tmp_path / "damaged.sqlite")


def test_it_loads_no_database_layer(catalog: Catalog) -> None:
    script = f"""
import sys
from pathlib import Path
from astrotui.library.session_list import first_sessions
assert first_sessions(Path({str(catalog.path)!r})) == []
print(sorted({{"sqlalchemy", "numpy", "textual", "astropy", "alembic", "PIL"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
