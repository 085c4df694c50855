"""Judging ready masters and scaling darks."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astrotui.stacking.masters import dark_factor, detect_ready_master_bias, ready_master_lost_bias
from astrotui.stacking.plan import InputFile, MasterSpec


@pytest.mark.parametrize(
    ("ready", "bias", "light", "lost"),
    [
        (0.4, 100.0, None, True),
        (-3.0, 100.0, None, True),
        (49.0, 100.0, None, True),
        (51.0, 100.0, None, False),
        (103.0, 100.0, None, False),
        (900.0, 100.0, None, False),
        (-0.5, None, None, True),
        (1.0, None, 600.0, True),
        (64.0, None, 600.0, False),
        (64.0, None, None, False),
    ],
)
def test_a_ready_dark_is_judged_by_its_level(
    ready: float, bias: float | None, light: float | None, lost: bool
) -> None:
    verdict = detect_ready_master_bias(ready, bias, light)
    assert bool(verdict) is lost
    assert f"{ready:.1f} ADU" in verdict.reason


def test_ready_darks_are_judged_by_their_pixels(tmp_path: Path) -> None:
    def spec(name: str, level: float, scale: float = 1.0) -> MasterSpec:
        pixels = np.random.default_rng(1).normal(level, 5, (40, 60)) * scale
        fits.PrimaryHDU(pixels.astype(np.float32)).writeto(tmp_path / name)
        return MasterSpec("dark", (InputFile.of(tmp_path / name),), 60, 40, ready=True)

    bias = spec("bias.fits", 240)
    assert ready_master_lost_bias(spec("lost.fits", 2), bias)[0]
    assert not ready_master_lost_bias(spec("holds.fits", 255), bias)[0]
    assert not ready_master_lost_bias(spec("fractions.fits", 255, 1 / 65535), bias)[0]
    gone = MasterSpec("dark", (InputFile("/nowhere/dark.fits", 1, 1),), 60, 40, ready=True)
    lost, why = ready_master_lost_bias(gone, bias)
    assert not lost and "could not be compared" in why


@pytest.mark.parametrize(
    ("light", "dark", "has_bias", "factor", "words"),
    [
        (10.0, 15.0, True, 10 / 15, "scaled by 0.667"),
        (10.0, 10.1, True, None, "agree"),
        (0.0025, 0.00249, True, None, "agree"),
        (10.0, 15.0, False, None, "no bias"),
        (10.0, 60.0, True, None, "outside"),
        (60.0, 10.0, True, None, "outside"),
        (None, 10.0, True, None, "unknown"),
        (10.0, 0.0, True, None, "unknown"),
    ],
)
def test_a_dark_is_scaled_only_over_a_bias_and_within_reason(
    light: float | None, dark: float | None, has_bias: bool, factor: float | None, words: str
) -> None:
    k, why = dark_factor(light, dark, has_bias=has_bias)
    assert k == (None if factor is None else pytest.approx(factor))
    assert words in why
