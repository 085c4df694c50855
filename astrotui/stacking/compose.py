"""Stacks of single filters become one color picture; a dual-band stack becomes its two lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astrotui import __version__
from astrotui.errors import PlanError, UsageError
from astrotui.imaging.types import Float32Array, Float64Array, StarList
from astrotui.stacking.palettes import BALANCES, PALETTES, Balance
from astrotui.text import clean

if TYPE_CHECKING:
    from astropy.io.fits import Header

__all__ = ["BALANCES", "PALETTES", "Balance", "Composed", "ComposedChannel", "compose", "split_lines"]

_REFERENCE = {"rgb": "G", "lrgb": "L", "sho": "H", "hoo": "H"}
_RGB = {"rgb": "RGB", "lrgb": "RGB", "sho": "SHO", "hoo": "HOO"}
_ALIKE_PX = 0.05  # nearer than this at the corners, images count as lying on each other: nothing is resampled
_SCALES = (0.98, 1.02)  # images of other pixel scales are of other cameras, and refused
_CARRIED = (
    "OBJECT", "TELESCOP", "INSTRUME", "FOCALLEN", "XPIXSZ", "YPIXSZ", "XBINNING", "YBINNING", "RA", "DEC", "SATURATE",
    "BUNIT", "ROWORDER",
)  # fmt: skip


@dataclass(frozen=True)
class ComposedChannel:
    """What became of one image: its letter, where it lay on the reference, and how its levels were changed.

    `dx_px`, `dy_px` carry the image's centre onto the reference; result = (image - `sky_adu`) * `factor` + pedestal.
    """

    letter: str
    path: str
    dx_px: float
    dy_px: float
    rotation_deg: float
    sky_adu: float
    factor: float


@dataclass(frozen=True)
class Composed:
    """A written composition."""

    output: str
    palette: str
    width: int
    height: int
    channels: tuple[ComposedChannel, ...]


@dataclass(frozen=True, eq=False)
class _Image:
    """One input: its pixels (H, W) with NaN where nothing is, its header and its stars."""

    letter: str
    path: Path
    pixels: Float32Array
    header: "Header"
    stars: StarList


def compose(
    palette: str,
    paths: Sequence[Path],
    out: Path,
    *,
    balance: Balance = "auto",
    tag: str = "compose",
    overwrite: bool = False,
) -> Composed:
    """Write one color image (3, H, W) of stacks of single filters; linear, with the sky of all colors at one level.

    Every image is laid on the reference (G, L or H by palette) by its stars with Lanczos-3, unless it lies there
    already. With L, the color is what R, G and B differ from their mean, added to L: so noise of the color is not
    multiplied where there is no light.

    Parameters
    ----------
    palette : rgb, lrgb, sho or hoo
    paths : FITS images in the order of the palette's letters; hoo also takes one color stack of a dual-band filter,
        whose red is H and whose mean of green and blue is O
    balance : none leaves the images' scales; exposure makes them those of equal exposure time; fit gives their
        bright parts (99.8th percentile over the sky) one level; auto is exposure for rgb and lrgb, fit for lines

    Raises
    ------
    UsageError : the number of images is not the palette's
    FrameError : an image cannot be read
    PlanError : an image does not show the reference's field, or has another pixel scale
    OutputError : `out` cannot be written
    """
    from astrotui.frames.output import FitsWriter, check_output

    check_output(out, overwrite=overwrite)
    images = _read(palette, paths)
    reference = next(image for image in images if image.letter == _REFERENCE[palette])
    planes: dict[str, Float32Array] = {}
    channels: list[ComposedChannel] = []
    how = balance if balance != "auto" else "exposure" if palette in ("rgb", "lrgb") else "fit"
    pedestal, bright = _levels(reference.pixels)
    for image in images:
        transform = _placed(image, reference)
        sky, high = _levels(image.pixels)
        factor = _factor(how, image, reference, high - sky, bright - pedestal)
        pixels = _moved(image.pixels, transform, reference.pixels.shape)
        planes[image.letter] = (pixels - np.float32(sky)) * np.float32(factor) + np.float32(pedestal)
        dx, dy, turn = _motion(transform, image.pixels.shape)
        channels.append(ComposedChannel(image.letter, str(image.path), dx, dy, turn, sky, factor))
    color = np.stack([planes[letter] for letter in _RGB[palette]])
    if "L" in planes:
        color += planes["L"] - color.mean(axis=0)
    color[:, ~np.isfinite(color).all(axis=0)] = np.nan  # where one is missing the others have a wrong color
    cards = _cards(palette, images, reference, channels)
    with FitsWriter(out, color.shape, cards, tag=tag, overwrite=overwrite) as writer:
        writer.write_rows(None, 0, color)
        writer.commit()
    return Composed(str(out), palette, color.shape[2], color.shape[1], tuple(channels))


def split_lines(source: Path, outs: tuple[Path, Path], *, tag: str = "compose") -> None:
    """Write the two lines of a color stack taken through a dual-band filter: H alpha (red), O III (green and blue).

    Raises `PlanError` when the image has no colors, otherwise as `compose`.
    """
    from astrotui.frames.output import FitsWriter, check_output

    for out in outs:
        check_output(out)
    for image, out, name in zip(_read("hoo", [source]), outs, ("Ha", "OIII"), strict=True):
        cards = [card for card in _kept(image) if card[0] != "FILTER"]
        cards += [
            ("FILTER", name, "line, split off a dual-band stack"),
            ("IMAGETYP", "STACK", "type of image"),
        ]
        cards += [("SWCREATE", f"astrotui {__version__}", "program that made this image")]
        with FitsWriter(out, image.pixels.shape, cards, tag=tag) as writer:
            writer.write_rows(None, 0, image.pixels)
            writer.commit()


def _read(palette: str, paths: Sequence[Path]) -> list[_Image]:
    letters = PALETTES[palette]
    if palette == "hoo" and len(paths) == 1:
        pixels, header = _load(paths[0])
        if pixels.ndim != 3:
            raise PlanError(f"{clean(paths[0], 300)}: no color image, so it cannot be split into two lines")
        lines = (pixels[0], (pixels[1] + pixels[2]) / 2)
        return [_Image(k, paths[0], p, header, StarList.empty()) for k, p in zip(letters, lines, strict=True)]
    if len(paths) != len(letters):
        names = ", ".join(letters)
        raise UsageError(f"{palette} takes {len(letters)} images ({names}), not {len(paths)}")
    images = []
    for letter, path in zip(letters, paths, strict=True):
        pixels, header = _load(path)
        if pixels.ndim != 2:
            raise PlanError(f"{clean(path, 300)}: a color image; {palette} is composed of single filters")
        images.append(_Image(letter, path, pixels, header, _stars(pixels, header)))
    return images


def _load(path: Path) -> tuple[Float32Array, "Header"]:
    from astropy.io import fits

    from astrotui.frames.pixels import read_image

    return read_image(path), fits.getheader(path)


def _stars(pixels: Float32Array, header: "Header") -> StarList:
    from astrotui.imaging.quality import measure_frame

    full = header.get("SATURATE")
    measured = measure_frame(
        pixels, cfa_phase=None, full_scale_adu=full if isinstance(full, int | float) else None
    )
    return measured.star_list


def _placed(image: _Image, reference: _Image) -> Float64Array:
    """Image (x, y, 1) to reference (x, y, 1)."""
    from astrotui.imaging.register import RegistrationError, match_stars

    if image is reference or image.path == reference.path:
        return np.eye(3)
    try:
        found = match_stars(image.stars, reference.stars, shape=image.pixels.shape, scale_limits=_SCALES)
    except RegistrationError as error:
        names = f"{clean(image.path, 300)}: cannot be laid on {clean(reference.path.name, 100)}"
        raise PlanError(f"{names}: {error.reason} (another field, or another pixel scale?)") from error
    return found.transform


def _moved(pixels: Float32Array, transform: Float64Array, shape: tuple[int, ...]) -> Float32Array:
    from astrotui.imaging.resample import resample

    height, width = pixels.shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float)
    away = corners @ transform.T
    if pixels.shape == shape and np.abs(away[:, :2] / away[:, 2:] - corners[:, :2]).max() < _ALIKE_PX:
        return pixels
    return resample(pixels, transform, (shape[0], shape[1]))


def _motion(transform: Float64Array, shape: tuple[int, ...]) -> tuple[float, float, float]:
    middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2, 1.0])
    dx, dy = (transform @ middle)[:2] - middle[:2]
    return float(dx), float(dy), float(np.degrees(np.arctan2(transform[1, 0], transform[0, 0])))


def _levels(pixels: Float32Array) -> tuple[float, float]:
    """The level of the sky, and that of the bright parts."""
    seen = pixels[:: max(1, pixels.shape[0] // 1000), :: max(1, pixels.shape[1] // 1000)]
    seen = seen[np.isfinite(seen)]
    if not seen.size:
        raise PlanError("an image without a single valid pixel cannot be composed")
    sky = seen
    for _ in range(5):
        middle = np.median(sky)
        sky = sky[np.abs(sky - middle) <= 3 * 1.4826 * np.median(np.abs(sky - middle))]
    return float(np.median(sky)), float(np.percentile(seen, 99.8))


def _factor(how: str, image: _Image, reference: _Image, bright: float, wanted: float) -> float:
    if how == "none" or image is reference:
        return 1.0
    if how == "fit":
        return wanted / bright if bright > 0 else 1.0
    own, other = image.header.get("EXPTIME"), reference.header.get("EXPTIME")
    known = all(isinstance(t, int | float) and t > 0 for t in (own, other))
    return float(other) / float(own) if known else 1.0


def _kept(image: _Image) -> list[tuple[str, Any, str]]:
    from astropy.io.fits import Card

    from astrotui.frames.wcs import celestial_cards

    header = image.header
    cards = {key: (key, header[key], header.comments[key]) for key in _CARRIED if key in header}
    for text in celestial_cards(image.path):
        card = Card.fromstring(text)
        cards[card.keyword] = (card.keyword, card.value, card.comment)
    return list(cards.values())


def _cards(
    palette: str, images: Sequence[_Image], reference: _Image, channels: Sequence[ComposedChannel]
) -> list[tuple[str, Any, str]]:
    cards = _kept(reference)
    cards += [
        ("IMAGETYP", "STACK", "type of image"),
        ("PALETTE", palette.upper(), "how the colors were composed"),
    ]
    for key, comment in (("STACKCNT", "frames of all images"), ("TOTALEXP", "[s] of all images")):
        values = [image.header.get(key) for image in {image.path: image for image in images}.values()]
        if all(isinstance(value, int | float) for value in values):
            cards.append((key, sum(values), comment))
    cards.append(("SWCREATE", f"astrotui {__version__}", "program that made this image"))
    for one in channels:
        cards.append(
            (
                "HISTORY",
                f"{one.letter}: {clean(Path(one.path).name, 60)} sky {one.sky_adu:.2f} x {one.factor:.4f}",
                "",
            )
        )
    return cards
