"""Compute one master frame from its inputs, band by band, in memory that does not grow with their number."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astrotui.errors import FrameError, PlanError
from astrotui.imaging.types import Float32Array
from astrotui.stacking.master_bands import BAND_BYTES, Inputs, combine_bands
from astrotui.stacking.plan import InputFile, MasterSpec

Progress = Callable[[str, int, int], None]
Cells = tuple[tuple[int, int], ...]

_SAMPLE_PIXELS = 250_000  # of an input, for its median and noise
_NOISE_PAIRS = 8
_SCALED_TO = 65535.0  # what programs divide by when they store 16-bit counts as 0..1


@dataclass(frozen=True, eq=False)
class MasterImage:
    """A master and what is known of it.

    Attributes
    ----------
    data : float32 array (H, W), or (3, H, W) from color inputs; ADU, a flat is 1 on average in each color
    noise : of one input's pixel, the floor under the rejection's sigma; 0 for a ready master
    method : how it was combined, for its header
    warnings : what a person should know, one line each
    """

    data: Float32Array
    noise: float
    method: str
    warnings: tuple[str, ...] = ()


def make_master(
    spec: MasterSpec,
    below: Float32Array | None,
    *,
    workers: int = 0,
    progress: Progress | None = None,
    band_bytes: int = BAND_BYTES,
) -> MasterImage:
    """Combine the inputs of `spec`, or read the ready master it names.

    Raw inputs: mean or median of what a winsorized clip with limits 3/3 keeps (two: their mean; one: itself), without
    normalization.
    Flats: `below` is taken off each, each is divided by its median in each color of the mosaic, and the
    combination by its mean in each color, so that dividing by it changes no color (grey light).

    Parameters
    ----------
    spec : what to make
    below : the master of `spec.subtract`, float32 of the same shape; None when there is none
    workers : threads; 0 for as many as there are processors
    progress : called as progress("masters", rows done, rows)
    band_bytes : memory for samples

    Raises
    ------
    FrameError
        An input has vanished, changed, cannot be read, has another size, or is a flat without light.
    PlanError
        The spec has no input.
    """
    if not spec.inputs:
        raise PlanError(f"a master {spec.kind} needs at least one frame")
    for file in spec.inputs:
        file.verify()
    if spec.ready:
        return _ready_master(spec, below)
    planes = _check_sizes(spec)
    threads = workers or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(threads) as pool, Inputs(spec.inputs) as inputs:
        levels = _Levels(spec, planes, below)
        noise = levels.measure(pool)
        data = np.empty((planes, spec.height, spec.width), np.float32)
        for done in combine_bands(spec, inputs, levels, noise, data, pool, threads, band_bytes):
            if progress is not None:
                progress("masters", done, spec.height)
    if spec.kind == "flat":
        _make_grey(data, spec.cfa if planes == 1 else None)
    method = {1: "single frame", 2: "mean"}.get(len(spec.inputs), f"winsorized {spec.method} 3/3")
    return MasterImage(data[0] if planes == 1 else data, noise, method, tuple(levels.warnings))


def sampled_median(file: InputFile) -> float:
    """Median of a regular sample of a file's rows, in ADU (see `scale_of`)."""
    from astrotui.frames.pixels import open_frame

    with open_frame(file.path, file.hdu) as reader:
        rows = _sample_rows(reader.height, reader.width)
        parts = [reader.read(y, min(y + 2, reader.height)).ravel() for y in rows]
    sample = np.concatenate(parts).astype(np.float32)
    return float(np.nanmedian(sample)) * scale_of(sample)


def scale_of(values: Float32Array) -> float:
    """65535 for a master that a program stored as fractions of full scale, 1 for one in ADU.

    Fractions stay within 1.5, where hot pixels alone lead a master in ADU beyond, and their noise is under
    0.005 (330 ADU of 16 bits), where the noise of a master in ADU is not.
    """
    finite = values[np.isfinite(values)]
    if not len(finite) or float(np.max(np.abs(finite))) > 1.5:
        return 1.0
    spread = 1.4826 * float(np.median(np.abs(finite - np.median(finite))))
    return _SCALED_TO if spread < 0.005 and bool(np.any(finite != np.rint(finite))) else 1.0


