"""Culling a session by a preset: what would go, why, and what that costs or gains."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from astrotui.catalog.database import Catalog
from astrotui.library.choose import Choice, decide
from astrotui.library.listing import FrameRecord, list_frames
from astrotui.library.worth import KEPT, Worth, worth
from astrotui.text import plural

LARGE_SHARE = 0.4  # over this share of the frames a second yes is asked for


@dataclass(frozen=True)
class CullPlan:
    """What a preset would reject. `before` and `after` say what the choice is worth."""

    preset: str
    sessions: tuple[int, ...]
    frames: int
    rejected: dict[int, list[str]]
    summary: str
    before: Worth
    after: Worth

    @property
    def share(self) -> float:
        """Share of the frames in question that would go."""
        return len(self.rejected) / self.frames if self.frames else 0.0

    def sentence(self) -> str:
        """For people: who goes, why, and the price."""
        if not self.rejected:
            return f"{self.preset}: nothing to reject among {plural(self.frames, 'frame')}"
        parts = [
            f"{self.preset}: {len(self.rejected)} of {plural(self.frames, 'frame')} would go: {self.summary}"
        ]
        if self.before.effective_frames > 0 and self.after.effective_frames > 0:
            change = 1.25 * math.log10(self.after.effective_frames / self.before.effective_frames)
            parts.append(f"depth {change:+.2f} mag")
        if self.before.fwhm_px is not None and self.after.fwhm_px is not None:
            parts.append(f"median FWHM {self.before.fwhm_px:.2f} to {self.after.fwhm_px:.2f} px")
        return "; ".join(parts)

    def to_dict(self, done: bool) -> dict[str, Any]:
        """The keys of `cull --json`."""
        return {
            "preset": self.preset,
            "frames": self.frames,
            "rejected": len(self.rejected),
            "share": round(self.share, 4),
            "summary": self.summary,
            "done": done,
            "reasons": [{"id": frame, "reasons": why} for frame, why in self.rejected.items()],
            "effective_frames_before": self.before.effective_frames,
            "effective_frames_after": self.after.effective_frames,
            "fwhm_px_before": self.before.fwhm_px,
            "fwhm_px_after": self.after.fwhm_px,
        }


def plan_cull(catalog: Catalog, session_ids: Sequence[int], preset: str) -> CullPlan:
    """What `preset` would reject, each session judged by itself; only measured, undecided or preset-decided frames."""
    from astrotui.imaging.culling import PRESETS, FrameFacts, judge, summary

    rejected: dict[int, list[str]] = {}
    everything: list[FrameRecord] = []
    for session_id in session_ids:
        frames = list_frames(catalog, [session_id])
        everything += frames
        judged = [f for f in frames if f.score is not None and f.status not in ("missing", "quarantined")]
        facts = [
            FrameFacts(
                problem=_problem(f),
                stars=f.stars,
                fwhm_px=f.fwhm_px,
                eccentricity=f.eccentricity,
                background_adu=f.background_adu,
                noise_adu=f.noise_adu,
                transparency=f.transparency,
                streak=f.streak,
                dx_px=f.dx_px,
                dy_px=f.dy_px,
                width=f.width,
                height=f.height,
            )
            for f in judged
        ]
        for frame, reasons in zip(judged, judge(facts, PRESETS[preset]), strict=True):
            if reasons and frame.status in KEPT:
                rejected[frame.id] = reasons
    asked = [f for f in everything if f.status in KEPT]
    gone = frozenset(rejected)
    return CullPlan(
        preset, tuple(session_ids), len(asked), rejected, summary(list(rejected.values())), worth(everything),
        worth(everything, gone),
    )  # fmt: skip


def _problem(frame: FrameRecord) -> str | None:
    return frame.reasons[-1] if frame.reasons and frame.score == 0 else None


def apply_cull(catalog: Catalog, plan: CullPlan) -> Choice:
    """Reject what the plan names, as one step; frames that a person decided stay as they are."""
    return decide(
        catalog, list(plan.rejected), "rejected", by="preset", reasons=plan.rejected,
        description=f"cull {plan.preset}: {plan.summary}",
    )  # fmt: skip
