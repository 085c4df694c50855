"""Everything that running a stack needs, as one frozen value and one JSON file named by its digest.

A plan is self-contained: it names files, star lists, masters, recipe, band height and outputs, and never
the catalogue. The same file is what a worker runs, what a retry resumes, and the manifest beside a result.
"""

import base64
import hashlib
import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from astrotui.errors import FrameError, PlanError
from astrotui.imaging.methods import MasterMethod
from astrotui.imaging.types import StarList
from astrotui.stacking.recipe import Recipe

PLAN_VERSION = 1
ANOTHER_ISLAND = "another island"
"""Ends the reason of frames that no star connects with the reference."""

_CIRCUMSTANCES = frozenset(
    (
        "name",
        "output",
        "manifest",
        "skipped",
        "sessions",
        "band_rows",
        "memory_bytes",
        "warnings",
        "software",
        "reused",
    )
)
MasterKind = Literal["dark", "bias", "flat", "dark-flat"]


@dataclass(frozen=True)
class InputFile:
    """A file as it was when the plan was made; a changed file is refused when the plan runs."""

    path: str
    size: int
    mtime_ns: int
    hdu: int = 0

    @classmethod
    def of(cls, path: str | Path, hdu: int = 0) -> "InputFile":
        """The file at `path` as it is now."""
        status = Path(path).stat()
        return cls(str(path), status.st_size, status.st_mtime_ns, hdu)

    def verify(self) -> None:
        """Refuse a file that is no longer what was planned.

        Raises
        ------
        FrameError
            The file is gone, cannot be reached, or has another size or time of change.
        """
        try:
            status = Path(self.path).stat()
        except FileNotFoundError:
            raise FrameError(self.path, "has vanished since the stack was planned") from None
        except OSError as error:
            raise FrameError(self.path, f"cannot be reached: {error.strerror}") from error
        if (status.st_size, status.st_mtime_ns) != (self.size, self.mtime_ns):
            raise FrameError(self.path, "has changed since the stack was planned")


@dataclass(frozen=True)
class MasterSpec:
    """How to make, or recognise, one master frame.

    Attributes
    ----------
    kind : dark, bias, flat or dark-flat
    inputs : the frames to combine; one file when `ready`
    ready : the one input is a finished master of a device or program and is only read
    subtract : the master taken off each input first: a flat's own bias or dark-flat, or the bias that a
        ready master dark already lost and that the lights still have (then `add_back` is True)
    add_back : add `subtract` to a ready master instead of subtracting it
    cfa : pattern at pixel (0, 0), None for mono; flats are normalised for each of its channels
    full_scale_adu : level of saturation, None when unknown
    method : mean or median of the samples that are kept; a ready master is as it is
    """

    kind: MasterKind
    inputs: tuple[InputFile, ...]
    width: int
    height: int
    cfa: str | None = None
    ready: bool = False
    subtract: "MasterSpec | None" = None
    add_back: bool = False
    full_scale_adu: float | None = None
    method: MasterMethod = "mean"

    def digest(self) -> str:
        """Digest of inputs and settings: the name of the master in the cache."""
        return _digest({"master": 1, **_settings(asdict(self))})


@dataclass(frozen=True)
class Calibration:
    """The masters of a group of frames and how they are applied.

    `dark_scale` multiplies the dark's signal over the bias (None: the dark is subtracted as it is, bias
    included); with it, `bias` is needed. `bias` without `dark` is subtracted alone.
    """

    dark: MasterSpec | None = None
    bias: MasterSpec | None = None
    flat: MasterSpec | None = None
    dark_scale: float | None = None
    reasons: tuple[str, ...] = ()  # why these were chosen, for people

    @property
    def applied(self) -> dict[MasterKind, MasterSpec]:
        """The masters that are applied, by kind: a dark that is not scaled holds the bias already."""
        bias = self.bias if self.dark is None or self.dark_scale is not None else None
        found: dict[MasterKind, MasterSpec | None] = {"dark": self.dark, "bias": bias, "flat": self.flat}
        return {kind: spec for kind, spec in found.items() if spec is not None}


