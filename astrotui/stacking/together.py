"""All frames of a stack laid on one grid by the stars that they share, where one reference is not enough for all."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import log

import numpy as np

from astrotui.imaging.geometry import apply
from astrotui.imaging.mapping import Lens
from astrotui.imaging.network import Choice, Shared, balance, choose_bending, fit_lens, solve
from astrotui.imaging.register import Registration, pairs_within, star_points
from astrotui.imaging.types import Float64Array
from astrotui.stacking.islands import Island
from astrotui.stacking.linking import Chains, Link, banks, chain, light_ratio, pair_weights
from astrotui.stacking.plan import ANOTHER_ISLAND, PlanFrame, StackPlan
from astrotui.text import plural

_STRANGERS = (
    0.1  # share of the stars that lie near a star of the reference, and not on it: the model is too stiff
)
_NEAR = 6.0  # px
_JUDGED, _FITTED = 12, 60  # pairs of frames from which the model is chosen, and to which it is fitted
_SETTLED = (3.0, 1.5)  # px, within which stars are matched again once all frames are laid on the grid
_WHOLE = 0.8  # share of its stars with which a frame must lie on the reference by itself
_FITS = (
    0.4  # share of the stars known to be common that must fall together: a shift does not fit turned frames
)
_LEAST = 4  # stars by which a frame must hang on the others


@dataclass(eq=False)
class Together:
    """What came of it.

    Attributes
    ----------
    registrations : by frame, onto the reference; pairs are those shared with the reference, `matched` counts those
        shared with the frame that fixes it
    lens : the transforms lie between its undistorted pixels
    bent : the stars asked for more than a similarity
    gained : frames that would not lie on the reference alone
    apart : frames of other islands, with the reason
    islands : the reference's first, where there are others of more than one frame
    light : transparency relative to the reference
    """

    registrations: dict[int, Registration] = field(default_factory=dict)
    lens: Lens | None = None
    bent: bool = False
    gained: int = 0
    apart: dict[int, str] = field(default_factory=dict)
    islands: tuple[Island, ...] = ()
    links: list[Link] = field(default_factory=list)
    light: dict[int, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Sights:
    """Frames to be laid together: those of a plan, and the one outside of it that they are laid on, if there is one.

    Attributes
    ----------
    root : place of the frame that fixes the grid
    bright : place of the frame that fixes the light
    """

    frames: tuple[PlanFrame, ...]
    root: int
    bright: int
    align: str
    width: int
    height: int

    @classmethod
    def of(cls, plan: StackPlan) -> "Sights":
        frames, root = plan.frames, plan.reference
        if plan.anchor is not None:
            frames, root = (*frames, plan.anchor), len(frames)
        return cls(frames, root, plan.reference, plan.recipe.align, plan.width, plan.height)

    @property
    def free(self) -> bool:
        """The stars choose the model."""
        return self.align in ("auto", "comet")


def stars_ask_for_more(sights: Sights, direct: dict[int, Registration]) -> bool:
    """Whether many stars come near their places on the reference and not onto them: a wide field, a bent lens."""
    near = strangers = 0.0
    goals = star_points(sights.frames[sights.root].stars)
    for index, found in direct.items():
        frame = sights.frames[index]
        if index == sights.root or found.matched < _LEAST:
            continue
        points = star_points(frame.stars)
        moved = apply(found.transform, points)
        inside = ((moved > 0) & (moved < [sights.width, sights.height])).all(axis=1)
        count = len(pairs_within(found.transform, points, goals, _NEAR)[0])
        by_chance = min(1.0, len(goals) * np.pi * _NEAR**2 / max(1, sights.width * sights.height))
        expected = max(0, int(inside.sum()) - found.matched) * by_chance
        near += count
        strangers += max(0.0, count - found.matched - expected)
    return strangers > _STRANGERS * near


def lay_together(
    sights: Sights, direct: dict[int, Registration], lost: Sequence[int], *, afresh: bool
) -> Together:
    """Lay frames on their neighbors, and all on the grid of the reference.

    Parameters
    ----------
    direct : frames that lie on the reference by themselves
    lost : those that do not
    afresh : do not rest on `direct`: only the middles of the fields were matched
    """
    found = Together()
    among = sorted({*direct, *lost})
    trusted = {} if afresh else {i: r for i, r in direct.items() if r.matched >= _LEAST}
    chains = chain(sights.frames, among, sights.root, trusted)
    members = [f for f in chains.placed if chains.island[f] == sights.root]
    _tell_apart(sights, chains, members, direct, found)
    found.gained = len(set(members) & set(lost))
    if not found.gained and not afresh:
        return found
    heads, links = banks(chains, members, sights.root)
    choice = _choose(sights, links) if sights.free else Choice(sights.align, None, float("nan"))  # type: ignore[arg-type]
    found.bent = choice.model == "homography" and sights.free
    if not found.gained and not found.bent:
        return found
    found.lens = choice.lens
    transforms = {frame: chains.placed[frame] for frame in members}
    for radius in _SETTLED:
        transforms = _solve(sights, links, transforms, choice)
        links = [
            same
            for link in links
            if len(same := _rematched(sights, link, transforms, choice.lens, radius))
            >= max(3, _FITS * len(chains.common(link.a, link.b)))
        ]
        members = _connected(links, sights.root)
        transforms = {frame: transforms[frame] for frame in members}
        if choice.lens is not None:  # more stars are known to be one, farther out: they tell the lens better
            choice = replace(choice, lens=_finer(sights, links, choice.lens))
            found.lens = choice.lens
    transforms = _solve(sights, links, transforms, choice)
    found.links = links
    found.registrations = _registrations(sights, links, transforms, choice)
    found.light = _light(sights, links)
    found.gained = len(set(found.registrations) & set(lost))
    _tell(sights, found, choice, direct, heads)
    return found


def _tell(
    sights: Sights, found: Together, choice: Choice, direct: dict[int, Registration], heads: Sequence[int]
) -> None:
    outside = sights.root == len(sights.frames) - 1 != sights.bright  # it is not to be stacked
    total, now = len(sights.frames) - outside, len(found.registrations) - outside
    alone = sum(
        own.matched >= _WHOLE * len(found.registrations[index].frame_index)
        for index, own in direct.items()
        if index in found.registrations and not (outside and index == sights.root)
    )
    if now > alone:
        found.notes.append(
            f"{alone} of {plural(total, 'frame')} lie on one reference with all their stars; "
            f"in {plural(len(heads), 'bank')} {now}"
        )
    if found.lens is not None:
        found.notes.append(
            f"the lens bends lines by {100 * (found.lens.k1 + found.lens.k2):+.2f} % in the corners: undone"
        )
    elif found.bent:
        found.notes.append("the stars asked for a homography: the field is wide")


def _tell_apart(
    sights: Sights, chains: Chains, members: Sequence[int], direct: dict[int, Registration], found: Together
) -> None:
    """Find the islands that nothing connects with the reference."""
    others = [i for i in chains.islands() if sights.root not in i and len(i) > 1 and not set(i) & set(direct)]
    if not others:
        return
    reason = f"no star in common with the reference's {plural(len(members), 'frame')} ({ANOTHER_ISLAND})"
    found.apart = {frame: reason for island in others for frame in island}
    best = [max(island, key=lambda f: (len(sights.frames[f].stars), -f)) for island in others]
    found.islands = (
        Island(tuple(sorted(members)), sights.root),
        *(Island(tuple(sorted(one)), frame) for one, frame in zip(others, best, strict=True)),
    )


def _shared(sights: Sights, link: Link) -> Shared:
    p, q = star_points(sights.frames[link.a].stars)[link.i], star_points(sights.frames[link.b].stars)[link.j]
    return Shared(link.a, link.b, p, q, pair_weights(sights.frames, link))


def _telling(sights: Sights, links: Sequence[Link], most: int) -> list[Shared]:
    """Pairs of frames that lie far apart and still share many stars, those that tell most first."""
    shared = [_shared(sights, link) for link in links if len(link) >= 16]
    tells = [len(one) ** 0.5 * float(np.median(np.hypot(*(one.p - one.q).T))) for one in shared]
    return [shared[n] for n in np.argsort(tells, kind="stable")[::-1][:most]]


def _choose(sights: Sights, links: Sequence[Link]) -> Choice:
    """The model that the stars ask for."""
    shared = _telling(sights, links, _JUDGED)
    if not shared:
        return Choice("similarity", None, float("nan"))
    sizes = {(frame.width, frame.height) for frame in sights.frames}
    return choose_bending(shared, sights.width, sights.height, lens=len(sizes) == 1)


def _finer(sights: Sights, links: Sequence[Link], lens: Lens) -> Lens:
    shared = _telling(sights, links, _FITTED)
    return fit_lens(shared, 2 if lens.k2 else 1, sights.width, sights.height) or lens


def _solve(
    sights: Sights, links: Sequence[Link], start: dict[int, Float64Array], choice: Choice
) -> dict[int, Float64Array]:
    return solve(
        [_shared(sights, link) for link in links],
        start,
        sights.root,
        choice.model,
        choice.lens,
        sights.width,
        sights.height,
    )


def _straight(frame: PlanFrame, lens: Lens | None) -> Float64Array:
    points = star_points(frame.stars)
    return points if lens is None else lens.undistort(points)


def _rematched(
    sights: Sights, link: Link, transforms: dict[int, Float64Array], lens: Lens | None, radius: float
) -> Link:
    """A link with the stars that fall together now."""
    points, targets = _straight(sights.frames[link.a], lens), _straight(sights.frames[link.b], lens)
    i, j = pairs_within(np.linalg.inv(transforms[link.b]) @ transforms[link.a], points, targets, radius)
    return Link(link.a, link.b, i, j)


def _connected(links: Sequence[Link], reference: int) -> list[int]:
    """Frames that links connect with the reference, it first."""
    beside: dict[int, list[int]] = {}
    for link in links:
        beside.setdefault(link.a, []).append(link.b)
        beside.setdefault(link.b, []).append(link.a)
    found = {reference: None}
    queue = [reference]
    while queue:
        for other in beside.get(queue.pop(), []):
            if other not in found:
                found[other] = None
                queue.append(other)
    return list(found)


def _registrations(
    sights: Sights, links: Sequence[Link], transforms: dict[int, Float64Array], choice: Choice
) -> dict[int, Registration]:
    everyone = np.arange(len(sights.frames[sights.root].stars))
    found = {sights.root: Registration(np.eye(3), len(everyone), 0.0, everyone, everyone, choice.model)}
    nobody = np.zeros(0, np.int64)
    own_links: dict[int, list[Link]] = {}
    for link in links:
        own_links.setdefault(link.a, []).append(link)
        own_links.setdefault(link.b, []).append(link)
    for frame, transform in transforms.items():
        own = own_links.get(frame, [])
        best = max(own, key=len, default=None)
        if frame == sights.root or best is None or len(best) < _LEAST:
            continue
        onto = next((link for link in own if (link.a, link.b) == (frame, sights.root)), None)
        bare = _shared(sights, best).straight(choice.lens)
        off = apply(transforms[best.a], bare.p) - apply(transforms[best.b], bare.q)
        rms = float(np.sqrt(np.average((off**2).sum(axis=1), weights=bare.weights)))
        i, j = (nobody, nobody) if onto is None else (onto.i, onto.j)
        found[frame] = Registration(transform, len(best), rms, i, j, choice.model)
    return found


def _light(sights: Sights, links: Sequence[Link]) -> dict[int, float]:
    """Transparencies relative to the reference under which the stars of all pairs are equally bright."""
    differences = []
    for link in links:
        if sights.root != sights.bright and sights.root in (link.a, link.b):
            continue  # of another filter, maybe
        ratio = light_ratio(sights.frames, link)
        if ratio is not None and ratio > 0:
            differences.append((link.a, link.b, log(ratio), float(min(len(link), 100))))
    return {frame: float(np.exp(value)) for frame, value in balance(differences, sights.bright).items()}
