"""Corrections stick, and notes stay with what they are about."""

from pathlib import Path

import pytest

from astrotui.catalog.database import Catalog
from astrotui.errors import UsageError
from astrotui.library.annotate import Notes, annotate, find_things
from astrotui.library.calibrators import load_sets
from astrotui.library.corrections import correct
from astrotui.library.index import index_roots
from astrotui.library.listing import list_frames, list_sessions
from tests.library.conftest import WriteFrame


def test_lights_that_are_darks(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    root = tmp_path / "root"
    paths = [write_frame(root / f"{i}.fits", DATE_OBS=f"2025-01-02T22:0{i}:00") for i in range(3)]
    index_roots(catalog, [root])
    ids = [frame.id for frame in list_frames(catalog, [1])]
    assert correct(catalog, ids, {"type": "dark"}) == 3
    assert list_sessions(catalog) == []
    with catalog.read() as db:
        assert [(s.kind, s.frames) for s in load_sets(db)] == [("dark", 3)]
    paths[0].touch()  # read again: the correction sticks
    assert index_roots(catalog, [root]).changed == 1
    assert list_sessions(catalog) == []


def test_a_session_keeps_its_note_when_its_filter_is_corrected(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    for i in range(2):
        write_frame(tmp_path / "root" / f"{i}.fits", DATE_OBS=f"2025-01-02T22:0{i}:00")
    index_roots(catalog, [tmp_path / "root"])
    annotate(catalog, find_things(catalog, ["1"]), Notes("windy", 4, ("keep", "duo")))
    correct(catalog, [1, 2], {"filter": "Duo-Band", "target": "M 42"})
    (session,) = list_sessions(catalog, "filter:duo tag:keep")
    assert (session.id, session.note, session.rating, session.target) == (1, "windy", 4, "M 42")
    annotate(catalog, find_things(catalog, ["1"]), Notes("", 0, untags=("keep",)))
    (session,) = list_sessions(catalog)
    assert (session.note, session.rating, session.tags) == ("", None, ("duo",))


def test_wrong_corrections_list_what_exists(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match="light, dark"):
        correct(catalog, [1], {"type": "picture"})
    with pytest.raises(UsageError, match="RGGB"):
        correct(catalog, [1], {"pattern": "XTRANS"})
