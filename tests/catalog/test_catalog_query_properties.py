"""Any query means the same in SQL and in Python, and nothing but `QueryError` leaves the parser."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from catalog_rows import frame, frame_record, measurement, root, session, session_record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from astrotui.catalog.database import Catalog
from astrotui.catalog.fields import FIELDS, GRADES, NAMES, SCOPES, Scope
from astrotui.catalog.kinds import Binning, Choice, Flag, Number, Text, Texts, When
from astrotui.catalog.models import Frame, Measurement, Root, Session
from astrotui.catalog.query import parse
from astrotui.catalog.summaries import COUNTS, TOTALS, session_rows
from astrotui.errors import QueryError

ROOT = "/mnt/NAS 1"
LONGER = int(os.environ.get("ASTROTUI_FUZZ", "1"))
WORDS = [
    "M 51",
    "m51",
    "M 13",
    "IC 14",
    "C14",
    "NGC 7000",
    "Näbula",
    "NÄBULA",
    "a_b",
    "50%",
    "ß",
    "ﬁ x",
    'x"y',
    " ",
    "",
]
NUMBERS = [
    0.0,
    -0.0,
    10.0,
    10.000001,
    9.99999,
    0.00999999977648258,
    0.01,
    60.0,
    -10.4,
    1e-30,
    1e30,
    float("nan"),
]
MOMENTS = [
    datetime(2024, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2025, 1, 1, tzinfo=UTC),
    datetime(2025, 1, 31, 12, 30, 5, tzinfo=UTC),
    datetime(2025, 2, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
]
PERIODS = ["2024", "2025", "2025-01", "2025-01-31", "2025-02", "9999", "9999-12-31"]

words = st.none() | st.sampled_from(WORDS)
numbers = st.none() | st.sampled_from(NUMBERS)
whole = st.none() | st.integers(0, 6)
moments = st.none() | st.sampled_from(MOMENTS)
nights = moments.map(lambda moment: moment and moment.date())
lists = st.lists(st.sampled_from([word for word in WORDS if word.strip()]), max_size=2)

sessions = st.fixed_dictionaries(
    {
        "target": words, "device": words, "camera": words, "filter": words, "cfa": words, "exposure_s": numbers,
        "gain": numbers, "temperature_c": numbers, "first_date": moments, "night": nights, "warnings": lists,
        "tags": lists, "rating": whole, "binning": st.sampled_from([None, "1x1", "2x2", "10x10"]),
        "note": st.sampled_from(WORDS), "folder": st.sampled_from(["", "M 51", "x/NGC 7000_10s"]),
    }
)  # fmt: skip
frames = st.fixed_dictionaries(
    {
        "decision": st.sampled_from(["undecided", "accepted", "rejected"]), "missing": st.booleans(),
        "quarantine": st.sampled_from([None, "truncated", "m51"]), "reasons": lists, "tags": lists,
        "sequence": whole, "date_obs": moments, "night": nights, "exposure_s": numbers, "gain": numbers,
        "temperature_c": numbers, "filter": words, "target": words, "device": words, "camera": words,
        "rating": whole, "note": st.sampled_from(WORDS), "frame_type": st.sampled_from([None, "light", "dark-flat"]),
    }
)  # fmt: skip
measurements = st.none() | st.fixed_dictionaries(
    {
        "score": numbers, "stars": st.integers(0, 6), "fwhm_px": numbers, "hfr_px": numbers, "eccentricity": numbers,
        "background_adu": numbers, "noise_adu": numbers, "transparency": numbers, "dx_px": numbers,
        "dy_px": numbers, "rotation_deg": numbers, "streak": st.none() | st.booleans(),
        "problem": st.sampled_from([None, "cannot be aligned"]),
    }
)  # fmt: skip
libraries = st.lists(
    st.tuples(
        sessions, st.lists(st.tuples(frames, measurements), max_size=3), st.sampled_from([None, *GRADES])
    ),
    min_size=1,
    max_size=4,
)


def quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@st.composite
def conditions(draw: st.DrawFn, scope: Scope) -> str:
    """One word that asks for something."""
    sign = draw(st.sampled_from(["", "", "-"]))
    if draw(st.integers(0, 9)) == 0:
        return sign + quote(draw(st.sampled_from([word for word in WORDS if word.strip()])))
    name = draw(st.sampled_from(sorted(NAMES[scope])))
    if draw(st.integers(0, 5)) == 0:
        return f"{sign}{name}:none"
    kind = NAMES[scope][name].kind
    match kind:
        case Binning():
            value = draw(st.sampled_from(["1", "2x2", "10", "3"]))
        case Text() | Texts():
            equal = draw(st.sampled_from(["", "="]))
            value = equal + quote(
                draw(st.sampled_from([*(w for w in WORDS if w.strip()), "51", "mnt", "m5", "e"]))
            )
        case Number() | When():
            if isinstance(kind, When):
                some = st.sampled_from(PERIODS)
            else:
                some = st.sampled_from(["0", "10", "0.01", "60", "-10", "3", "1e-30", "1e30", ".5"])
            operator = draw(st.sampled_from(["", ">", ">=", "<", "<=", "=", "a..", "..b", "a..b"]))
            value = draw(some)
            if ".." not in operator:
                value = operator + value
            elif operator == "a..b":
                pair = sorted(
                    [value, draw(some)], key=lambda text: text if isinstance(kind, When) else float(text)
                )
                value = f"{pair[0]}..{pair[1]}"
            else:
                value = f"{value}.." if operator == "a.." else f"..{value}"
        case Choice():
            value = draw(st.sampled_from(kind.choices))
        case Flag():
            value = draw(st.sampled_from(["yes", "no"]))
        case _:
            raise AssertionError(kind)
    return f"{sign}{name}:{value}"


@st.composite
def queries(draw: st.DrawFn, scope: Scope) -> str:
    """A query that is right."""
    groups = draw(st.lists(st.lists(conditions(scope), min_size=1, max_size=3), max_size=3))
    sortable = sorted(name for name, field in NAMES[scope].items() if field.kind.sortable)
    sorts = draw(
        st.lists(st.tuples(st.sampled_from(sortable), st.sampled_from("+-")).map("".join), max_size=2)
    )
    return " ".join([" , ".join(" ".join(group) for group in groups), *sorts])


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    with Catalog.open(tmp_path_factory.mktemp("properties") / "catalog.sqlite") as catalog:
        yield catalog


def fill(catalog: Catalog, library: Any) -> dict[int, str]:
    """Replace what is in the catalogue; the grades of the sessions' darks."""
    darks: dict[int, str] = {}
    with catalog.write(durable=False) as db:
        db.execute(delete(Root))
        db.execute(delete(Frame))
        db.add(root(id=1, path=ROOT))
        db.flush()
        for number, (values, lights, grade) in enumerate(library, 1):
            db.add(session(number, id=number, **values))
            if grade is not None:
                darks[number] = grade
            db.flush()
            for count, (light, measured) in enumerate(lights, 10 * number):
                db.add(frame(count, number, id=count, **light))
                db.flush()
                if measured is not None:
                    db.add(measurement(count, **measured))
    return darks