def _ready_master(spec: MasterSpec, below: Float32Array | None) -> MasterImage:
    from astrotui.frames.pixels import read_image

    file = spec.inputs[0]
    if len(spec.inputs) != 1:
        raise PlanError(f"a ready master {spec.kind} is one file, not {len(spec.inputs)}")
    data = np.array(read_image(file.path, file.hdu), np.float32)
    if data.shape[-2:] != (spec.height, spec.width):
        raise FrameError(file.path, _other_size(data.shape[-1], data.shape[-2], spec))
    warnings = []
    if not np.isfinite(data).any():
        raise FrameError(file.path, "has no valid pixel")
    method = "ready master"
    if spec.kind != "flat" and (scale := scale_of(data)) != 1.0:
        data *= np.float32(scale)
        warnings.append(f"values within 0..1 were multiplied by {scale:g}")
    if below is not None:
        if below.shape != data.shape:
            raise FrameError(file.path, "differs in size from the master that belongs to it")
        if spec.add_back:
            data += below
            method = "ready master, bias added back"
        else:
            data -= below
            method = "ready master, bias subtracted"
    if spec.kind == "flat":
        cube = data if data.ndim == 3 else data[np.newaxis]
        if not float(np.nanmedian(cube)) > 0:
            raise FrameError(file.path, "is a flat without light")
        _make_grey(cube, spec.cfa if len(cube) == 1 else None)
    return MasterImage(data, 0.0, method, tuple(warnings))


def _check_sizes(spec: MasterSpec) -> int:
    """Planes of the inputs, after making sure that all have one shape."""
    from astrotui.frames.pixels import open_frame

    planes = 0
    for file in spec.inputs:
        with open_frame(file.path, file.hdu) as reader:
            if (reader.width, reader.height) != (spec.width, spec.height):
                raise FrameError(file.path, _other_size(reader.width, reader.height, spec))
            if planes not in (0, reader.planes):
                raise FrameError(file.path, f"has {reader.planes} planes, the frames before it {planes}")
            planes = reader.planes
    return planes


def _other_size(width: int, height: int, spec: MasterSpec) -> str:
    return f"is {width}x{height}, the master {spec.kind} is to be {spec.width}x{spec.height}"


def color_cells(cfa: str | None) -> dict[str, Cells]:
    """For each color of a mosaic its (row, column) places in the 2x2 cell; one color without a mosaic.

    The two greens are one color: a flat then also evens out how they differ.
    """
    if cfa is None:
        return {"L": ((0, 0), (0, 1), (1, 0), (1, 1))}
    from astrotui.imaging.cfa import plane_offsets

    return {str(color): tuple(cells) for color, cells in plane_offsets(cfa).items()}


def _make_grey(data: Float32Array, cfa: str | None) -> None:
    """Divide planes (planes, H, W) in place by their mean, color by color."""
    for plane in data:
        for cells in color_cells(cfa).values():
            sums = np.array([_sum_and_count(plane[dy::2, dx::2]) for dy, dx in cells])
            mean = sums[:, 0].sum() / max(1.0, sums[:, 1].sum())
            for dy, dx in cells:
                plane[dy::2, dx::2] /= np.float32(mean)


def _sum_and_count(values: Float32Array) -> tuple[float, float]:
    valid = np.isfinite(values)
    return float(np.sum(values, where=valid, dtype=np.float64)), float(np.count_nonzero(valid))


