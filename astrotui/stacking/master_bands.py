"""The pixels of a master: rows of all its inputs, levelled and combined, band by band."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from itertools import pairwise, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.types import Float32Array
from astrotui.stacking.plan import InputFile, MasterSpec

if TYPE_CHECKING:
    from astrotui.frames.pixels import FrameReader

BAND_BYTES = 96_000_000  # of samples held at a time, whatever the number of inputs
KAPPA = 3.0  # low and high limit of the rejection
_KEPT_OPEN = 64  # files


class Levels(Protocol):
    """What brings the inputs of a master to a common level."""

    below: Float32Array | None

    def apply(self, i: int, rows: Float32Array, y0: int) -> None:
        """Level rows (planes, rows, W) of input `i` in place; they begin at the even row `y0`."""

    def factors_by_parity(self) -> Float32Array:
        """Factors of the inputs, float32 (n, 2, 2) by parity of row and column; (0, 0, 0) without any."""


def combine_bands(
    spec: MasterSpec,
    inputs: "Inputs",
    levels: Levels,
    noise: float,
    data: Float32Array,
    pool: ThreadPoolExecutor,
    threads: int,
    band_bytes: int,
) -> Iterator[int]:
    """Combine the inputs of a master into `data`, float32 (planes, H, W); yields how many rows are done.

    Parameters
    ----------
    noise : the least sigma of the rejection
    band_bytes : memory for samples; its size and the number of threads change no bit
    """
    if len(spec.inputs) > 2 and inputs.all_stored():
        # small bands stay in the processor's cache between reading and combining
        return _combine_stored(spec, inputs, levels, noise, data[0], pool, threads, band_bytes // 4)
    return _combine_any(spec, inputs, levels, noise, data, pool, threads, band_bytes)


class Inputs:
    """Reads rows of the inputs; a few files stay open, many are opened anew so that no limit of them is met."""

    def __init__(self, files: Sequence[InputFile]) -> None:
        self._files = files
        self._stack = ExitStack()
        self._open: list[FrameReader] = []

    def __enter__(self) -> "Inputs":
        if len(self._files) <= _KEPT_OPEN:
            self._open = [self._stack.enter_context(_open(file)) for file in self._files]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def all_stored(self) -> bool:
        """Whether `read_stored` can be used for all."""
        for i in range(len(self._files)):
            with self._reader(i) as reader:
                if not getattr(reader, "stores_unsigned", False):
                    return False
        return True

    def read(self, i: int, y0: int, y1: int, into: Float32Array) -> None:
        """Rows of input `i` into a float32 array (planes, y1 - y0, W)."""
        with self._reader(i) as reader:
            into[:] = reader.read(y0, y1)

    def read_stored(self, i: int, y0: int, y1: int, into: NDArray[np.uint16]) -> None:
        """Rows of input `i` as they are stored, into a uint16 array (y1 - y0, W)."""
        with self._reader(i) as reader:
            reader.read_stored(y0, y1, into)  # type: ignore[attr-defined]  # of those that `all_stored` found

    def _reader(self, i: int) -> AbstractContextManager["FrameReader"]:
        return nullcontext(self._open[i]) if self._open else _open(self._files[i])


def _open(file: InputFile) -> "FrameReader":
    from astrotui.frames.pixels import open_frame

    return open_frame(file.path, file.hdu)


def _combine_stored(
    spec: MasterSpec,
    inputs: Inputs,
    levels: Levels,
    noise: float,
    data: Float32Array,
    pool: ThreadPoolExecutor,
    threads: int,
    band_bytes: int,
) -> Iterator[int]:
    """Combine unsigned pixels of plain FITS files without bringing them into another form; yields rows done."""
    from astrotui.imaging.combine import sorting_network
    from astrotui.imaging.master_kernels import winsorized_stored_rows

    count, net, limits = len(spec.inputs), sorting_network(len(spec.inputs)), (KAPPA, KAPPA, noise)
    median = spec.method == "median"
    bands = _bands(spec, 1, 2 * band_bytes)  # two bytes a sample instead of four
    held = np.empty(count * spec.width * max(y1 - y0 for y0, y1 in bands), np.uint16)
    below = np.zeros((0, 0), np.float32) if levels.below is None else levels.below[0]
    factors = levels.factors_by_parity()
    for y0, y1 in bands:
        cube = held[: count * spec.width * (y1 - y0)].reshape(count, y1 - y0, spec.width)

        def fill(i: int, y0: int = y0, y1: int = y1, cube: NDArray[np.uint16] = cube) -> None:
            inputs.read_stored(i, y0, y1, cube[i])

        def combine(
            piece: tuple[int, int], y0: int = y0, y1: int = y1, cube: NDArray[np.uint16] = cube
        ) -> None:
            winsorized_stored_rows(cube, piece, net, limits, median, below[y0:y1], factors, data[y0:y1])

        list(pool.map(fill, range(count)))
        list(pool.map(combine, _pieces(y1 - y0, 4 * threads)))
        yield y1


def _combine_any(
    spec: MasterSpec,
    inputs: Inputs,
    levels: Levels,
    noise: float,
    data: Float32Array,
    pool: ThreadPoolExecutor,
    threads: int,
    band_bytes: int,
) -> Iterator[int]:
    """Combine pixels of any format as float32; yields rows done."""
    planes, count = len(data), len(spec.inputs)
    combine = _combiner(count, noise, spec.method == "median")
    if any(_is_decoded_whole(file) for file in spec.inputs):
        band_bytes *= 3  # each band decodes every such file again
    bands = _bands(spec, planes, band_bytes)
    held = np.empty(planes * count * spec.width * max(y1 - y0 for y0, y1 in bands), np.float32)
    for y0, y1 in bands:
        cube = held[: planes * count * spec.width * (y1 - y0)].reshape(planes, count, y1 - y0, spec.width)

        def fill(i: int, y0: int = y0, y1: int = y1, cube: Float32Array = cube) -> None:
            inputs.read(i, y0, y1, cube[:, i])
            levels.apply(i, cube[:, i], y0)

        list(pool.map(fill, range(count)))
        for plane in range(planes):
            samples, out = cube[plane], data[plane, y0:y1]
            starts, ends = zip(*_pieces(y1 - y0, 4 * threads), strict=True)
            list(pool.map(combine, repeat(samples), starts, ends, repeat(out)))
        yield y1


def _is_decoded_whole(file: InputFile) -> bool:
    """Formats without a way to single rows: TIFF, camera raw, gzipped FITS."""
    return Path(file.path).suffix.lower() not in (".fits", ".fit", ".fts", ".fz")


def _bands(spec: MasterSpec, planes: int, band_bytes: int) -> list[tuple[int, int]]:
    """Bands of an even number of rows, so that each begins at the same place of the mosaic."""
    row_bytes = 4 * len(spec.inputs) * planes * spec.width
    rows = max(2, band_bytes // row_bytes // 2 * 2)
    return [(y0, min(y0 + rows, spec.height)) for y0 in range(0, spec.height, rows)]


def _pieces(rows: int, count: int) -> list[tuple[int, int]]:
    edges = [rows * k // count for k in range(count + 1)]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _combiner(n: int, noise: float, median: bool) -> Callable[[Float32Array, int, int, Float32Array], None]:
    """A function that combines rows begin to end of samples (n, rows, width) into (rows, width)."""
    if n <= 2:

        def mean(cube: Float32Array, begin: int, end: int, out: Float32Array) -> None:
            one, other = cube[0, begin:end], cube[-1, begin:end]
            here, there = np.isfinite(one), np.isfinite(other)
            both = np.float32(0.5) * (one + other)
            lone = np.where(here, one, np.where(there, other, np.float32(np.nan)))
            out[begin:end] = np.where(here & there, both, lone)

        return mean
    from astrotui.imaging.combine import sorting_network
    from astrotui.imaging.master_kernels import winsorized_rows

    net = sorting_network(n)

    def winsorized(cube: Float32Array, begin: int, end: int, out: Float32Array) -> None:
        winsorized_rows(cube, (begin, end), net, (KAPPA, KAPPA, noise), median, out)

    return winsorized
