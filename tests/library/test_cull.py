"""Culling: who would go and why, what that costs, and what it never does."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement
from astrotui.library.choose import decide, undo
from astrotui.library.cull import apply_cull, plan_cull
from astrotui.library.index import index_roots
from astrotui.library.listing import list_frames
from tests.library.conftest import WriteFrame


@dataclass(frozen=True)
class Facts:
    """What was measured of a frame, as the catalogue keeps it."""

    score: float = 90.0
    stars: int = 200
    fwhm_px: float = 2.8
    eccentricity: float = 0.4
    background_adu: float = 500.0
    noise_adu: float = 12.0
    transparency: float = 1.0
    dx_px: float = 0.0
    dy_px: float = 0.0
    rotation_deg: float = 0.0
    problem: str | None = None
    device: bool = False


def usual(count: int, seed: int = 1) -> list[Facts]:
    """An even session of frames that have 24 by 16 pixels."""
    rng = np.random.default_rng(seed)
    return [
        Facts(
            score=float(rng.normal(90, 2)), stars=int(rng.normal(200, 6)), fwhm_px=float(rng.normal(2.8, 0.04)),
            eccentricity=float(rng.normal(0.4, 0.02)), background_adu=float(rng.normal(500, 3)),
            noise_adu=float(rng.normal(12, 0.1)), transparency=float(rng.normal(1, 0.01)),
            dx_px=float(rng.normal(0, 0.3)), dy_px=float(rng.normal(0, 0.2)),
        )
        for _ in range(count)
    ]  # fmt: skip


CLOUDED = {"transparency": 0.3, "score": 9.0}
SOFT = {"fwhm_px": 6.0, "score": 20.0}
TRAILED = {"eccentricity": 0.95, "score": 30.0}


@pytest.fixture
def session(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame):  # type: ignore[no-untyped-def]
    """`session(facts)`: a session of frames that were measured so; their ids."""

    def make(facts: Sequence[Facts], folder: str = "root") -> list[int]:
        for i in range(len(facts)):
            write_frame(
                tmp_path / folder / f"{i:03}.fits", DATE_OBS=f"2025-01-02T{22 + i // 60}:{i % 60:02}:00"
            )
        index_roots(catalog, [tmp_path / folder])
        with catalog.write() as db:
            frames = list(db.scalars(select(Frame).order_by(Frame.path)))
            for frame, fact in zip(frames, facts, strict=True):
                values = {k: v for k, v in vars(fact).items() if k != "device"}
                db.add(
                    Measurement(
                        frame_id=frame.id, version=1, content_id=frame.content_id, measured=datetime.now(UTC), streak=False,
                        star_list=b"", **values,
                    )
                )  # fmt: skip
                if fact.device:
                    frame.device_rejected = True
                    frame.decision, frame.reasons = "rejected", ["rejected by the device"]
            return [frame.id for frame in frames]

    return make


def spoil(facts: list[Facts], changes: dict[int, dict[str, object]]) -> list[Facts]:
    return [replace(f, **changes.get(i, {})) for i, f in enumerate(facts)]  # type: ignore[arg-type]


def test_the_sentence_says_who_goes_why_and_the_price(catalog: Catalog, session) -> None:  # type: ignore[no-untyped-def]
    wrong = {**dict.fromkeys((2, 3), CLOUDED), 7: SOFT, **dict.fromkeys((9, 10, 11), TRAILED)}
    facts = spoil(usual(30), wrong)
    ids = session(facts)
    plan = plan_cull(catalog, [1], "balanced")
    assert set(plan.rejected) == {ids[i] for i in wrong}
    assert plan.summary == "3 trailed, 2 clouded, 1 soft"
    before = sum(f.score for f in facts) / 100
    after = before - sum(facts[i].score for i in wrong) / 100
    change = 1.25 * math.log10(after / before)
    assert plan.depth_change_mag == pytest.approx(change)
    widths = [np.median([f.fwhm_px for i, f in enumerate(facts) if i not in gone]) for gone in ({}, wrong)]
    assert plan.sentence() == (
        f"balanced: 6 of 30 frames would go: 3 trailed, 2 clouded, 1 soft; depth {change:+.2f} mag; "
        f"median FWHM {widths[0]:.2f} to {widths[1]:.2f} px"
    )
    assert statuses(catalog) == "u" * 30  # a plan does nothing
    done = plan.to_dict(done=False)
    assert done["counts"] == {"trailed": 3, "clouded": 2, "soft": 1}
    assert (done["rejected"], done["share"], done["needs_yes"]) == (6, 0.2, False)


def statuses(catalog: Catalog) -> str:
    return "".join(frame.status[0] for frame in list_frames(catalog, [1]))


def test_an_even_session_loses_nothing(catalog: Catalog, session) -> None:  # type: ignore[no-untyped-def]
    session(usual(30))
    plan = plan_cull(catalog, [1], "balanced")
    assert not plan.rejected and plan.share == 0 and not plan.asks
    assert plan.sentence() == "balanced: nothing to reject among 30 frames"


def test_persons_are_not_overruled_and_the_plan_says_so(catalog: Catalog, session) -> None:  # type: ignore[no-untyped-def]
    facts = spoil(usual(20), dict.fromkeys((1, 2, 3), CLOUDED))
    ids = session(facts)
    decide(catalog, [ids[1]], "accepted")
    decide(catalog, [ids[2]], "rejected", by="preset")
    decide(catalog, [ids[2]], "undecided")  # taken back in by hand
    plan = plan_cull(catalog, [1], "balanced")
    assert list(plan.rejected) == [ids[3]] and plan.yours == 2
    assert "2 frames stay because you decided so" in plan.sentence()
    assert apply_cull(catalog, plan).changed == 1
    assert statuses(catalog)[:5] == "uaur" + "u"
    undo(catalog)
    assert statuses(catalog)[:5] == "uauuu"


def test_a_preset_after_undo_and_another_after_the_first(catalog: Catalog, session) -> None:  # type: ignore[no-untyped-def]
    session(spoil(usual(20), {1: CLOUDED, 2: {"fwhm_px": 3.25, "score": 60.0}}))
    apply_cull(catalog, plan_cull(catalog, [1], "gentle"))
    undo(catalog)
    assert statuses(catalog) == "u" * 20
    plan = plan_cull(catalog, [1], "gentle")
    assert len(plan.rejected) == 1
    apply_cull(catalog, plan)
    assert not plan_cull(catalog, [1], "gentle").rejected
    more = plan_cull(catalog, [1], "strict")
    assert more.earlier == 1 and more.rejected
    assert more.sentence().startswith(f"strict: {len(more.rejected)} of 19 frames would go")
    apply_cull(catalog, more)
    undo(catalog)
    assert statuses(catalog) == "ur" + "u" * 18  # each preset is a step of its own


def test_over_forty_percent_asks_also_bit_by_bit(catalog: Catalog, session) -> None:  # type: ignore[no-untyped-def]
    facts = spoil(usual(20), dict.fromkeys(range(8), CLOUDED) | dict.fromkeys(range(8, 10), SOFT))
    ids = session(facts)
    plan = plan_cull(catalog, [1], "balanced")
    assert plan.share > 0.4 and plan.asks and plan.to_dict(False)["needs_yes"]
    # Eight were rejected by a preset before: two more make half.
    decide(catalog, ids[:8], "rejected", by="preset")
    plan = plan_cull(catalog, [1], "balanced")
    assert (len(plan.rejected), plan.earlier, plan.share) == (2, 8, 0.5) and plan.asks
    # Rejected by hand they are none of the presets' business.
    undo(catalog)
    decide(catalog, ids[:8], "rejected")
    plan = plan_cull(catalog, [1], "balanced")
    assert (len(plan.rejected), plan.earlier, plan.asks) == (2, 0, False)


def test_frames_that_the_telescope_rejected_count_once(catalog: Catalog, session) -> None:  # type: ignore[no-untyped-def]
    facts = spoil(usual(20), {4: {"device": True, **TRAILED}, 5: TRAILED})
    ids = session(facts)
    plan = plan_cull(catalog, [1], "balanced")
    assert list(plan.rejected) == [ids[5]] and plan.frames == 19 and plan.earlier == 0
    assert plan.before.kept == 19 and plan.before.frames == 20
    decide(catalog, [ids[4]], "accepted")
    plan = plan_cull(catalog, [1], "balanced")
    assert list(plan.rejected) == [ids[5]] and plan.yours == 1


def test_frames_not_aligned_and_without_stars_are_named(catalog: Catalog, session) -> None:  # type: ignore[no-untyped-def]
    lost = {"problem": "cannot be aligned with the session's reference", "score": 0.0, "dx_px": None}
    nothing = {
        "problem": "no stars", "score": 0.0, "stars": 0, "fwhm_px": None, "eccentricity": None, "transparency": None,
    }  # fmt: skip
    ids = session(spoil(usual(20), {3: lost, 4: nothing, 5: {"score": 0.0}}))
    decide(catalog, [ids[5]], "accepted", reasons={ids[5]: ["by hand"]})
    plan = plan_cull(catalog, [1], "gentle")
    assert plan.rejected == {ids[3]: ["not aligned"], ids[4]: ["no stars"]}
    assert plan.summary == "1 no stars, 1 not aligned"


def test_small_sessions_are_held_against_their_best_frame(catalog: Catalog, session) -> None:  # type: ignore[no-untyped-def]
    ids = session(spoil(usual(5), {1: CLOUDED, 2: {"fwhm_px": 3.0}, 3: TRAILED}))
    plan = plan_cull(catalog, [1], "balanced")
    assert plan.rejected == {ids[1]: ["clouded"], ids[3]: ["trailed"]}
    assert not plan.asks  # two of five are 40 %, not more


@pytest.mark.parametrize("preset", ["gentle", "balanced", "strict"])
def test_a_flip_and_a_mosaic_s_panel_are_on_target(catalog: Catalog, session, preset: str) -> None:  # type: ignore[no-untyped-def]
    facts = usual(30)
    for i in range(15, 30):  # after the meridian the field is upside down, a little beside
        facts[i] = replace(facts[i], rotation_deg=180.0, dx_px=2.0 + facts[i].dx_px)
    for i in range(6):  # a second panel
        facts[i] = replace(facts[i], dx_px=20.0)
    facts[12] = replace(facts[12], dy_px=12.0)  # one frame alone, of frames 24 by 16 pixels
    ids = session(facts)
    off = {i for i, why in plan_cull(catalog, [1], preset).rejected.items() if "off target" in why}
    assert off == {ids[12]}


def test_unmeasured_frames_are_not_judged(
    catalog: Catalog, session, write_frame: WriteFrame, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    session(spoil(usual(20), {1: CLOUDED}))
    write_frame(tmp_path / "root" / "new.fits", DATE_OBS="2025-01-02T23:50:00")
    index_roots(catalog, [tmp_path / "root"])
    plan = plan_cull(catalog, [1], "balanced")
    assert plan.unmeasured == 1 and plan.frames == 20
    assert plan.sentence().endswith("1 frame not measured and not judged")


def test_when_nothing_of_worth_is_left(catalog: Catalog, session) -> None:  # type: ignore[no-untyped-def]
    nothing = {
        "problem": "no stars", "score": 0.0, "stars": 0, "fwhm_px": None, "eccentricity": None, "transparency": None,
    }  # fmt: skip
    session(spoil(usual(4), dict.fromkeys(range(4), nothing)))
    plan = plan_cull(catalog, [1], "gentle")
    assert len(plan.rejected) == 4 and plan.depth_change_mag is None and plan.asks
    assert plan.sentence() == "gentle: 4 of 4 frames would go: 4 no stars"