@dataclass(frozen=True, eq=False)
class PlanFrame:
    """One light of a stack.

    Attributes
    ----------
    file : the raw frame
    frame_id : its row in the catalogue that made the plan, for reports only
    calibration : index into the plan's calibrations
    stars : measured stars, brightest first, in full-sensor pixels of this frame
    background_adu, noise_adu, fwhm_px : measured on the frame (one pixel's noise, in ADU)
    fwhm_a_px, fwhm_b_px : major and minor FWHM
    score : 0 to 100
    transparency : relative to its session's reference
    date_obs : ISO 8601 UTC
    transform : the nine numbers, row by row, that lay it on the reference, as an earlier stack found them; None to
        match its stars
    """

    file: InputFile
    stars: StarList
    calibration: int = 0
    frame_id: int | None = None
    session_id: int | None = None
    width: int = 0
    height: int = 0
    cfa: str | None = None  # at pixel (0, 0) as stored
    planes: int = 1
    exposure_s: float | None = None
    date_obs: str | None = None
    background_adu: float | None = None
    noise_adu: float | None = None
    fwhm_px: float | None = None
    fwhm_a_px: float | None = None
    fwhm_b_px: float | None = None
    transparency: float | None = None
    score: float | None = None
    full_scale_adu: float | None = None  # of its camera; None for the plan's
    transform: tuple[float, ...] | None = None


@dataclass(frozen=True)
class SkippedFrame:
    """A frame that was asked for and is not in the stack."""

    path: str
    reason: str


@dataclass(frozen=True, eq=False)
class StackPlan:
    """A stack, ready to run.

    Attributes
    ----------
    reference : index into `frames`; levels and light are brought to it, and the result has its orientation
    anchor : a frame outside of the stack that gives orientation, size and field instead, as for stacks of several
        filters that are to lie on each other
    reused : how many measurements, masters and registrations were there already when the plan was made
    calibrations : masters by group of frames
    header : facts for the result's FITS header (OBJECT, RA, DEC, FILTER, FOCALLEN, XPIXSZ, INSTRUME, ...)
    wcs : FITS cards of the reference's celestial WCS, if it has one
    full_scale_adu : level of saturation of the lights
    band_rows : output rows computed at a time; part of the plan so that a rerun repeats it exactly
    memory_bytes : budget from which `band_rows` was chosen
    output, manifest : where the result and its manifest go
    private : leave site coordinates and serial numbers out of the result
    """

    name: str
    frames: tuple[PlanFrame, ...]
    reference: int
    recipe: Recipe
    output: str
    manifest: str
    width: int
    height: int
    calibrations: tuple[Calibration, ...] = (Calibration(),)
    skipped: tuple[SkippedFrame, ...] = ()
    sessions: tuple[int, ...] = ()
    cfa: str | None = None
    planes: int = 1
    full_scale_adu: float | None = None
    band_rows: int = 64
    memory_bytes: int = 1_000_000_000
    header: dict[str, Any] = field(default_factory=dict)
    wcs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    software: str = ""
    private: bool = True
    anchor: PlanFrame | None = None
    reused: dict[str, int] = field(default_factory=dict)
    version: int = PLAN_VERSION

    def digest(self) -> str:
        """Digest of the whole plan: the name of its file."""
        return _digest(self.to_dict())

    def content_digest(self) -> str:
        """Digest of what the pixels follow from: the same for a stack that is run again, wherever its result goes.

        Neither memory nor what an earlier stack spares this one changes a bit of it.
        """
        table = {name: value for name, value in self.to_dict().items() if name not in _CIRCUMSTANCES}
        frames = [*table["frames"], *([table["anchor"]] if table["anchor"] else [])]
        for frame in frames:
            del frame["transform"], frame["session_id"]
        return _digest(table)

    @property
    def base(self) -> PlanFrame:
        """The frame that the others are laid on."""
        return self.anchor or self.frames[self.reference]

    @property
    def raw_size(self) -> tuple[int, int]:
        """Width and height that every frame fits into; cameras of one stack may differ."""
        sizes = [(self.width, self.height), *((frame.width, frame.height) for frame in self.frames)]
        return max(width for width, _ in sizes), max(height for _, height in sizes)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready values, star lists as base64 of little-endian float32."""
        table = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "frames"}
        table["calibrations"] = [asdict(c) for c in self.calibrations]
        table["recipe"] = asdict(self.recipe)
        table["skipped"] = [asdict(s) for s in self.skipped]
        table["frames"] = [_frame_to_dict(frame) for frame in self.frames]
        table["anchor"] = None if self.anchor is None else _frame_to_dict(self.anchor)
        return table

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "StackPlan":
        """The plan that `to_dict` wrote."""
        if table.get("version") != PLAN_VERSION:
            raise PlanError(
                f"plan version {table.get('version')!r} is not understood; this program reads {PLAN_VERSION}"
            )
        try:
            values = dict(table)
            values["frames"] = tuple(_frame_from_dict(f) for f in table["frames"])
            values["anchor"] = _frame_from_dict(table["anchor"]) if table.get("anchor") else None
            values["calibrations"] = tuple(
                Calibration(
                    dark=_spec(c["dark"]),
                    bias=_spec(c["bias"]),
                    flat=_spec(c["flat"]),
                    dark_scale=c["dark_scale"],
                    reasons=tuple(c["reasons"]),
                )
                for c in table["calibrations"]
            )
            values["recipe"] = Recipe.from_dict(table["recipe"])
            values["skipped"] = tuple(SkippedFrame(**s) for s in table["skipped"])
            for name in ("sessions", "wcs", "warnings"):
                values[name] = tuple(table[name])
            plan = cls(**values)
            inside = 0 <= plan.reference < len(plan.frames)
            calibrated = all(0 <= frame.calibration < len(plan.calibrations) for frame in plan.frames)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PlanError(f"not a usable plan: {type(error).__name__}: {error}") from error
        if not inside:
            raise PlanError("not a usable plan: its reference frame is not among its frames")
        if not calibrated:
            raise PlanError("not a usable plan: a frame names a calibration that is not in it")
        return plan

    def save(self, folder: Path) -> tuple[Path, str]:
        """Write the plan into `folder` under its digest (atomically); returns path and digest."""
        digest = self.digest()
        path = folder / f"plan-{digest[:16]}.json"
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{path.name}.{os.getpid()}.part"
        with part.open("w", encoding="utf-8") as stream:
            json.dump(self.to_dict(), stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
        return path, digest


def load_plan(path: Path) -> StackPlan:
    """The plan stored at `path`: a plan file or the manifest beside a result."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{path}: no such plan") from None
    except (OSError, ValueError, RecursionError) as error:
        raise PlanError(f"{path}: cannot be read as a plan: {error}") from error
    if not isinstance(table, dict):
        raise PlanError(f"{path}: not a plan")
    inner = table.get("plan", table)
    if not isinstance(inner, dict):
        raise PlanError(f"{path}: not a plan")
    return StackPlan.from_dict(inner)


