"""Totals of sessions against counting by hand, the flag behind them, and how they are found."""

import random
from collections import Counter
from pathlib import Path

import pytest
from catalog_rows import add_library, frame, measurement, root, session
from sqlalchemy import delete, select, text
from sqlalchemy.dialects import sqlite

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement, SessionTotal
from astrotui.catalog.query import parse
from astrotui.catalog.status import STATUSES, frame_status, status_expression
from astrotui.catalog.summaries import COUNTS, frame_rows, session_rows, session_totals


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.open(tmp_path / "catalog.sqlite")


def totals(catalog: Catalog) -> dict[int, dict[str, float]]:
    with catalog.read() as db:
        rows = db.execute(select(session_totals())).mappings().all()
    return {row["session_id"]: {key: row[key] for key in (*COUNTS, "integration_s")} for row in rows}


def test_a_library_with_one_of_each(catalog: Catalog) -> None:
    with catalog.write() as db:
        add_library(db)
    assert totals(catalog) == {
        1: {
            "lights": 7, "undecided": 1, "accepted": 2, "rejected": 1, "missing": 1, "quarantined": 2,
            "unmeasured": 2, "integration_s": 20.0,
        },
        2: {
            "lights": 1, "undecided": 0, "accepted": 0, "rejected": 1, "missing": 0, "quarantined": 0,
            "unmeasured": 1, "integration_s": 0.0,
        },
    }  # fmt: skip


def test_listing_gives_zeros_for_a_session_without_lights(catalog: Catalog) -> None:
    with catalog.write() as db:
        add_library(db)
    with catalog.read() as db:
        rows = db.execute(session_rows()).all()
    assert [row.path for row in rows] == [f"/mnt/library/folder {number}" for number in (1, 2, 3)]
    assert [row.lights for row in rows] == [7, 1, 0]
    assert [row.integration_s for row in rows] == [20, 0, 0]


def test_random_frames_against_counting_by_hand(catalog: Catalog) -> None:
    chance = random.Random(5)
    with catalog.write() as db:
        db.add(root(id=1))
        db.flush()
        db.add_all(session(number, id=number) for number in (1, 2, 3))
        db.flush()
        db.add_all(
            frame(
                number,
                chance.choice([1, 2, 3, None]),
                decision=chance.choice(["undecided", "accepted", "rejected"]),
                missing=chance.random() < 0.2,
                quarantine=chance.choice([None, None, None, "truncated", "black"]),
                exposure_s=chance.choice([None, 10.0, 60.0]),
            )
            for number in range(300)
        )
        db.flush()
        ids = list(db.scalars(select(Frame.id)))
        db.add_all(measurement(number) for number in chance.sample(ids, 150))
    with catalog.read() as db:
        frames = db.execute(
            select(Frame, Measurement.frame_id, status_expression()).outerjoin(Measurement)
        ).all()
    expected: dict[int, Counter[str]] = {number: Counter() for number in (1, 2, 3)}
    for row, measured, status in frames:
        assert frame_status(row) == status
        if row.session_id is None:
            continue
        count = expected[row.session_id]
        count["lights"] += 1
        count[status] += 1
        count["unmeasured"] += status in ("undecided", "accepted", "rejected") and measured is None
        count["integration_s"] += int(row.exposure_s or 0) if status in ("undecided", "accepted") else 0
    found = totals(catalog)
    assert found == {
        number: {key: count[key] for key in (*COUNTS, "integration_s")} for number, count in expected.items()
    }
    assert all(sum(row[status] for status in STATUSES) == row["lights"] for row in found.values())


def test_the_flag_follows_whoever_writes_measurements(catalog: Catalog) -> None:
    def flagged() -> list[int]:
        with catalog.read() as db:
            return list(db.scalars(select(Frame.id).where(Frame.measured).order_by(Frame.id)))

    with catalog.write() as db:
        add_library(db)
    assert flagged() == [1, 4]
    with catalog.write() as db:
        db.execute(
            text(
                "INSERT OR REPLACE INTO measurements (frame_id, version, measured, stars) VALUES (1, 2, '', 3)"
            )
        )
        db.execute(delete(Measurement).where(Measurement.frame_id == 4))
    assert flagged() == [1]
    with catalog.write() as db:
        db.execute(delete(Frame).where(Frame.id == 1))
    assert flagged() == []


def test_totals_are_counted_from_the_index_alone_in_its_order(catalog: Catalog) -> None:
    statement = select(session_totals()).compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    with catalog.read() as db:
        plan = " / ".join(row[3] for row in db.execute(text(f"EXPLAIN QUERY PLAN {statement}")))
    assert "USING COVERING INDEX ix_frames_session" in plan
    assert plan.count("TEMP B-TREE") == 1  # of the few kinds of frames, not of the frames
    assert plan.index("COVERING") < plan.index("TEMP B-TREE")


