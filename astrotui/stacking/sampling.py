"""Sky level and noise of a frame from a regular sample of its calibrated pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import FrameError
from astrotui.frames.pixels import open_frame
from astrotui.imaging.mapping import Lens, Mapping
from astrotui.imaging.types import Float32Array, Float64Array, Mask
from astrotui.stacking.calibration import LoadedCalibration
from astrotui.stacking.plan import PlanFrame
from astrotui.stacking.sources import is_decoded_whole

_BLOCKS = 50_000  # wanted; the median of so many has an error of half a percent of the noise


@dataclass(frozen=True, eq=False)
class FrameSample:
    """What a frame looks like on a coarse grid.

    Attributes
    ----------
    x, y : float64 (nx,), (ny,): frame pixels where the samples lie
    values : float32 (planes, ny, nx), calibrated; planes of the result, R, G, B for a mosaic
    noise : float64 (planes,), of one pixel
    """

    x: Float64Array
    y: Float64Array
    values: Float32Array
    noise: Float64Array


def sample_frame(
    frame: PlanFrame, calibration: LoadedCalibration, calibrated: bool = True, thin: int = 1
) -> FrameSample:
    """Read a sample of a frame.

    Parameters
    ----------
    calibrated : apply the masters; they must have the frame's size
    thin : keep every so many values along each axis, so that many frames fit into memory; noise rests on all

    Raises
    ------
    FrameError
        The frame is gone, has changed, is damaged, or is not of the planned size and kind.
    """
    frame.file.verify()
    across = max(4, 2 * round(float(np.sqrt(frame.width * frame.height / _BLOCKS / 3)) / 2))
    down = max(4, 3 * across // 2 * 2 if across > 4 else 4)  # rows cost a read each
    ny, nx = (frame.height - 2) // down, (frame.width - 4) // across
    if min(ny, nx) < 1:
        raise FrameError(frame.file.path, f"only {frame.width}x{frame.height} pixels")
    ys, xs = down * np.arange(ny), across * np.arange(nx)
    columns = (xs[:, None] + np.arange(4)).ravel()
    rows = (ys[:, None] + np.arange(2)).ravel()
    with open_frame(frame.file.path, frame.file.hdu) as reader:
        found = (reader.width, reader.height, reader.planes)
        if found != (frame.width, frame.height, frame.planes):
            raise FrameError(
                frame.file.path,
                f"is {found[0]}x{found[1]} pixels in {found[2]} planes, planned was "
                f"{frame.width}x{frame.height} in {frame.planes}",
            )
        if is_decoded_whole(frame.file.path):
            pixels = reader.read(0, frame.height)[..., rows, :][..., columns]
        else:
            reader.read(frame.height - 1, frame.height)  # a truncated file ends early
            pixels = np.concatenate([reader.read(y, y + 2)[..., columns] for y in ys.tolist()], axis=-2)
    if pixels.min() == pixels.max():
        raise FrameError(frame.file.path, f"every pixel has the same value, {pixels.min():g}")
    planes = pixels[None] if pixels.ndim == 2 else pixels
    blocks = np.empty((len(planes), ny, 2, nx, 4), np.float32)
    for k, plane in enumerate(planes):
        values = calibration.apply(plane, k, rows, columns) if calibrated else plane.astype(np.float32)
        blocks[k] = values.reshape(ny, 2, nx, 4)
    levels, noise = _mosaic(blocks[0], frame.cfa) if frame.cfa else _plain(blocks)
    levels = levels[:, ::thin, ::thin].copy()
    return FrameSample(
        xs[::thin].astype(np.float64) + 0.5, ys[::thin].astype(np.float64) + 0.5, levels, noise
    )


def _mosaic(blocks: Float32Array, cfa: str) -> tuple[Float32Array, Float64Array]:
    """Colors and their noise from two cells side by side, (ny, 2, nx, 4)."""
    from astrotui.imaging.cfa import plane_offsets

    levels, noise = [], []
    for places in plane_offsets(cfa).values():
        near = [blocks[:, y, :, x] for y, x in places]
        far = [blocks[:, y, :, x + 2] for y, x in places]
        levels.append(np.mean(near, axis=0))
        noise.append(difference_noise(np.stack(near) - np.stack(far)))
    return np.stack(levels).astype(np.float32), np.array(noise)


def _plain(blocks: Float32Array) -> tuple[Float32Array, Float64Array]:
    """Planes and their noise from blocks of 2x4 pixels, (planes, ny, 2, nx, 4)."""
    noise = [difference_noise(plane[..., :2] - plane[..., 2:]) for plane in blocks]
    return np.ascontiguousarray(blocks[:, :, 0, :, 0]), np.array(noise)


def difference_noise(differences: NDArray[np.floating]) -> float:
    """Noise of one of two pixels from their differences, without those that stars and defects make."""
    values = np.abs(differences[np.isfinite(differences)]).astype(np.float64)
    if not len(values):
        return 0.0
    sigma = float(np.median(values)) / 0.6745
    if sigma == 0:
        sigma = float(np.quantile(values, 0.9)) / 1.645
    for _ in range(5):
        kept = values[values <= 3 * sigma]
        if not len(kept):
            break
        sigma = float(np.sqrt(np.mean(kept**2))) / 0.98658  # of a normal distribution cut at 3 sigma
    return sigma / 2**0.5


def covered(
    sample: FrameSample, transform: Float64Array, polygon: Float64Array, lens: Lens | None = None
) -> Mask:
    """Which samples lie in an area given in reference pixels: bool (ny, nx)."""
    from astrotui.imaging.warp import project
    from astrotui.stacking.framing import inside

    x, y = np.meshgrid(sample.x, sample.y)
    if lens is not None:
        return inside(polygon, *Mapping(transform, lens).to_reference(x, y))
    return inside(polygon, *project(transform, x, y))
