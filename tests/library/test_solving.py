"""Fields that a plate solver finds: with solve-field on an index of simulated stars where it is installed, else a stand-in."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from several_nights import HEIGHT, WIDTH, NightSpec, make_sky, read_in, write_nights

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Session
from astrotui.frames import solver
from astrotui.frames.pixels import read_image
from astrotui.frames.solver import SolveError, SolveTask, solve
from astrotui.frames.wcs import celestial_cards, read_wcs, scaled_cards, sky_field
from astrotui.imaging.quality import measure_frame
from astrotui.imaging.types import StarList
from astrotui.library.objects import objects_near, separation_deg, sky_objects
from astrotui.library.planning import make_plan
from astrotui.library.requests import request_stack
from astrotui.library.solved import solve_plan, solve_session, solve_stack
from astrotui.library.stacks import StackNames, list_stacks, record_stack
from astrotui.stacking.engine import run_plan
from astrotui.stacking.export import export_fits
from astrotui.stacking.recipe import Recipe
from sample_sessions import sky as sim

NIGHT = NightSpec("night", target="Unknown", lights=3, calibrated=False, turn=33.0)
SCALE = 2.39 / 3600


def true_wcs() -> WCS:
    """Where the simulated sky lies: about M 94."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [192.75, 41.15]
    wcs.wcs.crpix = [WIDTH / 2 + 0.5, HEIGHT / 2 + 0.5]
    wcs.wcs.cd = SCALE * np.array([[-1.0, 0.0], [0.0, 1.0]])
    return wcs


STAND_IN = """#!{python}
import sys
from pathlib import Path
words = sys.argv[1:]
Path({log!r}).open("a").write(repr(words) + "\\n")
{body}
"""
ANSWER = """
width, height = (int(words[words.index(name) + 1]) for name in ("--width", "--height"))
if words[-1].endswith("stars.fits") and Path(words[-1]).stat().st_size > 2880:
    from astropy.io import fits
    header = fits.Header()
    for key, value in dict(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=192.75, CRVAL2=41.15, CRPIX1=width / 2 + 0.5,
                           CRPIX2=height / 2 + 0.5, CD1_1=-0.000664, CD1_2=0.0, CD2_1=0.0, CD2_2=0.000664).items():
        header[key] = value
    fits.PrimaryHDU(header=header).writeto(words[words.index("--wcs") + 1])
"""


def stand_in(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch, name: str = "solve-field") -> Path:
    """An executable that is found first; what it was told is in the file that this returns."""
    folder.mkdir(exist_ok=True)
    log = folder / "told.txt"
    program = folder / name
    program.write_text(STAND_IN.format(python=sys.executable, log=str(log), body=body))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(solver, "SOLVERS", (name,))
    return log


def some_stars(count: int = 40) -> SolveTask:
    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 500, count), rng.uniform(0, 400, count)
    return SolveTask(
        x, y, np.linspace(100, 1, count), 500, 400, lambda: (np.ones((200, 250)) * np.arange(250), 2)
    )


def test_the_table_of_objects() -> None:
    table = sky_objects()
    assert len([one for one in table if one.name.startswith("M ")]) == 110
    assert len({one.name for one in table}) == len(table)
    assert all(0 <= one.ra_deg < 360 and -90 <= one.dec_deg <= 90 and one.size_arcmin > 0 for one in table)
    # What is known to be near each other, from other sources than the table.
    by_name = {one.name: one for one in table}
    for one, other, apart in (
        ("M 81", "M 82", 0.62),
        ("M 65", "M 66", 0.34),
        ("M 31", "M 110", 0.6),
        ("M 42", "M 43", 0.18),
    ):
        a, b = by_name[one], by_name[other]
        assert separation_deg(a.ra_deg, a.dec_deg, b.ra_deg, b.dec_deg) == pytest.approx(apart, abs=0.04)
    assert objects_near(83.82, -5.4, 1.0)[0].name == "M 42"
    assert objects_near(202.47, 47.2, 0.5)[0].alias == "Whirlpool Galaxy"
    assert objects_near(359.99, 67.1, 1.0)[0].name == "NGC 7822"  # over the seam
    assert objects_near(10.0, -60.0, 0.5) == []


