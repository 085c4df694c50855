"""A catalogue and a folder of small honest frames."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astrotui.catalog.database import Catalog

REPOSITORY = Path(__file__).resolve().parents[2]
WriteFrame = Callable[..., Path]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog.open(tmp_path / "catalog" / "c.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def samples() -> Path:
    return REPOSITORY / "sample_sessions"


def _write(path: Path, *, size: tuple[int, int] = (24, 16), value: int = 500, **cards: Any) -> Path:
    pixels = np.random.default_rng(abs(hash(path.name)) % 2**32).integers(value - 20, value + 20, size[::-1])
    header = fits.Header()
    defaults = {
        "EXPTIME": 10.0, "GAIN": 60, "INSTRUME": "Cam", "IMAGETYP": "Light", "DATE-OBS": "2025-01-02T22:00:00", "OBJECT": "M 1",
    }  # fmt: skip
    for key, card in {**defaults, **{k.replace("_", "-"): v for k, v in cards.items()}}.items():
        if card is not None:
            header[key] = card
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(pixels.astype(np.uint16), header).writeto(path)
    return path


@pytest.fixture
def write_frame() -> WriteFrame:
    """`write_frame(path, size=(w, h), **cards)`: a small FITS frame; DATE_OBS stands for DATE-OBS."""
    return _write
