"""Fixtures for every room: a home of its own for each test, real frames where they are present."""

import os
from pathlib import Path

import pytest

from astrotui.config import places

# Compiled kernels are kept between runs; numba reads this when it is first imported.
os.environ.setdefault("NUMBA_CACHE_DIR", str(places().kernels))

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty XDG folders, so that no test reads or writes the user's own."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        place = folder / name.lower()
        place.mkdir()
        monkeypatch.setenv(f"XDG_{name}_HOME", str(place))
    monkeypatch.delenv("ASTROTUI_CATALOG", raising=False)
    return folder


@pytest.fixture(scope="session")
def real_frames() -> Path:
    """A folder of frames that real telescopes wrote; tests that want it skip where it is absent."""
    folder = Path(os.environ.get("ASTROTUI_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real frames are not here ({folder}); set ASTROTUI_SHARED_DATA to have them tried")
    return folder
