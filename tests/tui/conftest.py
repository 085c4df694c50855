"""The app on a copy of the sample sessions' catalogue, without workers and with pictures that need no helper."""

import shutil
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Job, Measurement, Root, Session
from astrotui.config import Settings
from astrotui.errors import AstrotuiError
from astrotui.library.index import index_roots
from astrotui.rendering.cells import CellPicture
from astrotui.rendering.service import View, ViewRequest
from astrotui.tui.app import AstroApp

REPOSITORY = Path(__file__).resolve().parents[2]
MEASURED = ("M42", "M 51")
BAD = (24, 27, 36)  # frames of M 42 that score low
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def sample_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample sessions, indexed; two of them with measurements, the third without."""
    path = tmp_path_factory.mktemp("samples") / "catalog.sqlite"
    with Catalog.open(path) as catalog:
        index_roots(catalog, [REPOSITORY / "sample_sessions"])
        with catalog.write() as db:
            rows = db.query(Frame, Session.target).join(Session, Frame.session_id == Session.id)
            for number, (frame, target) in enumerate(
                rows.order_by(Session.target, Frame.date_obs, Frame.path)
            ):
                if target in MEASURED:
                    bad = target == "M42" and frame.sequence in BAD
                    db.add(Measurement(
                        frame_id=frame.id, version=1, measured=NOW, stars=20 if bad else 80 + number % 7,
                        fwhm_px=2.0 + 0.1 * (number % 5), eccentricity=0.3, background_adu=300.0 + number,
                        noise_adu=10.5, transparency=0.4 if bad else 0.95 + 0.01 * (number % 4), streak=False,
                        score=15.0 + number % 3 if bad else 70.0 + number, dx_px=0.0, dy_px=0.0, rotation_deg=0.0,
                    ))  # fmt: skip
            db.query(Root).one().path = "/astro"  # the same on every machine; no test here needs the pixels
    return path


@pytest.fixture
def catalog_file(sample_catalog: Path, tmp_path: Path) -> Path:
    """A catalogue of one's own."""
    return Path(shutil.copy(sample_catalog, tmp_path / "catalog.sqlite"))


class FakePictures:
    """Answers at once with a gradient; a path that ends in `gone` fails."""

    def __init__(self) -> None:
        self.asked: list[ViewRequest] = []
        self.closed = False

    async def view(self, request: ViewRequest, *, slot: str, priority: int = 0) -> View:
        self.asked.append(request)
        if request.path.endswith("gone"):
            raise AstrotuiError(f"{request.path}: no such file")
        columns, rows = request.columns, request.rows
        palette = tuple((16 * n, 8 * n, 4 * n) for n in range(16))
        pixels = bytes((x + y) * 15 // (columns + 2 * rows) for y in range(2 * rows) for x in range(columns))
        cells = CellPicture(columns, rows, palette, pixels)
        levels = tuple(range(128)) if request.histogram else ()
        return View(
            cells, 576, 336, (0, 0, 576, 336), 1.0, histogram=(levels,) if levels else (), notes=("stretched",),
            png="/cache/picture.png" if request.png else None,
        )  # fmt: skip

    def close(self) -> None:
        self.closed = True


MakeApp = Callable[..., AstroApp]


@pytest.fixture
def make_app(catalog_file: Path, monkeypatch: pytest.MonkeyPatch) -> MakeApp:
    """`make_app()`: the app on `catalog_file`; jobs are queued and nobody runs them."""
    monkeypatch.setattr("astrotui.jobs.launch.ensure_worker", lambda catalog: None)

    def make(path: Path = catalog_file, **options: Any) -> AstroApp:
        app = AstroApp(path, settings=Settings(**options.pop("settings", {})), **options)
        app.pictures = FakePictures()  # type: ignore[assignment]
        return app

    return make


@pytest.fixture
def dialog_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of dialogs: it stands still until a test sets it."""
    now = [100.0]
    monkeypatch.setattr("astrotui.tui.screens.dialog.monotonic", lambda: now[0])
    return now


async def until(pilot: Pilot[Any], condition: Callable[[], Any], what: str = "") -> Any:
    """Let the app work until `condition` holds; fail after a time that a busy machine does not need."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        await pilot.pause(0.01)
        if value := condition():
            return value
    raise AssertionError(f"not reached: {what or condition}")


async def go(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys one after the other, as fast as the app takes them."""
    await pilot.press(*keys)


def add_job(path: Path, **values: Any) -> int:
    """Put a job into the catalogue."""
    with Catalog.open(path) as catalog, catalog.write() as db:
        job = Job(
            **{"kind": "stack", "title": "stack M42", "payload": {}, "created": NOW, "result": {}, **values}
        )
        db.add(job)
        db.flush()
        return job.id


Check = Callable[[Pilot[Any]], Awaitable[None]]
