"""Files that were broken before they were ever read: they lie in a folder, and are shown with its session."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Correction, Frame
from astrotui.catalog.plain import WRONG_TOTALS
from astrotui.library.annotate import Notes, annotate, find_things
from astrotui.library.corrections import correct
from astrotui.library.index import index_roots
from astrotui.library.listing import FrameRecord, list_frames, list_sessions
from astrotui.library.measure import measure_sessions, sessions_by_need
from tests.library.conftest import WriteFrame
from tests.library.test_index import night


@pytest.fixture
def root(tmp_path: Path, write_frame: WriteFrame) -> Path:
    """Four lights, the second cut short and the last empty."""
    root = tmp_path / "root"
    frames = night(write_frame, root, count=4)
    frames[1].write_bytes(frames[1].read_bytes()[:3000])
    frames[3].write_bytes(b"")
    return root


def held(catalog: Catalog, session: int = 1) -> list[FrameRecord]:
    return list_frames(catalog, [session], "status:quarantined")


def check_totals(catalog: Catalog) -> None:
    with catalog.read() as db:
        assert db.connection().exec_driver_sql(WRONG_TOTALS).all() == []


@pytest.mark.parametrize("again", [False, True])
def test_they_are_listed_with_the_lights_around_them(catalog: Catalog, root: Path, again: bool) -> None:
    index_roots(catalog, [root])
    if again:
        index_roots(catalog, [root], again=True)
    (session,) = list_sessions(catalog)
    assert (session.lights, session.undecided, session.quarantined, session.unmeasured) == (4, 2, 2, 2)
    assert session.integration_s == 20
    assert [Path(f.path).name for f in held(catalog)] == ["light_0001.fits", "light_0003.fits"]
    assert "truncated" in held(catalog)[0].reasons[0]
    check_totals(catalog)


def test_one_that_comes_later_joins_its_session(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    frames = night(write_frame, tmp_path / "root")
    index_roots(catalog, [tmp_path / "root"])
    broken = frames[0].with_name("light_0007.fits")
    broken.write_bytes(b"no image")
    index_roots(catalog, [tmp_path / "root"])
    assert [f.path for f in held(catalog)] == [str(broken)]
    broken.unlink()
    index_roots(catalog, [tmp_path / "root"])
    (session,) = list_sessions(catalog)
    assert (session.lights, session.quarantined) == (3, 0)  # nothing was ever seen of it
    broken.write_bytes(b"no image")
    index_roots(catalog, [tmp_path / "root"])
    assert [f.path for f in held(catalog)] == [str(broken)]
    write_frame(frames[0].with_name("aside.fits"), DATE_OBS="2025-01-02T23:00:00").replace(broken)
    index_roots(catalog, [tmp_path / "root"])
    assert (list_sessions(catalog)[0].lights, list_sessions(catalog)[0].undecided) == (4, 4)
    check_totals(catalog)


def test_in_a_mixed_folder_they_go_by_their_names(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    folder = tmp_path / "root"
    for i in range(1, 3):
        write_frame(folder / f"Dark_{i}.fits", IMAGETYP="Dark")
        write_frame(folder / f"Light_Ha_{i}.fits", FILTER="Ha", DATE_OBS=f"2025-01-02T22:0{i}:00")
        write_frame(folder / f"Light_OIII_{i}.fits", FILTER="OIII", DATE_OBS=f"2025-01-02T23:0{i}:00")
    for name in ("Dark_3", "Light_Ha_0", "Light_Ha_3", "Light_OIII_0"):
        (folder / f"{name}.fits").write_bytes(b"")
    index_roots(catalog, [folder])
    found = {s.filter: [Path(f.path).stem for f in held(catalog, s.id)] for s in list_sessions(catalog)}
    assert found == {"Ha": ["Light_Ha_0", "Light_Ha_3"], "OIII": ["Light_OIII_0"]}


def test_a_folder_that_is_renamed_keeps_its_session(
    catalog: Catalog, root: Path, write_frame: WriteFrame
) -> None:
    index_roots(catalog, [root])
    annotate(catalog, find_things(catalog, ["1"]), Notes("mine"))
    (root / "M1").rename(root / "Messier 1")
    write_frame(root / "Messier 1" / "new.fits", DATE_OBS="2025-01-02T23:00:00")
    index_roots(catalog, [root])
    (session,) = list_sessions(catalog)
    assert (session.id, session.note, session.lights, session.quarantined) == (1, "mine", 5, 2)
    assert all("Messier 1" in f.path for f in list_frames(catalog, [1]))


def test_a_folder_that_is_gone_and_back(catalog: Catalog, root: Path, tmp_path: Path) -> None:
    (root / "more").mkdir()
    shutil.copy(root / "M1" / "light_0000.fits", root / "more")
    index_roots(catalog, [root])
    before = [(s.lights, s.quarantined) for s in list_sessions(catalog)]
    shutil.move(root / "M1", tmp_path / "aside")
    index_roots(catalog, [root])
    shutil.move(tmp_path / "aside", root / "M1")
    index_roots(catalog, [root])
    assert [(s.lights, s.quarantined) for s in list_sessions(catalog)] == before


def test_nobody_measures_or_corrects_them(catalog: Catalog, root: Path) -> None:
    index_roots(catalog, [root])
    with catalog.write() as db:
        frame = db.query(Frame).filter(Frame.path.endswith("0003.fits")).one()
        frame.quarantine = "cannot be read: Input/output error"
    measure_sessions(catalog, [1], force=True)
    assert len(held(catalog)) == 2
    assert sessions_by_need(catalog) == []
    ids = [frame.id for frame in list_frames(catalog, [1])]
    assert correct(catalog, ids, {"type": "dark"}) == 2
    assert list_sessions(catalog) == []
    with catalog.read() as db:
        assert db.scalars(select(Frame.frame_type).where(Frame.quarantine.is_not(None))).all() == [None, None]
        whole = db.scalars(select(Correction.value).where(Correction.folder == "M1")).all()
        assert whole == ["dark"]  # of all that can be read, so that it holds for what comes
