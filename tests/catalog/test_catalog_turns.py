"""Writers queue for their turn; whoever holds it too long, or dies, stops nobody."""

import multiprocessing
import signal
import threading
from pathlib import Path

import pytest
from catalog_rows import root
from sqlalchemy import func, select

from astrotui.catalog import turns
from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Root
from astrotui.catalog.turns import turn

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite"


def test_one_at_a_time_and_the_next_after_it(path: Path) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with turn(path) as came:
            order.append(f"second {came}")

    thread = threading.Thread(target=second)
    with turn(path) as came:
        thread.start()
        waiting.wait()
        order.append(f"first {came}")
    thread.join()
    assert order == ["first True", "second True"]


def test_a_turn_that_does_not_come_is_not_waited_for_and_is_given_back(path: Path) -> None:
    with turn(path), turn(path, seconds=0.01) as came:
        assert not came
    with turn(path) as came:  # the one that gave up has left the queue
        assert came


def test_an_interrupted_wait_gives_its_turn_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(turns._Waiter):
        def start(self) -> None:
            super().start()
            raise_in_wait(self.taken)

    def raise_in_wait(event: threading.Event) -> None:
        def wait(seconds: float | None = None) -> bool:
            raise KeyboardInterrupt

        event.wait = wait  # type: ignore[method-assign]

    monkeypatch.setattr(turns, "_Waiter", Interrupted)
    with turn(path), pytest.raises(KeyboardInterrupt), turn(path):
        pytest.fail("it must not begin")
    monkeypatch.undo()
    with turn(path) as came:
        assert came


def test_a_process_that_was_forked_meanwhile_keeps_no_turn(path: Path) -> None:
    go = FORK.Event()
    child = FORK.Process(target=go.wait)
    with turn(path):
        child.start()
    with turn(path) as came:
        assert came
    go.set()
    child.join()


def test_a_dead_holder_keeps_no_turn(path: Path) -> None:
    receiver, sender = FORK.Pipe(duplex=False)

    def hold() -> None:
        with turn(path) as came:
            sender.send(came)
            threading.Event().wait()

    child = FORK.Process(target=hold)
    child.start()
    assert receiver.recv() is True
    assert child.pid is not None
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with turn(path) as came:
        assert came


def test_a_stuck_holder_does_not_stop_a_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "QUEUE_SECONDS", 0.01)
    catalog = Catalog.open(path)
    with turn(path), catalog.write() as db:
        db.add(root(path="/a"))
    with catalog.read() as db:
        assert db.scalar(select(func.count()).select_from(Root)) == 1


def test_without_a_lock_file_a_writer_goes_on(path: Path) -> None:
    catalog = Catalog.open(path)
    turns.lock_file(path).unlink()
    turns.lock_file(path).mkdir()
    with catalog.write() as db:
        db.add(root(path="/a"))
    with catalog.read() as db:
        assert db.scalar(select(func.count()).select_from(Root)) == 1