def test_a_session_is_solved_and_named(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = stand_in(tmp_path / "bin", ANSWER, monkeypatch)
    made = write_nights(tmp_path / "target", make_sky(), NIGHT)
    ids = read_in(catalog, made)
    found = solve_session(catalog, ids["night"], tmp_path / "work", limit_s=20, name=True)
    assert found["named"] == "M 94" and found["objects"][0] == "M 94" and found["solver"] == "solve-field"
    assert found["ra_deg"] == pytest.approx(192.75) and found["scale_arcsec"] == pytest.approx(2.39, rel=1e-3)
    assert "arcsecperpix" not in log.read_text()  # headers say nothing of scale and place: no hints
    assert list((tmp_path / "work").iterdir()) == []
    with catalog.read() as db:
        session = db.query(Session).one()
        assert session.target == "M 94"
    # A stack on that frame carries its coordinates, in the file itself.
    output = tmp_path / "stack.fits"
    plan = make_plan(catalog, request_stack(catalog, [session.id], output=output, folder=tmp_path), output)
    run_plan(plan, masters=tmp_path / "masters", tag="test")
    assert plan.wcs and fits.getheader(output)["CRVAL1"] == 192.75


def test_a_stack_is_solved_and_left_as_it_is(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = write_nights(tmp_path / "target", make_sky(), NIGHT)
    read_in(catalog, made)
    output = tmp_path / "stack.fits"
    plan = make_plan(catalog, request_stack(catalog, [1], output=output, folder=tmp_path), output)
    result = run_plan(plan, masters=tmp_path / "masters", tag="test")
    record_stack(
        catalog, None, StackNames(output, tmp_path / "stack.json", None, None), plan.name, [1], result
    )
    before = output.read_bytes()
    stand_in(tmp_path / "bin", ANSWER, monkeypatch)
    found = solve_stack(catalog, 1, tmp_path / "work", limit_s=20, name=True)
    assert found["named"] == "M 94" and output.read_bytes() == before
    listed = list_stacks(catalog)[0]
    assert listed["target"] == "M 94" and listed["wcs"]["ra_deg"] == pytest.approx(192.75)
    copy = export_fits(output, tmp_path / "copy.fits", wcs=listed["wcs"]["cards"])
    with fits.open(copy) as hdus:
        assert hdus[0].header["CRVAL2"] == 41.15 and len(hdus) == 4
        np.testing.assert_array_equal(hdus[0].data, fits.getdata(output))
    assert celestial_cards(copy) and not celestial_cards(output)
    # With the setting, a plan that has no coordinates asks before it runs, and the file has them.
    asked = solve_plan(catalog, plan, tmp_path / "work", limit_s=20)
    assert asked.wcs and asked.name == "M 94" and asked.header["OBJECT"] == "M 94"


def test_hints_come_first_then_the_whole_sky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = stand_in(tmp_path / "bin", "", monkeypatch)
    task = replace(some_stars(), ra_deg=10.0, dec_deg=-5.0, scale_arcsec=2.0)
    with pytest.raises(SolveError, match="solve-field found nothing: 40 stars"):
        solve(task, tmp_path / "work", limit_s=20)
    hinted, somewhere_there, of_that_scale, blind = log.read_text().splitlines()
    assert "'--ra', '10.00000'" in hinted and "'--scale-low', '1.6'" in hinted
    # A focal length or a pointing that is wrong must not cost the other.
    assert "'--ra', '10.00000'" in somewhere_there and "degwidth" in somewhere_there
    assert "--ra" not in of_that_scale and "'--scale-low', '1.6'" in of_that_scale
    assert "--ra" not in blind and "degwidth" in blind
    log.unlink()
    with pytest.raises(SolveError):
        solve(replace(task, ra_deg=None), tmp_path / "work", limit_s=20)
    assert len(log.read_text().splitlines()) == 2
    assert list((tmp_path / "work").iterdir()) == []


def test_a_solver_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = f"""
import os, subprocess, time
child = subprocess.Popen(["sleep", "600"])
Path({str(tmp_path / "pids")!r}).write_text(f"{{os.getpid()}} {{child.pid}}")
time.sleep(600)
"""
    stand_in(tmp_path / "bin", body, monkeypatch)
    monkeypatch.setattr(solver, "_SLACK_S", 0.0)
    with pytest.raises(SolveError, match="found nothing within 2 s"):
        solve(some_stars(), tmp_path / "work", limit_s=2)
    for pid in (tmp_path / "pids").read_text().split():
        ended = time.monotonic() + 20
        while _alive(int(pid)) and time.monotonic() < ended:
            os.sched_yield()
        assert not _alive(int(pid))
    assert list((tmp_path / "work").iterdir()) == []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_killed_processes_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path / "bin", "", monkeypatch)
    left = tmp_path / "work" / "astrotui-solve-99999999-abc"
    left.mkdir(parents=True)
    own = tmp_path / "work" / f"astrotui-solve-{os.getppid()}-abc"
    own.mkdir()
    with pytest.raises(SolveError):
        solve(some_stars(), tmp_path / "work", limit_s=20)
    assert not left.exists() and own.exists()


def test_without_a_solver_and_without_stars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SolveError, match="no plate solver is installed"):
        solve(some_stars(), tmp_path / "work")
    stand_in(tmp_path / "bin", ANSWER, monkeypatch)
    with pytest.raises(SolveError, match="only 5 stars"):
        solve(some_stars(5), tmp_path / "work")