def test_frames_of_a_session_come_by_index_and_without_their_star_lists(catalog: Catalog) -> None:
    statement = frame_rows().where(Frame.session_id == 1)
    text_of = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    assert "star_list" not in str(text_of)
    with catalog.read() as db:
        plan = " / ".join(row[3] for row in db.execute(text(f"EXPLAIN QUERY PLAN {text_of}")))
    assert "SCAN" not in plan


def kept(catalog: Catalog) -> dict[int, dict[str, float]]:
    with catalog.read() as db:
        rows = db.execute(select(SessionTotal.__table__)).mappings().all()
    return {row["session_id"]: {k: v for k, v in row.items() if k != "session_id"} for row in rows}


def counted(catalog: Catalog) -> dict[int, dict[str, float]]:
    """The totals without what was kept of them."""
    with catalog.write() as db:
        db.execute(text("DELETE FROM session_totals"))
        rows = db.execute(select(session_totals())).mappings().all()
        db.rollback()
        db.connection()
    return {row["session_id"]: {key: row[key] for key in (*COUNTS, "integration_s")} for row in rows}


CHANGES = (
    "UPDATE frames SET decision = 'rejected' WHERE id % 7 = {n}",
    "UPDATE frames SET missing = 1 - missing WHERE id % 5 = {n}",
    "UPDATE frames SET quarantine = 'cut short' WHERE id % 11 = {n}",
    "UPDATE frames SET exposure_s = {n} WHERE id % 9 = {n}",
    "UPDATE frames SET session_id = (SELECT max(id) FROM sessions WHERE id < 2 + {n} % 3) WHERE id % 6 = {n}",
    "UPDATE frames SET session_id = NULL WHERE id % 13 = {n}",
    "DELETE FROM frames WHERE id % 17 = {n}",
    "INSERT OR IGNORE INTO measurements (frame_id, version, measured, stars) SELECT id, 1, 0, 3 FROM frames WHERE id > {n}",
    "DELETE FROM measurements WHERE frame_id % 4 = {n}",
    "DELETE FROM sessions WHERE id = 3 AND {n} = 2",
    "UPDATE frames SET note = 'fine' WHERE id % 2 = {n}",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_kept_totals_follow_every_change(catalog: Catalog, seed: int) -> None:
    chance = random.Random(seed)
    with catalog.write() as db:
        db.add(root(id=1))
        db.flush()
        db.add_all(session(number, id=number) for number in (1, 2, 3))
        db.flush()
        db.add_all(frame(number, chance.choice([1, 2, 3, None]), exposure_s=10.0) for number in range(60))
    for _ in range(12):
        with catalog.write(durable=False) as db:
            for change in chance.sample(CHANGES, 2):
                db.execute(text(change.format(n=chance.randrange(4))))
        truth = counted(catalog)
        assert totals(catalog) == truth
        assert {number: row for number, row in kept(catalog).items() if row["lights"]} == truth


def test_totals_are_right_within_the_transaction_that_changes_them(catalog: Catalog) -> None:
    with catalog.write() as db:
        add_library(db)
    with catalog.write() as db:
        db.execute(text("UPDATE frames SET decision = 'rejected' WHERE session_id = 1"))
        rows = {row.session_id: row for row in db.execute(select(session_totals()))}
    assert (rows[1].rejected, rows[1].accepted, rows[2].rejected) == (4, 0, 1)


def test_totals_that_went_wrong_are_told(catalog: Catalog) -> None:
    with catalog.write() as db:
        add_library(db)
    assert catalog.integrity() == []
    with catalog.write() as db:
        db.execute(text("UPDATE session_totals SET accepted = accepted + 1 WHERE session_id = 1"))
        db.execute(text("UPDATE session_totals SET integration_s = 5 WHERE session_id = 3"))
    assert catalog.integrity() == [
        f"the totals of session {number} are not those of its frames" for number in (1, 3)
    ]


def test_what_is_undone_leaves_the_totals(catalog: Catalog) -> None:
    with catalog.write() as db:
        add_library(db)
    before = kept(catalog)
    with pytest.raises(ZeroDivisionError), catalog.write() as db:
        db.execute(text("UPDATE frames SET decision = 'rejected'"))
        raise ZeroDivisionError
    assert kept(catalog) == before
    assert len(before) == 3  # the session without lights is counted, too


@pytest.mark.parametrize("word", ["raw_0001", "m51", "straße"])
def test_frames_are_looked_for_by_name_without_reading_them_all(catalog: Catalog, word: str) -> None:
    statement = parse(word, "frames").select().where(Frame.session_id.in_([1, 2]))
    words = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    with catalog.read() as db:
        plan = [
            row[3] for row in db.execute(text(f"EXPLAIN QUERY PLAN {str(words).replace(':', chr(92) + ':')}"))
        ]
    scans = [line for line in plan if line.startswith("SCAN") and "frames" in line]
    assert scans == ["SCAN frames_2 USING COVERING INDEX ix_frames_odd_path"]
    assert "SEARCH frames USING INDEX ix_frames_session (session_id=?)" in plan