def _sample_rows(height: int, width: int) -> list[int]:
    """First rows of evenly spaced pairs that hold about a fixed number of pixels."""
    pairs = max(1, height // 2)
    wanted = min(pairs, max(16, _SAMPLE_PIXELS // (2 * width)))
    return [2 * (pairs * k // wanted) for k in range(wanted)] if height > 1 else [0]


class _Levels:
    """Brings the inputs of one master to a common level, and knows their noise."""

    def __init__(self, spec: MasterSpec, planes: int, below: Float32Array | None) -> None:
        self.spec = spec
        self.planes = planes
        self.below = None if below is None else below.reshape(-1, *below.shape[-2:])
        if self.below is not None and self.below.shape != (planes, spec.height, spec.width):
            raise FrameError(spec.inputs[0].path, "differs in size from the master to be subtracted from it")
        self.is_flat = spec.kind == "flat"
        self.cells = color_cells(spec.cfa if planes == 1 else None)
        self.factors: list[dict[str, Float32Array]] = []
        self.warnings: list[str] = []

    def measure(self, pool: ThreadPoolExecutor) -> float:
        """Find each flat's level; returns the noise of one pixel of one (levelled) input."""
        count = len(self.spec.inputs)
        looked_at = range(count) if self.is_flat else range(min(count, _NOISE_PAIRS + 1))
        if count == 1 and not self.is_flat:
            return 0.0
        noises: list[float] = []
        before: Float32Array | None = None
        step = 16  # samples held at a time
        for begin in range(0, len(looked_at), step):
            batch = looked_at[begin : begin + step]
            for i, (sample, least, clipped) in zip(batch, pool.map(self._sample, batch), strict=True):
                if self.is_flat:
                    if clipped > 0.01:
                        name = Path(self.spec.inputs[i].path).name
                        self._warn(f"{name}: pixels of this flat are saturated")
                    self.factors.append(self._factors(i, sample))
                    self._scale(sample, self.factors[i])
                if before is not None and len(noises) < _NOISE_PAIRS:
                    noises.append(_pair_noise(before, sample, least))
                before = sample
        return float(np.median(noises)) if noises else 0.0

    def apply(self, i: int, rows: Float32Array, y0: int) -> None:
        """Level the rows (planes, rows, W) of input `i` in place; they begin at the even row `y0`."""
        if self.below is not None:
            rows -= self.below[:, y0 : y0 + rows.shape[1]]
        if self.is_flat:
            self._scale(rows, self.factors[i])

    def factors_by_parity(self) -> Float32Array:
        """Factors of the inputs of one plane by parity of row and column: float32 (n, 2, 2); (0, 0, 0) without any."""
        if not self.is_flat:
            return np.zeros((0, 0, 0), np.float32)
        table = np.empty((len(self.factors), 2, 2), np.float32)
        for color, cells in self.cells.items():
            for dy, dx in cells:
                table[:, dy, dx] = [factors[color][0] for factors in self.factors]
        return table

    def _scale(self, rows: Float32Array, factors: dict[str, Float32Array]) -> None:
        for color, cells in self.cells.items():
            if len(cells) == 4:
                rows *= factors[color][:, np.newaxis, np.newaxis]
                continue
            for dy, dx in cells:
                rows[:, dy::2, dx::2] *= factors[color][:, np.newaxis, np.newaxis]

    def _sample(self, i: int) -> tuple[Float32Array, float, float]:
        """Rows of an input less what belongs under it, the least noise to assume, share at full scale."""
        from astrotui.frames.pixels import open_frame

        spec, file = self.spec, self.spec.inputs[i]
        parts, below = [], []
        with open_frame(file.path, file.hdu) as reader:
            for y in _sample_rows(spec.height, spec.width):
                end = min(y + 2, spec.height)
                parts.append(reader.read(y, end).astype(np.float32).reshape(self.planes, end - y, spec.width))
                if self.below is not None:
                    below.append(self.below[:, y:end])
        sample = np.concatenate(parts, axis=1)
        least = 0.0 if self.is_flat else 0.5 * _step(sample)
        full = spec.full_scale_adu
        clipped = 0.0 if full is None else float(np.mean(sample >= 0.99 * full))
        if below:
            sample -= np.concatenate(below, axis=1)
        return sample, least, clipped

    def _factors(self, i: int, sample: Float32Array) -> dict[str, Float32Array]:
        """One over the median of each color."""
        file, full = self.spec.inputs[i], self.spec.full_scale_adu
        factors = {}
        for color, cells in self.cells.items():
            parts = [sample[:, dy::2, dx::2].reshape(self.planes, -1) for dy, dx in cells]
            values = np.concatenate(parts, axis=1)
            level = np.nanmedian(values, axis=1) if np.isfinite(values).any() else np.zeros(self.planes)
            if not (level > 0).all():
                raise FrameError(file.path, "is a flat without light")
            factors[color] = (1.0 / level).astype(np.float32)
            if full is not None and not full / 3 <= float(level.max()) <= full * 2 / 3:
                self._warn(f"flats of {level.max():.0f} ADU lie outside a third to two thirds of full scale")
        return factors

    def _warn(self, line: str) -> None:
        if line not in self.warnings and len(self.warnings) < 9:
            self.warnings.append(line)


def _step(sample: Float32Array) -> float:
    """The step between levels of whole numbers: 1, or 16 where 12 bits are stored as 16; 0 for fractions.

    Rounding is a noise of its own, and hides the rest where that is smaller than half a step.
    """
    finite = sample[np.isfinite(sample)]
    if not len(finite) or np.any(finite != np.rint(finite)):
        return 0.0
    gaps = np.diff(np.unique(finite.astype(np.int64)))
    return float(np.gcd.reduce(gaps)) if len(gaps) else 1.0


def _pair_noise(one: Float32Array, other: Float32Array, least: float) -> float:
    """Noise of one of two frames, from their difference without outliers; at least `least`."""
    difference = (one - other)[np.isfinite(one) & np.isfinite(other)].astype(np.float64)
    if not len(difference):
        return least
    difference -= np.median(difference)
    coarse = max(1.4826 * float(np.median(np.abs(difference))), least)
    kept = difference[np.abs(difference) <= 4 * coarse] if coarse > 0 else difference
    return max(float(np.std(kept)) / 2**0.5, least)