@settings(max_examples=80 * LONGER, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(library=libraries, query=queries("sessions"))
def test_sessions_mean_the_same_in_sql_and_python(catalog: Catalog, library: Any, query: str) -> None:
    darks = fill(catalog, library)
    try:
        parsed = parse(query, "sessions")
    except QueryError as error:
        assert "ends before it begins" in str(error)
        return
    with catalog.read() as db:
        by_sql = [row[0].id for row in db.execute(parsed.select(dark=darks).order_by(Session.id))]
        records = [
            session_record(
                row[0],
                ROOT,
                {key: row._mapping[key] for key in (*COUNTS, "integration_s")},
                darks.get(row[0].id),
            )
            for row in db.execute(session_rows().order_by(Session.id))
        ]
    assert [record["id"] for record in parsed.sort(filter(parsed.matches, records))] == by_sql


@settings(max_examples=80 * LONGER, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(library=libraries, query=queries("frames"))
def test_frames_mean_the_same_in_sql_and_python(catalog: Catalog, library: Any, query: str) -> None:
    fill(catalog, library)
    try:
        parsed = parse(query, "frames")
    except QueryError as error:
        assert "ends before it begins" in str(error)
        return
    with catalog.read() as db:
        by_sql = [row[0].id for row in db.execute(parsed.select().order_by(Frame.id))]
        rows = db.execute(
            select(Frame, Session, Measurement).join(Session).outerjoin(Measurement).order_by(Frame.id)
        )
        records = [frame_record(row, owner, ROOT, measured) for row, owner, measured in rows]
    assert [record["id"] for record in parsed.sort(filter(parsed.matches, records))] == by_sql


pieces = st.sampled_from(
    [
        *(name + ":" for scope in SCOPES for name in FIELDS[scope]), " ", " , ", "-", "+", '"', "\\", ">", "<=",
        "=", "..", "none", "2025-01", "1e9", "60s", "%", "_", "\x00", "\udc80", "'", ";--", "query:", "yes", "2x2",
    ]
)  # fmt: skip


@settings(max_examples=250 * LONGER, deadline=None)
@given(
    text=st.text(max_size=60) | st.lists(pieces | st.text(max_size=4), max_size=12).map("".join),
    scope=st.sampled_from(SCOPES),
)
def test_whatever_is_typed_is_a_query_or_a_query_error(catalog: Catalog, text: str, scope: Scope) -> None:
    try:
        parsed = parse(text, scope)
    except QueryError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 600
        return
    parsed.matches({})
    if scope == "stacks":
        return  # asked in memory only
    with catalog.read() as db:
        db.execute(parsed.select(dark={1: "exact"})).all()


AWKWARD = (
    "M 51",
    "m51",
    "M\t51",
    "M 5 1",
    "x%51",
    "x_51",
    "É 51",
    "straße51",
    "STRASSE 51",
    "a/M51/b",
    "M513",
    "AM51",
    "",
    " ",
)


@pytest.mark.parametrize("word", ["m51", "M 5", "%", "_5", "é", "ß", "51", "strasse", "a/m", "NAS 1/l", "1"])
def test_awkward_texts_mean_the_same_in_sql_and_python(catalog: Catalog, word: str) -> None:
    with catalog.write() as db:
        for model in (Measurement, Frame, Session, Root):
            db.execute(delete(model))
        db.add(root(path=ROOT, id=1))
        db.flush()
        for number, text in enumerate(AWKWARD, 1):
            db.add(session(number, target=text, folder=f"l{number}/{text}", id=number))
            db.flush()
            db.add(frame(number, number, id=number, path=f"l{number}/{text}.fits", target=text[::-1]))
    for term in (f'"{word}"', f'target:"{word}"', f'path:"{word}"'):
        parsed = parse(term, "frames")
        with catalog.read() as db:
            by_sql = {row[0].id for row in db.execute(parsed.select())}
            rows = db.execute(
                select(Frame, Session, Measurement).join(Session).outerjoin(Measurement).order_by(Frame.id)
            ).all()
        records = [frame_record(row, owner, ROOT, measured) for row, owner, measured in rows]
        assert {record["id"] for record in records if parsed.matches(record)} == by_sql


def test_totals_are_the_columns_that_fields_ask_for() -> None:
    assert {"session_id", *COUNTS, "integration_s"} == set(TOTALS.c.keys())
