"""Looks: validation with names and choices, JSON, and which way up a picture stands."""

import numpy as np
import pytest

from astrotui.errors import UsageError
from astrotui.rendering.looks import CHOICES, RANGES, Look, orient, turned


def test_a_look_survives_json_and_its_digest_tells_looks_apart() -> None:
    look = Look(stretch="ghs", local=2.0, rotate=90, saturation=1.4)
    assert Look.from_dict(look.to_dict()) == look
    assert Look.from_dict({}) == Look()
    assert Look.from_dict(
        {"background-mode": "divide", "rotate": "90", "target": "0.2", "mid": None}
    ) == Look(background_mode="divide", rotate=90, target=0.2)
    assert look.digest() != Look().digest() == Look.from_dict({"white": 1}).digest()


@pytest.mark.parametrize("name", CHOICES)
def test_a_wrong_choice_names_option_and_choices(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        Look.from_dict({name: "17"})
    message = str(caught.value)
    assert f"--{name.replace('_', '-')} " in message
    assert all(str(choice) in message for choice in CHOICES[name])


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", [-1e6, 1e6, float("nan")])
def test_a_wrong_number_names_option_and_range(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"--{name} must be between"):
        Look.from_dict({name: value})


def test_other_mistakes() -> None:
    with pytest.raises(UsageError, match=r"'strech'.*stretch"):
        Look.from_dict({"strech": "mtf"})
    with pytest.raises(UsageError, match="--target needs a number"):
        Look.from_dict({"target": "bright"})
    with pytest.raises(UsageError, match=r"--black .* below --white"):
        Look(black=0.6, white=0.5)


def test_which_way_up() -> None:
    pixels = np.arange(6).reshape(2, 3)
    assert orient(pixels, Look()).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert orient(pixels, Look(), bottom_up=True).tolist() == [[3, 4, 5], [0, 1, 2]]
    assert orient(pixels, Look(rotate=90)).tolist() == [[3, 0], [4, 1], [5, 2]]
    assert orient(pixels, Look(flip="both")).tolist() == orient(pixels, Look(rotate=180)).tolist()
    assert orient(pixels, Look(rotate=90, flip="horizontal")).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert turned(3, 2, Look(rotate=270)) == (2, 3)
