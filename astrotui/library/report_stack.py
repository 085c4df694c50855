"""What a report says of a result: what went in and what stayed out, its masters and recipe, how to make it again."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from astrotui.catalog.database import Catalog
from astrotui.library.stacks import list_stacks
from astrotui.stacking.recipe import Recipe, option_of

MOST_STACKS = 12
_MOST_BYTES = 256 * 1024**2  # of a manifest that is read


@dataclass(frozen=True)
class MasterStory:
    """One master that was used: its kind, the file, how many frames it was made of (1: a ready one)."""

    kind: str
    path: str
    frames: int | None
    ready: bool


@dataclass(frozen=True)
class StackStory:
    """One result.

    Attributes
    ----------
    stack : with the keys of `stacks --json`
    others : how many older results of these sessions there are
    asked : frames that were asked for
    weights : of the frames that went in, by path, 1 for the heaviest; empty without a manifest
    effective_s : integration, each exposure counted by its score: what it is worth in exposures of the best frame
    depth_mag : 1.25 log10 of the sum of scores/100, the depth over one best frame
    masters, reasons : what the lights were calibrated with, and why that was chosen
    recipe : every choice by name; `changed` are those that are not the default
    options : the choices that are not the default as options of `astrotui stack`
    notes : what was decided while it ran
    digest, versions : of the plan, and of the programs that ran it
    problem : why there is nothing of the manifest; empty otherwise
    """

    stack: dict[str, Any]
    others: int = 0
    asked: int | None = None
    weights: Mapping[str, float] | None = None
    effective_s: float | None = None
    depth_mag: float | None = None
    masters: tuple[MasterStory, ...] = ()
    reasons: tuple[str, ...] = ()
    recipe: Mapping[str, Any] | None = None
    changed: frozenset[str] = frozenset()
    options: str = ""
    notes: tuple[str, ...] = ()
    digest: str | None = None
    versions: Mapping[str, str] | None = None
    problem: str = ""


def stories(catalog: Catalog, session_ids: Sequence[int]) -> tuple[StackStory, ...]:
    """The newest result of each session, each once, newest first; one whose file is gone only for want of another."""
    wanted = set(session_ids)
    found = [s for s in list_stacks(catalog) if wanted & set(s["sessions"])]
    found.sort(key=lambda s: s["status"] == "missing")  # stable: newest first among equals
    chosen: dict[int, dict[str, Any]] = {}
    for session_id in session_ids:
        newest = next((s for s in found if session_id in s["sessions"]), None)
        if newest is not None:
            chosen[newest["id"]] = newest
    told = sorted(chosen.values(), key=lambda s: -s["id"])[:MOST_STACKS]
    return tuple(
        _story(stack, sum(bool(set(stack["sessions"]) & set(s["sessions"])) for s in found) - 1)
        for stack in told
    )


def _story(stack: dict[str, Any], others: int) -> StackStory:
    table, problem = _manifest(stack["manifest"])
    if table is None:
        return StackStory(stack, others, problem=problem)
    try:
        return _told(stack, others, table)
    except (AttributeError, KeyError, TypeError, ValueError):
        return StackStory(stack, others, problem="its manifest is not one that this version can read")


def _manifest(path: str | None) -> tuple[dict[str, Any] | None, str]:
    if not path:
        return None, "it has no manifest"
    place = Path(path)
    try:
        if place.stat().st_size > _MOST_BYTES:
            return None, "its manifest is too large to be read for a page"
        table = json.loads(place.read_bytes())
    except FileNotFoundError:
        return None, "its manifest is gone"
    except (OSError, ValueError, RecursionError):
        return None, "its manifest cannot be read"
    return (table, "") if isinstance(table, dict) else (None, "its manifest cannot be read")


def _told(stack: dict[str, Any], others: int, table: dict[str, Any]) -> StackStory:
    plan, result = table["plan"], table["result"]
    weights = {
        str(row["path"]): float(row["weight"])
        for row in table["frames"]
        if row["used"] and row["weight"] is not None
    }
    used = {str(row["path"]) for row in table["frames"] if row["used"]}
    scored = [
        (float(f["exposure_s"] or 0.0), float(f["score"]) / 100)
        for f in plan["frames"]
        if f["file"]["path"] in used and f["score"] is not None
    ]
    depth = sum(score for _, score in scored)
    recipe = {str(name): value for name, value in plan["recipe"].items() if value not in ([], None)}
    defaults = asdict(Recipe())
    changed = frozenset(name for name, value in recipe.items() if value != defaults.get(name))
    return StackStory(
        stack=stack,
        others=others,
        asked=len(plan["frames"]) + len(plan["skipped"]),
        weights=weights,
        effective_s=sum(exposure * score for exposure, score in scored) if scored else None,
        depth_mag=1.25 * math.log10(depth) if depth > 0 else None,
        masters=_masters(stack, plan),
        reasons=tuple(dict.fromkeys(str(r) for c in plan["calibrations"] for r in c["reasons"])),
        recipe=recipe,
        changed=changed,
        options=" ".join(option_of(name, value) for name, value in recipe.items() if name in changed),
        notes=tuple(str(note) for note in result.get("notes", ())),
        digest=str(table["digest"]),
        versions={str(k): str(v) for k, v in table.get("versions", {}).items()},
    )


def _masters(stack: dict[str, Any], plan: dict[str, Any]) -> tuple[MasterStory, ...]:
    """The masters of all groups of frames, each once, in the order of their use."""
    found: dict[tuple[str, str], MasterStory] = {}
    for calibration in plan["calibrations"]:
        for kind in ("bias", "dark", "flat"):
            spec = calibration[kind]
            if spec is None:
                continue
            inputs, ready = spec["inputs"], bool(spec["ready"])
            first = str(inputs[0]["path"]) if inputs else ""
            place = first if ready or len(inputs) == 1 else str(Path(first).parent)
            found.setdefault((kind, place), MasterStory(kind, place, None if ready else len(inputs), ready))
    return tuple(found.values())
