"""A picture whose job died between naming it and saying so: the next attempt finds it, and takes no other's for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from astropy.io import fits

from astrotui.errors import OutputError
from astrotui.jobs.tasks import run_render
from astrotui.jobs.work import Work
from tests.jobs.job_helpers import AttemptBase


@dataclass
class Attempt(AttemptBase):
    """What `run_render` asks of its work, and what it kept."""

    payload: dict[str, Any]
    job_id: int = 5


@pytest.fixture
def payload(tmp_path: Path) -> dict[str, Any]:
    pixels = np.random.default_rng(4).normal(900, 20, (40, 60)).astype(np.float32)
    fits.PrimaryHDU(pixels).writeto(tmp_path / "stack.fits")
    return {"image": str(tmp_path / "stack.fits"), "output": str(tmp_path / "picture.png")}


def run(work: Attempt) -> None:
    run_render(cast(Work, work))


def test_the_next_attempt_finds_its_picture(payload: dict[str, Any]) -> None:
    first = Attempt(payload)
    run(first)
    output = Path(payload["output"])
    made = output.stat()
    second = Attempt(payload, attempt=2, result=first.result)
    run(second)
    assert output.stat().st_mtime_ns == made.st_mtime_ns and second.result == first.result
    assert (first.result["width"], first.result["height"]) == (60, 40)


def test_a_picture_that_is_not_its_own_is_left_alone(payload: dict[str, Any]) -> None:
    first = Attempt(payload)
    run(first)
    Path(payload["output"]).write_bytes(b"another's")
    with pytest.raises(OutputError, match="exists already"):
        run(Attempt(payload, attempt=2, result=first.result))
    assert Path(payload["output"]).read_bytes() == b"another's"


def test_a_death_before_the_name_is_made_again(payload: dict[str, Any]) -> None:
    first = Attempt(payload)
    run(first)
    Path(payload["output"]).unlink()
    second = Attempt(payload, attempt=2, result=first.result)
    run(second)
    assert Path(payload["output"]).is_file() and second.result == first.result
