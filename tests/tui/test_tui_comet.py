"""The stack form takes a comet's places as the shell does."""

from pathlib import Path

import pytest

from astrotui.errors import UsageError
from astrotui.tui.stacking import form_lines, options_of
from astrotui.tui.widgets.form import Line


def typed(**values: str) -> list[Line]:
    lines = form_lines("1GB", Path("/tmp"), None)
    for line in lines:
        line.value = values.get(line.name, line.value)
    return lines


def test_places_that_were_typed_reach_the_recipe() -> None:
    recipe = options_of(typed(align="comet", comet="812,430.5@1043  845,401@1070"), "1GB")["recipe"]
    assert recipe.align == "comet"
    assert recipe.comet == ((812.0, 430.5, 1043), (845.0, 401.0, 1070))


@pytest.mark.parametrize(
    ("align", "places", "said"),
    [
        ("comet", "", "in two frames, not in 0"),
        ("comet", "812,430@1043", "in two frames, not in 1"),
        ("comet", "812,430", "write X,Y@FRAME"),
        ("auto", "812,430@1043 845,401@1070", "for --align comet"),
    ],
)
def test_what_is_wrong_with_them_is_said(align: str, places: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        options_of(typed(align=align, comet=places), "1GB")
