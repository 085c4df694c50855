"""What a choice is worth, against the formulas themselves."""

import math
from dataclasses import replace

import pytest

from astrotui.library.listing import FrameRecord, to_json
from astrotui.library.worth import Worth, exact, signed, worth
from tests.library.frame_records import record


def frames() -> list[FrameRecord]:
    return [
        record(1, score=100.0, exposure_s=10.0, fwhm_px=2.0),
        record(2, score=60.0, exposure_s=10.0, fwhm_px=3.0, status="accepted"),
        record(3, score=40.0, exposure_s=30.0, fwhm_px=4.0),
        record(4, score=80.0, exposure_s=10.0, fwhm_px=2.5, status="rejected"),
        record(5, score=0.0, exposure_s=10.0, fwhm_px=None),
        record(6, score=90.0, exposure_s=10.0, fwhm_px=2.2, status="missing"),
        record(7, score=0.0, exposure_s=10.0, fwhm_px=None, status="quarantined"),
    ]


def test_effective_frames_integration_and_depth() -> None:
    found = worth(frames())
    assert (found.kept, found.frames, found.unmeasured) == (4, 7, 0)
    assert found.integration_s == 60.0
    assert found.effective_frames == pytest.approx(1.0 + 0.6 + 0.4)
    assert found.effective_integration_s == pytest.approx(10 + 6 + 12)
    assert found.depth_mag == pytest.approx(1.25 * math.log10(2.0))
    assert found.depth_all_mag == pytest.approx(1.25 * math.log10(2.8))
    assert found.against_all_mag == pytest.approx(1.25 * math.log10(2.0 / 2.8))
    assert found.fwhm_px == 3.0
    assert found.sentence() == (
        "4 of 7 frames kept; 60 s, worth 28 s of the best; +0.38 mag over one best frame (-0.18 against all)"
    )


def test_the_choice_changes_it_at_once() -> None:
    some = frames()
    less = worth(some, frozenset({1}))
    assert less.effective_frames == pytest.approx(1.0)
    assert less.depth_mag == 0.0
    some[3] = replace(some[3], status="accepted")
    assert worth(some).against_all_mag == pytest.approx(0.0)


def test_nothing_and_nothing_measured() -> None:
    nothing = worth([])
    assert nothing == Worth(0, 0, 0, 0, 0, 0, None, None, None)
    assert nothing.sentence() == "0 of 0 frames kept; 0 s, worth 0 s of the best"
    new = worth(
        [
            record(1, score=None, exposure_s=10.0, fwhm_px=None),
            record(2, score=None, exposure_s=None, fwhm_px=None),
        ]
    )
    assert (new.unmeasured, new.integration_s, new.depth_mag, new.against_all_mag) == (2, 10.0, None, None)
    assert new.sentence() == "2 of 2 frames kept; 10 s, worth 0 s of the best; 2 frames not measured"
    rejected = worth([record(1, score=50.0, exposure_s=1.0, fwhm_px=2.0, status="rejected")])
    assert (
        rejected.depth_mag is None and rejected.depth_all_mag is not None and rejected.against_all_mag is None
    )


def test_ten_equal_frames_are_a_magnitude_and_a_quarter_deeper() -> None:
    found = worth([record(i, score=100.0, exposure_s=10.0, fwhm_px=2.0) for i in range(10)])
    assert found.depth_mag == pytest.approx(1.25)
    assert found.to_dict()["against_all_mag"] == 0.0


def test_magnitudes_have_a_sign_unless_they_round_to_nothing() -> None:
    assert [signed(v) for v in (0.254, -0.031, -0.001, 0.0)] == ["+0.25", "-0.03", "0.00", "0.00"]


def test_a_trail_is_told_though_it_is_no_reason() -> None:
    assert record(1, streak=True).why == ("(streak)",)
    assert record(2, streak=True, reasons=("soft",)).why == ("soft", "(streak)")
    assert record(3, streak=True, reasons=("streak",)).why == ("streak",)  # strict rejected it for that
    assert record(4, streak=False, reasons=("soft",)).why == ("soft",)
    assert "why" not in to_json(record(5, streak=True))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(45, "45 s"), (130, "2 min 10 s"), (599.6, "10 min"), (600, "10 min"), (12_000, "3 h 20 min")],
)
def test_light_is_told_to_the_second_where_one_frame_shows(seconds: float, said: str) -> None:
    assert exact(seconds) == said
