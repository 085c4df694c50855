"""What can be one stack: sessions of one kind, one filter and one piece of sky."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as DbSession

from astrotui.catalog.models import Frame, Session
from astrotui.errors import PlanError
from astrotui.library.objects import separation_deg
from astrotui.text import clean, plural

FAR_DEG = 5.0  # headers of real telescopes are wrong by degrees
_NAMES = {
    "l": "l lum luminance luminosity clear", "r": "r red", "g": "g green", "b": "b blue",
    "ha": "h ha halpha hydrogenalpha hydrogen", "oiii": "o o3 oiii oxygen", "sii": "s s2 sii sulfur sulphur",
}  # fmt: skip
_ALIKE = {name: key for key, names in _NAMES.items() for name in names.split()}
_DUAL = re.compile(
    r"du[ao]|^lp$|lextreme|lenhance|lultimate|alpt|nbz|idasnb|^haoiii$|^hao3$|quadband|triband|siioiii"
)


def filter_key(name: str | None, *, color: bool) -> str | None:
    """What a filter lets through, so that two names of one thing are equal; None for an unknown filter.

    Behind a mono camera each filter is its own; a color camera's are either dual-band or broad.
    """
    plain = re.sub(r"[^a-z0-9]", "", (name or "").lower())
    if not plain:
        return None
    if color:
        return "dual-band" if _DUAL.search(plain) else "broadband"
    plain = re.sub(r"\d+nm$", "", plain)
    return _ALIKE.get(plain, plain)


def kind_of(planes: int | None, cfa: str | None) -> str:
    """Mono, color, or a raw mosaic; only frames of one kind go into one stack."""
    return "color" if planes == 3 else "a color mosaic" if cfa else "mono"


def sessions_of(db: DbSession, session_ids: Sequence[int]) -> list[Session]:
    """Sessions by their ids, in order."""
    return list(db.scalars(select(Session).where(Session.id.in_(session_ids)).order_by(Session.id)))


def by_filter(db: DbSession, session_ids: Sequence[int]) -> dict[str, list[int]]:
    """Sessions by filter, as it is named first; those of an unknown filter are together under ""."""
    names: dict[str | None, str] = {}
    found: dict[str, list[int]] = {}
    sessions = sessions_of(db, session_ids)
    kinds = _kinds(db, sessions)
    for session in sessions:
        key = filter_key(session.filter, color=kinds[session.id] != "mono")
        name = names.setdefault(key, clean(session.filter or "", 40))
        found.setdefault(name, []).append(session.id)
    return found


def check_together(db: DbSession, session_ids: Sequence[int], *, mix_filters: bool = False) -> None:
    """Refuse sessions that cannot be one stack, before anything is queued.

    Raises
    ------
    PlanError
        Mono and color are mixed, filters are mixed up, or the sessions do not share any sky.
    """
    sessions = sessions_of(db, session_ids)
    if len(sessions) < 2:
        return
    kinds = _kinds(db, sessions)
    groups = _grouped((kinds[session.id], session.id) for session in sessions)
    if len(groups) > 1:
        raise PlanError(
            f"{_listed(groups)} cannot be one stack; stack each by itself"
            + (", then compose joins them" if "mono" in groups else "")
        )
    if not mix_filters:
        keys = _grouped((filter_key(s.filter, color=kinds[s.id] != "mono"), s.id) for s in sessions)
        keys.pop(None, None)
        if len(keys) > 1:
            first = {key: min(ids) for key, ids in keys.items()}
            named = {
                f"filter {clean(s.filter, 40)}": keys[key]
                for key, number in first.items()
                for s in sessions
                if s.id == number
            }
            raise PlanError(
                f"filters are mixed up: {_listed(named)}; --split filter makes one stack of each, "
                "--mix-filters stacks them as one"
            )
    check_sky(sessions)


def _kinds(db: DbSession, sessions: Sequence[Session]) -> dict[int, str]:
    query = (
        select(Frame.session_id, func.max(Frame.planes))
        .where(Frame.session_id.in_([session.id for session in sessions]))
        .group_by(Frame.session_id)
    )
    planes = {row[0]: row[1] for row in db.execute(query)}
    return {session.id: kind_of(planes.get(session.id), session.cfa) for session in sessions}


def _grouped(pairs: Iterable[tuple[str | None, int]]) -> dict[str | None, list[int]]:
    groups: dict[str | None, list[int]] = defaultdict(list)
    for key, number in pairs:
        groups[key].append(number)
    return groups


def _listed(groups: Mapping[Any, Sequence[int]]) -> str:
    parts = []
    for name, ids in groups.items():
        some = ", ".join(str(number) for number in ids[:3]) + (" and others" if len(ids) > 3 else "")
        parts.append(f"{name} (session{'s' if len(ids) > 1 else ''} {some})")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def check_sky(sessions: Sequence[Session]) -> None:
    """Each session must be within reach of the others, maybe by way of one between them, as panels of a mosaic are.

    Raises
    ------
    PlanError
        One is not.
    """
    placed = [s for s in sessions if s.ra_deg is not None and s.dec_deg is not None]
    if len(placed) < 2:
        return
    reached, waiting = [placed[0]], placed[1:]
    for here in reached:  # grows while it is gone through
        near = [
            there for there in waiting if apart_deg(here, there) <= max(FAR_DEG, _field(here) + _field(there))
        ]
        reached += near
        waiting = [there for there in waiting if there not in near]
    if waiting:
        far = waiting[0]
        nearest = min(reached, key=lambda session: apart_deg(session, far))
        raise PlanError(
            f"session {nearest.id} ({_name(nearest)}) and session {far.id} ({_name(far)}) lie "
            f"{apart_deg(nearest, far):.1f} degrees apart: they show no common sky"
        )


def apart_deg(one: Session, other: Session) -> float:
    """The angle between two pointings, degrees."""
    return separation_deg(one.ra_deg or 0.0, one.dec_deg or 0.0, other.ra_deg or 0.0, other.dec_deg or 0.0)


def _field(session: Session) -> float:
    """Half the diagonal of a session's field, degrees; 0 when it is unknown."""
    if not session.pixel_um or not session.focal_mm:
        return 0.0
    return (
        math.hypot(session.width, session.height)
        * math.degrees(session.pixel_um / 1000 / session.focal_mm)
        / 2
    )


def _name(session: Session) -> str:
    return clean(session.target or "no target", 40)


def cameras(sessions: Sequence[Session]) -> str | None:
    """A line about sessions of several cameras, for people; None for one."""
    shapes = list(dict.fromkeys(f"{s.width}x{s.height} {s.cfa_phase or 'mono'}" for s in sessions))
    if len(shapes) < 2:
        return None
    return f"frames of {plural(len(shapes), 'kind')} ({', '.join(shapes)}): each is calibrated with its own masters"
