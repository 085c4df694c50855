"""The masters of a stack, loaded and ready to be applied to any rows of a frame."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import FrameError, PlanError
from astrotui.imaging.calibrate import Defects, defect_map, flat_inverse
from astrotui.imaging.types import Float32Array
from astrotui.stacking.masters import ensure_master, load_master
from astrotui.stacking.plan import Calibration, MasterSpec

Progress = Callable[[str, int, int], None]
NEUTRAL_ROWS = 704
"""Rows of the zeros and ones that stand for masters that are not there: more than any window has."""


@dataclass(eq=False)
class LoadedCalibration:
    """What is done to the frames of one group.

    Attributes
    ----------
    dark : float32 (planes, H, W), subtracted; holds the bias; None when nothing is
    inverse : float32 (planes, H, W), multiplied; None without a flat
    defects : of one plane; None when nothing is to be filled
    pedestal_free : the bias is gone, so that the sky's level is light
    names : file of each master by kind
    """

    width: int
    height: int
    dark: Float32Array | None = None
    inverse: Float32Array | None = None
    defects: Defects | None = None
    pedestal_free: bool = False
    names: dict[str, Path] = field(default_factory=dict)
    _zeros: Float32Array | None = None
    _ones: Float32Array | None = None

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return sum(a.nbytes for a in (self.dark, self.inverse, self._zeros, self._ones) if a is not None)

    def rows(self, plane: int, y0: int) -> tuple[Float32Array, int, Float32Array, int]:
        """Dark and inverse flat of a plane as (H', W) arrays, each with the row in it that is row `y0` of a frame."""
        dark, dark_y = (self._zeros, 0) if self.dark is None else (self.dark[plane], y0)
        inverse, inverse_y = (self._ones, 0) if self.inverse is None else (self.inverse[plane], y0)
        assert dark is not None and inverse is not None
        return dark, dark_y, inverse, inverse_y

    def apply(
        self, pixels: NDArray[Any], plane: int, ys: NDArray[np.intp], xs: NDArray[np.intp]
    ) -> Float32Array:
        """Calibrate pixels (rows, columns) of a frame that lie on its rows `ys` and columns `xs`."""
        values = pixels.astype(np.float32)
        if self.dark is not None:
            values -= self.dark[plane][np.ix_(ys, xs)]
        if self.inverse is not None:
            values *= self.inverse[plane][np.ix_(ys, xs)]
        values[~np.isfinite(values)] = np.nan
        return values

    def without_masters(self) -> None:
        """Make what stands for missing masters, shared by all rows."""
        rows = min(self.height, NEUTRAL_ROWS)
        if self.dark is None:
            self._zeros = np.zeros((rows, self.width), np.float32)
        if self.inverse is None:
            self._ones = np.ones((rows, self.width), np.float32)


def load_calibrations(
    calibrations: Sequence[Calibration],
    folder: Path,
    *,
    width: int,
    height: int,
    planes: int,
    cfa: str | None,
    cosmetic: bool,
    workers: int = 0,
    progress: Progress | None = None,
) -> list[LoadedCalibration]:
    """Make what is missing of the masters of a plan and load them.

    Parameters
    ----------
    folder : cache of masters
    width, height, planes, cfa : of the raw frames
    cosmetic : find defects in darks and flats

    Raises
    ------
    PlanError
        A master does not fit the frames, or a scaled dark has no bias.
    FrameError
        An input of a master cannot be used.
    """
    held: dict[str, Float32Array] = {}

    def master(spec: MasterSpec | None) -> tuple[Float32Array, Path] | None:
        if spec is None:
            return None
        digest = spec.digest()
        path = ensure_master(spec, folder, workers=workers, progress=progress)
        if digest not in held:
            held[digest] = _as_planes(load_master(path), path, width, height, planes)
        return held[digest], path

    return [_load(c, master, width, height, cfa if planes == 1 else None, cosmetic) for c in calibrations]


def _load(
    calibration: Calibration,
    master: Callable[[MasterSpec | None], tuple[Float32Array, Path] | None],
    width: int,
    height: int,
    cfa: str | None,
    cosmetic: bool,
) -> LoadedCalibration:
    dark, bias, flat = master(calibration.dark), master(calibration.bias), master(calibration.flat)
    loaded = LoadedCalibration(width, height, pedestal_free=dark is not None or bias is not None)
    for kind, found in (("dark", dark), ("bias", bias), ("flat", flat)):
        if found is not None:
            loaded.names[kind] = found[1]
    if dark is not None:
        loaded.dark = dark[0]
        if calibration.dark_scale is not None:
            if bias is None:
                raise PlanError("a dark can only be scaled over a bias, and the plan names none")
            scale = np.float32(calibration.dark_scale)
            loaded.dark = bias[0] + scale * (dark[0] - bias[0])
    elif bias is not None:
        loaded.dark = bias[0]
    if flat is not None:
        try:
            loaded.inverse = flat_inverse(flat[0], cfa)
        except ValueError as error:
            raise FrameError(flat[1], str(error)) from error
    if cosmetic and (dark is not None or flat is not None) and (dark or flat or ((),))[0].shape[0] == 1:  # type: ignore[union-attr]
        mask = defect_map(dark[0][0] if dark else None, flat[0][0] if flat else None, cfa)
        loaded.defects = Defects.of(mask)
    loaded.without_masters()
    return loaded


def _as_planes(image: Float32Array, path: Path, width: int, height: int, planes: int) -> Float32Array:
    cube = image[None] if image.ndim == 2 else image
    if cube.shape != (planes, height, width):
        raise PlanError(
            f"{path.name}: this master is {cube.shape[2]}x{cube.shape[1]} pixels in {cube.shape[0]} planes, "
            f"the frames are {width}x{height} in {planes}"
        )
    return np.ascontiguousarray(cube)
