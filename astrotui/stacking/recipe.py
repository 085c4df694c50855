"""How to stack: a validated set of choices with defaults that give a good picture."""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from astrotui.errors import UsageError
from astrotui.imaging.methods import DEFAULT_LIMITS, MasterMethod
from astrotui.imaging.methods import Method as Combine
from astrotui.imaging.methods import Rejection as Reject
from astrotui.stacking.comet_places import check_places

Normalize = Literal["auto", "none", "add", "multiply", "addscale", "stars"]
Weight = Literal["none", "depth", "noise", "fwhm", "stars"]
Align = Literal["auto", "none", "shift", "similarity", "affine", "homography", "comet"]
Resample = Literal["auto", "nearest", "bilinear", "bicubic", "mitchell", "lanczos3"]
Kernel = Literal["nearest", "bilinear", "bicubic", "mitchell", "lanczos3"]
Framing = Literal["reference", "union", "intersection"]
Debayer = Literal["auto", "malvar", "bilinear", "superpixel"]


@dataclass(frozen=True)
class Recipe:
    """The choices of a stack.

    Attributes
    ----------
    combine : average or median of the samples that are kept
    reject : rejection of outlying samples; `auto` decides by the number of frames
    low, high : limits of the rejection: kappas (sigma, winsorized, linear, auto), fractions of the median
        (percentile) or counts of samples (minmax); None means the method's default
    normalize : how frames are brought to one level; `auto` is `stars`, or `addscale` under 8 common stars
    weight : weights of the average
    align : the geometric model; `auto` is similarity, more where the stars ask for it; `comet` follows one
    resample : interpolation; `auto` is mitchell for mosaics that are demosaiced by gradients and moved, else lanczos3
    frame : the field of the result
    drizzle, pixfrac : output pixels per pixel each way, 1 to 3 (None: no drizzle), and size of the drops in pixels, 0.1 to 1
    cosmetic : fill defect pixels from neighbours of their colour
    master : mean or median of the samples of a master's pixel that its rejection keeps
    debayer : demosaicing of CFA frames; `auto` is malvar, and bilinear behind a dual-band filter
    min_score : frames under this score are left out (never by default)
    comet : x, y and frame id of the comet's places in two frames, for `align` comet
    """

    combine: Combine = "average"
    reject: Reject = "auto"
    low: float | None = None
    high: float | None = None
    normalize: Normalize = "auto"
    weight: Weight = "depth"
    align: Align = "auto"
    resample: Resample = "auto"
    frame: Framing = "reference"
    drizzle: float | None = None
    pixfrac: float = 1.0
    cosmetic: Literal["auto", "off"] = "auto"
    master: MasterMethod = "mean"
    debayer: Debayer = "auto"
    min_score: float | None = None
    comet: tuple[tuple[float, float, int], ...] = ()

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"--{name} {getattr(self, name)!r} is not known; choose {', '.join(choices)}"
                )
        for name in ("low", "high"):
            value = getattr(self, name)
            if value is None:
                continue
            if not 0 <= value < float("inf"):
                raise UsageError(f"--{name} must be zero or more, not {value}")
            if self.reject == "minmax" and value != int(value):
                raise UsageError(f"--{name} counts samples with --reject minmax: a whole number, not {value}")
        if self.drizzle is not None and not 1 <= self.drizzle <= 3:
            raise UsageError(f"--drizzle must be between 1 and 3, not {self.drizzle:g}")
        if not 0.1 <= self.pixfrac <= 1:
            raise UsageError(f"--pixfrac must be between 0.1 and 1, not {self.pixfrac:g}")
        if self.drizzle is None:
            if self.pixfrac != 1:
                raise UsageError("--pixfrac is the size of a drizzle's drops: it needs --drizzle SCALE")
        elif self.combine == "median":
            raise UsageError("--drizzle averages, it cannot take a median: leave out --combine median")
        elif self.debayer == "superpixel":
            raise UsageError("--drizzle keeps each pixel of a mosaic apart: leave out --debayer superpixel")
        if self.min_score is not None and not 0 <= self.min_score <= 100:
            raise UsageError(f"--min-score must be between 0 and 100, not {self.min_score}")
        check_places(self.align, self.comet)

    @property
    def limits(self) -> tuple[float, float]:
        """Low and high limit in force."""
        low, high = DEFAULT_LIMITS[self.reject]
        return (low if self.low is None else self.low, high if self.high is None else self.high)

    def kernel(self, mosaic: bool) -> Kernel:
        """The interpolation in force, of frames that are color filter mosaics or not."""
        if self.resample != "auto":
            return self.resample
        moved = self.align != "none"
        return "mitchell" if mosaic and moved and self.debayer in ("auto", "malvar") else "lanczos3"

    def idle(self, *, mosaic: bool) -> tuple[str, ...]:
        """Options that were chosen and change nothing, each in one line.

        Parameters
        ----------
        mosaic : the frames are color filter mosaics
        """
        rejects = [
            option_of(name, getattr(self, name))
            for name in ("low", "high")
            if getattr(self, name) is not None
        ]
        found = []
        if self.combine == "median":
            rejects = [option_of("reject", self.reject)] * (self.reject not in ("auto", "none")) + rejects
            found += [f"{' '.join(rejects)}: no effect, for a median rejects nothing"] * bool(rejects)
        elif self.reject == "none" and rejects:
            found.append(f"{' '.join(rejects)}: no effect with --reject none")
        if self.debayer != "auto" and not mosaic:
            found.append(f"{option_of('debayer', self.debayer)}: no effect, the frames are no color mosaics")
        if self.resample != "auto" and self.align == "none" and self.drizzle is None:
            found.append(f"{option_of('resample', self.resample)}: no effect, --align none moves no frame")
        if self.drizzle is not None and self.reject == "none":
            first = [
                option_of(n, getattr(self, n)) for n in ("resample", "debayer") if getattr(self, n) != "auto"
            ]
            if first:
                found.append(
                    f"{' '.join(first)}: no effect, a drizzle interpolates nothing, and --reject none makes no first stack"
                )
        return tuple(found)

    @property
    def options(self) -> str:
        """What differs from the defaults, as it is typed after `astrotui stack`."""
        usual = Recipe()
        changed = {f.name: getattr(self, f.name) for f in fields(self)}
        return " ".join(option_of(k, v) for k, v in changed.items() if v != getattr(usual, k))

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "Recipe":
        """A recipe from a mapping; unknown keys are refused."""
        known = {f.name for f in fields(cls)}
        if unknown := set(table) - known:
            raise UsageError(
                f"a recipe has no {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}"
            )
        values = dict(table)
        if "comet" in values:
            values["comet"] = tuple((float(x), float(y), int(frame)) for x, y, frame in values["comet"])
        return cls(**values)


def option_of(name: str, value: Any) -> str:
    """A choice of a recipe as an option of `astrotui stack`."""
    word = f"--{name.replace('_', '-')}"
    if name == "comet":
        return " ".join(f"{word} {x:g},{y:g}@{frame}" for x, y, frame in value)
    return f"{word} {value}"


__all__ = ["CHOICES", "DEFAULT_LIMITS", "Recipe", "option_of"]

CHOICES: dict[str, tuple[str, ...]] = {
    "combine": get_args(Combine),
    "reject": get_args(Reject),
    "normalize": get_args(Normalize),
    "weight": get_args(Weight),
    "align": get_args(Align),
    "resample": get_args(Resample),
    "frame": get_args(Framing),
    "cosmetic": ("auto", "off"),
    "master": get_args(MasterMethod),
    "debayer": get_args(Debayer),
}
