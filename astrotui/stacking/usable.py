"""Make the calibrations of a plan ones that can be carried out: damaged inputs go, and it is said."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from astrotui.errors import FrameError
from astrotui.stacking.masters import is_made, without_unusable
from astrotui.stacking.plan import Calibration, MasterSpec
from astrotui.text import clean


def usable_calibrations(
    calibrations: Sequence[Calibration], folder: Path
) -> tuple[tuple[Calibration, ...], tuple[str, ...]]:
    """Calibrations whose masters are in the cache `folder` or can be made, and warnings about what had to go.

    An input that vanished, changed, is damaged or of another size is left out while 2 or more remain. A
    master that cannot be made at all is left out as a whole: one bad set of flats must not stop a stack.
    """
    judge = _Judge(folder)
    kept = []
    for calibration in calibrations:
        bias = judge.usable(calibration.bias)
        scale = calibration.dark_scale
        if scale is not None and bias is None:
            judge.warn("there is no bias to scale the dark with: it is subtracted as it is")
            scale = None
        kept.append(
            replace(
                calibration,
                dark=judge.usable(calibration.dark),
                bias=bias,
                flat=judge.usable(calibration.flat),
                dark_scale=scale,
            )
        )
    return tuple(kept), tuple(judge.warnings)


class _Judge:
    """Looks at each master once, however many groups of frames use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warnings: list[str] = []
        self._known: dict[str, MasterSpec | None] = {}

    def warn(self, line: str) -> None:
        if line not in self.warnings:
            self.warnings.append(line)

    def usable(self, spec: MasterSpec | None) -> MasterSpec | None:
        if spec is None or is_made(spec, self.folder):
            return spec
        digest = spec.digest()
        if digest not in self._known:
            self._known[digest] = self._look(spec)
        return self._known[digest]

    def _look(self, spec: MasterSpec) -> MasterSpec | None:
        below = self.usable(spec.subtract)
        if spec.subtract is not None and below is None:
            self.warn(f"no {spec.kind} is used: what is to be subtracted from it cannot be made")
            return None
        try:
            found, skipped = without_unusable(replace(spec, subtract=below))
        except FrameError as error:
            self.warn(f"no {spec.kind} is used: {clean(error, 300)}")
            return None
        for frame in skipped:
            self.warn(f"left out of the master {spec.kind}: {clean(frame.path, 300)}: {clean(frame.reason)}")
        return found
