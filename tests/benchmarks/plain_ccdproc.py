"""The plain pipeline: ccdproc for masters and combination, astroalign for registration, all in memory.

    python tests/benchmarks/plain_ccdproc.py SET OUT.fits

It is what the documentation of both libraries leads to, with winsorizing replaced by ccdproc's sigma clipping.
"""

import json
import sys
import warnings
from pathlib import Path

import astroalign
import ccdproc
import numpy as np
from astropy import units
from astropy.io import fits
from astropy.nddata import CCDData
from scipy.ndimage import convolve

warnings.filterwarnings("ignore")


def read(folder: Path) -> list[CCDData]:
    """Every frame of a folder, float32, in ADU."""
    frames = []
    for path in sorted(folder.glob("*.fits")):
        with fits.open(path, memmap=False) as hdus:
            frames.append(CCDData(hdus[0].data.astype(np.float32), unit=units.adu, meta=hdus[0].header))
    return frames


def combine(frames: list[CCDData], scale: object = None) -> CCDData:
    """A master: the mean of what sigma clipping around the median leaves."""
    return ccdproc.combine(
        frames,
        method="average",
        sigma_clip=True,
        sigma_clip_low_thresh=3,
        sigma_clip_high_thresh=3,
        sigma_clip_func="median",
        sigma_clip_dev_func="mad_std",
        scale=scale,
        dtype=np.float32,
    )


def debayer(mosaic: np.ndarray, pattern: str) -> np.ndarray:
    """Bilinear interpolation of each colour, (3, height, width)."""
    square = np.array([[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]], np.float32)
    cross = np.array([[0, 0.25, 0], [0.25, 1, 0.25], [0, 0.25, 0]], np.float32)
    planes = []
    for color in "RGB":
        kernel = cross if color == "G" else square
        mask = np.zeros(mosaic.shape, np.float32)
        for place, letter in enumerate(pattern):
            if letter == color:
                mask[place // 2 :: 2, place % 2 :: 2] = 1
        planes.append(convolve(mosaic * mask, kernel) / convolve(mask, kernel))
    return np.array(planes, np.float32)


def main(folder: Path, target: Path) -> None:
    """Calibrate, debayer, register and combine the lights of a benchmark set."""
    bias = combine(read(folder / "biases"))
    dark = combine(read(folder / "darks"))
    flats = [ccdproc.subtract_bias(flat, bias) for flat in read(folder / "flats")]
    flat = combine(flats, scale=lambda a: 1 / np.ma.median(a))
    response = flat.data.copy()
    for row in (0, 1):
        for column in (0, 1):
            response[row::2, column::2] /= response[row::2, column::2].mean()
    flat = CCDData(response, unit=units.adu)
    seconds = units.s
    registered: list[np.ndarray] = []
    reference: np.ndarray | None = None
    transforms: dict[str, list[list[float]]] = {}
    names = [path.name for path in sorted((folder / "lights").glob("*.fits"))]
    for name, light in zip(names, read(folder / "lights"), strict=True):
        calibrated = ccdproc.subtract_dark(
            light, dark, dark_exposure=30 * seconds, data_exposure=30 * seconds, exposure_time=None
        )
        calibrated = ccdproc.flat_correct(calibrated, flat)
        color = debayer(calibrated.data, light.header["BAYERPAT"])
        if reference is None:
            reference = color
            registered.append(color)
            transforms[name] = np.eye(3).tolist()
            continue
        try:
            transform, _ = astroalign.find_transform(color[1], reference[1])
        except (astroalign.MaxIterError, ValueError) as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        planes = []
        for plane, like in zip(color, reference, strict=True):
            moved, outside = astroalign.apply_transform(transform, plane, like)
            planes.append(np.where(outside, np.nan, moved).astype(np.float32))
        registered.append(np.array(planes))
        transforms[name] = np.asarray(transform.params).tolist()
    result = []
    for channel in range(3):
        stack = [
            CCDData(frame[channel], unit=units.adu, mask=np.isnan(frame[channel])) for frame in registered
        ]
        level = np.nanmedian(stack[0].data)
        for frame in stack:
            frame.data += level - np.nanmedian(frame.data)
        combiner = ccdproc.Combiner(stack, dtype=np.float32)
        combiner.sigma_clipping(3, 3, func=np.ma.median)
        result.append(np.asarray(combiner.average_combine().data, np.float32))
    fits.PrimaryHDU(np.array(result)).writeto(target, overwrite=True)
    target.with_suffix(".transforms.json").write_text(
        json.dumps({"reference": names[0], "to_reference": transforms}), encoding="utf-8"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
