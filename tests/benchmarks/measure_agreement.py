"""Compare astrotui's measurements of real frames with Source Extractor and photutils, which know nothing of it.

    python tests/benchmarks/measure_agreement.py [DATA] [--frames 4] [--photutils PYTHON]

DATA holds folders of frames (default: $ASTROTUI_SHARED_DATA, else ../shared/data beside the checkout). `source-extractor`
(or `sex`) is looked for on the PATH; --photutils names a Python that has photutils and astropy (a throw-away venv
will do). Peers get the plane that astrotui searches - the mean of the two greens of a mosaic, a mono frame as it is -
with its hot pixels, as they would.

For each set and peer: stars of both lists within 1.5 px (of the 60 brightest of astrotui, how many the peer has);
the median and scatter of the distance in full-sensor pixels; FWHM of both on the same stars; and the scatter of
brightness. FWHM of the peer is that of recorded pixels, so that astrotui's has the pixel added for the comparison.
Peers assume Gaussian stars, astrotui fits Moffat profiles: where stars have wings, a Gaussian reads wider. The synthetic
frames, of which the truth is known (beta 3.5), show by how much:

    python tests/benchmarks/measure_agreement.py sample_sessions
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

from stack_quality import table  # noqa: E402

Float64 = NDArray[np.float64]
BRIGHT = 60
NEAR_PX = 1.5

PARAMETERS = "XWIN_IMAGE\nYWIN_IMAGE\nFLUX_AUTO\nFLUX_RADIUS\nFWHM_IMAGE\nFLAGS\n"

PHOTUTILS = """
import json, sys, warnings
import numpy as np
from astropy.io import fits
from photutils.background import Background2D, MedianBackground
from photutils.detection import DAOStarFinder
from photutils.psf import fit_2dgaussian
warnings.simplefilter("ignore")
image = fits.getdata(sys.argv[1]).astype(float)
box = max(16, min(64, min(image.shape) // 4))
sky = Background2D(image, box, filter_size=3, bkg_estimator=MedianBackground())
image -= sky.background
found = DAOStarFinder(threshold=5 * sky.background_rms_median, fwhm=float(sys.argv[2]))(image)
if found is None:
    sys.exit("no stars found")
x, y = (np.asarray(found[axis + "centroid" if axis + "centroid" in found.colnames else axis + "_centroid"]) for axis in "xy")
flux = np.asarray(found["flux"])
keep = np.argsort(-flux)[:150]
x, y, flux = x[keep], y[keep], flux[keep]
size = 2 * int(np.ceil(max(2.0, 1.6 * float(sys.argv[2])))) + 1
inside = (x > size) & (y > size) & (x < image.shape[1] - size) & (y < image.shape[0] - size)
x, y, flux = x[inside], y[inside], flux[inside]
image = np.nan_to_num(image)
fit = fit_2dgaussian(image, xypos=list(zip(x, y)), fix_fwhm=False, fit_shape=(size, size)).results
json.dump({"x": list(map(float, fit["x_fit"])), "y": list(map(float, fit["y_fit"])), "flux": list(map(float, fit["flux_fit"])),
           "fwhm": list(map(float, fit["fwhm_fit"]))}, sys.stdout)
"""


@dataclass(frozen=True)
class Stars:
    """A list of stars in pixels of the plane."""

    x: Float64
    y: Float64
    flux: Float64
    fwhm: Float64


def source_extractor(program: str, plane: Path, fwhm: float, work: Path) -> Stars:
    """What Source Extractor finds at 5 sigma with its own filter."""
    (work / "names.param").write_text(PARAMETERS)
    (work / "gauss.conv").write_text("CONV NORM\n1 2 1\n2 4 2\n1 2 1\n")
    (work / "default.nnw").write_text("NNW\n")
    out = work / "found.cat"
    options = {
        "CATALOG_NAME": out, "CATALOG_TYPE": "ASCII", "PARAMETERS_NAME": work / "names.param",
        "FILTER_NAME": work / "gauss.conv", "DETECT_THRESH": 3, "ANALYSIS_THRESH": 3, "DETECT_MINAREA": 5,
        "VERBOSE_TYPE": "QUIET", "BACK_SIZE": 64, "STARNNW_NAME": work / "default.nnw", "SATUR_LEVEL": 60000,
    }  # fmt: skip
    words = [word for key, value in options.items() for word in (f"-{key}", str(value))]
    (work / "empty.sex").write_text("")
    subprocess.run(
        [program, str(plane), "-c", str(work / "empty.sex"), *words],
        check=True,
        capture_output=True,
        cwd=work,
    )
    rows = np.loadtxt(out, ndmin=2)
    rows = rows[(rows[:, 5] < 4) & (rows[:, 2] > 0)]
    # Its first pixel is 1; its FWHM assumes a Gaussian core; twice the half-light radius is that of a Gaussian.
    return Stars(rows[:, 0] - 1, rows[:, 1] - 1, rows[:, 2], rows[:, 4])


def photutils(python: str, plane: Path, fwhm: float, work: Path) -> Stars:
    """What photutils finds and fits with Gaussians."""
    script = work / "peer.py"
    script.write_text(PHOTUTILS)
    done = subprocess.run([python, str(script), str(plane), f"{fwhm:.3f}"], capture_output=True, text=True)
    if done.returncode:
        print(f"photutils: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return Stars(*np.empty((4, 0)))
    found = {key: np.array(values, float) for key, values in json.loads(done.stdout).items()}
    return Stars(found["x"], found["y"], found["flux"], found["fwhm"])


def plane_of(path: Path, hdu: int, cfa: str | None) -> tuple[NDArray[np.float32], int]:
    """The plane that is searched, and its step: the greens' mean, or the frame."""
    from astrotui.frames.pixels import open_frame
    from astrotui.imaging.cfa import plane_offsets

    with open_frame(path, hdu) as reader:
        image = reader.read(0, reader.height).astype(np.float32)
    if not cfa:
        return image, 1
    height, width = (n // 2 * 2 for n in image.shape)
    (ay, ax), (by, bx) = plane_offsets(cfa)["G"]
    return (image[ay:height:2, ax:width:2] + image[by:height:2, bx:width:2]) / 2, 2


def compare(
    path: Path, hdu: int, cfa: str | None, scale: float | None, peers: dict[str, Any], work: Path
) -> dict[str, Any]:
    """astrotui and its peers on one frame."""
    from astropy.io import fits
    from scipy.spatial import KDTree

    from astrotui.frames.pixels import open_frame
    from astrotui.imaging.photometry import PIXEL_FWHM2
    from astrotui.imaging.quality import measure_frame
    from astrotui.imaging.stars import GREENS_FWHM2

    with open_frame(path, hdu) as reader:
        own = measure_frame(reader.read(0, reader.height), cfa_phase=cfa, full_scale_adu=scale)
    if own.problem is not None or own.fwhm_px is None:
        return {}
    plane, step = plane_of(path, hdu, cfa)
    file = work / "plane.fits"
    fits.writeto(file, plane, overwrite=True)
    seen = float(np.sqrt(own.fwhm_px**2 + PIXEL_FWHM2 + (GREENS_FWHM2 if step == 2 else 0)))
    stars = own.star_list
    x, y = ((np.asarray(c, float) - (step - 1) / 2) / step for c in (stars.x, stars.y))
    found: dict[str, Any] = {}
    for name, run in peers.items():
        peer = run(file, seen / step, work)
        if not len(peer.x):
            continue
        peer = Stars(
            *(a[np.isfinite(peer.x + peer.y + peer.fwhm) & (peer.flux > 0)] for a in vars(peer).values())
        )
        far, which = KDTree(np.stack([peer.x, peer.y], 1)).query(np.stack([x, y], 1)[:BRIGHT])
        same = far * step < NEAR_PX
        if not same.any():
            continue
        ratio = np.log(stars.flux[:BRIGHT][same] / peer.flux[which[same]])
        dx, dy = (step * (a[:BRIGHT][same] - b[which[same]]) for a, b in ((x, peer.x), (y, peer.y)))
        found[name] = {
            "listed": min(BRIGHT, len(x)),
            "same": int(same.sum()),
            "apart": float(np.median(far[same]) * step),
            "offset": float(np.hypot(np.median(dx), np.median(dy))),
            "fwhm": step * float(np.median(peer.fwhm[which[same]])),
            "own": seen,
            "flux": 1.4826 * float(np.median(np.abs(ratio - np.median(ratio)))),
        }
    return found


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    usual = Path(os.environ.get("ASTROTUI_SHARED_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("data", type=Path, nargs="?", default=usual, help="folder of sets (%(default)s)")
    parser.add_argument("--frames", type=int, default=4, help="of each session (%(default)s)")
    parser.add_argument("--photutils", metavar="PYTHON", help="a Python that has photutils and astropy")
    options = parser.parse_args()
    peers: dict[str, Any] = {}
    program = shutil.which("source-extractor") or shutil.which("sex")
    if program is not None:
        peers["Source Extractor"] = lambda *a: source_extractor(program, *a)
    if options.photutils:
        peers["photutils"] = lambda *a: photutils(options.photutils, *a)
    if not options.data.is_dir() or not peers:
        what = (
            f"{options.data} is not here" if peers else "no source-extractor on the PATH and no --photutils"
        )
        print(f"nothing to compare: {what}", file=sys.stderr)
        return 1
    rows = [
        ("set", "peer", "frames", "same of brightest", "apart px", "offset px", "FWHM px", "peer's", "ratio", "flux scatter")
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="agreement-") as name:
        for session, frames in sessions_in(options.data, Path(name) / "c.sqlite", options.frames):
            found = [compare(*frame, peers, Path(name)) for frame in frames]
            for peer in peers:
                own = [one[peer] for one in found if peer in one]
                if own:
                    rows.append(row(session, peer, own))
    print(table(rows))
    return 0


def sessions_in(data: Path, catalog_file: Path, most: int) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """Sessions of lights below a folder: their name, and path, HDU, pattern and full scale of some frames."""
    from sqlalchemy import select

    from astrotui.catalog.database import Catalog
    from astrotui.catalog.models import Frame, Root, Session
    from astrotui.library.index import index_roots

    found = []
    with Catalog.open(catalog_file) as catalog:
        index_roots(
            catalog, [folder for folder in sorted(data.iterdir()) if folder.is_dir() and folder.name != "odd"]
        )
        with catalog.read() as db:
            for session in db.scalars(select(Session).order_by(Session.id)):
                lights = db.execute(
                    select(Frame, Root.path)
                    .join(Root, Frame.root_id == Root.id)
                    .where(Frame.session_id == session.id, Frame.quarantine.is_(None))
                    .order_by(Frame.date_obs, Frame.path)
                ).all()
                some = lights[:: -(-len(lights) // most)] if len(lights) >= 3 else []
                frames = [(Path(r) / f.path, f.hdu, f.cfa_phase, f.full_scale_adu) for f, r in some]
                if frames:
                    found.append((f"{session.target or '?'}, {session.camera or '?'}", frames))
    return found


def row(session: str, peer: str, found: list[dict[str, Any]]) -> tuple[str, ...]:
    """A line of the table: medians over the frames."""

    def middle(key: str) -> float:
        return float(np.median([one[key] for one in found]))

    same, listed = sum(one["same"] for one in found), sum(one["listed"] for one in found)
    return (
        session, peer, str(len(found)), f"{same} of {listed}", f"{middle('apart'):.3f}", f"{middle('offset'):.3f}",
        f"{middle('own'):.2f}", f"{middle('fwhm'):.2f}", f"{np.median([o['own'] / o['fwhm'] for o in found]):.2f}",
        f"{100 * middle('flux'):.1f} %",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
