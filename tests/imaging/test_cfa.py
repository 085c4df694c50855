"""Planes of a colour filter mosaic."""

import numpy as np
import pytest

from astrotui.imaging.cfa import PATTERNS, bin2, channel_of, green_half, plane_offsets


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pixel_belongs_to_the_colour_of_its_place(pattern: str) -> None:
    offsets = plane_offsets(pattern)
    assert {channel: len(places) for channel, places in offsets.items()} == {"R": 1, "G": 2, "B": 1}
    for channel, places in offsets.items():
        for dy, dx in places:
            assert channel_of(pattern, 4 + dy, 6 + dx) == channel == pattern[2 * dy + dx]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_green_half_averages_the_greens_alone(pattern: str) -> None:
    raw = np.zeros((7, 9), np.uint16)
    rng = np.random.default_rng(3)
    for y, x in np.ndindex(raw.shape):
        raw[y, x] = rng.integers(0, 65536) if channel_of(pattern, y, x) == "G" else 65535
    plane = green_half(raw, pattern)
    assert plane.dtype == np.float32
    assert plane.shape == (3, 4)
    for y, x in np.ndindex(plane.shape):
        greens = [float(raw[2 * y + dy, 2 * x + dx]) for dy, dx in plane_offsets(pattern)["G"]]
        assert plane[y, x] == pytest.approx(np.mean(greens), rel=1e-6)


def test_bin2_keeps_the_mean_and_leaves_out_an_odd_edge() -> None:
    image = np.arange(35, dtype=np.uint16).reshape(5, 7)
    np.testing.assert_allclose(bin2(image), image[:4, :6].reshape(2, 2, 3, 2).mean(axis=(1, 3)))


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="RGBG"):
        plane_offsets("RGBG")
