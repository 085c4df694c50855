"""Presets reject what is bad, say why, and leave even sessions alone."""

from dataclasses import replace

import numpy as np
import pytest

from astrotui.imaging.culling import PRESETS, FrameFacts, counts, judge, summary


def _session(count: int, seed: int = 1) -> list[FrameFacts]:
    rng = np.random.default_rng(seed)
    return [
        FrameFacts(
            stars=int(rng.normal(200, 8)),
            fwhm_px=float(rng.normal(2.8, 0.06)),
            eccentricity=float(rng.normal(0.4, 0.03)),
            background_adu=float(rng.normal(500, 4)),
            noise_adu=float(rng.normal(12, 0.1)),
            transparency=float(rng.normal(1.0, 0.01)),
            streak=False,
            dx_px=float(rng.normal(0, 15)),
            dy_px=float(rng.normal(0, 15)),
            width=3840,
            height=2160,
            aligned=True,
        )
        for _ in range(count)
    ]


FAULTS = {
    "trailed": {"eccentricity": 0.92},
    "soft": {"fwhm_px": 5.8},
    "clouded": {"transparency": 0.3},
    "sky glow": {"noise_adu": 30.0, "background_adu": 900.0},
    "few stars": {"stars": 40},
    "off target": {"dx_px": 2500.0},
    "not aligned": {"aligned": False},
    "rejected by the device": {"device_rejected": True},
    "black frame": {"problem": "black frame", "stars": 0, "fwhm_px": None},
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("count", [6, 40])
def test_each_fault_has_its_name(preset: str, name: str, count: int) -> None:
    frames = _session(count)
    frames[3] = replace(frames[3], **FAULTS[name])
    reasons = judge(frames, PRESETS[preset])
    assert reasons[3] == [name]
    assert sum(map(bool, reasons[:3] + reasons[4:])) <= (0.15 * count if preset == "strict" else 1)


def test_better_than_the_others_is_never_a_fault() -> None:
    frames = _session(40)
    better = {
        "stars": 400,
        "fwhm_px": 1.5,
        "eccentricity": 0.0,
        "background_adu": 300.0,
        "noise_adu": 6.0,
        "transparency": 1.6,
    }
    frames[0] = replace(frames[0], **better)
    assert judge(frames, PRESETS["strict"])[0] == []


def test_stricter_presets_reject_no_less() -> None:
    rng = np.random.default_rng(3)
    frames = [
        replace(f, transparency=float(t), fwhm_px=float(w), eccentricity=float(e))
        for f, t, w, e in zip(
            _session(100),
            np.clip(1 - rng.exponential(0.1, 100), 0.05, 1),
            2.5 + rng.exponential(0.4, 100),
            np.clip(rng.normal(0.5, 0.12, 100), 0, 0.95),
            strict=True,
        )
    ]
    gone = {name: {i for i, why in enumerate(judge(frames, p)) if why} for name, p in PRESETS.items()}
    assert gone["gentle"] <= gone["balanced"] <= gone["strict"]
    assert len(gone["gentle"]) < len(gone["strict"]) < 60


def test_a_flip_and_a_panel_of_a_mosaic_are_on_target() -> None:
    frames = _session(30)
    panel = [replace(f, dx_px=2400.0 + i) for i, f in enumerate(_session(10, seed=2))]
    reasons = judge([*frames, *panel], PRESETS["balanced"])
    assert not any("off target" in why for why in reasons)


def test_streaks_count_only_where_the_preset_says_so() -> None:
    frames = _session(20)
    frames[5] = replace(frames[5], streak=True)
    assert "streak" in judge(frames, PRESETS["strict"])[5]
    assert judge(frames, PRESETS["balanced"])[5] == []


def test_what_is_unknown_is_no_reason() -> None:
    assert judge([FrameFacts()] * 20, PRESETS["strict"]) == [[]] * 20
    assert judge([FrameFacts()] * 3, PRESETS["strict"]) == [[]] * 3
    assert judge([], PRESETS["strict"]) == []


def test_a_bad_start_of_the_night_does_not_shift_the_measure() -> None:
    frames = _session(60)
    for i in range(20):
        frames[i] = replace(frames[i], transparency=0.4)
    reasons = judge(frames, PRESETS["balanced"])
    assert all(why == ["clouded"] for why in reasons[:20])
    assert sum(map(bool, reasons[20:])) <= 2


def test_summary_counts_each_reason() -> None:
    assert summary([["trailed", "soft"], ["soft"], [], ["clouded"]]) == "2 soft, 1 clouded, 1 trailed"
    assert summary([[], []]) == ""


def test_frames_are_counted_by_kinds_of_reasons() -> None:
    why = [
        ["only 1 star"],
        ["no stars"],
        ["saturated: 93% of it"],
        ["saturated: 40% of it", "trailed"],
        ["few stars"],
    ]
    assert counts(why) == {"few stars": 2, "saturated": 2, "no stars": 1, "trailed": 1}
    assert summary(why) == "2 few stars, 2 saturated, 1 no stars, 1 trailed"
    assert (
        summary([["out of focus: stars are rings"], ["only 16x16 pixels"]]) == "1 out of focus, 1 too small"
    )
