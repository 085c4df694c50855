"""Indexing: what is read, what is grouped, what is kept when files move, vanish and come back."""

import hashlib
import shutil
from pathlib import Path

import pytest

from astrotui.catalog.database import Catalog
from astrotui.errors import AstrotuiError
from astrotui.library.choose import decide
from astrotui.library.index import index_roots
from astrotui.library.listing import list_frames, list_sessions, resolve_sessions
from astrotui.library.roots import list_roots
from tests.library.conftest import WriteFrame


def night(
    write_frame: WriteFrame, root: Path, folder: str = "M1", count: int = 3, **cards: object
) -> list[Path]:
    return [
        write_frame(root / folder / f"light_{i:04}.fits", DATE_OBS=f"2025-01-02T22:{i:02}:00", **cards)
        for i in range(count)
    ]


def test_a_folder_without_frames_is_an_error(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AstrotuiError, match="no frames found"):
        index_roots(catalog, [tmp_path / "empty"])
    assert list(list_roots(catalog)) == []  # named by mistake, and not looked at for ever
    with pytest.raises(AstrotuiError, match="no such folder"):
        index_roots(catalog, [tmp_path / "nowhere"])


def test_nothing_under_a_root_changes(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    root = tmp_path / "root"
    night(write_frame, root)

    def digest() -> list[tuple[str, int, str]]:
        files = sorted(p for p in root.rglob("*") if p.is_file())
        return [(str(p), p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]

    before = digest()
    index_roots(catalog, [root])
    index_roots(catalog, [root])
    assert digest() == before


def test_a_second_run_reads_only_what_changed(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    root = tmp_path / "root"
    frames = night(write_frame, root)
    first = index_roots(catalog, [root])
    assert (first.new, first.unchanged, first.frames) == (3, 0, 3)
    frames[0].unlink()
    write_frame(frames[0], DATE_OBS="2025-01-02T22:00:00", EXPTIME=10.0, OBJECT="M 1", NOTE="changed header")
    write_frame(root / "M1" / "light_0009.fits", DATE_OBS="2025-01-02T22:30:00")
    second = index_roots(catalog, [root])
    assert (second.new, second.changed, second.unchanged, second.missing) == (1, 1, 2, 0)


def test_vanished_frames_come_back_with_their_decisions(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    root = tmp_path / "root"
    frames = night(write_frame, root)
    index_roots(catalog, [root])
    session = list_sessions(catalog)[0].id
    listed = list_frames(catalog, [session])
    decide(catalog, [listed[1].id], "rejected")
    shutil.move(frames[1], tmp_path / "aside.fits")
    assert index_roots(catalog, [root]).missing == 1
    assert [f.status for f in list_frames(catalog, [session])] == ["undecided", "missing", "undecided"]
    shutil.move(tmp_path / "aside.fits", frames[1])
    assert index_roots(catalog, [root]).returned == 1
    assert [f.status for f in list_frames(catalog, [session])] == ["undecided", "rejected", "undecided"]


def test_a_moved_frame_is_the_same_frame(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    root = tmp_path / "root"
    night(write_frame, root)
    index_roots(catalog, [root])
    decide(catalog, [list_frames(catalog, [1])[0].id], "rejected")
    (root / "M1").rename(root / "Messier 1")
    report = index_roots(catalog, [root])
    assert (report.moved, report.new, report.missing) == (3, 0, 0)
    (session,) = list_sessions(catalog)
    assert session.path.endswith("Messier 1")
    assert [f.status for f in list_frames(catalog, [session.id])].count("rejected") == 1


def test_a_root_mounted_elsewhere_is_the_same_root(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    root = tmp_path / "root"
    night(write_frame, root)
    index_roots(catalog, [root])
    decide(catalog, [1], "accepted")
    root.rename(tmp_path / "mounted")
    report = index_roots(catalog, [tmp_path / "mounted"])
    assert (report.new, report.unchanged) == (0, 3)
    frames = list_frames(catalog, [1])
    assert frames[0].status == "accepted" and frames[0].path.startswith(str(tmp_path / "mounted"))


def test_folders_inside_and_around_a_root(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> None:
    root = tmp_path / "photos"
    night(write_frame, root / "a" / "b")
    index_roots(catalog, [root / "a"])
    decide(catalog, [1], "rejected")
    assert index_roots(catalog, [root / "a" / "b"]).unchanged == 3
    night(write_frame, root / "c", "M31")
    report = index_roots(catalog, [root])
    assert (report.new, report.unchanged, report.missing) == (3, 3, 0)
    assert len(list_sessions(catalog)) == 2
    assert [f.status for f in list_frames(catalog, resolve_sessions(catalog, str(root / "a")))].count(
        "rejected"
    ) == 1


def test_a_mixed_folder_holds_several_sessions(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    root = tmp_path / "root"
    for number, (exposure, name) in enumerate([(10.0, "Ha"), (10.0, "OIII"), (30.0, "Ha")]):
        for i in range(2):
            write_frame(
                root / f"{number}{i}.fits",
                EXPTIME=exposure,
                FILTER=name,
                DATE_OBS=f"2025-01-02T2{number}:0{i}:00",
            )
    index_roots(catalog, [root])
    assert sorted((s.exposure_s, s.filter, s.lights) for s in list_sessions(catalog)) == [
        (10.0, "Ha", 2), (10.0, "OIII", 2), (30.0, "Ha", 2),
    ]  # fmt: skip


def test_damaged_files_are_quarantined_and_the_rest_goes_on(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    root = tmp_path / "root"
    frames = night(write_frame, root)
    frames[2].write_bytes(frames[2].read_bytes()[:3000])
    (root / "M1" / "not.fits").write_bytes(b"hello")
    (root / "M1" / "shotsInfo.json").write_text("{broken")
    report = index_roots(catalog, [root])
    assert (report.frames, report.quarantined) == (2, 2)
    assert report.summary().startswith("2 frames and 2 unusable files in ")
    assert any("truncated" in p["reason"] for p in report.problems)
    assert list_sessions(catalog)[0].lights >= 2


def test_the_device_s_rejects_start_rejected(catalog: Catalog, samples: Path) -> None:
    index_roots(catalog, [samples])
    (session,) = list_sessions(catalog, "target:m45")
    assert (session.lights, session.rejected) == (4, 1)
    (frame,) = list_frames(catalog, [session.id], "status:rejected")
    assert frame.reasons == ("rejected by the device",) and "failed_" in frame.path


def test_the_sample_library_is_read_rightly(catalog: Catalog, samples: Path) -> None:
    report = index_roots(catalog, [samples])
    assert (report.frames, report.quarantined) == (62, 0)
    found = {s.target: s for s in list_sessions(catalog)}
    m42 = found["M42"]
    assert (m42.exposure_s, m42.gain, m42.cfa, m42.lights, m42.binning) == (10.0, 60.0, "GBRG", 16, "1x1")
    assert m42.dark is not None and m42.dark["grade"] == "exact"
    m51 = found["M 51"]
    assert (m51.exposure_s, m51.cfa, m51.filter, m51.temperature_c) == (
        60.0,
        None,
        "L",
        pytest.approx(-10, abs=0.5),
    )
    assert m51.dark is not None and m51.dark["grade"] == "exact"
