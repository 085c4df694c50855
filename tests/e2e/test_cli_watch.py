"""Stacking live through the shell: frames arrive, workers are killed, files get in the way, and it is cancelled."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astrotui.catalog.database import Catalog
from astrotui.errors import JobError
from astrotui.jobs import queue
from tests.e2e.conftest import REPOSITORY, Shell, processes

NIGHT = "sample_sessions/DWARF_II/Astronomy/DWARF_RAW_M42_EXP_10_GAIN_60_2025-01-25-21-13-52-418"
DEADLINE_S = 600.0


def eventually(condition: Callable[[], Any]) -> Any:
    """The first true value; fails when there is none in time."""
    until = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < until, "never came true"
        time.sleep(0.02)
    return value


class Telescope:
    """Writes the frames of a sample session one by one, as a telescope does: under another name, then renamed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        shutil.copy(REPOSITORY / NIGHT / "shotsInfo.json", folder)
        self.begin_with()

    def begin_with(self, *numbers: str) -> None:
        """Let the frames of these numbers come first."""
        frames = sorted((REPOSITORY / NIGHT).glob("raw_*.fits"))
        self._frames = iter(sorted(frames, key=lambda frame: frame.stem[-4:] not in numbers))

    def shoot(self, count: int) -> None:
        """Let `count` more frames arrive."""
        for _ in range(count):
            frame = next(self._frames)
            part = self.folder / f"{frame.name}.tmp"
            part.write_bytes(frame.read_bytes())
            part.rename(self.folder / frame.name)


class Job:
    """A job as another process sees it."""

    def __init__(self, catalog: Path, job_id: int) -> None:
        self.catalog, self.id = catalog, job_id

    def look(self) -> tuple[str, str | None, dict[str, Any]]:
        """Its status, stage, and what it gave."""
        with Catalog.open(self.catalog) as opened:
            try:
                record = queue.show(opened, self.id)
            except JobError:
                return "absent", None, {}  # its command has just been started
            return record.status, record.stage, queue.result(opened, self.id)

    def facts(self) -> dict[str, Any]:
        return self.look()[2]


@pytest.fixture
def catalog(home: Path) -> Iterator[Path]:
    """An empty catalogue; nobody works on it any more when the test is over."""
    path = home / "data" / "astrotui" / "catalog.sqlite"
    Catalog.open(path).close()
    yield path
    eventually(lambda: not kill_workers(path))


def kill_workers(catalog: Path) -> list[int]:
    """Kill the workers of a catalogue; the work that they do is a fork of theirs, or ends with them."""
    found = processes(catalog, "astrotui.jobs.worker") + processes(catalog, "astrotui.jobs.work")
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


@pytest.fixture
def telescope(tmp_path: Path) -> Telescope:
    return Telescope(tmp_path / "night")


