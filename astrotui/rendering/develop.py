"""A look made concrete for one picture: its sky surface, colour balance and stretch, for any part of it."""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from astrotui.imaging.background import BackgroundModel, fit_background
from astrotui.imaging.color import ColorBalance, balance_color
from astrotui.imaging.stretch import (
    Curve,
    StretchParameters,
    apply_stretch,
    autostretch,
    interval_stretch,
    levels,
    linear_stretch,
    remove_green,
    s_curve,
    saturate,
)
from astrotui.imaging.types import Float32Array, Float64Array
from astrotui.rendering.looks import Look
from astrotui.rendering.source import Overview, PictureSource, block_middles


@dataclass(frozen=True, eq=False)
class Development:
    """What a look means for one picture.

    Attributes
    ----------
    background : the sky's surface in pixels of the overview, which is `factor` times smaller than the
    picture
    balance : of the colours; None for mono and when it was not wanted
    stretch : what was found for this picture
    notes : one line each on what was done and what was left out
    """

    look: Look
    factor: int
    background: BackgroundModel | None
    balance: ColorBalance | None
    stretch: StretchParameters
    notes: tuple[str, ...] = ()

    @property
    def balanced(self) -> bool:
        """Whether the colours were balanced on stars."""
        return self.balance is not None and self.balance.skipped is None

    @property
    def saturation(self) -> float:
        """The saturation to apply; a stretch pales colours, so a balanced picture gets some back."""
        if self.look.saturation is not None:
            return self.look.saturation
        return 1.3 if self.balanced else 1.0

    def linear(self, part: Float32Array, y: Float64Array, x: Float64Array) -> Float32Array:
        """A linear part (C, h, w) after background and colour; `y`, `x` are the places of its pixels."""
        if self.background is not None:
            offset = (self.factor - 1) / 2.0
            part = self.background.remove(
                part,
                y=(y - offset) / self.factor,
                x=(x - offset) / self.factor,
                mode=self.look.background_mode,
            )
        return part if self.balance is None else self.balance.apply(part)

    def show(self, part: Float32Array, y: Float64Array, x: Float64Array) -> Float32Array:
        """A linear part (C, h, w) as it is shown: float32 on [0, 1], uncovered pixels black."""
        look = self.look
        shown = apply_stretch(self.linear(part, y, x), self.stretch)
        shown = levels(shown, look.black, look.mid, look.white)
        shown = s_curve(shown, look.contrast)
        shown = remove_green(shown, look.scnr)
        return saturate(shown, self.saturation)


def develop(source: PictureSource, look: Look, overview: Overview | None = None) -> Development:
    """Find what `look` means for the picture `source`; one pass over the file unless `overview` is given."""
    seen = overview or source.overview()
    return finish(source, look, seen, prepare(source, look, seen))


def prepare(source: PictureSource, look: Look, seen: Overview) -> Development:
    """The slow half of `develop`: sky surface and colour balance, which only the look's `PREPARED` fields change."""
    notes: list[str] = []
    surface = _background(source, look, seen, notes)
    made = Development(look, seen.factor, surface, None, linear_stretch())
    balance = _balance(source, look, seen, made, notes)
    return replace(made, balance=balance, notes=tuple(notes))


PREPARED = ("background", "background_mode", "color")


def finish(source: PictureSource, look: Look, seen: Overview, prepared: Development) -> Development:
    """The quick half of `develop`: the stretch on top of what `prepare` found."""
    made = replace(prepared, look=look)
    linked = look.linked == "on" or (look.linked == "auto" and made.balanced)
    notes = made.notes
    if source.planes == 3:
        notes = (*notes, "one stretch for all colors" if linked else "a stretch for each color")
    return replace(made, stretch=_stretch(source, look, seen, made, linked), notes=notes)


def _background(
    source: PictureSource, look: Look, seen: Overview, notes: list[str]
) -> BackgroundModel | None:
    if look.background == "none" or (look.background == "auto" and not source.is_stack):
        return None
    try:
        surface = fit_background(seen.reduced, look.background)
    except ValueError as error:
        notes.append(f"background left alone: {error}")
        return None
    notes.append(f"background: {surface.kind} ({1 - surface.target_fraction:.0%} sky)")
    return surface


def _balance(
    source: PictureSource, look: Look, seen: Overview, made: Development, notes: list[str]
) -> ColorBalance | None:
    wanted = look.color
    if wanted == "auto":
        wanted = "stars" if source.is_stack else "none"
    if wanted == "none" or (source.planes == 1 and look.color == "auto"):
        return None
    rows, columns = seen.reduced.shape[1:]
    flat = made.linear(seen.reduced, block_middles(rows, seen.factor), block_middles(columns, seen.factor))
    balance = balance_color(
        flat,
        saturation=1.0,
        filter_name=source.filter_name,
        mode="neutral" if wanted == "neutral" else "stars",
    )
    if balance.skipped:
        notes.append(f"color: {balance.skipped}")
    elif balance.stars:
        scale = " ".join(f"{value:.2f}" for value in balance.scale)
        notes += [f"color: balanced on {balance.stars} stars", f"R G B times {scale}"]
    return balance


def _stretch(
    source: PictureSource, look: Look, seen: Overview, made: Development, linked: bool
) -> StretchParameters:
    if look.stretch == "linear":
        return linear_stretch()
    samples = made.linear(seen.samples, seen.sample_y, seen.sample_x)
    if look.stretch in ("auto", "mtf", "asinh", "ghs"):
        curve: Curve = "mtf" if look.stretch == "auto" else cast(Curve, look.stretch)
        touched = made.background is not None or made.balance is not None
        return autostretch(
            samples,
            linked=linked,
            target=look.target,
            shadows=look.shadows,
            floor=None if touched or source.is_stack else 0.0,
            curve=curve,
            local=look.local,
        )
    linked = linked or look.linked == "auto"
    if look.stretch == "minmax":
        extremes = np.array([seen.low, seen.high], np.float32).T[:, :, np.newaxis]
        if made.balance is not None:
            extremes = made.balance.apply(extremes)
        if made.background is None:
            return interval_stretch(extremes, "minmax", linked=linked)
        return interval_stretch(samples, "minmax", linked=linked)
    return interval_stretch(samples, "zscale" if look.stretch == "zscale" else "percentile", linked=linked)
