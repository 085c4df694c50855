"""A look: how a result is shown. It never touches the result itself."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast, get_args

from astrotui.errors import UsageError

Stretch = Literal["auto", "mtf", "asinh", "ghs", "zscale", "minmax", "percentile", "linear"]
Background = Literal["auto", "none", "plane", "quadratic", "cubic", "spline"]
Color = Literal["auto", "none", "neutral", "stars"]
Flip = Literal["none", "horizontal", "vertical", "both"]
Switch = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class Look:
    """The choices of a look; the defaults give a good picture of a stack and of a single frame.

    Attributes
    ----------
    stretch : `auto` is `mtf`; `mtf`, `asinh` and `ghs` bring the sky to `target`; `zscale`, `minmax` and
        `percentile` are straight lines between limits as in ds9; `linear` shows the data as they are
    linked : one stretch for all colors (`on`) or one a color (`off`); `auto` links what was balanced on
    stars
    target : level of the sky in the picture
    shadows : black point below the sky, in units of its noise
    local : how much `ghs` concentrates around the sky (b, -5 to 15)
    black, mid, white : levels of the stretched picture
    contrast : an S-curve, 0 to 1
    saturation : 0 is gray, 1 leaves the colors; None is 1.3 for what was balanced on stars (a stretch pales
        colors) and 1 otherwise
    scnr : share of the green excess that is removed, 0 to 1
    background : surface taken from the sky; `auto` for stacks only, a plane or a gentle bowl
    background_mode : `subtract` light that was added, or `divide` out shading
    color : `stars` makes the sky neutral and the mean star white, `neutral` the sky alone; `auto` is
    `stars` for
        color stacks and `none` for single frames
    flip : mirror the picture
    rotate : quarter turns clockwise, in degrees
    """

    stretch: Stretch = "auto"
    linked: Switch = "auto"
    target: float = 0.15
    shadows: float = -2.8
    local: float = 0.0
    black: float = 0.0
    mid: float = 0.5
    white: float = 1.0
    contrast: float = 0.0
    saturation: float | None = None
    scnr: float = 0.0
    background: Background = "auto"
    background_mode: Literal["subtract", "divide"] = "subtract"
    color: Color = "auto"
    flip: Flip = "none"
    rotate: Literal[0, 90, 180, 270] = 0

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise UsageError(
                    f"{option(name)} {value!r} is not known; choose {', '.join(str(c) for c in choices)}"
                )
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise UsageError(f"{option(name)} must be between {low:g} and {high:g}, not {value:g}")
        if not self.black < self.white:
            raise UsageError(f"--black ({self.black:g}) must be below --white ({self.white:g})")

    def digest(self) -> str:
        """Sixteen hexadecimal digits that change when the look does."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The look as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "Look":
        """A look from JSON or options; what is left out keeps its default.

        Raises
        ------
        UsageError : a name or value is not known, with those that are
        """
        known = {f.name: f for f in fields(cls)}
        values: dict[str, Any] = {}
        for raw, value in table.items():
            name = raw.replace("-", "_")
            if name not in known:
                raise UsageError(f"a look has no {raw!r}; it has {', '.join(known)}")
            if value is None:
                continue
            kind = float if name in RANGES else int if name == "rotate" else str
            try:
                values[name] = kind(value)
            except (TypeError, ValueError):
                raise UsageError(f"{option(name)} needs a number, not {value!r}") from None
        return cls(**values)


def option(name: str) -> str:
    """The command-line option of a field: `--background-mode`."""
    return "--" + name.replace("_", "-")


CHOICES: dict[str, tuple[Any, ...]] = {
    "stretch": get_args(Stretch),
    "linked": get_args(Switch),
    "background": get_args(Background),
    "background_mode": ("subtract", "divide"),
    "color": get_args(Color),
    "flip": get_args(Flip),
    "rotate": (0, 90, 180, 270),
}

RANGES: dict[str, tuple[float, float]] = {
    "target": (0.01, 0.9),
    "shadows": (-20.0, 0.0),
    "local": (-5.0, 15.0),
    "black": (0.0, 1.0),
    "mid": (0.01, 0.99),
    "white": (0.0, 1.0),
    "contrast": (0.0, 1.0),
    "saturation": (0.0, 5.0),
    "scnr": (0.0, 1.0),
}

DEFAULT_LOOK = Look()


def turned(width: int, height: int, look: Look) -> tuple[int, int]:
    """Width and height of a picture of this size after the look's rotation."""
    return (height, width) if look.rotate in (90, 270) else (width, height)


def orient(pixels: Any, look: Look, *, bottom_up: bool = False) -> Any:
    """A view of `pixels` (H, W) or (H, W, 3) as it is shown.

    Row 0 of a file is the top row unless the file says that it counts from the bottom; then the look's
    rotation, then its flip.
    """
    import numpy as np

    shown = pixels[::-1] if bottom_up else pixels
    if look.rotate:
        shown = np.rot90(shown, k=-cast(int, look.rotate) // 90)
    if look.flip in ("vertical", "both"):
        shown = shown[::-1]
    if look.flip in ("horizontal", "both"):
        shown = shown[:, ::-1]
    return shown
