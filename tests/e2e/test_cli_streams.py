"""Input and output that are closed, no terminal, or a reader that went away."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Shell

ASTROTUI = [sys.executable, "-m", "astrotui"]


@pytest.mark.parametrize("words", [[], ["."]])
def test_the_app_does_not_open_without_a_terminal(shell: Shell, words: list[str]) -> None:
    done = subprocess.run(
        [*ASTROTUI, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and done.stdout == ""
    assert "terminal" in done.stderr and done.stderr.count("\n") == 1


def test_no_json_of_the_app(shell: Shell) -> None:
    done = shell("--json")
    assert done.code == 2 and done.out == "" and "--json" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("words", ["frames m42 --csv", "frames m42 --json", "frames m42"])
def test_a_reader_that_went_away_is_no_failure_of_ours(shell: Shell, samples: Path, words: str) -> None:
    assert shell("index", samples / "DWARF_II").code == 0
    reader, writer = os.pipe()
    os.close(reader)  # before a byte is written, whatever the size of pipes
    try:
        done = subprocess.run(
            [*ASTROTUI, *words.split()], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [("sessions", 0), ("sessions --json", 0), ("sesions", 2)])
def test_closed_streams_are_as_if_nobody_read(
    shell: Shell, samples: Path, closed: str, words: str, code: int
) -> None:
    assert shell("index", samples / "DWARF3").code == 0
    line = f'"$0" -m astrotui {words} {closed}'
    done = subprocess.run(["sh", "-c", line, sys.executable], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done
    assert "Traceback" not in done.stdout + done.stderr
    assert shell("sessions", "--json").json[0]["lights"] == 4  # the catalogue was not written over
