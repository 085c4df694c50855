"""Frames that do not lie on one reference: laid on their neighbors, whose chains become banks, panels and islands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from astrotui.imaging.hints import turned_hint
from astrotui.imaging.register import (
    Model,
    Registration,
    RegistrationError,
    match_stars,
    star_weights,
)
from astrotui.imaging.types import Float64Array
from astrotui.stacking.brightness import ratio_of_pairs
from astrotui.stacking.plan import PlanFrame

NEAREST = 2  # frames in time, of those that are placed, on which one is tried
ISLANDS = 8  # others, the nearest in time, of which one frame is tried
REPRESENTATIVES = 4  # of each island, tried on each other
MERGES = 400  # tries, both ways, at most: islands of single clouded frames would be tried for ever
SAME = 0.6  # share of their stars that two frames of one view have in common
LEAST_STARS = 8  # of a frame that is to found an island
BANK = 0.5  # share of common stars under which a frame begins a bank of its own
NEIGHBORS = 6  # banks to which a frame is tied
COMMON = 12  # stars that are worth a line in the equations


@dataclass(frozen=True, eq=False)
class Link:
    """Two frames and the stars that both show.

    Attributes
    ----------
    a, b : places of the frames in the plan
    i, j : int64 (n,), places of the stars in the lists of a and of b
    """

    a: int
    b: int
    i: NDArray[np.int64]
    j: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.i)


@dataclass(eq=False)
class Chains:
    """Frames placed on each other.

    Attributes
    ----------
    placed : by frame, its matrix onto the root of its island; a first guess only
    island : by frame, the root of its island
    links : how it came to be so
    labels : by frame, int64 (stars,), a number for each star of the sky; -1 where it is not unique
    """

    placed: dict[int, Float64Array] = field(default_factory=dict)
    island: dict[int, int] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    labels: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    def members(self, root: int) -> list[int]:
        return [frame for frame, home in self.island.items() if home == root]

    def islands(self) -> list[list[int]]:
        """Frames by island, the largest first."""
        roots = dict.fromkeys(self.island.values())
        return sorted((self.members(root) for root in roots), key=lambda m: (-len(m), min(m)))

    def common(self, a: int, b: int) -> Link:
        """The stars that frames a and b share, over any chain of frames."""
        _, i, j = np.intersect1d(self.labels[a], self.labels[b], return_indices=True)
        known = self.labels[a][i] >= 0
        order = np.argsort(i[known], kind="stable")  # brightest first
        return Link(a, b, i[known][order].astype(np.int64), j[known][order].astype(np.int64))


def chain(
    frames: Sequence[PlanFrame],
    among: Sequence[int],
    reference: int,
    direct: dict[int, Registration],
) -> Chains:
    """Lay frames on each other, beginning with the reference and going away from it in time.

    Parameters
    ----------
    among : frames that may be used
    direct : frames whose place on the reference is known already

    Returns
    -------
    Chains
        Of all of `among` with enough stars; those that are connected with the reference by no chain of common stars
        are islands of their own.
    """
    found = Chains()
    found.placed[reference], found.island[reference] = np.eye(3), reference
    for frame, registration in direct.items():
        if frame != reference:
            _join(found, frame, reference, registration)
    step = np.eye(3)
    order = _away(frames, among, reference)
    _tie(frames, [frame for frame in order if frame in direct], direct, found)
    for frame in order:
        if frame in found.placed or len(frames[frame].stars) < 3:
            continue
        for n, other in enumerate(_candidates(frames, frame, found)):
            linked = link_frames(frames[frame], frames[other], step, quick=n > 0)
            if linked is not None:
                _join(found, frame, other, linked)
                step = linked.transform
                break
        else:
            if len(frames[frame].stars) >= LEAST_STARS:
                found.placed[frame], found.island[frame] = np.eye(3), frame
    _merge(frames, found, reference)
    _label(frames, found)
    return found


def _tie(
    frames: Sequence[PlanFrame], order: Sequence[int], direct: dict[int, Registration], found: Chains
) -> None:
    """Link frames that share few stars with the reference to the frame before them, which may be of the same panel."""
    for frame, other in zip(order[1:], order, strict=False):
        if direct[frame].matched < BANK * len(frames[frame].stars):
            tied = link_frames(frames[frame], frames[other], np.eye(3), quick=True)
            if tied is not None:
                found.links.append(Link(frame, other, tied.frame_index, tied.reference_index))


def _away(frames: Sequence[PlanFrame], among: Sequence[int], reference: int) -> list[int]:
    """Frames in the order of time, first those after the reference, then those before it, backwards."""
    order = sorted(among, key=lambda i: (_time(frames[i].date_obs), i))
    at = order.index(reference)
    return order[at:] + order[:at][::-1]


def _time(text: str | None) -> float:
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except ValueError:
        return 0.0


def _candidates(frames: Sequence[PlanFrame], frame: int, found: Chains) -> Iterator[int]:
    """Placed frames near in time, then the roots of their islands, then the nearest frame of each of some other islands:

    panels that are shot in turn, or by two telescopes at once, have frames of other panels between their own.
    """
    here = _time(frames[frame].date_obs)
    by_time = sorted(found.placed, key=lambda i: (abs(_time(frames[i].date_obs) - here), abs(i - frame)))
    near = by_time[:NEAREST]
    yield from near
    homes = dict.fromkeys(found.island[i] for i in near)
    for root in homes:
        if root not in near:
            yield root
    others = {found.island[i]: i for i in reversed(by_time) if found.island[i] not in homes}
    yield from list(others.values())[::-1][:ISLANDS]


def link_frames(
    frame: PlanFrame, other: PlanFrame, step: Float64Array, *, quick: bool
) -> Registration | None:
    """A frame on another, as freely as its stars allow: the chain is only to tell which stars are the same."""
    hint = turned_hint(frame.stars, other.stars, step)
    shape = (frame.height, frame.width)
    try:
        return match_stars(frame.stars, other.stars, model="homography", shape=shape, hint=hint, quick=quick)
    except RegistrationError:
        return None


def show_the_same(frame: PlanFrame, other: PlanFrame, model: Model) -> bool:
    """Whether two frames show the same piece of the sky, so that both lie on a third or neither does, told at once."""
    least = min(len(frame.stars), len(other.stars))
    if least < LEAST_STARS:
        return False
    shape = (frame.height, frame.width)
    try:
        found = match_stars(frame.stars, other.stars, model=model, shape=shape, quick=True)
    except RegistrationError:
        return False
    return found.matched >= SAME * least


def _join(found: Chains, frame: int, other: int, registration: Registration) -> None:
    found.placed[frame] = found.placed[other] @ registration.transform
    found.island[frame] = found.island[other]
    found.links.append(Link(frame, other, registration.frame_index, registration.reference_index))


def _merge(frames: Sequence[PlanFrame], found: Chains, reference: int) -> None:
    """Connect islands whose frames lie on each other after all."""
    tried: set[tuple[int, int]] = set()
    again = True
    while again:
        again = False
        islands = found.islands()
        for n, one in enumerate(islands):
            for other in islands[:n]:
                if len(one) == 1 and len(other) == 1:
                    continue
                pairs = [(a, b) for a in _spread(one, reference) for b in _spread(other, reference)]
                for n_pair, (a, b) in enumerate(pairs):
                    if len(tried) >= MERGES:
                        return
                    if (a, b) in tried:
                        continue
                    tried |= {(a, b), (b, a)}
                    quick = n_pair > 0 or min(len(one), len(other)) == 1
                    registration = link_frames(frames[a], frames[b], np.eye(3), quick=quick)
                    if registration is not None:
                        _attach(found, one, other, a, b, registration, reference)
                        again = True
                        break
                if again:
                    break
            if again:
                break


def _attach(
    found: Chains,
    one: list[int],
    other: list[int],
    a: int,
    b: int,
    registration: Registration,
    reference: int,
) -> None:
    matrix, moved, root = found.placed[b] @ registration.transform @ np.linalg.inv(found.placed[a]), one, b
    if reference in one:
        matrix, moved, root = np.linalg.inv(matrix), other, a
    home = found.island[root]
    for frame in moved:
        found.placed[frame] = matrix @ found.placed[frame]
        found.island[frame] = home
    found.links.append(Link(a, b, registration.frame_index, registration.reference_index))


def _spread(members: Sequence[int], reference: int) -> list[int]:
    """Some frames of an island: the reference, the first, the last, and between."""
    ordered = sorted(members)
    at = np.unique(np.linspace(0, len(ordered) - 1, REPRESENTATIVES).round().astype(int))
    some = [ordered[i] for i in at]
    return [reference, *(s for s in some if s != reference)] if reference in members else some


def _label(frames: Sequence[PlanFrame], found: Chains) -> None:
    """Give each star of the sky a number: stars of two frames that were matched are one."""
    members = sorted(found.placed)
    starts = dict(
        zip(members, np.cumsum([0, *(len(frames[f].stars) for f in members)]).tolist(), strict=False)
    )
    total = sum(len(frames[f].stars) for f in members)
    parent = list(range(total))

    def top(star: int) -> int:
        while parent[star] != star:
            parent[star] = parent[parent[star]]
            star = parent[star]
        return star

    for link in found.links:
        for i, j in zip(link.i.tolist(), link.j.tolist(), strict=True):
            one, other = top(starts[link.a] + i), top(starts[link.b] + j)
            if one != other:
                parent[max(one, other)] = min(one, other)
    for frame in members:
        start = starts[frame]
        labels = np.array([top(start + i) for i in range(len(frames[frame].stars))], np.int64)
        values, counts = np.unique(labels, return_counts=True)
        labels[np.isin(labels, values[counts > 1])] = -1  # two stars of one frame became one: neither is sure
        found.labels[frame] = labels


def banks(found: Chains, members: Sequence[int], reference: int) -> tuple[list[int], list[Link]]:
    """References of banks, and the links to solve for: each frame with its bank, with the reference, banks among each
    other, and what chained them.

    A frame that shares less than half of its stars with every bank's reference begins a bank.
    """
    heads = [reference]
    links: dict[tuple[int, int], Link] = {}

    def add(link: Link, least: int) -> None:
        if len(link) >= least:
            links.setdefault((link.a, link.b), link)

    for frame in members:
        if frame == reference:
            continue
        shared = [found.common(frame, head) for head in heads]
        best = max(shared, key=len)
        most = min(len(found.labels[frame]), len(found.labels[best.b]))
        if len(best) < BANK * most:
            for link in shared:
                add(link, COMMON)
            heads.append(frame)
            continue
        add(best, 3)
        for link in sorted(shared, key=len, reverse=True)[:NEIGHBORS]:
            add(link, COMMON)
    inside = set(members)
    for link in found.links:
        if link.a in inside and (link.b, link.a) not in links:
            add(found.common(link.a, link.b), 3)
    return heads, list(links.values())


def light_ratio(frames: Sequence[PlanFrame], link: Link, model: Model = "similarity") -> float | None:
    """How much of the stars' light reached frame a, relative to frame b; None when their stars cannot tell."""
    a, b = frames[link.a], frames[link.b]
    pairs = Registration(np.eye(3), len(link), 0.0, link.i, link.j, model)
    return ratio_of_pairs(a, b, pairs)


def pair_weights(frames: Sequence[PlanFrame], link: Link) -> Float64Array:
    """Weights of the squared distances of a link's stars."""
    one, other = star_weights(frames[link.a].stars)[link.i], star_weights(frames[link.b].stars)[link.j]
    return np.asarray(one * other / np.maximum(one + other, 1e-12) * 2)
