"""The masters of a stack, loaded and ready to be applied to any rows of a frame."""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from astrotui.errors import FrameError, PlanError
from astrotui.imaging.calibrate import Defects, defect_map, flat_inverse
from astrotui.imaging.types import Float32Array
from astrotui.stacking.dark_scaling import choose_scale
from astrotui.stacking.masters import ensure_master, is_made, load_master, master_path
from astrotui.stacking.plan import Calibration, PlanFrame

Progress = Callable[[str, int, int], None]
_T = TypeVar("_T")
Shape = tuple[int, int, str | None]  # width, height, pattern of a mosaic
NEUTRAL_ROWS = 704
"""Rows of the zeros and ones that stand for masters that are not there: more than any window has."""


class Shaped(Protocol):
    """What has the size and pattern of a frame."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def cfa(self) -> str | None: ...


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
    dark_scale : by which the dark's signal over the bias was multiplied; None when it was not
    notes, warnings : what was decided on loading, for people
    """

    width: int
    height: int
    dark: Float32Array | None = None
    inverse: Float32Array | None = None
    defects: Defects | None = None
    pedestal_free: bool = False
    names: dict[str, Path] = field(default_factory=dict)
    dark_scale: float | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    _zeros: Float32Array | None = None
    _ones: Float32Array | None = None
    _samples: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
        dark, inverse = self._sampled(plane, ys, xs)
        if dark is not None:
            values -= dark
        if inverse is not None:
            values *= inverse
        values[~np.isfinite(values)] = np.nan
        return values

    def _sampled(
        self, plane: int, ys: NDArray[np.intp], xs: NDArray[np.intp]
    ) -> tuple[Float32Array | None, Float32Array | None]:
        """Dark and inverse flat at the crossings of rows and columns; frames of one size all ask for the same."""
        with self._lock:
            known = self._samples.get(plane)
            if known is None or not (np.array_equal(known[0], ys) and np.array_equal(known[1], xs)):
                parts = [None if m is None else m[plane][ys][:, xs] for m in (self.dark, self.inverse)]
                known = self._samples[plane] = (ys, xs, parts[0], parts[1])
        return known[2], known[3]

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
    lights: Sequence[Sequence[PlanFrame]] = (),
    shapes: Sequence[Shape] = (),
    full_scale_adu: float | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> list[LoadedCalibration]:
    """Make what is missing of the masters of a plan and load them.

    Parameters
    ----------
    folder : cache of masters
    width, height, planes, cfa : of the raw frames
    cosmetic : find defects in darks and flats
    lights : of each group, to fit the scale of its dark to
    shapes : width, height and pattern of each group's frames, where cameras differ
    full_scale_adu : level of saturation of the lights

    Raises
    ------
    PlanError
        A master does not fit the frames, or a scaled dark has no bias.
    FrameError
        An input of a master cannot be used.
    """
    cosmetic = cosmetic and planes == 1
    loader = _Loader(folder, planes, cosmetic, full_scale_adu, workers, progress)
    groups = lights or [()] * len(calibrations)
    own = shapes or [(width, height, cfa)] * len(calibrations)
    return [loader.load(*group) for group in zip(calibrations, groups, own, strict=True)]


def group_shape(frames: Sequence[Shaped], otherwise: Shape) -> Shape:
    """Width and height that all frames of a group fit into, and their pattern; `otherwise` for no frame."""
    if not frames:
        return otherwise
    return max(one.width for one in frames), max(one.height for one in frames), frames[0].cfa


class _Loader:
    """Loads the masters of groups; what several groups share is made once and held once."""

    def __init__(
        self,
        folder: Path,
        planes: int,
        cosmetic: bool,
        full_scale_adu: float | None,
        workers: int,
        progress: Progress | None,
    ) -> None:
        self._folder = folder
        self._planes = planes
        self._cosmetic = cosmetic
        self._full_scale_adu = full_scale_adu
        self._workers = workers or len(os.sched_getaffinity(0))
        self._progress = progress
        self._held: dict[tuple[object, ...], Any] = {}

    def load(self, calibration: Calibration, lights: Sequence[PlanFrame], shape: Shape) -> LoadedCalibration:
        """The masters of one group, whose frames have this shape."""
        dark, bias, flat = calibration.dark, calibration.bias, calibration.flat
        sizes = [(spec.width, spec.height) for spec in (dark, bias, flat) if spec is not None]
        size = (*(sizes or [shape[:2]])[0], self._planes)
        cfa = shape[2] if self._planes == 1 else None
        scale = None if dark is None else calibration.dark_scale
        if scale is not None and bias is None:
            raise PlanError("a dark can only be scaled over a bias, and the plan names none")
        loaded = LoadedCalibration(*size[:2], pedestal_free=dark is not None or bias is not None)
        digests: dict[str, str] = {}
        for kind, spec in calibration.applied.items():
            digests[kind] = spec.digest()
            loaded.names[kind] = ensure_master(
                spec, self._folder, workers=self._workers, progress=self._progress
            )
        under = flat.subtract if flat is not None else None
        if under is not None and under.kind == "bias" and is_made(under, self._folder):
            loaded.names.setdefault("bias", master_path(under, self._folder))  # it was taken off the flat
        images: dict[str, Float32Array] = {}  # as they are on disk, until this group is done

        def image(kind: str) -> Float32Array:
            if kind not in images:
                path = loaded.names[kind]
                images[kind] = _as_planes(load_master(path), path, *size)
            return images[kind]

        if scale is not None and size[2] == 1 and lights:
            full = lights[0].full_scale_adu or self._full_scale_adu
            chosen = choose_scale(scale, lights, image("dark")[0], image("bias")[0], cfa, full)
            scale = chosen.factor
            loaded.notes, loaded.warnings = (chosen.note,), (chosen.note,) if chosen.doubtful else ()

        loaded.dark_scale = scale

        def below() -> Float32Array:
            if scale is None:
                return image("dark" if dark is not None else "bias")
            return image("bias") + np.float32(scale) * (image("dark") - image("bias"))

        def inverse() -> Float32Array:
            try:
                return flat_inverse(image("flat"), cfa)
            except ValueError as error:
                raise FrameError(loaded.names["flat"], str(error)) from error

        def defects() -> Defects:
            planes = [image(kind)[0] if kind in digests else None for kind in ("dark", "flat")]
            return Defects.of(defect_map(planes[0], planes[1], cfa, self._workers))

        if dark is not None or bias is not None:
            key = (digests.get("dark"), digests.get("bias"), scale)
            loaded.dark = self._once(("dark", *key), below)
        if flat is not None:
            loaded.inverse = self._once(("flat", digests["flat"]), inverse)
        if self._cosmetic and (dark is not None or flat is not None):
            loaded.defects = self._once(("defects", digests.get("dark"), digests.get("flat")), defects)
        loaded.without_masters()
        return loaded

    def _once(self, key: tuple[object, ...], make: Callable[[], _T]) -> _T:
        if key not in self._held:
            self._held[key] = make()
        found: _T = self._held[key]
        return found


def _as_planes(image: Float32Array, path: Path, width: int, height: int, planes: int) -> Float32Array:
    cube = image[None] if image.ndim == 2 else image
    if cube.shape != (planes, height, width):
        raise PlanError(
            f"{path.name}: this master is {cube.shape[2]}x{cube.shape[1]} pixels in {cube.shape[0]} planes, "
            f"the frames are {width}x{height} in {planes}"
        )
    return np.ascontiguousarray(cube)
