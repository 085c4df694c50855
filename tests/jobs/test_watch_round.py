"""Whose files a watch writes over, and what its picture is laid on."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from astropy.io import fits

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement, Root, Session
from astrotui.jobs.records import now
from astrotui.jobs.watch_round import Rounds, _identity
from astrotui.jobs.work import Work

DIGEST = "0123456789abcdef" * 4


def rounds(catalog: Catalog, folder: Path, output: str = "", **state: Any) -> Rounds:
    """Rounds of a job that has given `state` so far."""
    work = SimpleNamespace(
        catalog=catalog, job_id=1, payload={"output": output}, result=state, log=logging.getLogger("watch"),
        set_result=lambda values: None,
    )  # fmt: skip
    return Rounds(cast(Work, work), [folder])


def result(path: Path, digest: str = DIGEST) -> Path:
    """A file as a stack of that plan writes it."""
    header = fits.Header({"SWCREATE": "astrotui 0.1.0", "PLANDGST": digest[:32]})
    fits.PrimaryHDU(np.zeros((4, 4), np.float32), header).writeto(path, overwrite=True)
    return path


def test_the_first_picture_goes_where_it_was_asked_for(catalog: Catalog, tmp_path: Path) -> None:
    assert rounds(catalog, tmp_path)._output() == ""
    assert rounds(catalog, tmp_path, "/data/m51.fits")._output() == "/data/m51.fits"


def test_only_its_own_file_is_replaced(catalog: Catalog, tmp_path: Path) -> None:
    path = result(tmp_path / "m51.fits")
    own = rounds(catalog, tmp_path, output=str(path), identity=_identity(path))
    own.state["output"] = str(path)
    assert own._output() == str(path)
    path.write_bytes(b"a picture of somebody else")
    assert own._output() == str(tmp_path / "m51_2.fits")
    path.unlink()
    assert own._output() == str(path)  # it was moved away: the name is free


def test_what_a_killed_attempt_wrote_is_its_own(catalog: Catalog, tmp_path: Path) -> None:
    path = result(tmp_path / "m51.fits")
    again = rounds(catalog, tmp_path, pending=DIGEST, identity=None)
    again.state["output"] = str(path)
    assert again._is_ours(path) and again._output() == str(path)
    result(path, digest="f" * 64)  # a stack of another plan
    assert not again._is_ours(path) and again._output() == str(tmp_path / "m51_2.fits")


@pytest.mark.parametrize(
    ("scores", "better"), [((20, 60, 90), 3), ((55, 60, 90), None), ((20, 60, 70), None)]
)
def test_a_poor_reference_is_given_up_for_a_good_one(
    catalog: Catalog, tmp_path: Path, scores: tuple[int, ...], better: int | None
) -> None:
    with catalog.write() as db:
        db.add(Root(path=str(tmp_path), added=now()))
        db.add(Session(root_id=1, key="k", folder="", width=9, height=9, warnings=[], tags=[], target="M 51"))
        db.flush()
        for n, score in enumerate(scores, start=1):
            db.add(Frame(root_id=1, session_id=1, path=f"{n}.fits", size=1, mtime_ns=1, frame_type="light"))
            db.flush()
            db.add(Measurement(frame_id=n, version=1, measured=now(), stars=9, score=float(score)))
    own = rounds(catalog, tmp_path, reference=str(tmp_path / "1.fits"))
    assert own.frames(frozenset()) == {1, 2, 3}
    assert own._better_reference() == better
    assert own.frames({str(tmp_path / "2.fits")}) == {1, 3}  # what is being written stays out
