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


def test_a_corrected_folder_corrects_what_comes_later(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    root = tmp_path / "root"
    for i in range(2):
        write_frame(root / "caps on" / f"{i}.fits", DATE_OBS=f"2025-01-02T22:0{i}:00")
        write_frame(root / "M1" / f"{i}.fits", DATE_OBS=f"2025-01-02T23:0{i}:00")
    index_roots(catalog, [root])
    things = find_things(catalog, [str(root / "caps on")])
    assert correct(catalog, things.all_frames(catalog), {"type": "dark"}) == 2
    write_frame(root / "caps on" / "2.fits", DATE_OBS="2025-01-02T22:02:00")
    write_frame(root / "M1" / "2.fits", DATE_OBS="2025-01-02T23:02:00")
    index_roots(catalog, [root])
    assert [(s.lights, Path(s.path).name) for s in list_sessions(catalog)] == [(3, "M1")]
    with catalog.read() as db:
        assert [(s.kind, s.frames) for s in load_sets(db)] == [("dark", 3)]
    # A folder without any session can be named, too; here to take it back.
    things = find_things(catalog, [str(root / "caps on")])
    assert things.sessions == []
    correct(catalog, things.all_frames(catalog), {"type": "light"})
    write_frame(root / "caps on" / "3.fits", DATE_OBS="2025-01-02T22:03:00")
    index_roots(catalog, [root])
    assert sorted(s.lights for s in list_sessions(catalog)) == [3, 4]


def test_a_correction_of_some_frames_stays_with_them(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    root = tmp_path / "root"
    for i in range(3):
        write_frame(root / "M1" / f"{i}.fits", DATE_OBS=f"2025-01-02T22:0{i}:00")
    index_roots(catalog, [root])
    correct(catalog, [1], {"type": "dark"})
    write_frame(root / "M1" / "3.fits", DATE_OBS="2025-01-02T22:03:00")
    (root / "M1" / "0.fits").rename(root / "dark.fits")
    index_roots(catalog, [root])
    assert [s.lights for s in list_sessions(catalog)] == [3]
    with catalog.read() as db:
        assert [(s.kind, s.frames) for s in load_sets(db)] == [("dark", 1)]


def test_a_correction_follows_a_frame_to_another_root(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    write_frame(tmp_path / "a" / "x.fits")
    write_frame(tmp_path / "a" / "y.fits", DATE_OBS="2025-01-02T23:00:00")
    index_roots(catalog, [tmp_path / "a"])
    correct(catalog, [1], {"target": "M 42"})
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "x.fits").rename(tmp_path / "b" / "x.fits")
    index_roots(catalog, [tmp_path / "b"])
    assert {s.target for s in list_sessions(catalog)} == {"M 42", "M 1"}


def test_a_note_survives_a_type_set_by_mistake(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    write_frame(tmp_path / "root" / "x.fits")
    index_roots(catalog, [tmp_path / "root"])
    annotate(catalog, find_things(catalog, ["1"]), Notes("windy"))
    correct(catalog, [1], {"type": "dark"})
    assert list_sessions(catalog) == []
    correct(catalog, [1], {"type": "light"})
    assert [(s.id, s.note) for s in list_sessions(catalog)] == [(1, "windy")]


def test_a_correction_can_be_withdrawn(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    root = tmp_path / "root"
    for i in range(3):
        write_frame(root / "M1" / f"{i}.fits", DATE_OBS=f"2025-01-02T22:0{i}:00")
    index_roots(catalog, [root])
    ids = [1, 2, 3]
    correct(catalog, ids, {"type": "dark", "target": "M 2", "filter": "Ha", "pattern": "none"})
    assert list_sessions(catalog) == []
    assert correct(catalog, ids, {"type": "auto", "target": "auto"}) == 3
    (session,) = list_sessions(catalog)
    assert (session.lights, session.target, session.filter, session.cfa) == (3, "M 1", "Ha", None)
    # Mixed with another correction, and for one frame of a corrected folder only.
    correct(catalog, [1], {"filter": "auto", "target": "M 3"})
    found = {s.target: (s.lights, s.filter) for s in list_sessions(catalog)}
    assert found == {"M 3": (1, None), "M 1": (2, "Ha")}
    write_frame(root / "M1" / "3.fits", DATE_OBS="2025-01-02T23:00:00")
    index_roots(catalog, [root], again=True)
    found = {(s.target, s.filter): s.lights for s in list_sessions(catalog)}
    assert found == {("M 3", None): 1, ("M 1", "Ha"): 2, ("M 1", None): 1}


def test_a_correction_of_a_vanished_file_is_withdrawn_when_it_comes_back(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    path = tmp_path / "root" / "x.fits"
    write_frame(path)
    index_roots(catalog, [tmp_path / "root"])
    correct(catalog, [1], {"target": "M 42"})
    content = path.read_bytes()
    path.unlink()
    (path.parent / "y.txt").write_text("the folder is not empty")
    index_roots(catalog, [tmp_path / "root"])
    correct(catalog, [1], {"target": "auto"})
    assert [s.target for s in list_sessions(catalog)] == ["M 42"]
    path.write_bytes(content)
    index_roots(catalog, [tmp_path / "root"])
    assert [s.target for s in list_sessions(catalog)] == ["M 1"]