def test_astap_gets_a_picture_of_half_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = """
from astropy.io import fits
source, out = (words[words.index(name) + 1] for name in ("-f", "-o"))
assert fits.getdata(source).shape == (200, 250)
header = fits.Header()
for key, value in dict(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=10.0, CRVAL2=20.0, CRPIX1=125.5, CRPIX2=100.5,
                       CD1_1=-0.002, CD1_2=0.0, CD2_1=0.0, CD2_2=0.002).items():
    header[key] = value
fits.PrimaryHDU(header=header).writeto(out + ".wcs")
"""
    log = stand_in(tmp_path / "bin", body, monkeypatch, "astap")
    cards, name = solve(replace(some_stars(), scale_arcsec=3.6), tmp_path / "work", limit_s=20)
    field = sky_field(cards, 500, 400)
    assert name == "astap" and field.scale_arcsec == pytest.approx(3.6)
    assert (field.ra_deg, field.dec_deg) == pytest.approx((10.0, 20.0), abs=1e-6)
    assert "'-fov', '0.4000'" in log.read_text()


@pytest.mark.parametrize(
    ("program", "says", "told"),
    [
        ("solve-field", "You must list at least one index in the config file", "it has no index files"),
        ("astap_cli", "Error, no star database found at /usr/share/astap/data/ !", "No star database found"),
        ("astap", "(astap): Gtk-WARNING **: cannot open display:", "cannot open display"),
    ],
)
def test_a_solver_that_cannot_look_says_why_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, says: str, told: str
) -> None:
    log = stand_in(tmp_path / "bin", f"print({says!r})\nsys.exit(1)", monkeypatch, program)
    with pytest.raises(SolveError, match=f"{program} could not look for it: .*{told}"):
        solve(replace(some_stars(), scale_arcsec=2.0), tmp_path / "work", limit_s=20)
    assert len(log.read_text().splitlines()) == 1


