"""A recipe accepts what can be stacked and names what cannot."""

from dataclasses import asdict

import pytest

from astrotui.errors import UsageError
from astrotui.stacking.recipe import CHOICES, DEFAULT_LIMITS, Recipe


def test_defaults_are_a_recipe_and_come_back_from_a_mapping() -> None:
    recipe = Recipe()
    assert Recipe.from_dict(asdict(recipe)) == recipe
    assert recipe.limits == (3, 3)


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_is_accepted_and_another_is_named_with_the_list(name: str) -> None:
    for choice in CHOICES[name]:
        beside = {"comet": [[10.0, 20.0, 1], [30.0, 20.0, 2]]} if choice == "comet" else {}
        assert getattr(Recipe.from_dict({name: choice, **beside}), name) == choice
    with pytest.raises(UsageError) as caught:
        Recipe.from_dict({name: "best"})
    assert f"--{name} 'best'" in str(caught.value)
    assert all(choice in str(caught.value) for choice in CHOICES[name])


@pytest.mark.parametrize("method", CHOICES["reject"])
def test_limits_fall_back_to_the_methods_own(method: str) -> None:
    assert Recipe.from_dict({"reject": method}).limits == DEFAULT_LIMITS[method]
    assert Recipe.from_dict({"reject": method, "low": 2.0}).limits == (2.0, DEFAULT_LIMITS[method][1])
    assert Recipe.from_dict({"reject": method, "high": 0.0}).limits == (DEFAULT_LIMITS[method][0], 0.0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"low": -1}, "--low"),
        ({"high": float("nan")}, "--high"),
        ({"high": float("inf")}, "--high"),
        ({"reject": "minmax", "low": 1.5}, "whole number"),
        ({"drizzle": 0.5}, "--drizzle"),
        ({"drizzle": 9}, "--drizzle"),
        ({"drizzle": float("nan")}, "--drizzle"),
        ({"drizzle": 2, "pixfrac": 0.05}, "--pixfrac must be between 0.1 and 1, not 0.05"),
        ({"drizzle": 2, "pixfrac": 1.2}, "--pixfrac"),
        ({"drizzle": 2, "pixfrac": float("nan")}, "--pixfrac"),
        ({"pixfrac": 0.5}, "--drizzle SCALE"),
        ({"drizzle": 2, "combine": "median"}, "--combine median"),
        ({"drizzle": 2, "debayer": "superpixel"}, "--debayer superpixel"),
        ({"min_score": 101}, "--min-score"),
        ({"min_score": -1}, "--min-score"),
        ({"sharpen": 1}, "sharpen"),
    ],
)
def test_what_cannot_be_is_named(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Recipe.from_dict(wrong)


def test_only_mosaics_that_are_moved_are_resampled_softly() -> None:
    assert Recipe().kernel(True) == "mitchell"
    assert Recipe().kernel(False) == Recipe(align="none").kernel(True) == "lanczos3"
    assert Recipe(debayer="bilinear").kernel(True) == Recipe(debayer="superpixel").kernel(True) == "lanczos3"
    assert Recipe(resample="bicubic").kernel(True) == "bicubic"


@pytest.mark.parametrize(
    ("choices", "mosaic", "told"),
    [
        ({"reject": "none", "low": 3.0}, True, "--low 3.0: no effect with --reject none"),
        ({"combine": "median", "reject": "sigma", "high": 2.0}, True, "--reject sigma --high 2.0: no effect, for a median"),
        ({"debayer": "bilinear"}, False, "--debayer bilinear: no effect, the frames are no color mosaics"),
        ({"align": "none", "resample": "lanczos3"}, False, "--resample lanczos3: no effect, --align none"),
        ({"drizzle": 1.5, "reject": "none", "debayer": "malvar"}, True, "--debayer malvar: no effect, a drizzle"),
    ],
)  # fmt: skip
def test_options_without_effect_are_told(choices: dict[str, object], mosaic: bool, told: str) -> None:
    [line] = Recipe(**choices).idle(mosaic=mosaic)
    assert line.startswith(told)


def test_options_with_an_effect_are_not_told_of() -> None:
    for choices in (
        {"reject": "sigma", "low": 3.0}, {"high": 4.0}, {"combine": "median"}, {"debayer": "superpixel"},
        {"align": "shift", "resample": "nearest"}, {"drizzle": 2.0, "debayer": "bilinear"}, {"reject": "none"},
    ):  # fmt: skip
        assert not Recipe(**choices).idle(mosaic=True)
