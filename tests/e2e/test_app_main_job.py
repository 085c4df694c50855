"""The app at a real pseudo-terminal: the main job from the first key to the picture, and a line that drops."""

import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Job, Stack
from astrotui.jobs.owner import process_start
from tests.jobs.job_helpers import eventually

REPOSITORY = Path(__file__).resolve().parents[2]
APP = "from astrotui.cli.main import main; main()"


def start(*words: str | Path, timeout: float = 60) -> Any:
    """`astrotui WORDS` at a pseudo-terminal of 80x24."""
    return pexpect.spawn(
        sys.executable, ["-c", APP, *map(str, words)], dimensions=(24, 80), timeout=timeout, encoding="utf-8",
        cwd=str(REPOSITORY), env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
    )  # fmt: skip


def plainly(text: str) -> str:
    """A pattern for text that may be drawn in several pieces: escape sequences between words do not matter."""
    return r"(?:\x1b\[[0-9;?]*[A-Za-z]|\s)+".join(re.escape(word) for word in text.split())


@pytest.fixture
def catalog_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "catalog.sqlite"
    monkeypatch.setenv("ASTROTUI_CATALOG", str(path))
    return path


def test_from_the_first_key_to_the_picture(catalog_file: Path) -> None:
    app = start("sample_sessions")
    app.expect(plainly("16 unmeasured"))
    app.send("G\r")  # M 42 is the last session
    app.expect(plainly("16/16 kept"))
    app.send("jx")
    app.expect(plainly("15/16 kept"))
    app.send("u")
    app.expect(plainly("16/16 kept"))
    app.send("t")
    app.expect(plainly("16 of 16 frames"))
    app.send("\x13")  # ctrl+s
    app.expect(plainly("job 2 stacks; it goes on when you quit"))
    app.send("q")
    app.expect(pexpect.EOF)
    app.close()
    assert app.exitstatus == 0

    with Catalog.open(catalog_file) as catalog:  # it went on, or goes on now
        eventually(lambda: _job(catalog, 2).status == "done", 600)  # kernels are compiled

    app = start()
    app.expect("M42")
    app.send("4")
    app.expect(plainly("M42: 16 frames · done"))
    app.send("5")
    app.expect(plainly("x1 auto"))
    app.send("z")
    app.expect(plainly("x2 auto"))
    app.send("y")
    app.expect(plainly("Stack 1"))
    app.expect("manifest")  # the paths, which a terminal of 80 columns breaks anywhere
    app.send("\x11")  # ctrl+q, from within the dialog
    app.expect(pexpect.EOF)
    app.close()
    assert app.exitstatus == 0
    with Catalog.open(catalog_file) as catalog, catalog.read() as db:
        (stack,) = db.query(Stack)
    assert stack.frames_used >= 13 and Path(stack.output).exists() and Path(stack.preview or "").exists()


def test_a_terminal_that_takes_nothing_does_not_keep_keys_from_being_heard(catalog_file: Path) -> None:
    app = start("sample_sessions")
    app.expect(plainly("16 unmeasured"))
    app.send("G\r")
    app.expect(plainly("16/16 kept"))
    app.delaybeforesend = 0.03  # so that most keys are painted, and nobody reads what is
    for _ in range(100):
        app.send("G")
        app.send("g")
    app.send("x")
    with Catalog.open(catalog_file) as catalog:
        eventually(lambda: _rejected(catalog) == 1, 60)
    app.expect(plainly("15/16 kept"))  # all is painted when the terminal listens again
    app.send("\x11")
    app.expect(pexpect.EOF)
    app.close()


def _rejected(catalog: Catalog) -> int:
    with catalog.read() as db:
        return db.query(Frame).filter(Frame.target == "M42", Frame.decision == "rejected").count()


def test_a_dropped_line_leaves_nothing_behind_and_loses_nothing(catalog_file: Path) -> None:
    app = start("sample_sessions")
    app.expect(plainly("16 unmeasured"))
    app.send("G\r")
    app.expect(plainly("16/16 kept"))
    helper = eventually(lambda: _child(app.pid, "astrotui.rendering.server"))
    app.send("xxx")
    app.expect(plainly("13/16 kept"))
    os.close(app.child_fd)
    app.closed = True
    deadline = time.monotonic() + 20
    while os.waitpid(app.pid, os.WNOHANG) == (0, 0):
        assert time.monotonic() < deadline, "the app outlives its terminal"
        os.sched_yield()
    eventually(lambda: not process_start(helper))
    with Catalog.open(catalog_file) as catalog:
        assert _rejected(catalog) == 3


def _job(catalog: Catalog, job_id: int) -> Job:
    with catalog.read() as db:
        return db.get_one(Job, job_id)


def _child(pid: int, words: str) -> int | None:
    """The child of a process whose command line holds `words`."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            if words in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
    return None
