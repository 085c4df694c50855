"""Decisions: every step can be taken back, a person's stays."""

from pathlib import Path

import pytest

from astrotui.catalog.database import Catalog
from astrotui.errors import AstrotuiError
from astrotui.library.choose import decide, redo, undo
from astrotui.library.index import index_roots
from astrotui.library.listing import list_frames
from tests.library.conftest import WriteFrame


@pytest.fixture
def ids(catalog: Catalog, tmp_path: Path, write_frame: WriteFrame) -> list[int]:
    for i in range(4):
        write_frame(tmp_path / "root" / f"{i}.fits", DATE_OBS=f"2025-01-02T22:0{i}:00")
    index_roots(catalog, [tmp_path / "root"])
    return [frame.id for frame in list_frames(catalog, [1])]


def statuses(catalog: Catalog) -> str:
    return "".join(frame.status[0] for frame in list_frames(catalog, [1]))


def test_undo_and_redo_walk_through_steps(catalog: Catalog, ids: list[int]) -> None:
    decide(catalog, ids[:2], "rejected", reasons={ids[0]: ["soft"]})
    decide(catalog, ids[1:3], "accepted")
    assert statuses(catalog) == "raau"
    undo(catalog)
    assert statuses(catalog) == "rruu"
    assert list_frames(catalog, [1])[0].reasons == ("soft",)
    undo(catalog)
    assert statuses(catalog) == "uuuu"
    with pytest.raises(AstrotuiError, match="nothing to undo"):
        undo(catalog)
    assert len(redo(catalog, 5)) == 2
    assert statuses(catalog) == "raau"
    with pytest.raises(AstrotuiError, match="nothing to redo"):
        redo(catalog)


def test_a_new_decision_ends_what_can_be_redone(catalog: Catalog, ids: list[int]) -> None:
    decide(catalog, ids[:1], "rejected")
    undo(catalog)
    decide(catalog, ids[3:], "accepted")
    with pytest.raises(AstrotuiError, match="nothing to redo"):
        redo(catalog)
    assert statuses(catalog) == "uuua"


def test_steps_survive_a_restart(catalog: Catalog, ids: list[int]) -> None:
    decide(catalog, ids, "rejected")
    path = catalog.path
    catalog.close()
    again = Catalog.open(path)
    undo(again)
    assert statuses(again) == "uuuu"
    again.close()


def test_a_preset_never_overrules_a_person(catalog: Catalog, ids: list[int]) -> None:
    decide(catalog, ids[:1], "accepted", by="person")
    choice = decide(catalog, ids, "rejected", by="preset", reasons={i: ["soft"] for i in ids})
    assert choice.changed == 3
    assert statuses(catalog) == "arrr"
    undo(catalog)
    undo(catalog)
    decide(catalog, ids, "rejected", by="preset")
    assert statuses(catalog) == "rrrr"


def test_deciding_the_same_again_is_no_step(catalog: Catalog, ids: list[int]) -> None:
    decide(catalog, ids[:1], "rejected")
    assert decide(catalog, ids[:1], "rejected").changed == 0
    undo(catalog)
    assert statuses(catalog) == "uuuu"
