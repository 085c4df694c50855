"""What a choice of frames is worth: integration, effective integration, expected depth."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from astrotui.library.listing import FrameRecord
from astrotui.text import duration, plural

KEPT = ("undecided", "accepted")


@dataclass(frozen=True)
class Worth:
    """The worth of the frames that would be stacked.

    Attributes
    ----------
    kept, frames : how many frames would go in, of how many there are
    unmeasured : kept frames without a score, worth nothing as long as that is so
    integration_s : sum of the kept exposures
    effective_frames : sum of score/100: best frames that would reach the same depth
    effective_integration_s : sum of exposure times score/100
    depth_mag : 1.25 log10(effective frames), the depth over one best frame
    depth_all_mag : that of all frames with a file, whatever was decided
    fwhm_px : median of the kept frames
    """

    kept: int
    frames: int
    unmeasured: int
    integration_s: float
    effective_frames: float
    effective_integration_s: float
    depth_mag: float | None
    depth_all_mag: float | None
    fwhm_px: float | None

    @property
    def against_all_mag(self) -> float | None:
        """Depth that the choice gives away: 0 for all frames, negative for fewer."""
        if self.depth_mag is None or self.depth_all_mag is None:
            return None
        return self.depth_mag - self.depth_all_mag

    def sentence(self) -> str:
        """One line for people."""
        parts = [
            f"{self.kept} of {plural(self.frames, 'frame')} kept",
            f"{exact(self.integration_s)}, worth {exact(self.effective_integration_s)} of the best",
        ]
        if self.depth_mag is not None and self.against_all_mag is not None:
            against = signed(self.against_all_mag)
            parts.append(f"{signed(self.depth_mag)} mag over one best frame ({against} against all)")
        if self.unmeasured:
            parts.append(f"{plural(self.unmeasured, 'frame')} not measured")
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The key `worth` of `accept`, `reject` and `cull --json`."""
        return {
            "kept": self.kept,
            "frames": self.frames,
            "unmeasured": self.unmeasured,
            "integration_s": self.integration_s,
            "effective_frames": self.effective_frames,
            "effective_integration_s": self.effective_integration_s,
            "depth_mag": self.depth_mag,
            "against_all_mag": self.against_all_mag,
            "fwhm_px": self.fwhm_px,
        }


def exact(seconds: float) -> str:
    """`duration`, with the seconds (`2 min 10 s`) while it is under ten minutes, where a frame more or less shows."""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s" if 100 <= whole < 600 else duration(seconds)


def signed(magnitudes: float) -> str:
    """`+0.25`, `-0.03`; what rounds to nothing is `0.00`."""
    text = f"{magnitudes:+.2f}"
    return text[1:] if float(text) == 0 else text


def worth(frames: Iterable[FrameRecord], without: frozenset[int] = frozenset()) -> Worth:
    """The worth of the kept frames, those in `without` (ids) left out as well.

    Scores compare within one session: for frames of several, the sums take their best frames to be equal.
    """
    frames = list(frames)
    usable = [f for f in frames if f.status in (*KEPT, "rejected")]
    kept = [f for f in usable if f.status in KEPT and f.id not in without]
    effective = sum((f.score or 0.0) / 100 for f in kept)
    everything = sum((f.score or 0.0) / 100 for f in usable)
    widths = [f.fwhm_px for f in kept if f.fwhm_px is not None]
    return Worth(
        kept=len(kept),
        frames=len(frames),
        unmeasured=sum(f.score is None for f in kept),
        integration_s=sum(f.exposure_s or 0.0 for f in kept),
        effective_frames=effective,
        effective_integration_s=sum((f.exposure_s or 0.0) * (f.score or 0.0) / 100 for f in kept),
        depth_mag=1.25 * math.log10(effective) if effective > 0 else None,
        depth_all_mag=1.25 * math.log10(everything) if everything > 0 else None,
        fwhm_px=median(widths) if widths else None,
    )
