"""How the memory of a drizzle is divided: bands of the output, and the first stack that runs ahead of it."""

from dataclasses import dataclass
from itertools import product

from astrotui.errors import PlanError
from astrotui.imaging.drizzle import output_size
from astrotui.stacking.bands import Memory, plan_memory
from astrotui.stacking.first_stack import FIRST_MARGIN
from astrotui.stacking.framing import Field
from astrotui.stacking.plan import StackPlan

TILE_COLUMNS = 256
"""Pixels of the reference that a tile of the output is wide."""

_REFERENCE_ROWS = (128, 96, 64, 48, 32, 24, 16, 8, 4)
_TILE_ROWS = 64  # of the reference
_FIRST_ROWS = (128, 64, 32, 16, 8, 2)
_MARGIN = 14  # rows around a tile that are looked at too
_HALO = 48  # rows of a frame beyond those of the band
_STEP = 16_000_000


@dataclass(frozen=True)
class DrizzleMemory:
    """How the memory of a drizzle is spent.

    Attributes
    ----------
    rows, tile_rows : of the output that a band and a tile have
    raw_bytes : of raw rows that a band may hold
    ahead : a band is read while the one before it is computed
    first : the first stack's share
    """

    rows: int
    tile_rows: int
    raw_bytes: int
    ahead: bool
    first: Memory


def drizzle_memory(
    plan: StackPlan, area: Field, planes: int, scale: float, budget: int, workers: int, bent: bool = False
) -> DrizzleMemory:
    """The highest bands that fit a budget together with those of the first stack.

    Parameters
    ----------
    plan : its frames are those that are used
    area : of the result, in pixels of the reference
    bent : places of pixels are held, as a lens gives them

    Raises
    ------
    PlanError
        Not even the lowest bands fit.
    """
    found = _fitting(plan, area, planes, scale, budget, workers, bent)
    if found is not None:
        return found
    needed = budget
    while found is None and needed < 1 << 42:
        needed += max(_STEP, needed // 16)
        found = _fitting(plan, area, planes, scale, needed, workers, bent)
    raise PlanError(
        f"a memory budget of {budget / 1e6:,.0f} MB is too small for this drizzle; "
        f"it needs {needed / 1e6:,.0f} MB (--memory)"
    )


def _fitting(
    plan: StackPlan, area: Field, planes: int, scale: float, budget: int, workers: int, bent: bool
) -> DrizzleMemory | None:
    width = output_size(area.width, area.height, scale)[0]
    raw_width = plan.raw_size[0]
    sample = 6 if plan.planes == 3 else 2
    best: tuple[float, DrizzleMemory | None] = (float("inf"), None)
    for rows, first_rows, ahead in product(_REFERENCE_ROWS, _FIRST_ROWS, (True, False)):
        out_rows, tile_rows = max(1, int(rows * scale)), max(1, int(min(rows, _TILE_ROWS) * scale))
        raw = len(plan.frames) * (rows + _HALO) * raw_width * sample
        output = 2 * out_rows * width * (planes * 10 + 4)
        tile = workers * int(tile_rows * TILE_COLUMNS * scale * (planes * 26 + 4))
        window = workers * (rows + 2 * TILE_COLUMNS) * 2 * TILE_COLUMNS * (25 if bent else 9)
        # two guides, while one is used and the next is put together
        guide = 2 * planes * (rows + first_rows + 50) * (area.width + 2 * FIRST_MARGIN) * 18
        left = budget - raw * (2 if ahead else 1) - output - tile - window - guide
        try:
            first = plan_memory(plan, left, workers, first_rows, area.width + 2 * FIRST_MARGIN)
        except PlanError:
            continue
        # what margins of bands and tiles, and waiting for the disk cost, roughly
        cost = 2 * (1 + _MARGIN / rows) * (1 if ahead else 1.1) + (1 + _MARGIN / first.tile_rows)
        if cost < best[0]:
            best = cost, DrizzleMemory(out_rows, tile_rows, raw, ahead, first)
    return best[1]
