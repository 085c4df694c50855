"""How bright flats are: the median of one frame of each set, read once after its folder was indexed."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import func, select, update

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import CalibrationSet, Frame, Root
from astrotui.errors import FrameError

_ROWS = 64  # in the middle of the frame


def note_flat_levels(catalog: Catalog, progress: Callable[[str, int, int], None]) -> int:
    """Read the median of one frame of each set of flats that has none yet; returns how many were read.

    Ready masters have no scale that a median would mean something on; a frame that cannot be read is left for the
    next time.
    """
    first = (
        select(Frame.set_id, func.min(Frame.id).label("frame"))
        .where(Frame.set_id.is_not(None), ~Frame.missing, Frame.quarantine.is_(None))
        .group_by(Frame.set_id)
        .subquery()
    )
    with catalog.read() as db:
        wanted = db.execute(
            select(CalibrationSet.id, Root.path, Frame.path, Frame.hdu)
            .join(first, first.c.set_id == CalibrationSet.id)
            .join(Frame, Frame.id == first.c.frame)
            .join(Root, Root.id == Frame.root_id)
            .where(
                CalibrationSet.kind == "flat", CalibrationSet.median_adu.is_(None), ~CalibrationSet.is_master,
                CalibrationSet.full_scale_adu.is_not(None),
            )
        ).all()  # fmt: skip
    medians: dict[int, float] = {}
    for done, (set_id, root, path, hdu) in enumerate(wanted):
        progress("looking at flats", done, len(wanted))
        try:
            medians[set_id] = _median(Path(root, path), hdu)
        except (FrameError, OSError):
            continue
    if medians:
        with catalog.write(durable=False) as db:
            for set_id, median in medians.items():
                db.execute(
                    update(CalibrationSet).where(CalibrationSet.id == set_id).values(median_adu=median)
                )
    return len(medians)


def _median(path: Path, hdu: int) -> float:
    import numpy as np

    from astrotui.frames.pixels import open_frame

    with open_frame(path, hdu) as frame:
        top = max(0, (frame.height - _ROWS) // 2)
        return float(np.nanmedian(frame.read(top, min(frame.height, top + _ROWS))))
