"""Culling a session by a preset: what would go, why, and what that costs or gains."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from astrotui.catalog.database import Catalog
from astrotui.catalog.models import Frame, Measurement
from astrotui.library.choose import Choice, decide, decided_by_person
from astrotui.library.listing import FrameRecord, list_frames
from astrotui.library.scores import NOT_ALIGNED
from astrotui.library.worth import KEPT, Worth, signed, worth
from astrotui.text import plural

if TYPE_CHECKING:
    from astrotui.imaging.culling import FrameFacts

LARGE_SHARE = 0.4  # over this share of the frames a second yes is asked for


@dataclass(frozen=True)
class CullPlan:
    """What a preset would reject.

    Attributes
    ----------
    frames : those in question: kept so far and measured, or rejected by a preset before
    earlier : how many of them a preset rejected before; they stay rejected
    yours : frames that the preset would reject, kept because a person decided so
    unmeasured : kept frames that cannot be judged
    before, after : what the choice is worth
    """

    preset: str
    sessions: tuple[int, ...]
    frames: int
    earlier: int
    yours: int
    unmeasured: int
    rejected: dict[int, list[str]]
    summary: str
    before: Worth
    after: Worth

    @property
    def share(self) -> float:
        """Share of the frames in question that presets will have rejected; 0 when nothing more would go."""
        if not self.rejected:
            return 0.0
        return (len(self.rejected) + self.earlier) / self.frames

    @property
    def asks(self) -> bool:
        """Whether so many would go that a second yes is needed."""
        return self.share > LARGE_SHARE

    def sentence(self) -> str:
        """For people: who goes, why, and the price."""
        among = self.frames - self.earlier
        if not self.rejected:
            text = f"{self.preset}: nothing to reject among {plural(among, 'frame')}"
            return "; ".join([text, *self._besides()])
        parts = [
            f"{self.preset}: {len(self.rejected):,} of {plural(among, 'frame')} would go: {self.summary}"
        ]
        change = self.depth_change_mag
        if change is not None:
            parts.append(f"depth {signed(change)} mag")
        elif self.before.effective_frames > 0:
            parts.append("nothing of worth would be left")
        if self.before.fwhm_px is not None and self.after.fwhm_px is not None:
            parts.append(f"median FWHM {self.before.fwhm_px:.2f} to {self.after.fwhm_px:.2f} px")
        return "; ".join([*parts, *self._besides()])

    def _besides(self) -> list[str]:
        parts = []
        if self.yours:
            stay = "stays" if self.yours == 1 else "stay"
            parts.append(f"{plural(self.yours, 'frame')} {stay} because you decided so")
        if self.unmeasured:
            parts.append(f"{plural(self.unmeasured, 'frame')} not measured and not judged")
        return parts

    @property
    def depth_change_mag(self) -> float | None:
        """Magnitudes of depth that the rejection gains (positive) or costs; None when nothing is left."""
        if not (self.before.effective_frames > 0 and self.after.effective_frames > 0):
            return None
        return 1.25 * math.log10(self.after.effective_frames / self.before.effective_frames)

    def to_dict(self, done: bool) -> dict[str, Any]:
        """The keys of `cull --json`."""
        from astrotui.imaging.culling import counts

        return {
            "preset": self.preset,
            "sessions": list(self.sessions),
            "frames": self.frames,
            "rejected": len(self.rejected),
            "share": round(self.share, 4),
            "needs_yes": self.asks,
            "summary": self.summary,
            "done": done,
            "counts": counts(self.rejected.values()),
            "reasons": [{"id": frame, "reasons": why} for frame, why in self.rejected.items()],
            "rejected_earlier": self.earlier,
            "kept_by_person": self.yours,
            "unmeasured": self.unmeasured,
            "depth_change_mag": self.depth_change_mag,
            "effective_frames_before": self.before.effective_frames,
            "effective_frames_after": self.after.effective_frames,
            "fwhm_px_before": self.before.fwhm_px,
            "fwhm_px_after": self.after.fwhm_px,
            "worth": self.after.to_dict(),
        }


def plan_cull(catalog: Catalog, session_ids: Sequence[int], preset: str) -> CullPlan:
    """What `preset` would reject, each session judged by itself, against all of its measured frames.

    Only frames that are kept and that no person decided on can go. A frame that the telescope rejected counts
    as one of the session for the statistics, and once, by the telescope, in all numbers.
    """
    from astrotui.imaging.culling import PRESETS, judge, summary

    rejected: dict[int, list[str]] = {}
    everything: list[FrameRecord] = []
    asked = earlier = yours = 0
    for session_id in session_ids:
        frames = list_frames(catalog, [session_id])
        everything += frames
        judged = [f for f in frames if f.score is not None and f.status in (*KEPT, "rejected")]
        facts, by_person, by_preset = _facts(catalog, judged)
        asked += sum(f.status in KEPT for f in judged) + len(by_preset)
        earlier += len(by_preset)
        for frame, reasons in zip(judged, judge(facts, PRESETS[preset]), strict=True):
            if not reasons or frame.status not in KEPT:
                continue
            if frame.id in by_person:
                yours += 1
            else:
                rejected[frame.id] = reasons
    before = worth(everything)
    return CullPlan(
        preset, tuple(session_ids), asked, earlier, yours, before.unmeasured, rejected, summary(list(rejected.values())),
        before, worth(everything, frozenset(rejected)),
    )  # fmt: skip


def _facts(catalog: Catalog, frames: Sequence[FrameRecord]) -> "tuple[list[FrameFacts], set[int], set[int]]":
    """What culling looks at, in order; the frames that persons decided on, and those that presets rejected."""
    from astrotui.imaging.culling import FrameFacts

    ids = [frame.id for frame in frames]
    more: dict[int, tuple[str | None, bool]] = {}
    with catalog.read() as db:
        for start in range(0, len(ids), 500):
            rows = db.execute(
                select(Frame.id, Measurement.problem, Frame.device_rejected)
                .join(Measurement, Measurement.frame_id == Frame.id)
                .where(Frame.id.in_(ids[start : start + 500]))
            )
            more |= {frame_id: (problem, device) for frame_id, problem, device in rows}
        by_person = decided_by_person(db, ids)
    facts = []
    for f in frames:
        problem, device = more.get(f.id, (None, False))
        lost = problem is not None and problem.startswith(NOT_ALIGNED)
        facts.append(
            FrameFacts(
                problem=None if lost else problem,
                aligned=not lost,
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
                device_rejected=device,
            )
        )
    rejected = {f.id for f in frames if f.status == "rejected" and f.id not in by_person}
    by_preset = {i for i in rejected if not more.get(i, (None, False))[1]}
    return facts, by_person, by_preset


def apply_cull(catalog: Catalog, plan: CullPlan) -> Choice:
    """Reject what the plan names, as one step; frames that a person decided stay as they are."""
    return decide(
        catalog, list(plan.rejected), "rejected", by="preset", reasons=plan.rejected,
        description=f"cull {plan.preset}: {plan.summary}",
    )  # fmt: skip
