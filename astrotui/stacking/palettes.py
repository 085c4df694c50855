"""The ways in which stacks of single filters become one color image: what each takes, by name."""

from typing import Literal

Balance = Literal["auto", "none", "exposure", "fit"]
BALANCES: tuple[Balance, ...] = ("auto", "none", "exposure", "fit")

# The images that a palette takes, in the order in which they are given.
PALETTES: dict[str, tuple[str, ...]] = {
    "rgb": ("R", "G", "B"),
    "lrgb": ("L", "R", "G", "B"),
    "sho": ("S", "H", "O"),
    "hoo": ("H", "O"),
}
SPLIT = (
    "split"  # the other way round: the two lines of a color stack that was taken through a dual-band filter
)
