"""Decisions as a history: who, why and when; steps that are undone; export and import as CSV."""

import csv
import io
import shutil
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Session
from astrotui.errors import AstrotuiError, UsageError
from astrotui.library.choose import decide, redo, undo
from astrotui.library.decisions_csv import export_decisions, import_decisions
from astrotui.library.history import history, steps
from astrotui.library.index import DEVICE_REJECTED, index_roots
from astrotui.library.listing import list_frames
from tests.library.conftest import WriteFrame


@pytest.fixture
def root(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> Path:
    """Five lights of one session."""
    folder = tmp_path / "root"
    for i in range(5):
        write_frame(folder / f"{i}.fits", DATE_OBS=f"2025-01-02T22:0{i}:00")
    index_roots(catalog, [folder])
    return folder


def ids_of(catalog: Catalog) -> list[int]:
    return [frame.id for frame in list_frames(catalog, sessions_of(catalog))]


def sessions_of(catalog: Catalog) -> list[int]:
    with catalog.read() as db:
        return list(db.scalars(select(Session.id)))


def statuses(catalog: Catalog) -> str:
    return "".join(frame.status[0] for frame in list_frames(catalog, sessions_of(catalog)))


def test_every_step_says_who_why_and_when(catalog: Catalog, root: Path) -> None:
    ids = ids_of(catalog)
    decide(catalog, ids[:3], "rejected", by="preset", reasons={i: ["soft"] for i in ids}, description="cull")
    decide(catalog, ids[:1], "accepted", reasons={ids[0]: ["sharp enough"]}, description="frame 0 accepted")
    decide(catalog, ids[3:4], "rejected", description="by mistake")
    undo(catalog)
    records = history(catalog, sessions_of(catalog))
    told = [(s.by, s.why, s.state, s.frames) for s in steps(records)]
    assert told == [
        ("preset", "cull", "done", 3),
        ("person", "frame 0 accepted", "done", 1),
        ("person", "by mistake", "undone", 1),
    ]
    standing = {Path(r.path).name: (r.after, r.by, r.reasons) for r in records if r.stands}
    assert standing["0.fits"] == ("accepted", "person", ("sharp enough",))
    assert standing["1.fits"] == ("rejected", "preset", ("soft",))
    assert "3.fits" not in standing
    times = [r.when for r in records]
    assert times == sorted(times) and all(t.tzinfo is not None for t in times)


def test_taking_back_in_what_a_preset_rejected_is_a_decision(catalog: Catalog, root: Path) -> None:
    ids = ids_of(catalog)[:4]
    decide(catalog, ids[:2], "rejected", by="preset")
    decide(catalog, ids[:1], "undecided")  # the space bar
    assert decide(catalog, ids, "rejected", by="preset", reasons={i: ["strict"] for i in ids}).changed == 3
    assert statuses(catalog)[:4] == "urrr"
    # One's own acceptance taken back leaves the frame to the presets; nothing undecided is decided twice.
    undo(catalog, 3)
    decide(catalog, ids[:1], "accepted")
    decide(catalog, ids[:1], "undecided")
    assert decide(catalog, ids[:1], "undecided").changed == 0
    assert decide(catalog, ids[:1], "rejected", by="preset").changed == 1


def test_undo_goes_over_what_the_telescope_did(catalog: Catalog, root: Path, samples: Path) -> None:
    ids = ids_of(catalog)
    decide(catalog, ids[4:], "accepted")
    decide(catalog, ids[:1], "rejected")
    undo(catalog)
    # Frames that come in meanwhile, one of them rejected by the telescope, end nothing that can be redone.
    index_roots(catalog, [samples / "DWARF3"])
    device = [r for r in history(catalog, sessions_of(catalog)) if r.by == "device"]
    assert [(r.after, r.reasons, r.stands) for r in device] == [("rejected", (DEVICE_REJECTED,), True)]
    assert [c.changed for c in redo(catalog, 9)] == [1]
    assert [c.changed for c in undo(catalog, 9)] == [1, 1]
    with pytest.raises(AstrotuiError, match="nothing to undo"):
        undo(catalog)
    # A person may take such a frame in, and take that back.
    decide(catalog, [device[0].frame_id], "accepted")
    assert decide(catalog, [device[0].frame_id], "rejected", by="preset").changed == 0
    undo(catalog)
    found = {f.id: f for f in list_frames(catalog, sessions_of(catalog))}[device[0].frame_id]
    assert (found.status, found.reasons) == ("rejected", (DEVICE_REJECTED,))


def test_steps_follow_frames_that_move_and_vanish(catalog: Catalog, root: Path) -> None:
    ids = ids_of(catalog)
    decide(catalog, ids[:3], "rejected", reasons={i: ["haze"] for i in ids})
    (root / "night").mkdir()
    shutil.move(root / "0.fits", root / "night" / "0.fits")
    (root / "1.fits").unlink()
    index_roots(catalog, [root])
    moved = next(f for f in list_frames(catalog, sessions_of(catalog)) if f.path.endswith("night/0.fits"))
    assert (moved.id, moved.status, moved.reasons) == (ids[0], "rejected", ("haze",))
    assert undo(catalog)[0].changed == 3
    assert redo(catalog)[0].changed == 3
    found = {f.id: f.status for f in list_frames(catalog, sessions_of(catalog))}
    assert (found[ids[0]], found[ids[1]], found[ids[2]]) == ("rejected", "missing", "rejected")


def test_a_step_on_forgotten_frames_is_none(catalog: Catalog, root: Path) -> None:
    ids = ids_of(catalog)
    decide(catalog, ids[:1], "rejected", description="first")
    decide(catalog, ids[1:2], "rejected", description="second")
    with catalog.write() as db:
        db.delete(db.get(Frame, ids[1]))
    assert [c.description for c in undo(catalog)] == ["first"]


def test_two_deciders_lose_nothing(catalog: Catalog, root: Path) -> None:
    ids = ids_of(catalog)[:4]
    other = Catalog.open(catalog.path)
    failures: list[Exception] = []

    def work(where: Catalog, verdicts: tuple[str, str]) -> None:
        try:
            for turn in range(20):
                decide(where, ids, verdicts[turn % 2], description=verdicts[turn % 2])  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - told below, in the test's own thread
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(catalog, ("accepted", "rejected"))),
        threading.Thread(target=work, args=(other, ("rejected", "accepted"))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert not failures
    records = history(catalog, sessions_of(catalog))
    for frame in ids:  # each change began where the one before it ended
        chain = [(r.before, r.after) for r in records if r.frame_id == frame]
        assert all(a[1] == b[0] for a, b in pairwise(chain))
    undo(catalog, 1000)
    assert statuses(catalog)[:4] == "uuuu"


# --- CSV -----------------------------------------------------------------------------------------------------------


def test_a_csv_carries_decisions_to_another_catalogue(catalog: Catalog, root: Path, tmp_path: Path) -> None:
    ids = ids_of(catalog)
    decide(catalog, ids[:2], "rejected", by="preset", reasons={i: ["soft", "trailed"] for i in ids})
    decide(catalog, ids[2:3], "accepted", reasons={ids[2]: ['the "good" one; really']})
    text, count = export_decisions(catalog, sessions_of(catalog))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert count == len(rows) and [r["by"] for r in rows if r["by"] != "device"] == [
        "preset",
        "preset",
        "person",
    ]
    # Elsewhere the same files have another root and other names.
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for i, path in enumerate(sorted(root.glob("*.fits"))):
        shutil.copy(path, copy / f"renamed_{i}.fits")
    with Catalog.open(tmp_path / "other" / "c.sqlite") as there:
        index_roots(there, [copy])
        dry = import_decisions(there, sessions_of(there), text, dry_run=True)
        assert dry.changed == 3 and not dry.batches and statuses(there) == "uuuuu"
        report = import_decisions(there, sessions_of(there), text, source="d.csv")
        assert (report.rows, report.matched, report.changed) == (count, count, dry.changed)
        assert statuses(there)[:4] == "rrau"
        frames = list_frames(there, sessions_of(there))
        assert frames[0].reasons == ("soft", "trailed")
        # What was a person's is a person's here; what a preset rejected is left to presets.
        assert decide(there, [f.id for f in frames], "rejected", by="preset").changed >= 1
        undo(there)
        assert statuses(there)[:4] == "rrau"
        assert undo(there)[0].changed == report.changed  # all of the import is one step
        assert statuses(there) == "uuuuu"
        assert redo(there)[0].changed == report.changed
        assert import_decisions(there, sessions_of(there), text).changed == 0


def test_an_import_overrules_a_person_only_by_a_person(catalog: Catalog, root: Path) -> None:
    ids = ids_of(catalog)
    decide(catalog, ids[:2], "accepted")
    text = "path,decision,by\n0.fits,rejected,preset\n1.fits,rejected,person\n"
    assert import_decisions(catalog, sessions_of(catalog), text).changed == 1
    assert statuses(catalog)[:2] == "ar"


def test_a_table_made_by_hand_is_enough(catalog: Catalog, root: Path) -> None:
    text = (
        f"Decision;Path;colour\r\nREJECTED;{root}/0.fits;red\r\n\r\naccepted;2.fits;\r\nrejected;9.fits;\r\n"
    )
    report = import_decisions(catalog, sessions_of(catalog), text)
    assert (report.rows, report.matched, report.changed) == (3, 2, 2)
    assert report.unmatched[0]["line"] == 5 and "no such frame" in report.unmatched[0]["reason"]
    assert statuses(catalog)[:4] == "ruau"


def test_another_exposure_of_the_same_name_is_left_alone(catalog: Catalog, root: Path) -> None:
    text = "path,content_id,decision\n0.fits,0123456789abcdef,rejected\n"
    report = import_decisions(catalog, sessions_of(catalog), text)
    assert report.matched == 0 and "another exposure" in report.unmatched[0]["reason"]
    assert statuses(catalog)[0] == "u"


def test_names_that_are_not_unique_are_not_guessed(
    catalog: Catalog, root: Path, write_frame: WriteFrame
) -> None:
    for night in ("a", "b"):
        write_frame(root / night / "0.fits", DATE_OBS=f"2025-01-0{5 if night == 'a' else 7}T22:00:00")
    index_roots(catalog, [root])
    text = "path,decision\n0.fits,rejected\nb/0.fits,rejected\n"
    report = import_decisions(catalog, sessions_of(catalog), text)
    assert report.matched == 1 and "3 frames end in that path" in report.unmatched[0]["reason"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no columns path and decision"),
        ("file,verdict\na,b\n", "no columns path and decision"),
        ("path,decision\na.fits,maybe\n", "line 2: decision 'maybe'"),
        ("path,decision,by\na.fits,rejected,robot\n", "line 2: by 'robot'"),
        ("path,decision\n,rejected\n", "line 2: neither path nor content_id"),
        ('path,decision\n"a.fits,rejected\n', "line 2"),
        ("path,decision\n\x1b[31m,\x1b[2Jnow\n", "line 2: decision '[2jnow'"),
    ],
)
def test_tables_that_are_none(catalog: Catalog, root: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as told:
        import_decisions(catalog, sessions_of(catalog), text, source="d.csv")
    assert message in str(told.value) and "\x1b" not in str(told.value)
    assert statuses(catalog)[:4] == "uuuu"
