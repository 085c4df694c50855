"""Fixtures for tests of jobs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astrotui.catalog.database import Catalog
from tests.jobs.job_helpers import Workers


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalogue."""
    with Catalog.open(tmp_path / "catalog.sqlite") as opened:
        yield opened


@pytest.fixture
def workers(catalog: Catalog) -> Iterator[Workers]:
    """Starts workers on the catalogue; they end with the test."""
    started = Workers(catalog)
    yield started
    started.end()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Where the work of tests says what it did."""
    return tmp_path / "journal.txt"
