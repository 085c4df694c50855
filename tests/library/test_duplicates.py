"""Frames that are there twice are told, in every role, and never dropped."""

import shutil
from pathlib import Path

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import CalibrationSet
from astrotui.library.corrections import correct
from astrotui.library.index import index_roots
from astrotui.library.listing import list_frames, list_sessions
from tests.library.conftest import WriteFrame


def lights(write_frame: WriteFrame, folder: Path, count: int = 3) -> None:
    for i in range(count):
        write_frame(folder / f"{i:04}.fits", DATE_OBS=f"2025-01-02T22:0{i}:00")


def warnings(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    return {Path(s.path).name: s.warnings for s in list_sessions(catalog)}


def test_copies_in_another_folder_and_root_are_told_on_both_sides(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    lights(write_frame, tmp_path / "one" / "M1")
    lights(write_frame, tmp_path / "one" / "other", 0)
    index_roots(catalog, [tmp_path / "one"])
    assert warnings(catalog) == {"M1": ()}
    (tmp_path / "two" / "copy").mkdir(parents=True)
    for name in ("0000.fits", "0001.fits"):
        shutil.copy(tmp_path / "one" / "M1" / name, tmp_path / "two" / "copy" / name)
    report = index_roots(catalog, [tmp_path / "two"])
    assert (report.new, report.duplicates) == (2, 2)
    assert warnings(catalog) == {
        "M1": (f"2 frames are also in {tmp_path}/two/copy",),
        "copy": (f"2 frames are also in {tmp_path}/one/M1",),
    }
    assert [s.lights for s in list_sessions(catalog)] == [3, 2]
    (tmp_path / "two" / "copy" / "0001.fits").unlink()
    index_roots(catalog, [tmp_path / "two"])
    assert warnings(catalog)["M1"] == (f"1 frame is also in {tmp_path}/two/copy",)


def test_a_copy_in_another_role_is_told(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    root = tmp_path / "root"
    lights(write_frame, root / "a")
    shutil.copytree(root / "a", root / "b")
    index_roots(catalog, [root])
    correct(catalog, [f.id for f in list_frames(catalog, [s.id for s in list_sessions(catalog) if s.path.endswith("b")])],
            {"filter": "Ha"})  # fmt: skip
    assert warnings(catalog)["a"] == (f"3 frames are also in {root}/b",)
    shutil.rmtree(root / "b")
    shutil.copytree(root / "a", root / "darks")
    index_roots(catalog, [root])
    in_darks = [
        f.id for s in list_sessions(catalog) if s.path.endswith("darks") for f in list_frames(catalog, [s.id])
    ]
    correct(catalog, in_darks, {"type": "dark"})
    told = warnings(catalog)
    assert told["a"] == (f"3 frames are also in {root}/darks, as dark",)
    with catalog.read() as db:
        (held,) = db.query(CalibrationSet).all()
    assert f"3 frames are also in {root}/a, as light" in held.warnings


def test_copies_side_by_side_are_told(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    lights(write_frame, tmp_path / "root")
    shutil.copy(tmp_path / "root" / "0000.fits", tmp_path / "root" / "0000 (1).fits")
    index_roots(catalog, [tmp_path / "root"])
    (session,) = list_sessions(catalog)
    assert session.warnings == ("2 frames are also in this folder, under another name",)
    assert session.lights == 4


def test_frames_with_equal_headers_and_other_pixels_are_no_copies(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    for i in range(4):  # a DWARF II writes neither date nor temperature into its darks
        write_frame(
            tmp_path / "DWARF_DARK" / "exp_15_gain_80_bin_1" / f"{i:04}.fits", DATE_OBS=None, IMAGETYP=None, OBJECT=None
        )  # fmt: skip
    assert index_roots(catalog, [tmp_path]).duplicates == 0


def test_many_places_are_summed_up(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    lights(write_frame, tmp_path / "root" / "f0", 1)
    for i in range(1, 9):
        shutil.copytree(tmp_path / "root" / "f0", tmp_path / "root" / f"f{i}")
    index_roots(catalog, [tmp_path / "root"])
    told = warnings(catalog)["f0"]
    assert len(told) == 6 and told[-1] == "some frames are also in 3 other folders"
    index_roots(catalog, [tmp_path / "root"])
    assert warnings(catalog)["f0"] == told
