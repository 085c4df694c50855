"""A drizzle as the engine runs it: its first stack, its bands, what is said of it in header and warnings."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.drizzle import HOLES_ALLOWED, output_size
from astrotui.imaging.types import Float64Array
from astrotui.stacking.bands import Memory
from astrotui.stacking.drizzle import Drizzle, DrizzleBand
from astrotui.stacking.drizzle_drops import kappas, make_drops, rejects
from astrotui.stacking.drizzle_memory import drizzle_memory
from astrotui.stacking.first_stack import FirstStack, first_field
from astrotui.stacking.framing import Field, Polygon, common_area, inside
from astrotui.stacking.passone import UsedFrame
from astrotui.stacking.plan import StackPlan
from astrotui.stacking.sources import FrameSources
from astrotui.stacking.tiles import BandOutput, FrameTask

FirstBands = Callable[[Field, Memory], Iterator[tuple[int, BandOutput]]]
_SAMPLED = (5, 7)  # every so many rows and columns holes are counted: no multiples of a scale
_LEAST_SAMPLED = 500


@dataclass(eq=False)
class DrizzleRun:
    """One drizzle.

    Attributes
    ----------
    used, tasks : frames that go in
    area : of the result, in pixels of the reference
    planes : of the result
    sigma, photon : of `sample_noise`
    sky : float64 (planes,)
    outlines : of the used frames, in pixels of the reference
    """

    plan: StackPlan
    used: Sequence[UsedFrame]
    tasks: Sequence[FrameTask]
    area: Field
    planes: int
    sigma: Float64Array
    photon: Float64Array
    sky: Float64Array
    outlines: Sequence[Polygon]
    _looked: int = field(default=0, init=False)
    _holes: NDArray[np.int64] = field(init=False)  # in each color

    def __post_init__(self) -> None:
        self._holes = np.zeros(self.planes, np.int64)

    @property
    def scale(self) -> float:
        """Output pixels per reference pixel."""
        return float(self.plan.recipe.drizzle or 1)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the result."""
        return output_size(self.area.width, self.area.height, self.scale)

    def bands(
        self, sources: FrameSources, threads: int, pool: ThreadPoolExecutor, first: FirstBands
    ) -> Iterator[tuple[int, DrizzleBand]]:
        """The bands of the result in order.

        Parameters
        ----------
        first : makes the bands of the first stack for a field with the memory it may have

        Raises
        ------
        PlanError
            The budget is too small.
        """
        plan = self.plan
        drops = make_drops(plan, self.used, self.tasks, self.area, self.sigma, self.photon)
        frames = tuple(plan.frames[one.index] for one in self.used)
        memory = drizzle_memory(
            replace(plan, frames=frames),
            self.area,
            self.planes,
            self.scale,
            plan.memory_bytes,
            threads,
            bent=any(drop.lens is not None for drop in drops),
        )
        guide = None
        if rejects(plan.recipe, len(self.used)):
            wide = first_field(self.area)
            guide = FirstStack(wide, first(wide, memory.first))
        run = Drizzle(plan.recipe, self.area, self.planes, drops, self.sky, sources, memory, guide)
        common = common_area(list(self.outlines))
        for y, band in run.run(pool):
            self._look(y, band, common)
            yield y, band

    def _look(self, y: int, band: DrizzleBand, common: Polygon) -> None:
        """Count for each color the pixels that got no sample although all frames lie there."""
        down, across = _SAMPLED
        rows, columns = np.arange(-y % down, band.weight.shape[0], down), np.arange(0, self.size[0], across)
        X, Y = np.meshgrid((columns + 0.5) / self.scale - 0.5, (y + rows + 0.5) / self.scale - 0.5)
        there = inside(common, X + self.area.x0, Y + self.area.y0)
        self._looked += int(there.sum())
        empty = np.isnan(band.value[:, rows][:, :, columns])
        self._holes += (empty & there).sum(axis=(1, 2))

    def notes(self) -> tuple[str, ...]:
        """What the result's HISTORY says."""
        recipe = self.plan.recipe
        said = [f"drizzled; a pixel is in ADU for 1 frame pixel of sky, sums are {self.scale**2:.4g} x"]
        if rejects(recipe, len(self.used)):
            low, high = kappas(recipe)
            said.append(f"samples judged by a first stack, limits {low:.3g} and {high:.3g} sigma")
        return tuple(said)

    def warnings(self) -> tuple[str, ...]:
        """What came out worse than it should, once all bands are done."""
        if self._looked < _LEAST_SAMPLED:
            return ()
        colors = ("red", "green", "blue") if self.planes == 3 else ("",)
        told = [
            f"{holes / self._looked:.1%}{' in ' + color if color else ''}"
            for color, holes in zip(colors, self._holes.tolist(), strict=True)
            if holes > HOLES_ALLOWED * self._looked
        ]
        if not told:
            return ()
        return (f"holes in the drizzle, where all frames lie: pixels without a sample are {', '.join(told)}",)
