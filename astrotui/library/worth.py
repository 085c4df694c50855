"""What a choice of frames is worth: integration, effective integration, expected depth."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from astrotui.library.listing import FrameRecord

KEPT = ("undecided", "accepted")


@dataclass(frozen=True)
class Worth:
    """The worth of the frames that would be stacked.

    `effective_frames` is the sum of score/100: best frames that would reach the same depth.
    `depth_mag` is the depth over one best frame, `depth_all_mag` that of all usable frames, decisions aside.
    """

    kept: int
    frames: int
    integration_s: float
    effective_frames: float
    effective_integration_s: float
    depth_mag: float | None
    depth_all_mag: float | None
    fwhm_px: float | None

    def sentence(self) -> str:
        """One line for people."""
        from astrotui.text import duration

        parts = [
            f"{self.kept} of {self.frames} frames kept",
            f"{duration(self.integration_s)}, worth {duration(self.effective_integration_s)}",
        ]
        if self.depth_mag is not None and self.depth_all_mag is not None:
            parts.append(
                f"{self.depth_mag:+.2f} mag over one best frame ({self.depth_mag - self.depth_all_mag:+.2f} against all)"
            )
        return "; ".join(parts)


def worth(frames: Iterable[FrameRecord], without: frozenset[int] = frozenset()) -> Worth:
    """The worth of the kept frames, those in `without` (ids) left out as well."""
    frames = list(frames)
    usable = [f for f in frames if f.status in (*KEPT, "rejected")]
    kept = [f for f in usable if f.status in KEPT and f.id not in without]
    effective = sum((f.score or 0.0) / 100 for f in kept)
    everything = sum((f.score or 0.0) / 100 for f in usable)
    widths = sorted(f.fwhm_px for f in kept if f.fwhm_px is not None)
    return Worth(
        kept=len(kept),
        frames=len(frames),
        integration_s=sum(f.exposure_s or 0.0 for f in kept),
        effective_frames=effective,
        effective_integration_s=sum((f.exposure_s or 0.0) * (f.score or 0.0) / 100 for f in kept),
        depth_mag=1.25 * math.log10(effective) if effective > 0 else None,
        depth_all_mag=1.25 * math.log10(everything) if everything > 0 else None,
        fwhm_px=widths[len(widths) // 2] if widths else None,
    )