@contextmanager
def watching(*words: str | Path) -> Iterator["subprocess.Popen[str]"]:
    """`astrotui watch`, and nothing of it is left at the end."""
    command = [
        sys.executable,
        "-m",
        "astrotui",
        "watch",
        *map(str, words),
        "--poll",
        "0.1",
        "--every",
        "0.1s",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def left(folder: Path) -> list[str]:
    """Names of unfinished files."""
    return [path.name for path in folder.rglob(".*") if path.name.endswith(".part")]


def test_the_picture_grows_and_equals_a_plain_stack(
    shell: Shell, catalog: Path, telescope: Telescope, tmp_path: Path
) -> None:
    telescope.shoot(2)
    output = tmp_path / "live.fits"
    with watching(telescope.folder, "-o", output, "--frames", "7", "--json") as process:
        job = Job(catalog, 1)
        telescope.shoot(2)
        eventually(lambda: job.facts().get("round"))
        first = output.stat()
        assert job.facts()["frames_used"] >= 3 and (tmp_path / "live.png").exists()
        # In the middle of the next round, the worker is killed; the command that waits starts another.
        telescope.shoot(2)
        eventually(lambda: job.look()[1] not in (None, "watching") or job.facts()["round"] > 1)
        assert kill_workers(catalog)
        telescope.shoot(1)
        said, told = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, told
        stack = json.loads(said)
    assert stack["frames_used"] == 7 and stack["output"] == str(output) and stack["status"] == "done"
    assert stack["job_id"] == 1 and stack["preview"] == str(tmp_path / "live.png")
    assert output.stat().st_mtime_ns > first.st_mtime_ns
    assert json.loads((tmp_path / "live.json").read_text())["result"]["frames_used"] == 7
    facts = job.facts()
    assert "7 frames are in the picture" in facts["ended"] and facts["round"] >= 2
    assert re.search(rf"\d: \d frames; .* mag; FWHM [\d.]+ px; .*{tmp_path}/live.png", told)
    assert len(shell("stacks", "--json").json) == 1 and not left(tmp_path)
    assert len(list((catalog.parent / "plans").iterdir())) == 1  # not one of each round
    # A plain stack of the same frames is the same picture.
    plain = shell("stack", telescope.folder, "-o", tmp_path / "plain.fits", "--json")
    assert plain.code == 0, plain.err
    assert plain.json["reference"] == stack["reference"] and plain.json["dark"] == stack["dark"]
    for extension in (0, "COVERAGE", "REJ_LOW", "REJ_HIGH"):
        np.testing.assert_array_equal(
            fits.getdata(tmp_path / "plain.fits", extension), fits.getdata(output, extension)
        )
    # And the manifest makes it again.
    again = shell("stack", "--plan", tmp_path / "live.json", "-o", tmp_path / "again.fits", "--json")
    assert again.code == 0, again.err
    np.testing.assert_array_equal(fits.getdata(tmp_path / "again.fits"), fits.getdata(output))


def test_others_files_and_cancelling(
    shell: Shell, catalog: Path, telescope: Telescope, tmp_path: Path
) -> None:
    telescope.shoot(3)
    output = tmp_path / "live.fits"
    queued = shell(
        "watch", telescope.folder, "-o", output, "--poll", "0.1", "--every", "0.1s", "--detach", "--json"
    )
    assert queued.code == 0 and queued.json["kind"] == "watch", queued.err
    job = Job(catalog, queued.json["id"])
    try:
        eventually(lambda: job.facts().get("round"))
        # Somebody puts another file where the result was: it is left alone.
        output.unlink()
        output.write_bytes(b"mine")
        telescope.shoot(1)
        other = tmp_path / "live_2.fits"
        eventually(lambda: job.facts().get("output") == str(other) and job.facts()["round"] == 2)
        assert output.read_bytes() == b"mine" and fits.getheader(other)["STACKCNT"] == 4
        # A frame that is rejected meanwhile goes out of the picture.
        assert shell("reject", telescope.folder, "sequence:0").code == 0
        eventually(lambda: job.facts()["round"] == 3)
        assert fits.getheader(other)["STACKCNT"] == 3
        before = other.read_bytes()
        cancelled = shell("jobs", "cancel", str(job.id), "--json")
        assert cancelled.code == 0, cancelled.err
        eventually(lambda: job.look()[0] == "cancelled")
    finally:
        shell("jobs", "cancel", str(job.id))
    assert other.read_bytes() == before and output.read_bytes() == b"mine" and not left(tmp_path)
    [stack] = shell("stacks", "--json").json
    assert stack["output"] == str(other) and stack["frames_used"] == 3 and stack["status"] == "done"
    shown = shell("jobs", "show", str(job.id))
    assert shown.code == 0 and str(other) in shown.out


def test_a_poor_start_does_not_spoil_the_night(
    shell: Shell, telescope: Telescope, catalog: Path, tmp_path: Path
) -> None:
    poor = ("0024", "0027", "0036")  # clouds, clouds, a trail
    telescope.begin_with(*poor)
    telescope.shoot(3)
    queued = shell(
        "watch",
        telescope.folder,
        "-o",
        tmp_path / "live.fits",
        "--poll",
        "0.1",
        "--every",
        "0.1s",
        "--detach",
        "--json",
    )
    job = Job(catalog, queued.json["id"])
    try:
        eventually(lambda: job.facts().get("round"))
        assert Path(job.facts()["reference"]).stem[-4:] in poor
        telescope.shoot(5)
        eventually(lambda: job.facts()["round"] >= 2)
        telescope.shoot(1)
        eventually(lambda: Path(job.facts()["reference"]).stem[-4:] not in poor)
    finally:
        shell("jobs", "cancel", str(job.id))


def test_words_that_are_wrong(shell: Shell, tmp_path: Path, samples: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words, code, what in (
        (("nothing there",), 1, "no session matches"),
        ((tmp_path / "empty", "--every", "often"), 2, "--every"),
        ((tmp_path / "empty", "--for", "0s"), 2, "--for"),
        ((tmp_path / "empty", "-o", tmp_path / "live.png"), 2, ".fits"),
        ((tmp_path / "empty", "--low", "-3"), 2, "--low"),
    ):
        done = shell("watch", *words)
        assert done.code == code and what in done.err and done.err.count("\n") == 1, done.err
    # Nothing comes: it ends by itself, without a picture.
    done = shell("watch", tmp_path / "empty", "--until-idle", "1s", "--poll", "0.1")
    assert done.code == 1 and "without a picture: nothing new came for 1 s" in done.err
