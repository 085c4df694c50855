"""Judging frames by keys: decisions show at once, are committed in order, and none is lost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Decision, DecisionBatch, Frame, Measurement
from astrotui.library.choose import decide
from astrotui.library.listing import list_frames, list_sessions
from astrotui.tui import queueing
from astrotui.tui.choosing import light
from astrotui.tui.pictures import frame_picture
from astrotui.tui.screens.cull import CullScreen
from astrotui.tui.screens.frames import FramesPlace
from astrotui.tui.screens.where import WhereScreen
from astrotui.tui.widgets.picture import Picture
from astrotui.tui.widgets.table import RowTable
from astrotui.tui.widgets.trend import Trend
from tests.tui.conftest import BAD, MakeApp, add_job, until


async def open_m42(pilot: Pilot[Any]) -> FramesPlace:
    """From the start into the frames of M 42, as a person does."""
    app = pilot.app
    sessions = await until(pilot, lambda: _rows(app, "#sessions"))
    place = next(i for i, s in enumerate(sessions) if s.target == "M42")
    await pilot.press(*["j"] * place, "enter")
    await until(pilot, lambda: isinstance(app.screen, FramesPlace) and _rows(app, "#frames"))
    screen = app.screen
    assert isinstance(screen, FramesPlace)
    return screen


def _rows(app: Any, name: str) -> list[Any]:
    tables = app.screen.query(name)
    return tables.first(RowTable).rows if tables else []


def line(screen: Any, name: str) -> str:
    return str(screen.query_one(name, Static).render())


def decisions(path: Path) -> Sequence[tuple[int, str]]:
    """All decisions of persons and presets that were ever committed: number of the frame and verdict, in their order."""
    with Catalog.open(path) as catalog, catalog.read() as db:
        rows = db.query(Frame.sequence, Decision.after).join(Decision, Decision.frame_id == Frame.id)
        rows = rows.join(DecisionBatch, Decision.batch_id == DecisionBatch.id).filter(
            DecisionBatch.by != "device"
        )
        return [(number, after) for number, after in rows.order_by(Decision.id)]


async def test_best_frames_come_first_with_picture_trend_and_worth(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        scores = [f.score for f in screen.table.rows]
        assert scores == sorted(scores, reverse=True) and len(scores) == 16
        await until(pilot, lambda: screen.query_one(Picture).view is not None)
        asked = app.pictures.asked[-1]  # type: ignore[attr-defined]
        assert asked.path == screen.table.row.path and len(asked.session_paths) > 1
        assert line(screen, "#worth").startswith("16/16 kept")
        assert len(screen.query_one(Trend).values) == 16


def test_light_is_told_to_the_second_under_ten_minutes() -> None:
    said = [light(seconds, 3) for seconds in (45.0, 130.4, 599.6, 3600.0)]
    assert said == ["45 s", "2m10s", "10 min", "60 min"]
    assert light(0.0, 3) == "–" and light(0.0, 0) == "0 s"  # nobody knows how long they are; there is none


async def test_a_filter_says_how_many_it_found(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        await pilot.press("slash", *"score:<40", "enter")
        await until(pilot, lambda: len(screen.table.rows) == len(BAD))
        await until(pilot, lambda: "3 of 16 · score:<40" in str(screen.query_one("PlaceBar").render()))


async def test_the_session_has_one_stretch_whatever_is_rejected(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        for key in "xjx":
            await until(pilot, lambda: screen.query_one(Picture).view is not None)
            await pilot.press(key)
            await pilot.pause(0.15)
        names = {request.session for request in app.pictures.asked if request.session}  # type: ignore[attr-defined]
        assert len(names) == 1


async def test_a_rejection_is_shown_at_the_key_and_undone(make_app: MakeApp, catalog_file: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        first, second = screen.table.rows[:2]
        before = line(screen, "#worth")
        await pilot.press("x")
        assert screen.table.rows[0].status == "rejected" and screen.table.row.id == second.id
        assert line(screen, "#worth").startswith("15/16 kept") and "against all" in before
        await pilot.press("u")
        await until(pilot, lambda: screen.table.rows[0].status == "undecided")
        assert screen.table.row.id == first.id  # the cursor shows what was undone
        await until(pilot, lambda: line(screen, "#worth") == before)
    assert decisions(catalog_file) == [(first.sequence, "rejected")]


async def test_fast_keys_lose_and_swap_nothing(make_app: MakeApp, catalog_file: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        numbers = [f.sequence for f in screen.table.rows]
        for key in ["x", "x", "space", "space", "a", "x", "up", "up", "a"] * 2 + ["q"]:
            app.simulate_key(key)  # all at once: nothing waits for the one before, not even leaving
        await until(pilot, lambda: app._exit)
    one, two, three, four = numbers[:4]
    first = [
        (one, "rejected"), (two, "rejected"), (three, "rejected"), (three, "undecided"), (three, "accepted"),
        (four, "rejected"), (three, "accepted"),
    ]  # fmt: skip
    second = [
        (four, "rejected"), (numbers[4], "rejected"), (numbers[5], "rejected"), (numbers[5], "undecided"),
        (numbers[5], "accepted"), (numbers[6], "rejected"), (numbers[5], "accepted"),
    ]  # fmt: skip
    made = decisions(catalog_file)
    assert made == [*first[:-1], *second[1:-1]]
    with Catalog.open(catalog_file) as catalog, catalog.read() as db:
        rows = db.query(Frame.sequence, Frame.decision).filter(
            Frame.target == "M42", Frame.decision != "undecided"
        )
        assert dict(rows.all()) == {
            one: "rejected", two: "rejected", three: "accepted", four: "rejected", numbers[4]: "rejected",
            numbers[5]: "accepted", numbers[6]: "rejected",
        }  # fmt: skip


async def test_what_others_decide_appears(make_app: MakeApp, catalog_file: Path) -> None:
    from astrotui.library.choose import decide

    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        with Catalog.open(catalog_file) as catalog:
            decide(catalog, [screen.table.rows[4].id], "rejected")
        await until(pilot, lambda: screen.table.rows[4].status == "rejected")
        assert line(screen, "#worth").startswith("15/16 kept")


async def test_the_cursor_stays_on_its_frame(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        await pilot.press("j", "j", "j")
        held = screen.table.row.id
        for key in ("s", "S", "s", "s", "r"):
            await pilot.press(key)
            await pilot.pause(0.05)
            assert screen.table.row.id == held
        screen.table.sort_by("status")
        order = [f.id for f in screen.table.rows]
        await pilot.press("space")
        await until(pilot, lambda: not screen.frames.busy)
        await pilot.press("r")
        await pilot.pause(0.2)
        assert screen.table.row.id == held and [f.id for f in screen.table.rows] == order


async def test_cull_shows_who_would_go_before_it_acts(make_app: MakeApp, catalog_file: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        await pilot.press("c")
        cull = await until(pilot, lambda: isinstance(app.screen, CullScreen) and app.screen)
        await until(pilot, lambda: cull.plan is not None)
        shown = line(cull, "#consequences")
        assert "y reject these" in line(cull, "#keys")
        assert all(f"frame {number} " in shown for number in BAD) and "clouded" in shown
        await pilot.press("escape")
        await pilot.pause(0.1)
        assert not decisions(catalog_file)
        await pilot.press("c")
        cull = await until(pilot, lambda: isinstance(app.screen, CullScreen) and app.screen)
        await until(pilot, lambda: cull.plan is not None)
        await pilot.press("y")
        await until(pilot, lambda: sum(f.status == "rejected" for f in screen.table.rows) == len(BAD))
        await pilot.press("u")
        await until(pilot, lambda: all(f.status == "undecided" for f in screen.table.rows))
    assert {number for number, _ in decisions(catalog_file)} == set(BAD)


async def test_a_cull_of_nothing_offers_nothing(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_m42(pilot)
        await pilot.press("c")
        cull = await until(pilot, lambda: isinstance(app.screen, CullScreen) and app.screen)
        await until(pilot, lambda: cull.plan is not None)
        assert "several reasons" in line(cull, "#consequences")
        await pilot.press("y")
        await until(pilot, lambda: app.screen is not cull)
        await pilot.press("c")
        cull = await until(pilot, lambda: isinstance(app.screen, CullScreen) and app.screen)
        await until(pilot, lambda: "nothing to reject" in line(cull, "#consequences"))
        assert "esc leave all" in line(cull, "#keys") and "y reject" not in line(cull, "#keys")


async def test_filter_explains_a_wrong_query_and_esc_leads_back(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        await pilot.press("slash", *"scor:>50", "enter")
        await until(pilot, lambda: "scor" in line(screen, "#filter-wrong"))
        await pilot.press(*["backspace"] * 8, *"score:<50", "enter")
        await until(pilot, lambda: {f.sequence for f in screen.table.rows} == set(BAD))
        assert line(screen, "#worth").startswith("16/16")  # the worth is the session's, not the filter's
        await pilot.press("escape")
        await until(pilot, lambda: len(screen.table.rows) == 16)
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "library")


async def test_path_of_the_file_and_of_its_picture(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        await pilot.press("y")
        where = await until(pilot, lambda: isinstance(app.screen, WhereScreen) and app.screen)
        assert where.paths["file"] == screen.table.row.path
        await until(pilot, lambda: "/cache/picture.png" in line(where, "#paths"))
        assert app.clipboard == screen.table.row.path


async def test_a_picture_that_is_asked_for_twice_comes(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        picture = screen.query_one(Picture)
        await until(pilot, lambda: picture.shown is not None and picture.shown is picture.request)
        other = frame_picture(screen.table.rows[5], screen.frames.sample, screen.facts)
        asked = app.pictures.asked  # type: ignore[attr-defined]
        picture.show(other)
        picture.show(other)  # before the first one was sent
        await until(pilot, lambda: asked[-1].path == screen.table.rows[5].path)


async def test_blink_changes_between_two_and_stops(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        best = screen.table.row.path
        await pilot.press("j", "j", "b")
        asked = app.pictures.asked  # type: ignore[attr-defined]
        await until(
            pilot, lambda: {r.path for r in asked[-2:]} == {best, screen.table.row.path}, "both were shown"
        )
        await pilot.press("b")
        await pilot.pause(0.2)
        count = len(asked)
        await pilot.pause(1.0)
        assert len(asked) == count and asked[-1].path == screen.table.row.path


async def test_trend_shows_the_metric_that_is_asked_for(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        trend = screen.query_one(Trend)
        await pilot.press("v")
        assert trend.metric.attribute == "fwhm_px" and trend.values == [
            f.fwhm_px for f in screen.frames.by_time()
        ]
        await pilot.press("end")
        place = screen.frames.place_of(screen.table.row)
        await until(pilot, lambda: trend.marked == place)


async def test_an_unmeasured_session_says_what_goes_on_and_shows_the_best_at_last(
    make_app: MakeApp, catalog_file: Path
) -> None:
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        frames = db.query(Frame).filter(Frame.target == "M42").order_by(Frame.sequence).all()
        ids = [frame.id for frame in frames]
        held = {m.frame_id: m.score for m in db.query(Measurement).filter(Measurement.frame_id.in_(ids))}
        db.query(Measurement).filter(Measurement.frame_id.in_(ids)).update({"score": None})
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        trend = screen.query_one(Trend)
        await until(pilot, lambda: "m measures" in trend._heading())
        add_job(catalog_file, kind="measure", status="running", stage="stars", done=3, total=16)
        await until(pilot, lambda: "stars 3/16" in trend._heading())
        with Catalog.open(catalog_file) as catalog, catalog.write() as db:
            for row in db.query(Measurement).filter(Measurement.frame_id.in_(ids)):
                row.score = held[row.frame_id]
        await until(
            pilot, lambda: screen.table.row is not None and screen.table.row.score == max(held.values())
        )
        assert screen.table.cursor == 0


async def test_what_does_not_match_says_how_to_come_back(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_m42(pilot)
        await pilot.press("slash", *"score:>100", "enter")
        await until(pilot, lambda: not screen.table.rows)
        assert "esc takes the filter away" in "".join(s.text for s in screen.table.render_line(1))


def test_a_session_is_measured_once(catalog_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astrotui.jobs.launch.ensure_worker", lambda catalog: None)
    with Catalog.open(catalog_file) as catalog:
        assert queueing.measure(catalog, 2) == queueing.measure(catalog, 2) != queueing.measure(catalog, 1)


async def test_what_is_undone_elsewhere_is_told_with_its_session(
    make_app: MakeApp, catalog_file: Path
) -> None:
    with Catalog.open(catalog_file) as catalog:
        (other,) = list_sessions(catalog, "target:m51")
        frame = list_frames(catalog, [other.id])[0]
        decide(catalog, [frame.id], "rejected", description="frame 9 rejected")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_m42(pilot)
        for key, word in (("u", "undone"), ("ctrl+r", "done again")):
            await pilot.press(key)
            told = f"{word}: frame 9 rejected in M 51 2025-04-02"
            await until(pilot, lambda told=told: told in [str(n.message) for n in app._notifications])


async def test_blinking_without_scores_says_what_it_lacks(make_app: MakeApp, catalog_file: Path) -> None:
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        db.query(Measurement).delete()
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_m42(pilot)
        await pilot.press("j", "b")
        await until(pilot, lambda: any("m measures" in str(n.message) for n in app._notifications))


async def test_a_missing_frame_says_so(make_app: MakeApp, catalog_file: Path) -> None:
    with Catalog.open(catalog_file) as catalog, catalog.write() as db:
        frame = db.query(Frame).filter(Frame.session_id.is_not(None), Frame.sequence == BAD[0]).one()
        frame.missing = True
        db.query(Measurement).filter(Measurement.frame_id == frame.id).delete()
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        screen = await open_m42(pilot)
        screen.table.go_to(frame.id)
        row = screen.table.cursor + 1 - screen.table.scroll_offset.y
        assert screen.table.render_line(row).text.rstrip().endswith("missing")
        await until(pilot, lambda: line(screen, "#file").startswith("missing"))
        assert "m measures" not in line(screen, "#file")