def test_saturated_stars_are_among_those_that_are_looked_for() -> None:
    """They are the brightest, which catalogues of bright stars have; for registration they are left out."""
    rng = np.random.default_rng(8)
    image = rng.normal(300, 5, (400, 500))
    y, x = np.mgrid[:400, :500]
    places = [(25 + 50 * (i % 9) + i % 7, 25 + 48 * (i // 9)) for i in range(63)]
    for i, (a, b) in enumerate(places):
        image += (90_000 if i < 3 else 6000 / (1 + i)) * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 3)
    raw = image.clip(0, 4095).astype(np.uint16)
    usual = measure_frame(raw.copy(), cfa_phase=None, full_scale_adu=4095.0).star_list
    every = measure_frame(raw.copy(), cfa_phase=None, full_scale_adu=4095.0, list_saturated=True).star_list
    assert len(usual) >= 30 and len(every) == len(usual) + 3

    def has(stars: StarList, place: tuple[int, int]) -> bool:
        return bool((np.hypot(stars.x - place[0], stars.y - place[1]) < 1).any())

    assert not any(has(usual, place) for place in places[:3])
    assert all(has(every, place) for place in places[:3])
    assert (
        np.hypot(
            every.x[:3, None] - [p[0] for p in places[:3]], every.y[:3, None] - [p[1] for p in places[:3]]
        )
        .min(0)
        .max()
        < 1
    )


def test_a_distortion_that_was_not_fitted_is_not_announced(tmp_path: Path) -> None:
    header = true_wcs().to_header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    for key in ("A_ORDER", "B_ORDER"):
        header[key] = 1
    for key in ("A_0_0", "A_0_1", "A_1_0", "B_0_0", "B_0_1", "B_1_0"):
        header[key] = 0
    fits.PrimaryHDU(header=header).writeto(tmp_path / "plain.fits")
    cards = celestial_cards(tmp_path / "plain.fits")
    assert "RA---TAN'" in "".join(cards) and "SIP" not in "".join(cards) and "MJDREF" not in "".join(cards)
    header["A_ORDER"] = header["B_ORDER"] = 2
    header["A_2_0"] = 1e-6
    fits.PrimaryHDU(header=header).writeto(tmp_path / "bent.fits")
    bent = "".join(celestial_cards(tmp_path / "bent.fits"))
    assert "RA---TAN-SIP" in bent and "A_2_0" in bent


def test_a_picture_is_turned_and_mirrored_as_it_is_shown() -> None:
    """North up and east left in a file whose rows count from below; the first row is shown on top otherwise."""
    cards = tuple(str(card) for card in true_wcs().to_header().cards)
    below = sky_field(cards, WIDTH, HEIGHT, bottom_up=True)
    assert (below.rotation_deg, below.mirrored) == (0.0, False)
    above = sky_field(cards, WIDTH, HEIGHT)
    assert (abs(above.rotation_deg), above.mirrored) == (180.0, True)


def test_what_was_solved_is_believed_rather_than_what_a_mount_wrote(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path / "bin", ANSWER, monkeypatch)
    made = write_nights(tmp_path / "target", make_sky(), NIGHT)
    for path in sorted((tmp_path / "target").rglob("*.fit*")):
        with fits.open(path, mode="update") as hdus:
            hdus[0].header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=190.0, CRVAL2=40.0, CRPIX1=1.0,
                                  CRPIX2=1.0, CDELT1=0.0007, CDELT2=0.0007)  # fmt: skip
    session = read_in(catalog, made)["night"]
    output = tmp_path / "stack.fits"
    request = request_stack(catalog, [session], output=output, folder=tmp_path)
    assert any("190.0" in card for card in make_plan(catalog, request, output).wcs)
    solve_session(catalog, session, tmp_path / "work", limit_s=20, name=False)
    assert any("192.75" in card for card in make_plan(catalog, request, output).wcs)


def test_a_wcs_of_means_of_pixels() -> None:
    small = true_wcs()
    cards = tuple(str(card) for card in small.to_header().cards)
    full = read_wcs(scaled_cards(cards, 2))
    # Pixel 10 of the small image is the mean of 20 and 21 of the full one.
    np.testing.assert_allclose(
        small.wcs_pix2world([(10, 20)], 0), full.wcs_pix2world([(20.5, 40.5)], 0), atol=1e-9
    )


@pytest.mark.skipif(
    shutil.which("solve-field") is None or shutil.which("build-astrometry-index") is None,
    reason="astrometry.net is not installed",
)
def test_the_true_place_is_found(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sky = make_sky(stars=150)
    wcs = true_wcs()
    ra, dec = wcs.wcs_pix2world(sky.x, sky.y, 0)
    magnitude = 20 - 2.5 * np.log10(sky.flux[1])
    Table({"RA": ra, "DEC": dec, "MAG": magnitude}).write(tmp_path / "stars.fits")
    index = [
        "build-astrometry-index",
        "-i",
        "stars.fits",
        "-o",
        "index.fits",
        "-P",
        "0",
        "-S",
        "MAG",
        "-E",
        "-I",
        "900",
    ]
    done = subprocess.run(index, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "own.cfg").write_text(f"add_path {tmp_path}\nindex index.fits\n")
    real = shutil.which("solve-field")
    program = tmp_path / "bin" / "solve-field"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {real} --config {tmp_path / "own.cfg"} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    made = write_nights(tmp_path / "target", sky, NIGHT)
    ids = read_in(catalog, made)
    found = solve_session(catalog, ids["night"], tmp_path / "work", limit_s=60, name=True)
    assert found["named"] == "M 94" and found["scale_arcsec"] == pytest.approx(2.39, rel=2e-3)
    # In the stack, each star lies where the coordinates in its header say.
    output = tmp_path / "stack.fits"
    with catalog.read() as db:
        session = db.query(Session).one().id
    plan = make_plan(catalog, request_stack(catalog, [session], output=output, folder=tmp_path), output)
    run_plan(plan, masters=tmp_path / "masters", tag="test")
    x, y = sim.apply(made.to_frame[plan.base.file.path], sky.x, sky.y)
    inside = (x > 0) & (y > 0) & (x < WIDTH) & (y < HEIGHT)
    seen = WCS(fits.getheader(output), naxis=2).wcs_world2pix(np.stack([ra, dec], axis=1)[inside], 0)
    assert np.hypot(seen[:, 0] - x[inside], seen[:, 1] - y[inside]).max() < 0.5


@pytest.mark.parametrize(
    "recipe",
    [
        {"frame": "union"},
        {"frame": "intersection"},
        {"drizzle": 2.0, "pixfrac": 0.8},
        {"debayer": "superpixel", "frame": "union"},
    ],
    ids=lambda recipe: "-".join(map(str, recipe.values())),
)
def test_coordinates_fit_every_field_and_scale(
    catalog: Catalog, tmp_path: Path, recipe: dict[str, object]
) -> None:
    """Stars of a result lie where its header says, whatever part of the sky it shows at whatever scale."""
    made = write_nights(tmp_path / "target", make_sky(), replace(NIGHT, lights=5))
    read_in(catalog, made)
    output = tmp_path / "stack.fits"
    request = request_stack(catalog, [1], output=output, folder=tmp_path, recipe=Recipe(**recipe))
    plan = make_plan(catalog, request, output)
    # The true coordinates of the frame that all are laid on: those of the sky through its matrix.
    wcs = true_wcs()
    matrix = np.linalg.inv(made.to_frame[plan.base.file.path])
    own = WCS(naxis=2)
    own.wcs.ctype, own.wcs.crval = wcs.wcs.ctype, wcs.wcs.crval
    own.wcs.crpix = np.array(sim.apply(np.linalg.inv(matrix), *(wcs.wcs.crpix - 1))) + 1
    own.wcs.cd = wcs.wcs.cd @ matrix[:2, :2]
    plan = replace(plan, wcs=tuple(str(card) for card in own.to_header().cards))
    run_plan(plan, masters=tmp_path / "masters", tag="test")
    header, data = fits.getheader(output), read_image(output)
    found = measure_frame(data, cfa_phase=None, full_scale_adu=65535.0).star_list
    ra, dec = wcs.wcs_pix2world(made.sky.x, made.sky.y, 0)
    x, y = WCS(header, naxis=2).wcs_world2pix(ra, dec, 0)
    away = np.hypot(found.x[:15, None] - x, found.y[:15, None] - y).min(axis=1)
    assert len(away) == 15 and np.median(away) < 0.15 and away.max() < 0.5
