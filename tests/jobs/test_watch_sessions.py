"""Which sessions of a folder are one picture."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Root, Session
from astrotui.jobs.watch_sessions import Kind

FIRST = datetime(2025, 1, 2, 22, tzinfo=UTC)
LIBRARY = Path("/library")
TONIGHT = LIBRARY / "tonight"


class Nights:
    """Sessions in a catalogue, made up."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        with catalog.write() as db:
            db.add(Root(path=str(LIBRARY), added=FIRST))

    def add(
        self, folder: str, filter_: str | None, *, days: float = 0.0, target: str = "M 51", width: int = 640
    ) -> int:
        with self.catalog.write() as db:
            when = FIRST + timedelta(days=days)
            session = Session(
                root_id=1, key=f"{folder}{filter_}{days}{target}{width}", folder=folder, target=target, filter=filter_,
                width=width, height=480, first_date=when, last_date=when, warnings=[], tags=[],
            )  # fmt: skip
            db.add(session)
            db.flush()
            db.add(
                Frame(
                    root_id=1, session_id=session.id, path=f"{folder}/{session.id}.fits", size=1, mtime_ns=1, frame_type="light"
                )
            )  # fmt: skip
            return session.id

    def chosen(self, kind: Kind, folder: Path = TONIGHT) -> list[int]:
        with self.catalog.read() as db:
            return list(kind.choose(db, [folder]).sessions)


@pytest.fixture
def nights(catalog: Catalog) -> Nights:
    return Nights(catalog)


def test_a_folder_collects_the_kind_of_its_newest_frames(nights: Nights) -> None:
    kind = Kind(())
    assert nights.chosen(kind) == []
    nights.add("elsewhere", "L", days=9)
    nights.add("tonight/red", "R")
    older = nights.add("tonight/lum", "L", days=-3)
    newest = nights.add("tonight/lum", "L", days=1)
    assert nights.chosen(kind) == [older, newest]
    # The filter wheel turns: the picture stays what it is.
    nights.add("tonight/red", "R", days=2)
    nights.add("tonight/lum", "L", days=2, width=320)
    more = nights.add("tonight", "L", days=2)
    assert nights.chosen(kind) == [older, newest, more]
    with nights.catalog.read() as db:
        aside = kind.choose(db, [TONIGHT]).aside
    assert len(aside) == 3 and "(M 51, R, 640x480): 1 frame" in aside[0]


def test_a_later_attempt_collects_the_same_kind(nights: Nights) -> None:
    first = nights.add("tonight", "L")
    kind = Kind(())
    assert nights.chosen(kind) == [first]
    nights.add("tonight", "R", days=1)
    again = Kind((), kind.to_dict())
    assert nights.chosen(again) == [first]


def test_a_named_session_goes_on_with_what_comes(nights: Nights) -> None:
    nights.add("tonight", "L", days=-1)
    named = nights.add("tonight", "L")
    nights.add("tonight", "R")
    kind = Kind([named])
    assert nights.chosen(kind) == [named]  # an older night was not asked for
    later = nights.add("tonight", "L", days=1)
    assert nights.chosen(kind) == [named, later]
