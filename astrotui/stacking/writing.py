"""Writes the result of a stack while its bands are made: image, maps, header, and what is measured on it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from astrotui.frames.output import FitsWriter
from astrotui.stacking.calibration import LoadedCalibration
from astrotui.stacking.drizzle import DrizzleBand
from astrotui.stacking.outcome import Measured, reference_header
from astrotui.stacking.passone import PassOne
from astrotui.stacking.passtwo import PassTwo
from astrotui.stacking.plan import StackPlan
from astrotui.stacking.provenance import ResultFacts, result_header
from astrotui.stacking.rules import applied_rejection
from astrotui.stacking.tiles import BandOutput


class ResultFile:
    """The file of a result, unfinished until `commit`.

    Parameters
    ----------
    facts : of `result_facts`
    tag : names the writer of the part file
    overwrite : take the place of a file at the plan's output

    Attributes
    ----------
    measured : what was summed up over the bands so far

    Raises
    ------
    OutputError
        The result cannot be written.
    """

    def __init__(
        self, plan: StackPlan, second: PassTwo, facts: ResultFacts, tag: str, overwrite: bool
    ) -> None:
        shape = (second.height, second.width)
        maps: dict[str, tuple[tuple[int, int], type]] = dict.fromkeys(
            ("COVERAGE", "REJ_LOW", "REJ_HIGH"), (shape, np.uint16)
        )
        if second.drizzle:
            maps["WEIGHT"] = (shape, np.float32)
        self._full_scale = plan.full_scale_adu
        self._trailed = plan.recipe.align == "comet"
        self._color = second.planes == 3
        self._writer = FitsWriter(
            Path(plan.output),
            (3, *shape) if self._color else shape,
            result_header(plan, facts, reference_header(plan)),
            maps,
            tag,
            overwrite,
        )
        area = replace(second.area, width=second.width, height=second.height)
        self.measured = Measured(area, second.planes)

    def write(self, y: int, band: BandOutput) -> None:
        """Write a band that begins at row y."""
        writer, coverage = self._writer, band.found.min(axis=0)
        writer.write_rows(None, y, band.value if self._color else band.value[0])
        writer.write_rows("COVERAGE", y, coverage)
        writer.write_rows("REJ_LOW", y, band.low.sum(axis=0, dtype=np.uint16))
        writer.write_rows("REJ_HIGH", y, band.high.sum(axis=0, dtype=np.uint16))
        if isinstance(band, DrizzleBand):
            writer.write_rows("WEIGHT", y, band.weight)
        self.measured.add(y, band, coverage)

    def judge(self) -> None:
        """Measure the result and say so in its header, once all bands are written."""
        measured = self.measured
        measured.judge(self._full_scale)
        if self._trailed:
            measured.fwhm_px = None  # of trails, or of what rejection left of them
        cards = [("REJFRAC", measured.rejected_fraction, "share of the samples that was rejected")]
        if measured.noise_adu is not None:
            cards.append(("NOISE", measured.noise_adu, "[adu] noise of a pixel"))
        if measured.fwhm_px is not None:
            cards.append(("FWHM", measured.fwhm_px, "[pix] median full width at half maximum of stars"))
        self._writer.update_header(cards)

    def commit(self) -> None:
        """Give the file its name."""
        self._writer.commit()

    def abort(self) -> None:
        """Leave nothing behind; does nothing once committed."""
        self._writer.abort()


def result_facts(
    plan: StackPlan, found: PassOne, calibrations: Sequence[LoadedCalibration], second: PassTwo
) -> ResultFacts:
    """What the header tells beyond the plan, before any band is made."""
    area, drizzle = second.area, second.drizzle
    return ResultFacts(
        used=tuple(u.index for u in found.used),
        planes=second.planes,
        dx=2 * area.x0 if second.half else area.x0,
        dy=2 * area.y0 if second.half else area.y0,
        scale=drizzle.scale if drizzle else 0.5 if second.half else 1.0,
        normalize=found.normalize,
        reject=applied_rejection(plan.recipe, len(found.used)),
        masters=tuple((kind, path.name) for loaded in calibrations for kind, path in loaded.names.items()),
        notes=(
            *dict.fromkeys(note for loaded in calibrations for note in loaded.notes),
            *(drizzle.notes() if drizzle else ()),
        ),
    )
