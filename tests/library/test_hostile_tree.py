"""Trees and files that were made to break an indexer: one note or line each, and the rest is indexed."""

import json
import os
import socket
from pathlib import Path

import pytest

from astrotui.catalog.database import Catalog
from astrotui.errors import AstrotuiError
from astrotui.library.index import index_roots
from astrotui.library.listing import list_frames, list_sessions
from tests.library.conftest import WriteFrame


@pytest.fixture
def root(tmp_path: Path, write_frame: WriteFrame) -> Path:
    write_frame(tmp_path / "root" / "good" / "light_0001.fits")
    return tmp_path / "root"


def fits_with(path: Path, *cards: str) -> Path:
    start = ("SIMPLE  =                    T", "BITPIX  =                   16", "NAXIS   =                    2",
             "NAXIS1  =                    8", "NAXIS2  =                    4")  # fmt: skip
    header = "".join(c.ljust(80) for c in (*start, *cards, "END"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.ljust(-(-len(header) // 2880) * 2880).encode() + bytes(2880))
    return path


def test_names_that_are_not_utf8_are_noted(catalog: Catalog, root: Path) -> None:
    raw = os.fsencode(root)
    good = (root / "good" / "light_0001.fits").read_bytes()
    os.mkdir(raw + b"/caf\xe9")  # noqa: PTH102 - such names are bytes
    for name in (b"/caf\xe9/inside.fits", b"/good/\xff\xfe.fits"):
        with open(raw + name, "wb") as file:  # noqa: PTH123
            file.write(good)
    report = index_roots(catalog, [root])
    assert (report.frames, report.quarantined) == (1, 0)
    assert len(report.notes) == 2 and all("not UTF-8" in note for note in report.notes)
    json.dumps(report.notes).encode()
    assert index_roots(catalog, [root]).missing == 0


@pytest.mark.parametrize("place", ["itself", "above"])
def test_a_root_whose_name_is_not_utf8_is_one_clear_line(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame, place: str
) -> None:
    bad = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Teleskop-\xfc"))
    folder = bad / "inner" if place == "above" else bad
    folder.mkdir(parents=True)
    with pytest.raises(AstrotuiError, match="not UTF-8; rename it") as error:
        index_roots(catalog, [folder])
    str(error.value).encode()


def test_fifos_sockets_and_loops_do_not_stop_it(catalog: Catalog, root: Path) -> None:
    os.mkfifo(root / "pipe.fits")
    with socket.socket(socket.AF_UNIX) as unix:
        place = Path.cwd()
        os.chdir(root)  # a socket's path is short
        try:
            unix.bind("socket.fits")
        finally:
            os.chdir(place)
        (root / "good" / "loop").symlink_to(root)
        (root / "broken.fits").symlink_to(root / "nothing.fits")
        report = index_roots(catalog, [root])
    assert report.frames == 1 and report.quarantined == 0
    assert len(report.notes) == 4


@pytest.mark.parametrize(
    "card",
    [
        "GAIN    = 99999999999999999999999999999999999999",
        "XORGSUBF= 99999999999999999999999999999999999999",
        "STACKCNT= 99999999999999999999999999999999999999",
        "OFFSET  = -9999999999999999999999999999999999999",
        "EXPTIME = 1E400",
        "EXPTIME = -5",
        "EXPTIME = NaN",
        "CCD-TEMP= 1E300",
        "DATE-OBS= '0000-00-00T99:99:99'",
        "DATE-OBS= '9999-12-31T23:59:59'",
        "DATE-OBS= '0001-01-01T00:00:00'",
        "OBJECT  = '../../../../etc/passwd'",
        "OBJECT  = '" + "A" * 66 + "'",
        "FILTER  = '\x1b]0;evil\x07'",
        "RA      = 1E308",
    ],
)
def test_absurd_values_never_stop_the_rest(catalog: Catalog, root: Path, card: str) -> None:
    fits_with(root / "bad" / "one.fits", card)
    report = index_roots(catalog, [root])
    assert report.frames + report.quarantined == 2
    for session in list_sessions(catalog):
        assert "\x1b" not in repr((session.target, session.filter, session.warnings))
        list_frames(catalog, [session.id], "date+")


def test_a_huge_claim_is_quarantined(catalog: Catalog, root: Path) -> None:
    path = fits_with(root / "bad" / "huge.fits")
    path.write_bytes(path.read_bytes().replace(b"                    8", b"        4000000000000"))
    report = index_roots(catalog, [root])
    assert report.quarantined == 1 and "claims" in report.problems[0]["reason"]


def test_a_name_of_255_bytes_and_deep_folders(
    catalog: Catalog, tmp_path: Path, write_frame: WriteFrame
) -> None:
    deep = tmp_path / "root"
    for i in range(12):
        deep = deep / (f"{i:02}" + "ä" * 60)
    write_frame(deep / ("n" * 250 + ".fits"))
    assert index_roots(catalog, [tmp_path / "root"]).frames == 1
    assert index_roots(catalog, [tmp_path / "root"]).unchanged == 1