def _digest(table: dict[str, Any]) -> str:
    text = json.dumps(table, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _settings(master: dict[str, Any]) -> dict[str, Any]:
    """A master's settings without a method that is the mean: masters had their names before there was a choice."""
    kept = {key: value for key, value in master.items() if (key, value) != ("method", "mean")}
    if kept["subtract"] is not None:
        kept["subtract"] = _settings(kept["subtract"])
    return kept


def _finite(value: Any) -> Any:
    """`value`, or None for a number that JSON cannot say: it would come back as something else."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _frame_to_dict(frame: PlanFrame) -> dict[str, Any]:
    table = {name: _finite(getattr(frame, name)) for name in frame.__dataclass_fields__}
    table["file"] = asdict(frame.file)
    table["stars"] = base64.b64encode(frame.stars.to_bytes()).decode("ascii")
    return table


def _frame_from_dict(table: dict[str, Any]) -> PlanFrame:
    values = dict(table)
    values["file"] = InputFile(**table["file"])
    values["stars"] = StarList.from_bytes(base64.b64decode(table["stars"], validate=True))
    if values.get("transform") is not None:
        values["transform"] = tuple(float(number) for number in values["transform"])
    return PlanFrame(**values)


def _spec(table: dict[str, Any] | None) -> MasterSpec | None:
    if table is None:
        return None
    values = dict(table)
    values["inputs"] = tuple(InputFile(**f) for f in table["inputs"])
    values["subtract"] = _spec(table["subtract"])
    return MasterSpec(**values)
