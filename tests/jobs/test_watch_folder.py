"""What a watch sees in its folders: files in flux, settled ones, its own, and a disk that is away."""

from pathlib import Path

import pytest

from astrotui.jobs.watch_folder import Folders


class Clock:
    """A time that passes when it is told to; files are written at this time too."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def write(path: Path, clock: Clock, size: int = 10, age_s: float = 0.0) -> None:
    import os

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (clock() - age_s, clock() - age_s))


def folders(place: Path, clock: Clock, own: frozenset[str] = frozenset()) -> Folders:
    return Folders([place], settle_s=2.0, own=lambda: own, clock=clock, now=clock)


def test_a_file_is_left_until_it_rests(tmp_path: Path, clock: Clock) -> None:
    looks = folders(tmp_path, clock)
    frame = tmp_path / "night" / "light_1.fits"
    write(frame, clock)
    look = looks.look()
    assert look.writing == {str(frame)} and not look.settled and look.fresh == 0 and look.news
    clock.at += 1.5
    write(frame, clock, size=20)  # it grows
    assert looks.look().writing == {str(frame)}
    clock.at += 1.9
    assert looks.look().fresh == 0
    clock.at += 0.2
    look = looks.look()
    assert look.fresh == 1 and look.news and not look.writing and set(look.settled) == {str(frame)}
    look = looks.look()
    assert look.fresh == 1 and not look.news  # still untold, but no news
    looks.told(look)
    assert looks.look().fresh == 0


def test_what_was_there_long_before_needs_no_rest(tmp_path: Path, clock: Clock) -> None:
    write(tmp_path / "light_1.fits", clock, age_s=60)
    write(tmp_path / "light_2.fits", clock, age_s=1)
    write(tmp_path / "notes.txt", clock, age_s=60)
    look = folders(tmp_path, clock).look()
    assert look.fresh == 1 and look.writing == {str(tmp_path / "light_2.fits")}


def test_changes_and_losses_are_fresh(tmp_path: Path, clock: Clock) -> None:
    first, second = tmp_path / "light_1.fits", tmp_path / "light_2.fits"
    for path in (first, second):
        write(path, clock, age_s=60)
    looks = folders(tmp_path, clock)
    looks.told(looks.look())
    first.unlink()
    write(second, clock, size=99, age_s=60)
    look = looks.look()
    assert look.fresh == 2 and look.news
    looks.told(look)
    assert looks.look().fresh == 0


def test_a_disk_that_is_away_has_lost_nothing(tmp_path: Path, clock: Clock) -> None:
    place = tmp_path / "disk"
    write(place / "light_1.fits", clock, age_s=60)
    looks = folders(place, clock)
    looks.told(looks.look())
    place.rename(tmp_path / "away")
    look = looks.look()
    assert look.absent == (place,) and look.fresh == 0 and not look.news
    (tmp_path / "away").rename(place)
    look = looks.look()
    assert not look.absent and look.fresh == 0 and not look.news


def test_its_own_result_is_no_news(tmp_path: Path, clock: Clock) -> None:
    write(tmp_path / "stack.fits", clock, age_s=60)
    looks = folders(tmp_path, clock, own=frozenset((str(tmp_path / "stack.fits"),)))
    look = looks.look()
    assert not look.settled and not look.news and look.fresh == 0
