"""The query language by example: what it finds, how it sorts, and what its errors say."""

import sqlite3
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from catalog_rows import frame, frame_record, measurement, root, session
from sqlalchemy import case, select

from astrotui.catalog.database import Catalog
from astrotui.catalog.fields import FIELDS, NAMES, SCOPES
from astrotui.catalog.models import Frame, Measurement, Session
from astrotui.catalog.query import MAX_LENGTH, MAX_WORDS, Query, parse
from astrotui.catalog.saved import delete_query, list_queries, load_query, save_query, saved_texts
from astrotui.errors import QueryError, UsageError

DARKS = {1: "exact", 2: "near", 4: None}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Four sessions and five frames of the first one."""
    catalog = Catalog.open(tmp_path_factory.mktemp("query") / "catalog.sqlite")
    sessions: list[dict[str, Any]] = [
        {
            "target": "M 51", "folder": "DWARF_II/M51_10s", "exposure_s": 10.0, "gain": 60.0, "filter": "Duo-Band",
            "binning": "1x1", "night": date(2025, 1, 31), "first_date": datetime(2025, 2, 1, 0, 30, tzinfo=UTC),
            "tags": ["keep", "Galaxy Season"], "rating": 5, "cfa": "RGGB", "temperature_c": 15.3, "device": "DWARF II",
        },
        {
            "target": "M 13", "folder": "TESCAN", "exposure_s": 60.0, "gain": 0.0, "filter": "Luminance 50%",
            "binning": "2x2", "night": date(2025, 3, 31), "first_date": datetime(2025, 3, 31, 20, 0, tzinfo=UTC),
            "warnings": ["the sidecar says gain 100, the header 0"], "temperature_c": -9.7, "note": "Großer Haufen",
        },
        {
            "target": "Crab Nebula M1", "folder": "M 1_drawer", "exposure_s": 0.00999999977648258, "gain": 80.0,
            "night": date(2024, 12, 31), "first_date": datetime(2024, 12, 31, 18, 0, tzinfo=UTC), "rating": 3,
        },
        {"target": None, "folder": "unsorted"},
    ]  # fmt: skip
    frames: list[dict[str, Any]] = [
        {"decision": "accepted", "exposure_s": 10.0},
        {"decision": "rejected", "reasons": ["clouded", "trailed"], "tags": ["ugly"]},
        {"missing": True, "decision": "accepted"},
        {"quarantine": "truncated after 12 rows", "decision": "accepted"},
        {"decision": "undecided", "date_obs": datetime(2025, 2, 1, 0, 30, 15, tzinfo=UTC)},
    ]
    with catalog.write() as db:
        db.add(root(id=1, path="/mnt/nas/astro"))
        db.flush()
        db.add_all(session(number, id=number, **values) for number, values in enumerate(sessions, 1))
        db.flush()
        db.add_all(
            frame(
                number, id=number, path=f"DWARF_II/M51_10s/raw_{number:04d}.fits", sequence=number, **values
            )
            for number, values in enumerate(frames, 1)
        )
        db.flush()
        db.add_all(
            [
                measurement(1, score=90.5, fwhm_px=2.8, streak=False),
                measurement(2, score=12.0, fwhm_px=3.3, streak=True, problem="cannot be aligned"),
                measurement(5, score=60.0, fwhm_px=None),
            ]
        )
    return catalog


def find(catalog: Catalog, query: str, scope: Any = "sessions") -> list[int]:
    """Ids that the database finds, in its order; frames are checked in memory too."""
    parsed = parse(query, scope)
    dark = DARKS if scope == "sessions" else None
    entity = Session if scope == "sessions" else Frame
    with catalog.read() as db:
        found = [row[0].id for row in db.execute(parsed.select(dark=dark).order_by(entity.id))]
        if scope == "frames":
            assert found == in_memory(db, parsed)
    return found


def in_memory(db: Any, parsed: Query) -> list[int]:
    rows = db.execute(
        select(Frame, Session, Measurement).join(Session).outerjoin(Measurement).order_by(Frame.id)
    )
    records = [frame_record(row, owner, "/mnt/nas/astro", measured) for row, owner, measured in rows]
    return [record["id"] for record in parsed.sort(filter(parsed.matches, records))]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [1, 2, 3, 4]),
        ("   ", [1, 2, 3, 4]),
        # Text, ignoring case and spaces
        ("target:m51", [1]),
        ('target:"m 51"', [1]),
        ("target:M51", [1]),
        ("target:m5", []),  # a number is not cut
        ("target:m1", [3]),  # neither M 13 nor M 51
        ("target:nebula", [3]),
        ("target:neb", [3]),
        ("target:=m51", [1]),
        ('target:="crab nebula"', []),
        ("target:none", [4]),
        ('target:"none"', []),
        ("-target:none", [1, 2, 3]),
        ("TARGET:m51", [1]),
        ("filter:duo", [1]),
        ("filter:50%", [2]),
        ("filter:5_", []),  # _ and % are letters like others
        ("filter:%", [2]),
        ("path:dwarf_ii", [1]),
        ("path:/nas/astro/tescan", [2]),
        ("root:astro", [1, 2, 3, 4]),
        ("device:dwarf", [1]),
        ("note:grosser", [2]),  # ß and ss are equal when case is not counted
        ("note:GROẞER", [2]),
        # Bare words
        ("m51", [1]),
        ("m1", [3]),
        ("tescan", [2]),
        ("-m51", [2, 3, 4]),
        ('"crab nebula"', [3]),
        ('-"crab nebula"', [1, 2, 4]),
        # Numbers
        ("exp:10", [1]),
        ("exp:10s", [1]),
        ("exp:1min", [2]),
        ("exp:10ms", [3]),
        ("exp:0.01", [3]),
        ("exp:>=0.01", [1, 2, 3]),
        ("exp:>0.01", [1, 2]),
        ("exp:<10", [3]),
        ("exp:<=10", [1, 3]),
        ("exp:>10", [2]),
        ("exp:0.01..10", [1, 3]),
        ("exp:10..", [1, 2]),
        ("exp:..10", [1, 3]),
        ("exp:none", [4]),
        ("-exp:10", [2, 3, 4]),  # unknown is not 10
        ("gain:0", [2]),
        ("exposure_s:10", [1]),  # the keys of --json are names too
        ("temp:15", [1]),
        ("temp:-10", [2]),
        ("temp:-10..20", [1, 2]),
        ("temp:<-9.5", [2]),
        ("temp:-10c", [2]),
        ("id:2..3", [2, 3]),
        ("lights:5", [1]),
        ("lights:0", [2, 3, 4]),
        ("unmeasured:>0", []),
        ("accepted:1 rejected:1 undecided:1 missing:1 quarantined:1", [1]),
        ("integration:>5s", [1]),
        ("rating:>=4", [1]),
        ("rating:none", [2, 4]),
        # Dates and nights
        ("date:2025-02", [1]),
        ("date:2025-01", []),
        ("night:2025-01", [1]),
        ("night:2025-01-31", [1]),
        ("date:2025", [1, 2]),
        ("date:2024..2025-02", [1, 3]),
        ("date:2025-01..2025-03", [1, 2]),
        ("night:..2024", [3]),
        ("night:>2024", [1, 2]),
        ("night:>=2024", [1, 2, 3]),
        ("night:<2025-03-31", [1, 3]),
        ("night:<=2025-03-31", [1, 2, 3]),
        ("date:2025-02-01T00:30", [1]),
        ("date:>2025-02-01T00:30", [2]),
        ("date:>2025-02-01T00:29", [1, 2]),
        ("date:none", [4]),
        ("date:..9999", [1, 2, 3]),
        ("date:<=9999-12-31", [1, 2, 3]),
        ("date:>9999", []),
        ("night:>9999 , night:<0002", []),
        # Binning, choices, lists
        ("bin:2", [2]),
        ("bin:1x1", [1]),
        ("bin:2*2", [2]),
        ("bin:none", [3, 4]),
        ("cfa:rggb", [1]),
        ("cfa:none", [2, 3, 4]),
        ("dark:exact", [1]),
        ("dark:none", [3, 4]),
        ("-dark:none", [1, 2]),
        ("tag:keep", [1]),
        ("tag:kee", []),
        ('tag:"galaxy season"', [1]),
        ("tag:none", [2, 3, 4]),
        ("warnings:sidecar", [2]),
        ("warnings:none", [1, 3, 4]),
        # And, or, not
        ("exp:10 gain:60", [1]),
        ("exp:10 gain:80", []),
        ("exp:10 , gain:80", [1, 3]),
        ("exp:10 gain:80 , gain:0 rating:none", [2]),
        ("target:m51 , target:none -exp:10", [1, 4]),
        # Sorting: unknown values last either way
        ("exp+", [3, 1, 2, 4]),
        ("exp-", [2, 1, 3, 4]),
        ("rating- exp-", [1, 3, 2, 4]),
        ("target+", [3, 2, 1, 4]),
        ("date-", [2, 1, 3, 4]),
        ("dark+", [1, 2, 3, 4]),
        ("dark-", [2, 1, 3, 4]),
        ("-target:none night+", [3, 1, 2]),
    ],
)
def test_sessions(catalog: Catalog, query: str, ids: list[int]) -> None:
    assert find(catalog, query) == ids


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("status:accepted", [1]),
        ("status:rejected", [2]),
        ("status:missing", [3]),
        ("status:quarantined", [4]),
        ("-status:undecided", [1, 2, 3, 4]),
        ("score:>60", [1]),
        ("score:>=60", [1, 5]),
        ("-score:>60", [2, 3, 4, 5]),
        ("score:none", [3, 4]),
        ("fwhm:<3.2", [1]),
        ("fwhm:<3.2px", [1]),
        ("streak:yes", [2]),
        ("streak:no", [1]),
        ("streak:none", [3, 4, 5]),
        ("reason:cloud", [2]),
        ("reason:=cloud", []),
        ("reason:truncated", [4]),
        ("reason:aligned", [2]),
        ("reason:none", [1, 3, 5]),
        ("tag:ugly", [2]),
        ("type:light", [1, 2, 3, 4, 5]),
        ("type:darkflat", []),
        ("target:m51 device:dwarf session:1", [1, 2, 3, 4, 5]),
        ("filter:duo", [1, 2, 3, 4, 5]),
        ("path:raw_0002", [2]),
        ("m51 sequence:3", [3]),
        ("date:2025-02-01T00:30:15", [5]),
        ("date:2025-02-01T00:30:14", []),
        ("score-", [1, 5, 2, 3, 4]),
        ("score+", [2, 5, 1, 3, 4]),
        ("status+ id-", [5, 1, 2, 3, 4]),
        ("streak+ id-", [1, 2, 5, 4, 3]),
    ],
)
def test_frames(catalog: Catalog, query: str, ids: list[int]) -> None:
    assert find(catalog, query, "frames") == ids


@pytest.mark.parametrize(
    ("query", "scope", "message"),
    [
        ("scroe:>60", "frames", r"no field 'scroe' \(did you mean score\?\); fields are id, path, sequence"),
        ("score:>60", "sessions", "score is a field of frames; fields of sessions are id, target"),
        ("status:rejectd", "frames", r"'rejectd' is not known \(did you mean rejected\?\); choose undecided"),
        ("status:>accepted", "frames", "status: '>accepted' is not known"),
        ("exp:ten", "sessions", r"exp: 'ten' is not a number \(units: ms, s, m, min, h\); write exp:10 or"),
        ("gain:60x", "sessions", "gain: '60x' is not a number; write gain:10"),
        ("gain:1_000", "sessions", "not a number"),
        ("gain:nan", "sessions", "not a number"),
        ("gain:٣", "sessions", "not a number"),
        ("gain:1e999", "sessions", "too large"),
        ("gain:60..10", "sessions", "ends before it begins"),
        ("night:2025..2024", "sessions", "ends before it begins"),
        ("gain:..", "sessions", "not a range"),
        ("gain:>1..2", "sessions", "not a range"),
        ("gain:", "sessions", "gain: needs a value"),
        ("gain:>", "sessions", "gain: needs a value"),
        ('note:" "', "sessions", "note: needs a value"),
        ("date:2025-13", "sessions", "date: '2025-13' is not a date; write date:2025-01-07"),
        ("date:2025-02-30", "sessions", "not a date"),
        ("date:0000", "sessions", "not a date"),
        ("night:2025-01-01T10:00", "sessions", "night: .* is not a date"),
        ("target:>m51", "sessions", "asks for >, which texts do not have"),
        ("streak:maybe", "frames", "neither yes nor no; write streak:yes"),
        ("bin:two", "sessions", "not a binning; write bin:2"),
        ("tag:>x", "sessions", "not a word to look for"),
        ("tag-", "sessions", "cannot be sorted by tag"),
        ("scroe-", "frames", r"cannot be sorted by 'scroe' \(did you mean score\?\)"),
        ("-score-", "frames", "a sort cannot be negated; write score- or score+"),
        ("-", "sessions", "needs a word behind it"),
        ("score<40", "frames", "a field needs a colon: .score:<40."),
        ('""', "sessions", "a word is empty"),
        ('target:"m 51', "sessions", "a quote is not closed"),
        ('"m"51', "sessions", "has no space behind it"),
        (",", "sessions", "one side of a ' , '"),
        ("lights- , ", "sessions", "one side of a ' , '"),
        ("m51 ,", "sessions", "one side of a ' , '"),
        ("m51 , , m13", "sessions", "one side of a ' , '"),
        ("query:best", "sessions", "no saved query 'best' to use here"),
        ("x" * (MAX_LENGTH + 1), "sessions", "longer than 2,000 characters"),
        ("x " * (MAX_WORDS + 1), "sessions", "more than 100 words"),
        ("target:\udcff", "sessions", "bytes that are not text"),
    ],
)
def test_errors_name_what_is_wrong_and_what_there_is(query: str, scope: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        parse(query, scope)
    assert "\n" not in str(caught.value)


def test_an_error_is_one_of_usage() -> None:
    with pytest.raises(UsageError) as caught:
        parse("nothing:here")
    assert caught.value.exit_code == 2


def test_control_characters_do_not_reach_the_message() -> None:
    with pytest.raises(QueryError) as caught:
        parse("status:\x1b]0;evil\x07", "frames")
    assert "\x1b" not in str(caught.value)


def test_the_longest_query_is_answered(catalog: Catalog) -> None:
    words = " , ".join(f"id:{number}" for number in range(1, MAX_WORDS // 2 + 1))
    assert find(catalog, words) == [1, 2, 3, 4]
    assert find(catalog, "-target:x " * MAX_WORDS) == [1, 2, 3, 4]


def test_values_that_the_catalogue_lacks_must_be_supplied() -> None:
    query = parse("dark:none exp:10")
    assert query.fields == {"dark", "exp"}
    with pytest.raises(ValueError, match="dark"):
        query.where()
    assert parse("dark-").fields == {"dark"}


def test_darks_of_many_sessions_need_few_parameters(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.sqlite")
    count = 300
    with catalog.write() as db:
        db.add(root(id=1))
        db.flush()
        db.add_all(session(number, id=number) for number in range(1, count + 1))
    darks = {number: "exact" if number % 2 else "near" for number in range(1, count + 1)}
    query = parse("dark:near dark-")
    with catalog.read() as db:
        raw = db.connection().connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 50)
        rows = db.scalars(
            select(Session.id).where(*query.where(dark=darks)).order_by(*query.order(dark=darks))
        )
        assert sorted(rows) == list(range(2, count + 1, 2))


def test_darks_may_be_a_column(catalog: Catalog) -> None:
    with catalog.read() as db:
        grade = case((Session.gain == 60, "exact"), (Session.gain == 80, "near"))
        for query, ids in (("dark:exact", [1]), ("dark:near , dark:exact", [1, 3]), ("dark:none", [2, 4])):
            assert db.scalars(select(Session.id).where(*parse(query).where(dark=grade))).all() == ids


def test_records_may_have_keys_of_json_or_names_of_fields() -> None:
    query = parse("exp:10 tag:keep dark:exact date:2025")
    assert query.matches(
        {
            "exposure_s": 10,
            "tags": ["keep"],
            "dark": {"id": 1, "grade": "exact"},
            "date": "2025-01-01T00:00:00Z",
        }
    )
    assert query.matches({"exp": 10.0, "tag": ("keep",), "dark": "exact", "date": date(2025, 1, 1)})
    assert not query.matches({})
    assert parse("score:none", "frames").matches({"score": float("nan")})


def test_sorting_keeps_equals_in_place_and_takes_a_key() -> None:
    rows = [("a", 2), ("b", None), ("c", 1), ("d", 2), ("e", None)]
    query = parse("score-", "frames")
    assert query.sort(rows, key=lambda row: {"score": row[1]}) == [
        rows[0],
        rows[3],
        rows[2],
        rows[1],
        rows[4],
    ]


def test_every_field_has_help_and_every_name_one_field() -> None:
    for scope in SCOPES:
        names = [name for field in FIELDS[scope].values() for name in {field.name, *field.keys}]
        assert len(names) == len(set(names)) == len(NAMES[scope])
        assert all(field.help for field in FIELDS[scope].values())


class TestSavedQueries:
    def test_kept_listed_replaced_and_forgotten(self, tmp_path: Path) -> None:
        catalog = Catalog.open(tmp_path / "catalog.sqlite")
        with catalog.write() as db:
            save_query(db, "best", "frames", "score:>60")
            save_query(db, "m51", "sessions", "target:m51")
            save_query(db, "best", "frames", "score:>80 score-")
        with catalog.read() as db:
            assert load_query(db, "best").text == "score:>80 score-"
            assert [saved.name for saved in list_queries(db)] == ["best", "m51"]
            assert [saved.name for saved in list_queries(db, "sessions")] == ["m51"]
            assert saved_texts(db, "frames") == {"best": "score:>80 score-"}
        with catalog.write() as db:
            delete_query(db, "m51")
        with (
            catalog.read() as db,
            pytest.raises(QueryError, match=r"no query is saved as 'bset' \(did you mean"),
        ):
            load_query(db, "bset")
        with catalog.read() as db, pytest.raises(QueryError, match="no query is saved as 'm51'"):
            load_query(db, "m51")

    @pytest.mark.parametrize("name", ["", "two words", 'quo"te', "a:b", "x" * 41])
    def test_names_that_a_query_could_not_say(self, catalog: Catalog, name: str) -> None:
        with catalog.read() as db, pytest.raises(QueryError, match="cannot name a query"):
            save_query(db, name, "frames", "score:>60")

    @pytest.mark.parametrize("text", ["scroe:1", "query:other"])
    def test_texts_that_are_no_query(self, catalog: Catalog, text: str) -> None:
        with catalog.read() as db, pytest.raises(QueryError):
            save_query(db, "name", "frames", text)

    def test_a_word_stands_for_a_saved_query(self, catalog: Catalog) -> None:
        saved = {"long": "exp:60 , exp:10 exp-"}
        for query, ids in (("query:long", [2, 1]), ("-query:long", [3, 4]), ("query:long gain:60", [1])):
            parsed = parse(query, saved=saved)
            with catalog.read() as db:
                assert [row[0].id for row in db.execute(parsed.select().order_by(Session.id))] == ids
        with pytest.raises(QueryError, match=r"'lnog' is not saved \(did you mean long\?\); saved are long"):
            parse("query:lnog", saved=saved)
        with pytest.raises(QueryError, match="to use here"):
            parse("query:loop", saved={"loop": "query:loop"})
